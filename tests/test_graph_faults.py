"""Graphs that are damaged or hostile: a clear error where the fault is touched, at worst."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest

import tensorbundle as tb
from encoding import bytes_field, varint_field
from graph_maker import (
    FLOAT,
    arg_def,
    attr_def,
    const,
    floats,
    func,
    function,
    graph_def,
    int64_list,
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
    opened,
    saved_model,
    tensor,
)
from graph_touch import touch
from tensorbundle import CorruptionError, Message

CLEAN = {"CorruptionError", "UnsupportedError"}


def readable(value: Any) -> str:
    return value if isinstance(value, str) else "value"


def small() -> bytes:
    """A little of everything."""
    split = op_def("Split", [arg_def("x", dtype=FLOAT)], [arg_def("y", dtype=1, number_attr="n")])
    body = [node("s", "Split", ["a"], n=of_int(2)), node("t", "Custom", ["s:y:1", "^s"])]
    half = function(
        op_def("half", [arg_def("a", dtype=FLOAT)], [arg_def("r", dtype=FLOAT)], ["c"]),
        body,
        {"r": "s:y:0"},
        {"c": "t"},
        {"flag": of_bool(True)},
        {0: {"_shape": of_shape([None or -1, 2])}},
    )
    nodes = [
        node("x", "Placeholder", dtype=of_type(FLOAT), shape=of_shape([-1, 3])),
        const("k", tensor(FLOAT, [2], more=floats(0.5, 2))),
        node("a/split", "Split", ["x", "^k"], "/device:CPU:0", n=of_int(3)),
        node("a/call", "half", ["a/split:2"], f=of_func("half", {"T": of_type(FLOAT)})),
        node("loop", "Merge", ["a/call", "next"], T=of_type(FLOAT), N=of_int(2)),
        node("next", "NextIteration", ["loop"], T=of_type(FLOAT), s=of_bytes(b"text")),
    ]
    items = {"k": node_list("x:0", "loop"), "n": int64_list(1, -1)}
    return meta_graph(graph_def(nodes, [half]), ops=[split], tags=["serve"], collections=items)


def test_the_sound_one() -> None:
    assert touch(small()) == {}
    assert touch(saved_model(small())) == {}


@pytest.mark.parametrize("wrap", [small, lambda: saved_model(small())], ids=["meta", "saved model"])
def test_cut_short_at_every_byte(wrap: Any) -> None:
    data = wrap()
    ends = set()
    for end in range(len(data)):
        ends.add(next(iter(touch(data[:end])), ""))
    assert ends <= CLEAN | {""}
    with pytest.raises(CorruptionError, match="cut short"):
        tb.load_meta_graph(data[: len(data) // 2])


def test_every_graph_def_cut_short() -> None:
    data = graph_def(
        [node("a", "Own"), node("b", "Custom", ["a"], k=of_int(1))], [function(op_def("f"))]
    )
    assert touch(data) == {}
    for end in range(len(data)):
        assert set(touch(data[:end])) <= CLEAN


@pytest.mark.parametrize("seed", range(8))
def test_bytes_changed_at_random(seed: int) -> None:
    rng, data = random.Random(seed), small()
    opens = 0
    for _ in range(400):
        bad = bytearray(data)
        for _ in range(rng.choice([1, 1, 2, 8])):
            bad[rng.randrange(len(bad))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        if rng.random() < 0.2:
            at = rng.randrange(len(bad))
            del bad[at : at + rng.choice([1, 2, 9])]
        errors = touch(bytes(bad))
        assert set(errors) <= CLEAN
        opens += "meta graph" not in str(errors)
    assert opens > 100


# Names.


def test_equal_names() -> None:
    graph = opened(node("a", "X"), node("b", "Y", ["a"]), node("a", "Z"), node("c", "Y", ["^b"]))
    for act in (
        lambda: graph.get_operation_by_name("a"),
        lambda: graph.get_tensor_by_name("a:0"),
        lambda: graph.as_graph_element("a"),
        lambda: "a" in graph,
    ):
        with pytest.raises(CorruptionError, match="nodes 0 and 2 both have this name") as caught:
            act()
        assert caught.value.part == 'node "a"'
    with pytest.raises(CorruptionError, match='input "a" names several nodes'):
        _ = graph.get_operation_by_name("b").inputs
    assert [op.type for op in graph.get_operations()] == ["X", "Y", "Z", "Y"]
    assert graph.get_operation_by_name("c").control_inputs[0].name == "b"
    assert len(graph.problems()) == 2
    assert graph.columns().edge_src.tolist() == [-1, 1]


def test_equal_names_of_functions() -> None:
    graph = opened(node("a"), functions=[function(op_def("f"), [node(n)]) for n in ("p", "q")])
    with pytest.raises(CorruptionError, match="functions 0 and 1 have the same name") as caught:
        _ = graph.functions
    assert caught.value.part == 'function "f"'
    assert any('function "f"' in problem for problem in graph.problems())


def test_names_that_are_not_utf_8() -> None:
    name = b"w\xff\xc3"
    body = function(op_def(b"f\xfe", outputs=[arg_def("r", dtype=1)]), [node(name)], {"r": "w"})
    graph = opened(node(name, "Own"), node("b", name, [name, b"^" + name]), functions=[body])
    text = name.decode("utf-8", "surrogateescape")
    op = graph.get_operation_by_name("b")
    assert (op.type, op.inputs[0].op.name, op.control_inputs[0].name) == (text, text, text)
    (function_,) = graph.functions.values()
    assert function_.name == "f\udcfe"
    with pytest.raises(CorruptionError, match='return "w" names no node'):
        _ = function_.returns
    assert op.inputs[0].name == text + ":0"
    assert graph.get_tensor_by_name(op.inputs[0].name) == op.inputs[0]


@pytest.mark.parametrize("name", ["", "\n", "a\0"])
def test_odd_names_of_the_second_node(name: str) -> None:
    if name:
        assert opened(node("a"), node(name)).get_operations()[1].name == name
        return
    with pytest.raises(CorruptionError, match="node 1 has no name"):
        opened(node("a"), node(name))
    with pytest.raises(CorruptionError, match="node 1 has no op"):
        opened(node("a"), node("b", ""))


# Edges.


@pytest.mark.parametrize("text", ["gone", "gone:1", "^gone", "a:1", "a:99999999999", "", "^", "a:"])
def test_inputs_that_name_nothing(text: str) -> None:
    graph = opened(const("a", tensor(FLOAT, [], more=floats(1))), node("b", "X", [text]))
    op = graph.get_operation_by_name("b")
    for act in (lambda: op.inputs, lambda: op.control_inputs):
        with pytest.raises(CorruptionError, match=r"input .* (names no node|does not exist)") as e:
            act()
        assert e.value.part == 'node "b"'
        assert e.value.offset is not None
    assert op.outputs[0].name == "b:0"
    assert graph.get_operation_by_name("a").control_outputs == []
    if "gone" in text:
        for walk in (lambda: graph.ancestors("b"), lambda: graph.to_graph_def_bytes("b")):
            with pytest.raises(CorruptionError, match="names no node"):
                walk()
        assert len(graph.problems()) == 1
    assert [found.name for found in graph.descendants("b")] == ["b"]


def test_cycles() -> None:
    names = [str(i) for i in range(50)]
    ring = [node(name, "X", [names[i - 1], "^" + name]) for i, name in enumerate(names)]
    graph = opened(*ring, node("out", "X", ["7"]))
    assert len(graph.ancestors("out")) == 51
    assert len(graph.descendants("3")) == 51
    assert len(graph.between("3", "2")) == 50
    assert len(graph.ancestors("out", stop=["7"])) == 2
    assert graph.get_tensor_by_name("7:0").consumers()[-1].name == "out"
    assert touch(graph.to_graph_def_bytes()) == {}


@pytest.mark.format_row("10.4", "CVE-2022-23591")
def test_functions_that_call_themselves() -> None:
    """CVE-2022-23591."""
    sees_g = node("y", "X", f=of_func("g", {"h": of_func("f")}))
    f = function(op_def("f"), [node("y", "f"), node("z", "g")])
    g = function(op_def("g"), [sees_g, node("w", "X", l=of_list(bytes_field(9, func("f"))))])
    graph = opened(node("x", "f"), functions=[f, g, function(op_def("unused"))])
    cut = tb.load_meta_graph(graph.to_graph_def_bytes("x")).graph
    assert list(cut.functions) == ["f", "g"]
    assert touch(graph.to_graph_def_bytes()) == {}


# Attributes.


@pytest.mark.format_row("10.4", "CVE-2022-23583 and its kin")
@pytest.mark.parametrize(
    ("value", "definition", "text"),
    [
        (of_float(2), arg_def("o", dtype=1, number_attr="k"), '"k" is of kind float, want int'),
        (of_int(-1), arg_def("o", dtype=1, number_attr="k"), "claims -1 outputs"),
        (of_int(2**60), arg_def("o", dtype=1, number_attr="k"), f"claims {2**60} outputs, at most"),
        (of_int(1), arg_def("o", type_attr="k"), '"k" is of kind int, want type'),
        (of_type(1), arg_def("o", list_attr="k"), '"k" is of kind type, want a list of types'),
        (of_list(varint_field(3, 1)), arg_def("o", list_attr="k"), "want a list of types"),
        (of_list(varint_field(3, 1), varint_field(5, 1)), arg_def("o", list_attr="k"), "several"),
        (b"\x0a\x05\x18", arg_def("o", list_attr="k"), 'attribute "k"'),
    ],
    ids=readable,
)
def test_kinds_that_do_not_fit(value: bytes, definition: bytes, text: str) -> None:
    ops = [op_def("S", outputs=[definition])]
    graph = opened(node("a"), node("s", "S", k=value), node("t", "X", ["s:0"]), ops=ops)
    op = graph.get_operation_by_name("s")
    for act in (
        lambda: op.outputs,
        lambda: graph.get_tensor_by_name("s:0"),
        lambda: graph.get_operation_by_name("t").inputs,
    ):
        with pytest.raises(CorruptionError) as caught:
            act()
        assert text in str(caught.value)
        assert caught.value.part == 'node "s"'
        assert type(pickle.loads(pickle.dumps(caught.value))) is CorruptionError
    assert (op.name, op.type) == ("s", "S")
    assert graph.get_operation_by_name("a").outputs != op


@pytest.mark.format_row("10.4", "CVE-2022-23571")
@pytest.mark.format_row("10.4", "CVE-2022-23582")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (of_shape([-2]), "a dimension of -2"),
        (of_shape([1] * 255), "more than 254 dimensions"),
        (of_list(bytes_field(7, b"\x12\x0b\x08\xfe" + b"\xff" * 8 + b"\x01")), "a dimension of -2"),
        (of_list(varint_field(3, 1), bytes_field(2, b"x")), "elements of several kinds"),
        (of_tensor(tensor(0, [1])), "type invalid (number 0)"),
        (of_tensor(tensor(99, [0])), "(number 99)"),
        (of_tensor(tensor(101, [1])), "float32_ref"),
        (of_tensor(tensor(FLOAT, [3], b"\0" * 11)), "want 3 times 4"),
        (of_tensor(tensor(FLOAT, [-1])), "-1"),
        (of_tensor(tensor(FLOAT, [2**40, 2**40], more=floats(1))), "more than 2^63 elements"),
        (of_tensor(tensor(FLOAT, [2**40, 2**40, 0])), ""),  # TensorFlow refuses it, too
        (of_tensor(tensor(FLOAT, [0, 2**40, 2**40])), ""),  # no such array can be
        (of_tensor(tensor(FLOAT, [1] * 255)), "254"),
        (of_tensor(tensor(FLOAT, [1] * 65)), ""),  # TensorFlow has such, NumPy has not
        (of_tensor(tensor(2, [2**61])), ""),
        (of_tensor(tensor(7, [2**62])), ""),
        (of_tensor(tensor(10, [2], b"\1\2")), "2"),
        (of_tensor(b"\x08\x01\x12\x50"), ""),
        (of_func("f", {"k": b"\x0a\x02\x3a"}), ""),
        (b"\x52\x03\x0a", "end too early"),
    ],
    ids=readable,
)
def test_damaged_values(value: bytes, text: str) -> None:
    op = opened(node("a", "X", good=of_int(1), k=value)).get_operation_by_name("a")
    for act in (lambda: op.get_attr("k"), lambda: op.attrs):
        with pytest.raises(tb.CheckpointError) as caught:
            act()
        assert type(caught.value) in (CorruptionError, tb.UnsupportedError)
        assert text in str(caught.value)
    assert op.get_attr("good") == 1


def test_functions_in_attributes_nested_without_end() -> None:
    deep = of_int(1)
    for i in range(10_000):
        deep = of_func("f", {"k": deep})
        if i == 50:
            value = opened(node("a", "X", k=deep)).get_operations()[0].get_attr("k")
    for _ in range(51):
        value = value.attrs["k"]
    assert value == 1
    graph = opened(
        node("a", "X", k=deep), functions=[function(op_def("f"), [node("b", "X", k=deep)])]
    )
    op = graph.get_operations()[0]
    for act in (lambda: op.get_attr("k"), lambda: op.attrs, op.node_def.to_dict):
        with pytest.raises(CorruptionError, match="nest deeper than 100"):
            act()
    assert list(tb.load_meta_graph(graph.to_graph_def_bytes(op)).graph.functions) == ["f"]
    assert Message.parse("tensorflow.NodeDef", op.node_def.to_bytes()).name == "a"


@pytest.mark.format_row("10.4", "CVE-2020-15206")
@pytest.mark.format_row("10.4", "CVE-2022-23583 and its kin")
def test_a_constant_without_a_value() -> None:
    """CVE-2020-15206; CVE-2022-23583: attributes of another type than they ought to be."""
    for attrs in ({}, {"value": of_int(1)}, {"value": of_list()}, {"value": b""}):
        graph = opened(node("a", "Const", **attrs), node("p", "Placeholder", shape=of_int(3)))
        assert graph.get_tensor_by_name("a:0").shape is None
        assert graph.get_tensor_by_name("p:0").shape is None
        assert len(graph.constants()) == 1
        assert touch(graph.to_graph_def_bytes()) == {}


@pytest.mark.format_row("10.4", "CVE-2022-23565")
def test_definitions_that_come_twice() -> None:
    """CVE-2022-23565."""
    attrs = [attr_def("k", "int", of_int(i)) for i in (1, 2)] + [attr_def("k", "type")]
    one, two = op_def("X", attrs=attrs), op_def("X", outputs=[arg_def("o", dtype=1)] * 3)
    op = opened(node("a", "X"), ops=[one, two]).get_operations()[0]
    assert op.get_attr("k") in (1, 2)
    assert list(op.attrs) == ["k"]
    assert touch(meta_graph(graph_def([node("a", "X")]), ops=[one, two])) == {}


@pytest.mark.format_row("10.4", "CVE-2022-23594")
def test_signatures_of_functions_that_do_not_fit() -> None:
    """CVE-2022-23594 and its kin: what an importer takes for granted."""
    f = function(
        op_def(
            "f", [arg_def("a"), arg_def("a"), arg_def("n", list_attr="T")], [arg_def("r")], ["c"]
        ),
        [node("n", "X", ["a", "n:7", "m:o:1"]), node("m", "f", ["q:r:0"])],
        {"r": "m:none", "lost": ":::"},
        {"c": "nowhere"},
        arg_attrs={7: {"x": of_int(1)}},
    )
    data = meta_graph(graph_def([node("x", "f", ["x:9"])], [f]))
    assert set(touch(data)) == {"CorruptionError"}
    (made,) = tb.load_meta_graph(data).graph.functions.values()
    for act in (lambda: made.returns, lambda: made.control_returns):
        with pytest.raises(CorruptionError, match='function "f"'):
            act()


def test_messages_and_reprs_stay_short_and_never_raise() -> None:
    many = {f"a{i}": of_int(1) for i in range(5000)}
    op = opened(node("n" * 100_000, "X", **many)).get_operations()[0]
    with pytest.raises(ValueError, match="has no attribute") as caught:
        op.get_attr("z" * 100_000)
    assert len(str(caught.value)) < 5000
    wrong = op_def("S", outputs=[arg_def("o", type_attr="k")])
    damaged = function(op_def("f"), [b"\xff"])
    graph = opened(node("s", "S", k=of_int(1)), functions=[damaged], ops=[wrong])
    (broken,) = graph.functions.values()
    assert "'f'" in repr(broken)
    with pytest.raises(CorruptionError, match='function "f"'):
        len(broken.graph)
    (taker,) = opened(node("s", "Own"), node("t", "Own", ["s"]), ops=[]).outputs
    assert repr(taker) == "<tensorbundle.Tensor 't:0' shape=None>"
    for element in (graph, graph.get_operations()[0], broken.graph):
        assert repr(element).startswith("<tensorbundle.")
