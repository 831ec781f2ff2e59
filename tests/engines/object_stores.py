"""What holds in every store of objects, whoever keeps it: tests for ``stores`` of each.

A module that imports these names has a fixture ``stores``, of its own subclass of :class:`Stores`.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
import test_remote
from engine_here import rows_of
from tensorbundle import _remote, catalog
from tensorbundle._remote_answers import PIECE
from test_remote import DATA
from writer import Bundle

MNIST = DATA / "mnist_mlp"


class Stores(test_remote.Stores):
    """Folders by URL of the bucket ``models``; what the store is asked, and refuses."""

    scheme: str
    secret: str
    options: dict[str, Any]
    """What reaches the store, where the environment says nothing of it."""
    environment: tuple[str, ...]
    made: list[tuple[str, str]]
    """Each question: ``stat``, ``read`` or ``list``, and of what."""
    fault: Callable[[str], int | None] | None = None
    """Refuses a question by a status."""

    def __init__(self) -> None:
        super().__init__(self.scheme, f"{self.scheme}://models")
        self.made = []

    def put(self, path: Path | str, data: bytes, bucket: str = "models") -> None:
        raise NotImplementedError

    def url(self, path: Path) -> str:
        folder = path if path.is_dir() else path.parent
        if folder.name == "variables":
            folder = folder.parent
        if folder not in self._there:
            self._there.add(folder)
            for file in folder.rglob("*"):
                if file.is_file():
                    self.put(file, file.read_bytes())
        return f"{self.base}{path}"

    def asked(self) -> list[str]:
        kinds = [kind for kind, _ in self.made]
        self.made.clear()
        return kinds


@pytest.fixture(autouse=True)
def quiet(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_remote, "DELAY", 0.01)
    stores.made.clear()
    yield
    stores.fault = None


@pytest.fixture(name="shard")
def data_file(stores: Stores) -> Iterator[Path]:
    """The data file of a checkpoint, which a test may change."""
    (path,) = MNIST.glob("*.data-*")
    stores.url(MNIST)
    yield path
    stores.put(path, path.read_bytes())


def prefix_of(shard: Path) -> Path:
    return shard.with_name(shard.name.partition(".data-")[0])


def run(*words: object) -> str:
    command = [sys.executable, "-m", "tensorbundle", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), words
    return done.stdout


def test_listing_takes_few_requests(stores: Stores, shard: Path) -> None:
    url = stores.url(prefix_of(shard))
    stores.made.clear()
    ckpt = tb.open(url)
    names = list(ckpt)
    assert len(stores.made) <= 4, stores.made
    stores.made.clear()
    assert ckpt[names[0]].shape == ckpt.info(names[0]).shape
    assert stores.asked() == ["stat", "read"]
    for name in names[1:]:
        ckpt[name]
    assert stores.asked() == ["read"] * len(names[1:])


def test_a_large_index_that_is_replaced(stores: Stores, tmp_path: Path) -> None:
    """It comes in pieces, all of one version."""
    bundle = Bundle()
    for i in range(60_000):
        bundle.add(f"layer_{i:06d}/some/scope/kernel", np.float32(i))
    bundle.write(tmp_path / "m")
    url = stores.url(tmp_path / "m")
    index = (tmp_path / "m.index").read_bytes()
    assert len(index) > 3 * PIECE
    stores.made.clear()
    with tb.open(url) as ckpt:
        assert list(ckpt) == list(tb.open(tmp_path / "m"))
    assert stores.asked() == ["stat", "read", "read", "read"]
    ckpt = tb.open(url)
    stores.put(tmp_path / "m.index", index[:-200_000] + b"!" + index[-199_999:])
    with pytest.raises(tb.CorruptionError, match="replaced while it was read"):
        list(ckpt)


def test_options_are_for_the_store_and_for_nobody_else(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stores.url(MNIST)
    for name in stores.environment:
        monkeypatch.delenv(name)
    ckpt = tb.open(url, storage_options=stores.options)
    local = tb.open(MNIST)
    assert list(ckpt) == list(local)
    assert stores.secret.encode() not in pickle.dumps(ckpt)
    assert stores.secret not in repr(ckpt)
    with pytest.raises(FileNotFoundError) as missing:
        tb.open(f"{url}/nothing", storage_options=stores.options)
    stores.fault = lambda _kind: 403
    with pytest.raises(PermissionError) as refused:
        tb.open(url, storage_options=stores.options)
    for caught in (missing, refused):
        assert stores.secret not in str(caught.value)
        assert f"{stores.scheme}://models/" in str(caught.value)


def test_an_object_that_is_replaced_is_an_error(stores: Stores, shard: Path) -> None:
    url = stores.url(prefix_of(shard))
    ckpt = tb.open(url)
    first, *_, last = ckpt
    want = ckpt[first].copy()
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    stores.put(shard, bytes(data))
    for name in (first, last):
        with pytest.raises(tb.CorruptionError, match="it was replaced while it was read") as caught:
            ckpt[name]
        assert f"{url}.data-00000-of-00001" in str(caught.value)
    assert np.array_equal(tb.open(url)[first], want)


def test_an_object_that_shrinks_is_an_error(stores: Stores, shard: Path) -> None:
    ckpt = tb.open(stores.url(prefix_of(shard)))
    first, *_, last = ckpt
    ckpt[first]
    stores.put(shard, b"short")
    with pytest.raises(tb.CorruptionError, match="it was replaced while it was read"):
        ckpt[last]


def test_a_busy_store_is_asked_again(stores: Stores) -> None:
    url = stores.url(MNIST)
    left = [3]

    def busy(kind: str) -> int | None:
        if kind == "read" and left[0]:
            left[0] -= 1
            return 503
        return None

    stores.fault = busy
    ckpt = tb.open(url)
    local = tb.open(MNIST)
    assert all(np.array_equal(ckpt[name], local[name]) for name in local)
    assert not left[0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_store_that_stays_busy_is_an_error(stores: Stores, shard: Path, status: int) -> None:
    ckpt = tb.open(stores.url(prefix_of(shard)))
    stores.fault = lambda kind: status if kind == "read" else None
    stores.made.clear()
    with pytest.raises(OSError, match="asked 5 times") as caught:
        ckpt[next(iter(ckpt))]
    assert caught.value.filename == ckpt.shard_paths()[0]
    assert stores.asked().count("read") == 5


def test_what_is_refused(stores: Stores) -> None:
    url = stores.url(MNIST)
    stores.fault = lambda _kind: 403
    with pytest.raises(PermissionError, match="answers 403: not with these credentials"):
        tb.open(url)
    stores.fault = None
    with pytest.raises(FileNotFoundError, match=f"{stores.scheme}://no-such-bucket/m"):
        tb.open(f"{stores.scheme}://no-such-bucket/m")


def test_an_object_that_is_gone(stores: Stores, shard: Path) -> None:
    ckpt = tb.open(stores.url(prefix_of(shard)))
    stores.fault = lambda kind: 404 if kind == "read" else None
    with pytest.raises(FileNotFoundError) as caught:
        ckpt[next(iter(ckpt))]
    assert caught.value.filename == ckpt.shard_paths()[0]


def test_whole_objects(stores: Stores) -> None:
    ckpt = tb.open(stores.url(MNIST), storage_options={"whole_files": True})
    local = tb.open(MNIST)
    assert all(np.array_equal(ckpt[name], local[name]) for name in local)


def test_the_command_line(stores: Stores, tmp_path: Path) -> None:
    url = stores.url(MNIST)
    assert run("ls", url) == run("ls", MNIST)
    assert run("cat", url, "dense_2/bias") == run("cat", MNIST, "dense_2/bias")
    run("verify", "-q", url)
    run("index", url, "-o", tmp_path / "c.duckdb", "-q")
    (row,) = catalog.query(tmp_path / "c.duckdb", "SELECT path FROM checkpoints").rows
    assert row[0].startswith(f"{stores.scheme}://models/")


def test_the_command_line_takes_options(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stores.url(MNIST)
    for name in stores.environment:
        monkeypatch.delenv(name)
    options = [
        word
        for name, value in stores.options.items()
        for word in ("--storage-option", f"{name}={value}")
    ]
    assert run("ls", url, *options) == run("ls", MNIST)
    run("verify", "-q", url, *options)
    run("index", url, "-o", tmp_path / "c.jsonl", "-q", *options)
    for file in tmp_path.iterdir():
        assert stores.secret not in file.read_text(encoding="utf-8")


def folders(stores: Stores) -> str:
    for name in test_remote.FOLDERS:
        stores.url(DATA / name)
    return f"{stores.base}{DATA}"


@pytest.mark.usefixtures("cluster")
def test_ray_indexes_a_store(stores: Stores, tmp_path: Path) -> None:
    from tensorbundle.engines import ray as of_ray

    root = folders(stores)
    local = catalog.index(root, tmp_path / "local.parquet")
    report = of_ray.index(root, tmp_path / "c")
    assert (report.changed, report.bad) == (local.found, local.bad)
    assert rows_of(tmp_path / "c") == rows_of(tmp_path / "local.parquet")
    assert of_ray.index(root, tmp_path / "c").changed == 0


def test_spark_indexes_a_store(stores: Stores, spark: Any, tmp_path: Path) -> None:
    from tensorbundle.engines import spark as of_spark

    root = folders(stores)
    local = catalog.index(root, tmp_path / "local.parquet")
    report = of_spark.index(root, tmp_path / "c")
    assert (report.changed, report.bad) == (local.found, local.bad)
    assert rows_of(tmp_path / "c") == rows_of(tmp_path / "local.parquet")
    of_spark.register(spark)
    found = spark.read.format("tensorbundle").option("table", "tensors").load(root)
    assert found.count() == len(rows_of(tmp_path / "c")["tensors"]) - 1
