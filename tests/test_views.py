"""Views: where their bytes are, how long they live, and what may be done to them."""

from __future__ import annotations

import gc
import itertools
import os
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tensorbundle as tb
from encoding import Extent, slice_key
from writer import Bundle

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self")

MB = 1 << 20


def maps_of(path: str | os.PathLike[str]) -> list[range]:
    """The address ranges at which this process has a file mapped."""
    found = []
    with Path("/proc/self/maps").open(encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            fields = line.rstrip("\n").split(maxsplit=5)
            if len(fields) == 6 and fields[5] == os.fspath(path):
                start, end = (int(address, 16) for address in fields[0].split("-"))
                found.append(range(start, end))
    return found


def inside(array: np.ndarray[Any, Any], path: str | os.PathLike[str]) -> bool:
    """Whether all bytes of an array lie in a mapping of the file."""
    first = array.__array_interface__["data"][0]
    last = first + max(array.nbytes, 1) - 1
    return any(first in area and last in area for area in maps_of(path))


def anonymous() -> int:
    with Path("/proc/self/smaps_rollup").open() as rollup:
        return next(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Anonymous:"))


def mixed() -> Bundle:
    """Aligned and unaligned tensors, on one shard."""
    bundle = Bundle()
    bundle.add("aligned", np.arange(100, dtype="<f8").reshape(4, 25))
    bundle.add("flag", np.bool_(True))
    bundle.add("unaligned", np.arange(10, dtype="<f4"))
    bundle.add("scalar", np.int64(-7))
    bundle.add("half", np.arange(3, dtype=ml_dtypes.bfloat16))
    bundle.add("empty", np.zeros((0, 3), "<f4"))
    bundle.add("words", [b"a", b"bb\0"])
    return bundle


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return mixed().write(tmp_path / "b")


@pytest.fixture
def shard(prefix: str) -> str:
    return prefix + ".data-00000-of-00001"


# Zero copy.


@linux
def test_views_lie_inside_the_map(prefix: str, shard: str) -> None:
    ckpt = tb.open(prefix)
    assert maps_of(shard) == []  # mapped when first touched
    for name in ("aligned", "flag", "unaligned", "scalar", "half"):
        assert inside(ckpt[name], shard)
        assert ckpt.info(name).zero_copy
    assert len(maps_of(shard)) == 1
    assert not ckpt.info("words").zero_copy


@linux
def test_views_of_one_tensor_share_their_bytes(prefix: str) -> None:
    ckpt = tb.open(prefix)
    assert np.shares_memory(ckpt["aligned"], ckpt["aligned"][1:3])
    addresses = {ckpt["aligned"].__array_interface__["data"][0] for _ in range(3)}
    assert len(addresses) == 1


@linux
def test_each_shard_is_mapped_when_first_touched(tmp_path: Path) -> None:
    bundle = Bundle(shards=3)
    for i in range(3):
        bundle.add(f"t{i}", np.full(4, i, "<f4"), shard=i)
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    ckpt.infos()
    paths = ckpt.shard_paths()
    assert [len(maps_of(path)) for path in paths] == [0, 0, 0]
    view = ckpt["t1"]
    assert [len(maps_of(path)) for path in paths] == [0, 1, 0]
    assert inside(view, paths[1])


@linux
def test_holding_and_summing_views_takes_no_memory(tmp_path: Path) -> None:
    bundle = Bundle()
    piece = np.ones(MB, "<f4")
    for i in range(24):
        place = {"shape": piece.shape, "size": piece.nbytes, "offset": i * piece.nbytes}
        bundle.add(f"t{i:02}", np.float32(0), data=b"", **place)
    bundle.shards[0] += piece.tobytes() * 24
    prefix = bundle.write(tmp_path / "b")
    ckpt = tb.open(prefix)
    ckpt["t00"].sum()
    before = anonymous()
    views = dict(ckpt)
    total = sum(float(view.sum()) for view in views.values())
    grown = anonymous() - before
    assert total == 24 * MB
    assert grown < 4 * MB


def test_no_map_without_mmap(prefix: str, shard: str) -> None:
    mapped, read = tb.open(prefix), tb.open(prefix, mmap=False)
    for name in read:
        assert read[name].tolist() == mapped[name].tolist()
        assert read[name].dtype == mapped[name].dtype
        assert not read[name].flags.writeable
        assert not read.info(name).zero_copy
    if sys.platform.startswith("linux"):
        del mapped
        gc.collect()
        kept = [read[name] for name in read]
        assert maps_of(shard) == []
        assert len(kept) == 7


@pytest.mark.parametrize("mmap", [True, False])
def test_a_shard_without_bytes(tmp_path: Path, mmap: bool) -> None:
    bundle = Bundle()
    bundle.add("none", np.zeros((3, 0), "<f8"))
    ckpt = tb.open(bundle.write(tmp_path / "b"), mmap=mmap, verify=True)
    assert Path(ckpt.shard_paths()[0]).stat().st_size == 0
    for array in (ckpt["none"], ckpt.read("none", rows=slice(0, 2), aligned=True)):
        assert array.shape[1] == 0
        assert array.dtype == np.dtype("<f8")


@linux
def test_verify_keeps_the_view(prefix: str, shard: str) -> None:
    assert inside(tb.open(prefix, verify=True)["aligned"], shard)


# Read-only.


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("name", ["aligned", "unaligned", "scalar", "empty", "words"])
def test_read_only(prefix: str, name: str, mmap: bool) -> None:
    array = tb.open(prefix, mmap=mmap)[name]
    assert not array.flags.writeable
    if array.size:
        with pytest.raises(ValueError, match="read-only"):
            array[(0,) * array.ndim] = 1
    for view in (array, array.view(), array.reshape(-1), array[...]):
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.flags.writeable = True
    copy = array.copy()
    copy[...] = copy
    assert copy.flags.writeable


def test_read_only_when_put_together(tmp_path: Path) -> None:
    w = np.arange(12, dtype="<f4").reshape(4, 3)
    bundle = Bundle()
    bundle.add_sliced("w", w, [[(0, 2), None], [(2, 2), None]])
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    for array in (ckpt["w"], ckpt.read("w", rows=slice(1, 3))):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


# Alignment.


@linux
def test_unaligned_views(prefix: str, shard: str) -> None:
    ckpt = tb.open(prefix)
    view = ckpt["unaligned"]
    assert not ckpt.info("unaligned").aligned
    assert not view.flags.aligned
    assert inside(view, shard)
    assert view.tolist() == list(range(10))
    assert (view * 2).sum() == 90
    copy = ckpt.read("unaligned", aligned=True)
    assert copy.flags.aligned
    assert not inside(copy, shard)
    assert not copy.flags.writeable
    assert copy.tolist() == view.tolist()


@linux
def test_aligned_copies_only_what_is_not(prefix: str, shard: str) -> None:
    ckpt = tb.open(prefix)
    assert ckpt.info("aligned").aligned
    for name in ("aligned", "flag"):
        array = ckpt.read(name, aligned=True)
        assert array.flags.aligned
        assert inside(array, shard)


def test_what_is_read_is_aligned(prefix: str) -> None:
    ckpt = tb.open(prefix, mmap=False)
    assert all(ckpt[name].flags.aligned for name in ckpt)


@linux
def test_every_alignment(tmp_path: Path) -> None:
    for kind in ("<f8", "<f4", "<c16", ">f4"):
        for shift in range(9):
            bundle = Bundle(big_endian=kind[0] == ">")
            bundle.add("pad", np.zeros(shift, "u1"))
            bundle.add("x", np.arange(5, dtype="<" + kind[1:]))
            ckpt = tb.open(bundle.write(tmp_path / "b"))
            view = ckpt["x"]
            assert view.flags.aligned == ckpt.info("x").aligned
            assert view.dtype == np.dtype(kind)
            np.testing.assert_array_equal(view, np.arange(5))
            del view, ckpt


# Lifetime.


@linux
def test_a_view_outlives_its_reader(prefix: str, shard: str) -> None:
    ckpt = tb.open(prefix)
    view = ckpt["aligned"][2:]
    want = view.tolist()
    del ckpt
    gc.collect()
    assert view.tolist() == want
    assert len(maps_of(shard)) == 1
    del view
    gc.collect()
    assert maps_of(shard) == []


@linux
def test_the_map_goes_with_the_reader(prefix: str, shard: str) -> None:
    ckpt = tb.open(prefix)
    ckpt["aligned"]
    assert len(maps_of(shard)) == 1
    del ckpt
    gc.collect()
    assert maps_of(shard) == []


@linux
def test_close(prefix: str, shard: str) -> None:
    ckpt = tb.open(prefix)
    view = ckpt["unaligned"]
    assert not ckpt.closed
    ckpt.close()
    ckpt.close()
    assert ckpt.closed
    assert view.tolist() == list(range(10))
    for act in (
        lambda: ckpt["aligned"],
        lambda: ckpt.read("aligned"),
        lambda: ckpt.info("aligned"),
        ckpt.infos,
        lambda: list(ckpt),
        lambda: len(ckpt),
        lambda: "aligned" in ckpt,
        lambda: ckpt.__enter__(),
    ):
        with pytest.raises(ValueError, match="closed"):
            act()
    assert "closed" in repr(ckpt)
    assert len(maps_of(shard)) == 1
    del view
    gc.collect()
    assert maps_of(shard) == []


def test_context_manager(prefix: str) -> None:
    with tb.open(prefix) as ckpt:
        view = ckpt["aligned"]
    assert ckpt.closed
    assert view[0, 1] == 1
    with pytest.raises(ZeroDivisionError), tb.open(prefix) as ckpt:
        1 / 0  # noqa: B018
    assert ckpt.closed


@linux
def test_file_descriptors_are_not_kept(prefix: str) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(20):
        with tb.open(prefix) as ckpt:
            ckpt["aligned"], ckpt["words"]
    gc.collect()
    assert descriptors() == before


def test_replaced_files_are_not_seen(prefix: str, shard: str, tmp_path: Path) -> None:
    ckpt = tb.open(prefix)
    view = ckpt["aligned"]
    (tmp_path / "new").write_bytes(bytes(Path(shard).stat().st_size))
    (tmp_path / "new").replace(shard)
    assert view[3, 24] == 99
    assert ckpt["aligned"][3, 24] == 99


# rows=


def pieces(cuts: list[int], shards: int) -> tuple[Bundle, np.ndarray[Any, Any]]:
    rows = cuts[-1]
    full = np.arange(rows * 6, dtype="<i4").reshape(rows, 2, 3)
    bundle = Bundle(shards=shards)
    slices = [[(start, end - start), (0, 2), None] for start, end in itertools.pairwise(cuts)]
    bundle.add_sliced("w", full, slices, shards=[i % shards for i in range(len(slices))])
    bundle.add("plain", full)
    return bundle, full


ROWS: list[slice | range] = [
    slice(None),
    slice(0, 0),
    slice(3, 7),
    slice(7, 3),
    slice(-5, None),
    slice(None, -30),
    slice(10, 1000),
    slice(-1000, 4),
    slice(None, None, 2),
    slice(1, 29, 7),
    slice(None, None, -1),
    slice(25, 2, -3),
    slice(29, 30),
    slice(None, None, 100),
    range(30),
    range(5, 20, 4),
    range(20, 5, -4),
    range(0),
]


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("name", ["w", "plain"])
@pytest.mark.parametrize("rows", ROWS, ids=repr)
def test_rows(tmp_path: Path, rows: slice | range, name: str, mmap: bool) -> None:
    bundle, full = pieces([0, 1, 8, 9, 17, 30], shards=2)
    ckpt = tb.open(bundle.write(tmp_path / "b"), mmap=mmap)
    index = list(rows) if isinstance(rows, range) else rows
    want = full[index] if not isinstance(index, list) or index else full[:0]
    for options in ({}, {"aligned": True}, {"verify": True}):
        got = ckpt.read(name, rows=rows, **options)
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype
        assert not got.flags.writeable


@linux
def test_rows_of_a_plain_tensor_are_a_view(tmp_path: Path) -> None:
    bundle, _ = pieces([0, 30], shards=1)
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    assert inside(ckpt.read("plain", rows=slice(10, 20)), ckpt.shard_paths()[0])


@linux
def test_rows_touch_only_their_slices(tmp_path: Path) -> None:
    bundle, full = pieces([0, 10, 20, 30], shards=3)
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    paths = ckpt.shard_paths()
    np.testing.assert_array_equal(ckpt.read("w", rows=slice(12, 15)), full[12:15])
    assert [len(maps_of(path)) for path in paths] == [0, 1, 0]
    Path(paths[0]).unlink()
    np.testing.assert_array_equal(ckpt.read("w", rows=slice(20, 30)), full[20:])
    with pytest.raises(FileNotFoundError):
        ckpt.read("w", rows=slice(9, 12))


@linux
def test_rows_inside_one_slice_are_right_when_sliced_by_columns(tmp_path: Path) -> None:
    full = np.arange(60, dtype="<f8").reshape(10, 6)
    bundle = Bundle()
    bundle.add_sliced(
        "w", full, [[(0, 6), (0, 2)], [(0, 6), (2, 4)], [(6, 4), (0, 5)], [(6, 4), (5, 1)]]
    )
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    for start in range(10):
        for stop in range(start, 11):
            got = ckpt.read("w", rows=slice(start, stop))
            np.testing.assert_array_equal(got, full[start:stop])


def bytes_read() -> int:
    with Path("/proc/self/io").open() as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("rchar:"))


@linux
@pytest.mark.parametrize("columns", [False, True])
def test_reading_goes_over_each_slice_once(tmp_path: Path, columns: bool) -> None:
    """64 MB in four slices, without a map: not each slice again for each part of the result."""
    shape = (1 << 14, 1 << 10)
    axis = int(columns)
    quarter = shape[axis] // 4
    bundle = Bundle()
    extents: list[list[Extent]] = [[None, None] for _ in range(4)]
    for i in range(4):
        extents[i][axis] = (i * quarter, quarter)
    bundle.declare("w", 1, shape, extents)
    part = (shape[0] // (1 if columns else 4), shape[1] // (4 if columns else 1))
    size = part[0] * part[1] * 4
    for i, piece in enumerate(extents):
        place = {"shape": part, "offset": i * size, "size": size}
        bundle.add(slice_key(b"w", piece), np.float32(0), data=b"", **place)
    prefix = bundle.write(tmp_path / "b")
    with Path(prefix + ".data-00000-of-00001").open("r+b") as shard:
        shard.truncate(4 * size)  # sparse: it costs no disk
    ckpt = tb.open(prefix, mmap=False)
    before = bytes_read()
    assert ckpt["w"].nbytes == 4 * size
    assert bytes_read() - before < 6 * size


def test_rows_of_strings(tmp_path: Path) -> None:
    words = np.array([[b"%d-%d" % (i, j) for j in range(2)] for i in range(9)], dtype=object)
    bundle = Bundle()
    bundle.add("plain", words)
    bundle.add_sliced("cut", words, [[(0, 4), None], [(4, 5), None]])
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    for name in ckpt:
        for rows in (slice(2, 6), slice(None, None, -2), range(1, 9, 3)):
            index = list(rows) if isinstance(rows, range) else rows
            assert ckpt.read(name, rows=rows).tolist() == words[index].tolist()


def test_rows_that_cannot_be(prefix: str) -> None:
    ckpt = tb.open(prefix)
    with pytest.raises((ValueError, IndexError), match="scalar"):
        ckpt.read("scalar", rows=slice(0, 1))
    with pytest.raises(ValueError, match="step"):
        ckpt.read("aligned", rows=slice(0, 2, 0))
    with pytest.raises(IndexError):
        ckpt.read("aligned", rows=range(2, 6))
    with pytest.raises(TypeError):
        ckpt.read("aligned", rows=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ckpt.read("aligned", rows=slice("a", "b"))
