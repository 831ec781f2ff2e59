"""What the tests of verify and salvage share: checkpoints of every kind, and ways to hurt them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tensorbundle as tb
from encoding import snappy_compress
from writer import Bundle
from writer_v1 import V1File, write_shards

WORDS = [b"one", b"", b"three" * 30]
MESSAGES = [b"\x0a\x03one", b"", b"\x0a\x05three"]


def plain(folder: Path, **hooks: Any) -> str:
    """Tensors of several kinds in two shards, one of them partitioned."""
    bundle = Bundle(shards=2)
    for i in range(12):
        bundle.add(
            f"layer_{i:02}/kernel", np.arange(i, i + 24, dtype="<f4").reshape(4, 6), shard=i % 2
        )
    bundle.add("words", WORDS)
    bundle.add("variants", MESSAGES, dtype=21, shard=1)
    bundle.add("empty", np.zeros((0, 3), "<i8"))
    wide = np.arange(60, dtype="<i2").reshape(6, 10)
    bundle.add_sliced(
        "wide", wide, [[(0, 3), None], [(3, 3), (0, 5)], [(3, 3), (5, 5)]], shards=[0, 1, 1]
    )
    bundle.add_sliced("texts", [b"a", b"bb", b"ccc"], [[(0, 1)], [(1, 2)]], shards=[1, 0])
    return bundle.write(folder / "model.ckpt", **{"block_size": 300, **hooks})


def snappy(folder: Path) -> str:
    def squeezed(_part: str, data: bytes) -> bytes:
        return snappy_compress(data)

    return plain(folder, contents=squeezed, kind=lambda _part: 1)


def big_endian(folder: Path) -> str:
    bundle = Bundle(big_endian=True)
    bundle.add("numbers", np.arange(6, dtype="<f8"))
    bundle.add("words", WORDS)
    return bundle.write(folder / "model.ckpt")


def v1(folder: Path, **hooks: Any) -> str:
    files = [V1File(), V1File()]
    for i in range(6):
        files[i % 2].add(f"layer_{i}/kernel", np.arange(i, i + 30, dtype="<f4").reshape(5, 6))
    files[0].add("words", WORDS)
    wide = np.arange(60, dtype="<i4").reshape(6, 10)
    files[0].add_sliced("wide", wide, [[(0, 3), None]])
    files[1].add_sliced("wide", wide, [[(3, 3), None]])
    return write_shards(folder / "old.ckpt", files, **{"block_size": 200, **hooks})


KINDS: dict[str, Callable[[Path], str]] = {
    "plain": plain,
    "snappy": snappy,
    "big-endian": big_endian,
    "v1": v1,
}


def files_of(prefix: str) -> list[Path]:
    """All files of a checkpoint that was just written."""
    folder, name = os.path.split(prefix)
    start = name.split("-?????")[0]
    return sorted(path for path in Path(folder).iterdir() if path.name.startswith(start))


def values(ckpt: tb.Checkpoint) -> dict[str, Any]:
    """All tensors, as what can be compared."""
    return {name: (array.dtype, array.shape, array.tolist()) for name, array in ckpt.items()}


def kinds(report: tb.VerifyReport) -> list[str]:
    return [finding.kind for finding in report.findings]


def flip(path: Path, at: int, mask: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= mask
    path.write_bytes(data)
