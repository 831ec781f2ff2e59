"""Parts of a graph written out again: the same bytes, and what TensorFlow can import."""

from __future__ import annotations

from typing import Any

import pytest

import tensorbundle as tb
from encoding import bytes_field
from graph_builders import BUILDERS
from graph_maker import (
    func,
    function,
    graph_def,
    meta_graph,
    node,
    of_func,
    of_list,
    op_def,
    opened,
)


@pytest.mark.parametrize("name", BUILDERS)
def test_what_tensorflow_imports(tf: Any, name: str) -> None:
    """Each op with all that it needs, as extract_sub_graph has it."""
    from tensorflow.core.framework.graph_pb2 import GraphDef

    with tf.Graph().as_default():
        BUILDERS[name](tf, tf.compat.v1)
        proto = tf.compat.v1.train.export_meta_graph()
    graph = tb.load_meta_graph(proto.SerializeToString()).graph
    bodies = {body.signature.name: body for body in proto.graph_def.library.function}
    ops = graph.get_operations()
    for op in ops[:: max(1, len(ops) // 12)]:
        data = graph.to_graph_def_bytes(op)
        want = tf.compat.v1.graph_util.extract_sub_graph(proto.graph_def, [op.name])
        cut = GraphDef.FromString(data)
        assert list(cut.node) == list(want.node)
        assert all(body == bodies[body.signature.name] for body in cut.library.function)
        assert refusal(tf, cut) == ""
    assert refusal(tf, GraphDef.FromString(graph.to_graph_def_bytes(ops))) == ""


def refusal(tf: Any, graph_def: Any) -> str:
    """Why TensorFlow does not import it: the beginning, for the text can hold all of it."""
    try:
        with tf.Graph().as_default():
            tf.import_graph_def(graph_def, name="")
    except ValueError as error:
        return str(error)[:200]
    return ""


def test_slices_keep_what_is_not_known() -> None:
    unknown = bytes_field(77, b"kept") + bytes_field(3000, b"too")
    strange = node("a", "Own") + unknown
    data = unknown + graph_def([strange, node("b", "Own", ["a"]), node("c", "Own")]) + unknown
    graph = tb.load_meta_graph(meta_graph(data)).graph
    assert graph.to_graph_def_bytes() == data
    cut = graph.to_graph_def_bytes("b:0")
    assert cut == data.replace(bytes_field(1, node("c", "Own")), b"")
    assert graph.to_graph_def_bytes("b", inputs="a") == cut
    assert graph.to_graph_def_bytes(["c", graph.get_operation_by_name("a")]).count(b"kept") == 3


def test_slices_keep_the_functions_they_need() -> None:
    listed = of_list(bytes_field(9, func("h")), bytes_field(9, func("i", {"k": of_func("j")})))
    bodies = {
        "f": [node("n", "g")],
        "g": [node("n", "X", body=of_func("h"))],
        "h": [node("n", "f")],
        "i": [],
        "j": [],
        "alone": [node("n", "f")],
    }
    functions = [function(op_def(name), body) for name, body in bodies.items()]
    nodes = [node("a", "f"), node("b", "X", many=listed), node("c", "X", missing=of_func("lost"))]
    graph = opened(*nodes, functions=functions)
    for name, want in (("a", "fgh"), ("b", "fghij"), ("c", "")):
        cut = tb.load_meta_graph(meta_graph(graph.to_graph_def_bytes(name))).graph
        assert "".join(cut.functions) == want
        for kept, function_ in cut.functions.items():
            assert function_.function_def == graph.functions[kept].function_def
    with pytest.raises(ValueError, match="no GraphDef"):
        graph.functions["f"].graph.to_graph_def_bytes()


def test_slices_keep_colocated_nodes(tf: Any) -> None:
    """As TensorFlow's own extract_sub_graph does: it could not import them otherwise."""
    with tf.Graph().as_default() as theirs:
        a = tf.constant(1.0, name="a")
        with tf.compat.v1.colocate_with(tf.identity(a, "far")):
            tf.constant(2.0, name="b")
    data = theirs.as_graph_def()
    ours = tb.load_meta_graph(meta_graph(data.SerializeToString())).graph
    cut = type(data).FromString(ours.to_graph_def_bytes("b"))
    want = tf.compat.v1.graph_util.extract_sub_graph(data, ["b"])
    assert [node_.name for node_ in cut.node] == [node_.name for node_ in want.node]
    with tf.Graph().as_default():
        tf.import_graph_def(cut, name="")
