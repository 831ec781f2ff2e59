"""V1 files that are damaged or lie: the V1 rows of FORMAT 10.3, and what strangers could write."""

from __future__ import annotations

import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from encoding import bytes_field, shape_proto, slice_key, varint, varint_field
from faults import refused
from tensorbundle.errors import CorruptionError, UnsupportedError
from writer import STRING, table
from writer_v1 import V1File, contents, record, saved_tensor, values_proto, write_shards

W = np.arange(24, dtype="<f4").reshape(4, 6)
TOP, BOTTOM = [(0, 2), None], [(2, 2), None]
FLOAT, INT64 = 1, 9


def halves() -> V1File:
    file = V1File()
    file.add_sliced("w", W, [TOP, BOTTOM])
    file.add("bias", np.float32(3.5))
    return file


def unreadable(tmp_path: Path, file: V1File, *fragments: str, **attributes: Any) -> None:
    """Reading "w" fails and says why; opening, listing and other tensors do not."""
    path = file.write(tmp_path / "m")
    ckpt = tb.open(path)
    with refused(CorruptionError, *fragments, path=path, tensor="w", **attributes):
        ckpt["w"]
    assert set(ckpt) == {"bias", "w"}
    assert [info.name for info in ckpt.infos()] == ["bias", "w"]
    assert ckpt["bias"] == 3.5


def unopened(tmp_path: Path, items: list[tuple[bytes, bytes]], *fragments: str) -> None:
    path = tmp_path / "m"
    path.write_bytes(table(items))
    with refused(CorruptionError, *fragments, path=path, part="table of contents"):
        tb.open(path)


def test_the_file_that_is_broken_here_is_sound(tf: Any, tmp_path: Path) -> None:
    path = halves().write(tmp_path / "m")
    np.testing.assert_array_equal(tb.open(path)["w"], W)
    assert tf.train.load_checkpoint(path).get_tensor("bias") == 3.5


# The V1 rows of FORMAT 10.3.


@pytest.mark.format_row("10.3", "V1: no table of contents")
def test_no_table_of_contents(tmp_path: Path) -> None:
    items = halves().items()[1:]
    path = tmp_path / "m"
    path.write_bytes(table(items))
    # No V1 checkpoint by its content, but a table all the same.
    with refused(CorruptionError, "it has no table of contents", path=path):
        tb.open(path)
    # Among files that are named as one checkpoint it is missed.
    halves().write(tmp_path / "s-00000-of-00002")
    (tmp_path / "s-00001-of-00002").write_bytes(table(items))
    with refused(CorruptionError, "want the empty key", part="table of contents"):
        tb.open(tmp_path / "s-?????-of-00002")


@pytest.mark.format_row("10.3", "V1: values missing, elsewhere, or too few")
@pytest.mark.parametrize("n", [0, 5, 11, 13, 24])
def test_count_of_values(tmp_path: Path, n: int) -> None:
    file = halves()
    file.put("w", TOP, values_proto(np.ones(n, "<f4"), FLOAT))
    unreadable(tmp_path, file, f"got {n} values of float32, want 12", part="tensor")


def test_the_last_value_is_not_repeated(tf: Any, tmp_path: Path) -> None:
    file = V1File()
    file.declare("n", (4,), INT64, [[None]])
    file.put("n", [None], values_proto(np.array([7]), INT64))
    path = file.write(tmp_path / "m")
    with pytest.raises(Exception, match="n not found in checkpoint file"):
        tf.train.load_checkpoint(path).get_tensor("n")
    with refused(CorruptionError, "got 1 values of int64, want 4", tensor="n"):
        tb.open(path)["n"]


@pytest.mark.format_row("10.3", "V1: values missing, elsewhere, or too few")
def test_tensor_content(tmp_path: Path) -> None:
    file = halves()
    file.put("w", TOP, bytes_field(4, W[:2].tobytes()))
    unreadable(tmp_path, file, "got tensor_content, want 12 values in field 5")


