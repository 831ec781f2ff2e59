"""Encoders of the byte formats a bundle is made of, one small function each.

They write what they are told, also what no TensorFlow would: tests build broken files with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# One dimension of a slice: None is the whole dimension, (start, None) a start without a length.
Extent = tuple[int, int | None] | None

MASK_DELTA = 0xA282EAD8


def varint(value: int, *, width: int = 0) -> bytes:
    """Base-128 varint; negatives as 64-bit two's complement; padded over-long up to `width`."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F or len(out) + 1 < width:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _crc_table() -> tuple[int, ...]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C of `data`, continuing a finished `crc`. A few MB per second: keep data small."""
    crc ^= 0xFFFFFFFF
    table = _CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def mask(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & 0xFFFFFFFF


def unmask(masked: int) -> int:
    rotated = (masked - MASK_DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


# OrderedCode: what slice keys are made of.


def ordered_num(value: int) -> bytes:
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits


def ordered_string(value: bytes) -> bytes:
    escaped = {0x00: b"\x00\xff", 0xFF: b"\xff\x00"}
    return b"".join(escaped.get(byte, bytes([byte])) for byte in value) + b"\x00\x01"


def ordered_signed(value: int) -> bytes:
    bits = (~value if value < 0 else value).bit_length()
    length = next(n for n in range(1, 11) if bits <= 7 * n - 1)
    header = ((0xFFFF << (16 - length)) & 0xFFFF).to_bytes(2, "big")
    out = bytearray(value.to_bytes(10, "big", signed=True)[10 - length :])
    for i in range(min(2, length)):
        out[i] ^= header[i]
    return bytes(out)


def slice_key(name: bytes, extents: Sequence[Extent]) -> bytes:
    key = ordered_num(0) + ordered_string(name) + ordered_num(len(extents))
    for extent in extents:
        start, length = (0, -1) if extent is None else extent
        key += ordered_signed(start) + ordered_signed(-1 if length is None else length)
    return key


# Protobuf fields. A message is the concatenation of its fields, in whatever order.


def varint_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed32_field(number: int, value: int) -> bytes:
    return varint(number << 3 | 5) + value.to_bytes(4, "little")


def optional_field(number: int, value: int) -> bytes:
    """As proto3 writes it: nothing for zero."""
    return varint_field(number, value) if value else b""


def shape_proto(dims: Iterable[int], *, unknown_rank: bool = False) -> bytes:
    out = b"".join(bytes_field(2, optional_field(1, dim)) for dim in dims)
    return out + optional_field(3, int(unknown_rank))


def slice_proto(extents: Iterable[Extent]) -> bytes:
    out = b""
    for extent in extents:
        body = b""
        if extent is not None:
            start, length = extent
            body = optional_field(1, start)
            if length is not None:
                body += varint_field(2, length)
        out += bytes_field(1, body)
    return out


def header_proto(
    num_shards: int = 1,
    *,
    endianness: int = 0,
    producer: int = 1,
    min_consumer: int = 0,
    bad_consumers: Sequence[int] = (),
) -> bytes:
    version = optional_field(1, producer) + optional_field(2, min_consumer)
    if bad_consumers:
        version += bytes_field(3, b"".join(varint(number) for number in bad_consumers))
    out = optional_field(1, num_shards) + optional_field(2, endianness)
    return out + bytes_field(3, version)


def entry_proto(
    *,
    dtype: int,
    shape: Sequence[int] | bytes | None,
    shard_id: int = 0,
    offset: int = 0,
    size: int = 0,
    crc: int | None = 0,
    slices: Sequence[Sequence[Extent]] = (),
) -> bytes:
    """`shape` as dims, as ready bytes, or None for no shape field; `crc` is the masked one."""
    out = optional_field(1, dtype)
    if shape is not None:
        out += bytes_field(2, shape if isinstance(shape, bytes) else shape_proto(shape))
    out += optional_field(3, shard_id) + optional_field(4, offset) + optional_field(5, size)
    if crc:
        out += fixed32_field(6, crc)
    return out + b"".join(bytes_field(7, slice_proto(extents)) for extents in slices)


# Snappy, raw block format.


def snappy_literal(data: bytes) -> bytes:
    length = len(data) - 1
    if length < 60:
        return bytes([length << 2]) + data
    width = (length.bit_length() + 7) // 8
    return bytes([(59 + width) << 2]) + length.to_bytes(width, "little") + data


def snappy_copy(offset: int, length: int) -> bytes:
    """The shortest of the three copy tags that holds it."""
    if 4 <= length < 12 and offset < 1 << 11:
        return bytes([(offset >> 8) << 5 | (length - 4) << 2 | 1, offset & 0xFF])
    if offset < 1 << 16:
        return bytes([(length - 1) << 2 | 2]) + offset.to_bytes(2, "little")
    return bytes([(length - 1) << 2 | 3]) + offset.to_bytes(4, "little")


def snappy_compress(data: bytes) -> bytes:
    """Greedy, good enough to produce overlapping copies and every tag."""
    out = bytearray(varint(len(data)))
    seen: dict[bytes, int] = {}
    start = at = 0
    while at + 4 <= len(data):
        word = data[at : at + 4]
        match = seen.get(word)
        seen[word] = at
        if match is None:
            at += 1
            continue
        length = 4
        while length < 64 and at + length < len(data) and data[match + length] == data[at + length]:
            length += 1
        if start < at:
            out += snappy_literal(data[start:at])
        out += snappy_copy(at - match, length)
        at += length
        start = at
    if start < len(data):
        out += snappy_literal(data[start:])
    return bytes(out)
