"""Functions of the library, with every form of input that their bodies have (FORMAT 7.3)."""

from __future__ import annotations

import pytest

import tensorbundle as tb
from graph_maker import (
    FLOAT,
    INT32,
    arg_def,
    bytes_field,
    function,
    node,
    of_bool,
    of_bytes,
    of_int,
    of_list,
    of_placeholder,
    of_shape,
    op_def,
    opened,
)

TYPES = of_list(bytes_field(6, bytes([FLOAT, INT32])))
OPS = [
    op_def(
        "Two", outputs=[arg_def("many", dtype=FLOAT, number_attr="N"), arg_def("o", type_attr="T")]
    ),
    op_def("Mixed", outputs=[arg_def("first", dtype=INT32), arg_def("rest", list_attr="Tout")]),
]


def made() -> tb.Function:
    signature = op_def(
        "f",
        [arg_def("a", dtype=FLOAT), arg_def("b", type_attr="T"), arg_def("l", list_attr="Ts")],
        [arg_def("x", dtype=FLOAT), arg_def("all", dtype=FLOAT, number_attr="n"), arg_def("same")],
        ["done", "also"],
    )
    body = [
        node("late", "Take", ["two:many:1", "mixed:rest:1", "two:o", "b"]),
        node("two", "Two", ["a", "b:0", "^mixed"], N=of_int(3), T=of_placeholder("T")),
        node("mixed", "Mixed", ["l:1", "^a"], Tout=TYPES),
        node("whole", "Take", ["two:many", "mixed:rest", "l", "own:z:1", "own:y"]),
        node("own", "Own", ["own:z:0"]),
        node("call", "g", ["two:none:0"]),
    ]
    ret = {"x": "two:many:2", "all": "two:many", "same": "a"}
    control = {"done": "late", "also": "own"}
    attrs = {"_noinline": of_bool(True), "api": of_bytes(b"x")}
    given = {1: {"_shape": of_shape([2])}, 0: {"_user_specified_name": of_bytes(b"me")}}
    f = function(signature, body, ret, control, attrs, given)
    g = function(op_def("g", [arg_def("i", dtype=1)], [arg_def("o", dtype=1)]), [], {"o": "i"})
    return opened(node("main", "f"), ops=OPS, functions=[f, g]).functions["f"]


def names(elements: list[tb.Tensor]) -> list[str]:
    return [element.name for element in elements]


def test_inputs_of_every_form() -> None:
    graph = made().graph
    inputs = {op.name: names(op.inputs) for op in graph.get_operations() if op.name != "call"}
    assert inputs == {
        "late": ["two:1", "mixed:2", "two:3", "b:0"],
        "two": ["a:0", "b:0"],
        "mixed": ["l:1"],
        # Outputs of an op that is defined nowhere are numbered as they are first named.
        "whole": ["two:0", "two:1", "two:2", "mixed:1", "mixed:2", "l:0", "own:1", "own:2"],
        "own": ["own:0"],
    }
    two, mixed = graph.get_operation_by_name("two"), graph.get_operation_by_name("mixed")
    assert [op.name for op in two.control_inputs] == ["mixed"]
    assert [op.name for op in mixed.control_inputs] == ["a"]
    assert [op.name for op in mixed.control_outputs] == ["two"]
    assert names(graph.get_operation_by_name("own").outputs) == ["own:0", "own:1", "own:2"]
    assert [op.name for op in graph.get_tensor_by_name("two:1").consumers()] == ["late", "whole"]
    with pytest.raises(tb.CorruptionError, match="no output of that name"):
        _ = graph.get_operation_by_name("call").inputs


def test_types_of_outputs() -> None:
    graph = made().graph
    types = {op.name: [t.dtype for t in op.outputs] for op in graph.get_operations()}
    assert types["two"] == ["float32", "float32", "float32", None]
    assert types["mixed"] == ["int32", "float32", "int32"]
    assert types["call"] == ["float32"]
    assert types["own"] == [None, None, None]
    placeholder = graph.get_operation_by_name("two").get_attr("T")
    assert (type(placeholder), placeholder.name) == (tb.AttrPlaceholder, "T")
    assert placeholder == graph.get_operation_by_name("two").get_attr("T")


def test_arguments() -> None:
    f = made()
    assert names(f.arguments) == ["a:0", "b:0", "l:0"]
    assert [arg.dtype for arg in f.arguments] == ["float32", None, None]
    assert [arg.op.type for arg in f.arguments] == ["_Arg"] * 3
    assert [arg.op.index for arg in f.arguments] == [6, 7, 8]  # behind the nodes
    assert f.graph.get_operation_by_name("a") == f.arguments[0].op
    assert f.graph.get_tensor_by_name("l:1").op == f.arguments[2].op
    assert "a:0" in f.graph
    assert len(f.graph) == len(f.graph.get_operations()) == 6
    assert f.arg_attrs(1) == {"_shape": (2,)}
    assert f.arg_attrs(2) == f.arg_attrs(99) == {}
    a, b, _ = (arg.op for arg in f.arguments)
    assert (a.inputs, a.control_inputs, a.device, a.op_def) == ([], [], "", None)
    assert b.get_attr("_shape") == (2,)
    assert b.attrs == {"_shape": (2,)}
    assert a.attrs == {"_user_specified_name": b"me"}


def test_returns_and_attributes() -> None:
    f = made()
    assert {key: names(value) for key, value in f.returns.items()} == {
        "x": ["two:2"],
        "all": ["two:0", "two:1", "two:2"],
        "same": ["a:0"],
    }
    assert {key: op.name for key, op in f.control_returns.items()} == {
        "done": "late",
        "also": "own",
    }
    assert f.attrs == {"_noinline": True, "api": b"x"}
    assert f.function_def.signature.control_output == ("done", "also")


def test_walks_in_a_function() -> None:
    graph = made().graph
    assert [op.name for op in graph.ancestors("two")] == ["two", "mixed", "a", "b", "l"]
    assert [op.name for op in graph.descendants("l")] == ["late", "two", "mixed", "whole", "l"]
    assert [op.name for op in graph.ancestors("two", control=False)] == ["two", "a", "b"]
    assert [op.name for op in graph.between("b", "late")] == ["late", "two", "b"]
    columns = graph.columns()
    assert len(columns) == 6
    assert set(columns.edge_src.tolist()) <= {-1, *range(9)}
    assert graph.get_all_collection_keys() == graph.get_collection("x") == []


def test_equality() -> None:
    f = made()
    (again,) = (g for g in f.graph.functions.values() if g.name == "f")
    assert again == f
    assert hash(again) == hash(f)
    assert again.graph == f.graph
    assert again.arguments == f.arguments
    assert f != made()
    assert f.graph.functions["g"] != f
