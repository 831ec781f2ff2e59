"""Graphs made to break the join: cycles, false slices, numbers that multiply."""

from __future__ import annotations

import resource as limits
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from encoding import bytes_field
from graph_maker import FLOAT, STRING, arg_def, const, function, node, of_type, op_def, tensor
from tensorbundle.errors import CheckpointError, CorruptionError
from variables_maker import (
    Slice,
    checkpoint_of,
    collected,
    graph_of,
    resource,
    restore,
    said,
    saver,
    strings,
    types,
    variable,
    variable_def,
)

RESOURCE = 20


def restoring(name: str, *more: bytes, keys: int = 1, handles: int = 1) -> bytes:
    """A function that restores `keys` tensors into its argument."""
    body = [
        strings("file", "x"),
        strings("keys", *[f"k{i}" for i in range(keys)]),
        strings("specs", *[""] * keys),
        node(
            "r",
            "RestoreV2",
            ["file:output:0", "keys:output:0", "specs:output:0"],
            dtypes=types(*[FLOAT] * keys),
        ),
    ]
    body += [
        node(f"a{i}", "AssignVariableOp", [f"h{i % handles}", f"r:tensors:{i}"])
        for i in range(keys)
    ]
    arguments = [arg_def(f"h{i}", dtype=RESOURCE) for i in range(handles)]
    return function(op_def(name, arguments), [*body, *more])


def test_a_function_that_calls_itself() -> None:
    f = restoring("f", node("again", "f", ["h0"]))
    variables = graph_of(resource("v"), node("call", "f", ["v"]), functions=[f]).variables
    assert (variables["v"].key, variables["v"].key_source) == ("k0", "restore")
    assert variables.findings == []


def test_functions_that_call_each_other() -> None:
    f, g = restoring("f", node("to", "g", ["h0"])), restoring("g", node("back", "f", ["h0"]))
    for nodes in ([node("call", "g", ["v"])], []):
        variables = graph_of(resource("v"), *nodes, functions=[f, g]).variables
        assert variables["v"].key == ("k0" if nodes else "v")


def test_names_that_a_function_hands_to_itself() -> None:
    body = [
        node("r", "RestoreV2", ["n", "n", "n"], dtypes=types(FLOAT)),
        node("a", "AssignVariableOp", ["h", "r:tensors:0"]),
        node("again", "f", ["h", "n"]),
    ]
    arguments = [arg_def("h", dtype=RESOURCE), arg_def("n", dtype=STRING)]
    f = function(op_def("f", arguments), body)
    variables = graph_of(resource("v"), functions=[f]).variables
    assert [one.kind for one in variables.findings] == ["graph not understood"]
    called = graph_of(resource("v"), strings("n", "key"), node("c", "f", ["v", "n"]), functions=[f])
    # The call from the graph says which names, whichever of the two calls comes first.
    assert called.variables["v"].key == "key"


def test_cycles() -> None:
    variables = graph_of(
        variable("v"),
        *saver({"v": "k"}),
        node("i", "Identity", ["j"]),
        node("j", "Identity", ["i"]),
        node("assign_i", "Assign", ["i", "save/restore"]),
        node("x", "Identity", ["save/restore"]),
        node("y", "Identity", ["x", "y"]),
        node("self", "Assign", ["self", "save/restore"]),
        restore("cyclic", "i", "j"),
    ).variables
    assert variables["v"].key == "k"
    assert [one.kind for one in variables.findings] == ["graph not understood"]


def test_a_splat_of_names() -> None:
    """One string for 2**40 names: not expanded."""
    names = const("n", tensor(STRING, [2**40], more=bytes_field(8, b"k")), STRING)
    graph = graph_of(variable("v"), names, strings("s", ""), restore("r", "n", "s"),
                     node("a", "Assign", ["v", "r"]))  # fmt: skip
    assert graph.variables["v"].key == "k"


def test_ten_thousand_variables(tmp_path: Path) -> None:
    count = 10_000
    names = [f"scope/v{i}" for i in range(count)]
    graph = graph_of(
        *(variable(name) for name in names),
        *saver({name: f"key/{name}" for name in names}),
        collections=collected(*(variable_def(name) for name in names)),
    )
    ckpt = checkpoint_of(tmp_path, **{f"key/{name}": np.float32([1, 2]) for name in names})
    variables = tb.Variables(ckpt, graph)
    assert variables.findings == []
    assert variables.names() == names
    assert [one.key for one in variables] == [f"key/{name}" for name in names]
    assert len(variables.weights) == count


def test_ten_thousand_savers() -> None:
    """One restore op, with constants of its own, for each variable."""
    nodes = []
    for i in range(10_000):
        nodes += [variable(f"v{i}"), *saver({f"v{i}": f"k{i}"}, f"save_{i}")]
    variables = graph_of(*nodes).variables
    assert [one.key for one in variables] == [f"k{i}" for i in range(10_000)]


# Where each of few things meets each of few others. Minutes, if every way is gone each time.


