"""Graphs with variables of all kinds, each to be saved and joined."""

from __future__ import annotations

from typing import Any

from graph_builders import control_flow_v1
from variables_oracle import Build

CASES: dict[str, Build] = {}


def case(build: Build) -> Build:
    CASES[build.__name__] = build
    return build


@case
def refs(tf: Any, v1: Any) -> None:
    with v1.variable_scope("a", use_resource=False):
        v1.get_variable("w", [3, 2])
        v1.get_variable("fixed", [4], tf.float64, trainable=False)
        v1.get_variable("scalar", [], tf.int64, v1.constant_initializer(7))
        v1.get_variable("text", initializer=tf.constant([b"x", b"\xff\0"]), trainable=False)
        v1.get_variable("half", [5], tf.bfloat16)
        v1.get_variable("flag", initializer=tf.constant([True, False]), trainable=False)
        v1.get_variable("empty", [0, 3])
    v1.Variable(tf.random.normal([2]), name="a/w", use_resource=False)  # becomes a/w_1


@case
def resources(tf: Any, v1: Any) -> None:
    with v1.variable_scope("a", use_resource=True):
        v1.get_variable("w", [3, 2])
        v1.get_variable("fixed", [4], tf.float64, trainable=False)
        v1.get_variable("scalar", [], tf.int64, v1.constant_initializer(7))
        v1.get_variable("text", initializer=tf.constant([b"x", b"\xff\0"]), trainable=False)
        v1.get_variable("complex", initializer=tf.constant([1 + 2j]))
        v1.get_variable("empty", [0, 3])


@case
def none_is_trained(tf: Any, v1: Any) -> None:
    v1.get_variable("r", [2], trainable=False, use_resource=True)
    v1.get_variable("w", [2], tf.float32, trainable=False, use_resource=False)


@case
def shapes_unknown(tf: Any, v1: Any) -> None:
    start = v1.placeholder_with_default(tf.ones([2, 3]), None)
    v1.Variable(start, validate_shape=False, name="ref", use_resource=False)
    v1.Variable(start, validate_shape=False, name="resource", use_resource=True)
    tf.Variable(tf.ones([2, 3]), shape=[None, 3], name="partly")


@case
def conditions(tf: Any, v1: Any) -> None:
    def make(name: str, resource: bool) -> Any:
        def start(shape: Any, **_: Any) -> Any:
            return tf.random.uniform(shape)

        return v1.get_variable(name, [2], initializer=start, use_resource=resource)

    with control_flow_v1(v1):
        p = v1.placeholder_with_default(True, [])
        v1.cond(p, lambda: make("w", False) + 1, lambda: make("v", True) * 2)
        v1.while_loop(lambda i: i[0] < 3, lambda i: i + make("in_loop", False), [tf.zeros([2])])
        read = v1.get_variable("read", [2], use_resource=False)
        v1.cond(p, lambda: read.assign_add([1.0, 1.0]), lambda: read + 0)


@case
def functions(tf: Any, v1: Any) -> None:
    w = v1.get_variable("w", [2, 2], use_resource=True)
    r = v1.get_variable("r", [2], use_resource=False)

    @tf.function
    def layer(x: Any) -> Any:
        return tf.linalg.matvec(w, x)

    y = layer(layer(tf.ones([2]))) + r
    tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, layer(x)), [0, y])


@case
def partitioned(_tf: Any, v1: Any) -> None:
    with v1.variable_scope("s", partitioner=v1.fixed_size_partitioner(3)):
        v1.get_variable("ref", [7, 2], use_resource=False)
        v1.get_variable("resource", [6], use_resource=True, trainable=False)
    columns = v1.fixed_size_partitioner(2, axis=1)
    v1.get_variable("columns", [3, 5, 2], partitioner=columns, use_resource=False)
    v1.get_variable("one", [3, 2], partitioner=v1.fixed_size_partitioner(1))
    v1.get_variable("plain", [3])


@case
def local(tf: Any, v1: Any) -> Any:
    w = v1.get_variable("w", [2])
    count = v1.get_local_variable("count", [3], initializer=v1.ones_initializer())
    v1.get_local_variable("not_saved", [3])
    v1.metrics.mean(tf.reduce_sum(w), name="mean")
    return v1.train.Saver([w, count])


@case
def reshaped(tf: Any, v1: Any) -> Any:
    v1.get_variable("ref", [2, 3], use_resource=False)
    v1.get_variable("resource", [4], tf.float64, use_resource=True)
    return v1.train.Saver(reshape=True)


@case
def several_savers(_tf: Any, v1: Any) -> Any:
    w, e = (v1.get_variable(name, [2], use_resource=name == "e") for name in ("w", "e"))
    v1.train.Saver({"e": w, "w": e})
    v1.add_to_collection("savers", v1.train.Saver({"x": w}))
    own = v1.train.Saver()
    v1.train.Saver([e])
    return own


@case
def swapped(_tf: Any, v1: Any) -> Any:
    """The saver in use calls each variable as the other is called."""
    w, e = (v1.get_variable(name, [2], use_resource=name == "e") for name in ("w", "e"))
    v1.train.Saver()
    return v1.train.Saver({"e": w, "w": e})


@case
def renamed(_tf: Any, v1: Any) -> Any:
    w = v1.get_variable("w", [2], use_resource=False)
    e = v1.get_variable("e", [3], use_resource=True)
    cut = v1.fixed_size_partitioner(2)
    parts = v1.get_variable("p", [5], partitioner=cut, use_resource=False)
    return v1.train.Saver({"old/kernel": w, "old/bias": e, "old/table": list(parts)})


@case
def sharded(tf: Any, v1: Any) -> Any:
    for i in range(3):
        with tf.device(f"/cpu:{i}"):
            v1.get_variable(f"w{i}", [2, i], use_resource=bool(i % 2))
    with v1.variable_scope("s", partitioner=v1.fixed_size_partitioner(3)):
        with tf.device("/cpu:1"):
            v1.get_variable("low", [4], use_resource=False)
        with tf.device("/cpu:2"):
            v1.get_variable("high", [7, 2])
    return v1.train.Saver(sharded=True)
