"""Partitioned tensors whose slices do not fit: an error on reading, and still a listing."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from encoding import Extent, entry_proto, slice_key
from faults import refused
from tensorbundle.errors import CorruptionError, UnsupportedError
from writer import Bundle

W = np.arange(24, dtype="<f4").reshape(4, 6)
TOP: list[Extent] = [(0, 2), None]
BOTTOM: list[Extent] = [(2, 2), None]


def halves() -> Bundle:
    bundle = Bundle()
    bundle.add_sliced("w", W, [TOP, BOTTOM])
    bundle.add("bias", np.float32(3.5))
    return bundle


def refuse(tmp_path: Path, bundle: Bundle, *fragments: str, rows: Sequence[slice] = ()) -> None:
    """Reading "w" fails, naming it; listing and other tensors do not."""
    prefix = bundle.write(tmp_path / "b")
    for ckpt in (tb.open(prefix), tb.open(prefix, mmap=False)):
        with refused(CorruptionError, *fragments, tensor="w"):
            ckpt["w"]
        for part in rows:
            with refused(CorruptionError, *fragments, tensor="w"):
                ckpt.read("w", rows=part)
    # A slice that no tensor knows of is listed under its key.
    listed = {info.name: info.shape for info in ckpt.infos()}
    assert {name: shape for name, shape in listed.items() if name[0] != "\0"} == {
        "bias": (),
        "w": (4, 6),
    }
    assert ckpt["bias"] == 3.5


def relabelled(slices: Sequence[Sequence[Extent]], dtype: int = 1) -> Bundle:
    """The halves are there, but the full entry lists other slices."""
    bundle = halves()
    bundle.declare("w", dtype, W.shape, slices)
    return bundle


def test_the_bundle_that_is_broken_here_is_sound(tmp_path: Path) -> None:
    ckpt = tb.open(halves().write(tmp_path / "b"))
    np.testing.assert_array_equal(ckpt["w"], W)


@pytest.mark.format_row("10.3", "slice entry missing")
def test_missing_slice_entry(tmp_path: Path) -> None:
    bundle = halves()
    del bundle.items[slice_key(b"w", BOTTOM)]
    refuse(tmp_path, bundle, "slice", rows=[slice(2, 4)])
    slices = tb.open(str(tmp_path / "b")).info("w").slices
    assert [(s.start, s.shape, s.offset) for s in slices] == [
        ((0, 0), (2, 6), 0),
        ((2, 0), (2, 6), None),
    ]
    assert (slices[1].shard, slices[1].nbytes, slices[1].crc32c) == (None, None, None)


def test_slice_stored_under_the_other_form_of_its_extents(tmp_path: Path) -> None:
    # The full entry says "all columns", the key says "6 columns from 0": not the same key.
    bundle = halves()
    bundle.items[slice_key(b"w", [(0, 2), (0, 6)])] = bundle.items.pop(slice_key(b"w", TOP))
    refuse(tmp_path, bundle, "slice")


@pytest.mark.format_row("10.3", "slice listed twice")
@pytest.mark.format_row("10.3", "gap or empty slice")
@pytest.mark.format_row("10.3", "slice out of range")
@pytest.mark.format_row("10.3", "extent with a start and no length")
@pytest.mark.parametrize(
    ("slices", "fragments"),
    [
        pytest.param([TOP, TOP, BOTTOM], ("overlap",), id="duplicate"),
        pytest.param([TOP, [(1, 3), None], BOTTOM], ("overlap",), id="overlap"),
        pytest.param([None, TOP], (), id="a slice without extents"),
        pytest.param([TOP], (), id="gap at the end"),
        pytest.param([BOTTOM], (), id="gap at the start"),
        pytest.param([TOP, [(2, 1), None]], (), id="gap in the middle"),
        pytest.param([TOP, [(2, 2), (0, 3)]], (), id="gap in a column"),
        pytest.param([TOP, BOTTOM, [(2, 0), None]], (), id="slice of no rows"),
        pytest.param([TOP, [(2, 3), None]], (), id="past the end"),
        pytest.param([TOP, [(4, 2), None]], (), id="after the end"),
        pytest.param([TOP, [(-2, 2), None]], ("-2",), id="negative start"),
        pytest.param([TOP, [(2, -2), None]], ("-2",), id="negative length"),
        pytest.param([TOP, [(2**63 - 1, 2), None]], (), id="overflow"),
        pytest.param([TOP, [(2, None), None]], (), id="start without length"),
        pytest.param([TOP, [(2, 2)]], ("dimensions",), id="fewer dimensions"),
        pytest.param([TOP, [(2, 2), None, None]], ("dimensions",), id="more dimensions"),
    ],
)
def test_slices_that_do_not_tile(
    tmp_path: Path, slices: list[list[Extent] | None], fragments: tuple[str, ...]
) -> None:
    listed = [extents or [] for extents in slices]
    bundle = relabelled(listed)
    for extents in listed:
        key = slice_key(b"w", extents)
        bundle.items.setdefault(key, bundle.items[slice_key(b"w", TOP)])
    refuse(tmp_path, bundle, *fragments)


def test_corners_that_leave_a_hole(tmp_path: Path) -> None:
    # As many elements as the tensor has, no overlap by pairs of rows, yet not a tiling.
    pieces: list[list[Extent]] = [[(0, 2), (0, 6)], [(2, 2), (0, 3)], [(1, 2), (3, 3)]]
    bundle = Bundle()
    bundle.add_sliced("w", W, pieces)
    bundle.add("bias", np.float32(3.5))
    refuse(tmp_path, bundle)


@pytest.mark.format_row("10.3", "slice entry of another dtype")
@pytest.mark.format_row("10.3", "slice entry smaller than its slice")
@pytest.mark.format_row("10.3", "slice entry larger than its slice")
@pytest.mark.format_row("10.4", "faults of 10.3 that kill TensorFlow")
@pytest.mark.parametrize(
    ("fields", "fragments"),
    [
        pytest.param({"dtype": 3}, ("int32", "float32"), id="other dtype"),
        pytest.param({"dtype": 0}, (), id="no dtype"),
        pytest.param({"dtype": 200}, (), id="unknown dtype"),
        pytest.param({"shape": (1, 6), "size": 24}, ("[1,6]", "[2,6]"), id="smaller"),
        pytest.param({"shape": (3, 6), "size": 72}, ("[3,6]", "[2,6]"), id="larger"),
        pytest.param({"shape": (6, 2)}, ("[6,2]", "[2,6]"), id="turned"),
        pytest.param({"shape": (12,)}, ("[12]", "[2,6]"), id="other rank"),
        pytest.param({"shape": None}, (), id="no shape"),
        pytest.param({"size": 44}, ("44", "48"), id="size"),
        pytest.param({"offset": 2**40}, ("cut short",), id="offset"),
        pytest.param({"offset": -4}, ("-4",), id="negative offset"),
        pytest.param({"shard_id": 5}, ("5",), id="shard"),
        pytest.param({"slices": [TOP]}, ("partitioned",), id="slices of its own"),
    ],
)
@pytest.mark.parametrize("mmap", [True, False])
def test_slice_entry_that_disagrees(
    tmp_path: Path, fields: dict[str, Any], fragments: tuple[str, ...], mmap: bool
) -> None:
    bundle = halves()
    sound: dict[str, Any] = {"dtype": 1, "shape": (2, 6), "offset": 48, "size": 48, "crc": 1}
    bundle.items[slice_key(b"w", BOTTOM)] = entry_proto(**{**sound, **fields})
    ckpt = tb.open(bundle.write(tmp_path / "b"), mmap=mmap)
    with refused(CorruptionError, *(f.replace(",", ", ") for f in fragments), tensor="w"):
        ckpt["w"]
    with refused(CorruptionError, tensor="w"):
        ckpt.read("w", rows=slice(2, 4))


def test_slice_entry_that_is_partitioned_is_described_alike(tmp_path: Path) -> None:
    bundle = halves()
    key = slice_key(b"w", BOTTOM)
    bundle.items[key] = entry_proto(
        dtype=1, shape=(2, 6), offset=48, size=48, crc=1, slices=[[(0, 2), None], [(0, 1), None]]
    )
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    listed = {info.name: info for info in ckpt.infos()}
    info = ckpt.info("w")
    assert info == listed["w"]
    assert hash(info) == hash(listed["w"])
    assert info.slices == listed["w"].slices
    for each in (info, listed["w"]):
        again = pickle.loads(pickle.dumps(each))
        assert again == info
        assert again.slices == info.slices
    assert [(s.start, s.shape, s.nbytes) for s in info.slices] == [
        ((0, 0), (2, 6), 48),
        ((2, 0), (2, 6), 48),
    ]


def test_unparseable_slice_entry(tmp_path: Path) -> None:
    bundle = halves()
    bundle.items[slice_key(b"w", BOTTOM)] = b"\xff"
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    with refused(CorruptionError, tensor="w"):
        ckpt["w"]


@pytest.mark.parametrize("mmap", [True, False])
def test_checksum_of_a_slice(tmp_path: Path, mmap: bool) -> None:
    bundle = halves()
    prefix = bundle.write(tmp_path / "b")
    shard = Path(prefix + ".data-00000-of-00001")
    data = bytearray(shard.read_bytes())
    data[60] ^= 1  # in the bottom half
    shard.write_bytes(data)
    ckpt = tb.open(prefix, mmap=mmap)
    assert ckpt["w"].shape == (4, 6)
    with refused(CorruptionError, "checksum", path=shard, tensor="w", offset=48):
        ckpt.read("w", verify=True)
    np.testing.assert_array_equal(ckpt.read("w", rows=slice(0, 2), verify=True), W[:2])


def test_missing_shard_of_a_slice(tmp_path: Path) -> None:
    bundle = Bundle(shards=2)
    bundle.add_sliced("w", W, [TOP, BOTTOM], shards=[0, 1])
    prefix = bundle.write(tmp_path / "b")
    gone = tmp_path / "b.data-00001-of-00002"
    gone.unlink()
    ckpt = tb.open(prefix)
    with pytest.raises(FileNotFoundError) as caught:
        ckpt["w"]
    assert caught.value.filename == str(gone)
    np.testing.assert_array_equal(ckpt.read("w", rows=slice(0, 2)), W[:2])


@pytest.mark.format_row("10.3", "slices of rank 9")
@pytest.mark.format_row("10.3", "slices of half or strings")
@pytest.mark.parametrize("mmap", [True, False])
def test_what_tensorflow_cannot_put_together(tmp_path: Path, mmap: bool) -> None:
    rank9 = np.arange(2**9, dtype="<f4").reshape((2,) * 9)
    half = W.astype("<f2")
    words = np.array([[b"a", b""], [b"\0", b"dd" * 99]], dtype=object)
    no_rows = np.zeros((0, 3), "<f4")
    bundle = Bundle(shards=2)
    bundle.add_sliced("rank9", rank9, [[(i, 1)] + [None] * 8 for i in range(2)])
    bundle.add_sliced("half", half, [TOP, BOTTOM], shards=[1, 0])
    bundle.add_sliced("words", words, [[None, (0, 1)], [None, (1, 1)]], shards=[1, 1])
    bundle.add_sliced("no_rows", no_rows, [[(0, 0), None]])
    bundle.add_sliced("variants", words, [[(0, 1), None], [(1, 1), None]], dtype=21)
    ckpt = tb.open(bundle.write(tmp_path / "b"), verify=True, mmap=mmap)
    np.testing.assert_array_equal(ckpt["rank9"], rank9)
    np.testing.assert_array_equal(ckpt["half"], half)
    assert ckpt["words"].tolist() == words.tolist()
    assert ckpt["variants"].tolist() == words.tolist()
    assert ckpt["no_rows"].shape == (0, 3)


def test_slice_keys_are_not_names(tmp_path: Path) -> None:
    ckpt = tb.open(halves().write(tmp_path / "b"))
    assert list(ckpt) == ["bias", "w"]
    assert len(ckpt) == 2
    key = slice_key(b"w", TOP).decode("utf-8", "surrogateescape")
    assert key not in ckpt
    assert [info.name for info in ckpt.infos()] == ["bias", "w"]


def test_a_name_that_begins_as_slice_keys_do(tmp_path: Path) -> None:
    bundle = halves()
    bundle.add(b"\x00odd", np.float32(9))
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    assert list(ckpt) == ["\x00odd", "bias", "w"]
    assert ckpt["\x00odd"] == 9


def test_many_slices_are_checked_quickly(tmp_path: Path) -> None:
    rows = np.arange(40_000, dtype="<f4").reshape(20_000, 2)
    bundle = Bundle()
    bundle.add_sliced("w", rows, [[(i, 1), None] for i in range(len(rows))])
    np.testing.assert_array_equal(tb.open(bundle.write(tmp_path / "b"))["w"], rows)


def test_slices_of_no_elements_next_to_huge_dimensions(tmp_path: Path) -> None:
    bundle = halves()
    for name, shape in (("a", (0, 2**40, 2**40)), ("z", (2**40, 2**40, 0))):
        pieces: list[list[Extent]] = [[(0, shape[0]), None, None]]
        bundle.declare(name, 1, shape, pieces)
        bundle.add(slice_key(name.encode(), pieces[0]), np.zeros(0, "<f4"), shape=shape)
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    for name in ("a", "z"):
        assert ckpt.info(name).size == 0
        with refused(UnsupportedError, tensor=name):  # NumPy has no such array
            ckpt[name]
