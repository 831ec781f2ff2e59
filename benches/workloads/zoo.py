"""`zoo`: a store of many small checkpoints, where opening them is the work."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from harness import Samples, Side, alternate, output, tensorflow
from report import Row, times, under
from tensorbundle import catalog
from workload import Parameters, Workload

_NAME = "zoo"
_TENSORS = 100
_FOLDERS = 100
_SOME = 1000
_ROUNDS = 5


def parameters(size: float) -> Parameters:
    return {"checkpoints": max(round(10_000 * size), _FOLDERS), "tensors": _TENSORS}


def make(directory: Path, parameters: Parameters) -> None:
    tf = tensorflow()
    names = [
        f"model/layer_{i // 4:02d}/{('bias', 'bias/Adam', 'kernel', 'kernel/Adam')[i % 4]}"
        for i in range(parameters["tensors"])
    ]
    values = np.random.default_rng(1).normal(size=(len(names), 4, 8)).astype(np.float32)
    for i in range(parameters["checkpoints"]):
        folder = directory / f"run_{i % _FOLDERS:02d}"
        folder.mkdir(exist_ok=True)
        values[i % len(names)] += 1
        tf.raw_ops.SaveV2(
            prefix=str(folder / f"model.ckpt-{i // _FOLDERS}"),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=list(map(tf.constant, values)),
        )


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    tf = tensorflow()
    paths = [place.path for place in catalog.discover(directory)]
    some = paths[:_SOME]

    def rows() -> object:
        return catalog.rows(some)

    def theirs() -> object:
        readers = [tf.train.load_checkpoint(path) for path in some]
        return [
            (reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map())
            for reader in readers
        ]

    if len(catalog.rows(some)) != len(some) * parameters["tensors"]:
        raise SystemExit(f"{_NAME}: not all tensors were listed")
    files = list(directory.rglob("model.ckpt-*"))
    listed = alternate([Side("ours", rows), Side("tensorflow", theirs)], _ROUNDS, files=files)

    made = directory / "catalog.duckdb"

    def new() -> object:
        made.unlink(missing_ok=True)
        return catalog.index(directory, made)

    def again() -> object:
        report = catalog.index(directory, made)
        if report.changed:
            raise SystemExit(f"{_NAME}: {report.changed} changed, but none did")
        return report

    indexed = alternate([Side("new", new), Side("again", again)], _ROUNDS, files=files)
    count = parameters["checkpoints"]
    memory = Samples(tuple(float(_memory(directory, made)) for _ in range(3)))
    made.unlink()
    return [
        Row(
            _NAME,
            f"{len(some):,} checkpoints to Arrow rows",
            listed["ours"],
            "TensorFlow",
            listed["tensorflow"],
            times(10),
        ),
        Row(_NAME, f"index {count:,} in DuckDB", indexed["new"], target=under(count / 5000, "s")),
        Row(
            _NAME,
            "once more, nothing changed",
            indexed["again"],
            "the first time",
            indexed["new"],
            times(5),
        ),
        Row(
            _NAME,
            "memory of the first time",
            memory,
            target=under(200 * 2**20, "B"),
            unit="B",
        ),
    ]


def _memory(directory: Path, made: Path) -> int:
    """How much more memory indexing takes than importing does."""
    made.unlink(missing_ok=True)
    script = Path(__file__).parents[1] / "index_memory.py"
    return int(output([sys.executable, str(script), str(directory), str(made)]))


WORKLOAD = Workload(_NAME, parameters, make, measure)
