"""Every byte of a bundle changed in many ways, under checksums that fit: an error or an answer.

What may come is one of the package's errors. A panic, another exception or a crash may not; what
is read may be wrong, since the writer of the bytes also wrote their checksums.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from tensorbundle.errors import CheckpointError
from writer import Bundle


def varied() -> Bundle:
    """A little of everything an index can hold."""
    bundle = Bundle(shards=2)
    bundle.add("f", np.arange(6, dtype="<f4").reshape(2, 3))
    bundle.add("s", [b"one", b"", b"three"])
    bundle.add("v", [b"\x0a\x03one", b""], dtype=21, shard=1)
    w = np.arange(12, dtype="<i2").reshape(4, 3)
    bundle.add_sliced("w", w, [[(0, 3), None], [(3, 1), (0, 3)]], shards=[0, 1])
    bundle.add_sliced("t", [b"a", b"bb", b"ccc"], [[(0, 1)], [(1, 2)]])
    return bundle


def mutations(data: bytes) -> Iterator[bytes]:
    for at, old in enumerate(data):
        for new in {0x00, 0x7F, 0x80, 0xFF, *(old ^ (1 << bit) for bit in range(8))} - {old}:
            yield data[:at] + bytes([new]) + data[at + 1 :]
    for at in range(len(data)):
        yield data[:at] + data[at + 1 :]
        yield data[:at] + data[at : at + 1] + data[at:]


def use(prefix: str, mmap: bool) -> None:
    """All that can be done with a bundle."""
    try:
        ckpt = tb.open(prefix, mmap=mmap, verify=mmap)
        infos = ckpt.infos()
    except CheckpointError:
        return
    for info in infos:
        try:
            ckpt.info(info.name)
            repr(info)
            ckpt[info.name]
            if info.shape:
                ckpt.read(info.name, rows=slice(1, 2), aligned=True)
        except (CheckpointError, FileNotFoundError):
            pass


@pytest.mark.parametrize("part", ["data 0", "index"])
def test_mutated_blocks(tmp_path: Path, part: str) -> None:
    bundle = varied()
    prefix = bundle.write(tmp_path / "b")
    found: list[bytes] = []
    bundle.index(contents=lambda name, data: found.append(data) or data if name == part else data)
    for i, changed in enumerate(mutations(found[0])):
        index = bundle.index(
            contents=lambda name, data, changed=changed: changed if name == part else data
        )
        Path(prefix + ".index").write_bytes(index)
        use(prefix, mmap=bool(i % 2))


def test_mutated_footer(tmp_path: Path) -> None:
    prefix = varied().write(tmp_path / "b")
    path = Path(prefix + ".index")
    index = path.read_bytes()
    for changed in mutations(index[-48:]):
        path.write_bytes(index[:-48] + changed)
        use(prefix, mmap=True)


def test_mutated_shards(tmp_path: Path) -> None:
    prefix = varied().write(tmp_path / "b")
    for path in tb.open(prefix).shard_paths():
        shard = Path(path).read_bytes()
        for i, changed in enumerate(mutations(shard)):
            Path(path).write_bytes(changed)
            use(prefix, mmap=bool(i % 2))
        Path(path).write_bytes(shard)
