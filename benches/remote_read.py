"""Reads every tensor of a remote checkpoint, and prints seconds and how much memory that took.

A process of its own, `remote_read.py URL`, so that nothing measured before counts.
"""

from __future__ import annotations

import sys
import time

import fsspec

import tensorbundle as tb
from index_memory import peak


def main(url: str) -> None:
    fsspec.filesystem("http")  # the libraries are there already
    before, start = peak(), time.perf_counter()
    read = sum(chunk.array.nbytes for chunk in tb.open(url).chunks())
    print(time.perf_counter() - start, peak() - before, read)


if __name__ == "__main__":
    main(*sys.argv[1:])
