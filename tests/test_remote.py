"""The same reading over local files, fsspec's memory and HTTP: every value as it is locally."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

import tensorbundle as tb
from http_store import serve
from tensorbundle import catalog

DATA = Path(__file__).parent / "data"
CORPUS = Path(os.environ["TENSORBUNDLE_CORPUS"]) if "TENSORBUNDLE_CORPUS" in os.environ else None
LARGEST = 64 << 20


def prefixes() -> list[Path]:
    """V2 checkpoints, and V1 files, by path."""
    found = sorted(DATA.rglob("*.index"))
    if CORPUS is not None:
        sizes = {
            path: sum(f.stat().st_size for f in path.parent.iterdir() if f.is_file())
            for path in CORPUS.rglob("*.index")
        }
        found += sorted(path for path, size in sizes.items() if size < LARGEST)
        found += sorted(each for each in CORPUS.glob("v1*/*") if each.is_file())
    return [path.with_suffix("") if path.suffix == ".index" else path for path in found]


class Stores:
    """Folders by URL: put there when they are first asked for."""

    def __init__(self, kind: str, base: str) -> None:
        self.kind = kind
        self.base = base
        self._there: set[Path] = set()

    def url(self, path: Path) -> str:
        if self.kind == "local":
            return str(path)
        if self.kind == "http":
            return f"{self.base}{path}"
        folder = path if path.is_dir() else path.parent
        if folder.name == "variables":
            folder = folder.parent
        if folder not in self._there:
            self._there.add(folder)
            fsspec.filesystem("memory").put(str(folder), f"{folder}", recursive=True)
        return f"memory:/{path}"


@pytest.fixture(scope="module", params=["local", "memory", "http"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "http":
        with serve(Path("/")) as server:
            yield Stores("http", server.url)
        return
    yield Stores(request.param, "")
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()


def same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype.hasobject:
        return a.shape == b.shape and a.tolist() == b.tolist()
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@pytest.mark.parametrize("path", prefixes(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_tensor(stores: Stores, path: Path) -> None:
    try:
        local = tb.open(path, mmap=False)
    except (tb.CheckpointError, OSError) as error:
        with pytest.raises(type(error)):
            tb.open(stores.url(path))
        return
    ckpt = tb.open(stores.url(path))
    assert list(ckpt) == list(local)
    assert [repr(info) for info in ckpt.infos()] == [repr(info) for info in local.infos()]
    for name in local:
        try:
            want = local[name]
        except (tb.CheckpointError, OSError) as error:
            with pytest.raises(type(error)):
                ckpt[name]
            continue
        assert same(ckpt[name], want), name
        if want.ndim and len(want) > 2:
            assert same(ckpt.read(name, rows=slice(1, 3)), want[1:3]), name


FOLDERS = ["mnist_mlp", "partitioned", "object_graph", "saved_model", "every_dtype"]


@pytest.mark.parametrize("name", FOLDERS)
def test_what_else_there_is(stores: Stores, name: str) -> None:
    path = DATA / name
    local, url = tb.open(path, mmap=False), stores.url(path)
    ckpt = tb.open(url, mmap=False)
    report, ours = local.verify(), ckpt.verify()
    assert [each.kind for each in ours.findings] == [each.kind for each in report.findings]
    assert [each.kind for each in ours.notes] == [each.kind for each in report.notes]
    assert (ours.tensors, ours.bytes) == (report.tensors, report.bytes)
    assert dict(ckpt.stats()) == dict(local.stats())
    assert tb.diff(url, path).counts["equal"] == len(local)
    assert [v.name for v in ckpt.variables] == [v.name for v in local.variables]
    assert (ckpt.meta_path is None) == (local.meta_path is None)
    assert (ckpt.object_graph is None) == (local.object_graph is None)
    left = {name: int(np.prod(shape)) for name, shape in local.shapes().items()}
    for name, part, array in ckpt.chunks(4096):  # in other pieces than those of a local file
        assert same(array, local[name][part] if part else local[name])
        left[name] -= np.size(array)
    assert not any(left.values())


def test_a_directory(stores: Stores) -> None:
    path = DATA / "mnist_mlp"
    local, url = tb.list_checkpoints(path), stores.url(path)
    found = tb.list_checkpoints(url)
    assert [(a.name, a.format, a.files) for a in found] == [
        (b.name, b.format, b.files) for b in local
    ]
    assert found[0].prefix == f"{url}/{local[0].name}"
    latest = tb.train.latest_checkpoint(url)
    assert latest == found[0].prefix
    assert tb.train.checkpoint_exists(url)
    assert not tb.train.checkpoint_exists(f"{url}/nothing")
    assert tb.train.list_variables(url) == tb.train.list_variables(path)


def test_graphs(stores: Stores) -> None:
    path = DATA / "saved_model"
    local, model = tb.load_saved_model(path), tb.load_saved_model(stores.url(path))
    assert model.tags == local.tags
    assert list(model.signatures) == list(local.signatures)
    assert model.check_fingerprint() == local.check_fingerprint()
    assert [(a.filename, a.size) for a in model.assets] == [
        (a.filename, a.size) for a in local.assets
    ]
    assert model.assets_extra == local.assets_extra
    assert model.checkpoint is not None
    assert local.checkpoint is not None
    assert list(model.checkpoint) == list(local.checkpoint)
    meta = next((DATA / "mnist_mlp").glob("*.meta"))
    graph = tb.load_meta_graph(stores.url(meta))
    assert len(graph.graph) == len(tb.load_meta_graph(meta).graph)


def test_catalogs(stores: Stores, tmp_path: Path) -> None:
    root = tmp_path / "models"
    for name in FOLDERS:
        shutil.copytree(DATA / name, root / name)
    url = stores.url(root)
    places, local = catalog.discover(url), catalog.discover(root)
    assert [p.path.removeprefix(url) for p in places] == [
        p.path.removeprefix(str(root)) for p in local
    ]
    assert [p.bytes for p in places] == [p.bytes for p in local]
    rows = catalog.rows([p.path for p in places], "checkpoints", stats=True)
    want = catalog.rows([p.path for p in local], "checkpoints", stats=True)
    for column in ("status", "tensors", "bytes", "fingerprint", "files", "file_bytes", "nodes"):
        assert rows.column(column) == want.column(column), column
    report = catalog.index(url, tmp_path / "all.duckdb")
    assert (report.found, report.changed, report.bad) == (len(local), len(local), 0)
    again = catalog.index(url, tmp_path / "all.duckdb")
    assert (again.changed, again.kept) == (0, len(local))
