"""Graphs of objects that no TensorFlow writes: an error or a finding, never a hang."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from command import cli
from encoding import bytes_field
from objects_maker import GRAPH, VALUE, attribute, checkpoint, child, graph, slot, value
from writer import Bundle


def opened(folder: Path, *nodes: bytes, keys: tuple[str, ...] = ()) -> tb.ObjectGraph:
    found = checkpoint(folder, graph(*nodes), keys).object_graph
    assert found is not None
    return found


def test_numbers_that_lead_nowhere(tmp_path: Path) -> None:
    made = opened(tmp_path, child("a", 7) + child("b", -1) + child("c", 1), slot(0, "m", 9))
    assert made.problems() == [
        'node 0: child "a" is node 7, and there are 2',
        'node 0: child "b" is node -1, and there are 2',
        'node 1: slot variable "m" is node 9, and there are 2',
    ]
    with pytest.raises(tb.CorruptionError, match='child "a" is node 7, and there are 2'):
        made.root.children  # noqa: B018 - raises
    with pytest.raises(tb.CorruptionError, match='slot variable "m" is node 9'):
        made["c"].slot_variables  # noqa: B018 - raises
    assert made.get("a") is None
    done = cli("ls", "--objects", made.checkpoint.prefix)
    assert (done.code, done.err.count("and there are 2")) == (1, 3)


def test_cycles_and_names_twice(tmp_path: Path) -> None:
    made = opened(tmp_path, child("me", 0) + child("a", 1), child("x", 0) + child("x", 1))
    assert made["me/me/a"].id == 1
    assert made["me/me"].id == 0
    with pytest.raises(tb.CorruptionError, match='two children are called "x": 0 and 1'):
        made["a"].children  # noqa: B018 - raises
    with pytest.raises(tb.NotInGraphError, match="2 objects with the path 'a/x'"):
        made["a/x"]
    assert [(depth, name, here) for depth, name, _, here in made.walk()] == [
        (0, "", True),
        (1, "me", False),
        (1, "a", True),
        (2, "x", False),
        (2, "x", False),
    ]


def test_a_path_of_two_readings(tmp_path: Path) -> None:
    made = opened(
        tmp_path,
        child("a", 1) + child("a/b", 2),
        child("b", 3),
        value("one"),
        value("two"),
        keys=("one", "two"),
    )
    ckpt = made.checkpoint
    assert "a/b" not in ckpt
    with pytest.raises(tb.TensorNotFoundError, match='"a/b" is the path of 2 objects'):
        ckpt["a/b"]
    assert made.get("a/b") is None


def test_paths_out_of_all_proportion(tmp_path: Path) -> None:
    """A chain of objects, each with a tensor: the paths grow with the square of its length."""
    count = 3000
    nodes = [child("name", i + 1) + value(f"k{i}") for i in range(count)]
    keys = tuple(f"k{i}" for i in range(count))
    with pytest.raises(tb.UnsupportedError, match="more than 64 times its bytes"):
        opened(tmp_path, *nodes, value("last"), keys=keys).paths()
    few = opened(tmp_path, *nodes[:100], value("last"), keys=keys[:100]).paths()
    assert len(few) == 100
    assert few["k99"] == "/".join(["name"] * 99)


def test_keys_win(tmp_path: Path) -> None:
    made = opened(tmp_path, child("k", 1), value("other", "full"), keys=("k", "other"))
    assert made.resolve("k") == "k"
    assert (made.checkpoint["k"], made.checkpoint["full"]) == (0.0, 1.0)
    assert made["k"].numpy() == 1.0


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    made = opened(tmp_path, child("\udcff", 1), value("k"), keys=("k",))
    assert made.nodes[1].path == "\udcff"
    assert made["\udcff"].numpy() == made.checkpoint["\udcff"] == 0.0
    assert "\\xff" in cli("ls", "--objects", made.checkpoint.prefix).out


def test_names_escaped_twice(tmp_path: Path) -> None:
    key = "x/.ATTRIBUTES/a..Sb....c"
    made = opened(tmp_path, child("x", 1), attribute("a.Sb..c", key), keys=(key,))
    (one,) = made["x"].attributes
    assert (one.name, one.key, one.keys) == ("a/b.c", key, (key,))


@pytest.mark.parametrize("cut", [1, 3, 9])
def test_cut_short(tmp_path: Path, cut: int) -> None:
    ckpt = checkpoint(tmp_path, graph(child("a", 1), value(f"a{VALUE}"))[:-cut], [f"a{VALUE}"])
    for ask in (lambda: ckpt.object_graph, lambda: ckpt["a"], lambda: "b" in ckpt):
        with pytest.raises(tb.CorruptionError, match=r"object graph of .*not a protobuf message"):
            ask()
    assert ckpt[f"a{VALUE}"] == 0.0
    (finding,) = ckpt.variables.findings
    assert finding.kind == "graph not understood"
    assert ckpt.variables.names() == ["a"]


@pytest.mark.parametrize("bad", [np.float32(1), [b"", b""], [b""]])
def test_a_tensor_that_is_no_graph(tmp_path: Path, bad: object) -> None:
    bundle = Bundle()
    bundle.add(GRAPH, bad)
    ckpt = tb.open(bundle.write(tmp_path / "made"))
    with pytest.raises(tb.CorruptionError, match="not one string"):
        ckpt.object_graph  # noqa: B018 - raises


def test_an_empty_graph(tmp_path: Path) -> None:
    made = opened(tmp_path)
    assert (len(made), list(made), made.get("")) == (0, [], None)
    with pytest.raises(tb.CheckpointError, match="has no nodes"):
        made.root  # noqa: B018 - raises
    assert cli("ls", "--objects", made.checkpoint.prefix).code == 1


def test_tensors_that_are_not_there(tmp_path: Path) -> None:
    made = opened(tmp_path, child("a", 1), value(f"a{VALUE}"), value(f"b{VALUE}"))
    assert [text[:7] for text in made.problems()] == ["node 1:", "node 2:", "node 2:"]
    assert made.nodes[2].path is None
    with pytest.raises(tb.TensorNotFoundError, match="has no tensor"):
        made["a"].numpy()


def test_partitioned(tmp_path: Path) -> None:
    bundle = Bundle(shards=2)
    bundle.add(GRAPH, graph(child("w", 1), value(f"w{VALUE}")))
    want = np.arange(12, dtype=np.float32).reshape(6, 2)
    bundle.add_sliced(f"w{VALUE}", want, [[(0, 4), None], [(4, 2), None]], shards=[0, 1])
    ckpt = tb.open(bundle.write(tmp_path / "made"))
    assert np.array_equal(ckpt["w"], want)
    assert np.array_equal(ckpt.read("w", rows=slice(3, 5)), want[3:5])
    assert len(ckpt.info("w").slices) == 2
    graph_ = ckpt.object_graph
    assert graph_ is not None
    assert np.array_equal(graph_["w"].numpy(), want)
    assert np.array_equal(ckpt.variables["w"].numpy(), want)


def test_a_deep_chain(tmp_path: Path) -> None:
    number = 20_000
    made = opened(tmp_path, *(child("c", i) for i in range(1, number + 1)), b"")
    last = made.nodes[number]
    path = last.path
    assert path is not None
    assert made[path] == last
    assert sum(1 for _ in made.walk()) == number + 1
    assert made.problems() == []
    with pytest.raises(tb.TensorNotFoundError):
        made.checkpoint["x"]


def test_many_empty_nodes(tmp_path: Path) -> None:
    made = opened(tmp_path, child("a", 1), bytes_field(9, b"?"), *[b""] * 300_000)
    assert len(made) == 300_002
    assert made["a"].children == {}
    assert made.checkpoint.variables.names() == []


def test_a_chain_on_the_command_line(tmp_path: Path) -> None:
    """What every object of a chain is called would add up to more than any disk has."""
    number = 5_000
    made = opened(tmp_path, *(child("c", i) + child("last", number) for i in range(1, number)), b"")
    prefix = made.checkpoint.prefix
    assert len(cli("ls", "--objects", prefix).out) < 1_000_000 + 600 * number
    paths = [one["path"] for one in cli("ls", "--objects", "--json", prefix).document["objects"]]
    assert len(paths) == number
    assert paths.count(None) > number - 200
    assert repr(made.nodes[number - 2]).startswith("<tensorbundle.TrackedObject ")


def test_a_damaged_index(tmp_path: Path) -> None:
    key = "w" + VALUE
    bundle = Bundle()
    bundle.add(GRAPH, graph(child("w", 1), value(key)))
    bundle.items[key.encode()] = b"\x07"
    made = tb.open(bundle.write(tmp_path / "b")).object_graph
    assert made is not None
    with pytest.raises(tb.CorruptionError, match="unable to parse it"):
        made.nodes[1].attributes  # noqa: B018 - raises
    assert repr(made.nodes[1]) == "<tensorbundle.TrackedObject 1 'w'>"
