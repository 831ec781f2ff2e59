"""Read TensorFlow checkpoints without TensorFlow.

>>> import tensorbundle as tb
>>> ckpt = tb.open("run/model.ckpt-1000")  # doctest: +SKIP
>>> ckpt["dense/kernel"]  # doctest: +SKIP
"""

from __future__ import annotations

from ._checkpoint import Checkpoint, open
from ._native import SliceInfo, TensorInfo, __version__
from .errors import CheckpointError, CorruptionError, TensorNotFoundError, UnsupportedError

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "CorruptionError",
    "SliceInfo",
    "TensorInfo",
    "TensorNotFoundError",
    "UnsupportedError",
    "__version__",
    "open",
]
