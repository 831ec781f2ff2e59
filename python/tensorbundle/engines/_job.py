"""The index job: what is new or changed is read by workers, the rest is kept.

```text
roots → units → found ┬ new or changed → parts of equal bytes → written by workers
                      └ as before → whole parts: linked; others: what is left is written by workers
```
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar
from uuid import uuid4

import pyarrow as pa

from .._remote import Store
from ..catalog import IndexReport, tables
from ..catalog._index import _below  # pyright: ignore[reportPrivateUsage]
from ..catalog._rows import roots_of
from ..errors import CheckpointError
from ._dataset import Dataset, Facts, Part, not_ok, write, write_rest
from ._discovery import Found, Spot, Unit, explore, put_together, units_of
from ._split import PARTS_A_SLOT, split

if TYPE_CHECKING:
    from .._paths import StorageOptions

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], object]

STEP = 256
"""Checkpoints whose rows a worker has in memory at a time."""


class Engine(Protocol):
    """What the job asks of an engine."""

    slots: int
    """How many calls it makes at a time."""

    def map(
        self, function: Callable[[T], R], items: Sequence[T], told: Callable[[int], object]
    ) -> list[R]:
        """Calls a function for each item somewhere, again if a worker dies; results in their order.

        ``told`` hears how many are done, and can raise to stop it.
        """
        ...


class Look(NamedTuple):
    """How checkpoints are looked at."""

    verify: bool = False
    stats: bool = False
    mmap: bool = True
    store: Store | None = None
    """Where they are; pickled without what could be secret, as workers have their own."""

    @property
    def data(self) -> bool:
        """Is all of them read?"""
        return self.verify or self.stats


class Scan(NamedTuple):
    """A part to be written: the rows of these checkpoints."""

    name: str
    paths: tuple[str, ...]


class Rest(NamedTuple):
    """A part to be written: some rows of one that is there."""

    name: str
    part: Part


def index(
    roots: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    engine: Engine,
    look: Look,
    follow_links: bool,
    progress: Progress | None,
    storage_options: StorageOptions = None,
) -> IndexReport:
    """Indexes into a data set with an engine: below ``index`` of the engines' modules."""
    start = perf_counter()
    where = output_of(output)
    paths, store = roots_of(roots, storage_options)
    look = look._replace(store=store)
    dataset = Dataset(where)
    found = discover(engine, paths, look, follow_links)
    dataset.begin()
    parts = dataset.parts()
    holders = _holders(parts)
    new = [spot for spot in found.spots if _is_new(spot, holders, look)]
    gone = _gone(holders, found, paths)
    kept = set(holders) - {spot.text for spot in new} - gone
    run = uuid4().hex[:8]
    whole, rests = _keep(parts, {path: holders[path] for path in kept}, run)
    scans = [
        Scan(f"part-{run}-{i:05}", tuple(spot.path for spot in part))
        for i, part in enumerate(split(new, PARTS_A_SLOT * engine.slots))
    ]
    _carry_out(engine, [*scans, *rests], dataset.partial, look, progress)
    # At least this part is always there, so that all four tables are.
    alone = f"part-{run}-walk"
    write(dataset.partial, alone, [{**_tables_of((), look), "findings": found.troubles}])
    written = [*(scan.name for scan in scans), *(rest.name for rest in rests), alone]
    dataset.commit(whole, written)
    return IndexReport(
        outputs=tuple(str(dataset.folder / table) for table in _tables_of((), look)),
        found=len(found.spots),
        changed=len(new),
        kept=len(found.spots) - len(new),
        dropped=sum(holders[path][1] is not None for path in gone),
        bad=not_ok(dataset.folder),
        unreadable=len(found.troubles),
        directories=found.directories,
        links=found.links,
        seconds=perf_counter() - start,
    )


def discover(engine: Engine, roots: list[str], look: Look, follow_links: bool) -> Found:
    """What is there, found by the engine's workers: some units each, for a call has its price."""
    units = units_of(roots, follow_links, look.store)
    calls = min(len(units), PARTS_A_SLOT * engine.slots)
    some = [units[i::calls] for i in range(calls)]
    return put_together(_call(engine, partial(explore_all, data=look.data), some, lambda _: None))


def explore_all(units: list[Unit], data: bool) -> Found:
    """Walks some units: a pure function, for workers."""
    return put_together(explore(unit, data) for unit in units)


