"""Holds every tensor of a checkpoint and prints how many bytes of anonymous memory that added.

A process of its own, `hold.py READER PREFIX`, so that nothing measured before is counted. Every
tensor is summed as well: a view that nobody looks at would cost nothing anyway.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import numpy as np

from harness import anonymous_bytes, tensorflow

Tensors = Mapping[str, np.ndarray] | dict[str, np.ndarray]


def _tensorbundle() -> Callable[[str], Tensors]:
    import tensorbundle as tb

    return lambda prefix: dict(tb.open(prefix))


def _tensorflow() -> Callable[[str], Tensors]:
    tf = tensorflow()

    def read(prefix: str) -> Tensors:
        reader = tf.train.load_checkpoint(prefix)
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}

    return read


def main(reader: str, prefix: str) -> None:
    read = {"tensorbundle": _tensorbundle, "tensorflow": _tensorflow}[reader]()
    np.ones(1 << 16, dtype=np.float32).sum()
    before = anonymous_bytes()
    tensors = read(prefix)
    total = sum(float(tensor.sum()) for tensor in tensors.values())
    added = anonymous_bytes() - before
    if not (tensors and total > 0):
        raise SystemExit(f"{reader} found nothing to hold in {prefix}")
    print(added)


if __name__ == "__main__":
    main(*sys.argv[1:])
