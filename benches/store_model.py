"""What indexing a store of checkpoints costs: requests, bytes and hours, for any number of workers.

    python benches/store_model.py [--latency 30] [--rate 100] [--workers 1,4,16,64] …

A simulation, event by event: every worker keeps some requests under way; an answer begins after the
latency, and its bytes come down the worker's line behind those of other answers; then a core reads
what came. The store takes only so many requests a second. What a checkpoint needs is given, and was
counted by the workload `remote`, which also says how close the simulation is to a run.
"""

from __future__ import annotations

import argparse
import heapq
import sys
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Store:
    """A store and the lines to it."""

    latency: float
    """Seconds from a request to the first byte of its answer."""
    rate: float
    """Bytes a second down the line of one worker."""
    limit: float
    """Requests a second that the store takes of all workers together."""
    page: int = 1000
    """Names in an answer that lists a folder."""


@dataclass(frozen=True)
class Need:
    """What one checkpoint needs."""

    requests: int
    """One after the other, beside the listing of its folder."""
    bytes: int
    seconds: float
    """Of one core."""
    names: int = 3
    """Files that the listing of its folder has of it."""


@dataclass(frozen=True)
class Crew:
    """Who does the work."""

    workers: int
    cores: int = 2
    under_way: int = 16
    """Requests that a worker has under way at once."""


@dataclass(frozen=True)
class Cost:
    """What it took."""

    requests: int
    bytes: int
    seconds: float


def simulate(store: Store, need: Need, crew: Crew, checkpoints: int, changed: float = 1.0) -> Cost:
    """Indexes so many checkpoints, of which a part has changed; the others are only listed."""
    listings = ceil(checkpoints * need.names / store.page)
    reads = round(checkpoints * changed)
    # A name takes some 300 bytes of a listing.
    page = store.page * 300
    # Requests in the order in which they are made: when, by which slot, how many more its job has.
    slots = [(0.0, slot, 0) for slot in range(crew.workers * crew.under_way)]
    heapq.heapify(slots)
    lines = [0.0] * crew.workers
    cores = [[0.0] * crew.cores for _ in range(crew.workers)]
    begun, admitted, end = 0, 0.0, 0.0
    while slots:
        at, slot, left = heapq.heappop(slots)
        worker = slot // crew.under_way
        listing = left == 0 and begun < listings
        if left == 0:
            if begun == listings + reads:
                continue  # nothing is left for it to do
            begun += 1
            left = 1 if listing else need.requests
        admitted = max(admitted + 1 / store.limit, at)
        size = page if listing else need.bytes if left == 1 else 0
        lines[worker] = max(lines[worker], admitted + store.latency) + size / store.rate
        at = lines[worker] if size else admitted + store.latency
        if left == 1 and not listing:
            core = max(heapq.heappop(cores[worker]), at) + need.seconds
            heapq.heappush(cores[worker], core)
            end = max(end, core)
        end = max(end, at)
        heapq.heappush(slots, (at, slot, left - 1))
    sent = listings * page + reads * need.bytes
    return Cost(listings + reads * need.requests, sent, end)


def table(store: Store, need: Need, counts: list[int], crews: list[Crew], changed: float) -> str:
    """A line for each number of checkpoints and workers."""
    lines = ["| checkpoints | workers | requests | bytes | time | beside one worker |"]
    lines.append("|--:|--:|--:|--:|--:|--:|")
    for count in counts:
        alone = None
        for crew in crews:
            cost = simulate(store, need, crew, count, changed)
            alone = alone or cost.seconds
            lines.append(
                f"| {count:,} | {crew.workers} | {cost.requests:,} | {_bytes(cost.bytes)} | "
                f"{_time(cost.seconds)} | {alone / cost.seconds:.1f} x |"
            )
    return "\n".join(lines)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--latency", type=float, default=30, help="milliseconds a request (default 30)")
    add("--rate", type=float, default=100, help="MB a second and worker (default 100)")
    add("--limit", type=float, default=5500, help="requests a second of the store (default 5500)")
    add("--checkpoints", type=_numbers, default=[1000, 10_000, 100_000, 1_000_000])
    add("--workers", type=_numbers, default=[1, 4, 16, 64])
    add("--cores", type=int, default=2, help="of each worker (default 2)")
    add("--under-way", type=int, default=16, help="requests of each worker (default 16)")
    add("--requests", type=int, default=1, help="requests a checkpoint (default 1)")
    add("--bytes", type=int, default=8000, help="bytes of its index (default 8000)")
    add("--seconds", type=float, default=0.0002, help="of a core for it (default 0.0002)")
    add("--changed", type=float, default=1.0, help="part that is new since then (default 1)")
    given = parser.parse_args()
    store = Store(given.latency / 1000, given.rate * 1e6, given.limit)
    need = Need(given.requests, given.bytes, given.seconds)
    crews = [Crew(workers, given.cores, given.under_way) for workers in given.workers]
    print(table(store, need, given.checkpoints, crews, given.changed))
    return 0


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
