"""Google Cloud Storage, by a server of its API on this machine: the suite of reading, and what can
happen.
"""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import object_stores
import pytest
from gs_server import Gcs, Request, bucket_of
from object_stores import (  # noqa: F401 - the same tests, of these stores
    MNIST,
    data_file,
    prefix_of,
    quiet,
    test_a_busy_store_is_asked_again,
    test_a_large_index_that_is_replaced,
    test_a_store_that_stays_busy_is_an_error,
    test_an_object_that_is_gone,
    test_an_object_that_is_replaced_is_an_error,
    test_an_object_that_shrinks_is_an_error,
    test_listing_takes_few_requests,
    test_options_are_for_the_store_and_for_nobody_else,
    test_ray_indexes_a_store,
    test_spark_indexes_a_store,
    test_the_command_line,
    test_the_command_line_takes_options,
    test_what_is_refused,
    test_whole_objects,
)

import tensorbundle as tb
from tensorbundle import _remote, catalog
from tensorbundle._remote import ReplacedError, Store
from test_remote import (  # noqa: F401 - the same tests, of these stores
    test_a_directory,
    test_catalogs,
    test_every_tensor,
    test_graphs,
    test_what_else_there_is,
)


class Stores(object_stores.Stores):
    """Folders by URL of a bucket."""

    scheme = "gs"
    secret = "s3cr3t-t0ken/of-the-tests"
    environment = ("FSSPEC_GS_TOKEN", "STORAGE_EMULATOR_HOST")

    def __init__(self, server: Gcs) -> None:
        super().__init__()
        self.server = server
        self.options = {"token": self.secret, "endpoint_url": server.url}
        server.fault = self._refuse
        bucket_of(server, "models")

    def put(self, path: Path | str, data: bytes, bucket: str = "models", **more: str) -> None:
        self.server.put(bucket, str(path).lstrip("/"), data, **more)

    def _refuse(self, request: Request) -> tuple[int, dict[str, str]] | None:
        self.made.append((request.kind, request.key))
        status = self.fault(request.kind) if self.fault is not None else None
        return None if status is None else (status, {})


@pytest.fixture(scope="module")
def stores(gcs: Gcs) -> Stores:
    return Stores(gcs)


@pytest.fixture
def server(stores: Stores) -> Any:
    """The server, asked nothing yet; what a test changes is as it was afterwards."""
    store, fault = stores.server, stores.server.fault
    store.requests.clear()
    yield store
    store.complete, store.page, store.fault = True, 1000, fault


def test_a_read_names_the_generation_that_it_wants(
    stores: Stores, server: Gcs, shard: Path
) -> None:
    known = server.storage.get_file_obj("models", str(shard).lstrip("/"))
    ckpt = tb.open(stores.url(prefix_of(shard)))
    ckpt[next(iter(ckpt))]
    reads = [each for each in server.requests if each.kind == "read" and ".data-" in each.key]
    assert [each.query["ifGenerationMatch"] for each in reads] == [known["generation"]]
    assert reads[0].headers["range"].startswith("bytes=0-")


def test_credentials_go_with_each_request(stores: Stores, server: Gcs) -> None:
    ckpt = tb.open(stores.url(MNIST), storage_options=stores.options)
    ckpt[next(iter(ckpt))]
    assert {each.kind for each in server.requests} == {"stat", "list", "read"}
    assert {each.headers["authorization"] for each in server.requests} == {
        f"Bearer {stores.secret}"
    }


def test_who_pays(stores: Stores, server: Gcs) -> None:
    url = stores.url(MNIST)
    ckpt = tb.open(url, storage_options={"requester_pays": "a-project"})
    ckpt[next(iter(ckpt))]
    assert {each.query["userProject"] for each in server.requests} == {"a-project"}
    said = "Bucket is a requester pays bucket but no user project provided."
    server.fault = lambda _request: (400, {"message": said})
    with pytest.raises(
        OSError, match=f'answers 400: {said}: open with.*"requester_pays"'
    ) as caught:
        tb.open(url)
    assert caught.value.filename.startswith(url)


