from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from command import cli, process
from graph_maker import (
    arg_def,
    bytes_list,
    const,
    floats,
    function,
    graph_def,
    map_field,
    meta_graph,
    node,
    node_list,
    of_bool,
    of_bytes,
    of_float,
    of_func,
    of_int,
    of_list,
    of_shape,
    of_tensor,
    of_type,
    op_def,
    saved_model,
    tensor,
)


@pytest.fixture
def meta(data_dir: Path) -> Path:
    return data_dir / "mnist_mlp" / "model.ckpt-1000.meta"


@pytest.fixture
def model(data_dir: Path) -> Path:
    return data_dir / "saved_model"


def write(folder: Path, data: bytes, name: str = "small.meta") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


EVERY_ATTR = {
    "a_bytes": of_bytes(b"\xff\n\x1b[2J"), "a_int": of_int(-3), "a_float": of_float(float("nan")),
    "a_bool": of_bool(True), "a_type": of_type(1), "a_shape": of_shape([-1, 3]),
    "no_shape": of_shape(None), "a_func": of_func("f", {"x": of_int(1)}),
    "a_list": of_list(*[of_int(i) for i in range(20)]),
    "a_tensor": of_tensor(tensor(1, [2], more=floats(1.5, float("inf")))),
    "big_tensor": of_tensor(tensor(1, [100], more=floats(0.5))),
}  # fmt: skip


def small(folder: Path) -> Path:
    body = function(
        op_def("f", [arg_def("x", dtype=1)], [arg_def("y", dtype=1)]),
        [node("n", "Neg", ["x"], T=of_type(1))],
        {"y": "n:y:0"},
    )
    nodes = [
        node("x", "Placeholder", dtype=of_type(1), shape=of_shape([-1, 2])),
        node("scope/inner/odd", "MyOp", ["x", "^x"], "/device:GPU:0", **EVERY_ATTR),
        const("scope/inner/c", tensor(1, [2], more=floats(1, 2))),
        node("call", "f", ["x"]),
    ]
    collections = {"things": node_list("x"), "raw": bytes_list(b"\xff", b"")}
    return write(folder, meta_graph(graph_def(nodes, [body]), collections=collections))


# The summary


def test_the_summary_of_a_training_graph(meta: Path) -> None:
    result = cli("graph", meta)
    assert (result.code, result.err) == (0, "")
    assert result.lines[:8] == [
        f"graph       {meta}",
        "kind        MetaGraphDef",
        "TensorFlow  2.21.0",
        "producer    2474",
        "nodes       331",
        "functions   0",
        "constants   67, 11.0 KiB: 16% of the file's 67.7 KiB",
        "",
    ]
    assert "26 more ops            58" in result.lines
    assert "image:0          float32  [?,196]" in result.lines
    assert "trainable_variables  VariableDef      6" in result.lines
    assert "save/restore_all  V2       no       5" in result.lines
    assert any(line.startswith("probabilities:0  ") for line in result.lines)
    assert "problem" not in result.out


@pytest.mark.parametrize("name", ["", "model.ckpt-1000", "model.ckpt-1000.index"])
def test_a_checkpoint_stands_for_its_graph(meta: Path, name: str) -> None:
    assert cli("graph", meta.parent / name).out == cli("graph", meta).out


def test_a_checkpoint_without_a_graph(data_dir: Path) -> None:
    result = cli("graph", data_dir / "object_graph")
    assert (result.code, result.out) == (2, "")
    assert "there is no graph beside this checkpoint" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("name", ["", "saved_model.pb", "variables", "variables/variables"])
def test_the_summary_of_a_saved_model(model: Path, name: str) -> None:
    result = cli("graph", model / name)
    assert result.code == 0
    assert "tags        serve" in result.lines
    row = ["serving_default", "input", "x", "serving_default_x:0", "float32", "[?]"]
    assert row in [line.split() for line in result.lines]


def test_the_document_says_what_the_api_says(meta: Path) -> None:
    document = cli("graph", meta, "--json").document
    opened = tb.load_meta_graph(meta)
    graph = opened.graph
    assert (document["nodes"], document["producer"]) == (len(graph), opened.producer)
    assert {row["op"]: row["nodes"] for row in document["ops"]} == graph.op_counts()
    assert [row["name"] for row in document["outputs"]] == [one.name for one in graph.outputs]
    assert [row["name"] for row in document["constants"]] == [x.name for x in graph.constants()]
    assert document["constant_bytes"] == sum(one.nbytes for one in graph.constants())
    assert [row["key"] for row in document["collections"]] == graph.get_all_collection_keys()
    assert document["savers"][0]["restore_op"] == "save/restore_all"
    assert document["problems"] == []


