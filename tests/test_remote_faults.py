"""What goes wrong with servers: an error that says so, or the right value, and no endless wait."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from http_faults import PASSING, Fails, fewer, reset, short, status
from http_store import Behaviour, Request, serve
from tensorbundle import _remote, _remote_answers
from tensorbundle._remote_answers import PIECE
from writer import Bundle

DATA = Path(__file__).parent / "data" / "mnist_mlp"
PREFIX = "/model.ckpt-1000"
NAME = "dense_2/bias"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote, "DELAY", 0.01)
    monkeypatch.setattr(_remote_answers, "SILENCE", 2.0)


@pytest.fixture
def server() -> Iterator[Behaviour]:
    with serve(DATA) as running:
        yield running


@pytest.fixture(scope="module")
def want() -> np.ndarray:
    return tb.open(DATA)[NAME].copy()


@pytest.mark.parametrize("path", [".index", ".data-"])
@pytest.mark.parametrize("what", PASSING)
def test_what_passes_is_asked_again(
    server: Behaviour, want: np.ndarray, what: Any, path: str
) -> None:
    server.fault = Fails(3, what, path)
    assert np.array_equal(tb.open(server.url + PREFIX)[NAME], want)
    assert server.fault.left == 0


@pytest.mark.parametrize("what", PASSING)
def test_what_does_not_pass_is_an_error(server: Behaviour, what: Any) -> None:
    ckpt = tb.open(server.url + PREFIX)
    server.fault = Fails(1000, what, ".data-")
    with pytest.raises(OSError, match="asked 5 times") as caught:
        ckpt[NAME]
    assert caught.value.filename == ckpt.shard_paths()[0]
    assert 5 <= 1000 - server.fault.left <= 10  # aiohttp asks again where a connection was reset


def test_a_server_may_ask_for_time(server: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(_remote.time, "sleep", waited.append)
    server.fault = Fails(1, status(429, Retry_After="7"))
    tb.open(server.url + PREFIX)
    assert waited == [7.0]
    server.fault = Fails(1, status(503, Retry_After="86400"))
    tb.open(server.url + PREFIX)
    assert waited == [7.0, _remote.LONGEST_DELAY]


def test_a_silent_server_is_left(server: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote, "TRIES", 2)
    monkeypatch.setattr(_remote_answers, "SILENCE", 0.3)
    ckpt = tb.open(server.url + PREFIX)
    free = threading.Event()
    server.fault = Fails(1000, lambda _request, _handler: free.wait(20), ".data-")
    with pytest.raises(OSError, match="asked 2 times"):
        ckpt[NAME]
    free.set()


@pytest.mark.parametrize("code", [401, 403])
def test_not_allowed(server: Behaviour, code: int) -> None:
    ckpt = tb.open(server.url + PREFIX)
    server.fault = Fails(1000, status(code), ".data-")
    with pytest.raises(PermissionError, match=f"answers {code}") as caught:
        ckpt[NAME]
    assert caught.value.filename == ckpt.shard_paths()[0]
    server.fault = lambda _request, handler: handler.refuse(code) or True
    with pytest.raises(PermissionError, match=f"answers {code}"):
        tb.open(server.url + PREFIX)


def test_not_there(server: Behaviour) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file nothing\.index"):
        tb.open(f"{server.url}/nothing")
    ckpt = tb.open(server.url + PREFIX)
    server.fault = Fails(1000, status(404), ".data-", "HEAD")
    with pytest.raises(FileNotFoundError, match="is the copy complete"):
        ckpt[NAME]
    kinds = [each.kind for each in ckpt.verify().findings]
    assert kinds == ["missing shard"]


def test_a_broken_server_is_not_a_missing_checkpoint(server: Behaviour) -> None:
    server.fault = lambda _request, handler: handler.refuse(500) or True
    for look in (tb.open, tb.verify, tb.train.checkpoint_exists, tb.train.load_checkpoint):
        with pytest.raises(OSError, match="answers 500") as caught:
            look(server.url + PREFIX)
        assert not isinstance(caught.value, FileNotFoundError)


def changed(path: str) -> bytes:
    data = bytearray((DATA / path.lstrip("/")).read_bytes())
    data[len(data) // 2] ^= 1
    return bytes(data)


@pytest.mark.parametrize("etags", [True, False])
def test_a_shard_that_was_replaced(server: Behaviour, etags: bool) -> None:
    server.etags = etags
    ckpt = tb.open(server.url + PREFIX)
    ckpt[NAME]
    shard = f"{PREFIX}.data-00000-of-00001"
    server.contents[shard] = changed(shard) if etags else changed(shard) + b"longer"
    with pytest.raises(tb.CorruptionError, match=r"replaced while it was read.*open the"):
        ckpt["dense_1/kernel"]
    assert tb.open(server.url + PREFIX)[NAME].size


def test_an_index_that_was_replaced(server: Behaviour) -> None:
    def replace(request: Request, _handler: Any) -> bool:
        if request.method == "GET" and request.path.endswith(".index"):
            server.contents[request.path] = changed(request.path)
        return False

    server.fault = replace
    with pytest.raises(tb.CorruptionError, match="replaced while it was read"):
        tb.open(server.url + PREFIX)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose index comes in more than one piece."""
    bundle = Bundle()
    for i in range(60_000):
        bundle.add(f"layer_{i:06d}/some/scope/kernel", np.float32(i))
    prefix = tmp_path_factory.mktemp("large") / "m"
    bundle.write(prefix)
    assert prefix.with_suffix(".index").stat().st_size > 3 * PIECE
    return prefix


