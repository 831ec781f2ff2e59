"""Long use of one process: threads on shared readers, forked workers, and 10,000 openings.

    make soak                       five minutes
    SOAK_SECONDS=3600 make soak     an hour

Ends with figures, in JSON. Fails at a wrong value, at a worker or a thread that hangs, and if
memory (anonymous, not the pages of files), descriptors or maps are kept. `test_soak_small.py` runs
it for a few seconds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import tensorbundle as tb
from encoding import Extent
from writer import Bundle
from writer_v1 import V1File

THREADS = 8
OPENINGS = 10_000
WORKERS = 2
# A forked worker reads some ten tensors: whoever takes so long hangs.
PATIENCE = 60.0
ROWS = 200


def content() -> dict[str, Any]:
    rng = np.random.default_rng(11)
    made: dict[str, Any] = {}
    for i in range(24):
        made[f"t{i:02}"] = rng.integers(-9, 9, (ROWS, 1 + i * 5)).astype("<f4")
    made["words"] = np.array([b"w" * (i % 70) for i in range(ROWS)], dtype=object)
    return made


def put(target: Bundle | V1File, values: dict[str, Any]) -> None:
    for i, (name, value) in enumerate(values.items()):
        shards = {} if isinstance(target, V1File) else {"shards": [i % 2, 1 - i % 2]}
        if i % 3 == 0:
            rest: list[Extent] = [None] * (value.ndim - 1)
            halves = [[(0, 80), *rest], [(80, ROWS - 80), *rest]]
            target.add_sliced(name, value, halves, **shards)
        elif isinstance(target, V1File):
            target.add(name, value)
        else:
            target.add(name, value, shard=i % 2)


def checkpoints(folder: Path, values: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """A V2 bundle, mapped, read, and verified; a V1 file: paths with the options to open them."""
    bundle, v1 = Bundle(shards=2), V1File()
    put(bundle, values)
    put(v1, values)
    prefix = bundle.write(folder / "v2", block_size=300)
    path = v1.write(folder / "v1", block_size=4000)
    return [
        (prefix, {}),
        (prefix, {"mmap": False}),
        (prefix, {"verify": True}),
        (path, {}),
    ]


def checksum(value: Any) -> int:
    data = b"\0".join(value.ravel().tolist()) if value.dtype == object else value.tobytes()
    return zlib.crc32(data)


class Soak:
    """What all threads share."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.values = content()
        self.sums = {name: checksum(value) for name, value in self.values.items()}
        self.places = checkpoints(folder, self.values)
        self.readers = [tb.open(path, **options) for path, options in self.places]
        self.seconds = seconds
        self.end = 0.0
        self.counts: Counter[str] = Counter()
        self.failed: list[str] = []
        self.lock = threading.Lock()

    def one(self, rng: random.Random, ckpt: Any) -> str:
        """Something that a user does; its name."""
        name = rng.choice(list(self.values))
        want = self.values[name]
        match rng.randrange(9):
            case 0 | 1 | 2:
                assert checksum(ckpt.read(name)) == self.sums[name], name
                return "read"
            case 3:
                assert checksum(ckpt.read(name, verify=True, aligned=True)) == self.sums[name]
                return "read and verified"
            case 4:
                a, b = sorted(rng.sample(range(ROWS), 2))
                assert ckpt.read(name, rows=slice(a, b)).tolist() == want[a:b].tolist()
                return "rows"
            case 5:
                assert [info.shape for info in ckpt.infos()] == [
                    self.values[name].shape for name in sorted(self.values)
                ]
                assert list(ckpt) == sorted(self.values)
                return "listed"
            case 6:
                assert ckpt.info(name).shape == want.shape
                assert f"not {name}" not in ckpt
                return "looked up"
            case 7:
                assert {one.name for one in ckpt.variables} <= set(self.values)
                return "variables"
            case _:
                assert ckpt.verify().ok
                return "verified"

    def user(self, seed: int) -> None:
        """A thread: on the shared readers, and on some of its own."""
        rng, counts = random.Random(seed), Counter[str]()
        try:
            while time.monotonic() < self.end and not self.failed:
                if rng.randrange(20):
                    counts[self.one(rng, rng.choice(self.readers))] += 1
                    continue
                path, options = rng.choice(self.places)
                with tb.open(path, **options) as ckpt:
                    counts[self.one(rng, ckpt)] += 1
                counts["opened"] += 1
        except BaseException:
            self.failed.append(traceback.format_exc())
        with self.lock:
            self.counts += counts

    def fork_workers(self) -> None:
        """As a DataLoader does: workers with the inherited readers give checksums back."""
        while time.monotonic() < self.end and not self.failed:
            pipes = [self.fork_one(seed) for seed in range(WORKERS)]
            deadline = time.monotonic() + PATIENCE
            for child, pipe in pipes:
                answer = self.wait(child, pipe, deadline)
                if answer != b"fine":
                    self.failed.append(f"a forked worker: {answer!r}")
                self.counts["workers"] += 1

    def fork_one(self, seed: int) -> tuple[int, int]:
        out, into = os.pipe()
        child = os.fork()
        if child:
            os.close(into)
            return child, out
        code = 1
        try:
            # Nothing of Python that another thread may have held at the fork.
            rng = random.Random(seed + os.getpid())
            for _ in range(10):
                name = rng.choice(list(self.values))
                ckpt = rng.choice(self.readers)
                got = checksum(ckpt.read(name, verify=bool(rng.randrange(2))))
                if got != self.sums[name]:
                    os.write(into, f"{name}: got {got}, want {self.sums[name]}".encode())
                    os._exit(1)
                if len(ckpt.infos()) != len(self.values):
                    os._exit(1)
            os.write(into, b"fine")
            code = 0
        except BaseException as error:
            os.write(into, repr(error).encode()[:500])
        finally:
            os._exit(code)

    @staticmethod
    def wait(child: int, pipe: int, deadline: float) -> bytes:
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                os.close(pipe)
                return b"it hangs"
            time.sleep(0.002)
        answer = os.read(pipe, 1000)
        os.close(pipe)
        return answer

    def share(self) -> None:
        """All threads, and one that forks, until the time is over."""
        self.end = time.monotonic() + self.seconds
        threads = [threading.Thread(target=self.user, args=(i,)) for i in range(THREADS)]
        threads.append(threading.Thread(target=self.fork_workers))
        for thread in threads:
            thread.daemon = True
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self.end - time.monotonic()) + 2 * PATIENCE)
            if thread.is_alive():
                self.failed.append("a thread hangs")

    def reopen(self, times: int) -> dict[str, int]:
        """Opens, reads and closes; how much more the process holds afterwards."""
        rng = random.Random(0)

        def rounds(count: int) -> None:
            for i in range(count):
                path, options = self.places[i % len(self.places)]
                with tb.open(path, **options) as ckpt:
                    name = f"t{rng.randrange(24):02}"
                    assert checksum(ckpt.read(name)) == self.sums[name]

        rounds(times // 5)
        before = held(self.places[0][0])
        rounds(times)
        after = held(self.places[0][0])
        return {key: after[key] - before[key] for key in before}


def held(path: str) -> dict[str, int]:
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    anonymous = next(int(line.split()[1]) << 10 for line in rollup if line.startswith("Anonymous:"))
    folder = str(Path(path).parent)
    maps = Path("/proc/self/maps").read_text().splitlines()
    return {
        "anonymous": anonymous,
        "mapped": sum(folder in line for line in maps),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }


def main(seconds: float, openings: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), seconds)
        soak.share()
        grown = {} if soak.failed else soak.reopen(openings)
        figures = {"seconds": seconds, **sorted_counts(soak.counts), "openings": openings}
        print(json.dumps({**figures, "grown": grown, "failed": soak.failed}, indent=2))
        kept = grown.get("mapped", 0) or grown.get("descriptors", 0)
        # An allocator may take some pages more; a leak of 100 bytes an opening is found.
        too_much = grown.get("anonymous", 0) > max(openings * 100, 1 << 19)
        return int(bool(soak.failed) or bool(kept) or too_much)


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main(float(os.environ.get("SOAK_SECONDS", "300")), int(*(sys.argv[1:] or [OPENINGS]))))