@pytest.mark.format_row("10.3", "V1: values missing, elsewhere, or too few")
def test_missing_record(tmp_path: Path) -> None:
    file = halves()
    del file.records[slice_key(b"w", BOTTOM)]
    unreadable(tmp_path, file, "lists the slice", "but no record has its key", part="record")


@pytest.mark.format_row("10.3", "V1: shapes and slices that lie")
@pytest.mark.format_row("10.4", "CVE-2021-41203")
@pytest.mark.parametrize(
    ("dims", "text"),
    [
        ((4, -6), "has a negative dimension"),
        ((2**40, 2**40), "more than 2^63 elements"),
        ((1,) * 255, "255 dimensions, at most 254"),
    ],
)
def test_shapes(tmp_path: Path, dims: tuple[int, ...], text: str) -> None:
    file = halves()
    file.declare("w", dims, FLOAT, [TOP])
    unopened(tmp_path, file.items(), text, '"w"')


@pytest.mark.format_row("10.4", "CVE-2021-41203")
@pytest.mark.parametrize("kind", [0, 101, -1])
def test_types_that_are_never_saved(tmp_path: Path, kind: int) -> None:
    file = halves()
    file.declare("w", W.shape, kind, [TOP])
    unopened(tmp_path, file.items(), "is never saved", str(kind))


@pytest.mark.parametrize("kind", [20, 21, 34, 99])
def test_types_that_cannot_be_read(tmp_path: Path, kind: int) -> None:
    file = halves()
    file.declare("w", W.shape, kind, [TOP, BOTTOM])
    ckpt = tb.open(file.write(tmp_path / "m"))
    assert len(ckpt.infos()) == 2
    with refused(UnsupportedError, "cannot be read", tensor="w"):
        ckpt["w"]


@pytest.mark.format_row("10.3", "V1: shapes and slices that lie")
@pytest.mark.format_row("10.4", "CVE-2021-41203")
@pytest.mark.parametrize(
    ("slices", "text"),
    [
        ([TOP], "12 of 24 elements: some are missing"),
        ([TOP, TOP], "some overlap"),
        ([TOP, TOP, BOTTOM], "some overlap"),
        ([TOP, [(1, 2), None]], "some overlap"),
        ([[(3, 2), None]], "2 from 3 is out of bounds in a dimension of 4"),
        ([[(-1, 2), None]], "out of bounds"),
        ([[(2**62, 2**62), None]], "out of bounds"),
        ([[(1, None), None]], "it starts at 1 but has no length"),
        ([[(0, 0), None]], "no length at 0"),
        ([[None]], "1 dimensions in a tensor of 2"),
    ],
)
def test_slices_that_do_not_tile(tmp_path: Path, slices: list[Any], text: str) -> None:
    file = halves()
    file.declare("w", W.shape, FLOAT, slices)
    unreadable(tmp_path, file, text)


def test_repeated_slices_in_two_files(tmp_path: Path) -> None:
    pattern = write_shards(tmp_path / "m", [halves(), halves()])
    with refused(CorruptionError, "some overlap", tensor="w"):
        tb.open(pattern)["w"]


@pytest.mark.parametrize(("shape", "kind"), [((4, 7), FLOAT), ((4, 6), 3)])
def test_files_that_disagree(tmp_path: Path, shape: tuple[int, ...], kind: int) -> None:
    first, second = V1File(), V1File()
    first.add_sliced("w", W, [TOP])
    second.declare("w", shape, kind, [BOTTOM])
    pattern = write_shards(tmp_path / "m", [first, second])
    with refused(
        CorruptionError,
        "incompatible types or shapes",
        "want float32 [4, 6]",
        path=f"{tmp_path}/m-00001-of-00002",
    ):
        tb.open(pattern)


def test_a_tensor_without_slices_is_ignored(tf: Any, tmp_path: Path) -> None:
    file = halves()
    file.declare("nothing", (3,), FLOAT, [])
    path = file.write(tmp_path / "m")
    assert "nothing" not in tf.train.load_checkpoint(path).get_variable_to_shape_map()
    assert "nothing" not in tb.open(path)


