"""``tensorbundle.diff``: figures against NumPy, what equals what, however it is stored."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorbundle as tb
from encoding import varint_field
from tensorbundle.errors import CorruptionError, UnsupportedError
from writer import DTYPES, STRING, VARIANT, Bundle, shard_path
from writer_v1 import V1File, write_shards

RNG = np.random.default_rng(7)
W = RNG.standard_normal((30, 20)).astype(np.float32)
FIXED = [number for number in DTYPES if number not in (STRING, VARIANT)]
COMPLEX = (8, 18)


def bundle(path: Path, tensors: dict[str, Any], **options: Any) -> str:
    made = Bundle(**options)
    for name, value in tensors.items():
        made.add(name, value)
    return made.write(path)


def patterns(number: int, count: int, seed: int) -> np.ndarray[Any, Any]:
    """Random bits; for types whose upper bits mean nothing, only bits that do."""
    dtype = DTYPES[number]
    raw = np.random.default_rng(seed).integers(0, 256, count * dtype.itemsize, np.uint8)
    if number in (10, 29, 30, 31, 32, 33):
        raw &= {10: 1, 31: 3, 32: 3}.get(number, 15)
    return raw.view(dtype)


def bits(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(array).view(np.uint8).reshape(array.size, array.itemsize)


def parts(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An element's parts, of which a complex number has two."""
    array = array.reshape(-1)
    kind = {"complex64": "f4", "complex128": "f8"}.get(array.dtype.name)
    return array.view(kind).reshape(-1, 2) if kind else array.reshape(-1, 1)


def expected(
    a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], rtol: float, atol: float
) -> dict[str, Any]:
    """The same figures by NumPy."""
    a, b = a.reshape(-1), b.reshape(-1)
    same = np.ones(a.size, bool)
    one, other = parts(a), parts(b)
    for part in range(one.shape[1]):
        x, y = np.ascontiguousarray(one[:, part]), np.ascontiguousarray(other[:, part])
        with np.errstate(invalid="ignore"):  # signaling NaNs
            nan = np.isnan(x.astype(np.float64)) & np.isnan(y.astype(np.float64))
        same &= (bits(x) == bits(y)).all(axis=1) | nan
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    with np.errstate(all="ignore"):
        x, y = a.astype(wide), b.astype(wide)
        finite = np.isfinite(x) & np.isfinite(y)
        close = np.isclose(x, y, rtol=rtol, atol=atol, equal_nan=True)
        if a.dtype.kind in "iu" and a.dtype.itemsize == 8:
            pairs = zip(a.tolist(), b.tolist(), strict=True)
            apart = np.array([float(abs(i - j)) for i, j in pairs])
            close = apart <= atol + rtol * np.abs(y)
        else:
            apart = np.abs(x - y)
        fx, fy, apart = x[finite], y[finite], apart[finite]
        nonzero = fy != 0
        squares = float((np.abs(fx) ** 2).sum()), float((np.abs(fy) ** 2).sum())
        dot = float((fx * fy.conj()).real.sum())
        relative = (apart / np.abs(fy))[nonzero]
        mean = float(apart.sum()) / apart.size if apart.size else None
    return {
        "elements": a.size,
        "changed": int((~same).sum()),
        "beyond": int((~close).sum()),
        "finite": int(finite.sum()),
        "strange": int((~same & ~finite).sum()),
        "max_abs": float(apart.max()) if apart.size else None,
        "mean_abs": mean,
        "max_rel": float(relative.max()) if relative.size else None,
        "squares": squares,
        "dot": dot,
    }


def check(row: tb.TensorDiff, want: dict[str, Any], *, cosine: bool = True) -> None:
    for key in ("elements", "changed", "beyond", "finite", "strange"):
        assert getattr(row, key) == want[key], key
    for key, bound in (("max_abs", 4e-16), ("mean_abs", 1e-12), ("max_rel", 4e-16)):
        value = want[key]
        if value is not None:
            value = pytest.approx(value, rel=bound, abs=0)
        assert getattr(row, key) == value, key
    first, second = want["squares"]
    if cosine and all(1e-300 < square < 1e300 for square in (first, second)):
        length = math.sqrt(first) * math.sqrt(second)
        assert row.cosine == pytest.approx(want["dot"] / length, abs=1e-11)