def test_custom_ops_and_constants_in_functions(tmp_path: Path) -> None:
    result = cli("graph", small(tmp_path))
    assert result.code == 0
    assert "MyOp           1  scope/inner/odd" in result.lines
    assert "raw         bytes      2" in result.lines
    assert "things      node       1" in result.lines


def test_problems_are_a_finding(tmp_path: Path) -> None:
    path = write(tmp_path, meta_graph(graph_def([node("a", "Neg", ["gone\n"]), node("b")])))
    result = cli("graph", path)
    assert result.code == 1
    assert "1 problem" in result.lines
    assert r"gone\n" in result.lines[-1]
    document = cli("graph", path, "--json").document
    assert len(document["problems"]) == 1
    listing = cli("graph", path, "--name", "*")
    assert listing.code == 0
    assert listing.lines[1].split() == ["a", "Neg", r"gone\n", "?", "?"]
    assert "damaged:" in cli("graph", path, "--name", "a").out


def test_a_collection_of_what_is_not_there_is_a_problem(tmp_path: Path) -> None:
    data = meta_graph(graph_def([node("a")]), collections={"savers": node_list("gone")})
    result = cli("graph", write(tmp_path, data))
    assert result.code == 1
    assert "gone" in result.lines[-1]


def damaged(folder: Path) -> Path:
    """A sound node among damaged ones, and a function with damage in its body."""
    broken = map_field(5, "_output_shapes", b"\x0f")
    nodes = [
        node("sound", "Neg", ["x"], T=of_type(1)),
        node("x", "Placeholder", dtype=of_type(1)) + broken,
        node("y", "Neg", ["x", "gone"]) + broken,
    ]
    body = function(op_def("f", [arg_def("a", dtype=1)]), [b"\x0f"])
    return write(folder, meta_graph(graph_def(nodes, [body])))


def test_damage_hides_no_more_than_it_must(tmp_path: Path) -> None:
    path = damaged(tmp_path)
    result = cli("graph", path)
    assert (result.code, result.err) == (1, "")
    assert "nodes       3" in result.lines
    assert "x:0          ?      ?" in result.lines
    assert 'constants: function "f"' in result.out
    document = cli("graph", path, "--json").document
    assert len(document["problems"]) >= 3
    info = cli("info", path)
    assert info.code == 0
    assert any(line.startswith("problems  ") for line in info.lines)
    assert cli("info", path, "--json").document["graph"]["problems"]


def test_damaged_nodes_are_listed_with_the_others(tmp_path: Path) -> None:
    path = damaged(tmp_path)
    listing = cli("graph", path, "--name", "*")
    assert listing.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in listing.lines}
    assert rows["x"] == ["Placeholder", "(damaged)"]
    assert rows["sound"] == ["Neg", "x", "float32", "?"]
    assert rows["y"][:3] == ["Neg", "x,", "gone"]
    nodes = cli("graph", path, "--name", "*", "--json").document["nodes"]
    assert [row["name"] for row in nodes] == ["sound", "x", "y"]
    assert nodes[1]["outputs"] == [{"name": "x:0", "dtype": None, "shape": None}]
    for name in ("sound", "x", "y"):
        assert cli("graph", path, "--name", name).code == 0
        assert cli("graph", path, "--name", name, "--json").code == 0


def test_a_damaged_function_is_listed(tmp_path: Path) -> None:
    path = damaged(tmp_path)
    assert cli("graph", path, "--functions").lines[1].split()[:3] == ["f", "(damaged)", "(damaged)"]
    (record,) = cli("graph", path, "--functions", "--json").document["functions"]
    assert record["name"] == "f"
    assert "error" in record
    assert cli("graph", path, "--function", "f").code == 2


def test_the_only_graph_of_a_directory(meta: Path, tmp_path: Path) -> None:
    shutil.copy(meta, tmp_path / "export.meta")
    assert "nodes       331" in cli("graph", tmp_path).lines
    shutil.copy(meta, tmp_path / "other.meta")
    result = cli("graph", tmp_path)
    assert (result.code, result.out) == (2, "")
    assert "no checkpoint in this directory" in result.err


def test_ops_of_functions_are_counted_apart(model: Path) -> None:
    result = cli("graph", model)
    graph = tb.load_meta_graph(model).graph
    every = graph.op_counts(functions=True)
    inside = sum(len(one.graph) for one in graph.functions.values())
    assert f"functions   {len(graph.functions)}, with {inside} nodes" in result.lines
    assert any(line.split() == ["op", "nodes", "in", "functions"] for line in result.lines)
    rows = cli("graph", model, "--json").document["ops"]
    assert {row["op"]: row["nodes"] + row["in_functions"] for row in rows} == every
    assert [row["op"] for row in rows] == list(every)
    assert sum(row["nodes"] for row in rows) == len(graph)


