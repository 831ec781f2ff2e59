"""Mutates whole checkpoints and uses them, in a process of its own under a memory limit.

    .venv/bin/python tests/fuzz_files.py --count 10000 --seed 1     (make fuzz-files)
    .venv/bin/python tests/fuzz_files.py --seed 1 --only 4711       one mutation, in this process

A mutation is made of the seed and its number alone. A worker says each number before it begins; if
it dies, or takes too long, that is a failure, and the next worker goes on behind it.
"""

from __future__ import annotations

import argparse
import os
import queue
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import IO

MEMORY = 2 << 30
SECONDS = 60.0  # for one mutation, on a busy machine


def work(seed: str, start: int, stop: int, folder: Path) -> None:
    """The worker: a line before each mutation, and another behind it."""
    import resource

    from fuzz_bases import bases
    from fuzz_worker import Worker

    worker = Worker(folder / "now", bases(folder / "sound"))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(start, stop):
        print("begin", number, flush=True)
        try:
            worker.run(seed, number)
        except BaseException as error:  # a panic is no Exception
            text = "".join(traceback.format_exception(error)).replace("\n", "\\n")
            print("fail", number, text, flush=True)
    print("end", flush=True)


def lines_of(stream: IO[str], into: queue.Queue[str]) -> None:
    for line in stream:
        into.put(line.rstrip("\n"))
    into.put("")


def run(seed: str, start: int, stop: int, folder: Path) -> list[str]:
    """Mutations from `start` up to `stop`: what failed."""
    failures: list[str] = []
    lives = 0
    while start < stop:
        lives += 1
        place = folder / f"{start}-{lives}"
        arguments = [str(value) for value in (seed, start, stop, place)]
        process = subprocess.Popen(
            [sys.executable, __file__, "--worker", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "RUST_BACKTRACE": "0"},
        )
        assert process.stdout is not None
        said: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=lines_of, args=(process.stdout, said), daemon=True)
        reader.start()
        now: int | None = None
        ended = False
        while True:
            try:
                line = said.get(timeout=SECONDS)
            except queue.Empty:
                process.kill()
                failures.append(f"{now}: not done after {SECONDS} s")
                break
            word, _, rest = line.partition(" ")
            if word == "begin":
                now = int(rest)
            elif word == "fail":
                failures.append(rest.replace("\\n", "\n"))
            elif word == "end":
                ended = True
            elif not line:
                break
        _, errors = process.communicate()
        if ended:
            break
        if process.returncode != -9 or not failures or not failures[-1].startswith(f"{now}:"):
            failures.append(f"{now}: exit code {process.returncode}\n{errors[-2000:]}")
        start = stop if now is None else now + 1
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument(
        "--seed", default="1", help='a number, or "index" for mutations of one index'
    )
    parser.add_argument("--only", type=int)
    parser.add_argument("--worker", nargs=4)
    args = parser.parse_args()
    if args.worker:
        seed, start, stop, place = args.worker
        work(seed, int(start), int(stop), Path(place))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if args.only is not None:
            from fuzz_bases import bases
            from fuzz_worker import Worker

            place = Path(folder)
            print(Worker(place / "now", bases(place / "sound")).run(args.seed, args.only))
            return 0
        failures = run(args.seed, 0, args.count, Path(folder))
    for failure in failures:
        print(failure)
    print(f"{args.count} mutations from seed {args.seed}, {len(failures)} failures")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
