"""Which files a V1 checkpoint is, and by which paths it opens."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from faults import refused
from tensorbundle.errors import CorruptionError
from writer import Bundle
from writer_v1 import V1File, write_shards

A, B = np.arange(6, dtype="<f4").reshape(2, 3), np.arange(4, dtype="<i8")


def single(path: Path) -> str:
    file = V1File()
    file.add("a", A)
    file.add("b", B)
    return file.write(path)


def pair(prefix: Path) -> str:
    first, second = V1File(), V1File()
    first.add("a", A)
    second.add("b", B)
    return write_shards(prefix, [first, second])


def same(path: Path | str) -> tb.Checkpoint:
    ckpt = tb.open(path)
    assert ckpt.format == "V1"
    assert list(ckpt) == ["a", "b"]
    np.testing.assert_array_equal(ckpt["a"], A)
    np.testing.assert_array_equal(ckpt["b"], B)
    return ckpt


def test_one_file(tmp_path: Path) -> None:
    path = single(tmp_path / "model.ckpt-7")
    (tmp_path / "model.ckpt-7.meta").write_bytes(b"")
    for given in (path, f"{path}.meta", tmp_path):
        ckpt = same(given)
        assert (ckpt.prefix, ckpt.index_path, ckpt.num_shards) == (path, None, 1)
        assert ckpt.shard_paths() == [path]
    assert (ckpt.endianness, ckpt.producer) == ("little", 1)
    assert repr(ckpt) == f"<tensorbundle.Checkpoint {path!r} V1 1 shard>"
    assert list(pickle.loads(pickle.dumps(ckpt))) == ["a", "b"]


def test_several_files(tmp_path: Path) -> None:
    pattern = pair(tmp_path / "m")
    prefix = f"{tmp_path}/m"
    for given in (pattern, prefix, f"{prefix}-00001-of-00002", tmp_path):
        ckpt = same(given)
        assert ckpt.prefix == prefix
        assert ckpt.shard_paths() == [f"{prefix}-{i:05d}-of-00002" for i in (0, 1)]
        assert [info.shard for info in ckpt.infos()] == [0, 1]
    assert "'V1 2 shards'" not in repr(ckpt)
    assert "V1 2 shards" in repr(ckpt)


@pytest.mark.parametrize("given", ["m-?????-of-00002", "m", "m-00001-of-00002", "."])
def test_a_file_is_missing(tmp_path: Path, given: str) -> None:
    """TensorFlow opens what is there, and the other tensors are gone."""
    pair(tmp_path / "m")
    (tmp_path / "m-00000-of-00002").unlink()
    with pytest.raises(FileNotFoundError, match="file 0 of the 2 of a V1 checkpoint") as caught:
        tb.open(tmp_path / given)
    assert caught.value.filename == f"{tmp_path}/m-00000-of-00002"


def test_checkpoints_of_one_prefix(tmp_path: Path) -> None:
    pair(tmp_path / "m")
    write_shards(tmp_path / "m", [V1File()])
    with pytest.raises(FileNotFoundError, match=r"of \[1, 2\] files of this prefix"):
        tb.open(tmp_path / "m")
    same(tmp_path / "m-00000-of-00002")
    assert len(tb.open(tmp_path / "m-00000-of-00001")) == 0


def test_other_files_are_called_like_shards(tmp_path: Path) -> None:
    single(tmp_path / "model")
    for i in range(3):
        (tmp_path / f"train.tfrecord-{i:05d}-of-00003").write_bytes(b"no table" * 100)
    same(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no V1 checkpoint; there is .*model"):
        tb.open(tmp_path / "train.tfrecord")
    with refused(CorruptionError, "this is no TensorFlow checkpoint"):
        tb.open(tmp_path / "train.tfrecord-00000-of-00003")


def test_v2_wins_as_in_tensorflow(tmp_path: Path) -> None:
    single(tmp_path / "m")
    bundle = Bundle()
    bundle.add("new", B)
    bundle.write(tmp_path / "m")
    assert (tb.open(tmp_path / "m").format, list(tb.open(tmp_path / "m"))) == ("V2", ["new"])


def test_v1_by_content_whatever_it_is_called(tmp_path: Path) -> None:
    single(tmp_path / "odd.index")
    same(tmp_path / "odd.index")
    same(tmp_path / "odd")
    single(tmp_path / "elsewhere" / "checkpoint")
    same(tmp_path / "elsewhere" / "checkpoint")
    same(tmp_path / "elsewhere")


def test_state_files_name_patterns(tmp_path: Path) -> None:
    pair(tmp_path / "m-5")
    state = 'model_checkpoint_path: "/gone/m-5-?????-of-00002"\n'
    (tmp_path / "checkpoint").write_text(state)
    same(tmp_path)
    same(tmp_path / "checkpoint")
    shutil.move(tmp_path / "m-5-00001-of-00002", tmp_path / "away")
    with pytest.raises(FileNotFoundError, match="file 1 of the 2"):
        tb.open(tmp_path)


def test_variables_of_an_old_saved_model(tmp_path: Path) -> None:
    pair(tmp_path / "variables" / "variables")
    same(tmp_path)


def test_an_index_under_another_name(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("w", A)
    bundle.write(tmp_path / "m")
    (tmp_path / "m.index").rename(tmp_path / "renamed")
    with refused(CorruptionError, "it must be called PREFIX.index"):
        tb.open(tmp_path / "renamed")