@pytest.mark.parametrize("options", [[], ["--json"], ["--name", "*"], ["--scopes"]])
def test_what_is_no_graph(tmp_path: Path, options: list[str]) -> None:
    result = cli("graph", write(tmp_path, b"no graph at all", "x.txt"), *options)
    assert (result.code, result.out) == (2, "")
    assert "no MetaGraphDef" in result.err
    assert cli("graph", tmp_path / "gone", *options).code == 2


def test_tags_choose_a_graph(tmp_path: Path) -> None:
    metas = [
        meta_graph(graph_def([node(tag)]), tags=[tag, "cpu"] if tag == "b" else [tag])
        for tag in ("a", "b")
    ]
    path = write(tmp_path, saved_model(*metas), "saved_model.pb")
    assert cli("graph", path).code == 2
    result = cli("graph", tmp_path, "--tags", "cpu,b", "--name", "*", "--json")
    assert [row["name"] for row in result.document["nodes"]] == ["b"]
    assert cli("graph", path, "--tags", "c").code == 2


# Nodes


def names(*arguments: object) -> list[str]:
    result = cli("graph", *arguments, "--json")
    assert result.code == 0
    return [row["name"] for row in result.document["nodes"]]


def test_nodes_by_op_and_name(meta: Path) -> None:
    result = cli("graph", meta, "--op", "MatMul", "--op", "Soft*", "--name", "re:^(dense|prob)")
    assert result.code == 0
    assert [line.split()[:2] for line in result.lines[1:-1]] == [
        ["dense_1/MatMul", "MatMul"], ["dense_2/MatMul", "MatMul"], ["probabilities", "Softmax"],
    ]  # fmt: skip
    assert "  image, dense_1/MatMul/ReadVariableOp  " in result.lines[1]
    assert result.lines[1].endswith("  float32[?,24]")
    assert result.lines[-1] == "3 of 331 nodes"


def test_walks_are_what_the_api_walks(meta: Path) -> None:
    graph = tb.load_meta_graph(meta).graph
    above = {one.name for one in graph.ancestors("probabilities:0")}
    below = {one.name for one in graph.descendants("image")}
    assert set(names(meta, "--inputs-of", "probabilities:0")) == above
    assert set(names(meta, "--outputs-of", "image")) == below
    both = names(meta, "--inputs-of", "probabilities", "--outputs-of", "image", "--op", "MatMul")
    assert both == ["dense_1/MatMul", "dense_2/MatMul", "softmax_output/MatMul"]


@pytest.mark.parametrize("name", ["nope", "image:7", "a b:c"])
def test_a_walk_from_nowhere(meta: Path, name: str) -> None:
    result = cli("graph", meta, "--inputs-of", name)
    assert (result.code, result.out) == (2, "")
    assert repr(name) in result.err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--name", "dense_1/MatMull"], "did you mean 'dense_1/MatMul'"),
        (["--name", "zzz*"], "none of 331 nodes matches 'zzz*'"),
        (["--op", "zzz"], "none of the ops of 331 nodes matches 'zzz'"),
        (["--op", "MatMul", "--name", "image"], "none of 331 nodes fits all of these options"),
    ],
)
def test_no_node_is_a_finding(meta: Path, options: list[str], text: str) -> None:
    result = cli("graph", meta, *options)
    assert (result.code, result.out) == (1, "")
    assert text in result.err
    result = cli("graph", meta, *options, "--json")
    assert (result.code, result.document["nodes"]) == (1, [])


@pytest.mark.parametrize("name", ["dense_1/MatMul", "dense_1/MatMul:0", "dense_1/Mat*ul"])
def test_all_about_one_node(meta: Path, name: str) -> None:
    result = cli("graph", meta, "--name", name)
    assert result.code == 0
    assert result.lines[:3] == ["name   dense_1/MatMul", "op     MatMul", "bytes  112 B"]
    text = result.out
    assert "\ninputs\n  image:0                          float32[?,196]\n" in text
    assert "\n  transpose_b     False\n" in text
    assert "\noutputs\n  dense_1/MatMul:0  float32[?,24]\n" in text
    assert "\nconsumers\n  dense_1/BiasAdd  dense_1/MatMul:0\n" in text


