"""A salvaged checkpoint: the tensors that are good, and what it says of those that are not."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from faults import refused
from objects_maker import VALUE, checkpoint, child, graph, value
from tensorbundle.errors import CorruptionError, TensorNotFoundError
from writer import Bundle, shard_path

W = np.arange(24, dtype="<f4").reshape(4, 6)
NAMES = ["cut", "far", "plain", "words"]


@pytest.fixture(params=[True, False], ids=["mapped", "read"])
def mmap(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    bundle = Bundle(shards=2)
    bundle.add("plain", W)
    bundle.add("words", [b"one", b"two"])
    bundle.add_sliced("cut", W, [[(0, 2), None], [(2, 2), None]], shards=[0, 1])
    bundle.add("far", W[0], shard=1)
    return bundle.write(tmp_path / "ckpt")


def spoil(prefix: str, name: str) -> None:
    """Turns a bit of a tensor, or of its first slice."""
    with tb.open(prefix) as ckpt:
        info = ckpt.info(name)
        place = info.slices[0] if info.slices else info
        assert place.shard is not None
        assert place.offset is not None
        path = ckpt.shard_paths()[place.shard]
    with Path(path).open("r+b") as shard:
        shard.seek(place.offset)
        byte = shard.read(1)[0]
        shard.seek(place.offset)
        shard.write(bytes([byte ^ 1]))


def check_mapping(ckpt: tb.Checkpoint, good: list[str]) -> None:
    """Everything that lists tensors lists just these."""
    assert list(ckpt) == good == list(ckpt.keys())
    assert len(ckpt) == len(good)
    assert [info.name for info in ckpt.infos()] == good
    assert list(ckpt.shapes()) == list(ckpt.dtypes()) == good
    assert [name in ckpt for name in NAMES] == [name in good for name in NAMES]
    for name in NAMES:
        assert (ckpt.get(name) is not None) == (name in good)


def test_of_a_sound_checkpoint_all_is_saved(prefix: str, mmap: bool) -> None:
    ckpt = tb.open(prefix, on_error="skip", mmap=mmap)
    check_mapping(ckpt, NAMES)
    assert ckpt.report is not None
    assert ckpt.report.ok
    assert ckpt.report.tensors == 4
    assert repr(ckpt) == f"<tensorbundle.Checkpoint {prefix!r} V2 2 shards salvaged, 0 lost>"
    with tb.open(prefix) as whole:
        for name, value in whole.items():
            np.testing.assert_array_equal(ckpt[name], value)
    assert ckpt["plain"].flags.owndata is False
    with pytest.raises(TensorNotFoundError) as caught:
        ckpt["plane"]
    assert caught.value.near == ("plain",)
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_tensor_is_lost_and_no_other(prefix: str, mmap: bool, name: str) -> None:
    spoil(prefix, name)
    ckpt = tb.open(prefix, on_error="skip", mmap=mmap)
    good = [each for each in NAMES if each != name]
    check_mapping(ckpt, good)
    assert repr(ckpt).endswith("salvaged, 1 lost>")
    assert ckpt.report is not None
    assert ckpt.report.lost == (name,)
    (finding,) = ckpt.report.findings
    for look in (ckpt.__getitem__, ckpt.info, lambda name: ckpt.read(name, rows=slice(0, 1))):
        with refused(CorruptionError, part=finding.part, path=finding.path, tensor=name):
            look(name)
    for each in good:
        assert ckpt[each].tolist() == (W[0] if each == "far" else ckpt.read(each)).tolist()
    with pytest.raises(CorruptionError) as caught:
        ckpt[name]
    assert str(caught.value) == finding.text
    assert caught.value.offset == finding.start
    assert str(pickle.loads(pickle.dumps(caught.value))) == finding.text


def test_without_checksums(prefix: str, mmap: bool) -> None:
    spoil(prefix, "plain")
    ckpt = tb.open(prefix, on_error="skip", verify=False, mmap=mmap)
    check_mapping(ckpt, NAMES)
    assert ckpt.report is not None
    assert (ckpt.report.ok, ckpt.report.bytes) == (True, 0)
    assert ckpt["plain"].shape == W.shape
    with refused(CorruptionError, "checksum", tensor="plain"):
        ckpt.read("plain", verify=True)


def test_a_missing_shard(prefix: str, mmap: bool) -> None:
    gone = Path(shard_path(prefix, 1, 2))
    gone.unlink()
    ckpt = tb.open(prefix, on_error="skip", mmap=mmap)
    check_mapping(ckpt, ["plain", "words"])
    for name in ("cut", "far"):
        with refused(CorruptionError, "is lost", path=gone, tensor=name):
            ckpt[name]


def test_several_missing_shards(prefix: str) -> None:
    for i in range(2):
        Path(shard_path(prefix, i, 2)).unlink()
    ckpt = tb.open(prefix, on_error="skip")
    check_mapping(ckpt, [])
    with refused(CorruptionError, "one of 2 files that are gone", tensor="far"):
        ckpt["far"]


def test_an_index_without_a_footer(prefix: str, mmap: bool) -> None:
    index = Path(prefix + ".index")
    index.write_bytes(index.read_bytes()[:-48])
    with pytest.raises(CorruptionError):
        tb.open(prefix)
    ckpt = tb.open(prefix, on_error="skip", mmap=mmap)
    check_mapping(ckpt, NAMES)
    np.testing.assert_array_equal(ckpt["cut"], W)
    assert ckpt.report is not None
    assert not ckpt.report.ok
    with pytest.raises(TensorNotFoundError) as caught:
        ckpt["other"]
    assert "index of this checkpoint is damaged" in caught.value.__notes__[0]


def test_a_block_of_the_index_is_lost(tmp_path: Path) -> None:
    bundle = Bundle()
    for i in range(40):
        bundle.add(f"tensor_{i:02}", np.arange(i, i + 4))
    prefix = bundle.write(tmp_path / "ckpt", block_size=200)
    index = Path(prefix + ".index")
    data = bytearray(index.read_bytes())
    data[data.index(b"tensor_2") + 30] ^= 0xFF  # somewhere in a block behind the first
    index.write_bytes(data)
    ckpt = tb.open(prefix, on_error="skip")
    assert 0 < len(ckpt) < 40
    for name, array in ckpt.items():
        assert array[0] == int(name[-2:])
    lost = next(f"tensor_{i:02}" for i in range(40) if f"tensor_{i:02}" not in ckpt)
    for look in (ckpt.__getitem__, ckpt.info):
        with pytest.raises(TensorNotFoundError) as caught:
            look(lost)
        assert "damaged" in caught.value.__notes__[0]


def test_opened_again_and_again(prefix: str, mmap: bool) -> None:
    spoil(prefix, "far")
    reports = [tb.open(prefix, on_error="skip", mmap=mmap).report for _ in range(5)]
    assert all(report == reports[0] for report in reports)
    spoil(prefix, "far")
    assert tb.open(prefix, on_error="skip", mmap=mmap).report == tb.verify(prefix)
    assert tb.verify(prefix).ok


def test_a_pickle_salvages_again(prefix: str, mmap: bool) -> None:
    spoil(prefix, "words")
    ckpt = tb.open(prefix, on_error="skip", mmap=mmap)
    twin = pickle.loads(pickle.dumps(ckpt))
    assert (twin.on_error, twin.mmap, twin.report) == ("skip", mmap, ckpt.report)
    check_mapping(twin, ["cut", "far", "plain"])
    plain = pickle.loads(pickle.dumps(tb.open(prefix, mmap=mmap, verify=True)))
    assert (plain.on_error, plain.verify_on_read, plain.report) == ("raise", True, None)


def test_verify_of_a_salvaged_checkpoint_looks_at_all_of_it(prefix: str) -> None:
    spoil(prefix, "far")
    ckpt = tb.open(prefix, on_error="skip")
    assert ckpt.verify() == ckpt.report
    spoil(prefix, "far")
    assert ckpt.verify().ok
    assert "far" not in ckpt  # as it was opened


def test_when_it_is_closed(prefix: str) -> None:
    spoil(prefix, "far")
    with tb.open(prefix, on_error="skip") as ckpt:
        array = ckpt["plain"]
    np.testing.assert_array_equal(array, W)
    assert repr(ckpt).endswith("closed>")
    assert ckpt.report is not None
    for look in (ckpt.__getitem__, ckpt.info, ckpt.__contains__):
        with pytest.raises(ValueError, match="closed"):
            look("far")


@pytest.mark.parametrize("wrong", ["", "ignore", "SKIP", None, True])
def test_a_wrong_on_error(prefix: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match="on_error"):
        tb.open(prefix, on_error=wrong)


def test_the_default_is_to_raise(prefix: str) -> None:
    spoil(prefix, "plain")
    ckpt = tb.open(prefix)
    assert (ckpt.on_error, ckpt.report, ckpt.verify_on_read) == ("raise", None, False)
    assert ckpt["plain"].shape == W.shape  # a view does not read its bytes
    assert "salvaged" not in repr(ckpt)


@pytest.fixture
def objects(tmp_path: Path, data_dir: Path) -> str:
    folder = shutil.copytree(data_dir / "object_graph", tmp_path / "objects")
    return tb.open(folder).prefix


def test_the_path_of_an_object_whose_tensor_is_lost(objects: str) -> None:
    key = "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    spoil(objects, key)
    ckpt = tb.open(objects, on_error="skip")
    assert ckpt.report is not None
    assert ckpt.report.lost == (key,)
    for name in (key, "layer/kernel"):
        assert name not in ckpt
        with refused(CorruptionError, "checksum", tensor=key):
            ckpt[name]
        with refused(CorruptionError, "checksum", tensor=key):
            ckpt.info(name)
    assert "layer/bias" in ckpt
    assert ckpt["layer/bias"].shape == (20,)

    for look in (lambda one: one.info, lambda one: one.numpy()):
        with refused(CorruptionError, "checksum", tensor=key):
            look(ckpt.object_graph["layer/kernel"])  # type: ignore[index]


def test_a_lost_graph_of_objects(objects: str) -> None:
    spoil(objects, "_CHECKPOINTABLE_OBJECT_GRAPH")
    ckpt = tb.open(objects, on_error="skip")
    assert ckpt.report is not None
    assert ckpt.report.lost == ("_CHECKPOINTABLE_OBJECT_GRAPH",)
    assert ckpt.object_graph is None
    assert ckpt["layer/kernel/.ATTRIBUTES/VARIABLE_VALUE"].shape == (50, 20)
    assert "layer/kernel" not in ckpt


def test_a_directory_is_followed_only_if_asked(prefix: str, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "checkpoint").write_text(f'model_checkpoint_path: "{prefix}"\n')
    with pytest.raises(FileNotFoundError):
        tb.open(away, on_error="skip")
    with pytest.raises(FileNotFoundError):
        tb.verify(away)
    assert tb.verify(away, follow=True).ok
    assert len(tb.open(away, on_error="skip", follow=True)) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_across_a_fork(prefix: str) -> None:
    spoil(prefix, "far")
    ckpt = tb.open(prefix, on_error="skip")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if ckpt["plain"][3, 5] == 23 and "far" not in ckpt else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_path_of_a_lost_tensor_is_not_the_full_name_of_another(tmp_path: Path) -> None:
    # "w" is the path of one variable and the full name of the other.
    nodes = graph(child("w", 1) + child("v", 2), value("w" + VALUE), value("v" + VALUE, "w"))
    prefix = checkpoint(tmp_path, nodes, ["w" + VALUE, "v" + VALUE]).prefix
    assert tb.open(prefix)["w"] == 0
    spoil(prefix, "w" + VALUE)
    ckpt = tb.open(prefix, on_error="skip")
    assert "w" not in ckpt
    with refused(CorruptionError, "checksum", tensor="w" + VALUE):
        ckpt["w"]
    assert ckpt["v"] == 1


def test_a_full_name_that_a_lost_tensor_shared(tmp_path: Path) -> None:
    # It meant two, and does not mean the other now.
    keys = ["a" + VALUE, "b" + VALUE, "c" + VALUE]
    nodes = graph(
        child("a", 1) + child("b", 2) + child("c", 3),
        value(keys[0], "w"),
        value(keys[1], "w"),
        value(keys[2], "own"),
    )
    prefix = checkpoint(tmp_path, nodes, keys).prefix
    with pytest.raises(TensorNotFoundError):
        tb.open(prefix)["w"]
    spoil(prefix, keys[0])
    ckpt = tb.open(prefix, on_error="skip")
    assert ("w" in ckpt, "own" in ckpt, "b" in ckpt) == (False, True, True)
    with refused(CorruptionError, "checksum", tensor=keys[0]):
        ckpt["w"]
    assert (ckpt["own"], ckpt["b"]) == (2, 1)


def test_more_lost_tensors_than_findings(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("good", W)
    names = [f"lost_{i:05}" for i in range(10_001)]
    for name in names:
        bundle.add(name, W[0, :1], crc=1)
    ckpt = tb.open(bundle.write(tmp_path / "many"), on_error="skip")
    assert list(ckpt) == ["good"]
    assert ckpt.report is not None
    assert list(ckpt.report.lost) == names
    told = {finding.tensor for finding in ckpt.report.findings}
    (other,) = set(names) - told
    with pytest.raises(CorruptionError, match=r"is lost; .* left out: .*1 more finding") as caught:
        ckpt[other]
    assert caught.value.tensor == other
    with pytest.raises(CorruptionError, match="checksum"):
        ckpt[names[0]]
    with pytest.raises(TensorNotFoundError) as missing:
        ckpt["none"]
    assert "index" in missing.value.__notes__[0]
