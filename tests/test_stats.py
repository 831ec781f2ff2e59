"""Statistics: against NumPy in float64, for every type, however a tensor is stored."""

from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorbundle as tb
from damage import flip
from tensorbundle.cli import main
from tensorbundle.errors import CorruptionError
from writer import Bundle, shard_path
from writer_v1 import V1File

DATA = Path(__file__).parent / "data"
FLOATS: list[Any] = [
    np.float16,
    np.float32,
    np.float64,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e4m3fnuz,
    ml_dtypes.float8_e4m3b11fnuz,
    ml_dtypes.float8_e5m2fnuz,
    ml_dtypes.float4_e2m1fn,
]
INTEGERS: list[Any] = [
    *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    *(ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2),
    np.bool_,
]
COMPLEX: list[Any] = [np.complex64, np.complex128]
ALL = [*FLOATS, *INTEGERS, *COMPLEX]
IDS = [np.dtype(kind).name for kind in ALL]
MANTISSA = 1e-13  # of the mean magnitude: far more than float64 loses here


def patterns(kind: Any, count: int, seed: int = 1) -> np.ndarray[Any, Any]:
    """Elements of any bits, and of such that are seldom by chance."""
    dtype = np.dtype(kind)
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 256, count * dtype.itemsize, np.uint8)
    if dtype.name in ("int4", "uint4", "float4_e2m1fn"):
        return rng.integers(0, 16, count).astype(np.uint8).view(dtype)
    if dtype.name in ("int2", "uint2"):
        return rng.integers(0, 4, count).astype(np.uint8).view(dtype)
    if dtype == np.bool_:
        return rng.integers(0, 2, count).astype(np.bool_)
    values = bits.view(dtype)
    if kind in FLOATS and dtype.name != "float4_e2m1fn":
        special = np.array([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf], np.float32)
        values[: len(special)] = special.astype(dtype)
        if dtype == np.float64:  # squares that a float64 holds
            values[len(special) :] = rng.normal(size=count - len(special)) * 1e100
            values[-3:] = [5e-324, -1e-310, 2.3e-308]
    if kind in COMPLEX:
        values[:] = rng.normal(size=count) + 1j * rng.normal(size=count)
        values[:5] = [0, np.nan, 1j * np.nan, np.inf, 3 + 4j]
    return values


def check(got: tb.TensorStats, array: np.ndarray[Any, Any]) -> None:
    """Holds a row against NumPy."""
    with np.errstate(all="ignore"):  # NaNs that signal
        _check(got, array)


def _check(got: tb.TensorStats, array: np.ndarray[Any, Any]) -> None:
    flat = np.asarray(array).ravel()
    dtype = flat.dtype
    assert (got.elements, got.shape) == (flat.size, array.shape)
    integer = dtype.kind in "iub" or dtype.name in ("int2", "int4", "uint2", "uint4")
    if dtype.kind == "c":
        nan = np.isnan(flat)
        wide = np.abs(flat.astype(np.complex128))
        wide[nan] = np.nan
        tiny = np.finfo(flat.real.dtype).tiny
    else:
        wide = flat.astype(np.float64)
        nan = np.isnan(wide)
        tiny = 0.0 if integer else float(ml_dtypes.finfo(dtype).smallest_normal)
    finite = wide[np.isfinite(wide)]
    assert got.nan == int(nan.sum())
    assert got.pos_inf == int((wide == np.inf).sum())
    assert got.neg_inf == int((wide == -np.inf).sum())
    assert got.zeros == int((wide == 0).sum())
    assert got.subnormals == int(((np.abs(wide) < tiny) & (wide != 0)).sum())
    assert got.finite == finite.size
    if not finite.size:
        assert (got.min, got.max, got.mean, got.std, got.norm) == (None,) * 5
        return
    assert got.min is not None
    assert got.max is not None
    assert got.mean is not None
    assert got.std is not None
    assert got.norm is not None
    if integer:
        assert (got.min, got.max) == (int(flat.min()), int(flat.max()))
        assert type(got.min) is int
    elif dtype.kind == "c":
        assert got.min == pytest.approx(finite.min(), rel=1e-15)
        assert got.max == pytest.approx(finite.max(), rel=1e-15)
    else:
        assert (got.min, got.max) == (finite.min(), finite.max())
    scale = np.abs(finite).mean()
    assert abs(got.mean - math.fsum(finite) / finite.size) <= MANTISSA * scale
    assert got.std == pytest.approx(finite.std(), rel=1e-12, abs=MANTISSA * scale)
    assert got.norm == pytest.approx(float(np.linalg.norm(finite)), rel=1e-12)


