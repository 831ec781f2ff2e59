"""Checkpoint.chunks: everything once, in file order, in bounded pieces, whoever stops or forks."""

from __future__ import annotations

import gc
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorbundle as tb
from test_views import MB, anonymous, inside, linux
from writer import Bundle, shard_path
from writer_v1 import V1File

WIDE = np.arange(3 * 50 * 7, dtype=np.int32).reshape(3, 50, 7)
WORDS = np.array([b"a", b"", b"three"], object)


def mixed(**options: Any) -> Bundle:
    bundle = Bundle(shards=2, **options)
    bundle.add("z", np.arange(100, dtype=np.float64).reshape(20, 5), shard=0)
    bundle.add("words", WORDS, shard=1)
    bundle.add("half", np.arange(40, dtype=ml_dtypes.bfloat16), shard=1)
    bundle.add("a", np.int64(7), shard=1)
    bundle.add("empty", np.zeros((0, 4), np.float32), shard=0)
    bundle.add_sliced(
        "parted",
        WIDE,
        [[(0, 3), (0, 20), None], [(0, 3), (20, 30), None]],
        shards=[1, 0],
    )
    bundle.add("flat", np.arange(300, dtype=np.uint8).reshape(1, 1, 300), shard=0)
    return bundle


@pytest.fixture
def path(tmp_path: Path) -> str:
    return mixed().write(tmp_path / "ckpt")


