"""How often a store is asked, and for how many bytes; what is kept of it on this machine."""

from __future__ import annotations

import mmap
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
import writer
from http_store import Behaviour, Request, serve
from tensorbundle._remote import Store
from tensorbundle._remote_kept import Kept
from writer import Bundle

ROOM = 64 << 10


def names(count: int) -> list[str]:
    return [f"layer_{i:06d}/some/scope/kernel" for i in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``small``, ``large`` and ``larger`` by their indexes; ``parts``: one partitioned tensor."""
    folder = tmp_path_factory.mktemp("store")
    for name, count in (
        ("small", 100),
        ("large", 20_000),
        ("larger", 40_000),
        ("largest", 150_000),
    ):
        bundle = Bundle()
        for i, each in enumerate(names(count)):
            bundle.add(each, np.float32(i))
        bundle.write(folder / name)
    parts = Bundle(shards=2)
    table = np.arange(4000 * 8, dtype=np.float32).reshape(4000, 8)
    slices = [[(i * 500, 500), (0, 8)] for i in range(8)]
    parts.add_sliced("table", table, slices, shards=[i // 4 for i in range(8)])
    parts.add("big", np.arange(5 << 20, dtype=np.float32).reshape(-1, 1 << 10))
    parts.write(folder / "parts")
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[Behaviour]:
    with serve(folder) as running:
        yield running


def asked(server: Behaviour, part: str = "") -> list[tuple[int, int] | None]:
    """The ranges of GETs."""
    got = [each for each in server.requests if part in each.path and each.method == "GET"]
    return [each.range for each in got]


@pytest.mark.parametrize("name", ["small", "large", "larger", "largest"])
def test_listing(server: Behaviour, folder: Path, name: str) -> None:
    size = (folder / f"{name}.index").stat().st_size
    assert size < 8 << 20
    with tb.open(f"{server.url}/{name}") as ckpt:
        assert list(ckpt) == list(tb.open(folder / name))
    assert len(server.requests) <= 4, [(each.method, each.range) for each in server.requests]
    assert server.sent() <= size + ROOM
    assert not [each for each in server.requests if ".data-" in each.path]


ASK = """
import sys
import tensorbundle as tb
from tensorbundle import catalog

url = sys.argv[1]
ways = {
    "an odd name": lambda ckpt: "\\0x" in ckpt,
    "no name": lambda ckpt: ckpt.get("layer"),
    "its names": list,
    "shapes": tb.Checkpoint.shapes,
    "dtypes": tb.Checkpoint.dtypes,
    "infos": tb.Checkpoint.infos,
    "variables": lambda ckpt: len(ckpt.variables),
    "objects": lambda ckpt: ckpt.object_graph,
    "columns": lambda ckpt: ckpt.to_arrow(),
    "stats": lambda ckpt: ckpt.stats(names="layer_000000/*"),
    "verify": lambda ckpt: ckpt.verify(),
    "diff": lambda ckpt: tb.diff(ckpt, url, fast=True),
    "rows": lambda ckpt: catalog.rows(url, "checkpoints"),
}
for name, way in ways.items():
    way(tb.open(url))
    print(name)
"""


def test_no_way_of_asking_waits_for_itself(server: Behaviour) -> None:
    """Threads of the core ask Python, so whoever waits for them must have let go of it."""
    command = [sys.executable, "-c", ASK, f"{server.url}/larger"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[-2] == "rows"


def test_one_tensor_of_many(server: Behaviour, folder: Path) -> None:
    size = (folder / "larger.index").stat().st_size
    ckpt = tb.open(f"{server.url}/larger")
    name = names(40_000)[31_000]
    assert ckpt[name] == 31_000
    assert len(asked(server, ".index")) == 3  # its end, the block with the header, one more
    assert server.sent() < size / 2
    assert asked(server, ".data-") == [(31_000 * 4, 31_001 * 4)]


def test_rows(server: Behaviour) -> None:
    ckpt = tb.open(f"{server.url}/parts")
    server.clear()
    big = ckpt.read("big", rows=slice(10, 12))
    assert big[0, 0] == 10 << 10
    assert [end - start for start, end in asked(server, ".data-")] == [2 * 4 << 10]  # type: ignore


def test_a_large_tensor_comes_in_parts(server: Behaviour) -> None:
    ckpt = tb.open(f"{server.url}/parts")
    server.clear()
    assert ckpt["big"][-1, -1] == (5 << 20) - 1
    ranges = sorted(each for each in asked(server, ".data-") if each is not None)
    assert [end - start for start, end in ranges] == [4 << 20] * 5


def test_a_large_tensor_is_checked_in_parts(server: Behaviour) -> None:
    """Its checksum takes all of it, of which several parts are on their way at once."""
    ckpt = tb.open(f"{server.url}/parts", verify=True)
    info = ckpt.info("big")
    server.clear()
    met = threading.Barrier(5)

    def wait(request: Request, _handler: Any) -> bool:
        if request.range is not None and request.range[1] - request.range[0] == 4 << 20:
            met.wait(20)
        return False

    server.fault = wait
    first = next(iter(ckpt.chunks(1 << 20, names=["big"])))
    assert first.array[0, 1] == 1
    sizes = [end - start for start, end in asked(server, ".data-")]  # type: ignore[misc]
    assert sizes.count(4 << 20) == 5
    assert sum(sizes) <= info.nbytes + (4 << 20)


def test_slices(server: Behaviour, folder: Path) -> None:
    ckpt, local = tb.open(f"{server.url}/parts"), tb.open(folder / "parts")
    server.clear()
    assert np.array_equal(ckpt["table"], local["table"])
    assert len(asked(server, ".data-")) == 2  # the slices of a shard lie together
    server.clear()
    rows = ckpt.read("table", rows=slice(490, 510))
    assert np.array_equal(rows, local["table"][490:510])
    assert server.sent() == 20 * 8 * 4 or server.sent() <= 20 * 8 * 4 + ROOM
    assert len(asked(server, ".data-")) == 1


LARGE = """
import sys
import numpy as np
import tensorbundle as tb

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

tb.open(sys.argv[1])["small"]
before = peak()
table = tb.open(sys.argv[1])["table"]
after = peak()
print(after - before, np.array_equal(table, tb.open(sys.argv[2])["table"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_large_partitioned_tensor_takes_its_memory_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = np.arange(80 << 20, dtype=np.float32).reshape(-1, 1 << 10)  # 320 MiB
    bundle = Bundle(shards=2)
    rows = len(table) // 8
    slices = [[(i * rows, rows), (0, 1 << 10)] for i in range(8)]
    with monkeypatch.context() as patch:
        patch.setattr(writer, "raw_payload", lambda data: writer.Payload(data, 0))  # unverified
        bundle.add_sliced("table", table, slices, shards=[i // 4 for i in range(8)])
    bundle.add("small", np.float32(1))
    bundle.write(tmp_path / "m")
    with serve(tmp_path) as server:
        command = [sys.executable, "-c", LARGE, f"{server.url}/m", str(tmp_path / "m")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        kilobytes, same = done.stdout.split()
        assert same == "True"
        assert int(kilobytes) < 1.7 * (320 << 10)
        ranges = [each for each in asked(server, ".data-") if each is not None]
        assert max(end - start for start, end in ranges) <= 4 << 20
        assert sum(end - start for start, end in ranges) == table.nbytes + 4


def test_chunks_merge_small_tensors(server: Behaviour) -> None:
    ckpt = tb.open(f"{server.url}/larger")
    list(ckpt)
    server.clear()
    total = sum(float(chunk.array) for chunk in ckpt.chunks(1 << 20))
    assert total == sum(range(40_000))
    assert len(asked(server, ".data-")) <= 12


def test_statistics_and_differences_merge_small_tensors(server: Behaviour, folder: Path) -> None:
    ckpt = tb.open(f"{server.url}/larger")
    list(ckpt)
    server.clear()
    assert sum(row.max or 0 for row in ckpt.stats().values()) == sum(range(40_000))
    assert asked(server, ".data-") == [(0, 40_000 * 4)]
    server.clear()
    assert not tb.diff(ckpt, folder / "larger")
    assert asked(server, ".data-") == [(0, 40_000 * 4)]


def test_a_cache(server: Behaviour, folder: Path, tmp_path: Path) -> None:
    url, options = f"{server.url}/larger", {"cache": str(tmp_path / "cache")}
    want = list(tb.open(folder / "larger"))
    assert list(tb.open(url, storage_options=options)) == want
    assert asked(server, ".index") == [(0, (folder / "larger.index").stat().st_size)]
    server.clear()
    assert list(tb.open(url, storage_options=options)) == want
    assert [each.method for each in server.requests] == ["HEAD"]
    assert tb.open(url, storage_options=options)[want[7]] == 7


def test_a_damaged_cache_is_not_believed(server: Behaviour, tmp_path: Path) -> None:
    url, options = f"{server.url}/small", {"cache": tmp_path}
    want = list(tb.open(url, storage_options=options))
    (kept,) = tmp_path.glob("*.index")
    whole = kept.read_bytes()
    flipped = bytearray(whole)
    flipped[100] ^= 1
    for damaged in (b"", whole[:-20], whole + b"x", bytes(flipped)):
        kept.write_bytes(damaged)
        server.clear()
        assert list(tb.open(url, storage_options=options)) == want
        assert len(asked(server, ".index")) == 1
        assert kept.read_bytes() == whole
    assert [each.name for each in tmp_path.iterdir()] == [kept.name]


def test_a_cache_holds_one_version(server: Behaviour, folder: Path, tmp_path: Path) -> None:
    url, options = f"{server.url}/small", {"cache": tmp_path}
    tb.open(url, storage_options=options)
    server.contents["/small.index"] = (folder / "large.index").read_bytes()
    assert len(tb.open(url, storage_options=options)) == 20_000
    assert len(list(tmp_path.iterdir())) == 1


def test_a_cache_that_cannot_be_written(server: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    options = {"cache": tmp_path / "file"}
    assert len(tb.open(f"{server.url}/small", storage_options=options)) == 100


def test_the_users_cache(
    server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tb.open(f"{server.url}/small", storage_options={"cache": True})
    assert len(list((tmp_path / "tensorbundle").iterdir())) == 1


def test_paths_and_urls(tmp_path: Path, folder: Path) -> None:
    odd = tmp_path / "dir:"
    odd.mkdir()
    for file in folder.glob("small*"):
        (odd / file.name).write_bytes(file.read_bytes())
    for path in (f"{odd}//small", f"file://{folder}/small", f"file://localhost{folder}/small"):
        with tb.open(path) as ckpt:
            assert len(ckpt) == 100
            assert not ckpt.prefix.startswith("file:")
    with pytest.raises(FileNotFoundError):
        tb.open("unknown://here/small")
    with pytest.raises(ValueError, match="storage_options are for URLs"):
        tb.open(folder / "small", storage_options={"anon": True})


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(tb.CheckpointError, match=r"s3:// URLs need a library.*s3fs"):
        tb.open("s3://bucket/model.ckpt-1")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(
        tb.CheckpointError, match=r"memory:// URLs need fsspec.*tensorbundle\[remote"
    ):
        tb.open("memory://model.ckpt-1")


def test_a_given_file_system(folder: Path) -> None:
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.put(str(folder), "/given", recursive=True)
    ckpt = tb.open("/given/small", storage_options={"filesystem": fs})
    assert len(ckpt) == 100
    assert ckpt[names(3)[2]] == 2
    with pytest.raises(TypeError, match="filesystem="):
        Store("x", {"filesystem": fs}).__reduce__()
    with pytest.raises(TypeError, match="fsspec or a store of obstore, not a dict"):
        tb.open("x", storage_options={"filesystem": {}})
    fs.rm("/given", recursive=True)


@pytest.mark.parametrize("name", ["small", "large", "largest"])
def test_a_file_system_that_tells_no_versions(folder: Path, name: str) -> None:
    """What it gives is held against the version afterwards: an index is read at once, then."""
    from fsspec.implementations.memory import MemoryFileSystem

    made: list[str] = []

    class Counting(MemoryFileSystem):
        def info(self, path: str, **how: Any) -> Any:
            made.append("stat")
            return super().info(path, **how)

        def cat_file(self, path: str, start: Any = None, end: Any = None, **how: Any) -> Any:
            made.append("read")
            return super().cat_file(path, start=start, end=end, **how)

    fs = Counting(skip_instance_cache=True)
    for file in folder.glob(f"{name}.*"):
        fs.pipe_file(f"/counted/{file.name}", file.read_bytes())
    made.clear()
    ckpt = tb.open(f"/counted/{name}", storage_options={"filesystem": fs})
    assert list(ckpt) == list(tb.open(folder / name))
    assert made == ["stat", "read", "stat"]
    made.clear()
    assert ckpt[names(3)[2]] == 2
    assert made == ["stat", "read", "stat"]
    fs.rm("/counted", recursive=True)


def test_what_is_kept_has_its_bounds(tmp_path: Path) -> None:
    kept = Kept()
    for i in range(40):
        kept.put(f"f{i}", "1", bytes(4 << 20))
    there = [i for i in range(40) if kept.get(f"f{i}", "1") is not None]
    assert there == list(range(23, 40))
    assert kept.get("f39", "2") is None
    kept.put("f39", "2", b"other")
    assert kept.get("f39", "1") is None
    with (tmp_path / "file").open("wb+") as file:
        file.write(b"x")
        file.flush()
        for i in range(2000):
            kept.put(f"m{i}", None, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    assert kept.get("m0", None) is None
    assert kept.get("m1999", None)[:] == b"x"
    assert sum(kept.get(f"m{i}", None) is not None for i in range(2000)) == 1024
    assert kept.after_fork().get("m1999", None)[:] == b"x"


def test_obstore(folder: Path) -> None:
    import obstore
    from obstore.store import LocalStore, MemoryStore

    memory = MemoryStore()
    for file in folder.glob("small*"):
        obstore.put(memory, f"run/{file.name}", file.read_bytes())
    for store, path in ((memory, "run/small"), (memory, "run"), (LocalStore(folder), "small")):
        ckpt = tb.open(path, storage_options={"filesystem": store})
        assert list(ckpt) == list(tb.open(folder / "small"))
        assert ckpt[names(3)[2]] == 2
        assert not ckpt.verify().findings
    ckpt = tb.open("run/small", storage_options={"filesystem": memory})
    obstore.put(memory, "run/small.data-00000-of-00001", bytes(400))
    ckpt[names(3)[2]]
    obstore.put(memory, "run/small.data-00000-of-00001", bytes(400))
    with pytest.raises(tb.CorruptionError, match="replaced while it was read"):
        ckpt[names(3)[2]]
    with pytest.raises(FileNotFoundError):
        tb.open("run/nothing", storage_options={"filesystem": memory})
