"""`diff`: indexes of 200,000 tensors by checksums, checkpoints of a gigabyte by values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tensorbundle as tb
from harness import Side, alternate, tensorflow
from report import Row, under
from workload import Parameters, Workload
from workloads import big, many

_NAME = "diff"
_EVERY = 1000
_ROUNDS = 9
_ROUNDS_SLOW = 3


def parameters(size: float) -> Parameters:
    return {
        **big.parameters(size / 4),
        "small": max(round(200_000 * size), 2 * _EVERY),
    }


def make(directory: Path, parameters: Parameters) -> None:
    big.save(directory / "big", parameters)
    big.save(directory / "same", parameters)
    big.save(directory / "other", parameters, seed=3)
    many.save(directory / "many", parameters["small"])
    many.save(directory / "many_other", parameters["small"], slice(None, None, _EVERY))


def figures(a: tb.Checkpoint, b: tb.Checkpoint) -> list[tuple[float, ...]]:
    """What ours says of each tensor, by NumPy."""
    found = []
    for name in a:
        one, other = a[name], b[name]
        x, y = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
        apart = np.abs(x - y)
        size = np.abs(y)
        found.append(
            (
                np.count_nonzero(one.view(np.uint32) != other.view(np.uint32)),
                np.count_nonzero(apart > 0),
                apart.max(),
                apart.mean(),
                np.divide(apart, size, where=size != 0, out=np.zeros_like(apart)).max(),
                (x @ y) / np.sqrt((x @ x) * (y @ y)),
            )
        )
    return found


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    tf = tensorflow()
    prefix = {name: str(directory / name) for name in ("big", "same", "other", "many")}
    changed = str(directory / "many_other")

    def fast() -> object:
        return tb.diff(prefix["many"], changed, fast=True).counts

    def lists() -> object:
        readers = [tf.train.load_checkpoint(path) for path in (prefix["many"], changed)]
        return [
            (reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map())
            for reader in readers
        ]

    def values(name: str) -> tb.DiffReport:
        return tb.diff(prefix["big"], prefix[name])

    def equal_by_numpy() -> object:
        one, other = tb.open(prefix["big"]), tb.open(prefix["same"])
        return [np.array_equal(one[name], other[name]) for name in one]

    _check(prefix, changed, parameters)
    small = alternate(
        [Side("ours", fast), Side("tensorflow", lists)], _ROUNDS, files=directory.glob("many*")
    )
    shards = [*directory.glob("big.*"), *directory.glob("same.*")]
    same = alternate(
        [Side("ours", lambda: values("same")), Side("numpy", equal_by_numpy)],
        _ROUNDS,
        files=shards,
    )
    shards = [*directory.glob("big.*"), *directory.glob("other.*")]

    def numpy_figures() -> object:
        return figures(tb.open(prefix["big"]), tb.open(prefix["other"]))

    apart = alternate(
        [Side("ours", lambda: values("other")), Side("numpy", numpy_figures)],
        _ROUNDS_SLOW,
        files=shards,
    )
    size = f"2 x {(directory / 'big.data-00000-of-00001').stat().st_size / 2**30:.3g} GiB"
    return [
        Row(
            _NAME,
            f"by checksums, 2 x {parameters['small']:,} tensors",
            small["ours"],
            "TensorFlow, lists of both",
            small["tensorflow"],
            under(0.1, "s"),
        ),
        Row(_NAME, f"by values, all equal, {size}", same["ours"], "np.array_equal", same["numpy"]),
        Row(
            _NAME,
            f"by values, all changed, {size}",
            apart["ours"],
            "NumPy, the same figures",
            apart["numpy"],
        ),
    ]


def _check(prefix: dict[str, str], changed: str, parameters: Parameters) -> None:
    """Both must give the same answer before it is worth asking who is faster."""
    report = tb.diff(prefix["many"], changed, fast=True)
    if report.counts["changed"] != -(-parameters["small"] // _EVERY):
        raise SystemExit(f"{_NAME}: not as many changed as were changed: {report!r}")
    if tb.diff(prefix["big"], prefix["same"]):
        raise SystemExit(f"{_NAME}: the same tensors differ")
    report = tb.diff(prefix["big"], prefix["other"])
    theirs = figures(tb.open(prefix["big"]), tb.open(prefix["other"]))
    for row, want in zip(report, theirs, strict=True):
        ours = (row.changed, row.beyond, row.max_abs, row.mean_abs, row.max_rel, row.cosine)
        if not np.allclose(np.array(ours, float), np.array(want, float), rtol=1e-9, atol=0):
            raise SystemExit(f"{_NAME}: other figures of {row.name}: {ours}, want {want}")


WORKLOAD = Workload(_NAME, parameters, make, measure)
