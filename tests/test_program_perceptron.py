"""Program (a): what a perceptron's `.meta` tells, without values and without TensorFlow."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from program_files import perceptron
from program_runner import run_without_tensorflow


@pytest.mark.parametrize("kind", ["ref", "resource"])
def test_the_meta_alone(tf: Any, tmp_path: Path, kind: str) -> None:
    prefix = perceptron(tf, tmp_path, resource=kind == "resource")
    assert prefix.name == "model.ckpt-0"
    alone = tmp_path / "alone" / "model.ckpt-0.meta"
    alone.parent.mkdir()
    shutil.copy(f"{prefix}.meta", alone)
    values = tmp_path / "weights.npz"
    keep_weights(tmp_path / "values.npz", values)
    run_without_tensorflow("program_perceptron", alone, values, kind)


def keep_weights(file: Path, to: Path) -> None:
    import numpy as np

    with np.load(file) as arrays:
        np.savez(to, **{name: arrays[name] for name in arrays if name[-2] == "_"})
