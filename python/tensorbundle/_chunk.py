"""A piece of a checkpoint, as :meth:`tensorbundle.Checkpoint.chunks` hands it out."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False  # importing typing would cost more than the rest of this package
if TYPE_CHECKING:
    from typing import Any, NamedTuple

    import numpy.typing as npt

    class _Fields(NamedTuple):
        name: str
        part: tuple[int | slice, ...]
        array: npt.NDArray[Any]
else:
    _Fields = namedtuple("_Fields", "name part array")


class Chunk(_Fields):
    """A tensor, or a piece of one that is larger than ``max_bytes``: ``name, part, array``.

    Made by :meth:`Checkpoint.chunks`.

    Attributes:
        name: the tensor's name, as stored.
        part: which part of it: ``ckpt[name][part]`` is the array, and ``out[part] = array`` puts
            it in place. ``()``: all of it. ``(slice(0, 100),)``: rows. ``(3, slice(0, 100))``:
            rows of row 3.
        array: the elements, read-only, as :meth:`Checkpoint.read` gives them.
    """

    __slots__ = ()