def test_values_are_cut_to_their_width(tf: Any, tmp_path: Path) -> None:
    file = V1File()
    file.declare("n", (2,), 6, [[None]])
    file.put("n", [None], bytes_field(7, varint(300) + varint(2**64 - 1)))
    path = file.write(tmp_path / "m")
    assert tb.open(path)["n"].tolist() == [44, -1]
    assert tf.train.load_checkpoint(path).get_tensor("n").tolist() == [44, -1]


@pytest.mark.parametrize("packed", [True, False])
def test_packed_or_not(tf: Any, tmp_path: Path, packed: bool) -> None:
    file = V1File()
    values = {
        "f": np.array([1.5, -0.0, np.inf], "<f4"),
        "d": np.array([1.5, np.nan], "<f8"),
        "i": np.array([-(2**63), 2**63 - 1, 0]),
        "b": np.array([True, False]),
        "s": np.array([-1, 7], "<i2"),
    }
    for name, value in values.items():
        file.add(name, value, packed=packed)
    path = file.write(tmp_path / "m")
    theirs = tf.train.load_checkpoint(path)
    for name, value in values.items():
        assert theirs.get_tensor(name).tobytes() == value.tobytes()
        assert tb.open(path)[name].tobytes() == value.tobytes()


# Damage.


def test_a_record_under_another_key(tmp_path: Path) -> None:
    """TensorFlow does not look, and gives the other's values."""
    file = halves()
    data = values_proto(W[:2], FLOAT)
    file.records[slice_key(b"w", TOP)] = record(b"v", TOP, data)
    unreadable(tmp_path, file, 'got "v"', 'want "w"', "another record", part="record")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", "no slice under this key"),
        (b"\x12\x7f\x0a", "unable to parse it"),
        (b"\x12\x03\x1a\x05a", "unable to parse it"),
        (record(b"w", TOP, b"") * 2, "two slices under one key"),
        (record(b"w", TOP, b"\x2a\x03abc"), "3 bytes of numbers of 4 bytes each"),
        (record(b"w", TOP, b"\x2a\x7fabc"), "not a protobuf message"),
    ],
)
def test_records_that_are_no_message(tmp_path: Path, value: bytes, text: str) -> None:
    file = halves()
    file.records[slice_key(b"w", TOP)] = value
    unreadable(tmp_path, file, text)


def test_a_block_that_is_damaged(tmp_path: Path) -> None:
    file = halves()
    file.add("z", np.zeros(1000))
    path = Path(file.write(tmp_path / "m", block_size=64))
    data = bytearray(path.read_bytes())
    at = data.index(values_proto(W[:2], FLOAT)[5:])
    data[at + 8] ^= 1
    path.write_bytes(data)
    ckpt = tb.open(path)
    with refused(CorruptionError, "block checksum mismatch", path=path, tensor="w"):
        ckpt["w"]
    np.testing.assert_array_equal(ckpt.read("w", rows=slice(2, 4)), W[2:])
    assert not ckpt["z"].any()


@pytest.mark.format_row("10.4", "issues 39033, 6644, 61449")
@pytest.mark.parametrize("cut", [0, 1, 47, 48, 100, -1, -47, -48, -200])
def test_cut_short(tmp_path: Path, cut: int) -> None:
    path = Path(halves().write(tmp_path / "m"))
    data = path.read_bytes()
    path.write_bytes(data[:cut])
    with pytest.raises((CorruptionError, FileNotFoundError)):
        tb.open(path)


@pytest.mark.parametrize(
    ("version", "error", "text"),
    [
        (varint_field(2, 2), UnsupportedError, "a reader of version 2"),
        (varint_field(3, 1), UnsupportedError, "unfit"),
        (varint_field(1, 2**64 - 1), CorruptionError, "got -1, want 0 or more"),
    ],
)
def test_versions(tmp_path: Path, version: bytes, error: Any, text: str) -> None:
    file = halves()
    file.version = bytes_field(2, version)
    path = file.write(tmp_path / "m")
    with refused(error, text, path=path, part="table of contents"):
        tb.open(path)


