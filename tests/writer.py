"""Writes V2 bundles, sound ones or broken in any chosen place.

`Bundle` collects tensors into shards and index items; `table` turns items into the bytes of an
index file. Every stage takes a hook that may change what it made, so that a test breaks exactly
one thing and all checksums around it stay right.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from encoding import (
    Extent,
    crc32c,
    entry_proto,
    header_proto,
    mask,
    slice_key,
    varint,
)

MAGIC = bytes.fromhex("57FB808B247547DB")
BLOCK_SIZE = 262144
RESTART_INTERVAL = 16
EMPTY_BLOCK = bytes.fromhex("0000000001000000")

Item = tuple[bytes, bytes]

DTYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(kind)
    for number, kind in {
        1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 7: "O", 8: "<c8", 9: "<i8",
        10: "?", 11: "i1", 12: "u1", 13: "<i4", 14: ml_dtypes.bfloat16, 15: "<i2", 16: "<u2",
        17: "<u2", 18: "<c16", 19: "<f2", 21: "O", 22: "<u4", 23: "<u8",
        24: ml_dtypes.float8_e5m2, 25: ml_dtypes.float8_e4m3fn, 26: ml_dtypes.float8_e4m3fnuz,
        27: ml_dtypes.float8_e4m3b11fnuz, 28: ml_dtypes.float8_e5m2fnuz, 29: ml_dtypes.int4,
        30: ml_dtypes.uint4, 31: ml_dtypes.int2, 32: ml_dtypes.uint2,
        33: ml_dtypes.float4_e2m1fn,
    }.items()
}  # fmt: skip

STRING, VARIANT = 7, 21
QUANTIZED = {11, 12, 13, 15, 16}
NUMBERS = {kind: number for number, kind in DTYPES.items() if number not in {*QUANTIZED, VARIANT}}


# Tables.


def common_prefix(a: bytes, b: bytes) -> int:
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def block_entry(
    shared: int,
    delta: bytes,
    value: bytes,
    *,
    non_shared: int | None = None,
    value_len: int | None = None,
) -> bytes:
    lengths = (
        shared,
        len(delta) if non_shared is None else non_shared,
        len(value) if value_len is None else value_len,
    )
    return b"".join(varint(length) for length in lengths) + delta + value


def restart_array(restarts: Sequence[int], count: int | None = None) -> bytes:
    numbers = (*restarts, len(restarts) if count is None else count)
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def block(items: Iterable[Item], *, restart_interval: int = RESTART_INTERVAL) -> bytes:
    """The contents of a block; keys are written in the order given, sorted or not."""
    out, restarts, last = bytearray(), [0], b""
    for i, (key, value) in enumerate(items):
        shared = 0
        if i % restart_interval:
            shared = common_prefix(last, key)
        elif i:
            restarts.append(len(out))
        out += block_entry(shared, key[shared:], value)
        last = key
    return bytes(out) + restart_array(restarts)


def sealed(contents: bytes, kind: int = 0) -> bytes:
    """A block with its trailer: compression type and masked crc."""
    checked = contents + bytes([kind])
    return checked + mask(crc32c(checked)).to_bytes(4, "little")


def handle(offset: int, size: int) -> bytes:
    return varint(offset) + varint(size)


def footer(metaindex: bytes, index: bytes) -> bytes:
    return (metaindex + index).ljust(40, b"\0") + MAGIC


def separator(last: bytes, following: bytes | None) -> bytes:
    """The shortened key between two blocks, as TensorFlow's comparator makes it."""
    if following is None:
        for i, byte in enumerate(last):
            if byte != 0xFF:
                return last[:i] + bytes([byte + 1])
        return last
    at = common_prefix(last, following)
    if at < min(len(last), len(following)) and last[at] < 0xFF and last[at] + 1 < following[at]:
        return last[:at] + bytes([last[at] + 1])
    return last


