"""The header under the empty key: shards, byte order, and versions that rule this reader out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from encoding import header_proto
from faults import both_refuse, refused, sound
from tensorbundle.errors import CorruptionError, TensorNotFoundError, UnsupportedError
from writer import Bundle


def header_bundle(tmp_path: Path, header: bytes) -> str:
    bundle = sound()
    bundle.items[b""] = header
    return bundle.write(tmp_path / "b")


@pytest.mark.format_row("10.3", "empty header")
def test_empty_header(tmp_path: Path) -> None:
    both_refuse(header_bundle(tmp_path, b""), "0", part="bundle header")


@pytest.mark.format_row("10.3", "unparseable header")
@pytest.mark.parametrize(
    "header",
    [b"\xff", b"\x08", b"\x08\x01\x1a\x7f", b"\x08\x01\x1f", b"\x08" + b"\xff" * 11],
)
@pytest.mark.parametrize("mmap", [True, False])
def test_unparseable_header(tmp_path: Path, header: bytes, mmap: bool) -> None:
    with refused(CorruptionError, "header", path=tmp_path / "b.index", part="bundle header"):
        tb.open(header_bundle(tmp_path, header), mmap=mmap)


def test_the_header_is_blamed_where_its_block_is(tmp_path: Path) -> None:
    bundle = sound()
    bundle.items[b""] = header_proto(endianness=7)
    prefix = bundle.write(tmp_path / "b")
    moved = bundle.index(place=lambda _part, offset, size: (offset + 8, size))
    Path(prefix + ".index").write_bytes(b"anything" + moved)
    both_refuse(prefix, "byte order", part="bundle header", offset=8)


@pytest.mark.parametrize("count", [0, -1, -(2**31)])
def test_number_of_shards(tmp_path: Path, count: int) -> None:
    both_refuse(header_bundle(tmp_path, header_proto(count)), str(count), part="bundle header")


def test_more_shards_than_anyone_has(tmp_path: Path) -> None:
    prefix = header_bundle(tmp_path, header_proto(2**31 - 1))
    with refused(UnsupportedError, str(2**31 - 1), path=prefix + ".index", part="bundle header"):
        tb.open(prefix)


def test_v1_table_of_contents_where_the_header_should_be(tmp_path: Path) -> None:
    """It is taken for the V1 file that it is, here a broken one, if its lengths fit."""
    whole = bytes.fromhex("0A0F0A0D0A016212041202080318092202")
    prefix = header_bundle(tmp_path, whole)
    with refused(CorruptionError, path=prefix + ".index", part="table of contents"):
        tb.open(prefix)
    prefix = header_bundle(tmp_path, bytes.fromhex("0A150A0F0A016212041202080318092202"))
    with refused(CorruptionError, "of a V1", path=prefix + ".index", part="bundle header"):
        tb.open(prefix)


def test_no_shards_and_no_tensors(tmp_path: Path) -> None:
    bundle = Bundle(shards=0)
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    assert (len(ckpt), ckpt.num_shards, ckpt.shard_paths()) == (0, 0, [])
    with pytest.raises(TensorNotFoundError):
        ckpt["x"]


@pytest.mark.parametrize("endianness", [2, -1])
def test_endianness(tmp_path: Path, endianness: int) -> None:
    header = header_proto(endianness=endianness)
    both_refuse(
        header_bundle(tmp_path, header), "byte order", str(endianness), part="bundle header"
    )


@pytest.mark.format_row("10.3", "versions that rule us out")
def test_negative_producer(tmp_path: Path) -> None:
    both_refuse(header_bundle(tmp_path, header_proto(producer=-1)), "-1", part="bundle header")


@pytest.mark.format_row("10.3", "versions that rule us out")
@pytest.mark.parametrize(
    "versions", [{"min_consumer": 2}, {"bad_consumers": [1]}, {"bad_consumers": [7, 1, 9]}]
)
@pytest.mark.parametrize("mmap", [True, False])
def test_versions_that_rule_us_out(tmp_path: Path, versions: dict[str, Any], mmap: bool) -> None:
    prefix = header_bundle(tmp_path, header_proto(**versions))
    with refused(UnsupportedError, "version 1", path=prefix + ".index", part="bundle header"):
        tb.open(prefix, mmap=mmap)


@pytest.mark.parametrize(
    "versions", [{"producer": 0}, {"producer": 99}, {"bad_consumers": [2]}, {"min_consumer": 1}]
)
def test_versions_that_are_fine(tmp_path: Path, versions: dict[str, Any]) -> None:
    ckpt = tb.open(header_bundle(tmp_path, header_proto(**versions)))
    assert ckpt.producer == versions.get("producer", 1)
    assert len(ckpt) == 3
