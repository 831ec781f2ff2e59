"""`sliced`: a variable of 2 GiB in 64 slices over 8 shards, put together or read in part."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import tensorbundle as tb
from harness import Side, alternate, tensorflow
from report import Row, times, under
from workload import Parameters, Workload

_NAME = "sliced"
_VARIABLE = "embedding"
_SLICES = 64
_SHARDS = 8
_COLUMNS = 256
_PART = 1000
_ROUNDS = 11
_ROUNDS_PARTS = 25


def parameters(size: float) -> Parameters:
    return {
        "slices": _SLICES,
        "shards": _SHARDS,
        "rows_per_slice": max(round(32_768 * size), _PART),
        "columns": _COLUMNS,
    }


def make(directory: Path, parameters: Parameters) -> None:
    tf = tensorflow()

    length = parameters["rows_per_slice"]
    rows = length * _SLICES
    base = np.random.default_rng(2).random((length, _COLUMNS), dtype=np.float32)
    parts = directory / "parts"
    parts.mkdir()
    prefixes = [str(parts / f"part-{shard}") for shard in range(_SHARDS)]
    for shard, prefix in enumerate(prefixes):
        numbers = range(shard * _SLICES // _SHARDS, (shard + 1) * _SLICES // _SHARDS)
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=[_VARIABLE] * len(numbers),
            shape_and_slices=[
                f"{rows} {_COLUMNS} {number * length},{length}:0,{_COLUMNS}" for number in numbers
            ],
            tensors=[tf.constant(base + np.float32(number)) for number in numbers],
        )
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes,
        destination_prefix=str(directory / "model.ckpt"),
        delete_old_dirs=False,
    )
    shutil.rmtree(parts)


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    prefix = str(directory / "model.ckpt")
    _check(prefix, parameters)
    return [*_whole(prefix), *_parts(prefix, parameters)]


def _check(prefix: str, parameters: Parameters) -> None:
    """Both must give the same answer before it is worth asking who is faster."""
    tf = tensorflow()

    checkpoint = tb.open(prefix)
    theirs = tf.train.load_checkpoint(prefix).get_tensor(_VARIABLE)
    if not np.array_equal(checkpoint[_VARIABLE], theirs):
        raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow read different values")
    for starts in (_inside(parameters), _across(parameters)):
        rows = _rows(next(starts))
        if not np.array_equal(checkpoint.read(_VARIABLE, rows=rows), theirs[rows]):
            raise SystemExit(f"{_NAME}: rows {rows.start} to {rows.stop} differ from TensorFlow's")


def _whole(prefix: str) -> list[Row]:
    tf = tensorflow()

    info = tb.open(prefix).info(_VARIABLE)
    # Pages that are there already, so that copying from it costs reading and nothing else.
    source = np.ones(info.shape, dtype=info.dtype)
    target = np.zeros_like(source)

    def copy_fresh() -> object:
        fresh = np.empty_like(source)
        np.copyto(fresh, source)
        return fresh

    seconds = alternate(
        [
            Side("ours", lambda: tb.open(prefix)[_VARIABLE]),
            Side("fresh", copy_fresh),
            Side("warm", lambda: np.copyto(target, source)),
            Side("tensorflow", lambda: tf.train.load_checkpoint(prefix).get_tensor(_VARIABLE)),
        ],
        _ROUNDS,
        files=_files(prefix),
        memory=info.nbytes,
    )
    what = f"open, put {info.nbytes / 2**30:.3g} GiB together from {_SLICES} slices"
    ours = seconds["ours"]
    return [
        Row(_NAME, what, ours, "np.copyto, new array", seconds["fresh"], times(0.5)),
        Row(_NAME, what, ours, "np.copyto, touched array", seconds["warm"]),
        Row(_NAME, what, ours, "TensorFlow", seconds["tensorflow"]),
    ]


def _parts(prefix: str, parameters: Parameters) -> list[Row]:
    """Some rows: every byte of them is summed, a view alone would not touch them."""
    tf = tensorflow()

    all_rows = parameters["rows_per_slice"] * _SLICES
    opened = tb.open(prefix)
    inside, across, warm, restored = (
        _inside(parameters),
        _across(parameters),
        _inside(parameters),
        _inside(parameters),
    )

    def read(starts: Iterator[int]) -> object:
        return tb.open(prefix).read(_VARIABLE, rows=_rows(next(starts))).sum()

    def read_opened() -> object:
        return opened.read(_VARIABLE, rows=_rows(next(warm))).sum()

    def restore() -> object:
        spec = f"{all_rows} {_COLUMNS} {next(restored)},{_PART}:-"
        tensors = tf.raw_ops.RestoreV2(
            prefix=prefix,
            tensor_names=[_VARIABLE],
            shape_and_slices=[spec],
            dtypes=[tf.float32],
        )
        return tensors[0].numpy().sum()

    seconds = alternate(
        [
            Side("inside", lambda: read(inside)),
            Side("across", lambda: read(across)),
            Side("opened", read_opened),
            Side("tensorflow", restore),
        ],
        _ROUNDS_PARTS,
        files=_files(prefix),
    )
    peer = ("TensorFlow's RestoreV2", seconds["tensorflow"])
    limit = under(0.002, "s")
    rows = f"{_PART:,} rows, summed"
    return [
        Row(_NAME, f"open, read {rows}", seconds["inside"], *peer, limit),
        Row(_NAME, f"open, read {rows}, across two slices", seconds["across"], *peer, limit),
        Row(_NAME, f"read {rows}, opened before", seconds["opened"], *peer, limit),
    ]


def _files(prefix: str) -> list[Path]:
    path = Path(prefix)
    return list(path.parent.glob(f"{path.name}.*"))


def _rows(start: int) -> slice:
    return slice(start, start + _PART)


def _inside(parameters: Parameters) -> Iterator[int]:
    """Where to start so that the rows lie in one slice; the same sequence for everyone."""
    length = parameters["rows_per_slice"]
    chance = random.Random(2)
    for number in itertools.cycle(chance.sample(range(_SLICES), _SLICES)):
        yield number * length + chance.randint(0, length - _PART)


def _across(parameters: Parameters) -> Iterator[int]:
    """Where to start so that the rows lie in two slices, on both sides of a border."""
    length = parameters["rows_per_slice"]
    for number in itertools.cycle(random.Random(2).sample(range(1, _SLICES), _SLICES - 1)):
        yield number * length - _PART // 2


WORKLOAD = Workload(_NAME, parameters, make, measure)
