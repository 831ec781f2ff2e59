"""Checkpoint.to_jax."""

from __future__ import annotations

import sys
from importlib import import_module
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
    made.add("four", np.arange(3).astype(ml_dtypes.int4))
    made.add("odd", np.arange(4, dtype=np.int32))
    made.add("wide", np.arange(4, dtype=np.float64))
    made.add("words", [b"a"])
    return made


@pytest.mark.parametrize("alignment", [1, 64])
@pytest.mark.parametrize("big", [False, True])
def test_values_and_types(tmp_path: Path, big: bool, alignment: int) -> None:
    jax: Any = import_module("jax")  # without types, like TensorFlow
    prefix = bundle(big_endian=big, alignment=alignment).write(tmp_path / "ckpt")
    with tb.open(prefix) as ckpt:
        for name in ("w", "half", "eight", "four", "odd"):
            want = ckpt[name]
            array = ckpt.to_jax(name)
            assert array.dtype == want.dtype.newbyteorder("=")
            assert array.shape == want.shape
            assert np.asarray(array).tobytes() == want.astype(array.dtype).tobytes()
            if name == "odd":
                start = want.__array_interface__["data"][0]
                shared = array.unsafe_buffer_pointer() == start
                assert shared == (not big and start % 64 == 0)
        # One that is shared cannot be donated: nothing is written to the map.
        doubled = jax.jit(lambda x: x * 2, donate_argnums=0)(ckpt.to_jax("w"))
        assert np.asarray(doubled).tolist() == (ckpt["w"] * 2).tolist()
        assert ckpt["w"][1, 2] == 5
        with pytest.raises(TypeError, match="strings and variants"):
            ckpt.to_jax("words")
        with pytest.raises(tb.UnsupportedError, match=r"float32 of float64: call jax\.config"):
            ckpt.to_jax("wide")


def test_without_jax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    ckpt = tb.open(bundle().write(tmp_path / "ckpt"))
    with pytest.raises(ImportError, match="needs JAX, which is not installed"):
        ckpt.to_jax("w")
