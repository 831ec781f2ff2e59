"""Broken and hostile SavedModels in chunks: what is said, and how much memory it takes."""

from __future__ import annotations

import contextlib
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest

import tensorbundle as tb
from encoding import bytes_field, varint, varint_field
from graph_maker import graph_def, meta_graph, node, saved_model
from riegeli_maker import (
    Chunk,
    chunked,
    chunked_field,
    cpb,
    metadata,
    packed,
    riegeli,
    step_field,
    step_index,
    step_key,
)

MODEL = saved_model(meta_graph(graph_def([node("a"), node("b")]), tags=["serve"]))
GRAPH = [step_field(2), step_index(0), step_field(2)]
NODE = [*GRAPH, step_field(1), step_index(0)]


GROWTH = """
import resource, sys
import tensorbundle

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

for path in sys.argv[1:]:
    before = peak()
    try:
        tensorbundle.load_meta_graph(path)
    except tensorbundle.CheckpointError as error:
        print(peak() - before, error)
"""


def growth(tmp_path: Path, *files: bytes) -> list[tuple[int, str]]:
    """How much memory the refusal of each file takes, in a process of its own, and what is said."""
    pytest.importorskip("resource", reason="it exists on POSIX only")
    paths = [tmp_path / f"{i}.cpb" for i in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    command = [sys.executable, "-c", GROWTH, *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [line.split(maxsplit=1) for line in run.stdout.splitlines()]
    assert len(rows) == len(files)
    return [(int(size), text) for size, text in rows]


def load(data: bytes) -> tb.MetaGraph:
    return tb.load_meta_graph(data)


def whole(*chunks: Chunk, message: bytes | None = None) -> bytes:
    """A file of these chunks; its last record describes the first."""
    _, positions = riegeli(chunks)
    records = [one for chunk in chunks for one in chunk.records]
    described = metadata(records, positions, chunked(0) if message is None else message)
    return riegeli([*chunks, Chunk([described])])[0]


def test_the_right_one() -> None:
    assert len(load(whole(Chunk([MODEL]))).graph) == 2
    assert len(load(cpb([MODEL], chunked(0))).graph) == 2
    more = [Chunk(kind=b"m"), Chunk([MODEL]), Chunk(kind=b"p", data=bytes(100)), Chunk([])]
    assert len(load(whole(*more)).graph) == 2


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        (Chunk([MODEL], header_hash=1), "hash of its header"),
        (Chunk([MODEL], data_hash=1), "hash of its data"),
        (Chunk([MODEL], data=b""), "the bytes end too early"),
        (Chunk([MODEL], data=b"q" + bytes(9)), "its compression is 'q'"),
        (Chunk([MODEL], data=b"z" + bytes(9)), "Zstandard"),
        (Chunk([MODEL], data=b"\0" + varint(1 << 62)), "bytes of sizes"),
        (Chunk([MODEL], kind=b"t", data=b"x"), "transposed"),
        (Chunk([MODEL], kind=b"x", data=b"x"), "its type is 'x'"),
        (Chunk([MODEL], kind=b"p", data=b"x"), "has no records, but this says 1"),
        (Chunk([MODEL], num_records=2), "the size of record 1"),
        (Chunk([MODEL], num_records=0), "bytes when unpacked, where at most 0"),
        (Chunk([MODEL], how=b"\0", num_records=0), "where at most 0"),
        (Chunk([MODEL], num_records=1 << 55), "the file ends"),
        (Chunk([MODEL], decoded_size=len(MODEL) - 1), "bytes when unpacked, where at most"),
        (Chunk([MODEL], decoded_size=len(MODEL) + 1), "its header says"),
        (Chunk([MODEL], decoded_size=1 << 63), "claim to have"),
        (Chunk([MODEL], decoded_size=1 << 31), "claim to have"),
        (Chunk([MODEL], claimed=1), "not 1 as it says"),
        (Chunk([MODEL], how=b"s", claimed=1), "Snappy"),
        (Chunk([MODEL], sizes=varint(len(MODEL) - 1)), "are left behind"),
        (Chunk([MODEL], sizes=varint(len(MODEL)) + b"\0"), "are left behind"),
        (Chunk([MODEL], sizes=varint(len(MODEL) + 1)), "record 0 has"),
        (Chunk([MODEL], sizes=b"\xff"), "the size of record 0"),
        (Chunk([MODEL], data=b"b" + varint(9) + b"\x01garbage!" + bytes(30)), "Brotli"),
    ],
)
def test_broken_chunks(chunk: Chunk, said: str) -> None:
    with pytest.raises((tb.CorruptionError, tb.UnsupportedError), match=said) as caught:
        load(whole(chunk))
    assert "Riegeli" in str(caught.value.part)


