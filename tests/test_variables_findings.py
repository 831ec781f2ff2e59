"""What does not fit between a graph and a checkpoint: each kind, its text, its attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from graph_maker import FLOAT, const, node, node_list, tensor
from tensorbundle.errors import NotInGraphError, TensorNotFoundError
from variables_maker import (
    bytes_list,
    checkpoint_of,
    collected,
    graph_of,
    resource,
    restore,
    said,
    saver,
    strings,
    variable,
    variable_def,
)
from variables_oracle import save


def test_a_variable_without_a_tensor(tmp_path: Path) -> None:
    graph = graph_of(variable("w"), variable("gone"), *saver({"w": "w", "gone": "x/gone"}))
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,)), graph)
    text = 'variable "gone": the checkpoint has no tensor "x/gone"'
    assert said(variables) == [("variable without a tensor", "gone", "x/gone", text)]
    (finding,) = variables.findings
    assert str(finding) == text
    assert repr(finding) == f"<tensorbundle.Finding variable without a tensor: {text}>"
    assert repr(variables) == "<tensorbundle.Variables 2, 1 findings>"
    gone = variables["gone"]
    assert (gone.key, gone.key_source, gone.in_checkpoint) == ("x/gone", "restore", False)
    for get in (gone.numpy, lambda: gone.info):
        with pytest.raises(TensorNotFoundError, match="x/gone"):
            get()


def test_a_tensor_without_a_variable(tmp_path: Path) -> None:
    graph = graph_of(variable("w"), *saver({"w": "w"}))
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,), **{"old/w": (3,)}), graph)
    text = 'tensor "old/w": no variable of the graph is restored from it'
    assert said(variables) == [("tensor without a variable", None, "old/w", text)]
    assert variables.names() == ["w"]


def test_dtypes_disagree(tmp_path: Path) -> None:
    graph = graph_of(variable("w"), *saver({"w": "w"}))
    variables = tb.Variables(checkpoint_of(tmp_path, w=np.zeros(2, np.float64)), graph)
    text = 'variable "w": the graph has float32, tensor "w" is float64'
    assert said(variables) == [("dtypes disagree", "w", "w", text)]
    assert variables["w"].dtype == "float32"
    assert variables["w"].numpy().dtype == np.float64


@pytest.mark.parametrize("shape", [(3,), (2, 1), ()])
def test_shapes_disagree(tmp_path: Path, shape: tuple[int, ...]) -> None:
    graph = graph_of(variable("w"), *saver({"w": "w"}))
    variables = tb.Variables(checkpoint_of(tmp_path, w=shape), graph)
    text = f'variable "w": the graph has shape [2], tensor "w" has {list(shape)}'
    assert said(variables) == [("shapes disagree", "w", "w", text)]
    assert variables["w"].shape == (2,)
    assert variables["w"].numpy().shape == shape


def test_dtypes_and_shapes_disagree(tmp_path: Path) -> None:
    graph = graph_of(variable("w"), *saver({"w": "w"}))
    variables = tb.Variables(checkpoint_of(tmp_path, w=np.zeros((3, 4), np.int32)), graph)
    assert [one.kind for one in variables.findings] == ["dtypes disagree", "shapes disagree"]


@pytest.mark.parametrize("shape", [None, (-1,), (-1, 3)])
def test_unknown_shapes_agree(tmp_path: Path, shape: tuple[int, ...] | None) -> None:
    graph = graph_of(variable("w", shape), *saver({"w": "w"}))
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2, 3)), graph)
    assert bool(variables.findings) is (shape == (-1,))
    for finding in variables.findings:
        assert finding.text == 'variable "w": the graph has shape [?], tensor "w" has [2, 3]'


def test_a_variable_that_is_not_saved(tmp_path: Path) -> None:
    graph = graph_of(variable("w"), resource("extra"), *saver({"w": "w"}))
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,)), graph)
    text = 'variable "extra": no saver of the graph restores it'
    assert said(variables) == [("variable that is not saved", "extra", None, text)]
    extra = variables["extra"]
    assert (extra.key, extra.in_checkpoint) == (None, False)
    with pytest.raises(
        TensorNotFoundError, match="variable 'extra' is not saved in the checkpoint"
    ):
        extra.numpy()


def test_not_saved_by_this_graph_but_there(tmp_path: Path) -> None:
    """Then the rule for names finds it."""
    graph = graph_of(variable("w"), resource("extra"), *saver({"w": "w"}))
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,), extra=(2,)), graph)
    assert said(variables) == []
    assert (variables["extra"].key, variables["extra"].key_source) == ("extra", "name")


def test_local_ones_need_no_tensor(tmp_path: Path) -> None:
    graph = graph_of(
        variable("w"),
        variable("count"),
        *saver({"w": "w"}),
        collections={"local_variables": bytes_list(variable_def("count"))},
    )
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,)), graph)
    assert said(variables) == []
    assert variables["count"].key is None


def test_the_order_of_findings(tmp_path: Path) -> None:
    """The graph's faults, its variables in their order, then tensors in theirs."""
    nodes = [variable("b"), variable("a"), *saver({"b": "b", "a": "a"})]
    graph = graph_of(*nodes, restore("odd", "b", "b"))
    variables = tb.Variables(checkpoint_of(tmp_path, y=(2,), x=(2,)), graph)
    assert [one.variable or one.key for one in variables.findings] == [None, "b", "a", "x", "y"]


