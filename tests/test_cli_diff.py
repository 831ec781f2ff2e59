"""``tensorbundle diff``: what it prints, and how it ends."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from command import cli, process
from writer import Bundle, shard_path

W = np.arange(24, dtype="<f4").reshape(4, 6)


def write(path: Path, **tensors: object) -> str:
    bundle = Bundle()
    for name, value in tensors.items():
        bundle.add(name, value)
    return bundle.write(path)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    left = {"bias": W[0], "kernel": W, "old": W, "shape": W, "step": np.int64(7), "type": W}
    other = W.copy()
    other[1, 2] += 0.5
    other[3, 5] = np.nan
    right = {
        "bias": W[0] + 3,
        "kernel": other,
        "new": W,
        "shape": W.T,
        "step": np.int64(7),
        "type": W.astype(np.float64),
    }
    return write(tmp_path / "a", **left), write(tmp_path / "b", **right)


def test_what_differs(pair: tuple[str, str]) -> None:
    result = cli("diff", *pair)
    assert (result.code, result.err) == (1, "")
    cells = [re.split(r"  +", line) for line in result.lines]
    kernel, bias = W.ravel()[:-1].astype(float), W[0].astype(float)
    other = kernel.copy()
    other[8] += 0.5
    first, second = (
        f"{a @ b / np.sqrt((a @ a) * (b @ b)):.9f}" for a, b in ((kernel, other), (bias, bias + 3))
    )
    assert cells[:3] == [
        ["changed", "dtype", "shape", "changed", "max |a-b|", "mean |a-b|", "max rel", "cosine",
         "NaN, inf"],
        ["kernel", "float32", "[4,6]", "2 of 24", "0.5", "0.02174", "0.05882", first, "1"],
        ["bias", "float32", "[6]", "6 of 6", "3", "3", "1", second, "0"],
    ]  # fmt: skip
    assert cells[3:-1] == [
        [""],
        ["reshaped", "dtype", "shape"],
        ["shape", "float32", "[4,6] -> [6,4]"],
        [""],
        ["retyped", "dtype", "shape"],
        ["type", "float32 -> float64", "[4,6]"],
        [""],
        ["added", "dtype", "shape"],
        ["new", "float32", "[4,6]"],
        [""],
        ["removed", "dtype", "shape"],
        ["old", "float32", "[4,6]"],
        [""],
    ]
    counts = "2 changed, 1 reshaped, 1 retyped, 1 added, 1 removed, 1 equal"
    assert re.fullmatch(
        rf"{pair[0]} -> {pair[1]}: {counts}; 256 B compared in [\d.]+ s \([\d.]+ \w+/s\)",
        result.lines[-1],
    )
    assert "\nstep" not in result.out
    assert "\nequal" in cli("diff", "--all", *pair).out


def test_checksums_alone(pair: tuple[str, str]) -> None:
    for path in pair:
        Path(shard_path(path, 0, 1)).unlink()
    result = cli("diff", "--fast", *pair)
    assert (result.code, result.err) == (1, "")
    assert result.lines[0].split() == ["changed", "dtype", "shape"]
    assert [line.split()[0] for line in result.lines[1:3]] == ["bias", "kernel"]
    assert "rests on 32 bits" in result.lines[-1]
    assert "checksums alone" in cli("diff", "--fast", pair[0], pair[0]).out
    assert cli("diff", "--fast", pair[0], pair[0]).code == 0


def test_nothing_differs(pair: tuple[str, str]) -> None:
    result = cli("diff", pair[0], pair[0])
    assert (result.code, len(result.lines)) == (0, 1)
    assert ": 6 equal; " in result.lines[0]
    assert cli("diff", "-q", pair[0], pair[0]).out == ""
    assert cli("diff", "-q", *pair).out


def test_json(pair: tuple[str, str]) -> None:
    result = cli("diff", "--json", *pair)
    assert result.code == 1
    document = result.document
    report = tb.diff(*pair)
    assert document.pop("seconds") > 0
    tensors = document.pop("tensors")
    want = report.to_dict()
    del want["seconds"], want["tensors"]
    assert document == want
    rows = {row["name"]: row for row in tensors}
    assert rows.keys() == {"bias", "kernel", "new", "old", "shape", "type"}
    for row in report:
        if row.kind != "equal":
            shapes = {key: getattr(row, key) for key in ("shape_a", "shape_b")}
            lists = {key: shape and list(shape) for key, shape in shapes.items()}
            assert rows[row.name] == {**row.to_dict(), **lists}
    assert len(cli("diff", "--json", "--all", *pair).document["tensors"]) == 7


def test_what_json_cannot_hold_is_null(tmp_path: Path) -> None:
    huge = np.array([1.7e308])
    a, b = write(tmp_path / "a", w=huge), write(tmp_path / "b", w=-huge)
    (row,) = cli("diff", "--json", a, b).document["tensors"]
    assert (row["max_abs"], row["mean_abs"], row["cosine"], row["changed"]) == (None, None, None, 1)
    assert " inf " in cli("diff", a, b).lines[1]


def test_tolerance(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", v=W, w=W), write(tmp_path / "b", v=W + 1e-3, w=W + 1)
    result = cli("diff", "--atol", "0.01", a, b)
    assert result.code == 1
    assert result.lines[0].split()[:5] == ["changed", "dtype", "shape", "changed", "beyond"]
    assert result.lines[1].split()[-5] == "24"
    assert ": 1 changed, 1 close; " in result.lines[-1]
    result = cli("diff", "--atol", "1", "--rtol", "1e-6", a, b)
    assert result.code == 0
    assert ": 2 close; " in result.lines[-1]
    for wrong in ("-1", "x", "nan", "inf"):
        result = cli("diff", f"--atol={wrong}", a, b)
        assert result.code == 2
        assert f"'{wrong}' is not a number that is finite and not negative" in result.err


def test_renaming(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", a1=W, a2=W), write(tmp_path / "b", b1=W, b2=W + 1)
    result = cli("diff", "--rename", r"a(\d)=c\1", "--rename", "^c=b", a, b)
    assert result.code == 1
    assert result.lines[1].startswith("a2 -> b2  ")
    assert ": 1 changed, 1 equal; " in result.lines[-1]
    result = cli("diff", "--rename", "a.=x", a, b)
    assert result.code == 2
    assert result.err == (
        "tensorbundle: rename: 'a1' and 'a2' of the first checkpoint both become 'x'\n"
    )
    result = cli("diff", "--rename", "(=x", a, b)
    assert result.code == 2
    assert "rename '(': not a regular expression" in result.err
    result = cli("diff", "--rename", "x", a, b)
    assert result.code == 2
    assert "'x' is not PATTERN=REPL" in result.err


def test_names(pair: tuple[str, str]) -> None:
    assert ": 1 equal; " in cli("diff", "-n", "st*", *pair).out
    assert ": 1 changed, 1 equal; " in cli("diff", "--names", "re:^(step|bias)$", *pair).out
    result = cli("diff", "-n", "nothing", *pair)
    assert result.code == 2
    assert result.err.startswith(
        "tensorbundle: none of the tensors of both matches 'nothing'; a pattern must match"
    )


def test_many_rows(tmp_path: Path) -> None:
    a = write(tmp_path / "a", **{f"t{i:02d}": W for i in range(50)})
    b = write(tmp_path / "b", **{f"t{i:02d}": W + i for i in range(50)})
    result = cli("diff", a, b)
    assert result.lines[21] == "… and 29 more (--all)"
    assert result.lines[1].startswith("t49")
    assert len(cli("diff", "--all", a, b).lines) == len(result.lines) + 29 - 1 + 3


def test_errors(pair: tuple[str, str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for paths in ((gone, pair[0]), (pair[0], gone)):
        result = cli("diff", *paths)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("tensorbundle: ")
        assert str(gone) in result.err
    shard = Path(shard_path(pair[1], 0, 1))
    shard.write_bytes(shard.read_bytes()[:10])
    result = cli("diff", *pair)
    assert result.code == 2
    assert str(shard) in result.err
    assert 'tensor "bias"' in result.err
    assert len(result.err.splitlines()) == 1


def test_as_a_process(pair: tuple[str, str]) -> None:
    done = process("diff", *pair, env={"COLUMNS": "60"})
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[0].startswith("changed")
    done = process("diff", "--fast", "--json", pair[0], pair[0], env=dict(os.environ))
    assert done.returncode == 0
    done = process("diff", "--help")
    assert done.returncode == 0
    assert "PATTERN=REPL" in done.stdout
