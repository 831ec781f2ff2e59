"""The join of graph and checkpoint, with TensorFlow's own restore as the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from variables_cases import CASES
from variables_oracle import check_against, check_keys, leaves, restored, save


@pytest.fixture(scope="module", params=sorted(CASES))
def prefix(request: pytest.FixtureRequest, tf: Any, tmp_path_factory: Any) -> str:
    return save(tf, tmp_path_factory.mktemp(request.param), CASES[request.param], step=3)


def test_what_tensorflow_restores(tf: Any, prefix: str) -> None:
    ckpt = tb.open(prefix)
    check_against(restored(tf, prefix), ckpt)
    check_keys(tf, prefix, ckpt)


def test_all_fits(prefix: str) -> None:
    assert tb.open(prefix).variables.findings == []


def test_collections_and_names(tf: Any, prefix: str) -> None:
    v1 = tf.compat.v1
    variables = tb.open(prefix).variables
    with tf.Graph().as_default() as graph:
        v1.train.import_meta_graph(f"{prefix}.meta", clear_devices=True)
        keys: dict[str, set[str]] = {}
        for key in graph.get_all_collection_keys():
            for item in graph.get_collection(key):
                if hasattr(item, "initializer"):
                    keys.setdefault(item.op.name, set()).add(key)
        found = {item.op.name: item for item in v1.global_variables() + v1.local_variables()}
    for one, _ in leaves(variables):
        theirs = found[one.name]
        assert set(one.collections) == keys[one.name]
        assert one.initializer is not None
        assert one.initializer.name == theirs.initializer.name
        assert one.initial_value is not None
        assert one.initial_value.name == theirs._initial_value.name
        assert one.snapshot is not None
        assert (
            one.snapshot.name
            == (theirs._graph_element if one.is_resource else theirs._snapshot).name
        )


def test_the_meta_alone(prefix: str) -> None:
    """The same variables, but for their values."""
    ckpt, alone = tb.open(prefix), tb.load_meta_graph(f"{prefix}.meta").variables
    assert alone.findings == []
    assert alone.checkpoint is None
    assert alone.names() == ckpt.variables.names()
    for one, other in zip(alone, ckpt.variables, strict=True):
        assert not one.in_checkpoint
        for name in ("dtype", "shape", "trainable", "kind", "key", "key_source", "collections"):
            assert getattr(one, name) == getattr(other, name), name
        with pytest.raises(ValueError, match="has no value: a graph alone holds none"):
            one.numpy()
        with pytest.raises(ValueError, match="has no value: a graph alone holds none"):
            one.info  # noqa: B018 - raises


def test_the_checkpoint_alone(prefix: str) -> None:
    """Its tensors are its variables."""
    ckpt = tb.open(prefix)
    variables = tb.Variables(ckpt, None)
    assert variables.findings == []
    assert variables.names() == list(ckpt) == [variable.key for variable in variables]
    for one in variables:
        assert one.key_source == "tensor"
        assert one.in_checkpoint
        assert one.trainable is one.is_resource is one.op is one.initializer is one.snapshot is None
        assert one.parts == []
        assert one.shape == one.info.shape
        assert one.dtype == one.info.type_name
        assert np.array_equal(one.numpy(), ckpt[one.name])


def test_as_a_sequence(prefix: str) -> None:
    variables = tb.open(prefix).variables
    assert len(variables) == len(list(variables)) == len(variables.names())
    assert variables[0] == variables[variables.names()[0]]
    assert variables[-1] == variables[len(variables) - 1]
    assert variables[:1] == [variables[0]]
    assert variables.names()[0] in variables
    assert variables[0] in variables
    assert "nothing" not in variables
    with pytest.raises(KeyError, match="nothing"):
        variables["nothing"]
    with pytest.raises(IndexError):
        variables[len(variables)]
    assert variables.trainable == [one for one in variables if one.trainable]
    assert variables.weights == [one for one in variables if one.kind == "weight"]
    assert repr(variables) == f"<tensorbundle.Variables {len(variables)}>"
    assert repr(variables[0]).startswith(f"<tensorbundle.Variable {variables[0].name!r} ")


def test_what_is_local_is_no_weight(tf: Any, tmp_path: Path) -> None:
    """Counters of metrics are nothing that the model computes with."""
    variables = tb.open(save(tf, tmp_path, CASES["local"])).variables
    assert variables["w"] in variables.weights
    assert variables["count"].key == "count"
    for name in ("not_saved", "mean/total", "mean/count"):
        assert variables[name].key is None
        assert variables[name].kind == "other"


def test_life(tf: Any, tmp_path: Path) -> None:
    """Values outlive the checkpoint; variables of a closed one say so."""
    ckpt = tb.open(save(tf, tmp_path, CASES["refs"]))
    variable = ckpt.variables["a/w"]
    assert list(ckpt.variables) == list(ckpt.variables)
    value = variable.numpy()
    kept = value.tobytes()
    ckpt.close()
    assert value.tobytes() == kept
    with pytest.raises(ValueError, match="is closed"):
        variable.numpy()
    with pytest.raises(ValueError, match="is closed"):
        ckpt.variables  # noqa: B018 - raises
