"""Arrays of JAX, which is imported only here, and never needed otherwise.

JAX's arrays cannot be written to, so they may share a read-only map; a buffer that is not its own
is never given away, so donating one to a compiled function copies it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._needed import needed
from .errors import UnsupportedError

if TYPE_CHECKING:
    import numpy.typing as npt


def to_jax(array: npt.NDArray[Any], name: str, device: Any) -> Any:
    """An array of the same type, which shares its memory if JAX can."""
    jax = needed("jax", "JAX", "to_jax")
    dtype = array.dtype
    if dtype.hasobject:
        raise TypeError(f"tensor {name!r}: strings and variants cannot be JAX arrays")
    native = dtype.newbyteorder("=")
    try:
        kept = jax.dtypes.canonicalize_dtype(native)
    except TypeError:
        raise UnsupportedError(f"tensor {name!r}: JAX has no type {native.name}") from None
    if kept != native:
        text = (
            f"tensor {name!r}: JAX would make {kept.name} of {native.name}: call "
            'jax.config.update("jax_enable_x64", True) first, or convert what read() gives'
        )
        raise UnsupportedError(text)
    return jax.device_put(array.astype(native, copy=False), device, may_alias=True)
