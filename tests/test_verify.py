"""What is verified is what is given: a file that is read again is checked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from faults import refused
from tensorbundle.errors import CorruptionError
from writer import Bundle

W = np.arange(24, dtype="<f4").reshape(4, 6)


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    bundle = Bundle()
    bundle.add("plain", W)
    bundle.add_sliced("cut", W, [[(0, 2), None], [(2, 2), None]])
    bundle.add_sliced("columns", W, [[None, (0, 4)], [None, (4, 2)]])
    return bundle.write(tmp_path / "b")


def overwrite(prefix: str, at: int, byte: int) -> None:
    with Path(prefix + ".data-00000-of-00001").open("r+b") as shard:
        shard.seek(at)
        shard.write(bytes([byte]))


def end_of(ckpt: tb.Checkpoint, name: str) -> int:
    """Where the last byte of a tensor, or of its last slice, lies."""
    info = ckpt.info(name)
    last = info.slices[-1] if info.slices else info
    assert last.offset is not None
    assert last.nbytes is not None
    return last.offset + last.nbytes - 1


@pytest.mark.parametrize("name", ["plain", "cut", "columns"])
@pytest.mark.parametrize("rows", [None, slice(3, 4), slice(1, 3), slice(None, None, -1)], ids=repr)
@pytest.mark.parametrize("when", ["open", "read"])
def test_damage_between_two_reads(prefix: str, name: str, rows: slice | None, when: str) -> None:
    ckpt = tb.open(prefix, mmap=False, verify=when == "open")
    options: dict[str, Any] = {"rows": rows, "verify": True if when == "read" else None}
    want = W if rows is None else W[rows]
    for _ in range(2):
        np.testing.assert_array_equal(ckpt.read(name, **options), want)
    at = end_of(ckpt, name)
    overwrite(prefix, at, 0xFF)
    path = prefix + ".data-00000-of-00001"
    with refused(CorruptionError, "checksum", path=path, part="tensor data", tensor=name):
        ckpt.read(name, **options)
    assert ckpt.read(name, rows=rows, verify=False).shape == want.shape
    overwrite(prefix, at, W.tobytes()[-1])
    np.testing.assert_array_equal(ckpt.read(name, **options), want)


def test_slices_that_are_not_touched_are_not_checked(prefix: str) -> None:
    ckpt = tb.open(prefix, mmap=False, verify=True)
    overwrite(prefix, end_of(ckpt, "cut"), 0xFF)
    np.testing.assert_array_equal(ckpt.read("cut", rows=slice(0, 2)), W[:2])
    with refused(CorruptionError, "checksum", tensor="cut"):
        ckpt.read("cut", rows=slice(1, 3))
