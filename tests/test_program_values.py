"""Program (b): a perceptron computed from its checkpoint with NumPy, as TensorFlow computes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from program_files import perceptron
from program_runner import run_without_tensorflow


@pytest.mark.parametrize("old_style", [False, True], ids=["plain", "partitioned"])
@pytest.mark.parametrize("resource", [False, True], ids=["ref", "resource"])
def test_the_network(tf: Any, tmp_path: Path, resource: bool, old_style: bool) -> None:
    prefix = perceptron(tf, tmp_path, resource=resource, old_style=old_style)
    run_without_tensorflow("program_values", prefix, tmp_path / "values.npz")
