"""An engine for tests: it calls at once, through pickle, in this process."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb

from tensorbundle.catalog import IndexReport
from tensorbundle.engines._job import Look, index

TABLES = ("checkpoints", "tensors", "findings", "stats")


class Here:
    """Work is handed out and comes back as between processes; the last item is done first."""

    slots = 2

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any], told: Callable[[int], object]
    ) -> list[Any]:
        results = []
        for done, item in enumerate(reversed(items), 1):
            call, argument = pickle.loads(pickle.dumps((function, item)))
            results.append(pickle.loads(pickle.dumps(call(argument))))
            told(done)
        return results[::-1]


def index_here(
    roots: Any, output: Path, *, follow_links: bool = False, progress: Any = None, **look: bool
) -> IndexReport:
    return index(roots, output, Here(), Look(**look), follow_links, progress)


def rows_of(output: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of a catalog, in an order of their own; as DuckDB reads them."""
    found = {}
    with duckdb.connect() as db:
        for table in TABLES:
            files = f"{output.with_suffix('')}.{table}.parquet"
            if output.is_dir():
                files = f"{output}/{table}/*.parquet"
            asked = db.execute(f"SELECT * FROM read_parquet('{files}')")
            names = [column[:2] for column in asked.description or ()]
            found[table] = [tuple(names), *sorted(asked.fetchall(), key=repr)]
    return found
