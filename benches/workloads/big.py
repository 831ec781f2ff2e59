"""`big`: 4 GiB in 512 tensors, where memory bandwidth is the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

import tensorbundle as tb
from harness import Side, added_memory, alternate, tensorflow
from report import Row, times, under
from workload import Parameters, Workload

_NAME = "big"
_TENSORS = 512
_COLUMNS = 1024
# Distinct tensors written over and over: enough to tell them apart, and little memory to make.
_DISTINCT = 16
# safetensors gets a copy of the first quarter: a second 4 GiB would be disk for little insight.
_QUARTER = _TENSORS // 4
_ROUNDS = 11
_ROUNDS_TENSORFLOW = 3


def parameters(size: float) -> Parameters:
    return {
        "tensors": _TENSORS,
        "distinct": _DISTINCT,
        "quarter": _QUARTER,
        "rows": max(round(2048 * size), 1),
        "columns": _COLUMNS,
    }


def _name(index: int) -> str:
    return f"block_{index:03d}/dense/kernel"


def make(directory: Path, parameters: Parameters) -> None:
    distinct = save(directory / "model.ckpt", parameters)
    save_file(
        {_name(index): distinct[index % _DISTINCT].numpy() for index in range(_QUARTER)},
        directory / "quarter.safetensors",
    )


def save(prefix: Path, parameters: Parameters, seed: int = 2) -> list[Any]:
    """Write all tensors; gives the distinct ones."""
    tf = tensorflow()

    shape = (parameters["rows"], _COLUMNS)
    random = np.random.default_rng(seed)
    distinct = [tf.constant(random.random(shape, dtype=np.float32)) for _ in range(_DISTINCT)]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=[_name(index) for index in range(_TENSORS)],
        shape_and_slices=[""] * _TENSORS,
        tensors=[distinct[index % _DISTINCT] for index in range(_TENSORS)],
    )
    return distinct


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    tf = tensorflow()

    prefix = str(directory / "model.ckpt")
    shard = directory / "model.ckpt.data-00000-of-00001"
    names = [_name(index) for index in range(_TENSORS)]
    # SaveV2 packs the tensors densely in the order given, so the plain map is one 3-d array.
    shape = (_TENSORS, parameters["rows"], _COLUMNS)

    def views() -> list[float]:
        checkpoint = tb.open(prefix)
        return [float(np.sum(checkpoint[name])) for name in names]

    def plain_map() -> list[float]:
        # Plain arrays over the map: the class np.memmap has costs of its own per tensor.
        tensors = np.asarray(np.memmap(shard, dtype="<f4", mode="r", shape=shape))
        return [float(np.sum(tensor)) for tensor in tensors]

    def tensorflow_copies() -> list[float]:
        reader = tf.train.load_checkpoint(prefix)
        return [float(np.sum(reader.get_tensor(name))) for name in names]

    def quarter_views() -> list[float]:
        checkpoint = tb.open(prefix)
        return [float(np.sum(checkpoint[name])) for name in names[:_QUARTER]]

    def quarter_safetensors() -> list[float]:
        with safe_open(directory / "quarter.safetensors", framework="numpy") as file:
            return [float(np.sum(file.get_tensor(name))) for name in names[:_QUARTER]]

    if not views() == plain_map() == tensorflow_copies():
        raise SystemExit(f"{_NAME}: the sums of the three readers differ")

    whole = alternate([Side("ours", views), Side("map", plain_map)], _ROUNDS, files=[shard])
    checkpoint = tb.open(prefix)
    held = [checkpoint[name] for name in names]
    held_map = np.asarray(np.memmap(shard, dtype="<f4", mode="r", shape=shape))
    touched = alternate(
        [
            Side("ours", lambda: [float(np.sum(tensor)) for tensor in held]),
            Side("map", lambda: [float(np.sum(tensor)) for tensor in held_map]),
        ],
        _ROUNDS,
        files=[shard],
    )
    copied = alternate(
        [Side("ours", views), Side("tensorflow", tensorflow_copies)],
        _ROUNDS_TENSORFLOW,
        files=[shard],
        warm_up=False,
    )
    quarter = alternate(
        [Side("ours", quarter_views), Side("safetensors", quarter_safetensors)],
        _ROUNDS,
        files=[shard, directory / "quarter.safetensors"],
    )
    size = f"{shard.stat().st_size / 2**30:.3g} GiB"
    sums, again = f"open, sum every view, {size}", f"sum every view once more, {size}"
    return [
        Row(_NAME, sums, whole["ours"], "np.memmap", whole["map"], times(0.95)),
        Row(_NAME, again, touched["ours"], "np.memmap", touched["map"], times(0.95)),
        Row(_NAME, sums, copied["ours"], "TensorFlow", copied["tensorflow"]),
        Row(
            _NAME,
            "open, sum a quarter of the views",
            quarter["ours"],
            "safetensors",
            quarter["safetensors"],
        ),
        Row(
            _NAME,
            f"hold and sum every tensor, {size}: anonymous memory added",
            added_memory("tensors", "tensorbundle", prefix, runs=3),
            "TensorFlow",
            added_memory("tensors", "tensorflow", prefix, runs=1),
            under(20 << 20, "B"),
            unit="B",
        ),
    ]


WORKLOAD = Workload(_NAME, parameters, make, measure)
