"""Variables of SavedModels: of TensorFlow 1's builder, tf.Module, Keras; and of object checkpoints.

The oracle is `tf.saved_model.load`, or the objects themselves: what each was when it was saved.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from variables_oracle import same_value

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def check_objects(ckpt: tb.Checkpoint, theirs: dict[str, Any]) -> None:
    """Each of their variables, by its key: one of ours with its type, shape, value, and role.

    `theirs`: variables of TensorFlow by the path of their object.
    """
    found: dict[str, list[tb.Variable]] = {}
    for one in ckpt.variables:
        if one.key is not None:
            found.setdefault(one.key, []).append(one)
    assert {key for key in found if key.endswith(VALUE)} == {path + VALUE for path in theirs}
    assert all(len(ours) == 1 for ours in found.values())
    for path, other in theirs.items():
        (one,) = found[path + VALUE]
        assert one.key_source == "restore"
        assert one.in_checkpoint
        assert (one.dtype, one.shape) == (other.dtype.name, tuple(other.shape)), path
        same_value(one.numpy(), np.asarray(other.numpy()))
        if one.info.zero_copy:
            assert np.shares_memory(one.numpy(), ckpt[path + VALUE])
        assert one.trainable is other.trainable, path
        assert one.is_resource is True


def test_of_the_old_builder(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    folder = str(tmp_path / "model")
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2])
        w = v1.get_variable("w", [2, 2], use_resource=False)
        r = v1.get_variable("r", [2], use_resource=True, trainable=False)
        y = tf.matmul(x, w) + r
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(folder)
        infos = [v1.saved_model.build_tensor_info(tensor) for tensor in (x, y)]
        sign = v1.saved_model.build_signature_def({"x": infos[0]}, {"y": infos[1]}, "p")
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": sign})
        builder.add_meta_graph(["train"])
        builder.save()
        values = session.run({"w": w, "r": r})
    ckpt = tb.open(folder)
    variables = ckpt.variables
    assert [(one.name, one.key, one.key_source) for one in variables] == [
        ("w", "w", "restore"),
        ("r", "r", "restore"),
    ]
    assert [one.trainable for one in variables] == [True, False]
    assert [one.is_resource for one in variables] == [False, True]
    for name, value in values.items():
        same_value(variables[name].numpy(), value)
    assert variables.findings == []
    other = tb.Variables(ckpt, tb.load_meta_graph(folder, tags=["train"]))
    assert other.names() == ["w", "r"]
    assert other.findings == []


def test_of_a_module(tf: Any, tmp_path: Path) -> None:
    class Inner(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable([[1.0, 2.0]], name="w")
            self.fixed = tf.Variable([3, 4], trainable=False, name="fixed")

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()
            self.text = tf.Variable([b"a", b"\xff\0"], trainable=False, name="text")
            self.partly = tf.Variable(tf.ones([2, 3]), shape=[2, 3], name="k.2/odd")
            self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)

        @tf.function(input_signature=[tf.TensorSpec([None, 2])])
        def __call__(self, x: Any) -> Any:
            return x * self.inner.w

    model = Model()
    tf.saved_model.save(model, str(tmp_path))
    ckpt = tb.open(tmp_path)
    inner = model.inner
    theirs = {"inner/w": inner.w, "inner/fixed": inner.fixed}
    check_objects(ckpt, theirs | {"text": model.text, "partly": model.partly})
    assert sorted(ckpt.variables.names()) == ["fixed", "k.2/odd", "text", "w"]
    assert {one.kind for one in ckpt.variables} == {"weight"}
    assert ckpt.variables.findings == []
    alone = tb.load_meta_graph(tmp_path).variables
    assert {one.key for one in alone} == {path + VALUE for path in (*theirs, "text", "partly")}


def test_variables_of_one_name(tf: Any, tmp_path: Path) -> None:
    """Names say nothing in TensorFlow 2: what is trained is found by the object."""

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = tf.Variable([1.0, 2.0], trainable=False)
            self.b = tf.Variable([3.0])
            self.more = [
                tf.Variable([1, 2], name="k"),
                tf.Variable([1, 2, 3], name="k", trainable=False),
                tf.Variable(4, name="k"),
            ]

    model = Model()
    tf.saved_model.save(model, str(tmp_path))
    theirs = {f"more/{i}": variable for i, variable in enumerate(model.more)}
    ckpt = tb.open(tmp_path)
    check_objects(ckpt, theirs | {"a": model.a, "b": model.b})
    assert ckpt.variables.findings == []


def test_optimizer_slots_of_objects(tf: Any, tmp_path: Path) -> None:
    """A checkpoint of objects without a graph: slots are found by their keys."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = tf.compat.v1.train.AdamOptimizer(0.1)
    w, b = tf.Variable([[1.0, 2.0]], name="w"), tf.Variable([0.5], name="b")
    inner = tf.Module()
    inner.b = b
    optimizer.minimize(lambda: tf.reduce_sum(w**2) + b[0] ** 2)
    saved = tf.train.Checkpoint(w=w, net=inner, adam=optimizer)
    ckpt = tb.open(saved.save(str(tmp_path / "ckpt")))
    variables = ckpt.variables
    assert variables.meta_graph is None
    for path, variable in (("w", w), ("net/b", b)):
        ours = variables[path]
        assert ours.kind == "weight"
        same_value(ours.numpy(), variable.numpy())
        assert set(ours.slots) == {"m", "v"}
        for name, slot in ours.slots.items():
            assert slot.slot_of == ours
            assert (slot.kind, slot.slot_name) == ("slot", name)
            assert slot.key == f"{path}/.OPTIMIZER_SLOT/adam/{name}{VALUE}"
            same_value(slot.numpy(), optimizer.get_slot(variable, name).numpy())
    assert variables["save_counter"].kind == "other"
    assert sorted(one.name for one in variables.weights) == ["net/b", "w"]
    assert variables.findings == []


