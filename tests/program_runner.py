"""Runs a program of the tests in a process that cannot import TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

START = """
import importlib.abc, runpy, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"tensorflow", "tensorboard", "keras", "google"}:
            raise ImportError(f"{name} must not be imported here")
        return None

sys.modules["tensorflow"] = None
sys.meta_path.insert(0, Blocker())
for name in ("tensorflow", "tensorflow.python", "google.protobuf"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} can be imported")
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not {"tensorflow.python", "google.protobuf", "keras"} & set(sys.modules)
print("done")
"""


def run_without_tensorflow(program: str, *arguments: object) -> None:
    """Runs `tests/PROGRAM.py` and wants it to come to its end."""
    folder = Path(__file__).parent
    command = [sys.executable, "-W", "error", "-c", START, str(folder / f"{program}.py")]
    done = subprocess.run(
        [*command, *(str(argument) for argument in arguments)],
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "done", done.stdout
