"""The writer itself: literal bytes of the formats, and TensorFlow reads what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from encoding import (
    Extent,
    crc32c,
    entry_proto,
    header_proto,
    mask,
    ordered_num,
    ordered_signed,
    ordered_string,
    slice_key,
    snappy_compress,
    snappy_copy,
    snappy_literal,
    unmask,
    varint,
)
from writer import (
    EMPTY_BLOCK,
    Bundle,
    sealed,
    separator,
    string_payload,
    table,
    variant_payload,
)


def test_varints() -> None:
    assert varint(0) == b"\x00"
    assert varint(300) == b"\xac\x02"
    assert varint(-1) == b"\xff" * 9 + b"\x01"
    assert varint(1, width=3) == b"\x81\x80\x00"


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"123456789", 0xE3069283), (b"", 0), (b"a", 0xC1D04330), (bytes(32), 0x8A9136AA)],
)
def test_crc32c(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc
    assert crc32c(data[3:], crc32c(data[:3])) == crc
    assert unmask(mask(crc)) == crc


def test_masking() -> None:
    assert [mask(crc) for crc in (0xE3069283, 0, 0xC1D04330)] == [
        0xC78AB0E5,
        0xA282EAD8,
        0x28E46E78,
    ]


@pytest.mark.parametrize(
    ("value", "code"),
    [(0, "00"), (1, "0101"), (255, "01FF"), (256, "020100"), (2**64 - 1, "08" + "FF" * 8)],
)
def test_ordered_numbers(value: int, code: str) -> None:
    assert ordered_num(value) == bytes.fromhex(code)


def test_ordered_strings() -> None:
    assert ordered_string(b"a\x00b\xff") == bytes.fromhex("6100FF62FF000001")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "80"),
        (1, "81"),
        (63, "BF"),
        (64, "C040"),
        (100, "C064"),
        (8191, "DFFF"),
        (8192, "E02000"),
        (100000, "E186A0"),
        (-1, "7F"),
        (-64, "40"),
        (-8192, "2000"),
        (-65, "3FBF"),
        (2**20, "F0100000"),
        (2**27, "F808000000"),
        (2**31, "F880000000"),
        (2**32, "F900000000"),
        (2**40, "FD0000000000"),
        (2**55 - 1, "FF7FFFFFFFFFFFFF"),
        (2**55, "FF8080000000000000"),
        (2**62, "FFC04000000000000000"),
        (2**63 - 1, "FFC07FFFFFFFFFFFFFFF"),
        (-(2**63), "003F8000000000000000"),
    ],
)
def test_ordered_signed(value: int, code: str) -> None:
    assert ordered_signed(value).hex().upper() == code


@pytest.mark.parametrize(
    ("name", "extents", "key"),
    [
        (b"w", [(0, 2), None], "00 77 0001 0102 80 82 80 7F"),
        (b"w", [(2, 2), None], "00 77 0001 0102 82 82 80 7F"),
        (b"v", [None, (0, 1)], "00 76 0001 0102 80 7F 80 81"),
        (b"s/w", [(0, 4), (0, 2)], "00 732F77 0001 0102 80 84 80 82"),
        (
            b"big",
            [(64, 1), (100, 64), (100000, 3)],
            "00 626967 0001 0103 C040 81 C064 C040 E186A0 83",
        ),
        (b"a\x00b\xff", [(3, 2)], "00 61 00FF 62 FF00 0001 0101 83 82"),
        (b"scalar", [], "00 7363616C6172 0001 00"),
    ],
)
def test_slice_keys(name: bytes, extents: list[Extent], key: str) -> None:
    assert slice_key(name, extents) == bytes.fromhex(key)


def test_headers() -> None:
    assert header_proto(1) == bytes.fromhex("08011A020801")
    assert header_proto(2) == bytes.fromhex("08021A020801")
    assert header_proto(1, endianness=1) == bytes.fromhex("080110011A020801")


@pytest.mark.parametrize(
    ("made", "literal"),
    [
        (
            entry_proto(dtype=1, shape=[3], size=12, crc=0x5675335F),
            "08 01 12 04 12 02 08 03 28 0C 35 5F 33 75 56",
        ),
        (
            entry_proto(dtype=1, shape=[0, 3], offset=588, crc=0xA282EAD8),
            "08 01 12 06 12 00 12 02 08 03 20 CC 04 35 D8 EA 82 A2",
        ),
        (
            entry_proto(dtype=7, shape=[0], offset=588, size=4, crc=0x640CC1F6),
            "08 07 12 02 12 00 20 CC 04 28 04 35 F6 C1 0C 64",
        ),
        (
            entry_proto(
                dtype=1,
                shape=[4, 6],
                crc=None,
                slices=[[(0, 2), None], [(2, 2), None]],
            ),
            "0801 1208120208041202 0806 3A060A0210020A00 3A080A04080210020A00",
        ),
        (
            entry_proto(dtype=1, shape=[2, 6], size=48, crc=0xDC55A6D7),
            "08 01 12 08 12 02 08 02 12 02 08 06 28 30 35 D7 A6 55 DC",
        ),
    ],
)
def test_entries(made: bytes, literal: str) -> None:
    assert made == bytes.fromhex(literal)


def test_string_payloads() -> None:
    data, crc = string_payload([b"", b"abc", b"x" * 300])
    assert data == bytes.fromhex("0003AC0225092B70616263") + b"x" * 300
    assert crc.to_bytes(4, "little") == bytes.fromhex("FD8E2451")
    data, crc = string_payload([b""])
    assert data == bytes.fromhex("00A67B113A")
    assert crc.to_bytes(4, "little") == bytes.fromhex("BD6707BE")
    data, crc = string_payload([])
    assert data == bytes.fromhex("D8EA82A2")
    assert crc.to_bytes(4, "little") == bytes.fromhex("F6C10C64")


def test_variant_payload_of_nothing() -> None:
    assert variant_payload([]) == (b"", mask(0))


def test_empty_metaindex() -> None:
    assert sealed(EMPTY_BLOCK) == bytes.fromhex("0000000001000000 00 C0F2A1B0")


def test_separators() -> None:
    assert separator(b"scalar", None) == b"t"
    assert separator(b"", None) == b""
    assert separator(b"\xff\xff", None) == b"\xff\xff"
    assert separator(b"layer_05435/k", b"layer_05436/k") == b"layer_05435/k"
    assert separator(b"abc", b"azz") == b"ac"
    assert separator(b"ab", b"abc") == b"ab"


def test_smallest_index() -> None:
    bundle = Bundle()
    bundle.add("scalar", np.float32(3.5))
    assert bundle.index() == bytes.fromhex(
        "00 00 06 08 01 1A 02 08 01"
        "00 06 0B 73 63 61 6C 61 72 08 01 12 00 28 04 35 D8 FD 7D 89"
        "00 00 00 00 01 00 00 00"
        "00 9E D3 07 20"
        "00 00 00 00 01 00 00 00 00 C0 F2 A1 B0"
        "00 01 02 74 00 25 00 00 00 00 01 00 00 00"
        "00 0C 2F 47 C7"
        "2A 08 37 0E" + "00" * 36 + "57 FB 80 8B 24 75 47 DB"
    )
    assert bundle.shards[0] == bytes.fromhex("00006040")


def test_snappy_tags() -> None:
    assert snappy_literal(b"abc") == b"\x08abc"
    assert snappy_literal(b"x" * 61) == b"\xf0\x3c" + b"x" * 61
    assert snappy_copy(5, 4) == b"\x01\x05"
    assert snappy_copy(2000, 30) == b"\x76\xd0\x07"
    assert snappy_copy(70000, 64) == b"\xff\x70\x11\x01\x00"
    assert snappy_compress(b"aaaaaaaa") == b"\x08\x00a\x0d\x01"


def test_blocks_are_cut_as_tensorflow_cuts_them(tf: Any, tmp_path: Path) -> None:
    names = [f"layer_{i:05}/some/long/name/prefix/kernel" for i in range(9000)]
    values = [np.float32(i) for i in range(len(names))]
    theirs = str(tmp_path / "theirs")
    tf.raw_ops.SaveV2(
        prefix=theirs, tensor_names=names, shape_and_slices=[""] * len(names), tensors=values
    )
    bundle = Bundle()
    for name, value in zip(names, values, strict=True):
        bundle.add(name, value)
    assert bundle.index() == Path(theirs + ".index").read_bytes()


def every_dtype() -> dict[str, tuple[int | None, Any]]:
    kinds = [
        *("?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8"),
        *("<f2", "<f4", "<f8", "<c8", "<c16"),
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e5m2,
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.float8_e4m3fnuz,
        ml_dtypes.float8_e4m3b11fnuz,
        ml_dtypes.float8_e5m2fnuz,
        ml_dtypes.uint4,
        ml_dtypes.uint2,
        ml_dtypes.float4_e2m1fn,
    ]
    values = np.array([0, 1, 1, 0, 1])
    arrays: dict[str, tuple[int | None, Any]] = {
        str(np.dtype(kind)): (None, values.astype(kind)) for kind in kinds
    }
    arrays["string"] = (7, [b"", b"abc", b"\x00\xff\x00", b"x" * 300])
    return arrays


def tensorflow_agrees(tf: Any, prefix: str, name: str, want: np.ndarray) -> None:
    got = tf.train.load_checkpoint(prefix).get_tensor(name)
    if want.dtype == object:
        assert got.tolist() == want.tolist()
    else:
        assert (got.dtype.itemsize, got.shape) == (want.dtype.itemsize, want.shape)
        assert got.tobytes() == want.tobytes()


def test_tensorflow_reads_every_dtype(tf: Any, tmp_path: Path) -> None:
    bundle = Bundle(shards=2)
    for i, (name, (dtype, value)) in enumerate(every_dtype().items()):
        bundle.add(name, value, dtype=dtype, shard=i % 2)
    prefix = bundle.write(tmp_path / "b")
    for name, (_, value) in every_dtype().items():
        tensorflow_agrees(tf, prefix, name, np.array(value, dtype=getattr(value, "dtype", "O")))


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "complex64", "bool", "string"])
def test_tensorflow_reads_big_endian(tf: Any, tmp_path: Path, name: str) -> None:
    dtype, value = every_dtype()[name]
    bundle = Bundle(big_endian=True)
    bundle.add(name, value, dtype=dtype)
    want = np.array(value, dtype=getattr(value, "dtype", "O"))
    tensorflow_agrees(tf, bundle.write(tmp_path / "b"), name, want)


def test_tensorflow_reads_slices_across_shards(tf: Any, tmp_path: Path) -> None:
    w = np.arange(60, dtype="<f4").reshape(10, 6)
    bundle = Bundle(shards=3, alignment=64)
    bundle.add_sliced(
        "w",
        w,
        [[(0, 4), None], [(4, 6), (0, 2)], [(4, 6), (2, 4)]],
        shards=[2, 0, 1],
    )
    tensorflow_agrees(tf, bundle.write(tmp_path / "b"), "w", w)


def test_tensorflow_reads_snappy_blocks(tf: Any, tmp_path: Path) -> None:
    bundle = Bundle()
    for i in range(200):
        bundle.add(f"block_{i:03}/kernel", np.full(3, i, "<i4"))
    prefix = bundle.write(
        tmp_path / "b",
        block_size=1000,
        contents=lambda part, data: data if part == "metaindex" else snappy_compress(data),
        kind=lambda part: int(part != "metaindex"),
    )
    reader = tf.train.load_checkpoint(prefix)
    assert len(reader.get_variable_to_shape_map()) == 200
    for i in (0, 99, 199):
        tensorflow_agrees(tf, prefix, f"block_{i:03}/kernel", np.full(3, i, "<i4"))


def test_hooks_touch_only_what_they_name() -> None:
    items = [(b"", header_proto()), (b"a", b"1"), (b"b", b"2")]
    plain = table(items, block_size=1)
    parts: list[str] = []
    same = table(items, block_size=1, key=lambda part, key: parts.append(part) or key)
    assert same == plain
    assert parts == ["data 0", "data 1", "data 2"]
    flipped = table(
        items, block_size=1, seal=lambda part, data: data[:-1] + b"!" if part == "data 1" else data
    )
    assert sum(x != y for x, y in zip(plain, flipped, strict=True)) == 1
