"""Questions to a catalog: SQL, or one of those that have a name."""

from __future__ import annotations

import os

from .._verify import _Fixed  # pyright: ignore[reportPrivateUsage]
from ..errors import CheckpointError
from . import _store
from ._rows import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

QUESTIONS = {
    "duplicates": (
        "checkpoints whose tensors have the same names, types, shapes and checksums",
        """
        SELECT fingerprint, count(*) AS copies, any_value(bytes) AS bytes,
               (count(*) - 1) * any_value(bytes) AS wasted, list(path ORDER BY path) AS paths
        FROM checkpoints WHERE status = 'ok' AND fingerprint IS NOT NULL AND tensors > 0
        GROUP BY fingerprint HAVING count(*) > 1 ORDER BY wasted DESC, fingerprint
        """,
    ),
    "largest": (
        "the largest tensors",
        """
        SELECT bytes, dtype, shape, name, path FROM tensors
        ORDER BY bytes DESC, path, name LIMIT 50
        """,
    ),
    "broken": (
        "what is not as it should be, and why",
        """
        SELECT status, path, reason FROM checkpoints WHERE status <> 'ok'
        UNION ALL
        SELECT kind, path, text FROM findings
        WHERE path NOT IN (SELECT path FROM checkpoints) ORDER BY path
        """,
    ),
    "nans": (
        "tensors with NaNs or infinities, the worst first",
        """
        SELECT nan, pos_inf + neg_inf AS inf, elements, name, path FROM stats
        WHERE nan > 0 OR pos_inf > 0 OR neg_inf > 0
        ORDER BY (nan + pos_inf + neg_inf) / elements DESC, path, name
        """,
    ),
    "lineage": (
        "the checkpoints of a directory by step, and how many tensors are those of the one before",
        """
        WITH steps AS (
            SELECT path, directory, structure, step, mtime_ns, tensors,
                   lag(path) OVER run AS before
            FROM checkpoints WHERE status = 'ok' AND structure IS NOT NULL
            WINDOW run AS (PARTITION BY directory, structure ORDER BY step, mtime_ns, path)
        )
        SELECT steps.directory, steps.step, steps.path, steps.before, steps.tensors,
               count(a.name) AS unchanged
        FROM steps
        LEFT JOIN tensors b ON b.path = steps.path AND b.crc32c IS NOT NULL
        LEFT JOIN tensors a ON a.path = steps.before AND a.name = b.name AND a.crc32c = b.crc32c
        GROUP BY ALL ORDER BY steps.directory, steps.step, steps.path
        """,
    ),
}
"""Questions that have a name: what they are about, and the SQL."""


class Answer(_Fixed):
    """Rows that answer a question. Read-only."""

    __slots__ = ("columns", "rows")

    def __init__(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Answers come from :func:`query`."""
        self.columns = columns
        """The names of the columns."""
        self.rows = rows
        """The rows, as tuples of Python objects."""

    def to_pydict(self) -> dict[str, list[Any]]:
        """The columns as lists, by name."""
        return {name: [row[i] for row in self.rows] for i, name in enumerate(self.columns)}

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<tensorbundle.catalog.Answer {len(self.rows)} rows: {', '.join(self.columns)}>"


def query(catalog: str | os.PathLike[str], question: str) -> Answer:
    """Asks a catalog, which is opened for reading only.

    Args:
        catalog: a ``.duckdb`` file made by :func:`index`; or the ``.parquet`` name it was given, or
            the directory that an engine made.
        question: SQL over the tables ``checkpoints``, ``tensors``, ``findings`` and ``stats``, or
            one of :data:`QUESTIONS`.

    Raises:
        OSError: there is no such catalog.
        CheckpointError: DuckDB is not installed; the file is no catalog; the SQL is wrong; nobody
            looked for NaNs when the catalog was made.
        UnsupportedError: the catalog was made by a later version.
    """
    path = os.fspath(catalog)
    folder = _folder(path)
    if folder is not None:
        db = _views({name: f"{folder}/{name}/*.parquet" for name in TABLES})
    elif path.endswith(".parquet"):
        db = _parquet(path)
    else:
        db = _store.connect(path, read_only=True)
    import duckdb

    _, sql = QUESTIONS.get(question.strip(), ("", question))
    with db, _store.patient(db.interrupt):
        try:
            if question.strip() == "nans":
                _need_stats(db, path)
            found = db.execute(sql)
            columns = tuple(str(column[0]) for column in found.description or ())
            return Answer(columns, found.fetchall())
        except duckdb.Error as error:
            raise CheckpointError(f"{path}: {error}") from None


def _need_stats(db: Any, path: str) -> None:
    """No answer must not look like one."""
    (without,) = db.execute(
        "SELECT count(*) FROM checkpoints WHERE tensors > 0 AND NOT stats"
    ).fetchone()
    if without:
        raise CheckpointError(
            f"{path}: nothing is known of the values in {without:,} of its checkpoints: index with "
            "--stats (stats=True)"
        )


def _folder(path: str) -> str | None:
    """The data set that an engine wrote; for a moment of its run the old one has another name."""
    folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100
    for each in (path, os.path.join(folder, f".{name}.before")):  # noqa: PTH118
        if all(os.path.isdir(os.path.join(each, table)) for table in TABLES):  # noqa: PTH112, PTH118
            return each
    return None


def _parquet(path: str) -> Any:
    from ._index import _outputs  # pyright: ignore[reportPrivateUsage]

    outputs = _outputs(path)
    for file in outputs.values():
        if not os.path.exists(file):  # noqa: PTH110
            raise FileNotFoundError(2, "there is no such catalog", file)
    return _views(outputs)


def _views(outputs: dict[str, str]) -> Any:
    from ._index import _quoted  # pyright: ignore[reportPrivateUsage]

    db = _store.connect(":memory:")
    for name, files in outputs.items():
        db.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{_quoted(files)}')")
    return db