def test_every_byte_flipped(tmp_path: Path) -> None:
    """With checksums as they were: an error, or nothing changes."""
    path = Path(halves().write(tmp_path / "m"))
    sound = path.read_bytes()
    for at in range(len(sound)):
        data = bytearray(sound)
        data[at] ^= 0x41
        path.write_bytes(data)
        try:
            ckpt = tb.open(path)
            got = {name: ckpt[name] for name in ckpt}
        except (CorruptionError, UnsupportedError):
            continue
        assert list(got) == ["bias", "w"], at
        np.testing.assert_array_equal(got["w"], W)


def test_every_byte_of_the_entries_flipped(tmp_path: Path) -> None:
    """With checksums repaired: any answer, but one of ours."""

    def flip(at: int, bits: int) -> Callable[[str, bytes], bytes]:
        def change(part: str, data: bytes) -> bytes:
            if part != "data 0" or at >= len(data):
                return data
            return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]

        return change

    path = tmp_path / "m"
    length = len(halves().write(path) and path.read_bytes())
    for at in range(length - 60):
        for bits in (0x01, 0x80, 0xFF):
            halves().write(path, contents=flip(at, bits))
            try:
                ckpt = tb.open(path)
                for info in ckpt.infos():
                    ckpt[info.name]
            except (tb.errors.CheckpointError, FileNotFoundError):
                pass


# What strangers could write.


def test_sizes_that_are_only_claimed(tmp_path: Path) -> None:
    """No memory is taken for elements that the file cannot hold."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind, count in [(FLOAT, 2**40), (18, 2**58), (STRING, 2**33), (INT64, 2**31)]:
        file = V1File()
        file.declare("w", (count,), kind, [[None]])
        file.put("w", [None], b"")
        ckpt = tb.open(file.write(tmp_path / "m"))
        with refused(CorruptionError, tensor="w"):
            ckpt["w"]
        sliced = V1File()
        sliced.declare("w", (count,), kind, [[(0, count // 2)], [(count // 2, count // 2)]])
        ckpt = tb.open(sliced.write(tmp_path / "m"))
        with refused(CorruptionError, tensor="w"):
            ckpt["w"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_names_of_any_bytes(tmp_path: Path) -> None:
    file = V1File()
    names = [b"a\0b", b"\xff\xfe", "ü/名".encode(), b"x" * 5000, b""]
    for i, name in enumerate(names):
        file.add(name, np.int64(i))
    ckpt = tb.open(file.write(tmp_path / "m"))
    assert {name.encode("utf-8", "surrogateescape") for name in ckpt} == set(names)
    for i, name in enumerate(names):
        assert ckpt[name.decode("utf-8", "surrogateescape")] == i
    copies = pickle.loads(pickle.dumps(ckpt.infos()))
    assert [info.name for info in copies] == list(ckpt)


def test_a_million_lines_for_one_tensor(tmp_path: Path) -> None:
    line = saved_tensor(b"w", (2**20,), FLOAT, [[(0, 1)]])
    path = tmp_path / "m"
    path.write_bytes(table([(b"", contents([line] * 100_000))]))
    ckpt = tb.open(path)
    assert len(ckpt) == 1
    with refused(CorruptionError, "some are missing", tensor="w"):
        ckpt["w"]


def test_shapes_in_pieces(tmp_path: Path) -> None:
    """Messages that come twice are put together, as protobuf has it."""
    line = saved_tensor(b"w", (4,), FLOAT, [[None, None]]) + bytes_field(2, shape_proto((6,)))
    items = [
        (b"", contents([line])),
        (slice_key(b"w", [None] * 2), record(b"w", [None] * 2, values_proto(W, FLOAT))),
    ]
    path = tmp_path / "m"
    path.write_bytes(table(items))
    np.testing.assert_array_equal(tb.open(path)["w"], W)
