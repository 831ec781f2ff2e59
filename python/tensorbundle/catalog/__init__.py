"""Whole stores of checkpoints: found, scanned, and kept in a catalog that can be queried.

``discover`` finds what is there, ``rows`` makes Arrow rows of one checkpoint (``tables``: those of
all tables), ``index`` keeps the rows of all of them in a DuckDB catalog (or Parquet, Arrow,
JSON-lines files), reading only what is new or changed, and ``query`` asks one.

>>> from tensorbundle import catalog
>>> catalog.index(["/models"], "models.duckdb")  # doctest: +SKIP
>>> catalog.query("models.duckdb", "largest").to_pydict()  # doctest: +SKIP
"""

from __future__ import annotations

from ._index import IndexReport, index
from ._query import QUESTIONS, Answer, query
from ._rows import Place, discover, rows, tables

__all__ = [
    "QUESTIONS",
    "Answer",
    "IndexReport",
    "Place",
    "discover",
    "index",
    "query",
    "rows",
    "tables",
]