def test_what_is_not_read_is_said_to_be_so(tmp_path: Path) -> None:
    for chunk in (Chunk([MODEL], kind=b"t", data=b"x"), Chunk([MODEL], data=b"z" + bytes(9))):
        path = tmp_path / "saved_model.cpb"
        path.write_bytes(whole(chunk))
        with pytest.raises(tb.UnsupportedError, match="write the file with") as caught:
            tb.load_saved_model(tmp_path)
        assert (caught.value.path, caught.value.offset) == (str(path), 64)


def field(*way: bytes, index: int | None = 1, deeper: list[bytes] | None = None) -> bytes:
    return chunked_field(way, chunked(index, deeper or []))


def nested(depth: int) -> bytes:
    message = chunked(1)
    for _ in range(depth):
        message = chunked(None, [chunked_field([], message)])
    return message


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (chunked(7), "a chunk 7 of 2"),
        (chunked((1 << 64) - 1), "a chunk 18446744073709551615 of 2"),
        (chunked(0, [field(index=0)]), "chunk 0 has two places"),
        (chunked(0, [field(step_field(99))]), "leads to field 99, which tensorflow.SavedModel"),
        (chunked(0, [field(step_field(0))]), "leads to field 0"),
        (chunked(0, [field(varint_field(1, 1 << 40))]), "leads to a field 1099511627776"),
        (chunked(0, [field(step_index(0))]), "without a field before it"),
        (chunked(0, [field(step_key("x"))]), "without a field before it"),
        (chunked(0, [field(b"")]), "neither a field, nor an index, nor a key"),
        (chunked(0, [field(step_field(2), bytes_field(2, b""))]), "a key without a value"),
        (chunked(0, [field(step_field(2))]), "only its number for meta_graphs .* repeated"),
        (chunked(0, [field(step_field(2), step_index(2))]), "meta_graphs 2, of which there are 1"),
        (chunked(0, [field(step_field(2), step_index(1 << 63))]), "of which there are 1"),
        (chunked(0, [field(step_field(2), step_key("x"))]), "a key for meta_graphs"),
        (chunked(0, [field(*GRAPH, step_index(0))]), "an index for graph_def .* not repeated"),
        (chunked(0, [field(*NODE, step_field(5), step_index(0))]), "an index for attr .* a map"),
        (chunked(0, [field(*NODE, step_field(5), step_key(3))]), "keys of another type"),
        (chunked(0, [field(*NODE, step_field(1), step_field(1))]), "name is no message"),
        (chunked(0, [field(*NODE, step_field(1), index=None)]), "one chunk, not 0"),
        (chunked(0, [field(step_field(1))]), "saved_model_schema_version cannot be"),
        (
            chunked(0, [field(*NODE, step_field(1), deeper=[field(step_field(1), index=None)])]),
            "a way leads into name",
        ),
        (
            chunked(0, [field(*GRAPH, step_field(1), step_index(0)), field(*GRAPH, step_field(1))]),
            "with and without an index",
        ),
        (nested(200), "deep"),
        (chunked(0, [field(*[step_field(2), step_index(0)] * 60)]), "deep"),
        (b"\xff", "description in the last record"),
        (chunked(0, [b"\x0a\x05\x08"]), "description in the last record"),
        (bytes_field(2, bytes_field(3, b"\xff")), "description in the last record"),
    ],
)
def test_broken_descriptions(message: bytes, said: str) -> None:
    with pytest.raises(tb.CorruptionError, match=said) as caught:
        load(cpb([MODEL, b"no number"], message))
    assert caught.value.part == "chunked message"


