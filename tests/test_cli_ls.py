from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tensorbundle
from command import Result, cli, write_small
from writer import Bundle


@pytest.fixture
def small(tmp_path: Path) -> str:
    return write_small(tmp_path)


def names(result: Result) -> list[str]:
    return [line.split()[0] for line in result.lines[1:-1]]


def test_ls_shows_a_training_run(data_dir: Path) -> None:
    result = cli("ls", data_dir / "mnist_mlp")
    assert result.code == 0
    assert result.err == ""
    assert result.lines[0].split() == ["name", "dtype", "shape", "bytes"]
    assert "dense_1/kernel                float32  [196,24]  18.4 KiB" in result.lines
    assert "global_step                   int64    []             8 B" in result.lines
    assert result.lines[-1] == "21 tensors, 15,897 elements, 62.1 KiB (63,592 bytes)"
    assert len(result.lines) == 23
    assert names(result) == sorted(names(result))


def test_ls_bytes_are_exact(small: str) -> None:
    result = cli("ls", "--bytes", small)
    assert [line.split()[-1] for line in result.lines[1:-1]] == ["8", "4", "24", "40"]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["a", "b/bias", "b/kernel", "c"]),
        ("size", ["c", "b/kernel", "a", "b/bias"]),
        ("offset", ["a", "c", "b/kernel", "b/bias"]),
    ],
)
def test_ls_sorts(small: str, sort: str, order: list[str]) -> None:
    assert names(cli("ls", small, "--sort", sort)) == order
    document = cli("ls", small, "--sort", sort, "--json").document
    assert [tensor["name"] for tensor in document["tensors"]] == order


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["b/*"], ["b/bias", "b/kernel"]),
        (["*e*"], ["b/kernel"]),
        (["?"], ["a", "c"]),
        (["[a-b]", "c"], ["a", "c"]),
        (["re:^b.*s$"], ["b/bias"]),
        (["re:KERNEL|^c"], ["c"]),
        (["re:(?i)KERNEL", "a"], ["a", "b/kernel"]),
    ],
)
def test_ls_match(small: str, patterns: list[str], found: list[str]) -> None:
    options = [word for pattern in patterns for word in ("--match", pattern)]
    result = cli("ls", small, *options)
    assert result.code == 0
    assert names(result) == found
    of = "1 of 4 tensors" if len(found) == 1 else f"{len(found)} of 4 tensors"
    assert result.lines[-1].startswith(of)


def test_ls_match_of_nothing_is_a_finding(small: str) -> None:
    result = cli("ls", small, "--match", "bias")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "tensorbundle: none of 4 tensors matches 'bias'; "
        "a pattern must match the whole name, as '*bias*' may\n"
    )
    result = cli("ls", small, "--match", "z*", "--json")
    assert result.code == 1
    assert result.document["tensors"] == []
    assert result.err == "tensorbundle: none of 4 tensors matches 'z*'\n"


def test_ls_of_no_tensors_is_fine(tmp_path: Path) -> None:
    prefix = Bundle().write(tmp_path / "ckpt")
    result = cli("ls", prefix)
    assert (result.code, result.lines[-1]) == (0, "0 tensors, 0 elements, 0 B")
    assert cli("ls", prefix, "--tree").code == 0
    assert cli("ls", prefix, "--json").document["tensors"] == []


def test_ls_counts_slices(data_dir: Path) -> None:
    result = cli("ls", data_dir / "partitioned")
    assert result.lines[0].split() == ["name", "dtype", "shape", "slices", "bytes"]
    assert next(line for line in result.lines if line.startswith("embedding/table")).split() == [
        "embedding/table", "float32", "[100,8]", "4", "3.1", "KiB",
    ]  # fmt: skip


def test_ls_json_holds_everything(data_dir: Path) -> None:
    path = data_dir / "partitioned"
    document = cli("ls", path, "--json").document
    with tensorbundle.open(path) as checkpoint:
        infos = checkpoint.infos()
        assert document["prefix"] == checkpoint.prefix
    assert document["path"] == str(path)
    assert document["format"] == "V2"
    assert document["total"] == {"tensors": 3, "elements": 809, "bytes": 3240}
    for info, tensor in zip(infos, document["tensors"], strict=True):
        assert tensor.pop("dtype") == info.type_name
        assert tuple(tensor.pop("shape")) == info.shape
        for piece, entry in zip(info.slices, tensor.pop("slices"), strict=True):
            assert tuple(entry.pop("start")) == piece.start
            assert tuple(entry.pop("shape")) == piece.shape
            assert entry == {
                key: getattr(piece, key) for key in ("shard", "offset", "nbytes", "crc32c")
            }
        keys = ("name", "size", "nbytes", "shard", "offset", "crc32c", "aligned", "zero_copy")
        assert tensor == {key: getattr(info, key) for key in keys}


