"""`v1`: a checkpoint of TensorFlow 0.x, whose values lie within protos: decoding is the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import tensorbundle as tb
from harness import Side, alternate, tensorflow
from report import Row, times, under
from workload import Parameters, Workload

_NAME = "v1"
_MIB = 1 << 20
_FLOAT_TENSORS = 8
_PARTS = 8
_SMALL = 2000
_ROUNDS = 5
# What is to be reached, in bytes of floats a second.
_FLOOR = 500e6


def parameters(size: float) -> Parameters:
    return {
        "float_bytes": max(round(512 * size), 8) * _MIB,
        "int_bytes": max(round(64 * size), 1) * _MIB,
        "part_bytes": max(round(256 * size), 8) * _MIB,
        "small": _SMALL,
    }


def make(directory: Path, parameters: Parameters) -> None:
    tf = tensorflow()
    random = np.random.default_rng(1)

    floats = parameters["float_bytes"] // 4 // _FLOAT_TENSORS // 256
    values: dict[str, Any] = {
        f"float_{i}": random.random((floats, 256), np.float32) for i in range(_FLOAT_TENSORS)
    }
    values["int"] = random.integers(-(2**40), 2**40, parameters["int_bytes"] // 8)
    values |= {f"small/{i:05d}": np.full(8, i, np.float32) for i in range(parameters["small"])}
    _save(tf, directory / "model.ckpt", values, dict.fromkeys(values, ""))
    rows = parameters["part_bytes"] // 4 // 256
    each = rows // _PARTS
    for i in range(_PARTS):
        part = random.random((each, 256), np.float32)
        path = directory / f"parts-{i:05d}-of-{_PARTS:05d}"
        _save(tf, path, {"w": part}, {"w": f"{each * _PARTS} 256 {i * each},{each}:0,256"})


def _save(tf: Any, path: Path, values: dict[str, Any], slices: dict[str, str]) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        feeds = {tf.compat.v1.placeholder(v.dtype, v.shape): v for v in values.values()}
        session.run(
            tf.raw_ops.SaveSlices(
                filename=str(path),
                tensor_names=list(values),
                shapes_and_slices=[slices[name] for name in values],
                data=list(feeds),
            ),
            feeds,
        )


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    tf = tensorflow()

    path, pattern = f"{directory}/model.ckpt", f"{directory}/parts-?????-of-{_PARTS:05d}"
    _check(tf, path, pattern)
    names = list(tb.open(path))
    of_floats = [name for name in names if name.startswith("float")]
    small = [name for name in names if name.startswith("small")]
    files = list(directory.iterdir())
    restore = _restore(tf, pattern, parameters)

    def ours(names: list[str]) -> Any:
        def read() -> object:
            ckpt = tb.open(path)
            return [ckpt[name] for name in names]

        return read

    def theirs(names: list[str]) -> Any:
        def read() -> object:
            reader = tf.train.load_checkpoint(path)
            return [reader.get_tensor(name) for name in names]

        return read

    rows = []
    for what, chosen, nbytes, target in (
        (
            f"open and read {_size(parameters['float_bytes'])} of floats, {len(of_floats)} tensors",
            of_floats,
            parameters["float_bytes"],
            under(parameters["float_bytes"] / _FLOOR, "s"),
        ),
        (
            f"open and read {_size(parameters['int_bytes'])} of int64",
            ["int"],
            parameters["int_bytes"],
            times(1),
        ),
        (f"open and read {len(small):,} tensors of 8 floats", small, 0, times(2)),
    ):
        found = alternate(
            [Side("ours", ours(chosen)), Side("tensorflow", theirs(chosen))],
            _ROUNDS,
            files=files,
            memory=nbytes,
        )
        rows.append(Row(_NAME, what, found["ours"], "TensorFlow", found["tensorflow"], target))
    parts = alternate(
        [Side("ours", lambda: tb.open(pattern)["w"]), Side("tensorflow", restore)],
        _ROUNDS,
        files=files,
        memory=parameters["part_bytes"],
    )
    what = f"open and put together {_size(parameters['part_bytes'])} in {_PARTS} files"
    listed = alternate(
        [
            Side("ours", lambda: tb.open(path).shapes()),
            Side("tensorflow", lambda: tf.train.list_variables(path)),
        ],
        _ROUNDS,
        files=files,
    )
    return [
        *rows,
        Row(_NAME, what, parts["ours"], "TensorFlow's RestoreSlice", parts["tensorflow"], times(2)),
        Row(
            _NAME,
            f"open and list {len(names):,} tensors",
            listed["ours"],
            "TensorFlow",
            listed["tensorflow"],
            times(2),
        ),
    ]


def _size(nbytes: int) -> str:
    return f"{nbytes // _MIB:,} MiB"


def _restore(tf: Any, pattern: str, parameters: Parameters) -> Any:
    """TensorFlow's Python reader gives no partitioned tensors; its restoring op does."""
    each = parameters["part_bytes"] // 4 // 256 // _PARTS
    with tf.Graph().as_default():
        value = tf.raw_ops.RestoreSlice(
            file_pattern=pattern,
            tensor_name="w",
            shape_and_slice=f"{each * _PARTS} 256 -:-",
            dt=tf.float32,
            preferred_shard=-1,
        )
        session = tf.compat.v1.Session()
    return lambda: session.run(value)


def _check(tf: Any, path: str, pattern: str) -> None:
    """Both must give the same answer before it is worth asking who is faster."""
    ckpt, reader = tb.open(path), tf.train.load_checkpoint(path)
    if {name: list(shape) for name, shape in ckpt.shapes().items()} != (
        reader.get_variable_to_shape_map()
    ):
        raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow list different tensors")
    for name in ("float_0", "int", "small/00077"):
        if ckpt[name].tobytes() != reader.get_tensor(name).tobytes():
            raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow read different values")
    rows = tb.open(pattern)["w"].shape[0]
    each = rows // _PARTS
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        theirs = session.run(
            tf.raw_ops.RestoreSlice(
                file_pattern=pattern,
                tensor_name="w",
                shape_and_slice=f"{rows} 256 {each},{each}:-",
                dt=tf.float32,
                preferred_shard=-1,
            )
        )
    if theirs.tobytes() != tb.open(pattern)["w"][each : 2 * each].tobytes():
        raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow put different values together")


WORKLOAD = Workload(_NAME, parameters, make, measure)
