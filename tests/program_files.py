"""The files that the programs read, made with TensorFlow, eager execution off."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (784, 256, 10)


def perceptron(tf: Any, folder: Path, *, resource: bool, old_style: bool = False) -> Path:
    """A two-layer perceptron saved at step 0, and `values.npz` with an input and what it gives.

    `old_style`: partitioned weights, and BiasAdd for the sums.
    """
    v1 = tf.compat.v1
    rng = np.random.default_rng(7)
    with tf.Graph().as_default(), v1.Session() as session:
        assert not tf.executing_eagerly()
        v1.set_random_seed(5)
        x = v1.placeholder(tf.float32, [None, SIZES[0]], name="input_data")
        layer = x
        cut = v1.fixed_size_partitioner(3) if old_style else None
        with v1.variable_scope("", use_resource=resource, partitioner=cut):
            start = v1.random_normal_initializer(0, 0.1)
            for i, (rows, columns) in enumerate(pairwise(SIZES), 1):
                w = v1.get_variable(f"weights_{i}", [rows, columns], initializer=start)
                b = v1.get_variable(f"bias_{i}", [columns], initializer=start)
                product = tf.matmul(layer, w)
                layer = tf.nn.bias_add(product, b) if old_style else product + b
                if i == 1:
                    layer = tf.nn.relu(layer)
        output = tf.nn.softmax(layer, name="softmax_output")
        saver = v1.train.Saver()
        session.run(v1.global_variables_initializer())
        prefix = saver.save(session, str(folder / "model.ckpt"), global_step=0)
        fed = rng.normal(size=(17, SIZES[0])).astype(np.float32)
        names = [f"{kind}_{i}" for i in (1, 2) for kind in ("weights", "bias")]
        values = {name: v1.train.load_variable(prefix, name) for name in names}
        values |= {"input": fed, "output": session.run(output, {x: fed})}
    np.savez(folder / "values.npz", **values)
    return Path(prefix)


def activation(tf: Any, folder: Path) -> Path:
    """The maximum of x and 0.2 x, summed up, and a variable so that it can be saved."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="input_data")
        scale = v1.get_variable("scale", initializer=tf.constant([1.5, -2.0, 0.5]))
        scaled = x * scale
        made = tf.maximum(scaled, 0.2 * scaled, name="custom_activation")
        output = tf.reduce_sum(made, axis=1, name="output_sum")
        session.run(v1.global_variables_initializer())
        prefix = v1.train.Saver().save(session, str(folder / "model.ckpt"))
        fed = np.linspace(-3, 3, 12, dtype=np.float32).reshape(4, 3)
        np.savez(folder / "values.npz", input=fed, output=session.run(output, {x: fed}))
    return Path(prefix)


def with_unknown_op(file: Path) -> Any:
    """The MetaGraphDef of a file, with nodes of an op that TensorFlow does not know."""
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

    meta = MetaGraphDef.FromString(file.read_bytes())
    node = meta.graph_def.node.add(
        name="unheard_of", op="OpThatNobodyKnows", device="/device:ODD:7"
    )
    node.input.extend(["custom_activation", "input_data:0", "^output_sum"])
    attr = node.attr
    attr["T"].type = 1
    attr["alpha"].f = 0.25
    attr["flag"].b = True
    attr["size"].i = -(2**40)
    attr["text"].s = b"bytes \xff\x00"
    attr["shape"].shape.dim.add(size=-1)
    attr["shape"].shape.dim.add(size=3)
    attr["unknown_shape"].shape.unknown_rank = True
    attr["types"].list.type.extend([6, 14])
    attr["numbers"].list.i.extend([1, 2, 3])
    attr["nothing"].list.SetInParent()
    attr["function"].func.name = "elsewhere"
    attr["function"].func.attr["n"].i = 3
    table = attr["table"].tensor
    table.dtype = 1
    table.tensor_shape.dim.add(size=2)
    table.tensor_shape.dim.add(size=2)
    table.float_val.extend([1.5, -2.0, 0.25, 8.0])
    after = meta.graph_def.node.add(name="after", op="Identity")
    after.input.append("unheard_of:0")
    after.attr["T"].type = 1
    return meta