def test_attributes_of_every_kind(tmp_path: Path) -> None:
    path = small(tmp_path)
    lines = [line.split(None, 1) for line in cli("graph", path, "-n", "*odd").lines]
    shown = {line[0]: line[1] for line in lines if len(line) == 2}
    assert shown["device"] == "/device:GPU:0"
    assert {key: shown[key] for key in EVERY_ATTR} == {
        "a_bytes": r'"\xff\n\x1b[2J"', "a_int": "-3", "a_float": "nan", "a_bool": "True",
        "a_type": "float32", "a_shape": "[?,3]", "no_shape": "?", "a_func": "function f(x=1)",
        "a_list": "[0, 1, 2, 3, 4, 5, 6, 7, … and 12 more]", "a_tensor": "float32[2] 1.5, inf",
        "big_tensor": f"float32[100] {', '.join(['0.5'] * 8)}, … and 92 more",
    }  # fmt: skip
    (record,) = cli("graph", path, "-n", "*odd", "--json").document["nodes"]
    assert record["inputs"] == ["x"]
    assert record["control_inputs"] == ["x"]
    assert record["attrs"] == {
        "a_bytes": "\udcff\n\x1b[2J", "a_int": -3, "a_float": "NaN", "a_bool": True,
        "a_type": "float32", "a_shape": [None, 3], "no_shape": None,
        "a_func": {"function": "f", "attrs": {"x": 1}}, "a_list": list(range(20)),
        "a_tensor": {"dtype": "float32", "shape": [2], "values": [1.5, "Infinity"]},
        "big_tensor": {"dtype": "float32", "shape": [100]},
    }  # fmt: skip


def test_a_damaged_attribute_is_said_in_its_place(tmp_path: Path) -> None:
    bad = node("a", "Const", dtype=of_type(1), value=of_tensor(tensor(1, [9], b"123")))
    path = write(tmp_path, meta_graph(graph_def([bad])))
    assert "value  damaged: " in cli("graph", path, "-n", "a").out
    (record,) = cli("graph", path, "-n", "a", "--json").document["nodes"]
    assert record["attrs"]["dtype"] == "float32"
    assert set(record["attrs"]["value"]) == {"error"}


# Functions, scopes, DOT


def test_functions(tmp_path: Path, model: Path) -> None:
    path = small(tmp_path)
    assert cli("graph", path, "--functions").lines[1].split()[:4] == [
        "f", "float32", "?", "float32",
    ]  # fmt: skip
    (record,) = cli("graph", path, "--functions", "--json").document["functions"]
    assert (record["name"], record["nodes"]) == ("f", 1)
    assert record["returns"] == {"y": [{"name": "n:0", "dtype": "float32", "shape": None}]}
    listed = cli("graph", model, "--functions", "--json").document["functions"]
    assert [row["name"] for row in listed] == list(tb.load_meta_graph(model).graph.functions)


def test_inside_of_a_function(tmp_path: Path) -> None:
    path = small(tmp_path)
    result = cli("graph", path, "--function", "f")
    assert result.code == 0
    assert "function    f" in result.lines
    assert cli("graph", path, "--function", "f", "--json").document["inputs"][0]["name"] == "x:0"
    assert names(path, "--function", "f", "--op", "Neg") == ["n"]
    result = cli("graph", path, "--function", "g")
    assert result.code == 2
    assert "no function 'g': --functions lists the 1 of this graph" in result.err


def test_scopes(tmp_path: Path, meta: Path) -> None:
    assert cli("graph", small(tmp_path), "--scopes").lines[1].split()[:2] == ["scope/inner/", "2"]
    result = cli("graph", meta, "--scopes", "--depth", "1")
    assert len(result.lines) == 12
    assert result.lines[1].split()[:2] == ["Adam/", "32"]
    assert result.lines[-1].startswith("331 nodes in 10 scopes, ")
    document = cli("graph", meta, "--scopes", "--json").document
    assert {row["scope"]: row["nodes"] for row in document["scopes"]}["dense_1"] == 45


def test_dot(meta: Path) -> None:
    graph = tb.load_meta_graph(meta).graph
    assert cli("graph", meta, "--dot").out == graph.to_dot()
    some = [one for one in graph.get_operations() if one.type == "MatMul"]
    assert cli("graph", meta, "--dot", "--op", "MatMul").out == graph.to_dot(some)


@pytest.mark.parametrize(
    "options",
    [
        ["--depth", "2"], ["--dot", "--json"], ["--scopes", "--op", "x"], ["--scopes", "--dot"],
        ["--functions", "--function", "f"], ["--name", "re:("],
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(meta: Path, options: list[str]) -> None:
    result = cli("graph", meta, *options)
    assert (result.code, result.out) == (2, "")
    assert result.err


def test_an_empty_graph(tmp_path: Path) -> None:
    path = write(tmp_path, meta_graph(graph_def()))
    for options in ([], ["--scopes"], ["--functions"], ["--dot"], ["--name", "*"], ["--json"]):
        assert cli("graph", path, *options).code == 0


def test_names_are_escaped_and_kept(tmp_path: Path) -> None:
    path = write(tmp_path, meta_graph(graph_def([node("b"), node(b"a\xff\x1b[2J")])))
    result = cli("graph", path, "--name", "*")
    assert r"a\xff\x1b[2J" in result.lines[2]
    done = process("graph", str(path), "--name", "a*", "--json")
    document: Any = json.loads(done.stdout)
    assert document["nodes"][0]["name"] == "a\udcff\x1b[2J"
