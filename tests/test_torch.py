"""Checkpoint.to_torch. PyTorch is in no dependency group: these tests run where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tensorbundle as tb
from writer import Bundle


def bundle(**options: Any) -> Bundle:
    made = Bundle(**options)
    made.add("w", np.arange(6, dtype=np.float32).reshape(2, 3))
    made.add("half", np.arange(5, dtype=np.float32).astype(ml_dtypes.bfloat16))
    made.add("eight", np.arange(3, dtype=np.float32).astype(ml_dtypes.float8_e4m3fn))
    made.add("odd", np.arange(4, dtype=np.float64))  # does not lie on a multiple of 8
    made.add("scalar", np.int64(-7))
    made.add("four", np.arange(3).astype(ml_dtypes.int4))
    made.add("words", [b"a"])
    return made


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("big", [False, True])
def test_values_and_types(tmp_path: Path, big: bool, share: bool) -> None:
    torch = pytest.importorskip("torch")
    with tb.open(bundle(big_endian=big).write(tmp_path / "ckpt")) as ckpt:
        for name, dtype in [
            ("w", torch.float32),
            ("half", torch.bfloat16),
            ("eight", torch.float8_e4m3fn),
            ("odd", torch.float64),
            ("scalar", torch.int64),
        ]:
            tensor = ckpt.to_torch(name, share=share)
            assert tensor.dtype == dtype
            assert tuple(tensor.shape) == ckpt[name].shape
            assert tensor.double().tolist() == ckpt[name].astype(float).tolist()
            shared = tensor.data_ptr() == ckpt[name].__array_interface__["data"][0]
            swapped = big and name in ("w", "odd", "scalar", "half")
            assert shared == (share and ckpt[name].flags.aligned and not swapped), name
            if not share:
                tensor.copy_(torch.ones(tensor.shape))
        assert ckpt["w"][0, 0] == 0
        with pytest.raises(TypeError, match="strings and variants"):
            ckpt.to_torch("words")
        with pytest.raises(tb.UnsupportedError, match="no type int4"):
            ckpt.to_torch("four")


def test_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    ckpt = tb.open(bundle().write(tmp_path / "ckpt"))
    with pytest.raises(ImportError, match="needs PyTorch, which is not installed"):
        ckpt.to_torch("w")
