"""Indexing a store: what is new or changed is scanned, what is gone is dropped, the rest is kept.

A catalog is changed in steps, each whole or not at all, so a run that is killed loses nothing: the
next one goes on where it was. Parquet files are made from such a catalog and take their names when
they are complete; Arrow and JSON-lines files are written anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from .._native import ArrowTable, ArrowWriter, Places, walk
from .._paths import is_url
from .._verify import _Fixed  # pyright: ignore[reportPrivateUsage]
from ..errors import CheckpointError
from . import _store
from ._rows import TABLES, roots_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import duckdb

    from .._paths import StorageOptions
    from .._remote import Store

    Progress = Callable[[int, int], object]
    Four = tuple[ArrowTable, ArrowTable, ArrowTable, ArrowTable]

STEP = 2048
"""Checkpoints between two commits."""

STEP_BYTES = 4 << 30
"""With data checked, so many bytes are enough for a step."""


class IndexReport(_Fixed):
    """What a run of :func:`index` did. Read-only."""

    __slots__ = (
        "bad",
        "changed",
        "directories",
        "dropped",
        "found",
        "kept",
        "links",
        "outputs",
        "seconds",
        "unreadable",
    )

    def __init__(self, **facts: object) -> None:
        """Reports come from :func:`index`."""
        self.outputs: tuple[str, ...]
        """The files that hold the catalog."""
        self.found: int
        """How many checkpoints there are."""
        self.changed: int
        """How many of them were scanned: they are new, or not as they were."""
        self.kept: int
        """How many were left as they were."""
        self.dropped: int
        """How many are gone since the last run."""
        self.bad: int
        """How many have a status other than ``"ok"``."""
        self.unreadable: int
        """How many directories could not be read, or links not followed: see the findings."""
        self.directories: int
        """How many directories were walked."""
        self.links: int
        """How many links to directories were left."""
        self.seconds: float
        """How long it took."""
        for name, value in facts.items():
            setattr(self, name, value)

    def to_dict(self) -> dict[str, object]:
        """Its attributes by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __repr__(self) -> str:
        return (
            f"<tensorbundle.catalog.IndexReport {self.found} checkpoints: {self.changed} scanned, "
            f"{self.kept} kept, {self.dropped} dropped, {self.bad} not ok>"
        )


def index(
    roots: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    verify: bool = False,
    stats: bool = False,
    follow_links: bool = False,
    mmap: bool = True,
    progress: Progress | None = None,
    storage_options: StorageOptions = None,
) -> IndexReport:
    """Indexes every checkpoint below some directories.

    Reads indexes, headers of graphs, names, sizes and times, with all cores; data only with
    ``verify`` or ``stats``. What is broken, damaged, half copied or being written is a row like any
    other, with its status, and rows in ``findings`` say what is wrong, as
    :func:`tensorbundle.verify` says it.

    Args:
        roots: directories; or checkpoints, as for :func:`tensorbundle.open`. URLs must all be of
            one store.
        output: by its ending. ``.duckdb`` (or ``.db``): a catalog with tables ``checkpoints``,
            ``tensors``, ``findings`` and ``stats``, changed in place: a second run scans what is
            new or changed (by size and time of its files) and drops what is gone below the same
            roots.
            ``.parquet``: files ``NAME.checkpoints.parquet`` and so on, with the same rule.
            ``.arrow`` and ``.jsonl``: such files too, made anew by each run, without DuckDB.
        verify: check all data. What was indexed without is scanned again.
        stats: say in table ``stats`` what the values of tensors are like: ``nan``, ``pos_inf``,
            ``neg_inf``, ``zeros``, ``subnormals``, ``min``, ``max``, ``mean``, ``std`` and ``norm``
            of each, as :meth:`Checkpoint.stats` has them. What was indexed without is scanned
            again.
        follow_links: go where links to directories lead. None is walked twice.
        mmap: map the shards for ``verify`` and ``stats``.
        progress: called with the checkpoints done and all of them that are to be scanned. What it
            raises stops the work and comes out; what was done until then is kept.
        storage_options: of URLs, as for :func:`tensorbundle.open`.

    Raises:
        OSError: a root does not exist; the output cannot be written. A catalog that was there
            stays whole, with what was committed.
        CheckpointError: DuckDB is needed and not installed; the output is something else.
        UnsupportedError: the catalog was made by a later version.
        ValueError: an ending that is not known.
    """
    start = perf_counter()
    output = os.path.abspath(os.fspath(output))  # noqa: PTH100
    kind = Path(output).suffix.lower()
    if kind not in (".duckdb", ".db", ".parquet", ".arrow", ".feather", ".jsonl", ".ndjson"):
        raise ValueError(
            f"{output}: what to write is told by the ending: .duckdb, .parquet, .arrow or .jsonl"
        )
    paths, store = roots_of(roots, storage_options)
    look = _Look(verify, stats, mmap)
    if kind in (".duckdb", ".db"):
        db = _store.connect(output)
        with db:
            run = _Run(paths, look, follow_links, progress, store)
            facts = _into_duckdb(db, run, output)
        outputs = [output]
    elif kind == ".parquet":
        facts, outputs = _into_parquet(output, _Run(paths, look, follow_links, progress, store))
    else:
        facts, outputs = _into_files(output, _Run(paths, look, follow_links, progress, store))
    return IndexReport(outputs=tuple(outputs), seconds=perf_counter() - start, **facts)


