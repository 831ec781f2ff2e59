"""Indexes a store and prints how many more bytes of memory that took than importing.

A process of its own, `index_memory.py DIRECTORY CATALOG`, so that nothing measured before counts.
"""

from __future__ import annotations

import resource
import sys

import duckdb

from tensorbundle import catalog


def main(directory: str, made: str) -> None:
    duckdb.connect().execute("SELECT 1").fetchall()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    catalog.index(directory, made)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) * (1 if sys.platform == "darwin" else 1024))


if __name__ == "__main__":
    main(*sys.argv[1:])
