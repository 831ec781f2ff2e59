"""Published faults of other readers, and of runtimes, that stand nowhere else (FORMAT 10.4)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from encoding import bytes_field, shape_proto, varint_field
from graph_maker import FLOAT, STRING, const, meta_graph, node, of_type, opened, saved_model, tensor
from graph_maker import graph_def as graph_bytes
from graph_touch import touch
from tensorbundle.errors import CorruptionError, UnsupportedError
from variables_maker import checkpoint_of, graph_of, restore, strings, types, variable

CLEAN = {"CorruptionError", "UnsupportedError"}
RESOURCE, VARIANT, INT64 = 20, 21, 9


# Ops that are never executed here: their names are only followed.


@pytest.mark.format_row("10.4", "CVE-2021-37639")
@pytest.mark.parametrize("names", [(), ("w",)])
@pytest.mark.parametrize("op", ["RestoreV2", "RestoreSlice", "Restore"])
def test_a_restore_of_fewer_names_than_tensors(
    tmp_path: Path, op: str, names: tuple[str, ...]
) -> None:
    made = restore("r", "names", "specs", FLOAT, FLOAT)
    if op != "RestoreV2":
        made = node("r", op, ["file", "names", "specs"][: 2 if op == "Restore" else 3])
    graph = graph_of(
        variable("w"),
        variable("v"),
        strings("names", *names),
        strings("specs"),
        made,
        node("a", "Assign", ["w", "r"]),
        node("b", "Assign", ["v", "r:1"]),
    )
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,)), graph)
    assert {one.name for one in variables} == {"v", "w"}
    assert variables["w"].key == "w"
    # Without names the rule for variables is left; with one, the second output restores nothing.
    assert variables["v"].key == (None if names else "v")
    (finding,) = variables.findings
    assert '"v"' in finding.text


@pytest.mark.format_row("10.4", "CVE-2021-37648")
@pytest.mark.parametrize("specs", [(), ("",), ("2 0,9:-",), ("a", "b", "c", "d")])
def test_a_save_whose_lists_do_not_match(tmp_path: Path, specs: tuple[str, ...]) -> None:
    graph = graph_of(
        variable("w"),
        strings("names", "w", "v", "u"),
        strings("specs", *specs),
        node("s", "SaveV2", ["file", "names", "specs", "w"], dtypes=types(FLOAT, FLOAT)),
    )
    variables = tb.Variables(checkpoint_of(tmp_path, w=(2,)), graph)
    assert variables["w"].key == "w"
    assert variables["w"].in_checkpoint


# Tensors in graphs.


def values_of(proto: bytes, dtype: int) -> Any:
    graph = opened(const("k", proto, dtype), node("after", "Own"))
    assert graph.get_operation_by_name("after").name == "after"
    return graph.get_operation_by_name("k").get_attr("value")


@pytest.mark.format_row("10.4", "CVE-2022-23564")
@pytest.mark.parametrize("dims", [[-2], [2**62, 2**62], [1] * 300])
def test_a_resource_handle_of_an_impossible_shape(dims: list[int]) -> None:
    described = varint_field(1, FLOAT) + bytes_field(2, shape_proto(dims))
    handle = bytes_field(1, b"/cpu:0") + bytes_field(3, b"v") + bytes_field(6, described)
    proto = tensor(RESOURCE, [1], more=bytes_field(14, handle))
    assert values_of(proto, RESOURCE).tolist() == [handle]  # its bytes: nobody decodes them
    data = meta_graph(graph_bytes([const("k", proto, RESOURCE)]))
    assert touch(data) == touch(saved_model(data)) == {}


@pytest.mark.format_row("10.4", "CVE-2022-23570")
@pytest.mark.parametrize("dtype", [STRING, RESOURCE, VARIANT, 0, 200])
@pytest.mark.parametrize("more", [b"", bytes_field(15, b""), bytes_field(15, b"\x0a\x00\x1a\x00")])
def test_a_tensor_of_which_nothing_is_there(dtype: int, more: bytes) -> None:
    for proto in (varint_field(1, dtype) + more, tensor(dtype, [3], more=more)):
        with contextlib.suppress(CorruptionError, UnsupportedError):
            values_of(proto, dtype)
        assert set(touch(meta_graph(graph_bytes([const("k", proto, dtype)])))) <= CLEAN


@pytest.mark.format_row("10.4", "CVE-2022-23580")
def test_a_shape_that_only_a_value_claims() -> None:
    """The value is read; no shape is inferred from it, and nothing allocated for it."""
    huge = tensor(INT64, [3], (2**40).to_bytes(8, "little") * 2 + b"\xff" * 8)
    fill = node("fill", "Fill", ["k", "k"], T=of_type(FLOAT), index_type=of_type(INT64))
    graph = opened(const("k", huge, INT64), fill)
    assert graph.get_operation_by_name("k").get_attr("value").tolist() == [2**40, 2**40, -1]
    assert graph.get_tensor_by_name("fill:0").shape is None
    assert touch(graph.to_graph_def_bytes()) == {}


@pytest.mark.format_row("10.4", "CVE-2022-23571")
@pytest.mark.format_row("10.4", "CVE-2022-23582")
@pytest.mark.parametrize("dims", [[2**31, 2**32], [0, -1], [2**62, 3], [-1], [1] * 255])
@pytest.mark.parametrize("dtype", [FLOAT, 0, 101, 200])
def test_a_saved_model_with_a_crafted_shape(dims: list[int], dtype: int) -> None:
    proto = tensor(dtype, dims)
    with pytest.raises(tb.CheckpointError) as caught:
        values_of(proto, dtype)
    assert type(caught.value).__name__ in CLEAN
    data = saved_model(meta_graph(graph_bytes([const("k", proto, dtype)])))
    assert set(touch(data)) <= CLEAN