def cut(left: int) -> Any:
    """Answers for the rest of an index break off: so many bytes never come."""

    def give(request: Request, handler: Any) -> None:
        handler.give(request, handler.store.folder / "m.index", promise=left)
        handler.close_connection = True

    return give


class Cut(Fails):
    """A fault of the answers that come in pieces."""

    def __call__(self, request: Request, handler: Any) -> bool:
        long = request.range is not None and request.range[1] - request.range[0] > PIECE
        return long and super().__call__(request, handler)


def test_what_breaks_off_goes_on_where_it_did(large: Path) -> None:
    with serve(large.parent) as server:
        ckpt = tb.open(f"{server.url}/m")
        server.clear()
        server.fault = Cut(1, cut(100_000))
        assert list(ckpt) == list(tb.open(large))
        assert server.fault.left == 0
        starts = [each.range[0] for each in server.requests if each.range is not None]
        assert len(starts) == 2
        assert starts == sorted(set(starts))
        size = large.with_suffix(".index").stat().st_size
        assert server.sent() < size + 3 * PIECE  # nothing is sent twice but part of a piece


def test_an_index_that_is_replaced_while_it_comes(large: Path) -> None:
    with serve(large.parent) as server:
        ckpt = tb.open(f"{server.url}/m")

        def replace(request: Request, handler: Any) -> None:
            cut(100_000)(request, handler)
            server.contents["/m.index"] = changed_index

        changed_index = bytearray(large.with_suffix(".index").read_bytes())
        changed_index[-200_000] ^= 1
        server.fault = Cut(1, replace)
        with pytest.raises(tb.CorruptionError, match=r"replaced while it was read.*open the"):
            list(ckpt)


@pytest.mark.parametrize("what", PASSING[:-3] + PASSING[-1:])
def test_an_answer_that_never_comes_whole(large: Path, what: Any) -> None:
    with serve(large.parent) as server:
        ckpt = tb.open(f"{server.url}/m")
        server.fault = Cut(1000, what)
        with pytest.raises(OSError, match="asked 5 times") as caught:
            list(ckpt)
        assert caught.value.filename == ckpt.index_path
        server.fault = None
        assert len(list(ckpt)) == 60_000  # it was not the last try