def test_a_token_that_nobody_could_ask_about_is_not_told(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gcsfs import credentials

    def get(url: str, params: dict[str, str], **_: object) -> None:
        from requests import ConnectionError as Lost
        from requests import Request as Asked

        raise Lost(f"cannot reach {Asked('GET', url, params=params).prepare().url}")

    monkeypatch.delenv("FETCH_RAW_TOKEN_EXPIRY")
    monkeypatch.setattr(credentials.requests, "get", get)
    with pytest.raises(OSError, match=r"gs://: ConnectionError: .*access_token=…") as caught:
        tb.open(stores.url(MNIST), storage_options={"token": "an0ther/s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


def test_a_server_that_says_no_generation_is_asked_for_it(
    stores: Stores, server: Gcs, shard: Path
) -> None:
    server.complete = False  # the emulator, as it is
    ckpt, local = tb.open(stores.url(prefix_of(shard))), tb.open(MNIST)
    first, *others = local
    for name in local:
        assert np.array_equal(ckpt[name], local[name])
    server.requests.clear()
    ckpt[first]
    assert [each.kind for each in server.requests] == ["read", "stat"]
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    stores.put(shard, bytes(data))
    for name in (first, others[-1]):
        with pytest.raises(tb.CorruptionError, match="it was replaced while it was read"):
            ckpt[name]
    whole = Store(f"{stores.url(shard)}", {})
    with pytest.raises(ReplacedError, match=r"it is now #\d+ \d+, and was #1 7"):
        whole._backend().backend.fetch(f"models{shard}", "#1 7", _Sink())


class _Sink:
    """A file that takes everything."""

    def seek(self, _: int) -> None: ...
    def truncate(self) -> None: ...
    def write(self, _: bytes) -> None: ...


@pytest.mark.parametrize("status", [412, 416])
def test_bytes_that_are_no_longer_there(stores: Stores, shard: Path, status: int) -> None:
    ckpt = tb.open(stores.url(prefix_of(shard)))
    stores.fault = lambda kind: status if kind == "read" else None
    with pytest.raises(tb.CorruptionError, match="it was replaced while it was read"):
        ckpt[next(iter(ckpt))]


def test_a_server_that_is_down(stores: Stores) -> None:
    url = stores.url(MNIST)
    with pytest.raises(OSError, match="asked 5 times") as caught:
        tb.open(url, storage_options={"endpoint_url": "http://127.0.0.1:9"})
    assert caught.value.filename == f"{url}.index"


def test_new_metadata_leave_an_object_as_it_is(stores: Stores, server: Gcs, shard: Path) -> None:
    ckpt, local = tb.open(stores.url(prefix_of(shard))), tb.open(MNIST)
    first, *_, last = local
    assert np.array_equal(ckpt[first], local[first])
    known = server.storage.get_file_obj("models", str(shard).lstrip("/"))
    known.update(etag="another", metageneration="2", updated="2030-01-02T03:04:05.000Z")
    assert np.array_equal(ckpt[last], local[last])


def test_an_older_generation_by_its_url(stores: Stores, server: Gcs, tmp_path: Path) -> None:
    path = tmp_path / "some.data"
    stores.put(path, b"0123456789")
    known = server.storage.get_file_obj("models", str(path).lstrip("/"))
    url = f"gs://models{path}#{known['generation']}"
    store = Store(url, {})
    version = store.stat(url)[3]
    assert store.read(url, version, 2, 5) == b"234"
    assert {each.query["generation"] for each in server.requests} == {known["generation"]}
    stores.put(path, b"9876543210")
    with pytest.raises(FileNotFoundError):
        store.read(url, version, 2, 5)


def test_what_a_listing_says_is_what_a_read_is_held_to(stores: Stores) -> None:
    url = stores.url(MNIST)
    store = Store(url, {})
    listed = {name: tuple(more) for name, *more in store.list(url)}
    assert set(listed) == {each.name for each in MNIST.iterdir()}
    for name, said in listed.items():
        assert store.stat(f"{url}/{name}") == said
        size = said[1]
        assert size is not None
        assert store.read(f"{url}/{name}", said[3], 0, size) == (MNIST / name).read_bytes()


@pytest.mark.parametrize("page", [1, 2, 3])
def test_listings_in_pages(stores: Stores, server: Gcs, page: int) -> None:
    for name in ("mnist_mlp", "partitioned", "object_graph"):
        stores.url(MNIST.parent / name)
    url = f"gs://models{MNIST.parent}"
    whole = catalog.discover(url)
    server.page = page
    server.requests.clear()
    assert [each.path for each in catalog.discover(url)] == [each.path for each in whole]
    lists = [each for each in server.requests if each.kind == "list"]
    assert any("pageToken" in each.query for each in lists)


@pytest.mark.usefixtures("stores")
def test_directories(server: Gcs) -> None:
    bucket_of(server, "marked")
    server.put("marked", "runs/", b"")  # how consoles make a directory
    server.put("marked", "runs/a/", b"")
    server.put("marked", "runs/one", b"1")
    server.put("marked", "runs/two+2 #%.txt", b"22")
    store = Store("gs://marked/runs", {})
    names = [(name, is_dir) for name, is_dir, *_ in store.list("gs://marked/runs")]
    assert sorted(names) == [("a", True), ("one", False), ("two+2 #%.txt", False)]
    assert store.list("gs://marked/runs/a") == []
    assert store.stat("gs://marked/runs")[0]
    assert store.stat("gs://marked/runs/")[0]
    assert store.stat("gs://marked")[0]
    odd = "gs://marked/runs/two+2 #%.txt"
    is_dir, size, when, version = store.stat(odd)
    assert (is_dir, size) == (False, 2)
    assert when > 0
    assert store.read(odd, version, 0, 2) == b"22"
    with pytest.raises(NotADirectoryError):
        store.list("gs://marked/runs/one")
    for path in ("runs/nothing", "run", "runs/on"):
        with pytest.raises(FileNotFoundError):
            store.stat(f"gs://marked/{path}")
        with pytest.raises(FileNotFoundError):
            store.list(f"gs://marked/{path}")
    bucket_of(server, "empty")
    assert Store("gs://empty", {}).list("gs://empty") == []
    assert Store("gs://empty", {}).stat("gs://empty")[0]
    with pytest.raises(FileNotFoundError):
        Store("gs://no-such-bucket", {}).stat("gs://no-such-bucket")


def test_an_object_that_is_stored_packed(stores: Stores, tmp_path: Path) -> None:
    for file in MNIST.iterdir():
        data = file.read_bytes()
        packed = gzip.compress(data) if ".data-" in file.name else data
        more = {"contentEncoding": "gzip"} if packed is not data else {}
        stores.put(tmp_path / file.name, packed, **more)
    ckpt = tb.open(f"gs://models{tmp_path}")
    with pytest.raises(OSError, match=r"stored with Content-Encoding: gzip.*upload it without"):
        ckpt[next(iter(ckpt))]


def test_a_store_may_ask_for_time(
    stores: Stores, server: Gcs, shard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(_remote.time, "sleep", waited.append)
    ckpt = tb.open(stores.url(prefix_of(shard)))
    left = [2]

    def busy(_request: Request) -> tuple[int, dict[str, str]] | None:
        left[0] -= 1
        return (429, {"Retry-After": "7"}) if left[0] >= 0 else None

    server.fault = busy
    ckpt[next(iter(ckpt))]
    assert waited == [7.0, 7.0]


def test_a_given_file_system(stores: Stores, server: Gcs) -> None:
    stores.url(MNIST)
    fs = fsspec.filesystem("gs", endpoint_url=server.url, use_listings_cache=False)
    with tb.open(f"models{MNIST}", storage_options={"filesystem": fs}) as ckpt:
        assert np.array_equal(ckpt["dense_2/bias"], tb.open(MNIST)["dense_2/bias"])
    assert all("ifGenerationMatch" in each.query for each in server.requests if each.kind == "read")


def test_gcsfs_writes_no_log_of_its_own(stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ckpt = tb.open(stores.url(MNIST))
        stores.fault = lambda _kind: 401
        with pytest.raises(PermissionError):
            ckpt[next(iter(ckpt))]
    assert [each.name for each in caplog.records] == []
