"""The NumPy type of each TensorFlow type (FORMAT 4.6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import UnsupportedError

# Quantized numbers are their storage; their scale is not in the checkpoint.
_STORAGE = {
    "qint8": "int8",
    "quint8": "uint8",
    "qint16": "int16",
    "quint16": "uint16",
    "qint32": "int32",
}

# One object an element: bytes, or a serialized VariantTensorDataProto.
_OBJECTS = ("string", "variant", "resource")


def numpy_dtype(name: str, big: bool) -> np.dtype[Any]:
    """The dtype of elements of TensorFlow type ``name``, stored big-endian or not.

    NumPy's own types carry the byte order. Those of ml_dtypes cannot: they are a byte wide, or
    (bfloat16) were swapped when they were read.
    """
    if name in _OBJECTS:
        return np.dtype(object)
    name = _STORAGE.get(name, name)
    # ml_dtypes registers its types with NumPy, which could not swap their bytes.
    if name in np.sctypeDict and np.dtype(name).isbuiltin == 1:
        return np.dtype(name).newbyteorder(">" if big else "<")
    import ml_dtypes

    scalar = getattr(ml_dtypes, name, None)
    if scalar is None:
        text = f"type {name} has no NumPy type: neither NumPy nor the installed ml_dtypes knows it"
        raise UnsupportedError(text)
    dtype: np.dtype[Any] = np.dtype(scalar)
    return dtype
