"""Timing side by side, and reading memory.

The sides of a comparison take turns in one process, A B A B …, so that whatever slows the machine
down for a while slows all of them. The garbage collector runs before each call and stays on during
it, and a result is dropped only after the clock has stopped. Files are in the page cache: a call
during which the disk was read is made again, as some kernels drop what nobody used for a moment.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

_CHUNK = 8 << 20
_SMAPS = Path("/proc/self/smaps_rollup")
_HOLD = Path(__file__).with_name("hold.py")


@dataclass(frozen=True)
class Samples:
    """What was measured for one side: seconds or bytes, one value per run."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def min(self) -> float:
        return min(self.values)

    @property
    def max(self) -> float:
        return max(self.values)


@dataclass(frozen=True)
class Side:
    """One side of a comparison; `calls` are made and timed one by one whenever its turn comes."""

    name: str
    call: Callable[[], object]
    calls: int = 1


def alternate(
    sides: Iterable[Side],
    rounds: int,
    *,
    files: Iterable[Path] = (),
    warm_up: bool = True,
    attempts: int = 5,
    memory: int = 0,
) -> dict[str, Samples]:
    """Let the sides take turns, `rounds` times, and return the seconds of every call by side.

    `files` are what the sides read: they are brought into the page cache before every round. A call
    during which the disk was read is made again, up to `attempts` times in all. `memory` is how
    many bytes a call is going to ask for: as many are touched and given back before it, so that no
    side pays for a virtual machine that must first get them from its host.
    """
    sides, files = list(sides), list(files)
    if warm_up:
        for side in sides:
            side.call()
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    gc.collect()
    # What the imports left is frozen: no side pays for walking the objects of another.
    gc.freeze()
    try:
        for _ in range(rounds):
            warm(files)
            for side in sides:
                for _ in range(side.calls):
                    seconds[side.name].append(_timed(side, files, attempts, memory))
    finally:
        gc.unfreeze()
    return {name: Samples(tuple(values)) for name, values in seconds.items()}


def cold(sides: Iterable[Side], rounds: int, files: Iterable[Path]) -> dict[str, Samples]:
    """As `alternate`, but each call begins with none of the files in the page cache."""
    files = list(files)
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            _forget(files)
            start = time.perf_counter()
            side.call()
            seconds[side.name].append(time.perf_counter() - start)
    return {name: Samples(tuple(values)) for name, values in seconds.items()}


def _forget(files: Iterable[Path]) -> None:
    """Drop the files from the page cache. What is dirty stays, so it is written out first."""
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _timed(side: Side, files: list[Path], attempts: int, memory: int) -> float:
    """The seconds of one call, if possible of one during which nothing came from the disk."""
    for _ in range(attempts):
        gc.collect()
        np.ones(memory, np.uint8)
        blocks = _blocks_read()
        start = time.perf_counter()
        result = side.call()
        seconds = time.perf_counter() - start
        del result
        if _blocks_read() == blocks:
            return seconds
        warm(files)
    say(f"{side.name}: a run counts during which the disk was read")
    return seconds


def _blocks_read() -> int:
    """Blocks that this process and those it waited for have read from the disk."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(which).ru_inblock for which in who)


def process(command: list[str], cwd: Path) -> Callable[[], object]:
    """A call that runs `command` as a whole process, in a directory that holds no modules."""
    return lambda: output(command, cwd)


def output(command: list[str], cwd: Path | None = None) -> str:
    """What `command` prints; the bench ends if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def tensorflow() -> ModuleType:
    """TensorFlow, imported when it is first needed and without its start-up messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silenced_stderr():
        import tensorflow
    return tensorflow


@contextlib.contextmanager
def _silenced_stderr() -> Iterator[None]:
    """Some of the messages are written before any setting is read, so the descriptor is turned."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def warm(paths: Iterable[Path]) -> None:
    """Bring the files into the page cache by reading them once."""
    buffer = bytearray(_CHUNK)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def anonymous_bytes() -> int:
    """Memory of this process that no file backs."""
    for line in _SMAPS.read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{_SMAPS} has no line 'Anonymous:'")


def added_memory(what: str, reader: str, path: str | Path, runs: int) -> Samples:
    """The anonymous memory that `hold.py` adds, in a process of its own for every run."""
    command = [sys.executable, str(_HOLD), what, reader, str(path)]
    return Samples(tuple(float(output(command)) for _ in range(runs)))


def say(text: str) -> None:
    """Progress, for whoever is waiting; the results go to standard output."""
    print(text, file=sys.stderr, flush=True)