def joined(ckpt: tb.Checkpoint, *args: Any, **options: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors put together from their pieces; every element must come once."""
    out: dict[str, np.ndarray[Any, Any]] = {}
    seen: dict[str, np.ndarray[Any, Any]] = {}
    for name, part, array in ckpt.chunks(*args, **options):
        info = ckpt.info(name)
        if name not in out:
            out[name] = np.empty(info.shape, info.dtype)
            seen[name] = np.zeros(info.shape, int)
        assert not array.flags.writeable
        assert array.shape == out[name][part].shape
        out[name][part] = array
        seen[name][part] += 1
    assert all((count == 1).all() for count in seen.values())
    return out


@pytest.mark.parametrize("read_ahead", [True, False])
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("max_bytes", [16, 28, 100, 1 << 20])
@pytest.mark.parametrize("big", [True, False])
def test_everything_once(
    tmp_path: Path, read_ahead: bool, mmap: bool, max_bytes: int, big: bool
) -> None:
    path = mixed(big_endian=big).write(tmp_path / "ckpt")
    with tb.open(path, mmap=mmap, verify=True) as ckpt:
        got = joined(ckpt, max_bytes, read_ahead=read_ahead)
        assert got.keys() == set(ckpt)
        for name, array in got.items():
            assert np.array_equal(array, ckpt[name]), name
            assert array.dtype == ckpt[name].dtype
        for _, _, array in ckpt.chunks(max_bytes):
            assert array.nbytes <= max_bytes or array.dtype == object


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(0, 5), max_size=4).map(tuple),
    max_bytes=st.integers(16, 400),
    parted=st.booleans(),
)
def test_any_shape_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, ...],
    max_bytes: int,
    parted: bool,
) -> None:
    value = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    bundle = Bundle()
    if parted and shape and shape[-1] > 1:
        rest = [None] * (len(shape) - 1)
        bundle.add_sliced("w", value, [[*rest, (0, 1)], [*rest, (1, shape[-1] - 1)]])
    else:
        bundle.add("w", value)
    with tb.open(bundle.write(tmp_path_factory.mktemp("cut") / "ckpt")) as ckpt:
        got = joined(ckpt, max_bytes)
        assert np.array_equal(got["w"], value)
        sizes = [chunk.array.nbytes for chunk in ckpt.chunks(max_bytes)]
    assert max(sizes) <= max_bytes
    assert sum(sizes) == value.nbytes


def test_in_file_order(path: str) -> None:
    with tb.open(path) as ckpt:
        names = list(dict.fromkeys(chunk.name for chunk in ckpt.chunks()))
        assert names == ["z", "empty", "parted", "flat", "words", "half", "a"]
        starts = [(chunk.name, chunk.part) for chunk in ckpt.chunks(40, names=["half", "z"])]
    assert starts[:2] == [("z", (slice(0, 1),)), ("z", (slice(1, 2),))]
    assert starts[-2:] == [("half", (slice(0, 20),)), ("half", (slice(20, 40),))]


def test_a_row_that_is_too_large_is_cut_inside(path: str) -> None:
    with tb.open(path) as ckpt:
        parts = [chunk.part for chunk in ckpt.chunks(100, names=["flat"])]
        assert parts == [(0, 0, slice(i, i + 100)) for i in (0, 100, 200)]
        first = next(ckpt.chunks(280, names=["parted"]))
        assert first.part == (0, slice(0, 10))
        assert np.array_equal(first.array, WIDE[0, :10])


def test_names(path: str, data_dir: Path) -> None:
    with tb.open(path) as ckpt:
        assert [c.name for c in ckpt.chunks(names=["a", "z", "a"])] == ["z", "a"]
        assert list(ckpt.chunks(names=[])) == []
        with pytest.raises(tb.TensorNotFoundError, match="did you mean"):
            ckpt.chunks(names=["wordz"])
        with pytest.raises(TypeError, match="several names"):
            ckpt.chunks(names="a")
        with pytest.raises(ValueError, match="at least 16"):
            ckpt.chunks(15)
    with pytest.raises(ValueError, match="closed"):
        ckpt.chunks()
    with tb.open(data_dir / "object_graph") as ckpt:
        (chunk,) = ckpt.chunks(names=["layer/bias"])
        assert chunk.name == "layer/bias/.ATTRIBUTES/VARIABLE_VALUE"


def test_views_where_they_can_be(path: str) -> None:
    with tb.open(path) as ckpt:
        for name, _, array in ckpt.chunks(64):
            view = array.size and name not in ("words", "parted")
            assert any(inside(array, shard) for shard in ckpt.shard_paths()) == bool(view), name


@pytest.mark.parametrize("format_row", ["v1", "salvaged"])
def test_other_checkpoints(tmp_path: Path, path: str, format_row: str) -> None:
    if format_row == "v1":
        file = V1File()
        file.add_sliced("w", WIDE, [[(0, 1), None, None], [(1, 2), None, None]])
        file.add("words", WORDS)
        with tb.open(file.write(tmp_path / "v1")) as ckpt:
            got = joined(ckpt, 100)
            assert np.array_equal(got["w"], WIDE)
            assert np.array_equal(got["words"], WORDS)
        return
    flip(shard_path(path, 0, 2), 8)
    with tb.open(path, on_error="skip") as ckpt:
        assert joined(ckpt, 100).keys() == set(ckpt) == set(tb.open(path)) - {"z"}
        with pytest.raises(tb.CorruptionError, match="checksum"):
            ckpt.chunks(names=["z"])


def flip(path: str, offset: int) -> None:
    data = bytearray(Path(path).read_bytes())
    data[offset] ^= 1
    Path(path).write_bytes(data)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("name", ["z", "parted", "words"])
def test_checksums_are_checked_before_the_first_piece(path: str, mmap: bool, name: str) -> None:
    with tb.open(path) as ckpt:
        order = list(dict.fromkeys(chunk.name for chunk in ckpt.chunks()))
        info = ckpt.info(name)
        at = info if not info.slices else info.slices[-1]
        assert at.shard is not None
        assert at.offset is not None
        assert at.nbytes is not None
        flip(ckpt.shard_paths()[at.shard], at.offset + at.nbytes - 1)
    got: list[str] = []
    with tb.open(path, mmap=mmap, verify=True) as ckpt:
        with pytest.raises(tb.CorruptionError, match="checksum") as caught:
            got.extend(chunk.name for chunk in ckpt.chunks(40))
        assert caught.value.tensor == name
        assert list(dict.fromkeys(got)) == order[: order.index(name)]  # what came before came


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("read_ahead", [True, False])
def test_a_file_that_was_cut_short_is_an_error(
    tmp_path: Path, mmap: bool, read_ahead: bool
) -> None:
    bundle = Bundle()
    bundle.add("w", np.ones((64, 4096), np.float32))
    path = bundle.write(tmp_path / "ckpt")
    with tb.open(path, mmap=mmap) as ckpt:
        pieces = ckpt.chunks(1 << 16, read_ahead=read_ahead)
        next(pieces)
        os.truncate(shard_path(path, 0, 1), 1 << 19)
        with pytest.raises(tb.CorruptionError, match="it ends here"):
            sum(1 for _ in pieces)


def test_a_shape_that_is_only_claimed(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("w", np.zeros(4, np.float32), shape=(1 << 40, 2, 1 << 10), size=1 << 53)
    with tb.open(bundle.write(tmp_path / "ckpt")) as ckpt, pytest.raises(tb.CorruptionError):
        next(ckpt.chunks(64))


def readers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "tensorbundle-chunks"]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@linux
@pytest.mark.parametrize("mmap", [True, False])
def test_nothing_outlasts_an_iteration_that_stops(path: str, mmap: bool) -> None:
    gc.collect()  # what other tests left
    before = descriptors()
    for stop_after in range(4):
        ckpt = tb.open(path, mmap=mmap)
        pieces = ckpt.chunks(40)
        for _ in range(stop_after):
            next(pieces)
        ckpt.close()
        assert next(pieces).array.size  # goes on
        pieces.close()
        assert readers() == []
        del pieces
        for chunk in tb.open(path, mmap=mmap).chunks(40):
            del chunk
            break
    assert readers() == []
    assert descriptors() == before


def test_no_thread_to_be_had(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with tb.open(path) as ckpt:
        assert joined(ckpt, 40).keys() == set(ckpt)


@linux
def test_after_a_fork_it_goes_on(path: str) -> None:
    with tb.open(path, mmap=False) as ckpt:
        want = [chunk.array.tobytes() for chunk in ckpt.chunks(40) if chunk.name != "words"]
        pieces = (chunk for chunk in ckpt.chunks(40) if chunk.name != "words")
        got = [next(pieces).array.tobytes() for _ in range(3)]
        child = os.fork()
        if not child:
            rest = [chunk.array.tobytes() for chunk in pieces]
            os._exit(0 if got + rest == want else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert got + [chunk.array.tobytes() for chunk in pieces] == want


def test_many_threads(path: str) -> None:
    with tb.open(path, mmap=False) as ckpt:
        want = {name: array.tolist() for name, array in joined(ckpt, 40).items()}
        results: list[dict[str, Any]] = []

        def run() -> None:
            results.append({name: array.tolist() for name, array in joined(ckpt, 40).items()})

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [want] * 6


@linux
@pytest.mark.parametrize("verify", [True, False])
def test_memory_is_bounded(tmp_path: Path, verify: bool) -> None:
    bundle = Bundle()
    bundle.add("large", np.ones((64, MB // 4), np.float32))
    halves = [[None, (0, MB // 8)], [None, (MB // 8, MB // 8)]]
    bundle.add_sliced("parted", np.ones((32, MB // 4), np.float32), halves)
    path = bundle.write(tmp_path / "ckpt")
    del bundle
    with tb.open(path, mmap=False, verify=verify) as ckpt:
        next(ckpt.chunks(4 * MB))
        before, most = anonymous(), 0
        for chunk in ckpt.chunks(4 * MB):
            assert chunk.array[0, 0] == 1
            del chunk
            most = max(most, anonymous() - before)
    assert most < 24 * MB
    shutil.rmtree(tmp_path)