@pytest.mark.parametrize("kind", ALL, ids=IDS)
@pytest.mark.parametrize("big", [False, True], ids=["little", "big"])
def test_every_type(kind: Any, big: bool, tmp_path: Path) -> None:
    bundle = Bundle(big_endian=big)
    # Around the sizes of blocks, and of stretches.
    sizes = [0, 1, 6, 7, 1023, 1024, 1025, 4095, 4097, 9000]
    arrays = {f"t{size}": patterns(kind, max(size, 6))[:size] for size in sizes}
    arrays["square"] = patterns(kind, 36).reshape(6, 6)
    for name, array in arrays.items():
        bundle.add(name, array)
    prefix = bundle.write(tmp_path / "b")
    for mmap in (True, False):
        report = tb.open(prefix, mmap=mmap).stats()
        assert list(report) == sorted(arrays)
        for name, array in arrays.items():
            check(report[name], array)


@given(st.binary(min_size=0, max_size=4000), st.sampled_from(FLOATS + INTEGERS[:8]))
def test_any_bits(tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: Any) -> None:
    dtype = np.dtype(kind)
    data = data[: len(data) // dtype.itemsize * dtype.itemsize]
    array = np.frombuffer(data, dtype)
    if dtype.name == "float4_e2m1fn":
        array = (array.view(np.uint8) & 15).view(dtype)
    with np.errstate(all="ignore"):
        wide = array.astype(np.float64)
        finite = wide[np.isfinite(wide)]
        if finite.size and not np.isfinite(np.square(finite).sum()):
            return  # squares beyond float64: see below
    bundle = Bundle()
    bundle.add("t", array)
    prefix = bundle.write(tmp_path_factory.mktemp("any") / "b")
    check(tb.open(prefix).stats()["t"], array)


def test_squares_beyond_float64(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("t", np.array([1e300, -1e300, 1.7e308, 1.7e308]))
    row = tb.open(bundle.write(tmp_path / "b")).stats()["t"]
    assert (row.min, row.max, row.finite) == (-1e300, 1.7e308, 4)
    assert row.mean == pytest.approx(0.85e308)
    assert row.std == math.inf


def stored(tmp_path: Path) -> dict[str, str]:
    """One tensor of several mebibytes, stored in every way."""
    array = np.random.default_rng(5).normal(size=(2100, 700)).astype("<f4")
    array[17, 3] = np.nan
    array[2000, 600:] = 0
    paths = {}
    whole = Bundle()
    whole.add("w", array)
    paths["whole"] = whole.write(tmp_path / "whole")
    rows = Bundle(shards=2)
    slices: list[Any] = [[(0, 700), None], [(700, 1400), None]]
    rows.add_sliced("w", array, slices, shards=[0, 1])
    paths["rows"] = rows.write(tmp_path / "rows")
    columns = Bundle()
    slices = [[None, (0, 300)], [None, (300, 400)]]
    columns.add_sliced("w", array, slices, shards=[0, 0])
    paths["columns"] = columns.write(tmp_path / "columns")
    big = Bundle(big_endian=True)
    big.add("w", array)
    paths["big"] = big.write(tmp_path / "big")
    old = V1File()
    old.add("w", array)
    paths["v1"] = old.write(tmp_path / "v1")
    return paths


def test_however_it_is_stored(tmp_path: Path) -> None:
    paths = stored(tmp_path)
    rows = {how: tb.open(path).stats(histogram=10)["w"] for how, path in paths.items()}
    array = tb.open(paths["whole"])["w"]
    check(rows["whole"], array)
    for how in ("rows", "columns", "big", "v1"):
        assert rows[how] == rows["whole"], how
    finite = array[np.isfinite(array)].astype(np.float64)
    counts, edges = np.histogram(finite, 10)
    assert rows["whole"].counts == counts.tolist()
    assert rows["whole"].edges == pytest.approx(edges.tolist(), rel=1e-15)


def test_it_does_not_depend_on_the_cores(tmp_path: Path) -> None:
    path = stored(tmp_path)["whole"]
    code = (
        "import os, sys, pickle, tensorbundle as tb\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "sys.stdout.buffer.write(pickle.dumps(tb.open(sys.argv[1]).stats(histogram=7)['w']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    assert pickle.loads(done.stdout) == tb.open(path).stats(histogram=7)["w"]


@pytest.mark.parametrize("bins", [1, 2, 10, 64])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, ml_dtypes.bfloat16])
def test_histograms_count_as_numpy_does(kind: Any, bins: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(bins)
    array = (rng.normal(size=3000) * 100).astype(kind)
    grid = np.linspace(-1, 1, 41).astype(kind)  # values on the edges themselves
    bundle = Bundle()
    for name, values in {"any": array, "grid": grid, "same": array[:1].repeat(5)}.items():
        bundle.add(name, values)
    report = tb.open(bundle.write(tmp_path / "b")).stats(histogram=bins)
    for name, values in {"any": array, "grid": grid, "same": array[:1].repeat(5)}.items():
        counts, edges = np.histogram(values.astype(np.float64), bins)
        assert report[name].counts == counts.tolist(), name
        assert report[name].edges == pytest.approx(edges.tolist(), rel=1e-14, abs=1e-300)


def test_histograms_of_the_widest_and_the_narrowest(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("wide", np.array([-1.7e308, -1.0, 0.0, 1.0, 1.7e308]))
    bundle.add("narrow", np.array([0.0, 5e-324, 1e-323, 1.5e-323, 2e-323]))
    report = tb.open(bundle.write(tmp_path / "b")).stats(histogram=4)
    assert report["wide"].counts == [1, 1, 2, 1]
    assert report["narrow"].counts == [1, 1, 1, 2]


def test_some_by_name_and_what_is_no_number(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("a/w", np.zeros(3, np.float32))
    bundle.add("b/w", np.ones(3, np.float32))
    bundle.add("words", [b"x"])
    ckpt = tb.open(bundle.write(tmp_path / "b"))
    assert list(ckpt.stats("a/*")) == ["a/w"]
    assert list(ckpt.stats(["a/*", "b/*"])) == ["a/w", "b/w"]
    assert list(ckpt.stats(lambda name: name.startswith("b"))) == ["b/w"]
    assert ckpt.stats().skipped == ("words",)
    assert "words" not in ckpt.stats()
    with pytest.raises(ValueError, match="below 0"):
        ckpt.stats(histogram=-1)
    with pytest.raises(ValueError, match="at most 65536"):
        ckpt.stats(histogram=65537)


def test_what_looks_wrong_comes_first(tmp_path: Path) -> None:
    ones = np.ones(100, np.float32)
    tensors = {
        "fine": np.linspace(-1, 1, 100, dtype=np.float32),
        "constant": ones,
        "zero": ones * 0,
        "huge": np.linspace(0, 1e6, 100, dtype=np.float32),
        "inf": np.where(np.arange(100) == 7, np.inf, ones).astype(np.float32),
        "nan": np.where(np.arange(100) < 9, np.nan, ones).astype(np.float32),
        "subnormal": (np.linspace(0.1, 1, 100) * 1e-39).astype(np.float32),
        "step": np.array(10**9),
    }
    bundle = Bundle()
    for name, array in tensors.items():
        bundle.add(name, array)
    report = tb.open(bundle.write(tmp_path / "b")).stats()
    assert [row.name for row in report.worst()] == [
        *("nan", "inf", "huge", "subnormal", "constant", "zero"),
        *("fine", "step"),
    ]
    assert report["zero"].suspicions == ("all zero",)
    assert report["nan"].suspicions == ("nan", "constant")
    assert report.bad == ("inf", "nan")
    assert (report["inf"].inf, report["inf"].pos_inf) == (1, 1)


def test_a_report_as_columns_dicts_and_pickles(tmp_path: Path) -> None:
    path = stored(tmp_path)["whole"]
    report = tb.open(path).stats(histogram=3)
    again = pickle.loads(pickle.dumps(report))
    assert dict(again) == dict(report)
    (row,) = pa.table(report).to_pylist()
    assert row["nan"] == 1
    assert row["counts"] == report["w"].counts
    assert row["mean"] == report["w"].mean
    as_dict = report.to_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict
    assert "1 with NaN" in repr(report)
    assert "nan" in repr(report["w"])


# Trouble.


def test_damaged_tensors(tmp_path: Path) -> None:
    bundle = Bundle(shards=2)
    bundle.add("good", np.ones(5, np.float32))
    bundle.add("bad", np.ones(500, np.float32), shard=1)
    prefix = bundle.write(tmp_path / "b")
    flip(Path(shard_path(prefix, 1, 2)), 40)
    assert len(tb.open(prefix).stats()) == 2, "checksums are looked at if asked"
    with pytest.raises(CorruptionError, match=r"bad.*checksum") as caught:
        tb.open(prefix, verify=True).stats()
    assert caught.value.tensor == "bad"
    assert list(tb.open(prefix, on_error="skip").stats()) == ["good"]
    os.truncate(shard_path(prefix, 1, 2), 100)
    for mmap in (True, False):
        with pytest.raises(CorruptionError, match="bad"):
            tb.open(prefix, mmap=mmap).stats()
    Path(shard_path(prefix, 1, 2)).unlink()
    with pytest.raises(FileNotFoundError):
        tb.open(prefix).stats()
    assert list(tb.open(prefix).stats("good")) == ["good"]


@pytest.mark.parametrize("mmap", [True, False])
def test_a_file_that_is_cut_short_meanwhile(mmap: bool, tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("w", np.ones(8 << 20, np.float32))
    prefix = bundle.write(tmp_path / "b")
    ckpt = tb.open(prefix, mmap=mmap)
    ckpt.stats()
    os.truncate(shard_path(prefix, 0, 1), 1 << 20)
    with pytest.raises((CorruptionError, OSError), match="data-00000"):
        ckpt.stats()


def test_tensors_that_share_their_bytes_again_and_again(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("t00", np.zeros(1 << 20, np.uint8))
    for i in range(1, 40):
        bundle.add(f"t{i:02}", np.zeros(1 << 20, np.uint8), offset=0)
    prefix = bundle.write(tmp_path / "b")
    os.truncate(shard_path(prefix, 0, 1), 1 << 20)
    with pytest.raises(tb.UnsupportedError, match="share their bytes"):
        tb.open(prefix).stats()
    assert len(tb.open(prefix).stats("t0*")) == 10


def test_progress_is_told_and_stops_it(tmp_path: Path) -> None:
    path = stored(tmp_path)["whole"]
    told: list[tuple[int, int]] = []
    tb.open(path).stats(histogram=4, progress=lambda *now: told.append(now))
    size = 2 * 2100 * 700 * 4
    assert told[-1] == (size, size)
    assert told == sorted(told)

    def stop(*_: int) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        tb.open(path).stats(progress=stop)


def test_memory_is_bounded(tmp_path: Path) -> None:
    prefix = tmp_path / "b"
    bundle = Bundle()
    bundle.add("w", np.ones(64 << 20, np.float32))
    path = bundle.write(prefix)
    code = (
        "import sys, tensorbundle as tb\n"
        "def anonymous():\n"
        "    lines = open('/proc/self/smaps_rollup').read().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('Anonymous'))\n"
        "for mmap in (True, False):\n"
        "    ckpt = tb.open(sys.argv[1], mmap=mmap)\n"
        "    ckpt.stats('nothing')\n"
        "    before = anonymous()\n"
        "    most = [before]\n"
        "    ckpt.stats(progress=lambda *_: most.append(anonymous()))\n"
        "    print(max(most) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert all(int(line) < 64 << 10 for line in done.stdout.split()), "KiB, of 256 MiB"


# The command line.


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = stored(tmp_path)["rows"]
    code, out, err = run(capsys, "stats", path)
    assert (code, err) == (1, "")
    header, row, summary = out.splitlines()
    assert header.split() == [
        *("name", "dtype", "elements", "nan", "zeros"),
        *("min", "max", "mean", "std", "norm", "histogram", "looks"),
    ]
    assert row.split()[:5] == ["w", "float32", "1,470,000", "1", "100"]
    assert row.endswith("nan")
    assert "█" in row
    assert summary == f"{path}: 1 tensor; 1 with NaN or Inf"
    code, out, _ = run(capsys, "stats", "--json", "--bins", "4", path)
    (tensor,) = json.loads(out)["tensors"]
    assert tensor["nan"] == 1
    assert sum(tensor["counts"]) == 2100 * 700 - 1
    code, out, _ = run(capsys, "stats", "--bins", "0", "-n", "dense_2/*", DATA / "mnist_mlp")
    assert code == 0
    assert "histogram" not in out
    assert out.splitlines()[-1].endswith("6 tensors; no NaN, no Inf")


def test_orders_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    def names(*options: str) -> list[str]:
        _, out, _ = run(capsys, "stats", "--json", *options, DATA / "mnist_mlp")
        return [row["name"] for row in json.loads(out)["tensors"]]

    by_norm = tb.open(DATA / "mnist_mlp").stats()
    assert names("--sort", "name") == list(by_norm)
    assert names("--sort", "norm")[0] == max(by_norm.values(), key=lambda row: row.norm or 0).name
    assert names("--sort", "elements")[0].startswith("dense_1/kernel")


def test_errors_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "stats", tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert "nowhere" in err
    code, _, err = run(capsys, "stats", "--bins", "-1", DATA / "mnist_mlp")
    assert code == 2
    assert "below 0" in err


def test_ctrl_c(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("w", np.zeros(1, np.float32))
    prefix = bundle.write(tmp_path / "b")
    code = (
        "import os, signal, sys\n"
        "from tensorbundle import Checkpoint, cli\n"
        "real = Checkpoint.stats\n"
        "def stats(self, *args, progress, **kwargs):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(self, *args, progress=progress, **kwargs)\n"
        "Checkpoint.stats = stats\n"
        "sys.exit(cli.run())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "stats", prefix], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "tensorbundle: stopped\n"
