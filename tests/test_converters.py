"""Old converters run unchanged but for their import, and give the same arrays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import converters

RNG = np.random.default_rng(3)

# Nothing of TensorFlow may come in by another way.
ALONE = """
import sys
sys.modules["tensorflow"] = sys.modules["google.protobuf"] = None
import tensorbundle as tf
"""
THEIRS = "import tensorflow as tf"


def variables(model: str) -> dict[str, Any]:
    def random(*shape: int) -> Any:
        return RNG.standard_normal(shape).astype(np.float32)

    if model == "gpt2":
        return {
            "model/wte": random(50, 8),
            "model/wpe": random(16, 8),
            **{f"model/h{i}/attn/c_attn/w": random(1, 8, 24) for i in range(3)},
            **{f"model/h{i}/attn/c_attn/b": random(24) for i in range(3)},
            **{f"model/h{i}/ln_1/g": random(8) for i in range(3)},
        }
    layers = [f"bert/encoder/layer_{i}" for i in range(2)]
    weights = {
        "bert/embeddings/word_embeddings": random(30, 8),
        "bert/embeddings/LayerNorm/gamma": random(8),
        "cls/predictions/output_bias": random(30),
        **{f"{layer}/attention/self/query/kernel": random(8, 8) for layer in layers},
    }
    slots = {f"{name}/adam_{slot}": value for name, value in weights.items() for slot in "mv"}
    return {**weights, **slots, "global_step": np.int64(1000)}


@pytest.fixture(scope="module", params=["V2", "V1"])
def folder(tf: Any, request: Any, tmp_path_factory: Any) -> Path:
    v1 = tf.compat.v1
    made = Path(tmp_path_factory.mktemp("converters"))
    for model in ("bert", "gpt2"):
        with tf.Graph().as_default(), v1.Session() as session:
            values = variables(model)
            held = [v1.get_variable(n, initializer=tf.constant(v)) for n, v in values.items()]
            session.run(v1.global_variables_initializer())
            version = getattr(v1.train.SaverDef, request.param)
            saver = v1.train.Saver(held, write_version=version)
            (made / model).mkdir()  # which V1 does not do
            saver.save(session, f"{made}/{model}/model.ckpt", global_step=7)
    return made


def run(script: str, header: str, source: Path, target: Path) -> dict[str, Any]:
    program = script.replace("IMPORT", header)
    done = subprocess.run(
        [sys.executable, "-c", program, str(source), str(target)],
        capture_output=True,
        text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    with np.load(target) as arrays:
        return dict(arrays)


@pytest.mark.parametrize(
    ("script", "model"),
    [
        (converters.BERT, "bert"),
        (converters.GPT2, "gpt2/model.ckpt-7"),
        (converters.READER, "bert"),
        (converters.READER, "gpt2/model.ckpt-7"),
    ],
    ids=["bert", "gpt2", "reader-bert", "reader-gpt2"],
)
def test_same_arrays(folder: Path, tmp_path: Path, script: str, model: str) -> None:
    theirs = run(script, THEIRS, folder / model, tmp_path / "theirs.npz")
    ours = run(script, ALONE, folder / model, tmp_path / "ours.npz")
    assert list(ours) == list(theirs)
    assert len(ours) > 3
    for name, value in theirs.items():
        assert (value.dtype, value.shape) == (ours[name].dtype, ours[name].shape)
        assert value.tobytes() == ours[name].tobytes()