def test_ls_escapes_what_a_terminal_would_obey(tmp_path: Path) -> None:
    wild = [b"new\nline", b"clear\x1b[2J", b"back\\slash", b"not\xffutf8", "עב\u202e".encode()]
    bundle = Bundle()
    for name in wild:
        bundle.add(name, np.int32(1))
    prefix = bundle.write(tmp_path / "ckpt")
    result = cli("ls", prefix)
    assert sorted(names(result)) == sorted(
        [r"new\nline", r"clear\x1b[2J", r"back\\slash", r"not\xffutf8", r"עב\u202e"]
    )
    document = json.loads(cli("ls", prefix, "--json").out)
    written = {tensor["name"].encode("utf-8", "surrogateescape") for tensor in document["tensors"]}
    assert written == set(wild)


def test_ls_one_long_name_does_not_widen_every_line(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("a", np.int32(1))
    bundle.add("b" * 5000, np.int32(1))
    result = cli("ls", bundle.write(tmp_path / "ckpt"))
    assert len(result.lines[1]) < 300
    assert result.lines[2] == f"{'b' * 5000}  int32  []       4 B"


# ls --tree


@pytest.fixture
def nested(tmp_path: Path) -> str:
    bundle = Bundle()
    for name, size in [
        ("a", 1), ("a-b/x", 2), ("a/b", 3), ("a/c/d/e", 4), ("a/c/d/f", 50), ("a/c/g", 6),
        ("z/only/one", 7), ("z/only/", 8),
    ]:  # fmt: skip
        bundle.add(name, np.zeros(size, np.int8))
    return bundle.write(tmp_path / "ckpt")


def rows(result: Result) -> list[tuple[str, ...]]:
    """The rows of a tree: the name with its indent, then its count (of a scope) and bytes."""
    made = []
    for line in result.lines[1:-1]:
        name = line[: len(line) - len(line.lstrip())] + line.split()[0]
        made.append((name, *line.split()[1:]))
    return made


def test_tree_sums_scopes(nested: str) -> None:
    result = cli("ls", "--tree", "--bytes", nested)
    assert rows(result) == [
        ("a", "int8", "[1]", "1"),
        ("a-b/x", "int8", "[2]", "2"),
        ("a/", "4", "63"),
        ("  b", "int8", "[3]", "3"),
        ("  c/", "3", "60"),
        ("    d/", "2", "54"),
        ("      e", "int8", "[4]", "4"),
        ("      f", "int8", "[50]", "50"),
        ("    g", "int8", "[6]", "6"),
        ("z/only/", "2", "15"),
        ("  ''", "int8", "[8]", "8"),
        ("  one", "int8", "[7]", "7"),
    ]
    assert result.lines[-1] == "8 tensors, 81 elements, 81 B"


def test_tree_sorted_by_size_and_cut(nested: str) -> None:
    result = cli("ls", "--tree", "--bytes", "--sort", "size", "--depth", "2", nested)
    assert [row[0] for row in rows(result)] == [
        "a/", "  c/", "  b", "z/only/", "  ''", "  one", "a-b/x", "a",
    ]  # fmt: skip
    result = cli("ls", "--tree", "--depth", "1", nested)
    assert [row[0] for row in rows(result)] == ["a", "a-b/x", "a/", "z/only/"]


def test_tree_of_a_match_sums_only_that(nested: str) -> None:
    result = cli("ls", "--tree", "--bytes", "--match", "a/c/*", nested)
    assert rows(result)[0] == ("a/c/", "3", "60")
    assert result.lines[-1].startswith("3 of 8 tensors")


def test_tree_json_adds_scopes(nested: str) -> None:
    document = cli("ls", "--tree", "--json", nested).document
    assert document["scopes"] == [
        {"scope": "a", "tensors": 4, "elements": 63, "bytes": 63},
        {"scope": "a/c", "tensors": 3, "elements": 60, "bytes": 60},
        {"scope": "a/c/d", "tensors": 2, "elements": 54, "bytes": 54},
        {"scope": "z/only", "tensors": 2, "elements": 15, "bytes": 15},
    ]
    assert len(document["tensors"]) == 8


def test_tree_bears_names_of_any_depth(tmp_path: Path) -> None:
    bundle = Bundle()
    deep = "/" * 50_000
    for name in (deep + "x", deep + "y"):
        bundle.add(name, np.int8(0))
    result = cli("ls", "--tree", "--bytes", bundle.write(tmp_path / "ckpt"))
    assert [row[-2:] for row in rows(result)] == [("2", "2"), ("[]", "1"), ("[]", "1")]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--depth", "2"], "--depth goes with --tree"),
        (["--tree", "--sort", "offset"], "--tree sorts by name or size, not by offset"),
        (["--match", "re:("], "--match re:(: not a regular expression: missing ), unterminated"),
    ],
)
def test_ls_options_that_make_no_sense(small: str, options: list[str], text: str) -> None:
    result = cli("ls", small, *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"tensorbundle: {text}")
