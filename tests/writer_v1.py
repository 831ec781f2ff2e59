"""Writes V1 checkpoints, sound ones or broken in any chosen place (FORMAT 6).

A `V1File` is one file: what its table of contents lists, and records. The table itself is made by
`writer.table`, with all of its hooks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoding import (
    Extent,
    bytes_field,
    shape_proto,
    slice_key,
    slice_proto,
    varint,
    varint_field,
)
from writer import NUMBERS, STRING, as_array, box, encoded, table

# The field of a TensorProto that holds the values of each type.
FLOATS = {1: 5, 2: 6, 8: 9, 18: 12}
VARINTS = {3: 7, 4: 7, 5: 7, 6: 7, 9: 10, 10: 11, 11: 7, 12: 7, 13: 7, 15: 7, 16: 7, 17: 7, 19: 13}

VERSION_1 = bytes_field(2, varint_field(1, 1))


def varints(array: np.ndarray[Any, Any]) -> list[int]:
    """The numbers as a proto has them: of a negative one the two's complement in 64 bits."""
    if array.dtype == np.float16:
        array = array.view(np.uint16)
    return [int(value) & (2**64 - 1) for value in array.ravel().tolist()]


def values_proto(array: np.ndarray[Any, Any], dtype: int, *, packed: bool = True) -> bytes:
    """A TensorProto of nothing but values."""
    if dtype == STRING:
        return b"".join(bytes_field(8, value) for value in array.ravel().tolist())
    if not array.size:
        return b""
    if dtype in FLOATS:
        field = FLOATS[dtype]
        if packed:
            return bytes_field(field, array.tobytes())
        kind, unit = (5, 4) if dtype in (1, 8) else (1, 8)
        data = array.tobytes()
        pieces = (data[i : i + unit] for i in range(0, len(data), unit))
        return b"".join(varint(field << 3 | kind) + piece for piece in pieces)
    numbers = varints(array)
    if packed:
        return bytes_field(VARINTS[dtype], b"".join(varint(number) for number in numbers))
    return b"".join(varint_field(VARINTS[dtype], number) for number in numbers)


def saved_tensor(
    name: bytes,
    shape: Sequence[int],
    dtype: int,
    slices: Iterable[Sequence[Extent]],
) -> bytes:
    """A SavedSliceMeta."""
    listed = b"".join(bytes_field(4, slice_proto(extents)) for extents in slices)
    head = bytes_field(1, name) + bytes_field(2, shape_proto(shape)) + varint_field(3, dtype)
    return head + listed


def contents(tensors: Iterable[bytes], version: bytes = VERSION_1) -> bytes:
    """The value of the empty key."""
    return bytes_field(1, b"".join(bytes_field(1, tensor) for tensor in tensors) + version)


def record(name: bytes, extents: Sequence[Extent], data: bytes) -> bytes:
    """The value of a slice key."""
    message = bytes_field(1, name) + bytes_field(2, slice_proto(extents)) + bytes_field(3, data)
    return bytes_field(2, message)


class V1File:
    """One file in the making."""

    def __init__(self) -> None:
        self.tensors: dict[bytes, bytes] = {}
        self.records: dict[bytes, bytes] = {}
        self.version = VERSION_1

    def add(
        self, name: str | bytes, value: Any, *, dtype: int | None = None, packed: bool = True
    ) -> None:
        array = as_array(value)
        self.add_sliced(name, array, [[None] * array.ndim], dtype=dtype, packed=packed)

    def add_sliced(
        self,
        name: str | bytes,
        value: Any,
        slices: Sequence[Sequence[Extent]],
        *,
        dtype: int | None = None,
        packed: bool = True,
    ) -> None:
        """Slices of a tensor, of which other files may hold more."""
        array, key = as_array(value), encoded(name)
        number = NUMBERS[array.dtype] if dtype is None else dtype
        self.tensors[key] = saved_tensor(key, array.shape, number, slices)
        for extents in slices:
            piece = array[box(extents, array.shape)]
            self.put(name, extents, values_proto(np.asarray(piece), number, packed=packed))

    def put(self, name: str | bytes, extents: Sequence[Extent], data: bytes) -> None:
        """Only a record."""
        key = encoded(name)
        self.records[slice_key(key, extents)] = record(key, extents, data)

    def declare(
        self,
        name: str | bytes,
        shape: Sequence[int],
        dtype: int,
        slices: Iterable[Sequence[Extent]],
    ) -> None:
        """Only a line of the table of contents."""
        self.tensors[encoded(name)] = saved_tensor(encoded(name), shape, dtype, slices)

    def items(self) -> list[tuple[bytes, bytes]]:
        listed = (self.tensors[name] for name in sorted(self.tensors))
        return [(b"", contents(listed, self.version)), *sorted(self.records.items())]

    def write(self, path: str | os.PathLike[str], **hooks: Any) -> str:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(table(self.items(), **hooks))
        return os.fspath(path)


def write_shards(prefix: str | os.PathLike[str], files: Sequence[V1File], **hooks: Any) -> str:
    """Several files that are one checkpoint; gives the pattern that a Saver would write."""
    for i, file in enumerate(files):
        file.write(f"{os.fspath(prefix)}-{i:05d}-of-{len(files):05d}", **hooks)
    return f"{os.fspath(prefix)}-?????-of-{len(files):05d}"
