"""What `tf.Graph` lacks: walks, slices, scopes, columns, DOT, counts. Against simple references."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tensorbundle as tb
from graph_maker import (
    FLOAT,
    const,
    floats,
    function,
    graph_def,
    meta_graph,
    node,
    of_shape,
    of_type,
    op_def,
    opened,
    tensor,
)

Edges = list[list[tuple[int, int]]]  # for each node: source and port, -1 for control


@st.composite
def random_edges(draw: Any) -> Edges:
    size = draw(st.integers(1, 12))
    edge = st.tuples(st.integers(0, size - 1), st.integers(-1, 2))
    found: Edges = [draw(st.lists(edge, max_size=4)) for _ in range(size)]
    return [sorted(edges, key=lambda edge: edge[1] < 0) for edges in found]


def text_of(edge: tuple[int, int]) -> str:
    source, port = edge
    return f"^n{source}" if port < 0 else f"n{source}:{port}" if port else f"n{source}"


def graph_of(edges: Edges) -> tb.Graph:
    nodes = [node(f"n{i}", "Own", [text_of(edge) for edge in into]) for i, into in enumerate(edges)]
    return opened(*nodes)


def reached(edges: Edges, start: set[int], stop: set[int], control: bool, up: bool) -> set[int]:
    pairs = [(s, i) for i, into in enumerate(edges) for s, port in into if control or port >= 0]
    seen, waiting = set(start), list(start)
    while waiting:
        here = waiting.pop()
        if here in stop:
            continue
        for source, sink in pairs:
            at, to = (sink, source) if up else (source, sink)
            if at == here and to not in seen:
                seen.add(to)
                waiting.append(to)
    return seen


def numbers(ops: Iterable[tb.Operation]) -> list[int]:
    return [op.index for op in ops]


@settings(max_examples=150, deadline=None)
@given(random_edges(), st.data(), st.booleans())
def test_walks(edges: Edges, data: st.DataObject, control: bool) -> None:
    graph = graph_of(edges)
    some = st.sets(st.integers(0, len(edges) - 1), max_size=3)
    start, stop = data.draw(some), data.draw(some)
    ops = graph.get_operations()
    given_start, given_stop = [ops[i] for i in start], [f"n{i}" for i in stop]
    options = {"control": control, "stop": given_stop}
    up = reached(edges, start, stop, control, True)
    down = reached(edges, start, stop, control, False)
    assert numbers(graph.ancestors(given_start, **options)) == sorted(up)
    assert numbers(graph.descendants(given_start, **options)) == sorted(down)
    ways = down & reached(edges, stop, start, control, True)
    got = graph.between(given_start, given_stop, control=control)
    assert numbers(got) == sorted(ways)
    cut = tb.load_meta_graph(
        meta_graph(graph.to_graph_def_bytes(given_start, inputs=given_stop))
    ).graph
    whole = reached(edges, start, stop, True, True)
    assert [op.name for op in cut.get_operations()] == [f"n{i}" for i in sorted(whole)]


@settings(max_examples=100, deadline=None)
@given(random_edges())
def test_columns_are_what_the_objects_say(edges: Edges) -> None:
    graph = graph_of(edges)
    columns = graph.columns()
    flat = [(s, i, port) for i, into in enumerate(edges) for s, port in into]
    got = zip(columns.edge_src, columns.edge_dst, columns.edge_port, strict=True)
    assert [tuple(map(int, edge)) for edge in got] == flat
    for i, op in enumerate(graph.get_operations()):
        assert [(t.op.index, t.value_index) for t in op.inputs] == [
            e for e in edges[i] if e[1] >= 0
        ]
        assert numbers(op.control_inputs) == [s for s, port in edges[i] if port < 0]
        assert numbers(op.control_outputs) == [k for s, k, port in flat if (s, port) == (i, -1)]
        used = [port for s, _, port in flat if s == i]
        assert len(op.outputs) == max([0, *used]) + 1
        for tensor_ in op.outputs:
            want = [k for s, k, port in flat if (s, port) == (i, tensor_.value_index)]
            assert numbers(tensor_.consumers()) == want
    assert {tensor_.op.index for tensor_ in graph.outputs} == (
        set(range(len(edges))) - {s for s, _, _ in flat}
    )


def test_columns() -> None:
    graph = opened(node("é", "B"), node(b"\xff", "A", ["é", "gone"]), node("c", "B", ["^é"]))
    columns = graph.columns()
    assert len(columns) == 3
    assert columns.names() == ["é", "\udcff", "c"]
    assert [columns.op_types[i] for i in columns.op] == ["B", "A", "B"]
    assert columns.op_types == ("B", "A")
    assert columns.edge_src.tolist() == [0, -1, 0]
    assert columns.name_offsets.tolist() == [0, 2, 3, 4]
    assert repr(columns) == "<tensorbundle.GraphColumns 3 nodes, 3 edges>"
    for name in ("op", "name_offsets", "name_bytes", "edge_src", "edge_dst", "edge_port"):
        assert not getattr(columns, name).flags.writeable
    empty = tb.load_meta_graph(meta_graph(b"")).graph.columns()
    assert (len(empty), empty.names(), empty.edge_src.size) == (0, [], 0)


# Scopes.

PARTS = st.text("ab\x00-/é", min_size=1, max_size=7)


def scope_names(name: bytes) -> set[bytes]:
    return {name[:i] for i, byte in enumerate(name) if i and byte == ord("/")}


def tree(scope: tb.Scope) -> dict[str, tuple[int, int, list[str]]]:
    found, waiting = {}, [scope]
    while waiting:
        scope = waiting.pop()
        assert scope.name not in found
        children = scope.children
        names = [child.name for child in children]
        found[scope.name] = (scope.num_operations, scope.nbytes, names)
        waiting += children
    return found


@settings(max_examples=150, deadline=None)
@example([b"\xfe/a", b"\xff/b", b"\xfe/c"])
@given(st.lists(PARTS | st.binary(min_size=1, max_size=4), min_size=1, max_size=9))
def test_scopes(names: list[str | bytes]) -> None:
    raw = [b"x", *(name.encode() if isinstance(name, str) else name for name in names)]
    raw = list(dict.fromkeys(raw))
    graph = opened(*[node(name) for name in raw])
    sizes = [op.nbytes for op in graph.get_operations()]
    scopes = set().union(*map(scope_names, raw))
    got = tree(graph.scopes())
    assert got.keys() == {"", *(name.decode("utf-8", "surrogateescape") for name in scopes)}
    for scope in [b"", *scopes]:
        inside = [i for i, name in enumerate(raw) if not scope or scope in scope_names(name)]
        count, nbytes, children = got[scope.decode("utf-8", "surrogateescape")]
        assert (count, nbytes) == (len(inside), sum(sizes[i] for i in inside))
        assert len(children) == len(set(children))
        right_in = {
            name for name in scopes if max(scope_names(name), key=len, default=b"") == scope
        } - {scope}
        assert {child.encode("utf-8", "surrogateescape") for child in children} == right_in


def test_a_tree_of_scopes() -> None:
    graph = opened(*[node(name) for name in ("a/b/x", "a-b/x", "a.b", "a/b/y", "a/x", "b", "a")])
    root = graph.scopes()
    assert (root.name, root.num_operations) == ("", 7)
    assert [(child.name, child.num_operations) for child in root.children] == [("a", 3), ("a-b", 1)]
    assert [child.name for child in root.children[0].children] == ["a/b"]
    assert repr(root.children[0]) == "<tensorbundle.Scope 'a' 3 operations>"


# DOT.

LINE = re.compile(
    r'digraph \{|\}|  rankdir=BT;|  node \[shape=box\];|  n\d+ \[label="(?:[^"\\]|\\["\\n])*"\];'
    r'|  n\d+ -> n\d+(?: \[(?:style=dashed|taillabel="\d+")\])?;'
)


def test_dot_is_well_formed() -> None:
    odd = [
        'a"b',
        "back\\",
        "new\nline",
        'q\\"',
        "{}<>|",
        "é",
        b"\xff",
        "\x1b]0;x\x07",
        "a\u2028b",
        "n;",
    ]
    nodes = [node(f"{i}") for i in range(1)] + [node(name, "Op") for name in odd]
    graph = opened(*nodes, node("out", "Op", ["é:2", 'a"b', "^{}<>|"]))
    lines = graph.to_dot().split("\n")
    assert lines.pop() == ""
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert len(lines) == 4 + len(graph) + 3
    assert sum("dashed" in line for line in lines) == 1
    some = graph.to_dot(["out", "é"])
    assert some.count("label=") - some.count("taillabel=") == 2
    assert some.count("->") == 1


# Counts and lists.


def library() -> tb.Graph:
    body = [
        node("w", "Own"),
        const("big", tensor(FLOAT, [9], more=floats(*range(9)))),
        node("r", "f"),
    ]
    nodes = [
        node("p", "Placeholder", dtype=of_type(FLOAT), shape=of_shape([-1])),
        const("c", tensor(FLOAT, [1], more=floats(1))),
        node("q", "PlaceholderWithDefault", ["c"]),
        node("m", "Mul", ["p", "q"], T=of_type(FLOAT)),
        node("call", "f", ["m"]),
        node("x", "Own", ["m"]),
        node("y", "Own:Odd/name", ["x"]),
        node("none", "NoOp", ["^y"]),
    ]
    return opened(*nodes, functions=[function(op_def("f"), body), function(op_def("g"))])


def test_op_counts() -> None:
    graph = library()
    assert graph.op_counts() == Counter(op.type for op in graph.get_operations())
    deep = graph.op_counts(functions=True)
    bodies = [op for f in graph.functions.values() for op in f.graph.get_operations()]
    assert deep == Counter(op.type for op in [*graph.get_operations(), *bodies])
    assert list(deep.values()) == sorted(deep.values(), reverse=True)
    assert graph.functions["f"].graph.op_counts(functions=True) == {"Own": 1, "Const": 1, "f": 1}


def test_placeholders_outputs_and_custom_ops() -> None:
    graph = library()
    assert [op.name for op in graph.placeholders] == ["p", "q"]
    assert graph.outputs == []  # the function gives nothing, and a control edge takes "y"
    custom = graph.custom_ops
    assert {op: [each.name for each in ops] for op, ops in custom.items()} == {
        "Own": ["x", "w"],
        "Own:Odd/name": ["y"],
    }
    assert custom["Own"][1].graph.function_name == "f"


def test_tensorflow_ops_are_known() -> None:
    versions = tb.tensorflow_versions()
    assert len(versions) > 8
    assert tb.tensorflow_op("MatMul") == (versions[0], versions[-1])
    assert tb.tensorflow_op("NoSuchOp") is None
    assert tb.tensorflow_op("") is None


def test_constants_are_the_largest_first() -> None:
    graph = library()
    found = graph.constants()
    assert [op.name for op in found] == ["big", "c"]
    assert found[0].nbytes > found[1].nbytes > 0
    assert graph.functions["f"].graph.constants() == found[:1]


# Identity.


def test_equality_and_hash() -> None:
    data = meta_graph(graph_def([node("a", "Own"), node("b", "Own", ["a"])]))
    one, other = tb.load_meta_graph(data).graph, tb.load_meta_graph(data).graph
    a, b = one.get_operations()
    assert a == one.get_operation_by_name("a") == b.inputs[0].op
    assert hash(a) == hash(b.inputs[0].op)
    assert b.inputs[0] == a.outputs[0] == one.get_tensor_by_name("a:0")
    assert len({a, b, b.inputs[0].op, a.outputs[0], b.inputs[0]}) == 3
    assert a != b
    assert a != other.get_operations()[0]
    assert a.outputs[0] != other.get_tensor_by_name("a:0")
    assert a != "a"
    assert a.outputs[0] != a
    assert one == a.graph == b.outputs[0].graph
    assert one != other
    for element in (a, a.outputs[0], one):
        with pytest.raises(AttributeError):
            element.name = "x"  # type: ignore[misc]


def test_what_elements_are_taken() -> None:
    graph = library()
    op, out = graph.get_operation_by_name("m"), graph.get_tensor_by_name("m:0")
    for start in ("m", "m:0", op, out, ["m"], (op, "m"), {out}, iter([op])):
        assert [each.name for each in graph.ancestors(start)] == ["p", "c", "q", "m"]
    assert graph.ancestors([]) == []
    for wrong, error in ((None, TypeError), (3, TypeError), ([3], TypeError), ("gone", KeyError)):
        with pytest.raises(error):
            graph.ancestors(wrong)
    with pytest.raises(ValueError, match="not an element of this graph"):
        graph.ancestors(library().get_operation_by_name("m"))
    inner = graph.functions["f"].graph
    with pytest.raises(ValueError, match="not an element of this graph"):
        graph.ancestors(inner.get_operations())


def test_reprs() -> None:
    graph = library()
    assert repr(graph) == "<tensorbundle.Graph 8 nodes>"
    assert repr(graph.get_operation_by_name("m")) == "<tensorbundle.Operation 'm' type=Mul>"
    assert (
        repr(graph.get_tensor_by_name("p:0"))
        == "<tensorbundle.Tensor 'p:0' dtype=float32 shape=(None,)>"
    )
    assert repr(graph.functions["f"]) == "<tensorbundle.Function 'f' 0 arguments, 3 nodes>"
    assert repr(graph.functions["f"].graph) == "<tensorbundle.Graph of function 'f' 3 nodes>"