def _cut(items: Sequence[Item], block_size: int, restart_interval: int) -> Iterator[list[Item]]:
    group: list[Item] = []
    size = 0
    last = b""
    for key, value in items:
        shared = common_prefix(last, key) if len(group) % restart_interval else 0
        size += len(block_entry(shared, key[shared:], value))
        group.append((key, value))
        last = key
        if size + 4 * (1 + (len(group) - 1) // restart_interval) + 4 >= block_size:
            yield group
            group, size = [], 0
    if group:
        yield group


def table(
    items: Sequence[Item],
    *,
    block_size: int = BLOCK_SIZE,
    restart_interval: int = RESTART_INTERVAL,
    contents: Callable[[str, bytes], bytes] = lambda _part, data: data,
    kind: Callable[[str], int] = lambda _part: 0,
    seal: Callable[[str, bytes], bytes] = lambda _part, data: data,
    key: Callable[[str, bytes], bytes] = lambda _part, name: name,
    place: Callable[[str, int, int], tuple[int, int]] = lambda _part, offset, size: (offset, size),
    finish: Callable[[bytes], bytes] = lambda data: data,
) -> bytes:
    """The bytes of a table file.

    Parts are called "data 0", "data 1", …, "metaindex", "index". Hooks: `contents` changes a
    block before its checksum is made and `seal` after, `kind` is its compression type byte,
    `key` its key in the index block, `place` its handle, `finish` the 48 bytes of the footer.
    """
    out = bytearray()

    def append(part: str, data: bytes) -> bytes:
        data = contents(part, data)
        at = len(out)
        out.extend(seal(part, sealed(data, kind(part))))
        return handle(*place(part, at, len(data)))

    groups = list(_cut(items, block_size, restart_interval))
    pointers: list[Item] = []
    for i, group in enumerate(groups):
        following = groups[i + 1][0][0] if i + 1 < len(groups) else None
        part = f"data {i}"
        where = append(part, block(group, restart_interval=restart_interval))
        pointers.append((key(part, separator(group[-1][0], following)), where))
    metaindex = append("metaindex", EMPTY_BLOCK)
    index = append("index", block(pointers, restart_interval=1))
    return bytes(out) + finish(footer(metaindex, index))


# Payloads.


class Payload(NamedTuple):
    data: bytes
    crc: int  # masked, as an entry holds it


def raw_payload(data: bytes) -> Payload:
    return Payload(data, mask(crc32c(data)))


def string_payload(strings: Iterable[bytes], *, big_endian: bool = False) -> Payload:
    strings = list(strings)
    order = "big" if big_endian else "little"
    crc = 0
    for string in strings:
        crc = crc32c(len(string).to_bytes(4, order), crc)
    checksum = mask(crc).to_bytes(4, order)
    text = b"".join(strings)
    crc = crc32c(text, crc32c(checksum, crc))
    return Payload(b"".join(varint(len(s)) for s in strings) + checksum + text, mask(crc))


def variant_payload(protos: Iterable[bytes]) -> Payload:
    out, crc = b"", 0
    for proto in protos:
        crc = crc32c(proto, crc32c(len(proto).to_bytes(8, "little"), crc))
        checksum = mask(crc).to_bytes(4, "little")
        crc = crc32c(checksum, crc)
        out += varint(len(proto)) + proto + checksum
    return Payload(out, mask(crc))


def payload(array: np.ndarray[Any, Any], dtype: int, *, big_endian: bool = False) -> Payload:
    if dtype == STRING:
        return string_payload(array.ravel().tolist(), big_endian=big_endian)
    if dtype == VARIANT:
        return variant_payload(array.ravel().tolist())
    data = array.tobytes()
    if big_endian:
        unit = array.dtype.itemsize // (2 if array.dtype.kind == "c" else 1)
        data = np.frombuffer(data, np.uint8).reshape(-1, unit)[:, ::-1].tobytes()
    return raw_payload(data)


# Bundles.


def encoded(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")


def box(extents: Sequence[Extent], shape: Sequence[int]) -> tuple[slice, ...]:
    """The extents of a sound slice as an index into the full array."""
    ends = [(0, dim) if e is None else e for e, dim in zip(extents, shape, strict=True)]
    return tuple(slice(start, start + (length or 0)) for start, length in ends)


class Bundle:
    """A bundle in the making: its shards' bytes and its index items."""

    def __init__(self, *, shards: int = 1, big_endian: bool = False, alignment: int = 1) -> None:
        self.shards = [bytearray() for _ in range(shards)]
        self.big_endian = big_endian
        self.alignment = alignment
        self.items: dict[bytes, bytes] = {
            b"": header_proto(shards, endianness=int(big_endian)),
        }

    def add(
        self,
        name: str | bytes,
        value: Any,
        *,
        dtype: int | None = None,
        shard: int = 0,
        **fields: Any,
    ) -> None:
        """Append a tensor to a shard. `fields` overrides any field of its entry, `data` its bytes.

        Strings and variants are object arrays, or lists, of bytes.
        """
        array = as_array(value)
        number = NUMBERS[array.dtype] if dtype is None else dtype
        data, crc = payload(array, number, big_endian=self.big_endian)
        data = fields.pop("data", data)
        target = self.shards[shard]
        made = {
            "dtype": number,
            "shape": array.shape,
            "shard_id": shard,
            "offset": len(target),
            "size": len(data),
            "crc": crc,
        }
        target += data
        target += bytes(-len(target) % self.alignment)
        self.items[encoded(name)] = entry_proto(**{**made, **fields})

    def add_sliced(
        self,
        name: str | bytes,
        value: Any,
        slices: Sequence[Sequence[Extent]],
        *,
        dtype: int | None = None,
        shards: Sequence[int] | None = None,
    ) -> None:
        """Append a partitioned tensor: `slices` are its extents, `shards` where each goes."""
        array = as_array(value)
        number = NUMBERS[array.dtype] if dtype is None else dtype
        self.declare(name, number, array.shape, slices)
        for i, extents in enumerate(slices):
            piece = array[box(extents, array.shape)]
            shard = shards[i] if shards is not None else 0
            self.add(slice_key(encoded(name), extents), piece, dtype=number, shard=shard)

    def declare(
        self,
        name: str | bytes,
        dtype: int,
        shape: Sequence[int],
        slices: Sequence[Sequence[Extent]],
    ) -> None:
        """Only the entry under the full name of a partitioned tensor."""
        self.items[encoded(name)] = entry_proto(dtype=dtype, shape=shape, slices=slices)

    def index(self, **hooks: Any) -> bytes:
        return table(sorted(self.items.items()), **hooks)

    def write(self, prefix: str | os.PathLike[str], **hooks: Any) -> str:
        prefix = os.fspath(prefix)
        Path(prefix).parent.mkdir(parents=True, exist_ok=True)
        for i, shard in enumerate(self.shards):
            Path(shard_path(prefix, i, len(self.shards))).write_bytes(shard)
        Path(prefix + ".index").write_bytes(self.index(**hooks))
        return prefix


def shard_path(prefix: str, shard: int, shards: int) -> str:
    return f"{prefix}.data-{shard:05d}-of-{shards:05d}"


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """As np.asarray, but bytes stay objects: NumPy's own string types cut trailing NULs."""
    if isinstance(value, bytes):
        array = np.empty((), dtype=object)
        array[()] = value
        return array
    if isinstance(value, list) and all(isinstance(item, bytes) for item in value):
        return np.array(value, dtype=object)
    return np.asarray(value)
