"""Broken entries and values: what the table holds, and what the shards hold.

TensorFlow aborts on many of these, or reads out of bounds; here each names its tensor.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tensorbundle as tb
from encoding import (
    bytes_field,
    crc32c,
    entry_proto,
    mask,
    shape_proto,
    varint,
    varint_field,
)
from faults import list_all, refused, sound, touch
from tensorbundle.errors import CorruptionError, TensorNotFoundError, UnsupportedError
from writer import Bundle, payload, string_payload, variant_payload

# Entries.


def entry_bundle(tmp_path: Path, entry: bytes) -> str:
    """A sound bundle in which the entry of "kernel" is this one."""
    bundle = sound()
    bundle.items[b"kernel"] = entry
    return bundle.write(tmp_path / "b")


def kernel_entry(**fields: Any) -> bytes:
    """The sound entry of "kernel" with some fields changed."""
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    crc = payload(array, 1).crc
    made = {"dtype": 1, "shape": (2, 3), "offset": 12, "size": 24, "crc": crc}
    return entry_proto(**{**made, **fields})


def test_the_entry_that_is_changed_here_is_sound(tmp_path: Path) -> None:
    assert kernel_entry() == sound().items[b"kernel"]
    assert tb.open(entry_bundle(tmp_path, kernel_entry()))["kernel"].sum() == 15


BAD_ENTRIES = [
    pytest.param(b"\xff", (), id="cut in a tag"),
    pytest.param(kernel_entry()[:-1], (), id="cut in a field"),
    pytest.param(b"\x08" + b"\xff" * 10 + b"\x01", (), id="varint of 11 bytes"),
    pytest.param(bytes_field(1, b"float"), (), id="dtype is a string"),
    pytest.param(varint_field(2, 3), (), id="shape is a number"),
    pytest.param(kernel_entry(dtype=0), ("invalid",), id="no dtype"),
    pytest.param(b"", ("invalid",), id="empty"),
    pytest.param(kernel_entry(dtype=101), ("float32_ref", "101"), id="REF dtype"),
    pytest.param(kernel_entry(dtype=133), ("float4_e2m1fn_ref", "133"), id="last REF dtype"),
    pytest.param(kernel_entry(shape=(-1,)), ("-1",), id="negative dimension"),
    pytest.param(kernel_entry(shape=(0, -3)), ("-3",), id="negative dimension after a zero"),
    pytest.param(kernel_entry(shape=(1,) * 255), ("255", "254"), id="255 dimensions"),
    pytest.param(kernel_entry(shape=(2**40, 2**40)), (), id="overflow"),
    pytest.param(kernel_entry(shape=(2**63 - 1, 2)), (), id="overflow by one bit"),
    pytest.param(kernel_entry(dtype=-1), ("-1",), id="negative dtype"),
]


@pytest.mark.format_row("10.3", "unparseable entry")
@pytest.mark.format_row("10.3", "dtype 0 or unknown")
@pytest.mark.format_row("10.3", "reference dtype")
@pytest.mark.format_row("10.3", "dimensions negative, too many or too large")
@pytest.mark.format_row("10.4", "faults of 10.3 that kill TensorFlow")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(("entry", "fragments"), BAD_ENTRIES)
def test_bad_entry(tmp_path: Path, entry: bytes, fragments: tuple[str, ...], mmap: bool) -> None:
    prefix = entry_bundle(tmp_path, entry)
    where: dict[str, Any] = {
        "path": prefix + ".index",
        "part": "index entry",
        "tensor": "kernel",
    }
    ckpt = tb.open(prefix, mmap=mmap)
    with refused(CorruptionError, *fragments, **where):
        ckpt["kernel"]
    with refused(CorruptionError, *fragments, **where):
        ckpt.info("kernel")
    with refused(CorruptionError, *fragments, **where):
        ckpt.infos()
    assert ckpt["bias"].tolist() == [1, 2, 3]


@pytest.mark.format_row("10.3", "unknown rank")
@pytest.mark.parametrize("mmap", [True, False])
def test_unknown_rank_means_the_dimensions_listed(tmp_path: Path, mmap: bool) -> None:
    """As TensorFlow has it; the size has to match them."""
    entry = kernel_entry(shape=shape_proto([2, 3], unknown_rank=True))
    assert tb.open(entry_bundle(tmp_path, entry), mmap=mmap)["kernel"].shape == (2, 3)
    entry = kernel_entry(shape=shape_proto([], unknown_rank=True))
    with refused(CorruptionError, "24", tensor="kernel"):
        touch(entry_bundle(tmp_path, entry), mmap=mmap)


@pytest.mark.format_row("10.3", "zero next to huge dimensions")
@pytest.mark.parametrize("mmap", [True, False])
def test_zero_dimensions_next_to_huge_ones(tmp_path: Path, mmap: bool) -> None:
    for shape in ((0, 2**40, 2**40), (2**40, 2**40, 0)):
        entry = kernel_entry(shape=shape, size=0, crc=mask(0))
        ckpt = tb.open(entry_bundle(tmp_path, entry), mmap=mmap)
        info = ckpt.info("kernel")
        assert (info.shape, info.size, info.nbytes) == (shape, 0, 0)
        with refused(UnsupportedError, "NumPy", tensor="kernel"):  # no such array can exist
            ckpt["kernel"]
    entry = kernel_entry(shape=(2**40, 0), size=0, crc=mask(0))
    assert tb.open(entry_bundle(tmp_path, entry))["kernel"].shape == (2**40, 0)


@pytest.mark.format_row("10.3", "dimensions negative, too many or too large")
def test_ranks_up_to_254(tmp_path: Path) -> None:
    for rank in (64, 65, 254):
        entry = kernel_entry(shape=(1,) * rank, size=4)
        ckpt = tb.open(entry_bundle(tmp_path, entry))
        assert ckpt.info("kernel").shape == (1,) * rank
        assert len(ckpt.infos()) == 3
        if rank <= 64:
            assert ckpt["kernel"].shape == (1,) * rank
        else:
            with refused(UnsupportedError, str(rank), "64", tensor="kernel"):
                ckpt["kernel"]


@pytest.mark.format_row("10.3", "dtype 0 or unknown")
@pytest.mark.parametrize("dtype", [34, 100, 134, 200, 2**31 - 1])
@pytest.mark.parametrize("mmap", [True, False])
def test_unknown_dtype(tmp_path: Path, dtype: int, mmap: bool) -> None:
    ckpt = tb.open(entry_bundle(tmp_path, kernel_entry(dtype=dtype)), mmap=mmap)
    assert ckpt.info("kernel").type_name == f"unknown({dtype})"
    assert [info.name for info in ckpt.infos()] == ["bias", "kernel", "words"]
    with refused(UnsupportedError, str(dtype)):
        _ = ckpt.info("kernel").dtype
    with refused(UnsupportedError, str(dtype), tensor="kernel"):
        ckpt["kernel"]


@pytest.mark.format_row("10.3", "resource with a matching size")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("size", [0, 6, 24, 6 * 8, 6 * 80, 6 * 160])
def test_resource(tmp_path: Path, size: int, mmap: bool) -> None:
    ckpt = tb.open(entry_bundle(tmp_path, kernel_entry(dtype=20, size=size)), mmap=mmap)
    assert ckpt.infos()[1].type_name == "resource"
    with refused(UnsupportedError, "resource", tensor="kernel"):
        ckpt["kernel"]


# Where the bytes are.


@pytest.mark.format_row("10.3", "size wrong or negative")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("size", [0, 1, 23, 25, 28, -1, -(2**63), 2**62])
def test_size_that_does_not_match_the_shape(tmp_path: Path, size: int, mmap: bool) -> None:
    ckpt = tb.open(entry_bundle(tmp_path, kernel_entry(size=size)), mmap=mmap)
    with refused(CorruptionError, str(size), tensor="kernel"):
        ckpt["kernel"]
    assert ckpt["bias"].tolist() == [1, 2, 3]


def test_size_that_does_not_match_is_listed(tmp_path: Path) -> None:
    ckpt = tb.open(entry_bundle(tmp_path, kernel_entry(size=25)))
    assert [info.nbytes for info in ckpt.infos()][:2] == [12, 25]


@pytest.mark.format_row("10.3", "offset negative or past the end")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("offset", [-1, -(2**63), 50, 2**40, 2**63 - 1])
def test_offset_out_of_the_shard(tmp_path: Path, offset: int, mmap: bool) -> None:
    ckpt = tb.open(entry_bundle(tmp_path, kernel_entry(offset=offset)), mmap=mmap)
    with refused(CorruptionError, str(offset), tensor="kernel"):
        ckpt["kernel"]


@pytest.mark.format_row("10.3", "offset negative or past the end")
@pytest.mark.format_row("10.4", "issues 39033, 6644, 61449")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("kept", [0, 12, 35])
def test_short_shard(tmp_path: Path, kept: int, mmap: bool) -> None:
    prefix = sound().write(tmp_path / "b")
    shard = tmp_path / "b.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:kept])
    ckpt = tb.open(prefix, mmap=mmap)
    assert len(ckpt.infos()) == 3
    where: dict[str, Any] = {"path": shard, "part": "data shard", "offset": 12}
    remedy = "cut short" if kept else "the file is empty"
    with refused(CorruptionError, f"has {kept}", remedy, tensor="kernel", **where):
        ckpt["kernel"]
    if kept:
        assert ckpt["bias"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("shard", [1, -1, 2**31 - 1, -(2**31)])
def test_shard_that_does_not_exist(tmp_path: Path, shard: int) -> None:
    prefix = entry_bundle(tmp_path, kernel_entry(shard_id=shard))
    with refused(CorruptionError, str(shard), path=prefix + ".index", tensor="kernel"):
        touch(prefix)


@pytest.mark.format_row("10.3", "data file missing")
@pytest.mark.format_row("10.4", "issue 13256")
@pytest.mark.parametrize("mmap", [True, False])
def test_missing_shard(tmp_path: Path, mmap: bool) -> None:
    bundle = Bundle(shards=2)
    bundle.add("a", np.float32(1))
    bundle.add("b", np.float32(2), shard=1)
    prefix = bundle.write(tmp_path / "m")
    gone = tmp_path / "m.data-00001-of-00002"
    gone.unlink()
    ckpt = tb.open(prefix, mmap=mmap)
    assert ckpt["a"] == 1
    assert len(ckpt.infos()) == 2
    with pytest.raises(FileNotFoundError, match=r"m\.data-00001-of-00002") as caught:
        ckpt["b"]
    assert caught.value.filename == str(gone)
    assert "shard" in str(caught.value)
    bundle.write(prefix)
    assert ckpt["b"] == 2  # a copy that was still under way


@pytest.mark.parametrize("mmap", [True, False])
def test_shard_that_is_a_directory(tmp_path: Path, mmap: bool) -> None:
    prefix = sound().write(tmp_path / "b")
    shard = tmp_path / "b.data-00000-of-00001"
    shard.unlink()
    shard.mkdir()
    with pytest.raises(OSError, match=shard.name) as caught:
        touch(prefix, mmap=mmap)
    assert caught.value.filename == str(shard)


def test_git_lfs_pointer_for_a_shard(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "b")
    shard = tmp_path / "b.data-00000-of-00001"
    shard.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"[:30])
    with refused(CorruptionError, "git lfs pull", path=shard, tensor="kernel"):
        touch(prefix)


def test_regions_may_overlap(tmp_path: Path) -> None:
    ckpt = tb.open(entry_bundle(tmp_path, kernel_entry(offset=0, shape=(3,), size=12)))
    assert ckpt["kernel"].tolist() == ckpt["bias"].tolist()


# Checksums.


@pytest.mark.format_row("10.3", "checksum of data wrong or absent")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("crc", [None, 0x12345678])
def test_checksum_of_a_plain_tensor(tmp_path: Path, crc: int | None, mmap: bool) -> None:
    prefix = entry_bundle(tmp_path, kernel_entry(crc=crc))
    shard = prefix + ".data-00000-of-00001"
    where: dict[str, Any] = {"path": shard, "tensor": "kernel", "offset": 12}
    fragments = ("checksum", "got", "want")
    ckpt = tb.open(prefix, mmap=mmap)
    assert ckpt["kernel"].sum() == 15  # a view does not read its bytes
    with refused(CorruptionError, *fragments, **where):
        ckpt.read("kernel", verify=True)
    with refused(CorruptionError, *fragments, **where):
        touch(prefix, verify=True, mmap=mmap)
    assert tb.open(prefix, verify=True).read("kernel", verify=False).sum() == 15
    assert tb.open(prefix, verify=True)["bias"].tolist() == [1, 2, 3]


def test_shard_of_another_checkpoint(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "b")
    other = Bundle()
    other.add("bias", np.array([1, 2, 3], "<f4"))
    other.add("kernel", np.arange(6, 12, dtype="<f4").reshape(2, 3))
    other.add("words", [b"one", b"", b"three"])
    other.write(tmp_path / "other")
    shard = Path(prefix + ".data-00000-of-00001")
    shutil.copy(tmp_path / "other.data-00000-of-00001", shard)
    ckpt = tb.open(prefix, verify=True)
    assert ckpt["bias"].tolist() == [1, 2, 3]
    with refused(CorruptionError, "checksum", "another checkpoint", path=shard, tensor="kernel"):
        ckpt["kernel"]


# Strings.


def string_bundle(tmp_path: Path, data: bytes, **fields: Any) -> str:
    bundle = sound()
    values = fields.pop("values", [b"one", b"", b"three"])
    bundle.add("text", values, data=data, **fields)
    bundle.shards[0] += b"what other tensors hold" * 30
    return bundle.write(tmp_path / "b")


def lengths_of(*lengths: int) -> tuple[bytes, int]:
    """The varints and the running crc of lengths, as a writer that means them would make it."""
    crc = 0
    for length in lengths:
        crc = crc32c(length.to_bytes(4 if length < 2**32 else 8, "little"), crc)
    return b"".join(varint(length) for length in lengths), crc


def text_of(lengths: tuple[int, ...], text: bytes) -> tuple[bytes, int]:
    varints, crc = lengths_of(*lengths)
    checksum = mask(crc).to_bytes(4, "little")
    return varints + checksum + text, mask(crc32c(text, crc32c(checksum, crc)))


WORDS = text_of((3, 0, 5), b"onethree")


def test_the_string_payload_that_is_broken_here_is_sound(tmp_path: Path) -> None:
    data, crc = WORDS
    assert (data, crc) == string_payload([b"one", b"", b"three"])
    prefix = string_bundle(tmp_path, data, crc=crc)
    assert tb.open(prefix)["text"].tolist() == [b"one", b"", b"three"]


BAD_STRINGS = [
    pytest.param(WORDS[0][:3] + b"\0\0\0\0" + WORDS[0][7:], {}, "checksum", id="length checksum"),
    pytest.param(b"\x04\x00\x04" + WORDS[0][3:], {}, "checksum", id="other lengths"),
    pytest.param(WORDS[0], {"crc": 1}, "checksum", id="entry crc"),
    pytest.param(WORDS[0], {"crc": None}, "checksum", id="no entry crc"),
    pytest.param(WORDS[0][:-1] + b"x", {}, "checksum", id="a letter"),
    pytest.param(WORDS[0], {"size": 2}, "", id="fewer bytes than strings"),
    pytest.param(WORDS[0], {"size": 0}, "", id="size 0"),
    pytest.param(WORDS[0], {"size": 3}, "", id="size ends in the checksum"),
    pytest.param(WORDS[0], {"size": 14}, "", id="size one less"),
    pytest.param(WORDS[0], {"size": 16}, "", id="size one more"),
    pytest.param(WORDS[0], {"size": -15}, "-15", id="negative size"),
    pytest.param(WORDS[0], {"size": 2**50}, "cut short", id="size past the shard"),
    pytest.param(b"\x80" * 15, {}, "", id="varints do not end"),
    pytest.param(b"\xff" * 9 + b"\x7f" * 6, {}, "", id="varint over 64 bits"),
    pytest.param(text_of((2**30, 0, 5), b"x")[0], {}, "", id="length 2^30"),
    pytest.param(text_of((2**50, 0, 5), b"x")[0], {}, "", id="length 2^50"),
    pytest.param(text_of((2**63, 2**63, 8), b"onethree")[0], {}, "", id="sum of lengths wraps"),
    pytest.param(WORDS[0], {"shape": (2**33,)}, "", id="2^33 strings"),
    pytest.param(WORDS[0], {"shape": (2**61, 2)}, "", id="2^62 strings"),
    pytest.param(WORDS[0], {"shape": (2,)}, "", id="more text than strings"),
    pytest.param(WORDS[0], {"shape": (4,)}, "", id="more strings than lengths"),
]


@pytest.mark.format_row("10.3", "strings: bad checksums")
@pytest.mark.format_row("10.3", "string of 2^30 bytes")
@pytest.mark.format_row("10.3", "string of 2^50 bytes")
@pytest.mark.format_row("10.3", "2^33 strings")
@pytest.mark.format_row("10.4", "faults of 10.3 that kill TensorFlow")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(("data", "fields", "fragment"), BAD_STRINGS)
def test_bad_strings(
    tmp_path: Path, data: bytes, fields: dict[str, Any], fragment: str, mmap: bool
) -> None:
    prefix = string_bundle(tmp_path, data, **{"crc": WORDS[1], **fields})
    with refused(CorruptionError, fragment, tensor="text"):
        touch(prefix, "text", mmap=mmap)
    if fields.get("size", 0) >= 0:
        list_all(prefix)
    touch(prefix, "words")


# Variants.

PROTOS = [b"\x0a\x03one", b"", b"\x0a\x05three"]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


BAD_VARIANTS = [
    pytest.param(lambda data: flipped(data, 2), id="a byte of a proto"),
    pytest.param(lambda data: flipped(data, 7), id="the first checksum"),
    pytest.param(lambda data: flipped(data, len(data) - 1), id="the last checksum"),
    pytest.param(lambda data: data + b"\0", id="a byte too many"),
    pytest.param(lambda data: data[:-1], id="a byte too few"),
    pytest.param(lambda data: b"", id="nothing"),  # noqa: ARG005
    pytest.param(lambda data: varint(2**50) + data, id="length 2^50"),
    pytest.param(lambda data: varint(2**64 - 1) + data, id="length 2^64-1"),
    pytest.param(lambda data: b"\xff" * 11 + data, id="varint over 64 bits"),
]


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("change", BAD_VARIANTS)
def test_bad_variants(tmp_path: Path, change: Any, mmap: bool) -> None:
    data, crc = variant_payload(PROTOS)
    bundle = sound()
    bundle.add("v", PROTOS, dtype=21, data=change(data), crc=crc)
    bundle.shards[0] += bytes(99)
    prefix = bundle.write(tmp_path / "b")
    with refused(CorruptionError, tensor="v"):
        touch(prefix, "v", mmap=mmap)
    assert tb.open(prefix).info("v").type_name == "variant"


def test_sound_variants(tmp_path: Path) -> None:
    bundle = sound()
    bundle.add("v", PROTOS, dtype=21)
    bundle.add("none", [], dtype=21)
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    assert ckpt["v"].tolist() == PROTOS
    assert (ckpt["none"].shape, ckpt["none"].dtype) == ((0,), np.dtype(object))


def test_entry_crc_of_variants(tmp_path: Path) -> None:
    bundle = sound()
    bundle.add("v", PROTOS, dtype=21, crc=1)
    prefix = bundle.write(tmp_path / "b")
    with refused(CorruptionError, "checksum", tensor="v"):
        touch(prefix, "v")


# Names.


def test_missing_tensor(tmp_path: Path) -> None:
    ckpt = tb.open(sound().write(tmp_path / "b"))
    with pytest.raises(TensorNotFoundError, match="kernle") as caught:
        ckpt["kernle"]
    assert isinstance(caught.value, KeyError)
    assert caught.value.near[0] == "kernel"
    assert "kernel" in str(caught.value)
    assert caught.value.tensor == "kernle"
    for missing in ("", "\0", "zzzz", "\udcff"):
        assert missing not in ckpt
        with pytest.raises(TensorNotFoundError):
            ckpt[missing]


def test_small_types_with_high_bits(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("i", np.zeros(2, ml_dtypes.int4), data=b"\xff\x0f")
    assert tb.open(bundle.write(tmp_path / "b"))["i"].astype(int).tolist() == [-1, -1]