WAITS = """
import sys
import tensorbundle as tb

ckpt = tb.open(sys.argv[1])
print("open", flush=True)
try:
    list(ckpt)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def test_ctrl_c_while_an_answer_stands_still(large: Path) -> None:
    with serve(large.parent) as server:
        began, free = threading.Event(), threading.Event()

        def stall(request: Request, handler: Any) -> None:
            handler.give(request, handler.store.folder / "m.index", promise=100_000)
            handler.wfile.flush()
            began.set()
            free.wait(60)
            handler.close_connection = True

        server.fault = Cut(1000, stall)
        command = [sys.executable, "-c", WAITS, f"{server.url}/m"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            assert began.wait(60)
            process.send_signal(signal.SIGINT)
            try:
                told, _ = process.communicate(timeout=30)
            finally:
                free.set()
                process.kill()
        assert told == "stopped\n"


def test_a_large_index_without_ranges(large: Path) -> None:
    with serve(large.parent) as server:
        url = f"{server.url}/m"
        ckpt = tb.open(url, storage_options={"whole_files": True})
        server.ranges = False
        assert list(ckpt) == list(tb.open(large))
        with pytest.raises(OSError, match="only whole files"):
            tb.open(url)


def test_without_head(server: Behaviour, want: np.ndarray) -> None:
    server.head = False
    assert np.array_equal(tb.open(server.url + PREFIX)[NAME], want)


def test_without_ranges(server: Behaviour) -> None:
    server.ranges = False
    url = server.url + PREFIX
    ckpt = tb.open(url)  # its index is small enough to be read whole
    with pytest.raises(OSError, match=r"only whole files.*whole_files.*True"):
        ckpt[NAME]
    server.clear()
    ckpt = tb.open(url, storage_options={"whole_files": True})
    for name in ckpt:
        assert np.array_equal(ckpt[name], tb.open(DATA)[name])
    shard = [each for each in server.requests if ".data-" in each.path and each.sent]
    assert len([each for each in shard if each.range is None]) == 1
    assert not ckpt.verify().findings


def test_without_listings(server: Behaviour, want: np.ndarray) -> None:
    server.listings = False
    ckpt = tb.open(server.url + PREFIX)
    assert np.array_equal(ckpt[NAME], want)
    report = ckpt.verify()
    assert (report.findings, report.notes) == ((), ())
    assert np.array_equal(tb.open(f"{server.url}/")[NAME], want)  # by the state file
    with pytest.raises(NotADirectoryError, match="does not list"):
        tb.list_checkpoints(server.url)


def test_faults_show_no_wrong_value(server: Behaviour) -> None:
    """Whatever happens at random, a value is right or an error."""
    import random

    chance = random.Random(7)
    local = tb.open(DATA)
    what = [status(503), status(404), short, fewer, reset, status(403)]

    def now_and_then(request: Request, handler: Any) -> bool:
        if chance.random() < 0.75:
            return False
        fault = chance.choice(what)
        if fault is fewer and request.range is None:
            return False
        fault(request, handler)
        return True

    server.fault = now_and_then
    good = 0
    for _ in range(30):
        try:
            ckpt = tb.open(server.url + PREFIX)
            for name in local:
                assert np.array_equal(ckpt[name], local[name])
                good += 1
        except (OSError, tb.CorruptionError):
            continue
    assert good > 20


SECRET = "hunter2hunter2"


def test_nothing_secret_is_shown(server: Behaviour, want: np.ndarray) -> None:
    host = server.url.removeprefix("http://")
    url = f"http://me:{SECRET}@{host}{PREFIX}?token={SECRET}"
    ckpt = tb.open(url, storage_options={"headers": {"X-Key": f"{SECRET}-x"}})
    assert np.array_equal(ckpt[NAME], want)
    assert {each.query for each in server.requests} == {f"token={SECRET}"}
    assert all("Authorization" in each.headers for each in server.requests)
    assert all(each.headers["X-Key"] == f"{SECRET}-x" for each in server.requests)
    shown = [repr(ckpt), ckpt.path, ckpt.prefix, str(ckpt.index_path), *ckpt.shard_paths()]
    stored = pickle.dumps(ckpt)
    server.fault = lambda _request, handler: handler.refuse(403) or True
    for ask in (lambda: ckpt["dense_1/kernel"], lambda: tb.open(url), ckpt.verify):
        try:
            shown.append(repr(ask()))
        except (OSError, tb.CheckpointError) as error:
            shown += [str(error), repr(error.args), str(getattr(error, "filename", ""))]
    server.fault = lambda _request, handler: handler.reset() or True
    with pytest.raises(OSError, match="asked 5 times") as caught:
        tb.open(url)
    shown.append(str(caught.value))
    assert not [text for text in shown if SECRET in text]
    assert SECRET.encode() not in stored


def test_a_pickle_reads_with_its_own_configuration(server: Behaviour, want: np.ndarray) -> None:
    server.ranges = False
    ckpt = tb.open(
        server.url + PREFIX, storage_options={"whole_files": True, "headers": {"A": "b"}}
    )
    again = pickle.loads(pickle.dumps(ckpt))
    server.clear()
    assert np.array_equal(again[NAME], want)
    assert all("A" not in each.headers for each in server.requests)


def test_many_threads(server: Behaviour) -> None:
    server.fault = Fails(40, reset, ".data-")
    ckpt, local = tb.open(server.url + PREFIX), tb.open(DATA)
    wrong: list[str] = []

    def read() -> None:
        for name in local:
            try:
                if not np.array_equal(ckpt[name], local[name]):
                    wrong.append(name)
            except OSError:
                pass

    threads = [threading.Thread(target=read) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
        assert not each.is_alive()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork(server: Behaviour, want: np.ndarray) -> None:
    ckpt = tb.open(server.url + PREFIX)
    ckpt["dense_1/kernel"]
    child = os.fork()
    if child == 0:
        ok = False
        try:
            ok = np.array_equal(ckpt[NAME], want)
        finally:
            os._exit(0 if ok else 1)
    _, code = os.waitpid(child, 0)
    assert code == 0
    assert np.array_equal(ckpt[NAME], want)