# Names that are no constants.


def placeholder(name: str) -> bytes:
    return node(name, "Placeholder")


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        (placeholder("keys"), "names"),
        (node("keys", "StringJoin", ["file", "file"]), "names"),
        (const("keys", tensor(FLOAT, [1], b"\0" * 4)), "names"),
        (const("keys", b"\x08\x07\x12\xff", 7), "names"),
        (node("keys", "Const"), "names"),
        (node("keys", "Identity", ["keys"]), "names"),
        (node("keys", "Identity"), "names"),
        (strings("keys", "renamed"), "slices"),
    ],
    ids=["fed", "computed", "floats", "broken", "empty", "itself", "nothing", "slices"],
)
def test_names_that_are_computed(tmp_path: Path, keys: bytes, what: str) -> None:
    """Then the rule for names is left, and a finding says so."""
    specs = "specs" if what == "slices" else "file"
    graph = graph_of(
        variable("w"),
        keys,
        placeholder("specs"),
        restore("save/restore", "keys", specs),
        node("assign", "Assign", ["w", "save/restore"]),
    )
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,)), graph)
    noun = "names" if what == "names" else "slices"
    ((kind, about, key, text),) = said(variables)
    assert (kind, about, key) == ("graph not understood", None, None)
    assert text.startswith(f'node "save/restore": the {noun} of the tensors cannot be told: ')
    assert (variables["w"].key, variables["w"].key_source) == ("w", "name")
    assert variables["w"].in_checkpoint
    assert graph.variables["w"].key == "w"


@pytest.mark.parametrize("inputs", [[], ["file"], ["file", "names"], ["nowhere", "a", "b"]])
@pytest.mark.format_row("10.4", "CVE-2021-37639")
def test_restore_ops_without_inputs(tmp_path: Path, inputs: list[str]) -> None:
    nodes = [variable("w"), strings("names", "w"), node("r", "RestoreV2", inputs)]
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,)), graph_of(*nodes))
    (finding,) = variables.findings
    assert finding.kind == "graph not understood"
    assert '"r"' in finding.text
    assert variables["w"].key_source == "name"


def test_one_saver_of_two_is_not_understood(tmp_path: Path) -> None:
    graph = graph_of(
        variable("w"),
        *saver({"w": "renamed"}),
        placeholder("p"),
        restore("other", "p", "p"),
        node("other/assign", "Assign", ["w", "other"]),
    )
    variables = tb.Variables(checkpoint_of(tmp_path, renamed=(2,)), graph)
    assert [one.kind for one in variables.findings] == ["graph not understood"]
    assert (variables["w"].key, variables["w"].key_source) == ("renamed", "restore")