class _Look(NamedTuple):
    """How checkpoints are looked at."""

    verify: bool
    stats: bool
    mmap: bool


class _Run:
    """A walk, and the scan of what it found."""

    def __init__(
        self,
        roots: list[str],
        look: _Look,
        follow_links: bool,
        progress: Progress | None,
        store: Store | None,
    ) -> None:
        self.roots = roots
        self.look = look
        self.progress = progress
        self.stop = False
        self.places: Places
        self.places, self.troubles, self.directories, self.links = walk(
            roots, follow_links, progress, store
        )
        self.signatures = self.places.signatures()

    def facts(self, changed: int, dropped: int, bad: int) -> dict[str, object]:
        found = len(self.signatures)
        return {
            "found": found,
            "changed": changed,
            "kept": found - changed,
            "dropped": dropped,
            "bad": bad,
            "unreadable": len(self.troubles),
            "directories": self.directories,
            "links": self.links,
        }

    def halt(self) -> None:
        """Ends a scan soon, as Ctrl-C does."""
        self.stop = True

    def steps(self, numbers: list[int]) -> Iterator[list[int]]:
        sizes = self.places.sizes() if self.look.verify or self.look.stats else None
        step: list[int] = []
        room = STEP_BYTES
        for number in numbers:
            step.append(number)
            room -= sizes[number] if sizes else 0
            if len(step) == STEP or room <= 0:
                yield step
                step, room = [], STEP_BYTES
        if step:
            yield step

    def scan(self, numbers: list[int]) -> Iterator[Four]:
        """Rows of these places, a step at a time; the next is scanned while one is taken."""
        from concurrent.futures import ThreadPoolExecutor

        total = len(numbers)
        before = 0

        def work(step: list[int], base: int) -> Four:
            def told(done: int, _: int) -> None:
                if self.stop:
                    raise KeyboardInterrupt
                if self.progress is not None:
                    self.progress(base + done, total)

            return self.places.scan(step, *self.look, told)

        with ThreadPoolExecutor(1) as pool:
            try:
                waiting = None
                for step in self.steps(numbers):
                    upcoming = pool.submit(work, step, before)
                    before += len(step)
                    if waiting is not None:
                        yield waiting.result()
                    waiting = upcoming
                if waiting is not None:
                    yield waiting.result()
            finally:
                self.halt()


def _into_duckdb(db: duckdb.DuckDBPyConnection, run: _Run, path: str) -> dict[str, object]:
    import duckdb

    with _store.patient(run.halt):
        try:
            return _update(db, run)
        except duckdb.Error as error:
            # A full disk, most likely. What was committed is there; the rest is as it was.
            raise OSError(f"{path}: the catalog cannot be written: {error}") from error


def _update(db: duckdb.DuckDBPyConnection, run: _Run) -> dict[str, object]:
    _store.make(db, run.places.scan([], *run.look, None), TABLES)
    known: dict[str, tuple[str, bool, bool]] = {
        path: (signature, checked == "data", stats)
        for path, signature, checked, stats in db.execute(
            "SELECT path, signature, checked, stats FROM checkpoints"
        ).fetchall()
    }

    def is_new(path: str, signature: str) -> bool:
        before, checked, stats = known.get(path, ("", False, False))
        more = (run.look.verify and not checked) or (run.look.stats and not stats)
        return before != signature or more

    numbers = [i for i, each in enumerate(run.signatures) if is_new(*each)]
    there = {path for path, _ in run.signatures}
    # Nothing is known of what lies in a directory that cannot be read now.
    hidden = run.troubles.column("path")
    gone = [
        path
        for path in known
        if path not in there and _below(path, run.roots) and not _below(path, hidden)
    ]
    for tables in run.scan(numbers):
        _store.replace(db, TABLES, tables)
    _store.remove(db, TABLES, gone)
    _troubles(db, run)
    (row,) = db.execute("SELECT count(*) FROM checkpoints WHERE status <> 'ok'").fetchall()
    return run.facts(len(numbers), len(gone), int(row[0]))


