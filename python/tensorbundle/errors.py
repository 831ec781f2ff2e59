"""The exceptions of tensorbundle.

Every error is one of these or a plain :class:`OSError` with ``errno`` and ``filename``.
Each class also derives from the builtin that code written before tensorbundle would catch.
They pickle, and carry what the message says as attributes.
"""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "CorruptionError",
    "NotInGraphError",
    "TensorNotFoundError",
    "UnsupportedError",
]


class CheckpointError(Exception):
    """Base of all errors about a checkpoint's content.

    Attributes that do not apply are ``None``:

    * ``path``: the file the error is about;
    * ``part``: which part of it, in the words of the format (``"footer"``, ``"data block"``, …);
    * ``offset``: where that part begins in the file, in bytes;
    * ``tensor``: the name of the tensor that was asked for.
    """

    path: str | None = None
    part: str | None = None
    offset: int | None = None
    tensor: str | None = None

    def __str__(self) -> str:
        # KeyError would show the repr of its message.
        return Exception.__str__(self)


class CorruptionError(CheckpointError, ValueError):
    """The bytes are not what TensorFlow writes: damaged, cut short, mixed up or hostile."""


class TensorNotFoundError(CheckpointError, KeyError):
    """No tensor of that name; ``near`` holds names that are close to it."""

    near: tuple[str, ...] = ()


class NotInGraphError(CheckpointError, KeyError):
    """No such operation or tensor in a graph, or no such object in a graph of objects.

    ``name`` is what was asked for, ``near`` what is close.
    """

    name: str = ""
    near: tuple[str, ...] = ()


class UnsupportedError(CheckpointError, NotImplementedError):
    """The file is fine, but this version of tensorbundle cannot read that part of it."""