def keras_model(tf: Any) -> Any:
    keras = pytest.importorskip("keras")
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input([3]), *layers])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    data = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)
    with tf.device("/cpu:0"):
        model.train_on_batch(data, data[:, :1])
    return model


@pytest.fixture(scope="module")
def keras_files(tf: Any, tmp_path_factory: Any) -> tuple[Any, Path]:
    """A trained Keras model, as a SavedModel, exported, and as a checkpoint of objects."""
    folder = tmp_path_factory.mktemp("keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = keras_model(tf)
        tf.saved_model.save(model, str(folder / "saved"))
        model.export(str(folder / "exported"), verbose=False)
        saved = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        saved.write(str(folder / "checkpoint"))
    return model, folder


def check_keras(variables: tb.Variables, theirs: list[Any]) -> None:
    """By name: `path` of a Keras variable is the name that its handle has in the graph."""
    for other in theirs:
        ours = variables[other.path]
        assert ours.in_checkpoint, other.path
        same_value(ours.numpy(), np.asarray(other.value))
        assert ours.trainable is other.trainable


def test_keras_saved_with_its_optimizer(keras_files: tuple[Any, Path]) -> None:
    """Keras saves a nameless copy of each variable: the copy's key is that of the variable."""
    model, folder = keras_files
    ckpt = tb.open(folder / "saved")
    variables = ckpt.variables
    check_keras(variables, model.weights)
    assert variables.findings == []
    for other in model.optimizer.variables:
        kind = "step" if other.path.endswith("iteration") else "slot"
        assert variables[other.path].kind == kind, other.path
        same_value(variables[other.path].numpy(), np.asarray(other.value))
    assert {one.name for one in variables.weights} == {other.path for other in model.weights}


def test_keras_exported(keras_files: tuple[Any, Path]) -> None:
    model, folder = keras_files
    ckpt = tb.open(folder / "exported")
    check_keras(ckpt.variables, model.weights)
    assert ckpt.variables.findings == []


def test_keras_checkpoint(keras_files: tuple[Any, Path]) -> None:
    """Without a graph, the optimizer's lists are told apart by where they are."""
    _, folder = keras_files
    ckpt = tb.open(folder / "checkpoint")
    kinds = {one.name: one.kind for one in ckpt.variables}
    slots = {name for name in kinds if name.startswith("optimizer/_variables/")}
    assert slots
    assert {kinds[name] for name in slots} == {"slot"}
    assert kinds["optimizer/_iterations"] == "step"
    assert kinds["optimizer/_learning_rate"] == "slot"
    trained = {name for name in kinds if name.startswith("optimizer/_trainable_variables/")}
    assert len(trained) == 6
    assert {kinds[name] for name in trained} == {"weight"}
