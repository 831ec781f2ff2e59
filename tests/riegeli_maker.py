"""Writes Riegeli files with SavedModels in chunks: also such as no TensorFlow would write."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import brotli

from encoding import bytes_field, varint, varint_field
from highway import hash64

BLOCK, HEADER = 1 << 16, 24
USABLE = BLOCK - HEADER


def literal_snappy(data: bytes) -> bytes:
    """Snappy without a single copy."""
    out = varint(len(data))
    for start in range(0, len(data), 60):
        piece = data[start : start + 60]
        out += bytes(((len(piece) - 1) << 2,)) + piece
    return out


def packed(how: bytes, data: bytes, claimed: int | None = None) -> bytes:
    if how == b"\0":
        return data
    size = varint(len(data) if claimed is None else claimed)
    quality = 11 if len(data) < 1 << 16 else 5
    return size + (brotli.compress(data, quality=quality) if how == b"b" else literal_snappy(data))


@dataclass
class Chunk:
    """A chunk; what is given besides its records is written in place of what would be right."""

    records: list[bytes] = field(default_factory=list)
    how: bytes = b"b"
    kind: bytes = b"r"
    data: bytes | None = None
    sizes: bytes | None = None
    num_records: int | None = None
    decoded_size: int | None = None
    header_hash: int | None = None
    data_hash: int | None = None
    claimed: int | None = None

    def count(self) -> int:
        return len(self.records) if self.num_records is None else self.num_records

    def body(self) -> bytes:
        if self.data is not None:
            return self.data
        if self.kind != b"r":
            return b""
        listed = b"".join(varint(len(one)) for one in self.records)
        sizes = packed(self.how, listed if self.sizes is None else self.sizes)
        values = packed(self.how, b"".join(self.records), self.claimed)
        return self.how + varint(len(sizes)) + sizes + values

    def all(self) -> bytes:
        body = self.body()
        size = sum(map(len, self.records)) if self.decoded_size is None else self.decoded_size
        data_hash = hash64(body) if self.data_hash is None else self.data_hash
        count = self.kind[0] | self.count() << 8
        rest = struct.pack("<4Q", len(body), data_hash, count, size)
        header_hash = hash64(rest) if self.header_hash is None else self.header_hash
        return struct.pack("<Q", header_hash) + rest + body


SIGNATURE = Chunk(kind=b"s")


def riegeli(chunks: Iterable[Chunk]) -> tuple[bytes, list[int]]:
    """A file of chunks behind the signature, and the position of each record."""
    out = bytearray()
    positions: list[int] = []
    for chunk in [SIGNATURE, *chunks]:
        begin, data = len(out), chunk.all()
        end = begin + len(data) + HEADER * ((len(data) + (begin + USABLE - 1) % BLOCK) // USABLE)
        least = begin + min(chunk.count(), BLOCK)  # a lie is not made true
        end = max(end, least + max(0, -least % BLOCK - (USABLE - 1)))
        positions += range(begin, begin + len(chunk.records))
        at = 0
        while len(out) < end:
            if len(out) % BLOCK == 0:
                rest = struct.pack("<2Q", len(out) - begin, end - len(out))
                out += struct.pack("<Q", hash64(rest)) + rest
            room = min(BLOCK - len(out) % BLOCK, end - len(out))
            piece = data[at : at + room]
            out += piece + bytes(room - len(piece))
            at += room
    return bytes(out), positions


# The description of chunks.


def step_field(number: int) -> bytes:
    return varint_field(1, number)


def step_index(number: int) -> bytes:
    return varint_field(3, number)


def step_key(key: str | bool | int) -> bytes:
    if isinstance(key, str):
        return bytes_field(2, bytes_field(1, key.encode()))
    return bytes_field(2, varint_field(2 if isinstance(key, bool) else 6, int(key)))


def chunked(index: int | None = None, fields: Iterable[bytes] = ()) -> bytes:
    """A ChunkedMessage."""
    own = b"" if index is None else varint_field(1, index)
    return own + b"".join(bytes_field(2, one) for one in fields)


def chunked_field(way: Iterable[bytes], message: bytes) -> bytes:
    return b"".join(bytes_field(1, step) for step in way) + bytes_field(3, message)


def metadata(
    chunks: list[bytes], positions: list[int], message: bytes, sizes: list[int] | None = None
) -> bytes:
    sizes = [len(chunk) for chunk in chunks] if sizes is None else sizes
    infos = [
        varint_field(1, 1) + varint_field(2, size) + varint_field(3, position)
        for size, position in zip(sizes, positions, strict=True)
    ]
    version = bytes_field(1, varint_field(1, 1))
    return version + b"".join(bytes_field(2, info) for info in infos) + bytes_field(3, message)


def cpb(chunks: list[bytes], message: bytes, *, how: bytes = b"b", together: int = 3) -> bytes:
    """A SavedModel in chunks: so many records together in a chunk of the file."""
    groups = [
        Chunk(chunks[start : start + together], how) for start in range(0, len(chunks), together)
    ]
    _, positions = riegeli(groups)
    last = Chunk([metadata(chunks, positions, message)], how)
    return riegeli([*groups, last])[0]