def test_more_outputs_than_names(tmp_path: Path) -> None:
    graph = graph_of(
        variable("w"),
        variable("v"),
        *saver({"w": "w"}),
        node("late", "Assign", ["v", "save/restore:3"]),
    )
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,)), graph)
    assert variables["v"].key is None
    assert variables["w"].key == "w"


# Collections that are not as they should be.


def test_duplicates_in_collections() -> None:
    graph = graph_of(
        variable("w"),
        collections=collected(variable_def("w"), variable_def("w"))
        | {"local_variables": node_list("w:0", "w:0", "w"), "mine": bytes_list(variable_def("w"))},
    )
    (w,) = graph.variables
    assert w.collections == ("local_variables", "mine", "trainable_variables", "variables")


def test_variable_defs_that_do_not_parse() -> None:
    broken = [b"", b"\xff", b"\x0a\x7fw", b"\x12\x01x", b"\x0a\x00", b"plain text"]
    graph = graph_of(variable("w"), collections=collected(*broken, variable_def("w")))
    variables = graph.variables
    assert variables.names() == ["w"]
    assert variables["w"].trainable is True
    found = [finding for finding in variables.findings if finding.kind == "graph not understood"]
    assert len(found) == len(variables.findings) == 6  # b"\xff", the cut ones and the text, twice
    assert 'collection "trainable_variables"' in str(found[0])


def test_collections_that_name_absent_variables(tmp_path: Path) -> None:
    graph = graph_of(
        variable("w"),
        node("noise", "NoOp"),
        *saver({"w": "w"}),
        collections=collected(variable_def("gone"), variable_def("w"))
        | {"mine": bytes_list(variable_def("nor_this")), "local_variables": node_list("noise")},
    )
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,)), graph)
    assert variables.names() == ["gone", "w"]
    gone = variables["gone"]
    assert (gone.op, gone.dtype, gone.shape, gone.key) == (None, None, None, None)
    with pytest.raises(NotInGraphError, match="gone/Assign"):
        gone.initializer  # noqa: B018 - raises
    with pytest.raises(NotInGraphError, match="gone/read"):
        gone.snapshot  # noqa: B018 - raises
    assert gone.initial_value is None
    kinds = [(one.kind, one.variable) for one in variables.findings]
    assert kinds == [("variable that is not saved", "gone")]


def test_two_checkpoints_of_tensorflow(tf: Any, tmp_path: Path) -> None:
    """The graph of one run with the tensors of another."""

    def first(tf: Any, v1: Any) -> None:
        for name, shape in (("same", [2]), ("shape", [3, 2]), ("dtype", [4]), ("only_here", [1])):
            v1.get_variable(name, shape, tf.float32)

    def second(tf: Any, v1: Any) -> None:
        v1.get_variable("same", [2])
        v1.get_variable("shape", [3, 3])
        v1.get_variable("dtype", [4], tf.float64)
        v1.get_variable("only_there", [1])

    graph = tb.load_meta_graph(save(tf, tmp_path / "a", first) + ".meta")
    ckpt = tb.open(save(tf, tmp_path / "b", second))
    variables = tb.Variables(ckpt, graph)
    assert said(variables) == [
        (
            "shapes disagree",
            "shape",
            "shape",
            'variable "shape": the graph has shape [3, 2], tensor "shape" has [3, 3]',
        ),
        (
            "dtypes disagree",
            "dtype",
            "dtype",
            'variable "dtype": the graph has float32, tensor "dtype" is float64',
        ),
        (
            "variable without a tensor",
            "only_here",
            "only_here",
            'variable "only_here": the checkpoint has no tensor "only_here"',
        ),
        (
            "tensor without a variable",
            None,
            "only_there",
            'tensor "only_there": no variable of the graph is restored from it',
        ),
    ]