def _call(
    engine: Engine, function: Callable[[T], R], items: Sequence[T], told: Callable[[int], object]
) -> list[R]:
    """What the function raises is raised here as it is: engines make something else of errors."""
    results: list[R] = []
    for result, error in engine.map(partial(attempt, function), items, told):
        if error is not None:
            raise error
        results += result
    return results


def attempt(
    function: Callable[[T], R], item: T
) -> tuple[list[R], CheckpointError | OSError | None]:
    """What a function gives, or what it raises: a function for workers."""
    try:
        return [function(item)], None
    except (CheckpointError, OSError) as error:
        return [], error


def output_of(output: str | os.PathLike[str]) -> str:
    """The directory of the data set.

    Raises:
        ValueError: the ending says that something else is wanted.
    """
    path: str = os.path.abspath(os.fspath(output))  # noqa: PTH100
    if Path(path).suffix.lower() in (".duckdb", ".db", ".arrow", ".feather", ".jsonl", ".ndjson"):
        raise ValueError(
            f"{path}: engines write a directory of Parquet files: name it so, or DIR.parquet"
        )
    return path


def _holders(parts: list[Part]) -> dict[str, tuple[int, Facts | None]]:
    """Which part has the rows of a path, by number; the latest, if several have."""
    return {path: (i, facts) for i, part in enumerate(parts) for path, facts in part.rows.items()}


def _is_new(spot: Spot, holders: dict[str, tuple[int, Facts | None]], look: Look) -> bool:
    _, facts = holders.get(spot.text, (0, None))
    if facts is None or facts.signature != spot.signature:
        return True
    return (look.verify and not facts.checked) or (look.stats and not facts.stats)


def _gone(holders: dict[str, tuple[int, Facts | None]], found: Found, roots: list[str]) -> set[str]:
    """What is dropped: it was below the same roots, and the walk has not found it.

    Nothing is known of what lies in a directory that cannot be read now. What the last walk said of
    directories is said anew by this one.
    """
    there = {spot.text for spot in found.spots}
    hidden: list[Any] = found.troubles["path"].to_pylist()
    return {
        path
        for path, (_, facts) in holders.items()
        if path not in there and _below(path, roots) and (facts is None or not _below(path, hidden))
    }


def _keep(
    parts: list[Part], kept: dict[str, tuple[int, Facts | None]], run: str
) -> tuple[list[Part], list[Rest]]:
    """Parts of which all is kept, and what is to be written of the others."""
    left: dict[int, dict[str, Facts | None]] = {}
    for path, (i, facts) in kept.items():
        left.setdefault(i, {})[path] = facts
    whole = [parts[i] for i, rows in left.items() if len(rows) == len(parts[i].rows)]
    rests = [
        Rest(f"part-{run}-of-{i:05}", parts[i]._replace(rows=rows))
        for i, rows in left.items()
        if len(rows) < len(parts[i].rows)
    ]
    return whole, rests


def _carry_out(
    engine: Engine,
    items: list[Scan | Rest],
    folder: Path,
    look: Look,
    progress: Progress | None,
) -> None:
    counts = [len(item.paths) if isinstance(item, Scan) else 0 for item in items]

    def told(done: int) -> None:
        # Which are done is not said; they are of about equal work.
        if progress is not None:
            progress(sum(counts[:done]), sum(counts))

    _call(engine, partial(write_item, folder=folder, look=look), items, told)


def write_item(item: Scan | Rest, folder: Path, look: Look) -> None:
    """Writes a part: a function for workers, which can be called again."""
    if isinstance(item, Rest):
        write_rest(folder, item.name, item.part)
    else:
        write(folder, item.name, _steps(item.paths, look))


def _steps(paths: Sequence[str], look: Look) -> Iterator[dict[str, pa.Table]]:
    for i in range(0, len(paths), STEP):
        yield _tables_of(paths[i : i + STEP], look)


def _tables_of(paths: Sequence[str], look: Look) -> dict[str, pa.Table]:
    own = {"verify": look.verify, "stats": look.stats, "mmap": look.mmap}
    made = tables(paths, **own, storage_options=look.store)
    return {name: pa.table(table) for name, table in made.items()}


def rows_of(paths: Sequence[str], table: str, look: Look) -> pa.Table:
    """One table of some checkpoints."""
    return _tables_of(paths, look)[table]
