"""Claims of sizes that are not there cost nothing: the clean error, under a memory limit."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoding import header_proto, mask, slice_key, snappy_literal, varint
from faults import sound
from writer import Bundle, block, block_entry, restart_array

pytest.importorskip("resource", reason="RLIMIT_AS exists on POSIX only")

# One GiB of address space holds the interpreter, NumPy and a small file many times over.
READ_UNDER_LIMIT = """
import resource, sys
import numpy, tensorbundle
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for mmap in (True, False):
    try:
        with tensorbundle.open(sys.argv[1], mmap=mmap) as ckpt:
            ckpt["x"]
            ckpt.infos()
    except tensorbundle.CheckpointError as error:
        print(type(error).__name__)
    else:
        print("no error")
"""


def claim(**fields: Any) -> Bundle:
    bundle = sound()
    bundle.add("x", b"" if fields.get("dtype") in {7, 21} else np.int8(1), **fields)
    return bundle


def huge_string(length: int) -> Bundle:
    checksum = mask(0).to_bytes(4, "little")
    return claim(dtype=7, data=varint(length) + checksum + b"text")


def huge_handle(part: str, size: int) -> Callable[[], bytes]:
    return lambda: sound().index(place=lambda name, *at: (0, size) if name == part else at)


def snappy_claim(part: str, size: int) -> Callable[[], bytes]:
    return lambda: sound().index(
        contents=lambda name, data: varint(size) + snappy_literal(data) if name == part else data,
        kind=lambda name: int(name == part),
    )


def restarts(count: int) -> Callable[[], bytes]:
    def contents(part: str, data: bytes) -> bytes:
        return data[:-4] + count.to_bytes(4, "little") if part == "data 0" else data

    return lambda: sound().index(contents=contents)


def many_handles() -> bytes:
    """An index block of 20,000 handles that all claim the same large block."""
    handles = [(b"%06d" % i, varint(0) + varint(1 << 40)) for i in range(20_000)]
    return sound().index(
        contents=lambda part, data: block(handles, restart_interval=1) if part == "index" else data
    )


def outcome(prefix: str) -> set[str]:
    """How reading "x" and listing end within the limit, mapped and read."""
    done = subprocess.run(
        [sys.executable, "-c", READ_UNDER_LIMIT, prefix],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


@pytest.mark.format_row("10.3", "2^45 floats")
@pytest.mark.format_row("10.3", "index handle out of the file")
@pytest.mark.format_row("10.3", "handle of 2^62 bytes")
@pytest.mark.format_row("10.3", "handle of 2^64-3 bytes")
@pytest.mark.format_row("10.3", "string of 2^30 bytes")
@pytest.mark.format_row("10.3", "string of 2^50 bytes")
@pytest.mark.format_row("10.3", "2^33 strings")
@pytest.mark.format_row("10.3", "Snappy that lies")
@pytest.mark.format_row("10.3", "too many restarts or a block under 4 bytes")
@pytest.mark.format_row("10.4", "CVE-2018-7575")
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: claim(dtype=1, shape=(2**45,), size=2**47).index(), id="2^45 floats"),
        pytest.param(
            lambda: claim(dtype=6, shape=(2**62,), data=b"", size=2**62).index(), id="2^62 bytes"
        ),
        pytest.param(lambda: huge_string(2**30).index(), id="string of 2^30"),
        pytest.param(lambda: huge_string(2**50).index(), id="string of 2^50"),
        pytest.param(lambda: claim(dtype=7, shape=(2**33,), data=b"").index(), id="2^33 strings"),
        pytest.param(
            lambda: claim(dtype=7, shape=(2**33,), size=2**40).index(), id="2^33 strings, 1 TiB"
        ),
        pytest.param(
            lambda: claim(dtype=21, shape=(2**33,), size=2**40).index(), id="2^33 variants"
        ),
        pytest.param(huge_handle("data 0", 2**62), id="data handle"),
        pytest.param(huge_handle("index", 2**62), id="index handle"),
        pytest.param(huge_handle("index", 2**64 - 3), id="CVE-2018-7575"),
        pytest.param(snappy_claim("data 0", 2**32 - 1), id="Snappy data block"),
        pytest.param(snappy_claim("index", 2**32 - 1), id="Snappy index block"),
        pytest.param(restarts(2**30), id="restarts"),
        pytest.param(many_handles, id="handles"),
    ],
)
def test_hostile_claim(tmp_path: Path, make: Callable[[], bytes]) -> None:
    prefix = sound().write(tmp_path / "b")
    (tmp_path / "b.index").write_bytes(make())
    with (tmp_path / "b.data-00000-of-00001").open("ab") as shard:
        shard.write(varint(2**50) + b"text" * 9)
    assert outcome(prefix) == {"CorruptionError"}


def test_hostile_claim_of_slices(tmp_path: Path) -> None:
    bundle = sound()
    pieces = [[(0, 2**44)], [(2**44, 2**44)]]
    bundle.declare("x", 1, (2**45,), pieces)
    for extents in pieces:
        bundle.add(slice_key(b"x", extents), np.float32(1), shape=(2**44,), size=2**46)
    assert outcome(bundle.write(tmp_path / "b")) == {"CorruptionError"}


@pytest.mark.parametrize("rank", [12, 24, 30])
@pytest.mark.parametrize("shape", ["corners", "staircase"])
def test_slices_cut_along_many_dimensions(tmp_path: Path, shape: str, rank: int) -> None:
    """Whether slices tile must not cost 2^rank steps: 3 kB of index would ask for gigabytes.

    Two boxes at opposite corners leave a gap. Boxes that each cut what the ones before have left
    do tile, but the shard is too short for them.
    """
    if shape == "corners":
        pieces = [[(start, 1)] * rank for start in (0, 1)]
    else:
        left = [[(0, 1)] * axis + [(1, 1)] + [(0, 2)] * (rank - axis - 1) for axis in range(rank)]
        pieces = [*left, [(0, 1)] * rank]
    bundle = sound()
    bundle.declare("x", 6, (2,) * rank, pieces)
    for extents in pieces:
        lengths = [length for _, length in extents]
        place = {"shape": lengths, "size": math.prod(lengths)}
        bundle.add(slice_key(b"x", extents), np.int8(0), data=b"", **place)
    assert outcome(bundle.write(tmp_path / "b")) <= {"CorruptionError", "UnsupportedError"}


def test_names_that_share_a_long_prefix(tmp_path: Path) -> None:
    """280 kB of index that spell out 2 GB of names."""
    prefix, count = b"x" * 100_000, 20_000
    data = block_entry(0, b"", header_proto()) + block_entry(0, prefix, b"\x08\x01")
    data += b"".join(
        block_entry(len(prefix), i.to_bytes(2, "big"), b"\x08\x01") for i in range(count)
    )
    data += restart_array([0])
    index = sound().index(
        contents=lambda part, made: data if part == "data 0" else made,
        key=lambda _part, _key: b"y",
    )
    (tmp_path / "b.index").write_bytes(index)
    assert outcome(str(tmp_path / "b")) <= {"CorruptionError", "UnsupportedError"}
