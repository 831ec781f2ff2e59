"""What can still be read of a damaged checkpoint, and what is said of the rest."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from damage import KINDS, files_of, flip, plain, values
from encoding import entry_proto
from faults import refused, sound
from tensorbundle.errors import CorruptionError, TensorNotFoundError
from writer import Bundle, shard_path, table


def many(folder: Path, n: int = 400) -> tuple[str, dict[str, object]]:
    """An index of many blocks."""
    bundle = Bundle()
    for i in range(n):
        bundle.add(f"layer_{i:04}/kernel", np.arange(i, i + 3, dtype="<f4"))
    prefix = bundle.write(folder / "m", block_size=1000)
    with tb.open(prefix) as ckpt:
        return prefix, values(ckpt)


def report_of(ckpt: tb.Checkpoint) -> tb.VerifyReport:
    assert ckpt.report is not None
    return ckpt.report


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_one_is_whole(tmp_path: Path, kind: str, mmap: bool) -> None:
    prefix = KINDS[kind](tmp_path)
    with tb.open(prefix) as ckpt, tb.open(prefix, on_error="skip", mmap=mmap) as saved:
        assert values(saved) == values(ckpt)
        assert report_of(saved).ok
        assert ckpt.report is None
        assert saved.mmap == mmap
        assert repr(saved).endswith("salvaged, 0 lost>")


@pytest.mark.parametrize("mmap", [True, False])
def test_a_bad_tensor_is_left_out(tmp_path: Path, mmap: bool) -> None:
    prefix = sound().write(tmp_path / "b")
    good = values(tb.open(prefix))
    offset = tb.open(prefix).info("kernel").offset
    assert offset is not None
    flip(Path(shard_path(prefix, 0, 1)), offset)
    saved = tb.open(prefix, on_error="skip", mmap=mmap)
    assert list(saved) == ["bias", "words"]
    assert len(saved) == 2
    assert "kernel" not in saved
    assert values(saved) == {name: good[name] for name in saved}
    assert [info.name for info in saved.infos()] == ["bias", "words"]
    shard = shard_path(prefix, 0, 1)
    with refused(CorruptionError, "checksum does not match", path=shard, tensor="kernel"):
        saved["kernel"]
    with refused(CorruptionError, "checksum does not match", part="tensor data", tensor="kernel"):
        saved.info("kernel")
    with pytest.raises(TensorNotFoundError):
        saved["kernels"]
    assert repr(saved).endswith("salvaged, 1 lost>")
    # Without looking at the data it is there, and so is its fault.
    saved = tb.open(prefix, on_error="skip", mmap=mmap, verify=False)
    assert "kernel" in saved
    assert report_of(saved).ok
    with pytest.raises(CorruptionError):
        saved.read("kernel", verify=True)


def test_it_pickles(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "b")
    flip(Path(shard_path(prefix, 0, 1)), 0)
    saved = tb.open(prefix, on_error="skip")
    again = pickle.loads(pickle.dumps(saved))
    assert list(again) == list(saved) == ["kernel", "words"]
    assert again.report == saved.report
    assert again.on_error == "skip"
    report = pickle.loads(pickle.dumps(saved.report))
    assert report == saved.report
    assert report.findings[0] in {*report_of(saved).findings}


def test_what_else_on_error_may_not_be(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "b")
    with pytest.raises(ValueError, match='"raise" or "skip", not \'ignore\''):
        tb.open(prefix, on_error="ignore")


def test_a_damaged_block_costs_its_own_tensors(tmp_path: Path) -> None:
    prefix, good = many(tmp_path)
    index = Path(prefix + ".index")
    flip(index, 5000)
    with pytest.raises(CorruptionError):
        len(tb.open(prefix))
    with tb.open(prefix, on_error="skip") as saved:
        assert 360 < len(saved) < 400
        assert values(saved) == {name: good[name] for name in saved}
        lost = [name for name in good if name not in saved]
        text = " ".join(finding.text for finding in report_of(saved).findings)
        assert f'behind "{min(lost)[:8]}' in text or "entries behind" in text


def test_the_block_of_the_header(tmp_path: Path) -> None:
    prefix, good = many(tmp_path)
    flip(Path(prefix + ".index"), 30)
    with tb.open(prefix, on_error="skip") as saved:
        assert 360 < len(saved) < 400
        assert values(saved) == {name: good[name] for name in saved}
        text = " ".join(finding.text for finding in report_of(saved).findings)
        assert "bundle header" in text
        assert "taken for one of 1 shards, as the files beside it suggest" in text


@pytest.mark.parametrize("cut", [1, 8, 47, 48, 60, 1000, 10_000, 15_000])
def test_an_index_cut_short(tmp_path: Path, cut: int) -> None:
    prefix, good = many(tmp_path)
    index = Path(prefix + ".index")
    data = index.read_bytes()
    index.write_bytes(data[:-cut])
    with pytest.raises(CorruptionError):
        tb.open(prefix)
    with tb.open(prefix, on_error="skip") as saved:
        found = report_of(saved).findings
        assert found[0].part == "footer"
        left = list(good)[: len(saved)]
        assert list(saved) == left, "as far as its blocks go"
        assert values(saved) == {name: good[name] for name in left}
        # A block has 1,000 bytes or so.
        assert len(saved) >= len(good) * (len(data) - cut - 2500) // len(data)
        if cut < 48:
            assert left == list(good)


@pytest.mark.parametrize("filler", [b"", b"\0" * 100, b"appended by a stranger"])
def test_a_destroyed_footer(tmp_path: Path, filler: bytes) -> None:
    prefix, good = many(tmp_path)
    index = Path(prefix + ".index")
    index.write_bytes(index.read_bytes()[:-48] + b"\xab" * 48 + filler)
    with tb.open(prefix, on_error="skip") as saved:
        assert values(saved) == good
        assert not report_of(saved).ok


def test_a_destroyed_footer_and_blocks(tmp_path: Path) -> None:
    prefix, good = many(tmp_path)
    index = Path(prefix + ".index")
    data = bytearray(index.read_bytes())
    for at in (0, 3000, 9000, len(data) - 100, len(data) - 4):
        data[at] ^= 0xFF
    index.write_bytes(data)
    with tb.open(prefix, on_error="skip") as saved:
        assert 300 <= len(saved) < 400
        assert values(saved) == {name: good[name] for name in saved}


def test_compressed_blocks_are_found(tmp_path: Path) -> None:
    prefix = KINDS["snappy"](tmp_path)
    good = values(tb.open(prefix))
    index = Path(prefix + ".index")
    index.write_bytes(index.read_bytes()[:-48])
    with tb.open(prefix, on_error="skip") as saved:
        assert values(saved) == good


def test_a_missing_shard(tmp_path: Path) -> None:
    prefix = plain(tmp_path)
    good = values(tb.open(prefix))
    Path(shard_path(prefix, 1, 2)).unlink()
    with tb.open(prefix, on_error="skip") as saved:
        assert values(saved) == {name: good[name] for name in saved}
        assert set(report_of(saved).lost) == good.keys() - set(saved)
        assert "layer_00/kernel" in saved
        with refused(CorruptionError, "is lost", "No such file", path=shard_path(prefix, 1, 2)):
            saved["layer_01/kernel"]


def test_a_short_shard(tmp_path: Path) -> None:
    prefix = plain(tmp_path)
    good = values(tb.open(prefix))
    shard = Path(shard_path(prefix, 0, 2))
    shard.write_bytes(shard.read_bytes()[:200])
    with tb.open(prefix, on_error="skip") as saved:
        assert values(saved) == {name: good[name] for name in saved}
        assert set(report_of(saved).lost) == good.keys() - set(saved)
        assert len(saved) > 6


def test_no_shard_at_all(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "b")
    Path(shard_path(prefix, 0, 1)).unlink()
    with tb.open(prefix, on_error="skip") as saved:
        assert list(saved) == []
        assert report_of(saved).lost == ("bias", "kernel", "words")


def test_keys_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    bundle = sound()
    prefix = bundle.write(tmp_path / "b")
    good = values(tb.open(prefix))
    items = sorted(bundle.items.items())
    Path(prefix + ".index").write_bytes(table([items[0], items[3], items[1], items[2]]))
    with tb.open(prefix, on_error="skip") as saved:
        assert values(saved) == good


def test_a_key_that_comes_twice(tmp_path: Path) -> None:
    bundle = sound()
    prefix = bundle.write(tmp_path / "b")
    good = values(tb.open(prefix))
    items = sorted(bundle.items.items())
    other = (b"kernel", entry_proto(dtype=1, shape=(1,), size=4))
    Path(prefix + ".index").write_bytes(table([*items[:3], other, items[3]]))
    with tb.open(prefix, on_error="skip") as saved:
        assert values(saved) == good, "the first counts"
        assert "the key comes twice" in report_of(saved).findings[1].text


def test_without_header_and_with_two_shards(tmp_path: Path) -> None:
    def spoilt(part: str, data: bytes) -> bytes:
        header = b"\x08\x02\x1a\x02\x08\x01"
        return data.replace(header, b"\xff" * 6) if part == "data 0" else data

    good = values(tb.open(plain(tmp_path, block_size=1 << 18)))
    with tb.open(plain(tmp_path, contents=spoilt), on_error="skip") as saved:
        assert values(saved) == good
        assert saved.num_shards == 2


def test_slices_whose_tensor_is_lost(tmp_path: Path) -> None:
    """They must not show up under their own keys."""
    prefix = plain(tmp_path)
    good = values(tb.open(prefix))
    index = Path(prefix + ".index")
    data = index.read_bytes()
    flip(index, data.rindex(b"texts"))
    with tb.open(prefix, on_error="skip") as saved:
        assert "texts" not in saved
        assert not any(name.startswith("\0") for name in saved)
        assert values(saved) == {name: good[name] for name in saved}
        assert "texts" in report_of(saved).lost
        with refused(CorruptionError, "its own entry is lost", tensor="texts"):
            saved["texts"]


def test_byte_order_without_a_header(tmp_path: Path) -> None:
    """The lengths of strings have a checksum in the byte order of the bundle."""
    bundle = Bundle(big_endian=True)
    for i in range(60):
        bundle.add(f"t{i:02}", np.arange(i, i + 4, dtype="<f4"))
    bundle.add("words", [b"one", b"two"])
    prefix = bundle.write(tmp_path / "b", block_size=300)
    good = values(tb.open(prefix))
    flip(Path(prefix + ".index"), 20)
    with tb.open(prefix, on_error="skip") as saved:
        assert saved.endianness == "big"
        assert values(saved) == {name: good[name] for name in saved}
        assert len(saved) > 40
        text = " ".join(finding.text for finding in report_of(saved).findings)
        assert "that they are little-endian is a guess" in text


def test_byte_order_of_a_version_that_is_not_known(tmp_path: Path) -> None:
    bundle = Bundle(big_endian=True)
    bundle.add("t", np.arange(4, dtype="<f4"))
    bundle.items[b""] = b"\x08\x01\x10\x01\x1a\x04\x08\x01\x10\x07"
    with tb.open(bundle.write(tmp_path / "b"), on_error="skip") as saved:
        assert saved["t"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("stray", ["00000-of-99999999", "00000-of-00000", "00003-of-00004"])
def test_stray_files_do_not_count_shards(tmp_path: Path, stray: str) -> None:
    prefix, good = many(tmp_path)
    Path(f"{prefix}.data-{stray}").touch()
    flip(Path(prefix + ".index"), 30)
    with tb.open(prefix, on_error="skip") as saved:
        assert len(saved) > 360
        assert values(saved) == {name: good[name] for name in saved}


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    bundle = sound()
    bundle.add("x" * 70_000, np.float32(1))
    prefix = bundle.write(tmp_path / "b", block_size=60)
    with tb.open(prefix, on_error="skip") as saved:
        assert set(saved) >= {"bias", "kernel"}
        assert not report_of(saved).ok


def test_a_v1_file_of_ones(tmp_path: Path) -> None:
    """Behind each 01 a block could begin; those that were found before stay found."""
    from writer_v1 import V1File

    file = V1File()
    file.add("a", np.arange(5, dtype="<f4"))
    file.add("b", np.ones(300_000, np.bool_))
    file.add("z", np.arange(7, dtype="<f4"))
    path = Path(file.write(tmp_path / "v1", block_size=200))
    path.write_bytes(path.read_bytes()[:-10])
    with tb.open(path, on_error="skip") as saved:
        assert set(saved) >= {"a", "b", "z"}


@pytest.mark.parametrize("kind", [0, 1])
def test_memory_of_hostile_indexes(tmp_path: Path, kind: int) -> None:
    """Long keys that share all but a byte with the one before."""
    import subprocess
    import sys

    from encoding import snappy_compress
    from writer import block, footer, handle, sealed

    keys = [b"k" * 65_000 + i.to_bytes(3, "big") for i in range(2_000)]
    contents = block(((key, b"") for key in keys), restart_interval=1000)
    contents = snappy_compress(contents) if kind else contents
    body = sealed(contents, kind)
    index = sealed(block([(b"l", handle(0, len(contents)))]))
    meta = sealed(block([]))
    tail = footer(handle(len(body), len(meta) - 5), handle(len(body) + len(meta), len(index) - 5))
    (tmp_path / "m.index").write_bytes(body + meta + index + tail)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30));"
        "import tensorbundle as tb;"
        "print(len(tb.verify(sys.argv[1]).findings))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "m"], capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    assert int(done.stdout) > 0


def test_v1(tmp_path: Path) -> None:
    prefix = KINDS["v1"](tmp_path)
    good = values(tb.open(prefix))
    first, second = files_of(prefix)
    data = second.read_bytes()
    flip(second, data.rindex(b"layer_3/kernel"))
    with tb.open(prefix, on_error="skip") as saved:
        assert saved.format == "V1"
        assert values(saved) == {name: good[name] for name in saved}
        assert set(report_of(saved).lost) == good.keys() - set(saved)
        assert "layer_0/kernel" in saved
        with refused(CorruptionError, tensor="layer_3/kernel"):
            saved["layer_3/kernel"]
    second.write_bytes(data[:-60])
    with tb.open(prefix, on_error="skip") as saved:
        assert values(saved) == good
    second.unlink()
    with tb.open(prefix, on_error="skip") as saved:
        assert set(saved) == {"layer_0/kernel", "layer_2/kernel", "layer_4/kernel", "words"}
    first.unlink()
    with pytest.raises(FileNotFoundError):
        tb.open(prefix, on_error="skip")


def test_salvaged_bundles_are_shared_and_verified_again(tmp_path: Path) -> None:
    prefix, good = many(tmp_path)
    flip(Path(prefix + ".index"), 5000)
    saved = tb.open(prefix, on_error="skip")
    assert saved.verify() == saved.report
    assert saved.variables is not None
    assert saved.shapes() == dict.fromkeys(saved, (3,))
    assert np.shares_memory(saved["layer_0399/kernel"], saved["layer_0399/kernel"])
    assert good


def test_other_files_are_untouched(tmp_path: Path) -> None:
    prefix, _ = many(tmp_path)
    index = Path(prefix + ".index")
    flip(index, 5000)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    tb.open(prefix, on_error="skip").close()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
