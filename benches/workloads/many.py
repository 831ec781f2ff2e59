"""`many`: a checkpoint of 200,000 small tensors, where the index is the work."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np

import tensorbundle as tb
from harness import Side, alternate, tensorflow
from report import Row, Target, times
from workload import Parameters, Workload

_NAME = "many"
_FLOATS = 8
_ROUNDS = 11


def parameters(size: float) -> Parameters:
    return {"tensors": max(round(200_000 * size), 100), "floats": _FLOATS}


def _name(index: int) -> str:
    return f"tower_{index // 10_000:03d}/layer_{index // 100 % 100:02d}/cell_{index % 100:02d}/w"


def make(directory: Path, parameters: Parameters) -> None:
    save(directory / "model.ckpt", parameters["tensors"])


def save(prefix: Path, tensors: int, changed: slice | None = None) -> None:
    """Write all tensors, some of them with other values."""
    tf = tensorflow()

    values = np.arange(tensors * _FLOATS, dtype=np.float32).reshape(tensors, _FLOATS)
    if changed is not None:
        values[changed] += 1
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=[_name(index) for index in range(tensors)],
        shape_and_slices=[""] * tensors,
        tensors=[tf.constant(value) for value in values],
    )


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    tf = tensorflow()

    prefix = str(directory / "model.ckpt")
    chosen = random.Random(2).sample(range(parameters["tensors"]), 64)
    for_us, for_tensorflow = (itertools.cycle(map(_name, chosen)) for _ in range(2))

    def read_one() -> object:
        return tb.open(prefix)[next(for_us)]

    def tensorflow_read_one() -> object:
        return tf.train.load_checkpoint(prefix).get_tensor(next(for_tensorflow))

    def two_dicts() -> object:
        checkpoint = tb.open(prefix)
        return checkpoint.shapes(), checkpoint.dtypes()

    def infos() -> object:
        return tb.open(prefix).infos()

    def columns() -> object:
        return tb.open(prefix).to_arrow()

    def tuples() -> object:
        return [(info.name, info.shape, info.dtype) for info in tb.open(prefix).infos()]

    def tensorflow_two_dicts() -> object:
        reader = tf.train.load_checkpoint(prefix)
        return reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()

    def list_variables() -> object:
        return tf.train.list_variables(prefix)

    _check(prefix)
    files = list(directory.glob("model.ckpt.*"))
    one = alternate(
        [Side("ours", read_one, calls=5), Side("tensorflow", tensorflow_read_one)],
        _ROUNDS,
        files=files,
    )
    everything = alternate(
        [
            Side("dicts", two_dicts),
            Side("tensorflow", tensorflow_two_dicts),
            Side("infos", infos),
            Side("tuples", tuples),
            Side("columns", columns),
            Side("list", list_variables),
        ],
        _ROUNDS,
        files=files,
    )
    count = f"{parameters['tensors']:,}"

    def listing(what: str, side: str, target: Target | None) -> Row:
        theirs = everything["tensorflow"]
        return Row(_NAME, what, everything[side], "TensorFlow, two dicts", theirs, target)

    rows = Row(
        _NAME,
        f"open, {count} rows of Arrow columns",
        everything["columns"],
        "TensorFlow, list_variables",
        everything["list"],
        times(100),
    )

    return [
        Row(
            _NAME,
            f"open and read 1 of {count} tensors",
            one["ours"],
            "TensorFlow",
            one["tensorflow"],
            times(500),
        ),
        listing(f"open, {count} names to shapes and to dtypes: two dicts", "dicts", times(20)),
        listing(f"open, {count} TensorInfo objects", "infos", times(20)),
        rows,
        listing("the same, and name, shape, dtype of each as a tuple", "tuples", None),
    ]


def _check(prefix: str) -> None:
    """Both must give the same answer before it is worth asking who is faster."""
    tf = tensorflow()

    checkpoint = tb.open(prefix)
    ours = {info.name: (list(info.shape), info.dtype) for info in checkpoint.infos()}
    shapes, types = checkpoint.shapes(), checkpoint.dtypes()
    if {name: (list(shapes[name]), types[name]) for name in shapes} != ours:
        raise SystemExit(f"{_NAME}: tensorbundle's two ways to list differ")
    reader = tf.train.load_checkpoint(prefix)
    dtypes = reader.get_variable_to_dtype_map()
    theirs = {
        name: (shape, np.dtype(dtypes[name].as_numpy_dtype))
        for name, shape in reader.get_variable_to_shape_map().items()
    }
    if ours != theirs:
        raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow list different tensors")
    name = _name(77)
    if not np.array_equal(tb.open(prefix)[name], reader.get_tensor(name)):
        raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow read different values")


WORKLOAD = Workload(_NAME, parameters, make, measure)