def only(report: tb.DiffReport) -> tb.TensorDiff:
    (row,) = report
    return row


@pytest.mark.parametrize("number", FIXED)
def test_every_type_against_numpy(number: int, tmp_path: Path) -> None:
    a, b = patterns(number, 3000, number), patterns(number, 3000, number + 100)
    b[::3] = a[::3]
    for shape, big in (((3000,), False), ((50, 60), True)):
        paths = []
        for name, value in (("a", a), ("b", b)):
            made = Bundle(big_endian=big)
            made.add("w", value.reshape(shape), dtype=number)
            paths.append(made.write(tmp_path / f"{name}{big}"))
        row = only(tb.diff(*paths))
        assert row.kind == "changed"
        check(row, expected(a, b, 0, 0))
        row = only(tb.diff(*paths, rtol=0.5, atol=1.5))
        check(row, expected(a, b, 0.5, 1.5))


@settings(max_examples=60, deadline=None)
@given(
    number=st.sampled_from([1, 2, 9, 14, 18, 19, 23, 25]),
    pool=st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=6),
    picks=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=40),
    rtol=st.sampled_from([0.0, 1e-5, 1.0]),
    atol=st.sampled_from([0.0, 1e-8, 3.0]),
)
def test_any_bits(
    number: int,
    pool: list[bytes],
    picks: list[tuple[int, int]],
    rtol: float,
    atol: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    dtype = DTYPES[number]
    zeros, nans = bytes(16), b"\xff" * 16
    pool = [*pool, zeros, nans, zeros[:-1] + b"\x80", b"\0\0\x80\x7f" * 4, bytes(7) + b"\x80" * 9]
    sides = [
        np.frombuffer(b"".join(pool[p[i]][: dtype.itemsize] for p in picks), dtype) for i in (0, 1)
    ]
    folder = tmp_path_factory.mktemp("bits")
    paths = []
    for name, value in zip("ab", sides, strict=True):
        made = Bundle()
        made.add("w", value, dtype=number)
        paths.append(made.write(folder / name))
    row = only(tb.diff(*paths, rtol=rtol, atol=atol))
    want = expected(*sides, rtol, atol)
    if not want["changed"]:
        assert row.kind == "equal"
        return
    assert row.kind == ("close" if want["beyond"] == 0 and (rtol or atol) else "changed")
    check(row, want)


def test_what_equals_what(tmp_path: Path) -> None:
    nan = np.array([0x7FC00001, 0xFFC00000], np.uint32).view(np.float32)
    a = bundle(tmp_path / "a", {"nan": nan, "zero": np.zeros(2, np.float32)})
    b = bundle(tmp_path / "b", {"nan": nan[::-1].copy(), "zero": -np.zeros(2, np.float32)})
    report = tb.diff(a, b)
    assert (report.names("equal"), report.names("changed")) == (["nan"], ["zero"])
    zero = report.changed[0]
    assert (zero.changed, zero.beyond, zero.max_abs, zero.cosine) == (2, 0, 0.0, None)
    assert tb.diff(a, b, atol=1e-300).names("close") == ["zero"]
    # Checksums are over bits.
    assert tb.diff(a, b, fast=True).names("changed") == ["nan", "zero"]


def test_kinds(tmp_path: Path) -> None:
    same = {"equal": W, "s": [b"x", b"yy"]}
    left = {"gone": W, "shape": W, "type": W, "w": W}
    a = bundle(tmp_path / "a", {**same, **left})
    right = {"new": W, "shape": W.T, "type": W.astype(np.float64), "w": W + 1}
    b = bundle(tmp_path / "b", {**same, **right})
    for fast in (False, True):
        report = tb.diff(a, b, fast=fast)
        kinds = {row.name: row.kind for row in report}
        assert kinds == {
            "equal": "equal",
            "gone": "removed",
            "new": "added",
            "s": "equal",
            "shape": "reshaped",
            "type": "retyped",
            "w": "changed",
        }
        assert list(kinds) == sorted(kinds)
        assert bool(report)
        assert len(report) == sum(report.counts.values()) == 7
        for kind in ("added", "removed", "retyped", "reshaped", "changed", "equal", "unknown"):
            assert [row.name for row in getattr(report, kind)] == report.names(kind)
        (retyped,) = report.retyped
        assert (retyped.dtype_a, retyped.dtype_b) == ("float32", "float64")
        (reshaped,) = report.reshaped
        assert (reshaped.shape_a, reshaped.shape_b) == ((30, 20), (20, 30))
        (added,) = report.added
        assert (added.name_a, added.shape_a, added.name_b, added.shape_b) == (
            None, None, "new", (30, 20),
        )  # fmt: skip
        assert (report.bytes == 0) == fast
        assert report.to_dict()["different"] is True
        assert "by checksums alone" in repr(report) if fast else "1 changed" in repr(report)
    row = report.added[0]
    assert pickle.loads(pickle.dumps(row)) == row
    with pytest.raises(ValueError, match="no kind 'odd'"):
        report.names("odd")


def test_nothing_differs(tmp_path: Path) -> None:
    a = bundle(tmp_path / "a", {"w": W})
    for one, other in ((a, a), (tb.open(a), a), (a, tb.open(a)), (tmp_path, a)):
        for fast in (False, True):
            report = tb.diff(one, other, fast=fast)
            assert not report
            assert report.names("equal") == ["w"]
    assert tb.diff(a, a).bytes == 2 * W.nbytes


ROWS = [[(0, 10), None], [(10, 20), None]]
COLUMNS = [[None, (0, 7)], [None, (7, 6)], [None, (13, 7)]]


def sliced(path: Path, value: Any, slices: Any, **options: Any) -> str:
    made = Bundle(shards=2, **options)
    made.add_sliced("w", value, slices, shards=[i % 2 for i in range(len(slices))])
    return made.write(path)


def stored(folder: Path, value: np.ndarray[Any, Any]) -> Iterable[str]:
    """The same tensor in many ways."""
    yield bundle(folder / "whole", {"w": value})
    yield bundle(folder / "big", {"w": value}, big_endian=True)
    yield sliced(folder / "rows", value, ROWS)
    yield sliced(folder / "columns", value, COLUMNS)
    yield sliced(folder / "big_columns", value, COLUMNS, big_endian=True)
    file = V1File()
    file.add("w", value)
    yield file.write(folder / "v1")
    files = [V1File(), V1File()]
    for file, extents in zip(files, ROWS, strict=True):
        file.add_sliced("w", value, [extents])
    yield write_shards(folder / "v1s", files)


@pytest.mark.parametrize("mmap", [True, False])
def test_however_it_is_stored(mmap: bool, tmp_path: Path) -> None:
    other = W.copy()
    other[3, 5], other[29, 19] = np.nan, 7
    want = expected(W, other, 0, 0)
    for a in stored(tmp_path / "a", W):
        for same in stored(tmp_path / "a", W):
            assert tb.diff(a, same, mmap=mmap).names("equal") == ["w"], (a, same)
        for b in stored(tmp_path / "b", other):
            row = only(tb.diff(a, b, mmap=mmap))
            assert row.kind == "changed"
            check(row, want)


def test_large_tensors_are_cut(tmp_path: Path) -> None:
    value = RNG.standard_normal((3, 700, 401)).astype(np.float32)
    other = value.copy()
    other[2, 600:, :] *= 2
    other[0, 0, 0] = 5
    halves = [[None, (0, 350), None], [None, (350, 350), None]]
    a, b = sliced(tmp_path / "a", value, halves), bundle(tmp_path / "b", {"w": other})
    told: list[tuple[int, int]] = []
    report = tb.diff(a, b, progress=lambda done, total: told.append((done, total)))
    check(only(report), expected(value, other, 0, 0))
    assert report.bytes == 2 * value.nbytes
    assert told[-1][0] == told[-1][1] >= report.bytes


def test_geometry_by_checksums(tmp_path: Path) -> None:
    rows, again = sliced(tmp_path / "r", W, ROWS), sliced(tmp_path / "r2", W, ROWS[::-1])
    changed = sliced(tmp_path / "r3", W + 1, ROWS)
    columns, whole = sliced(tmp_path / "c", W, COLUMNS), bundle(tmp_path / "w", {"w": W})
    one = sliced(tmp_path / "one", W, [[(0, 30), None]])
    file = V1File()
    file.add("w", W)
    v1 = file.write(tmp_path / "v1")
    big = bundle(tmp_path / "big", {"w": W}, big_endian=True)

    def fast(a: str, b: str) -> tuple[str, str | None]:
        row = only(tb.diff(a, b, fast=True))
        return row.kind, row.reason

    assert fast(rows, again) == ("equal", None)
    assert fast(rows, changed) == ("changed", None)
    assert fast(one, whole) == ("equal", None)
    assert fast(rows, columns) == ("unknown", "cut into other slices")
    assert fast(rows, whole) == ("unknown", "cut into other slices")
    assert fast(v1, whole) == ("unknown", "V1 has no checksums of tensors")
    assert fast(v1, v1) == ("unknown", "V1 has no checksums of tensors")
    assert fast(big, whole) == ("unknown", "stored in the other byte order")
    assert fast(big, big) == ("equal", None)
    assert bool(tb.diff(v1, v1, fast=True))


def test_bytes_have_no_order(tmp_path: Path) -> None:
    tensors = {"u": np.arange(9, dtype=np.uint8), "e": np.zeros((0, 3), np.float32)}
    a, b = (bundle(tmp_path / f"{big}", tensors, big_endian=big) for big in (False, True))
    assert tb.diff(a, b, fast=True).names("equal") == ["e", "u"]
    assert not tb.diff(a, b)


def test_strings(tmp_path: Path) -> None:
    left = {"a": [b"x", b"", b"zz"], "b": [b"one"], "c": [b"\0" * 300], "e": []}
    right = {**left, "a": [b"x", b"y", b"z"]}
    sides = []
    for name, tensors, big in (("a", left, False), ("b", right, False), ("c", left, True)):
        made = Bundle(big_endian=big)
        for key, value in tensors.items():
            made.add(key, np.array(value, object), dtype=STRING)
        sides.append(made.write(tmp_path / name))
    a, b, big = sides
    for fast in (False, True):
        report = tb.diff(a, b, fast=fast)
        assert (report.names("changed"), report.names("equal")) == (["a"], ["b", "c", "e"])
    row = tb.diff(a, b).changed[0]
    assert (row.elements, row.changed, row.beyond, row.finite) == (3, 2, 2, 0)
    assert (row.max_abs, row.mean_abs, row.max_rel, row.cosine) == (None, None, None, None)
    assert not tb.diff(a, big)
    assert tb.diff(a, big, fast=True).counts["unknown"] == 3
    file = V1File()
    for key, value in left.items():
        file.add(key, np.array(value, object), dtype=STRING)
    assert not tb.diff(file.write(tmp_path / "v1"), a)


def test_variants_and_what_cannot_be_read(tmp_path: Path) -> None:
    paths = []
    for name, number in (("a", 1), ("b", 2)):
        made = Bundle()
        protos = np.array([varint_field(9, 5), varint_field(9, number)], object)
        made.add("v", protos, dtype=VARIANT)
        made.add("r", np.zeros(3, np.uint8), dtype=20)
        paths.append(made.write(tmp_path / name))
    report = tb.diff(*paths)
    assert (report.names("changed"), report.names("unknown")) == (["v"], ["r"])
    assert (report.changed[0].changed, report.changed[0].elements) == (1, 2)
    assert report.unknown[0].reason == "values of its type cannot be read"
    assert tb.diff(*paths, fast=True).names("equal") == ["r"]


def test_the_largest_change_comes_first(tmp_path: Path) -> None:
    nan = np.array([1, np.nan], np.float32)
    left = {"a": W, "b": W, "c": nan, "d": [b"x"], "e": np.arange(3)}
    right = {"a": W + 1, "b": W + 9, "c": nan[::-1].copy(), "d": [b"y"], "e": np.arange(3) + 5}
    report = tb.diff(bundle(tmp_path / "a", left), bundle(tmp_path / "b", right))
    assert [row.name for row in report.changed] == ["c", "b", "e", "a", "d"]
    assert report.changed[0].strange == 2
    assert [row.name for row in report.changed[1:3]] == ["b", "e"]


def test_renaming(tmp_path: Path) -> None:
    a = bundle(tmp_path / "a", {"old/x": W, "old/y": W + 1, "z": W})
    b = bundle(tmp_path / "b", {"m/v_x": W, "m/v_y": W + 2, "z": W})
    pairs = [("^old/(.*)", r"new/v_\1"), ("^new", "m")]
    for rename in (pairs, dict(pairs), lambda name: name.replace("old/", "m/v_")):
        report = tb.diff(a, b, rename=rename)
        assert {row.name_a: (row.name_b, row.kind) for row in report} == {
            "old/x": ("m/v_x", "equal"),
            "old/y": ("m/v_y", "changed"),
            "z": ("z", "equal"),
        }
    assert tb.diff(a, b, rename=pairs, names="m/*").names("changed") == ["m/v_y"]
    assert len(tb.diff(a, b, rename=pairs, names=["z", "m/v_x"])) == 2
    assert tb.diff(a, b, rename={}).counts["removed"] == 2
    with pytest.raises(ValueError, match=r"rename: 'old/x' and 'old/y' .* both become 'q'"):
        tb.diff(a, b, rename={"old/.": "q"})
    with pytest.raises(ValueError, match=r"rename '\(': not a regular expression"):
        tb.diff(a, b, rename={"(": "q"})
    with pytest.raises(ValueError, match=r"rename 'old' to .*invalid group reference"):
        tb.diff(a, b, rename={"old": r"\7"})
    with pytest.raises(TypeError):
        tb.diff(a, b, rename=lambda _name: 7)  # type: ignore[arg-type,return-value] # pyright: ignore[reportArgumentType]


def test_a_new_name_changes_the_order(tmp_path: Path) -> None:
    a = bundle(tmp_path / "a", {f"{i:03d}": np.int32(i) for i in range(300)})
    b = bundle(tmp_path / "b", {f"{999 - i:03d}": np.int32(i) for i in range(300)})
    assert not tb.diff(a, b, rename=lambda name: f"{999 - int(name):03d}")


def test_fast_never_touches_the_shards(tmp_path: Path) -> None:
    a = bundle(tmp_path / "a", {"s": [b"x"], "w": W})
    b = bundle(tmp_path / "b", {"s": [b"x"], "w": W + 1})
    for path in (a, b):
        Path(shard_path(path, 0, 1)).unlink()
    report = tb.diff(a, b, fast=True)
    assert (report.names("equal"), report.names("changed")) == (["s"], ["w"])
    with pytest.raises(FileNotFoundError) as caught:
        tb.diff(a, b)
    assert caught.value.filename in (shard_path(a, 0, 1), shard_path(b, 0, 1))


@pytest.mark.parametrize("hurt", ["a", "b"])
@pytest.mark.parametrize("mmap", [True, False])
def test_damage_on_one_side_is_named(hurt: str, mmap: bool, tmp_path: Path) -> None:
    paths = {name: bundle(tmp_path / name, {"v": W, "w": W}) for name in "ab"}
    shard = Path(shard_path(paths[hurt], 0, 1))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-4])
    with pytest.raises(CorruptionError, match='tensor "w"') as caught:
        tb.diff(paths["a"], paths["b"], mmap=mmap)
    assert caught.value.path == str(shard)
    # A checksum is held only where that was asked for; but the values differ.
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 64]))
    assert tb.diff(paths["a"], paths["b"], mmap=mmap).names("changed") == ["w"]
    opened = {name: tb.open(path, verify=True, mmap=mmap) for name, path in paths.items()}
    with pytest.raises(CorruptionError, match="checksum does not match") as caught:
        tb.diff(opened["a"], opened["b"])
    assert (caught.value.path, caught.value.tensor) == (str(shard), "w")
    index = Path(paths[hurt] + ".index")
    index.write_bytes(index.read_bytes()[:-9])
    with pytest.raises(CorruptionError) as caught:
        tb.diff(paths["a"], paths["b"], fast=True)
    assert caught.value.path == str(index)