def _troubles(db: duckdb.DuckDBPyConnection, run: _Run) -> None:
    """Findings that belong to no checkpoint: those of the same roots are replaced."""
    lone = "SELECT DISTINCT path FROM findings WHERE path NOT IN (SELECT path FROM checkpoints)"
    old = [path for (path,) in db.execute(lone).fetchall() if _below(path, run.roots)]
    _store.remove(db, ("findings",), old)
    if len(run.troubles):
        db.register("_new", run.troubles)
        db.execute("INSERT INTO findings SELECT * FROM _new")
        db.unregister("_new")


def _below(path: str, roots: Iterable[str]) -> bool:
    """Is it one of these, or does it lie in one? Names of checkpoints begin like their roots."""

    def inside(root: str) -> bool:
        separator = "/" if is_url(root) else os.sep
        return path == root or path.startswith(root.rstrip(separator) + separator)

    return any(map(inside, roots))


def _outputs(output: str) -> dict[str, str]:
    stem, ending = os.path.splitext(output)  # noqa: PTH122
    return {name: f"{stem}.{name}{ending}" for name in TABLES}


def _into_parquet(output: str, run: _Run) -> tuple[dict[str, object], list[str]]:
    outputs = _outputs(output)
    working = _store.temporary_of(output)
    db = _store.connect(working)
    with db, _store.patient(run.halt):
        _load(db, run, outputs)
        facts = _into_duckdb(db, run, working)
        for name, path in outputs.items():
            copy = f"COPY {name} TO '{_quoted(_store.temporary_of(path))}' (FORMAT parquet)"
            try:
                db.execute(copy)
            except Exception as error:
                raise OSError(f"{path}: cannot be written: {error}") from error
    for path in outputs.values():
        Path(_store.temporary_of(path)).replace(path)
    Path(working).unlink()
    return facts, list(outputs.values())


def _load(db: duckdb.DuckDBPyConnection, run: _Run, outputs: dict[str, str]) -> None:
    """Begins with the files of the last run; a run that was killed left more than those have."""
    if db.execute("SELECT count(*) FROM duckdb_tables()").fetchall() != [(0,)]:
        return
    _store.make(db, run.places.scan([], *run.look, None), TABLES)
    if all(Path(path).exists() for path in outputs.values()):
        with _store.whole(db):
            for name, path in outputs.items():
                _load_one(db, name, path)


def _load_one(db: duckdb.DuckDBPyConnection, name: str, path: str) -> None:
    try:
        db.execute(f"INSERT INTO {name} BY NAME SELECT * FROM read_parquet('{_quoted(path)}')")
    except Exception as error:
        raise CheckpointError(
            f"{path}: not the Parquet file of an earlier run: {error}; remove it, or give "
            "another name"
        ) from None


def _quoted(path: str) -> str:
    return path.replace("'", "''")


def _into_files(output: str, run: _Run) -> tuple[dict[str, object], list[str]]:
    outputs = _outputs(output)
    empty = run.places.scan([], *run.look, None)
    lines = Path(output).suffix.lower() in (".jsonl", ".ndjson")
    make = _Lines if lines else ArrowWriter.create
    bad = 0
    files = {
        name: make(_store.temporary_of(path), like)
        for (name, path), like in zip(outputs.items(), empty, strict=True)
    }
    for tables in run.scan(list(range(len(run.signatures)))):
        bad += sum(status != "ok" for status in tables[0].column("status"))
        for name, table in zip(TABLES, tables, strict=True):
            files[name].append(table)
    files["findings"].append(run.troubles)
    for name, path in outputs.items():
        files[name].close()
        Path(_store.temporary_of(path)).replace(path)
    return run.facts(len(run.signatures), 0, bad), list(outputs.values())


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not isfinite(value) else value


class _Lines:
    """A file with a JSON object in each line."""

    def __init__(self, path: str, _: ArrowTable) -> None:
        self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - until close()

    def append(self, table: ArrowTable) -> None:
        import json

        columns = table.to_pydict()
        for values in zip(*columns.values(), strict=True):
            # JSON knows no infinity, which the spread of immense numbers may be.
            row = dict(zip(columns, map(_finite, values), strict=True))
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
