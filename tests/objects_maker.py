"""Object checkpoints: as TensorFlow writes them from real objects, and graphs made byte by byte."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import tensorbundle as tb
from encoding import bytes_field, varint_field
from writer import Bundle

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def encoded(text: str) -> bytes:
    return os.fsencode(text)


def child(name: str, node: int) -> bytes:
    return bytes_field(1, varint_field(1, node) + bytes_field(2, encoded(name)))


def attribute(name: str, key: str, full_name: str = "") -> bytes:
    parts = (name, full_name, key)
    return bytes_field(
        2, b"".join(bytes_field(i, encoded(part)) for i, part in enumerate(parts, 1))
    )


def value(key: str, full_name: str = "") -> bytes:
    return attribute("VARIABLE_VALUE", key, full_name)


def slot(original: int, name: str, variable: int) -> bytes:
    parts = varint_field(1, original) + bytes_field(2, encoded(name)) + varint_field(3, variable)
    return bytes_field(3, parts)


def graph(*nodes: bytes) -> bytes:
    return b"".join(bytes_field(1, node) for node in nodes)


def checkpoint(folder: Path, data: bytes, keys: Iterable[str] = ()) -> tb.Checkpoint:
    """A checkpoint with this graph, and a tensor of each key whose value is its number."""
    bundle = Bundle()
    bundle.add(GRAPH, data)
    for i, key in enumerate(keys):
        bundle.add(key, np.float32(i))
    return tb.open(bundle.write(folder / "made"))


def parsed(ckpt: tb.Checkpoint) -> Any:
    """The graph as protobuf reads it."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    return trackable_object_graph_pb2.TrackableObjectGraph.FromString(ckpt[GRAPH].item())


def same(ours: Any, theirs: Any) -> bool:
    """Two values, bit by bit."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.dtype == object:
        return bool(ours.tolist() == theirs.tolist())
    return (ours.dtype, ours.shape, ours.tobytes()) == (
        theirs.dtype,
        theirs.shape,
        theirs.tobytes(),
    )


def model_and_optimizer(tf: Any, folder: Path) -> tuple[Any, str]:
    """A trained Keras model, under names that tell nothing."""
    keras = tf.keras
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input([3]), *layers])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    data = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)
    with tf.device("/cpu:0"):
        model.train_on_batch(data, data[:, :1])
    return model, tf.train.Checkpoint(net=model, opt=model.optimizer).save(str(folder / "keras"))


def subclassed(tf: Any, folder: Path) -> tuple[Any, str]:
    """A subclassed model with a list of layers, trained with moving averages."""

    class Model(tf.keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = tf.keras.layers.Dense(2)
            self.more = [tf.keras.layers.Dense(2), tf.keras.layers.Dense(1)]

        def call(self, x: Any) -> Any:
            x = self.first(x)
            for layer in self.more:
                x = layer(x)
            return x

    model = Model()
    model.compile(tf.keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True), "mse")
    with tf.device("/cpu:0"):
        model.train_on_batch(np.ones((4, 3), np.float32), np.zeros((4, 1), np.float32))
    return model, tf.train.Checkpoint(model).write(str(folder / "subclassed"))


class Objects:
    """One of everything that a `tf.train.Checkpoint` can hold."""

    def __init__(self, tf: Any) -> None:
        class Text(tf.train.experimental.PythonState):  # type: ignore[misc]
            def serialize(self) -> str:
                return "state"

            def deserialize(self, string: str) -> None: ...

        self.shared = tf.Variable([1.0, 2.0], name="w")
        self.net = tf.Module()
        self.net.inner = tf.Module()
        self.net.inner.w = self.shared
        self.net.inner.up = self.net
        self.layers = [tf.Variable(1.5), tf.Variable([[2.5]])]
        self.named = {"k/1": tf.Variable(3), "k.2": tf.Variable(4), "a": {"b": tf.Variable(5)}}
        self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        self.table.insert(tf.constant(["one", "two"]), tf.constant([1, 2], tf.int64))
        self.iterator = iter(tf.data.Dataset.range(5))
        next(self.iterator)
        self.state = Text()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.adam = tf.compat.v1.train.AdamOptimizer(0.1)
        self.adam.minimize(lambda: tf.reduce_sum(self.shared**2))
        self.saved = tf.train.Checkpoint(
            alias=self.shared,
            net=self.net,
            layers=self.layers,
            named=self.named,
            table=self.table,
            it=self.iterator,
            state=self.state,
            opt=self.adam,
        )

    def variables(self) -> dict[str, Any]:
        """Variables of TensorFlow by paths, of which several may lead to one."""
        found = {
            "alias": self.shared,
            "net/inner/w": self.shared,
            "net/inner/up/inner/w": self.shared,
            "layers/0": self.layers[0],
            "layers/1": self.layers[1],
            "named/k/1": self.named["k/1"],
            "named/k.2": self.named["k.2"],
            "named/a/b": self.named["a"]["b"],
            "save_counter": self.saved.save_counter,
        }
        for name in ("m", "v"):
            state = self.adam.get_slot(self.shared, name)
            found[f"alias/.OPTIMIZER_SLOT/opt/{name}"] = state
            found[f"net/inner/w/.OPTIMIZER_SLOT/opt/{name}"] = state
        return found
