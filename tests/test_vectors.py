"""Literal bytes of the format, as files, give the right values."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import tensorbundle as tb
from encoding import header_proto
from writer import shard_path, table

# One float scalar named "scalar", as TensorFlow 2.21 writes it, part by part.
SMALLEST_INDEX = bytes.fromhex(
    "00 00 06 08 01 1A 02 08 01"  # the header under the empty key
    "00 06 0B 73 63 61 6C 61 72 08 01 12 00 28 04 35 D8 FD 7D 89"  # the entry
    "00 00 00 00 01 00 00 00"  # restarts
    "00 9E D3 07 20"  # trailer
    "00 00 00 00 01 00 00 00 00 C0 F2 A1 B0"  # metaindex
    "00 01 02 74 00 25 00 00 00 00 01 00 00 00 00 0C 2F 47 C7"  # index
    "2A 08 37 0E" + "00" * 36 + "57 FB 80 8B 24 75 47 DB"  # footer
)

# float[2] {1, 2} and string[2] {"x", "yz"}, big-endian.
BIG_ENDIAN_INDEX = bytes.fromhex(
    "00 00 08 08 01 10 01 1A 02 08 01"
    "00 01 0F 66 08 01 12 04 12 02 08 02 28 08 35 C1 B2 58 BF"
    "00 01 11 73 08 07 12 04 12 02 08 02 20 08 28 09 35 A7 5E 87 21"
    "00 00 00 00 01 00 00 00 00 FE 89 15 95"
    "00 00 00 00 01 00 00 00 00 C0 F2 A1 B0"
    "00 01 02 74 00 3B 00 00 00 00 01 00 00 00 00 89 9D 1B 59"
    "40 08 4D 0E" + "00" * 36 + "57 FB 80 8B 24 75 47 DB"
)
BIG_ENDIAN_DATA = bytes.fromhex("3F800000 40000000 01 02 FE2594DD 78 79 7A")


def bundle_file(prefix: Path, index: bytes, *shards: bytes) -> str:
    for i, shard in enumerate(shards):
        Path(shard_path(str(prefix), i, len(shards))).write_bytes(shard)
    Path(f"{prefix}.index").write_bytes(index)
    return str(prefix)


def entry_bundle(prefix: Path, items: dict[bytes, str], *shards: bytes) -> str:
    made = {name: bytes.fromhex(entry) for name, entry in items.items()}
    index = table(sorted({b"": header_proto(len(shards)), **made}.items()))
    return bundle_file(prefix, index, *shards)


def test_smallest_index(tmp_path: Path) -> None:
    assert len(SMALLEST_INDEX) == 122
    prefix = bundle_file(tmp_path / "b", SMALLEST_INDEX, bytes.fromhex("00006040"))
    ckpt = tb.open(prefix, verify=True)
    assert list(ckpt) == ["scalar"]
    assert (ckpt.format, ckpt.num_shards, ckpt.endianness, ckpt.producer) == ("V2", 1, "little", 1)
    value = ckpt["scalar"]
    assert (value.dtype, value.shape, value[()]) == (np.dtype("<f4"), (), 3.5)
    info = ckpt.info("scalar")
    assert (info.shard, info.offset, info.nbytes, info.size) == (0, 0, 4, 1)
    assert info.crc32c == 0x897DFDD8
    assert info.type_name == "float32"
    assert info.slices == ()


@pytest.mark.parametrize("mmap", [True, False])
def test_big_endian(tmp_path: Path, mmap: bool) -> None:
    prefix = bundle_file(tmp_path / "b", BIG_ENDIAN_INDEX, BIG_ENDIAN_DATA)
    ckpt = tb.open(prefix, mmap=mmap, verify=True)
    assert ckpt.endianness == "big"
    assert ckpt.info("f").dtype == np.dtype(">f4")
    assert ckpt["f"].tolist() == [1.0, 2.0]
    assert ckpt["s"].tolist() == [b"x", b"yz"]


def test_entries_of_empty_tensors(tmp_path: Path) -> None:
    shard = bytes(588) + bytes.fromhex("D8EA82A2")
    prefix = entry_bundle(
        tmp_path / "b",
        {
            b"f": "08 01 12 06 12 00 12 02 08 03 20 CC 04 35 D8 EA 82 A2",
            b"s": "08 07 12 02 12 00 20 CC 04 28 04 35 F6 C1 0C 64",
        },
        shard,
    )
    ckpt = tb.open(prefix, verify=True)
    assert (ckpt["f"].dtype, ckpt["f"].shape) == (np.dtype("<f4"), (0, 3))
    assert (ckpt["s"].dtype, ckpt["s"].shape) == (np.dtype(object), (0,))
    assert ckpt.info("s").offset == 588


def test_an_entry_at_offset_zero_has_no_offset_field(tmp_path: Path) -> None:
    prefix = entry_bundle(
        tmp_path / "b", {b"f": "08 01 12 04 12 02 08 03 28 0C 35 5F 33 75 56"}, bytes(12)
    )
    ckpt = tb.open(prefix)
    assert ckpt["f"].tolist() == [0.0, 0.0, 0.0]
    assert ckpt.info("f").crc32c == 0x5675335F
    with pytest.raises(tb.errors.CorruptionError, match="checksum"):
        ckpt.read("f", verify=True)  # the crc is that of other values


def test_entries_of_a_partitioned_tensor(tmp_path: Path) -> None:
    full = "08 01 12 08 12 02 08 04 12 02 08 06 3A 06 0A 02 10 02 0A 00 3A080A04080210020A00"
    w = np.arange(24, dtype="<f4").reshape(4, 6)
    prefix = entry_bundle(
        tmp_path / "b",
        {
            b"w": full,
            bytes.fromhex("00770001 0102 8082 807F"): "08 01 12 08 12 02 08 02 12 02 08 06 28 30",
            bytes.fromhex("00770001 0102 8282 807F"): "08 01 1208120208021202 0806 20302830",
        },
        w.tobytes(),
    )
    ckpt = tb.open(prefix)
    assert list(ckpt) == ["w"]
    np.testing.assert_array_equal(ckpt["w"], w)
    info = ckpt.info("w")
    assert (info.shape, info.nbytes) == ((4, 6), 96)
    assert (info.shard, info.offset, info.crc32c) == (None, None, None)
    assert [(s.start, s.shape, s.offset, s.nbytes) for s in info.slices] == [
        ((0, 0), (2, 6), 0, 48),
        ((2, 0), (2, 6), 48, 48),
    ]


def test_second_shard_of_a_merge(tmp_path: Path) -> None:
    index = table(
        [
            (b"", bytes.fromhex("08021A020801")),
            (b"a", bytes.fromhex("0804 1200 2801")),
            (b"b", bytes.fromhex("0804 1200 1801 2801")),
        ]
    )
    ckpt = tb.open(bundle_file(tmp_path / "m", index, b"\x07", b"\x09"))
    assert ckpt.num_shards == 2
    assert [int(ckpt[name]) for name in ("a", "b")] == [7, 9]
    assert ckpt.info("b").shard == 1
    assert ckpt.shard_paths() == [str(tmp_path / f"m.data-0000{i}-of-00002") for i in (0, 1)]


@pytest.mark.parametrize(
    ("dtype", "data", "kind", "values"),
    [
        (29, "010F01", ml_dtypes.int4, [1, -1, 1]),
        (29, "01FF01", ml_dtypes.int4, [1, -1, 1]),
        (31, "010301", ml_dtypes.int2, [1, -1, 1]),
        (30, "010F00", ml_dtypes.uint4, [1, 15, 0]),
        (32, "010300", ml_dtypes.uint2, [1, 3, 0]),
        (24, "3C3C00", ml_dtypes.float8_e5m2, [1, 1, 0]),
        (25, "383800", ml_dtypes.float8_e4m3fn, [1, 1, 0]),
        (26, "404000", ml_dtypes.float8_e4m3fnuz, [1, 1, 0]),
        (27, "585800", ml_dtypes.float8_e4m3b11fnuz, [1, 1, 0]),
        (28, "404000", ml_dtypes.float8_e5m2fnuz, [1, 1, 0]),
        (33, "020200", ml_dtypes.float4_e2m1fn, [1, 1, 0]),
    ],
)
def test_small_types_take_a_byte_each(
    tmp_path: Path, dtype: int, data: str, kind: type, values: list[int]
) -> None:
    entry = f"08 {dtype:02X} 12 04 12 02 08 03 28 03"
    ckpt = tb.open(entry_bundle(tmp_path / "b", {b"t": entry}, bytes.fromhex(data)))
    array = ckpt["t"]
    assert array.dtype == np.dtype(kind)
    assert array.astype(np.float32).tolist() == values
    assert array.tobytes() == bytes.fromhex(data)


@pytest.mark.parametrize(
    ("shape", "data", "crc", "values"),
    [
        (
            "12041202 0803",
            "0003AC0225092B70616263" + "78" * 300,
            "FD8E2451",
            ["", "abc", "x" * 300],
        ),
        ("1200", "00A67B113A", "BD6707BE", ""),
        ("12021200", "D8EA82A2", "F6C10C64", []),
    ],
)
def test_strings(tmp_path: Path, shape: str, data: str, crc: str, values: object) -> None:
    raw = bytes.fromhex(data)
    size = f"{len(raw):02X}" if len(raw) < 128 else f"{len(raw) & 127 | 128:02X}{len(raw) >> 7:02X}"
    entry = f"0807 {shape} 28{size} 35{crc}"
    value = tb.open(entry_bundle(tmp_path / "b", {b"s": entry}, raw))["s"]
    assert value.dtype == np.dtype(object)
    want = values.encode() if isinstance(values, str) else [v.encode() for v in values]
    assert value.tolist() == want


def test_over_long_varints_and_unknown_fields_are_fine(tmp_path: Path) -> None:
    entry = (
        "7A 03 616263"  # field 15, unknown
        "08 81 80 00"  # dtype 1, non-minimal
        "12 00 28 09 28 04"  # size twice: the last one counts
        "C2 01 00"  # field 24, unknown
    )
    ckpt = tb.open(entry_bundle(tmp_path / "b", {b"f": entry}, bytes.fromhex("00006040")))
    assert ckpt["f"][()] == 3.5
