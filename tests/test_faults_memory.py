"""Claims of sizes that are not there cost nothing: the clean error, under a memory limit."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoding import Extent, bytes_field, header_proto, mask, slice_key, snappy_literal, varint
from faults import sound
from graph_maker import const, graph_def, meta_graph, tensor
from writer import Bundle, block, block_entry, restart_array
from writer_v1 import V1File

pytest.importorskip("resource", reason="RLIMIT_AS exists on POSIX only")

# One GiB of address space holds the interpreter, NumPy and a small file many times over.
READ_UNDER_LIMIT = """
import resource, sys
import numpy, tensorbundle
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for mmap in (True, False):
    try:
        with tensorbundle.open(sys.argv[1], mmap=mmap) as ckpt:
            if sys.argv[2:]:
                ckpt.object_graph
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


def outcome(prefix: str, *more: str) -> set[str]:
    """How reading "x" and listing end within the limit, mapped and read."""
    done = subprocess.run(
        [sys.executable, "-c", READ_UNDER_LIMIT, prefix, *more],
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


# V1.


def v1_claim(dtype: int, dims: tuple[int, ...], data: bytes = b"") -> V1File:
    whole: list[Extent] = [None] * len(dims)
    file = V1File()
    file.declare("x", dims, dtype, [whole])
    file.put("x", whole, data)
    return file


def v1_halves() -> V1File:
    file = V1File()
    file.declare("x", (2**45,), 1, [[(0, 2**44)], [(2**44, 2**44)]])
    return file


SMALL_V1 = partial(v1_claim, 1, (1,), bytes_field(5, bytes(4)))


def v1_snappy(part: str) -> dict[str, Any]:
    def claim(name: str, data: bytes) -> bytes:
        return varint(2**32 - 1) + snappy_literal(data) if name == part else data

    return {"contents": claim, "kind": lambda name: int(name == part)}


@pytest.mark.parametrize(
    ("make", "hooks"),
    [
        pytest.param(partial(v1_claim, 1, (2**45,)), {}, id="2^45 floats"),
        pytest.param(
            partial(v1_claim, 1, (2**45,), bytes_field(5, bytes(4))),
            {},
            id="2^45 floats, one there",
        ),
        pytest.param(partial(v1_claim, 7, (2**33,)), {}, id="2^33 strings"),
        pytest.param(partial(v1_claim, 7, (1,), b"\x42" + varint(2**50)), {}, id="string of 2^50"),
        pytest.param(
            partial(v1_claim, 1, (1,), b"\x2a" + varint(2**40)), {}, id="2^38 floats in a field"
        ),
        pytest.param(v1_halves, {}, id="slices"),
        pytest.param(SMALL_V1, v1_snappy("data 0"), id="Snappy data block"),
        pytest.param(SMALL_V1, v1_snappy("index"), id="Snappy index block"),
        pytest.param(
            SMALL_V1,
            {"place": lambda name, *at: (0, 2**62) if name == "index" else at},
            id="index handle",
        ),
        pytest.param(
            SMALL_V1,
            {"place": lambda name, *at: (0, 2**62) if name == "data 0" else at},
            id="data handle",
        ),
        pytest.param(
            SMALL_V1,
            {
                "contents": lambda name, data: (
                    data[:-4] + (2**30).to_bytes(4, "little") if name == "data 0" else data
                )
            },
            id="restarts",
        ),
    ],
)
def test_hostile_claim_in_v1(
    tmp_path: Path, make: Callable[[], V1File], hooks: dict[str, Any]
) -> None:
    assert outcome(make().write(tmp_path / "m", **hooks)) == {"CorruptionError"}


# Graphs, of nodes and of objects.


@pytest.mark.parametrize(
    ("length", "fields"),
    [
        (2**30, {}),
        (2**50, {}),
        (2**50, {"size": 2**60}),
        (2**50, {"shape": (2**33,)}),
        (2**50, {"offset": 2**50}),
    ],
)
def test_hostile_claim_of_an_object_graph(
    tmp_path: Path, length: int, fields: dict[str, Any]
) -> None:
    bundle = sound()
    checksum = mask(0).to_bytes(4, "little")
    bundle.add(
        "_CHECKPOINTABLE_OBJECT_GRAPH", b"", data=varint(length) + checksum + b"text", **fields
    )
    assert outcome(bundle.write(tmp_path / "b"), "objects") == {"CorruptionError"}


@pytest.mark.parametrize(
    ("dtype", "dims", "more"),
    [
        (1, (2**45,), b""),
        (1, (2**45,), bytes_field(5, bytes(4))),
        (1, (2**45,), bytes_field(5, bytes(3) + b"\1" + bytes(4))),
        (1, (2**45,), bytes_field(4, bytes(4))),
        (7, (2**33,), b""),
        (7, (2**33,), bytes_field(8, b"text")),
        (21, (2**33,), bytes_field(15, b"")),
        (20, (2**33,), bytes_field(14, b"")),
        (1, (2**40, 2**40), b""),
        (29, (2**62,), bytes_field(7, b"\1\2")),
    ],
)
def test_hostile_claim_of_a_graph_tensor(
    tmp_path: Path, dtype: int, dims: tuple[int, ...], more: bytes
) -> None:
    path = tmp_path / "g.pb"
    path.write_bytes(meta_graph(graph_def([const("x", tensor(dtype, dims, more=more), dtype)])))
    program = Path(__file__).parent / "graph_touch.py"
    done = subprocess.run(
        [sys.executable, str(program), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # One value for all elements is an array of no memory; all else is refused.
    errors = {line.split()[0] for line in done.stdout.splitlines()}
    assert errors <= {"CorruptionError", "UnsupportedError"}
