"""Makes the checkpoints in tests/data with the TensorFlow of this environment.

Run `python tests/make_fixtures.py` to make them again; data/README.md says what each is for.
Weights may differ in the last bits between machines, nothing else does but a SavedModel's uuid.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import ml_dtypes
import numpy as np
import tensorflow as tf

DATA = Path(__file__).parent / "data"
SEED = 2026
v1 = tf.compat.v1


def fresh(name: str) -> Path:
    folder = DATA / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def dense(name: str, inputs: Any, units: int) -> Any:
    with v1.variable_scope(name):
        kernel = v1.get_variable(
            "kernel", [inputs.shape[1], units], initializer=v1.glorot_uniform_initializer(SEED)
        )
        bias = v1.get_variable("bias", [units], initializer=v1.zeros_initializer())
        return tf.nn.bias_add(tf.matmul(inputs, kernel), bias, name="BiasAdd")


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten noisy patterns of 14x14 pixels: enough for the network to have something to learn."""
    rng = np.random.default_rng(SEED)
    labels = rng.integers(0, 10, count)
    patterns = rng.random((10, 14 * 14))
    images = patterns[labels] + rng.normal(0, 0.3, (count, 14 * 14))
    return images.astype(np.float32), labels.astype(np.int64)


def mnist_mlp() -> None:
    """A graph-mode training run: Saver, Adam, .meta and `checkpoint`."""
    folder = fresh("mnist_mlp")
    steps = 1000
    images, labels = digits(512)
    with tf.Graph().as_default():
        v1.set_random_seed(SEED)
        x = v1.placeholder(tf.float32, [None, 14 * 14], name="image")
        y = v1.placeholder(tf.int64, [None], name="label")
        hidden = tf.nn.relu(dense("dense_1", x, 24), name="dense_1/Relu")
        hidden = tf.nn.relu(dense("dense_2", hidden, 16), name="dense_2/Relu")
        logits = dense("softmax_output", hidden, 10)
        tf.nn.softmax(logits, name="probabilities")
        loss = v1.losses.sparse_softmax_cross_entropy(y, logits)
        step = v1.train.get_or_create_global_step()
        train = v1.train.AdamOptimizer(0.001).minimize(loss, global_step=step)
        saver = v1.train.Saver(save_relative_paths=True)
        one_thread = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        with v1.Session(config=one_thread) as session:
            session.run(v1.global_variables_initializer())
            for i in range(steps):
                batch = slice(i * 32 % 512, i * 32 % 512 + 32)
                session.run(train, {x: images[batch], y: labels[batch]})
            saver.save(
                session, str(folder / "model.ckpt"), global_step=step, strip_default_attrs=True
            )


def partitioned() -> None:
    """Partitioned variables on two devices, saved by a sharded Saver."""
    folder = fresh("partitioned")
    with tf.Graph().as_default():
        rows = np.arange(100 * 8, dtype=np.float32).reshape(100, 8)
        with v1.variable_scope("embedding", partitioner=v1.fixed_size_partitioner(4)):
            devices = iter(["/cpu:0", "/cpu:1"] * 2)
            with v1.device(lambda op: next(devices) if op.type == "VarHandleOp" else ""):
                v1.get_variable(
                    "table",
                    shape=rows.shape,
                    use_resource=True,
                    initializer=lambda shape, dtype, partition_info: tf.constant(
                        rows[partition_info.var_offset[0] :][: shape[0]], dtype
                    ),
                )
        with tf.device("/cpu:1"):
            v1.get_variable("bias", initializer=np.linspace(-1, 1, 8, dtype=np.float32))
            v1.train.get_or_create_global_step()
        saver = v1.train.Saver(sharded=True, save_relative_paths=True)
        with v1.Session(config=v1.ConfigProto(device_count={"CPU": 2})) as session:
            session.run(v1.global_variables_initializer())
            saver.save(session, str(folder / "model.ckpt"), global_step=0)


def object_graph() -> None:
    """A TF2 object checkpoint: strings, and variables cut to fit small shards."""
    folder = fresh("object_graph")
    rng = np.random.default_rng(SEED)
    root = tf.train.Checkpoint(
        step=tf.Variable(7, dtype=tf.int64, name="step"),
        layer=tf.train.Checkpoint(
            kernel=tf.Variable(rng.random((50, 20)), dtype=tf.float32, name="kernel"),
            bias=tf.Variable(np.zeros(20), dtype=tf.float32, name="bias"),
        ),
        vocabulary=tf.Variable([b"", "café".encode(), b"\x00\xff", b"x" * 300], name="vocabulary"),
    )
    options = tf.train.CheckpointOptions(
        experimental_sharding_callback=tf.train.experimental.MaxShardSizePolicy(1500)
    )
    root.save(str(folder / "ckpt"), options=options)


def iterator() -> None:
    """The position of a dataset iterator: a tensor of variants."""
    folder = fresh("iterator")
    records = iter(tf.data.Dataset.range(10).batch(2))
    next(records)
    tf.train.Checkpoint(records=records).write(str(folder / "ckpt"))


def every_dtype() -> None:
    """One tensor of every type SaveV2 takes, named after the type."""
    folder = fresh("every_dtype")
    values = np.array([[0, 1, -1], [1, 0, 1]])
    kinds = {
        "bool": np.bool_, "int8": np.int8, "int16": np.int16, "int32": np.int32,
        "int64": np.int64, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32,
        "uint64": np.uint64, "half": np.float16, "float": np.float32, "double": np.float64,
        "complex64": np.complex64, "complex128": np.complex128, "bfloat16": ml_dtypes.bfloat16,
        "float8_e5m2": ml_dtypes.float8_e5m2, "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
        "float8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
        "float8_e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
        "float8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz, "int4": ml_dtypes.int4,
        "uint4": ml_dtypes.uint4, "int2": ml_dtypes.int2, "uint2": ml_dtypes.uint2,
        "float4_e2m1fn": ml_dtypes.float4_e2m1fn,
    }  # fmt: skip
    unsigned = {"bool", "uint8", "uint16", "uint32", "uint64", "uint4", "uint2"}
    tensors = {
        name: tf.constant((abs(values) if name in unsigned else values).astype(kind))
        for name, kind in kinds.items()
    }
    quantized = {
        "qint8": tf.qint8, "quint8": tf.quint8, "qint16": tf.qint16, "quint16": tf.quint16,
        "qint32": tf.qint32,
    }  # fmt: skip
    for name, kind in quantized.items():
        tensors[name] = tf.bitcast(tensors[name.removeprefix("q")], kind)
    tensors["string"] = tf.constant([[b"", b"a", b"\x00"], [b"\xff", b"x" * 200, b"zz"]])
    tf.raw_ops.SaveV2(
        prefix=str(folder / "dtypes"),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )


def saved_model() -> None:
    """A SavedModel with two variables and a function."""
    folder = fresh("saved_model")

    class Line(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = tf.Variable(0.5, name="slope")
            self.intercept = tf.Variable(2.0, name="intercept")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return self.slope * x + self.intercept

    tf.saved_model.save(Line(), str(folder))


if __name__ == "__main__":
    for make in (mnist_mlp, partitioned, object_graph, iterator, every_dtype, saved_model):
        make()
    for path in sorted(DATA.rglob("*")):
        if path.is_file():
            print(f"{path.stat().st_size:8} {path.relative_to(DATA)}")
