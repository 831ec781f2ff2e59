"""S3, by a server of its interface on this machine: the suite of reading, and what can happen."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import s3fs
from s3_environment import S3

import tensorbundle as tb
import test_remote
from engine_here import rows_of
from tensorbundle import catalog
from test_remote import (  # noqa: F401 - the same tests, of these stores
    DATA,
    test_a_directory,
    test_catalogs,
    test_every_tensor,
    test_graphs,
    test_what_else_there_is,
)

SECRET = S3["AWS_SECRET_ACCESS_KEY"]


class Stores(test_remote.Stores):
    """Folders by URL of a bucket."""

    def __init__(self, endpoint: str) -> None:
        super().__init__("s3", "")
        self.options = {"key": "tester", "secret": SECRET, "endpoint_url": endpoint}
        self.fs = s3fs.S3FileSystem(**self.options, skip_instance_cache=True)
        self.fs.mkdir("models")

    def url(self, path: Path) -> str:
        folder = path if path.is_dir() else path.parent
        if folder.name == "variables":
            folder = folder.parent
        if folder not in self._there:
            self._there.add(folder)
            for file in folder.rglob("*"):
                if file.is_file():
                    self.fs.pipe_file(f"models{file}", file.read_bytes())
        return f"s3://models{path}"


@pytest.fixture(scope="module")
def stores(endpoint: str) -> Stores:
    return Stores(endpoint)


def shard_of(folder: Path) -> Path:
    (shard,) = folder.glob("*.data-*")
    return shard


def prefix_of(shard: Path) -> Path:
    return shard.with_name(shard.name.partition(".data-")[0])


class Calls:
    """What s3fs asks of the store, and what is done then."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, str]] = []
        self.before: Any = None
        real = s3fs.S3FileSystem._call_s3

        async def call(fs: Any, method: str, *lists: Any, **options: Any) -> Any:
            self.made.append((method, str(options.get("Key", options.get("Prefix", "")))))
            if self.before is not None:
                self.before(method)
            return await real(fs, method, *lists, **options)

        patch.setattr(s3fs.S3FileSystem, "_call_s3", call)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def test_listing_takes_few_requests(stores: Stores, calls: Calls) -> None:
    shard = shard_of(DATA / "mnist_mlp")
    url = stores.url(prefix_of(shard))
    calls.made.clear()
    ckpt = tb.open(url)
    names = list(ckpt)
    assert len(calls.made) <= 4, calls.made
    calls.made.clear()
    assert ckpt[names[0]].shape == ckpt.info(names[0]).shape
    assert [method for method, _ in calls.made] == ["head_object", "get_object"]
    calls.made.clear()
    ckpt[names[1]]
    assert [method for method, _ in calls.made] == ["get_object"]


def test_options_are_for_the_store_and_for_nobody_else(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stores.url(DATA / "mnist_mlp")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    ckpt = tb.open(url, storage_options=stores.options)
    local = tb.open(DATA / "mnist_mlp")
    assert list(ckpt) == list(local)
    assert SECRET.encode() not in pickle.dumps(ckpt)
    assert SECRET not in repr(ckpt)
    with pytest.raises(FileNotFoundError) as missing:
        tb.open(f"{url}/nothing", storage_options=stores.options)
    assert SECRET not in str(missing.value)
    assert "s3://models/" in str(missing.value)


def test_an_object_that_is_replaced_is_an_error(stores: Stores) -> None:
    shard = shard_of(DATA / "mnist_mlp")
    url = stores.url(prefix_of(shard))
    ckpt = tb.open(url)
    first, *_, last = ckpt
    want = ckpt[first].copy()
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    try:
        stores.fs.pipe_file(f"models{shard}", bytes(data))
        with pytest.raises(tb.CorruptionError, match="it was replaced while it was read"):
            ckpt[last]
        anew = tb.open(url)
        assert np.array_equal(anew[first], want)
    finally:
        stores.fs.pipe_file(f"models{shard}", shard.read_bytes())


def test_an_object_that_shrinks_is_an_error(stores: Stores) -> None:
    shard = shard_of(DATA / "mnist_mlp")
    url = stores.url(prefix_of(shard))
    ckpt = tb.open(url)
    first, *_, last = ckpt
    ckpt[first]
    try:
        stores.fs.pipe_file(f"models{shard}", b"short")
        with pytest.raises(tb.CorruptionError, match="it was replaced while it was read"):
            ckpt[last]
    finally:
        stores.fs.pipe_file(f"models{shard}", shard.read_bytes())


def test_a_busy_store_is_asked_again(stores: Stores, calls: Calls) -> None:
    from botocore.exceptions import ClientError

    url = stores.url(DATA / "mnist_mlp")
    left = [3]

    def busy(method: str) -> None:
        if method == "get_object" and left[0]:
            left[0] -= 1
            answer = {"Error": {"Code": "503"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
            raise OSError(16, "slow down") from ClientError(answer, method)

    calls.before = busy
    ckpt = tb.open(url)
    local = tb.open(DATA / "mnist_mlp")
    assert all(np.array_equal(ckpt[name], local[name]) for name in local)
    assert not left[0]


def test_what_is_refused(stores: Stores, calls: Calls) -> None:
    from botocore.exceptions import ClientError

    url = stores.url(DATA / "mnist_mlp")

    def refuse(method: str) -> None:
        answer = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise PermissionError(13, "Forbidden") from ClientError(answer, method)

    calls.before = refuse
    with pytest.raises(PermissionError, match="not with these credentials"):
        tb.open(url)
    calls.before = None
    with pytest.raises(FileNotFoundError, match="s3://no-such-bucket/m"):
        tb.open("s3://no-such-bucket/m")


def test_whole_objects(stores: Stores) -> None:
    path = DATA / "mnist_mlp"
    ckpt = tb.open(stores.url(path), storage_options={"whole_files": True})
    local = tb.open(path)
    assert all(np.array_equal(ckpt[name], local[name]) for name in local)


def test_the_command_line(stores: Stores, tmp_path: Path) -> None:
    url = stores.url(DATA / "mnist_mlp")
    command = [sys.executable, "-m", "tensorbundle"]

    def run(*words: object) -> str:
        done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), words
        return done.stdout

    assert run("ls", url) == run("ls", DATA / "mnist_mlp")
    assert run("cat", url, "dense_2/bias") == run("cat", DATA / "mnist_mlp", "dense_2/bias")
    run("verify", url)
    run("index", url, "-o", tmp_path / "c.duckdb", "-q")
    (row,) = catalog.query(tmp_path / "c.duckdb", "SELECT path FROM checkpoints").rows
    assert row[0].startswith("s3://models/")


def folders(stores: Stores) -> str:
    for name in test_remote.FOLDERS:
        stores.url(DATA / name)
    return f"s3://models{DATA}"


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