def memory() -> int:
    return limits.getrusage(limits.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.timeout(20)
def test_many_calls_of_a_function_with_many_restores() -> None:
    """10,000 tensors, and 10,000 calls: not a hundred million links."""
    count, before = 10_000, memory()
    nodes = [resource(f"v{i}") for i in range(count)]
    nodes += [node(f"c{i}", "f", [f"v{i}"]) for i in range(count)]
    variables = graph_of(*nodes, functions=[restoring("f", keys=count)]).variables
    assert len(variables) == count
    assert memory() - before < 500e6


@pytest.mark.timeout(20)
def test_many_assignments_at_the_end_of_a_long_way() -> None:
    """60,000 assignments through one chain of 900 identities: gone once, not 60,000 times."""
    chain = ["v", *(f"d{i}" for i in range(900))]
    nodes = [node(name, "Identity", [source]) for source, name in pairwise(chain)]
    nodes += [node(f"a{i}", "Assign", [chain[-1], "save/restore"]) for i in range(60_000)]
    variables = graph_of(variable("v"), *saver({}), strings("n", "k"), *nodes).variables
    assert len(variables) == 1


@pytest.mark.timeout(20)
def test_long_names() -> None:
    """Slots within very many scopes."""
    deep = "a/" * 5000
    variables = graph_of(*(variable(f"{deep}{i}/Adam") for i in range(300))).variables
    assert {one.kind for one in variables} == {"slot"}


# Slices that are false.

BAD_SLICES: dict[str, Slice] = {
    "of other lengths": ("w", [4, 2], [0, 0], [2]),
    "too few starts": ("w", [4, 2], [0], [2, 2]),
    "negative start": ("w", [4, 2], [-2, 0], [2, 2]),
    "negative size": ("w", [4, 2], [0, 0], [-2, 2]),
    "beyond the whole": ("w", [4, 2], [3, 0], [2, 2]),
    "overflow": ("w", [4, 2], [2**63 - 1, 0], [2**63 - 1, 2]),
    "whole of another rank": ("w", [4], [0, 0], [2, 2]),
}


@pytest.mark.parametrize("name", BAD_SLICES)
def test_false_slices(tmp_path: Path, name: str) -> None:
    """Reported, or raised as ours; never a wrong value in silence."""
    defs = collected(variable_def("p", BAD_SLICES[name]))
    graph = graph_of(variable("p", (2, 2)), collections=defs)
    ckpt = checkpoint_of(tmp_path, w=np.arange(8, dtype=np.float32).reshape(4, 2))
    try:
        variables = tb.Variables(ckpt, graph)
        parts = [part for one in variables for part in one.parts or [one]]
        for part in parts:
            repr(part)
            part.part_of_whole  # noqa: B018 - may raise
            value = part.numpy()
            assert value.shape == (2, 2)
    except CheckpointError:
        return
    assert variables.findings


@pytest.mark.parametrize(
    "spec", ["4 2 -2,2:0,2", "4 2 3,2:0,2", "4 2 0,9999999999999999999:-", "4 2 0,-1:-", "4 2", " "]
)
def test_false_slices_of_restores(tmp_path: Path, spec: str) -> None:
    graph = graph_of(
        variable("p", (2, 2)),
        strings("n", "w"),
        strings("s", spec),
        restore("r", "n", "s"),
        node("a", "Assign", ["p", "r"]),
    )
    ckpt = checkpoint_of(tmp_path, w=np.arange(8, dtype=np.float32).reshape(4, 2))
    try:
        variables = tb.Variables(ckpt, graph)
        for one in variables:
            for part in one.parts or [one]:
                part.part_of_whole  # noqa: B018 - may raise
                part.numpy()
    except CheckpointError:
        return
    assert variables.findings


def test_a_part_of_a_tensor_that_is_too_small(tmp_path: Path) -> None:
    """A part of rows that the tensor does not have is no shorter array."""
    parts = [("w", [4], [0], [2]), ("w", [4], [2], [2])]
    defs = collected(*(variable_def(f"p{i}", part) for i, part in enumerate(parts)))
    graph = graph_of(variable("p0"), variable("p1"), collections=defs)
    variables = tb.Variables(checkpoint_of(tmp_path, w=(3,)), graph)
    assert [one.kind for one in variables.findings] == ["shapes disagree"]
    upper, lower = variables["w"].parts
    assert upper.numpy().shape == (2,)
    with pytest.raises((CheckpointError, ValueError, IndexError)):
        lower.numpy()


def test_a_slice_that_is_empty_is_none() -> None:
    """Written by versions that always wrote the field."""
    empty = ("", [], [], [])
    (one,) = graph_of(variable("w"), collections=collected(variable_def("w", empty))).variables
    assert (one.name, one.parts, one.part_of_whole) == ("w", [], None)


# Damage.


def test_damage_is_an_error_of_ours() -> None:
    """In a node of a variable, in the inputs of an op that trains, in names."""
    with pytest.raises(CorruptionError, match=r'node "v".*attribute "dtype"'):
        graph_of(node("v", "VariableV2", dtype=b"\x0a\xff")).variables  # noqa: B018 - raises
    twice = graph_of(variable("v"), variable("v"))
    with pytest.raises(CorruptionError, match=r'"v".*unique'):
        twice.variables  # noqa: B018 - raises
    absent = graph_of(variable("v"), node("train", "ApplyMomentum", ["v", "nowhere"]))
    (finding,) = absent.variables.findings
    assert finding.kind == "graph not understood"
    assert all(part in finding.text for part in ('"train"', '"nowhere"'))


def test_attributes_of_another_kind() -> None:
    odd = node("v", "VariableV2", dtype=of_type(999), shape=of_type(1))
    (one,) = graph_of(odd).variables
    assert one.shape is None
    assert str(one.dtype)
    assert repr(one)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = "v\udcff"
    graph = graph_of(variable(name), *saver({name: name}))
    variables = tb.Variables(checkpoint_of(tmp_path, **{name: (2,)}), graph)
    assert variables.names() == [name]
    assert variables[name].key == name
    assert variables[name].numpy().shape == (2,)
    assert said(variables) == []
