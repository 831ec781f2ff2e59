"""Indexes a store and prints how many more bytes of memory that took than importing.

A process of its own, `index_memory.py DIRECTORY CATALOG`, so that nothing measured before counts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from tensorbundle import catalog


def main(directory: str, made: str) -> None:
    duckdb.connect().execute("SELECT 1").fetchall()
    before = peak()
    catalog.index(directory, made)
    print(peak() - before)


def peak() -> int:
    """The most memory this process ever had; `ru_maxrss` knows that of its parent, too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
