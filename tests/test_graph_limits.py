"""What a small file claims has a limit with a name; what is damaged is said, not left out."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from graph_maker import arg_def, function, node, of_func, of_int, of_type, op_def, opened
from tensorbundle.errors import CorruptionError, UnsupportedError

SPLIT = {"num_split": of_int(1 << 20), "T": of_type(1)}


def test_outputs_of_many_nodes() -> None:
    graph = opened(*(node(f"s{i}", "Split", **SPLIT) for i in range(200)))
    with pytest.raises(UnsupportedError, match="more than 1048576 outputs that nobody takes"):
        graph.outputs  # noqa: B018 - raises


def lists(count: int) -> Any:
    """A function in which `count` nodes each take all of a list of 2^20 tensors."""
    wide = op_def("Wide", outputs=[arg_def("o", dtype=1, number_attr="k")])
    taker = op_def("Taker")
    nodes = [node("a", "Wide", k=of_int(1 << 20))]
    nodes += [node(f"b{i}", "Taker", ["a:o"]) for i in range(count)]
    graph = opened(node("n", "NoOp"), functions=[function(op_def("f"), nodes)], ops=[wide, taker])
    return graph.functions["f"].graph


def test_lists_beyond_the_limit_are_no_missing_edges() -> None:
    body = lists(2)
    assert [op.name for op in body.ancestors("b1")] == ["a", "b1"]
    body = lists(6)
    for act in (body.problems, body.columns, lambda: body.ancestors("b5"), body.to_dot):
        if act == body.problems:
            assert any("lists of more than 4194304 tensors" in text for text in act())
            continue
        with pytest.raises(UnsupportedError, match="lists of more than 4194304 tensors"):
            act()


def test_a_definition_of_too_many_outputs() -> None:
    outputs = [arg_def("o", dtype=1)] * ((1 << 14) + 1)
    graph = opened(node("a", "Big"), ops=[op_def("Big", outputs=outputs)])
    with pytest.raises(CorruptionError, match="defined with 16385 outputs, at most 16384"):
        graph.get_operation_by_name("a").outputs  # noqa: B018 - raises


def test_a_damaged_call_is_said() -> None:
    """Its function may be what restores: a key by name alone must not look as if all were well."""
    called = function(op_def("f"), [node("x", "NoOp")])
    call = node("call", "StatefulPartitionedCall", f=of_func("f"), bad=b"\x0a\xff")
    graph = opened(node("v", "VarHandleOp", dtype=of_type(1)), call, functions=[called])
    meta = tb.load_meta_graph(graph.to_graph_def_bytes())
    (finding,) = meta.variables.findings
    assert finding.kind == "graph not understood"
    assert '"call"' in finding.text


def test_nothing_is_kept_in_a_cycle(data_dir: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        ckpt = tb.open(data_dir / "mnist_mlp")
        kernel = ckpt.variables["dense_1/kernel"]
        assert kernel == ckpt.variables["dense_1/kernel"]
        assert hash(kernel) == hash(ckpt.variables["dense_1/kernel"])
        assert kernel in ckpt.variables
        assert list(kernel.slots) == ["Adam", "Adam_1"]
        gone = weakref.ref(ckpt), weakref.ref(ckpt.meta_graph)
        del ckpt, kernel
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()
