from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle
from command import MATRIX, cli, write_small
from writer import Bundle


@pytest.fixture
def small(tmp_path: Path) -> str:
    return write_small(tmp_path)


def test_cat_shows_values(small: str) -> None:
    result = cli("cat", small, "b/kernel")
    assert result.code == 0
    assert result.lines == ["b/kernel  float32  [3,2]", "[[0. 1.]", " [2. 3.]", " [4. 5.]]"]
    assert cli("cat", small, "a").lines == ["a  int64  []", "7"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("1:2", MATRIX[1:2]), ("0:3:2", MATRIX[::2]), (":", MATRIX), (":-1", MATRIX[:-1]),
        ("2:1", MATRIX[2:1]), ("::-1", MATRIX[::-1]), ("1:99", MATRIX[1:]),
    ],
)  # fmt: skip
def test_cat_rows(small: str, rows: str, expected: np.ndarray[Any, Any]) -> None:
    result = cli("cat", small, "b/kernel", "--rows", rows)
    assert "\n".join(result.lines[1:]) == np.array2string(expected)
    document = cli("cat", small, "b/kernel", "--rows", rows, "--json").document
    assert document["values"] == (expected.tolist() if expected.size else [])
    assert MATRIX[slice(*document["rows"])].tolist() == expected.tolist() or "-1" in rows


def test_cat_rows_from_the_end(small: str) -> None:
    assert cli("cat", small, "b/kernel", "--rows=-1:").lines[1:] == ["[[4. 5.]]"]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("1", "'1' is not START:STOP or START:STOP:STEP"),
        ("1:2:3:4", "'1:2:3:4' is not START:STOP or START:STOP:STEP"),
        ("a:b", "'a:b' is not START:STOP or START:STOP:STEP"),
        ("1:2:0", "a step of 0 leads nowhere"),
    ],
)
def test_cat_rows_that_are_none(small: str, rows: str, text: str) -> None:
    result = cli("cat", small, "b/kernel", "--rows", rows)
    assert result.code == 2
    assert result.err.endswith(f"tensorbundle cat: error: argument -r/--rows: {text}\n")


def test_cat_rows_of_a_scalar(small: str) -> None:
    result = cli("cat", small, "a", "--rows", "0:1")
    assert (result.code, result.out) == (2, "")
    assert result.err == "tensorbundle: a is a scalar: it has no rows\n"


def test_cat_summarizes_unless_told(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("long", np.arange(2000))
    bundle.add("text", b"x" * 5000)
    prefix = bundle.write(tmp_path / "ckpt")
    assert cli("cat", prefix, "long").lines[1] == "[   0    1    2 ... 1997 1998 1999]"
    assert " 1000 " in cli("cat", prefix, "long", "--full").out
    assert cli("cat", prefix, "text").lines[1] == f"b'{'x' * 200}'… (5,000 bytes)"
    assert cli("cat", prefix, "text", "--full").lines[1] == f"b'{'x' * 5000}'"


def test_cat_json_of_every_dtype(data_dir: Path) -> None:
    path = data_dir / "every_dtype" / "dtypes"
    with tensorbundle.open(path) as checkpoint:
        kinds = {info.name: info.type_name for info in checkpoint.infos()}
    assert len(kinds) > 20
    for name, type_name in kinds.items():
        document = cli("cat", path, name, "--json").document
        assert (document["name"], document["dtype"]) == (name, type_name)
        assert (document["shape"], document["rows"]) == ([2, 3], None)
        unsigned = name.startswith(("bool", "u", "qu"))
        numbers = [[0, 1, 1 if unsigned else -1], [1, 0, 1]]
        if type_name == "string":
            expected: Any = [["", "a", "\0"], ["\udcff", "x" * 200, "zz"]]
        elif type_name.startswith("complex"):
            expected = [[[number, 0] for number in row] for row in numbers]
        else:
            expected = numbers
        assert document["values"] == expected, name
        assert isinstance(document["values"][0][0], bool) == (type_name == "bool")


def test_cat_json_names_what_json_lacks(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("f", np.array([np.nan, np.inf, -np.inf, 0.5], np.float32))
    bundle.add("c", np.array(complex(np.nan, -np.inf)))
    prefix = bundle.write(tmp_path / "ckpt")
    result = cli("cat", prefix, "f", "--json")
    assert result.document["values"] == ["NaN", "Infinity", "-Infinity", 0.5]
    assert cli("cat", prefix, "c", "--json").document["values"] == ["NaN", "-Infinity"]


@pytest.mark.parametrize("shape", [(0,), (3, 0), (1 << 40, 0)])
def test_cat_of_no_elements(tmp_path: Path, shape: tuple[int, ...]) -> None:
    bundle = Bundle()
    bundle.add("none", np.zeros(0, np.float32), shape=shape)
    prefix = bundle.write(tmp_path / "ckpt")
    assert cli("cat", prefix, "none").lines[1:] == ["[]"]
    document = cli("cat", prefix, "none", "--json").document
    assert (document["shape"], document["values"]) == (list(shape), [])


@pytest.mark.parametrize("shape", [(200_000,), (2, 100_000), (100_000, 2), (2, 2, 70_000)])
def test_cat_json_in_pieces_is_whole(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    bundle = Bundle()
    bundle.add("w", values)
    document = cli("cat", bundle.write(tmp_path / "ckpt"), "w", "--json").document
    assert np.array_equal(document["values"], values)