def test_lists_of_numbers() -> None:
    way = [step_field(2), step_index(0), step_field(5), step_key("s"), step_field(1)]
    packed_dims = [*way, step_key("x"), step_field(3), step_field(2), step_index(0)]
    assert load(cpb([MODEL, b""], chunked(0, [field(*packed_dims)])))
    versions = [*GRAPH, step_field(4), step_field(3), step_index(0)]
    with pytest.raises(tb.UnsupportedError, match=r"bad_consumers .* a list of numbers"):
        load(cpb([MODEL, b"1"], chunked(0, [field(*versions)])))


def test_wrong_places_and_sizes() -> None:
    _, positions = riegeli([Chunk([MODEL])])
    for at, sizes, said in (
        ([positions[0] + 1], None, "where there is none"),
        ([0], None, "where there is none"),
        ([(1 << 64) - 1], None, "where there is none"),
        (positions, [3], "it should have 3"),
    ):
        described = metadata([MODEL], at, chunked(0), sizes)
        with pytest.raises(tb.CorruptionError, match=said):
            load(riegeli([Chunk([MODEL]), Chunk([described])])[0])


@pytest.mark.parametrize(
    ("chunks", "message", "said"),
    [
        ([], b"", "no records|holds no graph"),
        ([b""], chunked(0), "holds no graph"),
        ([b"\xff\xff"], chunked(0), "not a protobuf message"),
        ([b"\x0a\x05a"], chunked(0, [field(step_field(1), index=None)]), "a chunk is no|one chunk"),
    ],
)
def test_no_model_at_all(chunks: list[bytes], message: bytes, said: str) -> None:
    with pytest.raises(tb.CorruptionError, match=said):
        load(cpb(chunks, message))
    with pytest.raises(tb.CorruptionError, match="no records"):
        load(riegeli([])[0])


def large() -> bytes:
    """A file of several blocks."""
    filler = [random.Random(i).randbytes(30_000) for i in range(5)]
    return cpb([MODEL, *filler], chunked(0), together=2)


def test_cut_anywhere() -> None:
    data = large()
    assert len(load(data).graph) == 2
    assert len(data) > 2 << 16
    places = {*range(300), *range(len(data) - 100, len(data))}
    places |= {block + more for block in (1 << 16, 2 << 16) for more in range(-30, 60)}
    for end in sorted(places):
        if end == len(data):
            continue
        with pytest.raises((tb.CorruptionError, tb.UnsupportedError)) as caught:
            load(data[:end])
        if end > 64:
            # Cut behind a chunk, the last record that is left is not a description.
            said = ("ends", "cut short", "description", "no records", "chunked message")
            assert any(word in str(caught.value) for word in said), end


def test_any_byte_changed() -> None:
    """Every byte is under a hash, but for padding: none is changed unnoticed."""
    data = large()
    rng = random.Random(1)
    places = [*range(64, 200), *range((1 << 16) - 8, (1 << 16) + 40)]
    places += [rng.randrange(64, len(data)) for _ in range(150)]
    for place in places:
        broken = bytearray(data)
        broken[place] ^= 1 << rng.randrange(8)
        with pytest.raises((tb.CorruptionError, tb.UnsupportedError)):
            load(bytes(broken))


def resealed(mutate: Callable[[bytearray], None], seed: int) -> bytes:
    """A file whose packed bytes are broken under hashes that are right."""
    rng = random.Random(seed)
    body = bytearray(Chunk([MODEL * rng.randint(1, 40)]).body())
    mutate(body)
    return whole(Chunk([MODEL], data=bytes(body)))


