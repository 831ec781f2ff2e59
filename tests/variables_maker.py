"""Graphs with variables and savers, byte by byte: also such as no TensorFlow would write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import tensorbundle as tb
from encoding import bytes_field, varint_field
from graph_maker import (
    FLOAT,
    STRING,
    bytes_list,
    const,
    graph_def,
    meta_graph,
    node,
    of_list,
    of_shape,
    of_type,
    tensor,
    text,
    text_field,
)
from writer import Bundle

Slice = tuple[str, list[int], list[int], list[int]]


def variable(name: str, shape: Iterable[int] | None = (2,), dtype: int = FLOAT) -> bytes:
    return node(name, "VariableV2", dtype=of_type(dtype), shape=of_shape(shape))


def resource(name: str, shape: Iterable[int] | None = (2,)) -> bytes:
    return node(name, "VarHandleOp", dtype=of_type(FLOAT), shape=of_shape(shape))


def strings(name: str, *values: str) -> bytes:
    listed = b"".join(bytes_field(8, text(value)) for value in values)
    return const(name, tensor(STRING, [len(values)], more=listed), STRING)


def types(*numbers: int) -> bytes:
    return of_list(*(varint_field(6, number) for number in numbers))


def restore(name: str, keys: str, specs: str, *dtypes: int) -> bytes:
    return node(name, "RestoreV2", ["file", keys, specs], dtypes=types(*(dtypes or (FLOAT,))))


def saver(keys: Mapping[str, str], scope: str = "save") -> list[bytes]:
    """What restores the variables: `keys` has a tensor for each."""
    nodes = [
        strings(f"{scope}/names", *keys.values()),
        strings(f"{scope}/specs", *[""] * len(keys)),
        restore(f"{scope}/restore", f"{scope}/names", f"{scope}/specs", *[FLOAT] * len(keys)),
    ]
    for i, name in enumerate(keys):
        nodes.append(node(f"{scope}/assign_{i}", "Assign", [name, f"{scope}/restore:{i}"]))
    return nodes


def variable_def(name: str, part: Slice | None = None, trainable: bool = True) -> bytes:
    out = text_field(1, f"{name}:0") + text_field(2, f"{name}/Assign")
    out += text_field(3, f"{name}/read:0")
    if part is not None:
        full, dims, start, size = part
        lists = [varint_field(i, n) for i, of in ((2, dims), (3, start), (4, size)) for n in of]
        out += bytes_field(4, text_field(1, full) + b"".join(lists))
    return out + varint_field(7, int(trainable))


def collected(*defs: bytes) -> dict[str, bytes]:
    return {"variables": bytes_list(*defs), "trainable_variables": bytes_list(*defs)}


def graph_of(*nodes: bytes, functions: Iterable[bytes] = (), **options: Any) -> tb.MetaGraph:
    data = meta_graph(graph_def([strings("file", "prefix"), *nodes], functions), **options)
    return tb.load_meta_graph(data)


def checkpoint_of(path: Path, **tensors: Any) -> tb.Checkpoint:
    """A checkpoint with these tensors; of a shape or of values."""
    bundle = Bundle()
    for name, value in sorted(tensors.items()):
        array = np.zeros(value, np.float32) if isinstance(value, tuple) else value
        bundle.add(name, array)
    return tb.open(bundle.write(path / "made"))


def said(variables: tb.Variables) -> list[tuple[str, str | None, str | None, str]]:
    """The findings, as tuples."""
    return [(one.kind, one.variable, one.key, one.text) for one in variables.findings]
