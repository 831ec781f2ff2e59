"""The reader as a Python object: a mapping, its infos, names, and pickles of all of them."""

from __future__ import annotations

import gc
import pickle
import weakref
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from encoding import slice_key
from tensorbundle.errors import TensorNotFoundError
from writer import Bundle


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    bundle = Bundle(shards=2)
    bundle.add("aligned", np.arange(100, dtype="<f8").reshape(4, 25))
    bundle.add("flag", np.bool_(True), shard=1)
    bundle.add("words", [b"a", b"bb\0"])
    bundle.add_sliced(b"cut", np.arange(6, dtype="<i4"), [[(0, 2)], [(2, 4)]], shards=[1, 0])
    bundle.add(b"\xff\x00", np.float32(1))
    return bundle.write(tmp_path / "b")


def test_pickle_is_small(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("w", np.zeros(1000, "<f4"))
    ckpt = tb.open(bundle.write(tmp_path / "b"), mmap=False, verify=True)
    ckpt["w"]
    data = pickle.dumps(ckpt)
    assert len(data) < 500
    again = pickle.loads(data)
    assert (again.path, again.mmap, again.verify_on_read) == (ckpt.path, False, True)
    assert again["w"].shape == (1000,)
    (tmp_path / "b.index").unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(data)


def test_pickle_of_infos(prefix: str) -> None:
    infos = tb.open(prefix).infos()
    for info in infos:
        again = pickle.loads(pickle.dumps(info))
        assert again == info
        assert hash(again) == hash(info)
        assert (again.dtype, again.shape, again.slices) == (info.dtype, info.shape, info.slices)
    assert len(set(infos)) == len(infos)
    cut = next(info for info in infos if info.slices).slices
    assert pickle.loads(pickle.dumps(cut)) == cut


def test_infos_are_frozen(prefix: str) -> None:
    info = tb.open(prefix).info("aligned")
    with pytest.raises((AttributeError, TypeError)):
        info.name = "x"  # type: ignore[misc]
    assert "aligned" in repr(info)
    assert info != "aligned"
    assert info != tb.open(prefix).info("flag")


def test_pickle_of_errors(prefix: str) -> None:
    with pytest.raises(TensorNotFoundError) as caught:
        tb.open(prefix)["alined"]
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is TensorNotFoundError
    assert str(again) == str(caught.value)
    assert (again.near, again.tensor) == (caught.value.near, "alined")
    Path(prefix + ".index").write_bytes(b"x" * 99)
    with pytest.raises(tb.errors.CorruptionError) as bad:
        tb.open(prefix)
    again = pickle.loads(pickle.dumps(bad.value))
    assert str(again) == str(bad.value)
    assert (again.path, again.part, again.offset) == (prefix + ".index", "footer", 51)


def test_mapping(prefix: str) -> None:
    ckpt = tb.open(prefix)
    assert list(ckpt) == sorted(ckpt)
    assert len(ckpt) == len(list(ckpt)) == 5
    assert set(ckpt.keys()) == set(ckpt)
    assert ckpt.get("nothing") is None
    assert {name: value.shape for name, value in ckpt.items()}["aligned"] == (4, 25)
    assert 3 not in ckpt
    assert None not in ckpt
    assert [info.name for info in ckpt.infos()] == list(ckpt)
    assert repr(ckpt) == f"<tensorbundle.Checkpoint {prefix!r} V2 2 shards>"


def test_get(prefix: str) -> None:
    ckpt = tb.open(prefix)
    default = np.zeros(3)
    assert ckpt.get("flag", default) is not default
    assert bool(ckpt.get("flag", default))
    assert ckpt.get("nothing", default) is default
    assert ckpt.get("nothing", None) is None
    Path(ckpt.shard_paths()[1]).unlink()
    with pytest.raises(FileNotFoundError):  # it is in the index, only its bytes are gone
        tb.open(prefix).get("flag", default)


def test_one_checkpoint_is_equal_to_itself_only(prefix: str) -> None:
    one, other = tb.open(prefix), tb.open(prefix)
    again = one
    assert one == again
    assert one != other
    assert one != dict(other)
    assert len({one, again, other}) == 2
    assert {one: 1}[again] == 1
    assert one.__eq__(3) is NotImplemented


def test_weak_references(prefix: str) -> None:
    ckpt = tb.open(prefix)
    reference = weakref.ref(ckpt)
    assert reference() is ckpt
    cache = weakref.WeakKeyDictionary({ckpt: 1})
    del ckpt
    gc.collect()
    assert reference() is None
    assert len(cache) == 0


# Names.


@pytest.mark.parametrize("code", [0xD800, 0xDFFF, 0xDC7F])
def test_names_that_no_bytes_decode_to(prefix: str, code: int) -> None:
    name = "a" + chr(code)
    ckpt = tb.open(prefix)
    assert name not in ckpt
    assert ckpt.get(name) is None
    assert ckpt.get(name, 3) == 3
    for act in (lambda: ckpt[name], lambda: ckpt.read(name), lambda: ckpt.info(name)):
        with pytest.raises(TensorNotFoundError) as caught:
            act()
        assert caught.value.tensor == name
        str(caught.value).encode()  # the message can be printed


@pytest.mark.parametrize(
    "name",
    [
        b"\xff\xfe",
        b"a\x00b",
        b"caf\xc3\xa9",
        b"\xed\xa0\x80",
        b"../../etc",
        b" ",
        b"\n",
        b"x" * 5000,
    ],
)
def test_names_are_bytes(tmp_path: Path, name: bytes) -> None:
    bundle = Bundle()
    bundle.add(name, np.float32(3.5))
    bundle.add_sliced(name + b"!", np.arange(4, dtype="<i4"), [[(0, 1)], [(1, 3)]])
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    text = name.decode("utf-8", "surrogateescape")
    assert sorted(ckpt) == sorted([text, text + "!"])
    assert ckpt[text] == 3.5
    assert ckpt[text + "!"].tolist() == [0, 1, 2, 3]
    assert ckpt.info(text).name == text
    assert ckpt.info(text).name.encode("utf-8", "surrogateescape") == name


def test_names_come_in_stored_order(tmp_path: Path) -> None:
    names = [b"b", b"a/b", b"a", b"\xff", b"\xc3\xa9", b"a\x00", b"Z", b"a.b"]
    bundle = Bundle()
    for name in names:
        bundle.add(name, np.float32(0))
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    assert [name.encode("utf-8", "surrogateescape") for name in ckpt] == sorted(names)


def test_what_an_info_says(prefix: str) -> None:
    ckpt = tb.open(prefix)
    info = ckpt.info("flag")
    assert (info.name, info.dtype, info.type_name) == ("flag", np.dtype("?"), "bool")
    assert (info.shape, info.size, info.nbytes) == ((), 1, 1)
    assert (info.shard, info.offset, info.slices) == (1, 0, ())
    assert info.crc32c is not None
    cut = ckpt.info("cut")
    assert (cut.shard, cut.offset, cut.crc32c, cut.nbytes) == (None, None, None, 24)
    assert [(s.start, s.shape, s.shard, s.offset, s.nbytes) for s in cut.slices] == [
        ((0,), (2,), 1, 1, 8),
        ((2,), (4,), 0, ckpt.info("words").offset + ckpt.info("words").nbytes, 16),
    ]
    assert not cut.zero_copy
    assert slice_key(b"cut", [(0, 2)]).decode("utf-8", "surrogateescape") not in ckpt
