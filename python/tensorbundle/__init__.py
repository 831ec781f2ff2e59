"""Read TensorFlow checkpoints without TensorFlow.

>>> import tensorbundle as tb
>>> ckpt = tb.open("run/model.ckpt-1000")  # doctest: +SKIP
>>> ckpt["dense/kernel"]  # doctest: +SKIP
"""

from __future__ import annotations

from . import train
from ._assets import Asset
from ._checkpoint import Checkpoint, open
from ._chunk import Chunk
from ._columns import GraphColumns
from ._diff import DiffReport, TensorDiff, diff
from ._directory import CheckpointState, StoredCheckpoint, list_checkpoints, load_state
from ._dtype import DType
from ._fingerprint import Fingerprint
from ._meta_graph import MetaGraph, load_meta_graph
from ._native import (
    ArrowTable,
    AttrPlaceholder,
    Function,
    FunctionRef,
    Graph,
    Message,
    Operation,
    Scope,
    SliceInfo,
    Tensor,
    TensorInfo,
    __version__,
    tensorflow_op,
    tensorflow_versions,
)
from ._object_graph import ObjectAttribute, ObjectGraph, SlotVariable, TrackedObject
from ._saved_model import SavedModel, load_saved_model
from ._saved_objects import ConcreteFunction, SavedObject, SavedObjects
from ._signatures import Signature, SignatureTensor
from ._stats import StatsReport, TensorStats
from ._variables import Finding, Variable, Variables
from ._verify import VerifyFinding, VerifyReport, verify
from .errors import (
    CheckpointError,
    CorruptionError,
    NotInGraphError,
    TensorNotFoundError,
    UnsupportedError,
)

__all__ = [
    "ArrowTable",
    "Asset",
    "AttrPlaceholder",
    "Checkpoint",
    "CheckpointError",
    "CheckpointState",
    "Chunk",
    "ConcreteFunction",
    "CorruptionError",
    "DType",
    "DiffReport",
    "Finding",
    "Fingerprint",
    "Function",
    "FunctionRef",
    "Graph",
    "GraphColumns",
    "Message",
    "MetaGraph",
    "NotInGraphError",
    "ObjectAttribute",
    "ObjectGraph",
    "Operation",
    "SavedModel",
    "SavedObject",
    "SavedObjects",
    "Scope",
    "Signature",
    "SignatureTensor",
    "SliceInfo",
    "SlotVariable",
    "StatsReport",
    "StoredCheckpoint",
    "Tensor",
    "TensorDiff",
    "TensorInfo",
    "TensorNotFoundError",
    "TensorStats",
    "TrackedObject",
    "UnsupportedError",
    "Variable",
    "Variables",
    "VerifyFinding",
    "VerifyReport",
    "__version__",
    "diff",
    "list_checkpoints",
    "load_meta_graph",
    "load_saved_model",
    "load_state",
    "open",
    "tensorflow_op",
    "tensorflow_versions",
    "train",
    "verify",
]
