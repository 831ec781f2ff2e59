"""Each kind of damage, and what a check of the whole checkpoint says of it."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from damage import KINDS, files_of, flip, kinds, plain, values
from encoding import entry_proto
from faults import refused, sound
from tensorbundle.errors import UnsupportedError
from writer import Bundle, shard_path


def only(
    report: tb.VerifyReport, kind: str, *fragments: str, **attributes: Any
) -> tb.VerifyFinding:
    """The report has this one finding, with these words and attributes."""
    assert kinds(report) == [kind], [finding.text for finding in report.findings]
    finding = report.findings[0]
    for fragment in fragments:
        assert fragment in finding.text
    for name, value in attributes.items():
        assert getattr(finding, name) == value, name
    return finding


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return sound().write(tmp_path / "b")


def shard_of(prefix: str) -> Path:
    return Path(shard_path(prefix, 0, 1))


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_wrong(tmp_path: Path, kind: str, mmap: bool) -> None:
    prefix = KINDS[kind](tmp_path)
    with tb.open(prefix) as ckpt:
        report = ckpt.verify()
        assert report == tb.verify(prefix, mmap=mmap)
        assert report.tensors == len(ckpt)
        stored = sum(info.nbytes for info in ckpt.infos())
    assert (report.findings, report.notes, report.lost) == ((), (), ())
    assert report.ok
    assert report.bytes >= stored


@pytest.mark.parametrize("alignment", [64, 4096, 8192])
def test_padding_of_any_size(tmp_path: Path, alignment: int) -> None:
    bundle = Bundle(alignment=alignment)
    for i in range(5):
        bundle.add(f"t{i}", np.arange(i * 700 + 1, dtype="<f4"))
    assert tb.verify(bundle.write(tmp_path / "b")).findings == ()


def test_slices_that_share_bytes(tmp_path: Path) -> None:
    """Both checksums are right, but the tensor could not be read."""
    bundle = Bundle()
    w = np.tile(np.arange(4, dtype="<f4"), (2, 1))
    bundle.add_sliced("w", w, [[(0, 1), None], [(1, 1), None]])
    first, second = sorted(key for key in bundle.items if key.startswith(b"\0"))
    bundle.items[second] = bundle.items[first]
    del bundle.shards[0][16:]
    prefix = bundle.write(tmp_path / "b")
    report = tb.verify(prefix)
    assert report.findings[0].kind == "bad slices"
    assert "two slices share bytes of shard 0" in report.findings[0].text
    assert report.lost == ("w",)
    assert list(tb.open(prefix, on_error="skip")) == []


def test_a_missing_file_of_v1_keeps_the_numbers_of_others(tmp_path: Path) -> None:
    prefix = KINDS["v1"](tmp_path)
    first, second = files_of(prefix)
    first.unlink()
    flip(second, second.read_bytes().rindex(b"layer_3/kernel"))
    told = {(found.path, found.shard) for found in tb.verify(prefix).findings}
    assert {(str(first), 0), (str(second), 1)} <= told
    assert (str(second), 0) not in told


@pytest.mark.parametrize("name", ["mnist_mlp"])
def test_real_ones(data_dir: Path, name: str) -> None:
    assert tb.verify(data_dir / name).findings == ()


@pytest.mark.parametrize("mmap", [True, False])
def test_a_flipped_byte_of_a_tensor(prefix: str, mmap: bool) -> None:
    info = tb.open(prefix).info("kernel")
    assert info.offset is not None
    flip(shard_of(prefix), info.offset + 5)
    report = tb.verify(prefix, mmap=mmap)
    finding = only(
        report,
        "checksum mismatch",
        "checksum does not match",
        "belongs to another checkpoint",
        part="tensor data",
        tensor="kernel",
        path=str(shard_of(prefix)),
        shard=0,
        start=info.offset,
        end=info.offset + 24,
        want=f"{info.crc32c:#010x}",
    )
    assert finding.got is not None
    assert finding.got in finding.text
    assert report.lost == ("kernel",)


@pytest.mark.parametrize("at", [0, 1, 4, 7])
def test_a_flipped_byte_of_strings(prefix: str, at: int) -> None:
    info = tb.open(prefix).info("words")
    assert info.offset is not None
    flip(shard_of(prefix), info.offset + at)
    only(tb.verify(prefix), "checksum mismatch", tensor="words", part="string tensor", shard=0)


def test_two_damaged_tensors_are_two_findings(tmp_path: Path) -> None:
    prefix = plain(tmp_path)
    for name in ("layer_00/kernel", "layer_03/kernel"):
        info = tb.open(prefix).info(name)
        assert info.offset is not None
        assert info.shard is not None
        flip(Path(shard_path(prefix, info.shard, 2)), info.offset)
    report = tb.verify(prefix)
    assert kinds(report) == ["checksum mismatch"] * 2
    assert report.lost == ("layer_00/kernel", "layer_03/kernel")


def test_a_damaged_slice_is_of_its_tensor(tmp_path: Path) -> None:
    prefix = plain(tmp_path)
    piece = tb.open(prefix).info("wide").slices[1]
    assert piece.offset is not None
    flip(Path(shard_path(prefix, 1, 2)), piece.offset)
    only(tb.verify(prefix), "checksum mismatch", tensor="wide", shard=1, start=piece.offset)


def test_a_missing_shard(tmp_path: Path) -> None:
    prefix = plain(tmp_path)
    Path(shard_path(prefix, 1, 2)).unlink()
    report = tb.verify(prefix)
    only(
        report,
        "missing shard",
        "data shard 1 of 2",
        "9 tensors cannot be read",
        shard=1,
        tensor=None,
    )
    assert len(report.lost) == 9
    assert "wide" in report.lost
    assert "layer_00/kernel" not in report.lost


def test_a_shard_that_nobody_needs_is_a_note(tmp_path: Path) -> None:
    bundle = sound()
    bundle.items[b""] = b"\x08\x03\x1a\x02\x08\x01"
    prefix = bundle.write(tmp_path / "b")
    Path(shard_path(prefix, 0, 1)).rename(shard_path(prefix, 0, 3))
    report = tb.verify(prefix)
    assert report.ok
    (note,) = report.notes
    assert note.kind == "missing shard"
    assert "2 of the 3 shards" in note.text


def test_a_short_shard(prefix: str) -> None:
    shard = shard_of(prefix)
    shard.write_bytes(shard.read_bytes()[:-1])
    report = tb.verify(prefix)
    only(report, "short shard", "too short", tensor="words", got="50", want="51", shard=0)


def test_a_shard_that_is_a_directory(prefix: str) -> None:
    shard_of(prefix).unlink()
    shard_of(prefix).mkdir()
    report = tb.verify(prefix)
    only(report, "unreadable", "3 tensors cannot be read", shard=0)
    assert report.lost == ("bias", "kernel", "words")


def test_the_shard_of_another_checkpoint(prefix: str) -> None:
    shard = shard_of(prefix)
    shard.write_bytes(bytes(byte ^ 0x55 for byte in shard.read_bytes()))
    report = tb.verify(prefix)
    assert kinds(report) == ["checksum mismatch"] * 3 + ["shard of another checkpoint"]
    assert "none of its 3 tensors" in report.findings[-1].text
    assert report.findings[-1].shard == 0


def test_a_shard_of_another_count(prefix: str) -> None:
    shutil.copy(shard_of(prefix), shard_path(prefix, 1, 4))
    only(
        tb.verify(prefix),
        "shard of another checkpoint",
        "shard 1 of 4, but the header counts 1",
        path=shard_path(prefix, 1, 4),
        got="4",
        want="1",
    )


@pytest.mark.parametrize(
    "name",
    ["b.index.tempstate123", "b.data-00000-of-00001.tempstate9", "b_temp", "b_temp_" + "0a" * 16],
)
def test_what_writers_left(prefix: str, name: str) -> None:
    left = Path(prefix).parent / name
    left.mkdir() if "_temp" in name else left.write_bytes(b"x")
    only(tb.verify(prefix), "left-over file", "did not finish", path=str(left))


@pytest.mark.parametrize(
    "name", ["b2.index.tempstate1", "b.index.tempstate", "b_temporary", "bb_temp"]
)
def test_other_files_are_nobodys_business(prefix: str, name: str) -> None:
    (Path(prefix).parent / name).write_bytes(b"x")
    assert tb.verify(prefix).ok


def test_bytes_that_nobody_owns(tmp_path: Path) -> None:
    bundle = sound()
    bundle.shards[0] += b"more"
    prefix = bundle.write(tmp_path / "b")
    only(
        tb.verify(prefix),
        "bytes nobody owns",
        "bytes 51 to 55 belong to no tensor",
        start=51,
        end=55,
    )


def test_padding_is_not_told(tmp_path: Path) -> None:
    bundle = Bundle(alignment=64)
    for i in range(4):
        bundle.add(f"t{i}", np.arange(i + 1, dtype="<f4"))
    assert tb.verify(bundle.write(tmp_path / "b")).ok


def test_a_long_gap_of_zeros_is_told(tmp_path: Path) -> None:
    bundle = sound()
    bundle.shards[0] += bytes(5000)
    bundle.add("last", np.float32(1))
    only(tb.verify(bundle.write(tmp_path / "b")), "bytes nobody owns", start=51, end=5051)


def test_bytes_that_two_tensors_own(tmp_path: Path) -> None:
    bundle = Bundle()
    array = np.arange(6, dtype="<f4")
    bundle.add("a", array)
    half = Bundle()
    half.add("b", array[2:5])
    bundle.items[b"b"] = half.items[b"b"].replace(b"\x28\x0c", b"\x20\x08\x28\x0c")
    report = tb.verify(bundle.write(tmp_path / "b"))
    only(report, "overlapping bytes", '"a" and to "b"', "bytes 8 to 20", start=8, end=20)
    assert report.lost == ()


def test_many_that_share_are_summed_up(tmp_path: Path) -> None:
    """Each of 300 lies within the one before: every checksum is checked, at the cost of one."""
    data = np.arange(700, dtype="u1").tobytes()
    bundle = Bundle()
    for i in range(300):
        bundle.shards = [bytearray()]
        bundle.add(f"t{i:03}", np.frombuffer(data[i : 700 - i], "u1"), offset=i)
    bundle.shards = [bytearray(data)]
    prefix = bundle.write(tmp_path / "b")
    report = tb.verify(prefix)
    assert kinds(report) == ["overlapping bytes"] * 101
    assert report.findings[-1].text.endswith("199 more pairs of tensors share bytes")
    assert report.lost == ()
    assert report.bytes == 700
    flip(Path(shard_path(prefix, 0, 1)), 250)
    report = tb.verify(prefix)
    assert report.lost == tuple(f"t{i:03}" for i in range(251))


def test_strings_that_share_too_often(tmp_path: Path) -> None:
    """A small file in which 3,000 tensors claim the same megabyte of strings."""
    bundle = Bundle()
    bundle.add("s", [b"x" * (1 << 20)])
    entry = bundle.items.pop(b"s")
    bundle.items |= {f"s{i:04}".encode(): entry for i in range(3000)}
    report = tb.verify(bundle.write(tmp_path / "b"))
    assert len(report.lost) > 2900
    assert "too many times" in report.findings[-1].text
    assert report.findings[-1].kind == "overlapping bytes"


def test_a_damaged_block(tmp_path: Path) -> None:
    prefix = plain(tmp_path)
    names = list(tb.open(prefix))
    index = Path(prefix + ".index")
    data = index.read_bytes()
    at = data.index(b"/kernel")
    flip(index, at)
    report = tb.verify(prefix)
    assert report.findings[0].kind == "damaged index"
    assert "block checksum mismatch" in report.findings[0].text
    assert report.findings[0].start is not None
    assert report.findings[1].kind == "damaged index"
    assert "cannot be read: the tensors of those names are lost" in report.findings[1].text
    assert report.tensors < len(names)


def test_keys_out_of_order(tmp_path: Path) -> None:
    bundle = sound()
    items = sorted(bundle.items.items())
    swapped = [items[0], items[2], items[1], items[3]]
    prefix = bundle.write(tmp_path / "b")
    from writer import table

    Path(prefix + ".index").write_bytes(table(swapped))
    report = tb.verify(prefix)
    assert "keys out of order" in report.findings[0].text
    assert report.findings[0].kind == "damaged index"
    assert report.lost == ()
    assert report.tensors == 3


def test_a_bad_entry(tmp_path: Path) -> None:
    bundle = sound()
    bundle.items[b"kernel"] = entry_proto(dtype=1, shape=(-1, 3), size=24)
    report = tb.verify(bundle.write(tmp_path / "b"))
    assert kinds(report) == ["bad entry"]
    assert "negative dimension" in report.findings[0].text
    assert report.findings[0].tensor == "kernel"
    assert report.lost == ("kernel",)
    assert report.tensors == 3


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"size": 20}, "invalid size: got 20 bytes, want 24"),
        ({"shard_id": 5}, "shard 5, but the header counts 1"),
        ({"offset": -8}, "are no range"),
    ],
)
def test_an_entry_that_cannot_be(tmp_path: Path, fields: dict[str, int], text: str) -> None:
    bundle = Bundle()
    bundle.add("kernel", np.arange(6, dtype="<f4").reshape(2, 3), **fields)
    report = tb.verify(bundle.write(tmp_path / "b"))
    assert report.findings[0].kind == "bad entry"
    assert text in report.findings[0].text
    assert report.lost == ("kernel",)


def test_slices_with_a_gap(tmp_path: Path) -> None:
    bundle = Bundle()
    wide = np.arange(60, dtype="<i2").reshape(6, 10)
    bundle.add_sliced("wide", wide, [[(0, 3), None], [(4, 2), None]])
    report = tb.verify(bundle.write(tmp_path / "b"))
    assert report.findings[0].kind == "bad slices"
    assert "cover 50 of 60 elements" in report.findings[0].text
    assert report.lost == ("wide",)


def test_a_slice_without_an_entry(tmp_path: Path) -> None:
    bundle = Bundle()
    wide = np.arange(60, dtype="<i2").reshape(6, 10)
    bundle.add_sliced("wide", wide, [[(0, 3), None], [(3, 3), None]])
    key = max(key for key in bundle.items if key.startswith(b"\0"))
    del bundle.items[key]
    report = tb.verify(bundle.write(tmp_path / "b"))
    assert report.findings[0].kind == "bad slices"
    assert "has no entry in the index" in report.findings[0].text
    assert report.lost == ("wide",)


def test_a_slice_of_another_shape(tmp_path: Path) -> None:
    bundle = Bundle()
    wide = np.arange(60, dtype="<i2").reshape(6, 10)
    bundle.add_sliced("wide", wide, [[(0, 3), None], [(3, 3), None]])
    key = max(key for key in bundle.items if key.startswith(b"\0"))
    bundle.add(key, wide[:2])
    report = tb.verify(bundle.write(tmp_path / "b"))
    assert "bad slices" in kinds(report)
    assert report.findings[0].got == "[2, 10]"
    assert report.lost == ("wide",)


def test_footer_padding_and_the_metaindex_block(prefix: str) -> None:
    index = Path(prefix + ".index")
    flip(index, index.stat().st_size - 12)
    only(
        tb.verify(prefix),
        "damaged index",
        "1 bytes of its padding are not as they are written",
        part="footer",
    )
    flip(index, index.stat().st_size - 12)
    handle = index.read_bytes()[-48:]
    flip(index, handle[0] | (handle[1] << 7 if handle[0] & 0x80 else 0) & 0x3FFF)
    report = tb.verify(prefix)
    assert {finding.part for finding in report.findings} == {"metaindex block"}
    assert report.lost == ()


def test_a_graph_that_does_not_fit(data_dir: Path, tmp_path: Path) -> None:
    for path in (data_dir / "mnist_mlp").iterdir():
        shutil.copy(path, tmp_path)
    (meta,) = tmp_path.glob("*.meta")
    bundle = Bundle()
    with tb.open(tmp_path) as ckpt:
        for name in ckpt:
            if name != "dense_1/kernel":
                shape = (7,) if name == "dense_2/bias" else ckpt[name].shape
                bundle.add(name, np.zeros(shape, ckpt[name].dtype))
        bundle.write(ckpt.prefix)
    report = tb.verify(tmp_path)
    assert set(kinds(report)) == {"graph does not fit"}
    assert {finding.path for finding in report.findings} == {str(meta)}
    text = "\n".join(finding.text for finding in report.findings)
    assert "dense_1/kernel" in text
    assert "dense_2/bias" in text
    assert report.lost == ()


def test_a_damaged_graph(data_dir: Path, tmp_path: Path) -> None:
    for path in (data_dir / "mnist_mlp").iterdir():
        shutil.copy(path, tmp_path)
    (meta,) = tmp_path.glob("*.meta")
    meta.write_bytes(meta.read_bytes()[:-100])
    only(tb.verify(tmp_path), "damaged graph", path=str(meta))


def test_v1_damages(tmp_path: Path) -> None:
    prefix = KINDS["v1"](tmp_path)
    first, second = files_of(prefix)
    good = values(tb.open(prefix))
    data = second.read_bytes()
    flip(second, data.rindex(b"layer_3/kernel"))
    report = tb.verify(prefix)
    assert report.findings[0].kind == "damaged index"
    assert report.findings[0].shard == 1
    assert report.findings[0].path == str(second)
    assert "layer_3/kernel" in report.lost
    assert set(report.lost) < set(good)
    second.unlink()
    report = tb.verify(prefix)
    assert report.findings[0].kind == "missing shard"
    assert "wide" in report.lost
    assert report.lost == ("wide",), "of the others not even the names are known"
    second.write_bytes(data)
    first.write_bytes(first.read_bytes()[:-30])
    report = tb.verify(prefix)
    assert "footer" in {finding.part for finding in report.findings}
    assert report.lost == ()


def test_v1_records_that_nobody_lists(tmp_path: Path) -> None:
    from writer_v1 import V1File, values_proto

    file = V1File()
    file.add("a", np.arange(3, dtype="<f4"))
    file.put("b", [None], values_proto(np.arange(3, dtype="<f4"), 1))
    report = tb.verify(file.write(tmp_path / "v1"))
    only(report, "bytes nobody owns", '"b"', "listed in no table of contents")


def test_v1_values_that_are_too_few(tmp_path: Path) -> None:
    from writer_v1 import V1File, values_proto

    file = V1File()
    file.add("a", np.arange(3, dtype="<f4"))
    file.put("a", [None], values_proto(np.arange(2, dtype="<f4"), 1))
    report = tb.verify(file.write(tmp_path / "v1"))
    only(report, "bad entry", tensor="a")
    assert report.lost == ("a",)


def test_a_name_that_counts_too_many_files(tmp_path: Path) -> None:
    """It must not be taken at its word: not as many paths, let alone findings."""
    from writer_v1 import V1File

    file = V1File()
    file.add("a", np.arange(3, dtype="<f4"))
    path = file.write(tmp_path / "old-00000-of-999999999")
    for act in (tb.verify, tb.open):
        with refused(UnsupportedError, "counts 999999999 files, at most 65536"):
            act(path)
    with refused(UnsupportedError, "counts 999999999 files"):
        tb.open(path, on_error="skip")


def test_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tb.verify(tmp_path / "no.ckpt")


def test_an_empty_index(tmp_path: Path) -> None:
    (tmp_path / "m.index").write_bytes(b"")
    report = tb.verify(tmp_path / "m")
    only(report, "damaged index", "0 bytes", part="footer")
    assert report.tensors == 0


def test_crc_of_big_files_is_put_together(tmp_path: Path) -> None:
    """Tensors that lie across the grid of chunks, and one of many chunks."""
    random = np.random.default_rng(1)
    bundle = Bundle()
    content = random.integers(0, 255, 13 << 20, dtype=np.uint8)
    sizes = [3, (4 << 20) - 3, 1, 5 << 20, 17, 100]
    at = 0
    for i, size in enumerate(sizes):
        bundle.add(f"t{i}", content[at : at + size])
        at += size
    prefix = bundle.write(tmp_path / "b")
    for mmap in (True, False):
        report = tb.verify(prefix, mmap=mmap)
        assert report.ok
        assert report.bytes == sum(sizes)
    flip(Path(shard_path(prefix, 0, 1)), 9 << 20)
    for mmap in (True, False):
        assert tb.verify(prefix, mmap=mmap).lost == ("t3",)


def test_progress_is_told_and_can_stop(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("t", np.zeros(24 << 20, np.uint8))
    prefix = bundle.write(tmp_path / "b")
    told: list[tuple[int, int]] = []
    tb.verify(prefix, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (24 << 20, 24 << 20)

    def stop(*_: int) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        tb.verify(prefix, progress=stop)
    with pytest.raises(LookupError, match="enough"):
        tb.open(prefix).verify(progress=stop)
    with pytest.raises(LookupError, match="enough"):
        tb.open(prefix, on_error="skip", progress=stop)


def test_offsets_beyond_all_files(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add(
        "a", np.arange(4, dtype="<f4"), offset=struct.unpack("<q", b"\xff" * 7 + b"\x7f")[0] - 16
    )
    report = tb.verify(bundle.write(tmp_path / "b"))
    assert kinds(report)[0] in ("short shard", "bad entry")
    assert report.lost == ("a",)
