"""Small files that ask for much work or memory: refused or done, under limits on both."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from encoding import (
    bytes_field,
    entry_proto,
    slice_key,
    slice_proto,
    snappy_copy,
    snappy_literal,
    varint,
)
from faults import refused, sound
from tensorbundle.errors import TensorNotFoundError, UnsupportedError
from writer import Bundle, Item, block, block_entry, handle, restart_array, sealed

pytest.importorskip("resource", reason="limits on memory and time exist on POSIX only")

# The work is bounded in seconds of the processor, so that a busy machine changes nothing.
UNDER_LIMITS = """
import resource, sys
import numpy, tensorbundle
path, name, mmap = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
for act in (
    lambda ckpt: None,
    lambda ckpt: name in ckpt,
    lambda ckpt: ckpt.info(name),
    lambda ckpt: ckpt.infos(),
    lambda ckpt: list(ckpt),
    lambda ckpt: ckpt[name],
):
    try:
        with tensorbundle.open(path, mmap=mmap) as ckpt:
            act(ckpt)
    except (tensorbundle.CheckpointError, MemoryError) as error:
        print(type(error).__name__, "|", error)
    else:
        print("fine |")
"""

# Any of them is a proper end. Where only one will do, a test says so.
REFUSED = {"CorruptionError", "UnsupportedError"}


def outcome(path: str | Path, name: str = "x", *, mmap: bool = True) -> list[tuple[str, str]]:
    """How opening, asking for, describing, listing, naming and reading end: error and text."""
    done = subprocess.run(
        [sys.executable, "-c", UNDER_LIMITS, str(path), name, str(mmap)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    ends = [(kind, text) for kind, _, text in (x.partition(" | ") for x in done.stdout.split("\n"))]
    assert len(ends) == 7
    return [(kind.removesuffix(" |"), text) for kind, text in ends[:-1]]


def kinds(ends: list[tuple[str, str]]) -> set[str]:
    return {kind for kind, _ in ends}


def repeated(head: bytes, unit: bytes, times: int, tail: bytes = b"") -> bytes:
    """head + unit * times + tail as Snappy stores it: 3 bytes for every 64."""
    out = varint(len(head) + len(unit) * times + len(tail)) + snappy_literal(head + unit)
    whole, rest = divmod(len(unit) * (times - 1), 64)
    out += snappy_copy(len(unit), 64) * whole + (snappy_copy(len(unit), rest) if rest else b"")
    return out + (snappy_literal(tail) if tail else b"")


def squeezed(data: bytes, unit: bytes, times: int) -> bytes:
    """`data` as Snappy stores it, with each run of units squeezed."""
    out, run, start = b"", unit * times, 0
    while (at := data.find(run, start)) >= 0:
        piece = repeated(data[start:at], unit, times)
        out += piece[len(varint(at - start + len(run))) :]
        start = at + len(run)
    return varint(len(data)) + out + snappy_literal(data[start:])


def stored(
    tmp_path: Path,
    *,
    data: tuple[bytes, int] | None = None,
    index: tuple[bytes, int] | None = None,
    spare: int = 0,
) -> str:
    """A sound bundle, its blocks replaced by (bytes, block type); `spare` bytes after the first."""
    parts = {"data 0": data, "index": index}

    def contents(part: str, made: bytes) -> bytes:
        own = parts.get(part)
        return own[0] if own else made

    def kind(part: str) -> int:
        own = parts.get(part)
        return own[1] if own else 0

    bundle = sound()
    prefix = bundle.write(tmp_path / "b")
    Path(prefix + ".index").write_bytes(
        bundle.index(
            contents=contents,
            kind=kind,
            key=lambda _part, _key: b"\xff",
            seal=lambda part, made: made + bytes(spare) if part == "data 0" else made,
        )
    )
    return prefix


def with_items(*items: Item) -> bytes:
    return block(sorted([*sound().items.items(), *items]))


# The index block.


@pytest.mark.parametrize("kind", [0, 1], ids=["plain", "snappy"])
@pytest.mark.parametrize(
    ("length", "count", "restart_interval", "fragment"),
    [
        pytest.param(4000, 20_000, 10**9, "without a restart", id="no restarts"),
        pytest.param(200_000, 500, 10**9, "a key of more than", id="long keys"),
        pytest.param(60_000, 1000, 10**9, "out of all proportion", id="within both limits"),
        pytest.param(60_000, 4000, 1024, "out of all proportion", id="some restarts"),
    ],
)
def test_separators_that_share_a_long_prefix(
    tmp_path: Path, length: int, count: int, restart_interval: int, fragment: str, kind: int
) -> None:
    """An index block of some kilobytes that spells out megabytes or gigabytes of separators."""
    first = len(block(sorted(sound().items.items())))
    base = len(sealed(bytes(first)))
    prefix, entries, restarts = b"x" * length, b"", [0]
    for i in range(count):
        where = handle(0, first) if i == 0 else handle(base + 5 * i, 0)
        if i and i % restart_interval == 0:
            restarts.append(len(entries))
        shares = length if i % restart_interval else 0
        entries += block_entry(shares, (prefix + i.to_bytes(2, "big"))[shares:], where)
    index = entries + restart_array(restarts)
    made = squeezed(index, b"x", length) if kind else index
    if kind and len(index) < 10**5:
        assert len(made) < len(index)
    path = stored(tmp_path, index=(made, kind), spare=5 * count)
    for error, text in outcome(path, "bias"):
        assert error == "UnsupportedError"
        assert text.startswith("index block of ")
        assert fragment in text


# Keys.


def keyed(tmp_path: Path, keys: list[bytes], restart_interval: int) -> str:
    value = entry_proto(dtype=1, shape=(0,))
    data = block(
        [*sorted(sound().items.items())[:1], *((key, value) for key in keys)],
        restart_interval=restart_interval,
    )
    return stored(tmp_path, data=(data, 0))


def test_the_longest_key(tmp_path: Path) -> None:
    ckpt = tb.open(keyed(tmp_path, [b"k" * (1 << 16)], 16))
    assert list(ckpt) == ["k" * (1 << 16)]
    assert ckpt["k" * (1 << 16)].shape == (0,)
    prefix = keyed(tmp_path, [b"k" * ((1 << 16) + 1)], 16)
    with refused(UnsupportedError, str(1 << 16), path=prefix + ".index", part="data block"):
        tb.open(prefix)


def test_a_key_that_is_too_long_by_what_it_shares(tmp_path: Path) -> None:
    long = b"k" * (1 << 16)
    prefix = keyed(tmp_path, [long, long + b"k"], 1024)
    with refused(UnsupportedError, str(1 << 16), path=prefix + ".index", part="data block"):
        tb.open(prefix)


def test_the_fewest_restarts(tmp_path: Path) -> None:
    names = [b"%05d" % i for i in range(3000)]
    ckpt = tb.open(keyed(tmp_path, names, 1024))
    assert len(ckpt) == 3000
    assert all(name.decode() in ckpt for name in names)
    prefix = keyed(tmp_path, names, 1025)
    with refused(UnsupportedError, "1024", "restart", path=prefix + ".index", part="data block"):
        tb.open(prefix)


@pytest.mark.parametrize("kind", [0, 1], ids=["plain", "snappy"])
def test_names_within_the_limits_of_a_key(tmp_path: Path, kind: int) -> None:
    """A thousand names of 60 kB each, from 66 kB or from 9 kB."""
    length, count = 60_000, 1000
    data = block_entry(0, b"", sound().items[b""]) + block_entry(0, b"x" * length, b"\x08\x01")
    data += b"".join(
        block_entry(length, i.to_bytes(2, "big"), b"\x08\x01") for i in range(count)
    ) + restart_array([0])
    made = squeezed(data, b"x", length) if kind else data
    ends = outcome(stored(tmp_path, data=(made, kind)), "x" * length)
    listing = ends[3:5]
    for error, text in listing:
        assert error == "UnsupportedError"
        assert "names" in text
        assert text.startswith("data block of ")


# Slices.

EMPTY = b"\x3a\x00"  # a slice without extents, in an entry


def partitioned(count: int) -> bytes:
    return entry_proto(dtype=1, shape=()) + EMPTY * count


def test_many_slices_of_one_long_name(tmp_path: Path) -> None:
    name = "n" * 60_000
    data = with_items((name.encode(), partitioned(100_000)))
    # Its keys were 6 GB together.
    ends = outcome(stored(tmp_path, data=(data, 0)), name)
    assert ends[3][0] == "fine"
    assert ends[5][0] == "CorruptionError"


def test_many_slices_of_a_long_name_behind_many_keys(tmp_path: Path) -> None:
    """Each of 50,000 slices is looked up behind 500 keys of 60 kB that differ at their end only."""
    name, count = b"n" * 60_000, 500
    items = {slice_key(name, [(i, 1)]): b"\x08\x01" for i in range(count)}
    items[name] = entry_proto(dtype=1, shape=(5,)) + 50_000 * bytes_field(
        7, slice_proto([(count - 1, 1)])
    )
    data = block(sorted({**items, b"": sound().items[b""]}.items()), restart_interval=1000)
    path = stored(tmp_path, data=(squeezed(data, b"n", 60_000), 1))
    assert kinds(outcome(path, name.decode())) <= {"fine", *REFUSED}


def test_a_slice_that_is_listed_often_and_lists_as_many(tmp_path: Path) -> None:
    """300 kB that would be parsed 70,000 times."""
    often = partitioned(70_000)
    data = block(sorted({b"": sound().items[b""], b"x": often, slice_key(b"x", []): often}.items()))
    path = stored(tmp_path, data=(data, 0))
    assert kinds(outcome(path)) <= {"fine", *REFUSED}


def test_slices_squeezed_in_many_entries(tmp_path: Path) -> None:
    """Ten million slices, from 500 kB."""
    count = 5000
    items = [(b"x%05d" % i, partitioned(count)) for i in range(2000)]
    made = squeezed(with_items(*items), EMPTY, count)
    assert len(made) < 1_100_000
    ends = outcome(stored(tmp_path, data=(made, 1)), "x00000")
    for error, text in ends[3:5]:
        assert error in REFUSED
        assert "more than there can be" in text


@pytest.mark.parametrize("extents", [5_000_000, 300])
def test_extents_squeezed_in_one_slice(tmp_path: Path, extents: int) -> None:
    """TensorFlow has no tensor of more than 254 dimensions, whatever the size of the index."""
    unit = b"\x0a\x00"
    value = entry_proto(dtype=1, shape=()) + bytes_field(7, unit * extents)
    data = with_items((b"x", value))
    made = squeezed(data, unit, extents)
    for error, text in outcome(stored(tmp_path, data=(made, 1)))[1:]:
        assert error == "CorruptionError"
        assert "more than there can be" in text


# State files.


def test_long_field_name_before_a_long_list(tmp_path: Path) -> None:
    """Each element of a list is a field of that name: a copy for each would be a terabyte."""
    sound().write(tmp_path / "b")
    text = b"f" * 1_000_000 + b":[" + b"1," * 1_000_000 + b'1]\nmodel_checkpoint_path: "b"'
    (tmp_path / "checkpoint").write_bytes(text)
    assert kinds(outcome(tmp_path, "bias")) == {"fine"}


# Sparse files: terabytes that cost their author nothing.


def sparse(path: str | Path, size: int) -> None:
    """Lengthens a file without storing anything."""
    try:
        os.truncate(path, size)
        taken = Path(path).stat().st_blocks * 512
    except OSError as reason:
        pytest.skip(f"no sparse files here: {reason}")
    if taken > 1 << 24:
        os.truncate(path, 0)
        pytest.skip("no sparse files here")


@pytest.mark.parametrize(
    "part", [pytest.param("index", id="index block"), pytest.param("data 0", id="data block")]
)
def test_sparse_index(tmp_path: Path, part: str) -> None:
    """A block that is really there, of almost 1 TiB."""
    tebibyte = 1 << 40
    index = sound().index(place=lambda name, *at: (512, tebibyte - 1024) if name == part else at)
    prefix = sound().write(tmp_path / "b")
    path = Path(prefix + ".index")
    # The footer stays at the end, all else at the beginning.
    path.write_bytes(index[:-48])
    sparse(path, tebibyte)
    with path.open("r+b") as file:
        file.seek(tebibyte - 48)
        file.write(index[-48:])
    assert kinds(outcome(prefix, "bias")) <= {"MemoryError", "CorruptionError", "UnsupportedError"}


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("dtype", [7, 21], ids=["string", "variant"])
@pytest.mark.parametrize("count", [1 << 26, 1 << 38])
def test_sparse_strings(tmp_path: Path, count: int, dtype: int, mmap: bool) -> None:
    """As many empty strings as the shard has bytes: the list of them is larger than the shard."""
    bundle = Bundle()
    bundle.add("x", b"", dtype=dtype, shape=(count,), size=count + 4, data=b"", offset=0)
    prefix = bundle.write(tmp_path / "b")
    sparse(prefix + ".data-00000-of-00001", count + 4)
    ends = outcome(prefix, mmap=mmap)
    assert kinds(ends[:5]) == {"fine"}
    assert ends[5][0] in {"MemoryError", *REFUSED}


# Many of what is sound.


def test_near_names_among_many(tmp_path: Path) -> None:
    bundle = Bundle()
    value = entry_proto(dtype=1, shape=(0,))
    for i in range(200_000):
        bundle.items[b"encoder/layer_%06d/kernel" % i] = value
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    assert len(ckpt) == 200_000
    missing = "encoder/layer_123456/kernal"
    default = np.ones(1)
    for _ in range(100):
        assert missing not in ckpt
        assert ckpt.get(missing) is None
        assert ckpt.get(missing, default) is default
    with pytest.raises(TensorNotFoundError) as caught:
        ckpt[missing]
    assert caught.value.near[0] == "encoder/layer_123456/kernel"
    with pytest.raises(TensorNotFoundError) as caught:
        ckpt["model/encoder/layer_000042/kernel"]
    assert caught.value.near[0] == "encoder/layer_000042/kernel"


FEW_DESCRIPTORS = """
import resource, sys
import numpy, tensorbundle
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
ckpt = tensorbundle.open(sys.argv[1])
views = list(ckpt.values())
print(sum(int(view) for view in views), sum(ckpt.info(name).zero_copy for name in ckpt))
"""


def test_more_shards_than_descriptors(tmp_path: Path) -> None:
    bundle = Bundle(shards=100)
    for i in range(100):
        bundle.add(f"t{i:03}", np.int64(i), shard=i)
    done = subprocess.run(
        [sys.executable, "-c", FEW_DESCRIPTORS, bundle.write(tmp_path / "b")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["4950", "100"]


# Messages.


def long_missing(tmp_path: Path) -> None:
    tb.open(sound().write(tmp_path / "b"))["k" * 1_000_000]


def long_near(tmp_path: Path) -> None:
    bundle = sound()
    bundle.add("k" * 60_000, np.float32(1))
    tb.open(bundle.write(tmp_path / "b"))["k" * 60_000 + ":0"]


def long_broken(tmp_path: Path) -> None:
    bundle = sound()
    bundle.add("k" * 60_000, np.float32(1), size=3)
    tb.open(bundle.write(tmp_path / "b"))["k" * 60_000]


def long_first_key(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.items = {b"k" * 60_000: b""}
    tb.open(bundle.write(tmp_path / "b"))


def long_state(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b'model_checkpoint_path: "' + b"k" * 1_000_000 + b'"')
    tb.open(tmp_path)


@pytest.mark.parametrize("act", [long_missing, long_near, long_broken, long_first_key, long_state])
def test_long_names_are_cut_in_messages(tmp_path: Path, act: Callable[[Path], None]) -> None:
    with pytest.raises((tb.CheckpointError, OSError)) as caught:
        act(tmp_path)
    message = caught.value.strerror if isinstance(caught.value, OSError) else str(caught.value)
    assert "k" * 40 in message
    assert len(message) < 3000
