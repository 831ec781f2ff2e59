from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from command import Result, cli
from encoding import bytes_field
from graph_maker import (
    STRING,
    const,
    graph_def,
    meta_graph,
    node,
    of_list,
    of_shape,
    of_type,
    tensor,
)
from writer import Bundle


@pytest.fixture
def mnist(data_dir: Path) -> Path:
    return data_dir / "mnist_mlp"


@pytest.fixture
def alone(tmp_path: Path, mnist: Path) -> Path:
    """A graph without its checkpoint."""
    return Path(shutil.copy(mnist / "model.ckpt-1000.meta", tmp_path / "alone.meta"))


def names(result: Result) -> list[str]:
    return [row["name"] for row in result.document["variables"]]


def test_the_variables_of_a_training_run(mnist: Path) -> None:
    result = cli("vars", mnist)
    assert (result.code, result.err) == (0, "")
    assert result.lines[0].split() == [
        "name", "dtype", "shape", "kind", "trainable", "slots", "bytes",
    ]  # fmt: skip
    rows = {line.split()[0]: line.split()[1:] for line in result.lines if line}
    assert rows["dense_1/kernel"] == [
        "float32", "[196,24]", "weight", "yes", "2", "18.4", "KiB",
    ]  # fmt: skip
    assert rows["dense_1/kernel/Adam"][2:] == ["slot", "no", "18.4", "KiB"]
    assert [line.split() for line in result.lines[-6:-2]] == [
        ["kind", "variables", "elements", "bytes"],
        ["weight", "6", "5,298", "20.7", "KiB"],
        ["slot", "14", "10,598", "41.4", "KiB"],
        ["step", "1", "1", "8", "B"],
    ]
    assert result.lines[-1] == "21 variables, 15,897 elements, 62.1 KiB (63,592 bytes)"


def test_a_choice_of_variables(mnist: Path) -> None:
    with tb.open(mnist) as checkpoint:
        variables = checkpoint.variables
        trainable = [one.name for one in variables.trainable]
        weights = [one.name for one in variables.weights]
        every = variables.names()
    assert names(cli("vars", mnist, "--json")) == every
    assert names(cli("vars", mnist, "--trainable", "--json")) == trainable
    assert names(cli("vars", mnist, "--weights-only", "--json")) == weights
    assert names(cli("vars", mnist, "--sort", "name", "--json")) == sorted(every)
    assert names(cli("vars", mnist, "-m", "*bias", "-m", "re:^dense_2/k", "-w", "--json")) == [
        "dense_1/bias", "dense_2/kernel", "dense_2/bias", "softmax_output/bias",
    ]  # fmt: skip
    result = cli("vars", mnist, "-w", "--sort", "size", "--bytes")
    assert result.lines[1].split()[-1] == "18816"
    assert result.lines[-1].startswith("6 of 21 variables, 5,298 elements, ")


def test_the_document_says_what_the_api_says(mnist: Path) -> None:
    document = cli("vars", mnist, "--json").document
    assert document["total"] == {
        "variables": 21, "stored": 21, "elements": 15897, "bytes": 63592,
    }  # fmt: skip
    assert document["kinds"]["weight"] == {
        "variables": 6, "stored": 6, "elements": 5298, "bytes": 21192,
    }  # fmt: skip
    assert document["findings"] == []
    with tb.open(mnist) as checkpoint:
        for one, row in zip(checkpoint.variables, document["variables"], strict=True):
            for key in ("name", "kind", "trainable", "is_resource", "key", "key_source"):
                assert row[key] == getattr(one, key)
            assert row["in_checkpoint"] is True
            assert row["dtype"] == str(one.dtype)
            assert row["nbytes"] == one.info.nbytes
            assert row["initializer"] == (one.initializer and one.initializer.name)
            assert row["snapshot"] == (one.snapshot and one.snapshot.name)
            assert list(row["slots"]) == list(one.slots)
            assert row["slot_of"] == (one.slot_of and one.slot_of.name)


def test_parts_of_a_partitioned_variable(data_dir: Path) -> None:
    document = cli("vars", data_dir / "partitioned", "--json").document
    (table,) = [row for row in document["variables"] if row["name"] == "embedding/table"]
    assert [part["part_of_whole"][0] for part in table["parts"]] == [
        [0, 25], [25, 50], [50, 75], [75, 100],
    ]  # fmt: skip
    assert table["nbytes"] == 3200


def test_a_graph_alone(alone: Path) -> None:
    result = cli("vars", alone)
    assert result.code == 0
    assert result.lines[-2] == "21 variables, 15,897 elements, 62.1 KiB (63,592 bytes)"
    assert result.lines[-1].startswith("No values, the sizes are the graph's: ")
    assert "alone.index" in result.lines[-1]
    document = cli("vars", alone.with_suffix(""), "--json").document
    assert (document["prefix"], document["graph"]) == (None, str(alone))
    assert not any(row["in_checkpoint"] for row in document["variables"])


