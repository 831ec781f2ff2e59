"""`remote`: checkpoints of a simulated store, where requests and the line are the limit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import tensorbundle as tb
from harness import Samples, output, say
from report import Row, under, within
from store_model import Crew, Need, Store, simulate
from tensorbundle import catalog
from workload import Parameters, Workload
from workloads import many, stats, zoo

_NAME = "remote"
_LATENCY = 0.03
_RATE = 100e6
_ROUNDS = 5
_SOME = 1000
_HERE = Path(__file__).parents[1]


class _Asked(NamedTuple):
    seconds: float
    requests: int
    bytes: int


class _Simulated(NamedTuple):
    """A store in a process of its own."""

    url: str

    def ask(self, call: Callable[[], object]) -> _Asked:
        self._told()
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        return _Asked(seconds, **self._told())

    def _told(self) -> dict[str, int]:
        with urlopen(f"{self.url}/-/") as answer:
            told: dict[str, int] = json.load(answer)
        return told


@contextmanager
def _store(folder: Path, latency: float = _LATENCY, rate: float = _RATE) -> Iterator[_Simulated]:
    script = [sys.executable, str(_HERE / "store_server.py"), str(folder)]
    how = ["--latency", str(latency * 1000), "--rate", str(rate / 1e6)]
    with subprocess.Popen([*script, *how], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield _Simulated(process.stdout.readline().strip())
        finally:
            process.terminate()


def _limit(asked: _Asked, trips: int) -> float:
    """The time of its bytes, and of the round trips that wait for each other."""
    return asked.bytes / _RATE + trips * _LATENCY


def measure(directory: Path, _parameters: Parameters) -> list[Row]:
    return [
        *_listing(directory.parent / many.WORKLOAD.name),
        *_reading(directory),
        *_indexing(directory.parent / zoo.WORKLOAD.name),
    ]


def _listing(folder: Path) -> list[Row]:
    if not folder.exists():
        say(f"{_NAME}: without the data of `many` nothing is listed")
        return []
    with _store(folder) as store:
        url = f"{store.url}/model.ckpt"
        asked = [store.ask(lambda: tb.open(url).infos()) for _ in range(_ROUNDS + 1)][1:]
    name = f"list 200,000 tensors: {asked[0].requests} requests, {asked[0].bytes:,} bytes"
    limits = Samples(tuple(_limit(each, each.requests) for each in asked))
    ours = Samples(tuple(each.seconds for each in asked))
    return [Row(_NAME, name, ours, "bytes and round trips", limits, within(1.3))]


def _reading(folder: Path) -> list[Row]:
    script = str(_HERE / "remote_read.py")
    with _store(folder) as store:
        told = output([sys.executable, script, f"{store.url}/big"]).split()
    seconds, memory, read = float(told[0]), float(told[1]), float(told[2])
    limit = Samples((read / _RATE,))
    what = f"{read / 2**30:.3g} GiB in chunks"
    return [
        Row(_NAME, what, Samples((seconds,)), "the store's rate", limit, within(1 / 0.9)),
        Row(_NAME, "memory of that", Samples((memory,)), target=under(256 * 2**20, "B"), unit="B"),
    ]


def _indexing(folder: Path) -> list[Row]:
    if not folder.exists():
        say(f"{_NAME}: without the data of `zoo` nothing is indexed")
        return []
    paths = [place.path for place in catalog.discover(folder)][:_SOME]
    within = [path.removeprefix(str(folder)) for path in paths]

    def rows(store: _Simulated) -> list[_Asked]:
        urls = [f"{store.url}{path}" for path in within]
        return [store.ask(lambda: catalog.rows(urls)) for _ in range(_ROUNDS)]

    with _store(folder) as store:
        asked = rows(store)
    with _store(folder, latency=0, rate=1e12) as store:
        work = min(each.seconds for each in rows(store))
    requests = asked[0].requests / len(paths)
    # Python asks one question at a time: more cores would not help.
    need = Need(round(requests), asked[0].bytes // len(paths), work / len(paths), names=0)
    crew = Crew(1, cores=1)
    model = simulate(Store(_LATENCY, _RATE, 1e6), need, crew, len(paths)).seconds
    what = f"rows of {len(paths):,} checkpoints: {requests:.3g} requests, {need.bytes:,} bytes each"
    ours = Samples(tuple(each.seconds for each in asked))
    return [Row(_NAME, what, ours, "the model", Samples((model,)))]


WORKLOAD = Workload(_NAME, stats.parameters, stats.make, measure, data=stats.WORKLOAD.name)
