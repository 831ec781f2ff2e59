"""Tables and protos taken apart by a second, lenient reader.

Mutations change what it gives, and all names that it finds must be listed. It shares nothing with
the Rust reader, and takes what it can of anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

Item = tuple[bytes, bytes]
TRAILER = 5
FOOTER = 48


class BrokenError(Exception):
    """Nothing more can be taken from these bytes."""


def take_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
        shift += 7
    raise BrokenError


class Field(NamedTuple):
    """A field of a proto: its number, its wire type, and its payload without the length."""

    number: int
    kind: int
    payload: bytes
    raw: bytes


def fields(data: bytes) -> list[Field]:
    out: list[Field] = []
    at = 0
    while at < len(data):
        start = at
        tag, at = take_varint(data, at)
        begin, kind = at, tag & 7
        if kind == 0:
            _, at = take_varint(data, at)
        elif kind == 2:
            size, begin = take_varint(data, at)
            at = begin + size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise BrokenError
        if at > len(data):
            raise BrokenError
        out.append(Field(tag >> 3, kind, data[begin:at], data[start:at]))
    return out


def numbers(data: bytes) -> dict[int, int]:
    """The last number of each field of a sound message."""
    return {
        field.number: take_varint(field.payload, 0)[0]
        if field.kind == 0
        else int.from_bytes(field.payload, "little")
        for field in fields(data)
        if field.kind in (0, 5)
    }


def snappy(data: bytes) -> bytes:
    size, at = take_varint(data, 0)
    out = bytearray()
    while at < len(data) and len(out) < size:
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                width = length - 59
                length = int.from_bytes(data[at : at + width], "little")
                at += width
            out += data[at : at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length, offset, width = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at], 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little")
        at += width
        if not 0 < offset <= len(out):
            raise BrokenError
        for _ in range(length):
            out.append(out[-offset])
    if len(out) != size:
        raise BrokenError
    return bytes(out)


def entries(contents: bytes) -> Iterator[Item]:
    """The entries of a block, one after the other, whatever its restarts say."""
    count = int.from_bytes(contents[-4:], "little")
    end = len(contents) - 4 * (count + 1)
    if len(contents) < 4 or end < 0:
        raise BrokenError
    at, key = 0, b""
    while at < end:
        shared, at = take_varint(contents, at)
        length, at = take_varint(contents, at)
        value, at = take_varint(contents, at)
        if shared > len(key) or at + length + value > end:
            raise BrokenError
        key = key[:shared] + contents[at : at + length]
        at += length
        yield key, contents[at : at + value]
        at += value


def block_at(data: bytes, handle: bytes) -> bytes:
    offset, at = take_varint(handle, 0)
    size, _ = take_varint(handle, at)
    stored = data[offset : offset + size + 1]
    if len(stored) <= size:
        raise BrokenError
    return snappy(stored[:size]) if stored[size] == 1 else stored[:size]


def index_block(data: bytes) -> bytes:
    foot = data[-FOOTER:]
    _, at = take_varint(foot, 0)
    _, at = take_varint(foot, at)
    return block_at(data, foot[at:])


def items(data: bytes) -> list[Item]:
    """All entries of a table, as far as they can be had."""
    out: list[Item] = []
    try:
        for _, handle in entries(index_block(data)):
            out.extend(entries(block_at(data, handle)))
    except (BrokenError, IndexError):
        pass
    return out


def listed(data: bytes) -> set[str]:
    """The names of the tensors that a table holds: keys of V2, the table of contents of V1."""
    found = items(data)
    contents = [value for key, value in found if not key and value[:1] == b"\x0a"]
    names = {key for key, _ in found if key and not key.startswith(b"\0")}
    if contents:
        names = contents_of(contents[0])
    return {os.fsdecode(name) for name in names}


def contents_of(value: bytes) -> set[bytes]:
    try:
        tensors = [
            inner.payload
            for outer in fields(value)
            if (outer.number, outer.kind) == (1, 2)
            for inner in fields(outer.payload)
            if (inner.number, inner.kind) == (1, 2)
        ]
        found = [
            [field.payload for field in fields(tensor) if (field.number, field.kind) == (1, 2)]
            for tensor in tensors
        ]
    except BrokenError:
        return set()
    return {names[-1] for names in found if names}
