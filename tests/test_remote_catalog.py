"""A catalog of a store that fails: no row is lost, and what was not read is read next time."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine_here import index_here, rows_of
from http_faults import fewer, reset, short, status
from http_store import Behaviour, Request, serve
from tensorbundle import _remote, catalog
from writer import Bundle

DATA = Path(__file__).parent / "data"
COUNT = 24


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote, "DELAY", 0.01)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with checkpoints of some shards, one with a graph; one that is broken in any case."""
    root = tmp_path_factory.mktemp("models")
    for i in range(COUNT):
        bundle = Bundle(shards=1 + i % 2)
        for k in range(i + 1):
            bundle.add(f"layer_{k}/kernel", [[float(i), float(k)]], shard=k % (1 + i % 2))
        (root / f"run-{i % 4}").mkdir(exist_ok=True)
        bundle.write(root / f"run-{i % 4}" / f"model-{i}")
    shutil.copytree(DATA / "mnist_mlp", root / "graph")
    (root / "run-0" / "model-8.index").write_bytes(b"no index")
    return root


@pytest.fixture
def server(store: Path) -> Iterator[Behaviour]:
    with serve(store) as running:
        yield running


def local(roots: str, output: Path) -> dict[str, list[Any]]:
    catalog.index(roots, output / "local.parquet")
    return rows_of(output / "local.parquet")


def job(roots: str, output: Path) -> dict[str, list[Any]]:
    index_here(roots, output / "job")
    return rows_of(output / "job")


RUNS = pytest.mark.parametrize("run", [local, job])
Run = Callable[[str, Path], dict[str, list[Any]]]


class EachOnce:
    """Whatever is asked for fails, in some way that passes, before it is answered."""

    def __init__(self) -> None:
        self.asked: set[tuple[object, ...]] = set()
        self.lock = threading.Lock()
        self.chance = random.Random(11)

    def __call__(self, request: Request, handler: Any) -> bool:
        what = [status(429), status(503, Retry_After="0"), status(500), reset]
        if request.range is not None and request.range[1] - request.range[0] > 7:
            what += [short, fewer]
        with self.lock:
            key = (request.method, request.path, request.range)
            if key in self.asked:
                return False
            self.asked.add(key)
            fault = self.chance.choice(what)
        fault(request, handler)
        return True


@RUNS
def test_what_passes_leaves_no_trace(server: Behaviour, run: Run, tmp_path: Path) -> None:
    (tmp_path / "faults").mkdir()
    want = run(server.url, tmp_path)
    assert len(want["checkpoints"]) == 1 + COUNT + 1
    server.fault = EachOnce()
    assert run(server.url, tmp_path / "faults") == want


ASKED = "asked 5 times"
LASTING = [
    pytest.param(status(403), "not with these credentials", "GET", id="403"),
    pytest.param(status(500), ASKED, "GET", id="500"),
    pytest.param(status(500), ASKED, "HEAD", id="500-head"),
    pytest.param(reset, ASKED, "GET", id="reset"),
    pytest.param(reset, ASKED, "HEAD", id="reset-head"),
    pytest.param(short, ASKED, "GET", id="short"),
]


@RUNS
@pytest.mark.parametrize(("what", "reason", "method"), LASTING)
def test_what_was_not_read_is_a_row_and_read_again(
    server: Behaviour, run: Run, what: Any, reason: str, method: str, tmp_path: Path
) -> None:
    (tmp_path / "clean").mkdir()
    want = run(server.url, tmp_path / "clean")
    hidden = ["/run-1/model-5.index", "/run-2/model-10.index", "/graph/model.ckpt-1000.meta"]

    def fault(request: Request, handler: Any) -> bool:
        if request.method != method or request.path not in hidden:
            return False
        what(request, handler)
        return True

    server.fault = fault
    found = run(server.url, tmp_path)
    names, *rows = found["checkpoints"]
    at = [name for name, _ in names].index
    by_path = {row[at("path")]: row for row in rows}
    good = {row[at("path")]: row for row in want["checkpoints"][1:]}
    assert by_path.keys() == good.keys()
    bad = {f"{server.url}{path.rpartition('.')[0]}" for path in hidden}
    for path, row in by_path.items():
        if path not in bad:
            assert row == good[path]
            continue
        assert row[at("status")] == ("damaged" if "graph" in path else "broken")
        assert reason in row[at("reason")]
        assert row[at("signature")] == ""
    told = {row[0] for row in found["findings"][1:]} - {row[0] for row in want["findings"][1:]}
    assert told == bad
    server.fault = None
    assert run(server.url, tmp_path) == want


@RUNS
def test_a_directory_that_was_not_listed_hides_nothing(
    server: Behaviour, run: Run, tmp_path: Path
) -> None:
    want = run(server.url, tmp_path)

    def fault(request: Request, handler: Any) -> bool:
        if request.path != "/run-3/":
            return False
        handler.refuse(500)
        return True

    server.fault = fault
    found = run(server.url, tmp_path)
    assert found["checkpoints"] == want["checkpoints"]
    assert found["tensors"] == want["tensors"]
    (trouble,) = set(found["findings"][1:]) - set(want["findings"][1:])
    assert trouble[0] == f"{server.url}/run-3"
    server.fault = None
    assert run(server.url, tmp_path) == want


def test_rows_without_a_list_of_the_directory(server: Behaviour) -> None:
    path = f"{server.url}/run-1/model-5"
    want = catalog.rows(path, "checkpoints").to_pydict()
    tensors = catalog.rows(path).to_pydict()
    server.listings = False  # by name, then: the index and the graph, if there is one
    assert catalog.rows(path).to_pydict() == tensors
    found = catalog.rows(path, "checkpoints").to_pydict()
    for column in ("status", "tensors", "bytes", "shards", "fingerprint"):
        assert found[column] == want[column]
    (reason,) = catalog.rows(f"{server.url}/run-1/none", "checkpoints").column("reason")
    assert "none.index: No such file" in str(reason)

    def fault(_: Request, handler: Any) -> bool:
        handler.refuse(500)
        return True

    server.fault = fault
    found = catalog.rows(path, "checkpoints").to_pydict()
    assert found["status"] == ["broken"]
    assert found["signature"] == [""]
    (reason,) = found["reason"]
    assert str(reason).startswith(f"{server.url}/run-1: a directory: the server answers 500")
    (kind,) = catalog.rows(path, "findings").column("kind")
    assert kind == "unreadable"
