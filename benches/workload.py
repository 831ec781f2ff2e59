"""What a workload is, and how its data is kept: made once, reused while its parameters hold.

Each workload has a directory of its own. `stamp.json` in it is written last and holds what the data
was made from; a directory with another stamp is made anew, one without a stamp is an error.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import say
from report import Row

Parameters = dict[str, int]

_STAMP = "stamp.json"


@dataclass(frozen=True)
class Workload:
    """What there is to measure, and the data it is measured on."""

    name: str
    # All that the data is made from, for a given size.
    parameters: Callable[[float], Parameters]
    make: Callable[[Path, Parameters], None]
    measure: Callable[[Path, Parameters], list[Row]]
    # Whose data it is, if it has none of its own.
    data: str | None = None

    def run(self, root: Path, size: float) -> list[Row]:
        parameters = self.parameters(size)
        directory = self._ensure(root, parameters)
        say(f"{self.name}: measuring")
        return self.measure(directory, parameters)

    def _ensure(self, root: Path, parameters: Parameters) -> Path:
        name = self.data or self.name
        directory = root / name
        stamp = directory / _STAMP
        wanted = {"workload": name, **parameters}
        if stamp.exists():
            if json.loads(stamp.read_text()) == wanted:
                return directory
            shutil.rmtree(directory)
        elif directory.exists():
            raise SystemExit(f"{directory} was not made by this bench: it has no {_STAMP}")
        unfinished = root / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        start = time.perf_counter()
        # A process of its own: the measuring one keeps none of the memory that making data takes.
        worker = multiprocessing.get_context("spawn").Process(
            target=self.make, args=(unfinished, parameters)
        )
        worker.start()
        worker.join()
        if worker.exitcode != 0:
            raise SystemExit(f"{name}: making the data failed")
        (unfinished / _STAMP).write_text(json.dumps(wanted))
        unfinished.rename(directory)
        say(f"{name}: made the data in {time.perf_counter() - start:.1f} s")
        return directory
