"""Checkpoints that other people made, with many TensorFlow versions.

Not part of this project: TENSORBUNDLE_CORPUS names the folder that holds them, one folder each.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from tensorbundle.errors import CorruptionError
from writer import as_array

FOLDER = os.environ.get("TENSORBUNDLE_CORPUS")
if not FOLDER:
    pytest.skip("TENSORBUNDLE_CORPUS names no folder", allow_module_level=True)
CORPUS = Path(FOLDER)


def prefixes() -> list[str]:
    """Every V2 set that is sound, data or not."""
    broken = {"bad--BSData--saved_model", "bad--deepmd-kit--model.ckpt"}
    found = sorted(CORPUS.rglob("*.index"))
    parts = [path.relative_to(CORPUS) for path in found]
    return [str(part)[: -len(".index")] for part in parts if part.parts[0] not in broken]


def test_there_is_a_corpus() -> None:
    assert len(prefixes()) > 15


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("prefix", prefixes())
def test_tensorflow_agrees(tf: Any, prefix: str, mmap: bool) -> None:
    path = f"{CORPUS}/{prefix}"
    reader = tf.compat.v1.train.NewCheckpointReader(path)
    shapes = reader.get_variable_to_shape_map()
    kinds = reader.get_variable_to_dtype_map()
    with tb.open(path, mmap=mmap, verify=True) as ckpt:
        assert set(ckpt) == set(shapes)
        assert list(ckpt) == [info.name for info in ckpt.infos()]
        there = [Path(shard).exists() for shard in ckpt.shard_paths()]
        for info in ckpt.infos():
            assert list(info.shape) == shapes[info.name]
            assert info.type_name == kinds[info.name].name
            shards = [info.shard] if not info.slices else [part.shard for part in info.slices]
            if not all(shard is not None and there[shard] for shard in shards):
                with pytest.raises(FileNotFoundError):
                    ckpt[info.name]
                continue
            theirs, ours = as_array(reader.get_tensor(info.name)), ckpt[info.name]
            if info.type_name == "string":
                assert theirs.tolist() == ours.tolist()
            else:
                assert (theirs.dtype.itemsize, theirs.shape) == (ours.itemsize, ours.shape)
                assert theirs.tobytes() == ours.tobytes()


@pytest.mark.parametrize("prefix", prefixes())
def test_any_path_of_the_set(prefix: str) -> None:
    want = list(tb.open(f"{CORPUS}/{prefix}"))
    folder = CORPUS / prefix.rpartition("/")[0]
    files = [file for file in folder.iterdir() if str(file).startswith(f"{CORPUS}/{prefix}.")]
    assert CORPUS / f"{prefix}.index" in files
    for file in files:
        assert list(tb.open(file)) == want
    if (folder / "checkpoint").exists():
        named = (folder / "checkpoint").read_text().split('"')[1]
        if not Path(f"{folder}/{named.rpartition('/')[2]}.index").exists():
            # The corpus holds one checkpoint of several, and not the last.
            with pytest.raises(FileNotFoundError, match="the state file names"):
                tb.open(folder)
        else:
            assert list(tb.open(folder)) == want
    if folder.name == "variables":
        assert list(tb.open(folder.parent)) == want


@pytest.mark.parametrize(
    ("folder", "fragment"),
    [
        ("bad--BSData--saved_model/variables/variables", "git lfs pull"),
        ("bad--BSData--saved_model", "git lfs pull"),
        ("bad--deepmd-kit--model.ckpt/model.ckpt", "text"),
    ],
)
def test_what_is_no_index(folder: str, fragment: str) -> None:
    with pytest.raises(CorruptionError, match=fragment) as caught:
        tb.open(CORPUS / folder)
    assert caught.value.path is not None
    assert caught.value.path.endswith(".index")


def test_leftover_of_an_interrupted_save() -> None:
    folder = CORPUS / "bad--News-Classification-LSTM--part-00000-of-00002"
    ckpt = tb.open(folder / "part-00000-of-00002")
    assert len(ckpt) > 0
    with pytest.raises(FileNotFoundError, match="data-00000-of-00001"):
        ckpt[next(iter(ckpt))]


def test_orphaned_temporary_index() -> None:
    (folder,) = CORPUS.glob("bad--TetrisAI--*")
    (file,) = folder.iterdir()
    for path in (folder, file):
        with pytest.raises((FileNotFoundError, tb.errors.CheckpointError)) as caught:
            tb.open(path)["x"]
        assert "tempstate" in str(caught.value)


V1 = {
    "Near-Earth-Object-ML-Challenge--model.ckpt": "model.ckpt",
    "magenta--model.ckpt-1994": "model.ckpt-1994",
    "tensorboard--model.ckpt-1": "model.ckpt-1-?????-of-00001",
    "tensorflow--export": "export-?????-of-00001",
    "tensorflow--half_plus_two_sharded": "variables/variables-?????-of-00001",
    "training-data-analyst--trained_model.sd": "trained_model.sd",
}


@pytest.mark.parametrize("folder", V1)
def test_v1_as_tensorflow_reads_it(tf: Any, folder: str) -> None:
    path = f"{CORPUS}/{folder}/{V1[folder]}"
    theirs = tf.compat.v1.train.NewCheckpointReader(path)
    with tb.open(path) as ckpt:
        assert ckpt.format == "V1"
        shapes, kinds = theirs.get_variable_to_shape_map(), theirs.get_variable_to_dtype_map()
        assert {name: list(shape) for name, shape in ckpt.shapes().items()} == shapes
        for info in ckpt.infos():
            assert info.type_name == kinds[info.name].name
            value = theirs.get_tensor(info.name)
            assert (value.dtype, value.shape) == (ckpt[info.name].dtype, ckpt[info.name].shape)
            assert value.tobytes() == ckpt[info.name].tobytes()
        assert (ckpt.meta_path is None) == (folder.startswith(("magenta", "training-data")))


@pytest.mark.parametrize("folder", sorted(set(V1) - {"tensorboard--model.ckpt-1"}))
def test_v1_by_its_directory(folder: str) -> None:
    with tb.open(f"{CORPUS}/{folder}") as ckpt, tb.open(f"{CORPUS}/{folder}/{V1[folder]}") as same:
        assert (ckpt.prefix, list(ckpt)) == (same.prefix, list(same))


def test_variables_of_a_session_bundle() -> None:
    with tb.open(f"{CORPUS}/tensorflow--export") as ckpt:
        assert ckpt.variables["a"].numpy() == 0.5
        assert ckpt.variables["b"].numpy() == 2.0


def test_a_saved_model_with_v1_variables() -> None:
    with tb.load_saved_model(f"{CORPUS}/tensorflow--half_plus_two_sharded") as model:
        assert model.checkpoint is not None
        assert model.checkpoint.format == "V1"
        assert model.variables["a"].numpy() == 0.5
        assert model.variables["b"].numpy() == 2.0
