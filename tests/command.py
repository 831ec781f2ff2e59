"""Runs the command line, in this process or in one of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from tensorbundle.cli import main
from writer import Bundle

COMMAND = [sys.executable, "-m", "tensorbundle"]
MATRIX = np.arange(6, dtype=np.float32).reshape(3, 2)


def from_terminal(leader: int) -> Iterator[bytes]:
    """What is written to a pseudo-terminal, piece by piece, until nobody can write to it."""
    while True:
        try:
            piece = os.read(leader, 1 << 16)
        except OSError:  # how Linux tells that the other side has closed
            return
        if not piece:
            return
        yield piece


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err
        self.lines = out.splitlines()

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def cli(*arguments: object) -> Result:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Result(code, out.getvalue(), err.getvalue())


def process(
    *arguments: str, env: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run(
        [*COMMAND, *arguments], env={**os.environ, **(env or {})}, check=False, **options
    )


def write_small(folder: Path) -> str:
    """A few tensors whose names, sizes and places differ in order."""
    bundle = Bundle(shards=2)
    bundle.add("b/kernel", MATRIX, shard=1)
    bundle.add("a", np.int64(7))
    bundle.add("b/bias", np.zeros(2, np.float16), shard=1)
    bundle.add("c", np.arange(40, dtype=np.uint8))
    return bundle.write(folder / "small" / "ckpt")
