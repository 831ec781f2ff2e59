"""Tensors of PyTorch, which is imported only here, and never needed otherwise.

``torch.from_numpy`` knows neither the types of ml_dtypes nor byte-swapped ones, and takes a
read-only array only with a warning: writing to such a tensor would write to a read-only map, which
ends the process. So a tensor is a copy unless the caller promises not to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._needed import needed
from .errors import UnsupportedError

if TYPE_CHECKING:
    import numpy.typing as npt

# By width: an integer type that torch takes from NumPy, for bits that it then views as its own.
_BITS = {1: np.uint8, 2: np.int16}


def to_torch(array: npt.NDArray[Any], name: str, share: bool) -> Any:
    """A tensor of the array's type, which shares its memory if asked to and if it can."""
    torch = needed("torch", "PyTorch", "to_torch")
    dtype = array.dtype
    if dtype.hasobject:
        raise TypeError(f"tensor {name!r}: strings and variants cannot be PyTorch tensors")
    own: Any = None
    if np.dtype(dtype.type).isbuiltin == 2:  # registered by ml_dtypes
        # Its types of less than a byte have no elements to speak of.
        known = dtype.name.startswith(("bfloat16", "float8_"))
        own = getattr(torch, dtype.name, None) if known else None
        if own is None:
            text = f"tensor {name!r}: PyTorch has no type {dtype.name}"
            raise UnsupportedError(text)
        array = array.view(_BITS[dtype.itemsize])
    native = dtype.newbyteorder("=") if own is None else array.dtype
    # A copy is written to a new array: aligned, in this machine's byte order, writable.
    if not share or array.dtype != native or not array.flags.aligned:
        array = array.astype(native, order="C", copy=True)
    tensor = _from_numpy(torch, array)
    return tensor if own is None else tensor.view(own)


def _from_numpy(torch: Any, array: npt.NDArray[Any]) -> Any:
    import warnings

    with warnings.catch_warnings():
        # The caller was told, and asked for it.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
