"""The catalog itself: its tables in DuckDB, and what says which version they are of."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

from ..errors import CheckpointError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from types import FrameType

    import duckdb

    from .._native import ArrowTable

VERSION = 1
"""Of the tables. A catalog of a later one is not touched."""


WRITING = {"memory_limit": "128MB", "threads": "1", "preserve_insertion_order": "false"}
"""Rows go in while all cores scan the next: more threads would be in their way. DuckDB would keep
in memory what it can, and rows in their order by waiting for each other."""


def connect(path: str, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Opens a DuckDB file, or says what is needed for it.

    Raises:
        CheckpointError: DuckDB is not installed; the file is no catalog, or in use.
        UnsupportedError: the catalog was made by a later version.
    """
    try:
        import duckdb
    except ImportError:
        raise CheckpointError(
            'a catalog needs DuckDB, which is not installed: pip install "tensorbundle[index]"'
        ) from None
    if read_only and not Path(path).exists():
        raise FileNotFoundError(2, "there is no such catalog", path)
    try:
        config: dict[str, str | bool | int | float | list[str]]
        config = {} if read_only else {**WRITING}
        found = duckdb.connect(path, read_only=read_only, config=config)
    except duckdb.Error as error:
        raise CheckpointError(f"{path}: cannot be opened as a catalog: {error}") from None
    try:
        check(found, path)
    except BaseException:
        found.close()
        raise
    return found


def check(db: duckdb.DuckDBPyConnection, path: str) -> None:
    """Refuses what is no catalog of ours, or of a later version."""
    tables = {name for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if not tables:
        return
    if "about" not in tables:
        raise CheckpointError(
            f"{path}: a DuckDB file with other tables ({', '.join(sorted(tables)[:5])}), no "
            "catalog: give another name"
        )
    (row,) = db.execute("SELECT max(version) FROM about").fetchall()
    if row[0] is None or row[0] > VERSION:
        raise UnsupportedError(
            f"{path}: a catalog of version {row[0]}, and this is tensorbundle for version "
            f"{VERSION}: use the one that made it, or give another name"
        )


def make(db: duckdb.DuckDBPyConnection, like: Sequence[ArrowTable], names: Sequence[str]) -> None:
    """Makes the tables, empty, if they are not there."""
    if db.execute("SELECT count(*) FROM duckdb_tables()").fetchall() != [(0,)]:
        return
    with whole(db):
        for name, table in zip(names, like, strict=True):
            db.register("_like", table)
            db.execute(f"CREATE TABLE {name} AS SELECT * FROM _like LIMIT 0")
            db.unregister("_like")
        db.execute(f"CREATE TABLE about AS SELECT {VERSION} AS version")


def replace(
    db: duckdb.DuckDBPyConnection, names: Sequence[str], tables: Sequence[ArrowTable]
) -> None:
    """Puts rows in place of those that were there of the same paths: all of them, or none."""
    with whole(db):
        db.register("_new", tables[0])
        known = db.execute(
            "SELECT count(*) FROM checkpoints WHERE path IN (SELECT path FROM _new)"
        ).fetchall()
        if known != [(0,)]:
            for name in names:
                db.execute(f"DELETE FROM {name} WHERE path IN (SELECT path FROM _new)")
        db.unregister("_new")
        for name, table in zip(names, tables, strict=True):
            if len(table):
                db.register("_new", table)
                db.execute(f"INSERT INTO {name} SELECT * FROM _new")
                db.unregister("_new")


def remove(db: duckdb.DuckDBPyConnection, names: Sequence[str], paths: Sequence[str]) -> None:
    """Drops the rows of paths: of all of them, or none."""
    from .._native import ArrowTable

    if not paths:
        return
    with whole(db):
        db.register("_gone", ArrowTable.from_columns([("path", "str", list(paths))]))
        for name in names:
            db.execute(f"DELETE FROM {name} WHERE path IN (SELECT path FROM _gone)")
        db.unregister("_gone")


@contextmanager
def whole(db: duckdb.DuckDBPyConnection) -> Generator[None, None, None]:
    """A transaction: all that is done in it, or nothing."""
    db.execute("BEGIN")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


@contextmanager
def patient(stop: Callable[[], object]) -> Generator[None, None, None]:
    """Ctrl-C calls ``stop`` here, and comes out at the end: in the middle of a statement, DuckDB
    would make another error of it."""
    import signal
    import threading

    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    held: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append((number, frame))
        stop()

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            before(*held[0])


def temporary_of(path: str) -> str:
    """Beside a file, the name of what is written before it takes its place."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.partial")  # noqa: PTH118
