"""Arrays of what the native module hands over: a buffer, or a list of bytes."""

from __future__ import annotations

from .errors import UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    from ._native import TensorBuffer


def array(
    elements: TensorBuffer | list[bytes],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    splat: bool = False,
) -> npt.NDArray[Any]:
    """A read-only array over a buffer, without a copy, or of a list of bytes.

    With ``splat`` there is one element, and all of the array are it: it takes no memory for them.
    """
    import numpy as np

    if isinstance(elements, list):
        flat: npt.NDArray[Any] = np.empty(len(elements), object)
        flat[:] = elements
        flat.flags.writeable = False
    else:
        flat = np.frombuffer(memoryview(elements), dtype)
    if splat:
        return np.broadcast_to(flat.reshape(()), shape)
    return flat.reshape(shape)


def tensor(
    name: str,
    elements: TensorBuffer | list[bytes],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
) -> npt.NDArray[Any]:
    """The array of a tensor that was read; UnsupportedError if NumPy has none of such a shape."""
    try:
        return array(elements, dtype, shape)
    except ValueError as reason:  # more dimensions than NumPy has, or sizes that overflow
        text = f"tensor {name!r}: NumPy has no array of shape {shape}: {reason}"
        error = UnsupportedError(text)
        error.tensor = name
        raise error from None
