"""Savers as other versions and other people make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from variables_cases import CASES
from variables_oracle import check_against, check_keys, restored, same_value, save
from variables_rewrite import (
    old_saves,
    one_by_one,
    rewrite,
    without_restores,
    without_savers,
)

REWRITTEN = ["refs", "resources", "renamed", "sharded", "swapped", "reshaped"]


@pytest.mark.parametrize("name", [*REWRITTEN, "partitioned"])
def test_a_restore_op_for_each_variable(tf: Any, tmp_path: Path, name: str) -> None:
    prefix = save(tf, tmp_path, CASES[name])
    rewrite(prefix, one_by_one("RestoreV2"))
    ckpt = tb.open(prefix)
    check_against(restored(tf, prefix), ckpt)
    check_keys(tf, prefix, ckpt)
    assert ckpt.variables.findings == []


@pytest.mark.parametrize(
    ("name", "op", "saves"),
    [
        ("refs", "RestoreSlice", "SaveSlices"),
        ("resources", "RestoreSlice", "SaveSlices"),
        ("renamed", "RestoreSlice", "SaveSlices"),
        ("sharded", "RestoreSlice", "SaveV2"),
        ("refs", "Restore", "Save"),
        ("swapped", "Restore", "Save"),
    ],
)
def test_ops_of_the_first_format(tf: Any, tmp_path: Path, name: str, op: str, saves: str) -> None:
    prefix = save(tf, tmp_path, CASES[name])
    theirs = restored(tf, prefix)
    if saves != "SaveV2":
        rewrite(prefix, old_saves(saves))
    rewrite(prefix, one_by_one(op))
    ckpt = tb.open(prefix)
    check_against(theirs, ckpt)
    check_keys(tf, prefix, ckpt)
    assert ckpt.variables.findings == []


@pytest.mark.parametrize("name", [*REWRITTEN[:-1], "partitioned"])
def test_only_the_side_that_saves(tf: Any, tmp_path: Path, name: str) -> None:
    prefix = save(tf, tmp_path, CASES[name])
    theirs = restored(tf, prefix)
    rewrite(prefix, without_restores)
    if name == "resources":
        rewrite(prefix, old_saves("SaveSlices"))
    ckpt = tb.open(prefix)
    check_keys(tf, prefix, ckpt)
    assert {variable.key_source for variable in ckpt.variables} == {"save"}
    for variable in ckpt.variables:
        for one in variable.parts or [variable]:
            same_value(one.numpy(), theirs[one.name].value)
    assert ckpt.variables.findings == []


@pytest.mark.parametrize("name", ["refs", "resources", "partitioned"])
def test_no_saver(tf: Any, tmp_path: Path, name: str) -> None:
    """Then the rule for names says which tensor it is."""
    prefix = save(tf, tmp_path, CASES[name])
    theirs = restored(tf, prefix)
    rewrite(prefix, without_savers)
    ckpt = tb.open(prefix)
    check_keys(tf, prefix, ckpt)
    assert {variable.key_source for variable in ckpt.variables} == {"name"}
    for variable in ckpt.variables:
        for one in variable.parts or [variable]:
            same_value(one.numpy(), theirs[one.name].value)
    assert ckpt.variables.findings == []


def test_the_saver_that_wrote_the_file_counts(tf: Any, tmp_path: Path) -> None:
    """Without a checkpoint, and with one that has the names of all savers."""

    def build(_: Any, v1: Any) -> Any:
        variables = [v1.get_variable(name, [2]) for name in ("a", "b")]
        names = [("a", "b"), ("b", "a"), ("x", "y")]
        savers = [v1.train.Saver(dict(zip(pair, variables, strict=True))) for pair in names]
        return savers[number]

    for number, want in enumerate((["a", "b"], ["b", "a"], ["x", "y"])):
        prefix = save(tf, tmp_path / str(number), build)
        ckpt = tb.open(prefix)
        assert [variable.key for variable in ckpt.variables] == want
        assert [one.key for one in tb.load_meta_graph(f"{prefix}.meta").variables] == want
        check_against(restored(tf, prefix), ckpt)


def test_the_saver_whose_tensors_are_there_counts(tf: Any, tmp_path: Path) -> None:
    """A graph written by one saver, a checkpoint by another."""

    def build(_: Any, v1: Any) -> Any:
        w = v1.get_variable("w", [2])
        v1.add_to_collection("savers", v1.train.Saver({"old": w}))
        return v1.train.Saver({"new": w})

    def old(_: Any, v1: Any) -> Any:
        return v1.train.Saver({"old": v1.get_variable("w", [2])})

    graph = tb.load_meta_graph(save(tf, tmp_path / "new", build) + ".meta")
    ckpt = tb.open(save(tf, tmp_path / "old", old))
    (variable,) = tb.Variables(ckpt, graph)
    assert (variable.key, variable.in_checkpoint) == ("old", True)
    same_value(variable.numpy(), ckpt["old"])
    assert graph.variables[0].key == "new"


def test_initialized_from_another_checkpoint(tf: Any, tmp_path: Path) -> None:
    """The names in the other checkpoint are not those in this one, though both are restored."""

    def first(_: Any, v1: Any) -> None:
        v1.get_variable("a", [2])
        v1.get_variable("b", [2])

    other = save(tf, tmp_path / "first", first)

    def build(_: Any, v1: Any) -> None:
        v1.get_variable("a", [2])
        v1.get_variable("b", [2])
        v1.get_variable("c", [2])
        v1.train.init_from_checkpoint(other, {"a": "b", "b": "a"})

    prefix = save(tf, tmp_path / "second", build)
    ckpt = tb.open(prefix)
    check_against(restored(tf, prefix), ckpt)
    assert [variable.key for variable in ckpt.variables] == ["a", "b", "c"]
    assert [one.key for one in tb.load_meta_graph(f"{prefix}.meta").variables] == ["a", "b", "c"]
    assert ckpt.variables.findings == []


@pytest.mark.parametrize("name", ["refs", "resources", "partitioned"])
def test_imported_into_a_scope(tf: Any, tmp_path: Path, name: str) -> None:
    """Variables get new names, tensors keep theirs."""
    v1 = tf.compat.v1
    first = save(tf, tmp_path, CASES[name])
    with tf.Graph().as_default(), v1.Session() as session:
        saver = v1.train.import_meta_graph(f"{first}.meta", import_scope="in/here")
        saver.restore(session, first)
        prefix = saver.save(session, str(tmp_path / "again"))
    ckpt = tb.open(prefix)
    check_against(restored(tf, prefix), ckpt)
    check_keys(tf, prefix, ckpt)
    for variable in ckpt.variables:
        assert variable.name == f"in/here/{variable.key}"
    assert ckpt.variables.findings == []


def test_parts_saved_each_on_its_own(tf: Any, tmp_path: Path) -> None:
    """A part has a tensor of its own then, which is the part and not the whole."""

    def build(_: Any, v1: Any) -> Any:
        w = v1.get_variable("w", [7, 2], partitioner=v1.fixed_size_partitioner(2))
        return v1.train.Saver(dict(zip(("upper", "lower"), w, strict=True)))

    prefix = save(tf, tmp_path, build)
    theirs, ckpt = restored(tf, prefix), tb.open(prefix)
    assert {name: info.shape for name, info in zip(ckpt, ckpt.infos(), strict=True)} == {
        "lower": (3, 2),
        "upper": (4, 2),
    }
    found = {one.name: one for whole in ckpt.variables for one in whole.parts or [whole]}
    assert {name: one.key for name, one in found.items()} == {
        "w/part_0": "upper",
        "w/part_1": "lower",
    }
    for name, other in theirs.items():
        same_value(found[name].numpy(), other.value)
    assert ckpt.variables.findings == []


def test_other_things_that_are_saved(tf: Any, tmp_path: Path) -> None:
    """A table's tensors are no variable's, and nothing is wrong with that."""

    def build(tf: Any, v1: Any) -> None:
        v1.get_variable("w", [2])
        tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1, name="table")

    prefix = save(tf, tmp_path, build)
    ckpt = tb.open(prefix)
    assert [name for name in ckpt if "table" in name] == ["table-keys", "table-values"]
    assert ckpt.variables.names() == ["w"]
    assert ckpt.variables.findings == []


def test_a_graph_that_casts_what_it_restores(tf: Any, tmp_path: Path) -> None:
    """The tensor has the type that is restored, not that of the variable."""

    def build(tf: Any, v1: Any) -> None:
        v1.get_variable("w", initializer=tf.constant([1.5, -2.0]), use_resource=False)

    def halves(tf: Any, v1: Any) -> None:
        v1.get_variable("w", initializer=tf.constant([1.5, -2.0], tf.half), use_resource=False)

    def change(meta: Any) -> None:
        (restore,) = (node for node in meta.graph_def.node if node.op == "RestoreV2")
        restore.attr["dtypes"].list.type[0] = 19
        (assign,) = (node for node in meta.graph_def.node if node.name == "save/Assign")
        cast = meta.graph_def.node.add(name="save/Cast", op="Cast", input=[restore.name])
        cast.attr["SrcT"].type, cast.attr["DstT"].type = 19, 1
        assign.input[1] = cast.name

    prefix = save(tf, tmp_path / "a", build)
    rewrite(prefix, change)
    ckpt = tb.open(save(tf, tmp_path / "b", halves))
    variables = tb.Variables(ckpt, tb.load_meta_graph(f"{prefix}.meta"))
    assert variables.findings == []
    assert variables["w"].dtype == "float32"
    assert variables["w"].numpy().dtype == np.float16