def test_brotli_that_is_broken_under_a_right_hash() -> None:
    """The decoder itself: it must neither panic nor hang."""
    for seed in range(400):
        rng = random.Random(seed)

        def mutate(body: bytearray, rng: random.Random = rng) -> None:
            for _ in range(rng.randint(1, 4)):
                body[rng.randrange(1, len(body))] = rng.randrange(256)

        with contextlib.suppress(tb.CorruptionError, tb.UnsupportedError):
            load(resealed(mutate, seed))  # a stream of other letters is one, too


def bomb(size: int, claimed: int) -> Chunk:
    sizes = packed(b"b", varint(claimed))
    stream = brotli.compress(bytes(size), quality=3)
    body = b"b" + varint(len(sizes)) + sizes + varint(claimed) + stream
    return Chunk([b""], data=body, decoded_size=claimed)


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    size = 200 << 20
    lying, honest = whole(bomb(size, 1000)), whole(bomb(size, size))
    assert len(honest) < 2000
    for (grown, text), said in zip(
        growth(tmp_path, lying, honest), ("not 1000 as it says", "are believed"), strict=True
    ):
        assert said in text
        assert grown < 32 << 20, text


def test_claims_take_no_memory(tmp_path: Path) -> None:
    """Numbers of records and sizes are held against the file first."""
    start = riegeli([])[0]
    files = [
        start + chunk.all()
        for number in (1 << 20, 1 << 31, (1 << 56) - 1)
        for chunk in (Chunk([MODEL], num_records=number), Chunk([MODEL], decoded_size=number))
    ]
    for grown, text in growth(tmp_path, *files):
        assert grown < 8 << 20, text


def test_few_bytes_stand_for_few() -> None:
    """A chunk has one place: many places of one chunk would make much of little."""
    many = [field(step_field(2), step_index(i), index=0) for i in range(50)]
    with pytest.raises(tb.CorruptionError, match="chunk 0 has two places"):
        load(cpb([bytes(1000)], chunked(None, many)))


def test_descriptions_take_no_memory(tmp_path: Path) -> None:
    """Packed, they are a thousand times as small as they are."""
    way = field(*[step_field(2), step_index(0)] * 3, index=None)
    indices = b"".join(
        bytes_field(2, field(step_field(2), step_index(i), index=None)) for i in range(200_000)
    )
    infos = b"".join(bytes_field(2, varint_field(3, 64)) for _ in range(200_000))
    long_way = bytes_field(2, bytes_field(1, step_field(2)) * 400_000)
    files = [
        whole(Chunk([MODEL]), message=message)
        for message in (bytes_field(2, way) * 200_000, indices, long_way)
    ]
    files.append(riegeli([Chunk([MODEL]), Chunk([infos + bytes_field(3, chunked(0))])])[0])
    words = ["steps lead to its", "steps lead to its", "deep", "listed twice"]
    for (grown, said), word in zip(growth(tmp_path, *files), words, strict=True):
        assert word in said
        assert grown < 100 << 20, said
    again = metadata([MODEL, MODEL], [64, 64], chunked(0))
    with pytest.raises(tb.CorruptionError, match="the record at 64 is listed twice"):
        load(riegeli([Chunk([MODEL]), Chunk([again])])[0])


def test_block_headers_are_held_against_chunks() -> None:
    data = bytearray(large())
    from highway import hash64

    for at, place in ((1 << 16, 8), (1 << 16, 16), (2 << 16, 16)):
        broken = bytearray(data)
        (was,) = struct.unpack_from("<Q", data, at + place)
        struct.pack_into("<Q", broken, at + place, was + 1)
        struct.pack_into("<Q", broken, at, hash64(bytes(broken[at + 8 : at + 24])))
        with pytest.raises(tb.CorruptionError, match="its chunk begins") as caught:
            load(bytes(broken))
        assert caught.value.offset == at
