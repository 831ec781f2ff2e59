"""TensorFlow as the oracle for graphs: files of them, and what each thing must be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import tensorbundle as tb
from tensorbundle import AttrPlaceholder, DType, FunctionRef

DATA = Path(__file__).parent / "data"
CORPUS = os.environ.get("TENSORBUNDLE_CORPUS")
STRING = 7
SUFFIXES = (".meta", "saved_model.pb", "saved_model.pbtxt")


def graph_files(*, broken: bool = False) -> list[Path]:
    """The graph files of the tests and of the corpus."""
    folders = [DATA, *([Path(CORPUS)] if CORPUS else [])]
    found = sorted(file for folder in folders for file in folder.rglob("*.*"))
    return [
        file
        for file in found
        if file.name.endswith(SUFFIXES) and broken == any(p.startswith("bad--") for p in file.parts)
    ]


def file_id(file: Path) -> str:
    return "/".join(file.parts[-2:])


def parse_meta(file: Path) -> Any:
    """The file as TensorFlow's own MetaGraphDef."""
    from google.protobuf import text_format
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    if file.suffix == ".meta":
        return MetaGraphDef.FromString(file.read_bytes())
    if file.suffix == ".pb":
        model = SavedModel.FromString(file.read_bytes())
    else:
        model = text_format.Parse(file.read_text(), SavedModel())
    (meta,) = model.meta_graphs
    return meta


# Values of attributes.


def same_dtype(tf: Any, ours: DType, number: int) -> None:
    theirs = tf.dtypes.as_dtype(number)
    assert type(ours) is DType
    assert (ours.as_datatype_enum, ours.name) == (number, theirs.name)
    assert ours.is_ref_dtype == theirs._is_ref_dtype
    assert ours.base_dtype.name == theirs.base_dtype.name
    assert ours == theirs.name
    handle = theirs.base_dtype in (tf.resource, tf.variant)  # these have none in TensorFlow
    numpy = np.dtype(object if handle else theirs.as_numpy_dtype)
    assert ours.numpy_dtype == (numpy[0] if numpy.fields else numpy)  # quantized types: one field


def shape_of(proto: Any) -> tuple[int | None, ...] | None:
    if proto.unknown_rank:
        return None
    return tuple(None if dim.size == -1 else dim.size for dim in proto.dim)


def same_array(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> None:
    assert isinstance(ours, np.ndarray)
    assert not ours.flags.writeable
    assert ours.shape == theirs.shape
    if theirs.dtype == object:
        assert ours.tolist() == theirs.tolist()
    else:
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()


def same_tensor(tf: Any, ours: np.ndarray[Any, Any], proto: Any) -> None:
    """Against what TensorFlow's C++ makes of it."""
    parsed = tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(proto.dtype))
    theirs = parsed.numpy()
    same_array(ours, np.array(theirs, object) if proto.dtype == STRING else theirs)


def same_func(tf: Any, ours: FunctionRef, proto: Any) -> None:
    assert type(ours) is FunctionRef
    assert ours.name == proto.name
    same_attrs(tf, ours.attrs, proto.attr)


def same_attrs(tf: Any, ours: dict[str, Any], protos: Mapping[str, Any]) -> None:
    assert ours.keys() == protos.keys()
    for name, value in ours.items():
        same_attr(tf, value, protos[name])


LISTS = ("s", "i", "f", "b", "type", "shape", "tensor", "func")


def same_attr(tf: Any, ours: Any, proto: Any) -> None:
    """What `get_attr` gives is what the AttrValue says."""
    kind = proto.WhichOneof("value")
    if kind is None:
        assert ours == []
    elif kind == "list":
        full = [name for name in LISTS if getattr(proto.list, name)]
        assert len(full) <= 1
        assert type(ours) is list
        values = list(getattr(proto.list, full[0])) if full else []
        for one, other in zip(ours, values, strict=True):
            same_value(tf, full[0], one, other)
    else:
        same_value(tf, kind, ours, getattr(proto, kind))


def same_value(tf: Any, kind: str, ours: Any, theirs: Any) -> None:
    if kind == "type":
        same_dtype(tf, ours, theirs)
    elif kind == "shape":
        assert ours == shape_of(theirs)
    elif kind == "tensor":
        same_tensor(tf, ours, theirs)
    elif kind == "func":
        same_func(tf, ours, theirs)
    elif kind == "placeholder":
        assert type(ours) is AttrPlaceholder
        assert ours.name == theirs
    else:
        assert type(ours) is type(theirs)
        assert repr(ours) == repr(theirs)  # NaN and all


# Inputs.


def inputs_of(op: tb.Operation) -> list[str]:
    """As a graph's node writes them, without `:0`."""
    data = [tensor.name.removesuffix(":0") for tensor in op.inputs]
    return data + ["^" + node.name for node in op.control_inputs]


def in_graph(text: str) -> str:
    return text.removesuffix(":0")
