"""`stats`: what the values of a large checkpoint are like, where reading memory is the limit."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import tensorbundle as tb
from harness import Side, alternate
from report import Row, Target, times
from workload import Parameters, Workload
from workloads import big

_NAME = "stats"
_ROUNDS = 7
_ROUNDS_SLOW = 3


def parameters(size: float) -> Parameters:
    return big.parameters(size)


def make(directory: Path, parameters: Parameters) -> None:
    big.save(directory / "big", parameters)


def figures(array: np.ndarray) -> tuple[float, ...]:
    """What ours says of a tensor, by NumPy."""
    finite = array[np.isfinite(array)]
    wide = finite.astype(np.float64)
    return (
        np.isnan(array).sum(),
        (array == np.inf).sum(),
        (array == -np.inf).sum(),
        (array == 0).sum(),
        ((np.abs(array) < np.finfo(array.dtype).tiny) & (array != 0)).sum(),
        finite.min(),
        finite.max(),
        wide.mean(),
        wide.std(),
        np.linalg.norm(wide),
    )


def measure(directory: Path, _parameters: Parameters) -> list[Row]:
    prefix = str(directory / "big")
    shard = directory / "big.data-00000-of-00001"
    bytes_ = shard.stat().st_size // 8 * 8

    def ours() -> object:
        return tb.open(prefix).stats()

    def plain_sum() -> object:
        # A fresh map each time, as ours has; NumPy adds 64-bit integers as fast as they come.
        words = np.memmap(shard, np.uint64, "r", shape=(bytes_ // 8,))
        parts = np.array_split(words, 64 * (os.cpu_count() or 1))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return sum(int(part) for part in pool.map(np.sum, parts))

    def by_numpy() -> object:
        checkpoint = tb.open(prefix)
        return [figures(checkpoint[name]) for name in checkpoint]

    _check(prefix)
    fast = alternate([Side("ours", ours), Side("sum", plain_sum)], _ROUNDS, files=[shard])
    slow = alternate([Side("ours", ours), Side("numpy", by_numpy)], _ROUNDS_SLOW, files=[shard])
    size = f"{bytes_ / 2**30:.3g} GiB"
    speed = Target("≥ 0.7 x", lambda mine, theirs: mine * 0.7 <= theirs)
    return [
        Row(
            _NAME,
            f"{size} of float32",
            fast["ours"],
            "a plain sum, all cores",
            fast["sum"],
            speed,
        ),
        Row(_NAME, "the same", slow["ours"], "NumPy, the same figures", slow["numpy"], times(5)),
    ]


def _check(prefix: str) -> None:
    """Both must give the same answer before it is worth asking who is faster."""
    checkpoint = tb.open(prefix)
    name = next(iter(checkpoint))
    row = checkpoint.stats(name)[name]
    counts = (row.nan, row.pos_inf, row.neg_inf, row.zeros, row.subnormals)
    ours = (*counts, row.min, row.max, row.mean, row.std, row.norm)
    if not np.allclose(np.array(ours, float), figures(checkpoint[name]), rtol=1e-9, atol=1e-12):
        raise SystemExit(f"{_NAME}: other figures of {name}: {ours}")


WORKLOAD = Workload(_NAME, parameters, make, measure)