def test_checksums_of_slices_are_held(tmp_path: Path) -> None:
    a, b = sliced(tmp_path / "a", W, ROWS), bundle(tmp_path / "b", {"w": W})
    shard = Path(shard_path(a, 1, 2))
    raw = bytearray(shard.read_bytes())
    raw[5] ^= 1
    shard.write_bytes(raw)
    with pytest.raises(CorruptionError, match="checksum does not match") as caught:
        tb.diff(tb.open(a, verify=True), b)
    assert caught.value.path == str(shard)


def test_slices_that_do_not_fit(tmp_path: Path) -> None:
    made = Bundle()
    made.declare("w", 1, (30, 20), ROWS)
    a, b = made.write(tmp_path / "a"), sliced(tmp_path / "b", W, ROWS)
    assert only(tb.diff(a, b, fast=True)).reason == "its slices do not fit it"
    with pytest.raises(CorruptionError, match="has no entry in the index"):
        tb.diff(a, b)


def test_bytes_that_are_shared_without_end(tmp_path: Path) -> None:
    """A small index that asks for the same bytes again and again."""
    made = Bundle()
    made.add("t000", W)
    for i in range(1, 300):
        made.items[b"t%03d" % i] = made.items[b"t000"]
    a = made.write(tmp_path / "a")
    with pytest.raises(UnsupportedError, match="share their bytes: 720000 are wanted of 2400"):
        tb.diff(a, a)
    assert len(tb.diff(a, a, names="t00*").equal) == 10
    sixteen = [f"t{i:03d}" for i in range(16)]
    assert not tb.diff(a, a, names=sixteen)
    with pytest.raises(UnsupportedError, match="40800 are wanted of 2400"):
        tb.diff(a, a, names=[*sixteen, "t016"])
    assert len(tb.diff(a, a, fast=True).equal) == 300