def test_a_checkpoint_alone(data_dir: Path) -> None:
    result = cli("vars", data_dir / "object_graph")
    assert result.code == 0
    assert "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE" in result.out
    assert result.lines[-1] == "No graph beside the checkpoint: its tensors and objects tell."
    result = cli("vars", data_dir / "object_graph", "--trainable")
    assert (result.code, result.out) == (1, "")
    assert "no graph that says so" in result.err


@pytest.mark.parametrize("name", ["", "saved_model.pb", "variables/variables"])
def test_a_saved_model(data_dir: Path, name: str) -> None:
    result = cli("vars", data_dir / "saved_model" / name)
    assert result.code == 0
    assert result.lines[1].split() == [
        "intercept", "float32", "[]", "weight", "yes",
        "intercept/.ATTRIBUTES/VARIABLE_VALUE", "4", "B",
    ]  # fmt: skip
    assert result.lines[-1] == "2 variables, 2 elements, 8 B"
    assert cli("vars", data_dir / "saved_model", "--tags", "nope").code == 2


def test_what_does_not_fit_is_a_finding(alone: Path) -> None:
    bundle = Bundle()
    bundle.add("dense_1/bias", np.zeros(7, np.float32))
    bundle.add("stray", np.int8(0))
    bundle.write(alone.with_suffix(""))
    result = cli("vars", alone)
    assert result.code == 1
    with tb.open(alone) as checkpoint:
        findings = checkpoint.variables.findings
    assert {finding.kind for finding in findings} == {
        "variable without a tensor", "tensor without a variable", "shapes disagree",
    }  # fmt: skip
    title = result.lines.index(f"does not fit ({len(findings)})")
    assert result.lines[title + 1 : title + 9] == [finding.text for finding in findings[:8]]
    assert result.lines[-1] == f"… and {len(findings) - 8} more"
    result = cli("vars", alone, "--json")
    assert result.code == 1
    assert [row["text"] for row in result.document["findings"]] == [one.text for one in findings]
    assert all(row["misfit"] for row in result.document["findings"])


def test_what_is_not_in_the_checkpoint_takes_nothing_of_it(alone: Path) -> None:
    bundle = Bundle()
    bundle.add("dense_1/bias", np.zeros(24, np.float32))
    bundle.write(alone.with_suffix(""))
    result = cli("vars", alone)
    assert result.code == 1
    rows = {line.split()[0]: line.split()[1:] for line in result.lines if line}
    assert rows["dense_1/bias"][-2:] == ["96", "B"]
    assert rows["dense_2/bias"][-1] == "(missing)"
    assert rows["kind"] == ["variables", "stored", "elements", "bytes"]
    assert rows["weight"] == ["6", "1", "24", "96", "B"]
    assert "21 variables (1 in the checkpoint), 24 elements, 96 B" in result.lines
    document = cli("vars", alone, "--json").document
    assert document["total"] == {"variables": 21, "stored": 1, "elements": 24, "bytes": 96}


def test_a_variable_that_is_not_saved_is_only_a_note(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("saved", np.zeros(2, np.float32))
    prefix = bundle.write(tmp_path / "ckpt")
    variables = [
        node(name, "VariableV2", dtype=of_type(1), shape=of_shape([2])) for name in ("saved", "not")
    ]
    words = {"tensor_names": b"saved", "shape_and_slices": b""}
    lists = [
        const(name, tensor(STRING, [1], more=bytes_field(8, word)), STRING)
        for name, word in words.items()
    ]
    restore = node("restore", "RestoreV2", ["file", *words], dtypes=of_list(of_type(1)))
    nodes = [
        *variables, *lists, node("file", "Placeholder", dtype=of_type(STRING)), restore,
        node("assign", "Assign", ["saved", "restore"], T=of_type(1)),
    ]  # fmt: skip
    Path(f"{prefix}.meta").write_bytes(meta_graph(graph_def(nodes)))
    result = cli("vars", prefix)
    assert (result.code, result.err) == (0, "")
    rows = {line.split()[0]: line for line in result.lines if line}
    assert rows["not"].endswith("(not saved)")
    assert rows["weight"].split() == ["weight", "2", "1", "2", "8", "B"]
    assert result.lines[-2:] == ["notes (1)", 'variable "not": no saver of the graph restores it']
    (finding,) = cli("vars", prefix, "--json").document["findings"]
    assert finding["misfit"] is False


def test_no_match_is_a_finding(mnist: Path) -> None:
    result = cli("vars", mnist, "--match", "bias")
    assert (result.code, result.out) == (1, "")
    assert "none of 21 variables matches 'bias'; a pattern must match" in result.err
    result = cli("vars", mnist, "--match", "z*", "--json")
    assert (result.code, result.document["variables"]) == (1, [])


def test_a_damaged_graph_is_an_error(alone: Path) -> None:
    alone.write_bytes(b"no graph")
    result = cli("vars", alone)
    assert (result.code, result.out) == (2, "")
    assert "no MetaGraphDef" in result.err
    assert cli("vars", alone.with_name("gone.meta")).code == 2


def test_names_are_escaped(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add(b"a\xff\x1b[2J", np.int8(0))
    result = cli("vars", bundle.write(tmp_path / "ckpt"))
    assert result.lines[1].startswith(r"a\xff\x1b[2J")
