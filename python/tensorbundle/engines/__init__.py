"""Tables of whole stores on engines that are there: Ray Data and Apache Spark.

``tensorbundle.engines.ray`` and ``tensorbundle.engines.spark`` each import their engine, and
nothing else does. Both map pure functions of :mod:`tensorbundle.catalog` over checkpoints; to
start workers, to hand out work and to do it again when a worker dies is the engine's part.
"""

from __future__ import annotations

from ..errors import CheckpointError

__all__ = ["EngineMissingError"]


class EngineMissingError(CheckpointError, ImportError):
    """An engine is asked for that is not installed; the message says what to install."""