def test_what_was_salvaged(tmp_path: Path) -> None:
    tensors = {"v": W, "w": W, "x": W}
    paths = [bundle(tmp_path / name, tensors) for name in "ab"]
    shard = Path(shard_path(paths[0], 0, 1))
    shard.write_bytes(shard.read_bytes()[:-4])
    saved = tb.open(paths[0], on_error="skip")
    for pair in ((saved, paths[1]), (paths[1], saved)):
        report = tb.diff(*pair)
        assert (report.names("equal"), report.names("unknown")) == (["v", "w"], ["x"])
        assert report.unknown[0].reason == "lost on the other side, which is damaged"
        assert report
    renamed = tb.diff(paths[1], saved, rename={"x": "y"})
    assert renamed.names("removed") == ["x"]


def test_it_can_be_stopped(tmp_path: Path) -> None:
    a = bundle(tmp_path / "a", {"w": np.zeros((2000, 1000), np.float32)})

    def enough(_done: int, _total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        tb.diff(a, a, progress=enough)


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_a_tolerance_is_a_number(wrong: float, tmp_path: Path) -> None:
    a = bundle(tmp_path / "a", {"w": W})
    for options in ({"rtol": wrong}, {"atol": wrong}):
        with pytest.raises(ValueError, match="finite and not negative"):
            tb.diff(a, a, **options)


def test_checkpoints_of_tensorflow(data_dir: Path) -> None:
    """A SavedModel, objects and every type: the same as themselves, by values and checksums."""
    for name in ("saved_model", "mnist_mlp", "partitioned", "every_dtype"):
        path = data_dir / name
        report = tb.diff(path, tb.open(path))
        assert not report.changed
        assert not report.added
        assert len(report) == len(tb.open(path))
        again = tb.diff(path, path, fast=True)
        assert again.counts["equal"] == len(again)


def test_names_that_are_not_text(tmp_path: Path) -> None:
    made = Bundle()
    made.add(b"\xff/w", W)
    a = made.write(tmp_path / "a")
    report = tb.diff(a, a, rename={"w$": "w"}, names="*w")
    assert report.names("equal") == ["\udcff/w"]
    with pytest.raises(ValueError, match="is no name of a tensor"):
        tb.diff(a, a, rename=lambda _name: "\ud800")


def test_bfloat16_is_read_in_any_order(tmp_path: Path) -> None:
    value = W.astype(ml_dtypes.bfloat16)
    a = bundle(tmp_path / "a", {"w": value})
    b = bundle(tmp_path / "b", {"w": -value}, big_endian=True)
    row = only(tb.diff(a, b))
    assert row.cosine == pytest.approx(-1, abs=1e-11)
    assert row.max_abs == 2 * float(np.abs(value.astype(np.float64)).max())
