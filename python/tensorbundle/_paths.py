"""What a path may be, wherever one is given."""

from __future__ import annotations

import os


def plain_path(path: str | os.PathLike[str]) -> str:
    """The path as a string.

    Raises:
        TypeError: it is none, or one of bytes.
        ValueError: a NUL in it, which no system has.
    """
    plain = os.fspath(path)
    if not isinstance(plain, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a path must be str or os.PathLike[str], not {type(plain).__name__}")
    if "\0" in plain:
        raise ValueError(f"a NUL in the path {plain!r}")
    return plain
