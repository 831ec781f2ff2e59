"""Rewrites the savers of a `.meta` to what other versions of TensorFlow wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

STRING = 7


def read_meta(prefix: str) -> Any:
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

    return MetaGraphDef.FromString(Path(f"{prefix}.meta").read_bytes())


def rewrite(prefix: str, change: Callable[[Any], None]) -> None:
    """Changes the `.meta` of a checkpoint in place."""
    meta = read_meta(prefix)
    change(meta)
    Path(f"{prefix}.meta").write_bytes(meta.SerializeToString())


def texts(meta: Any, name: str) -> list[str]:
    """The strings of a constant."""
    from tensorflow.python.framework.tensor_util import MakeNdarray

    (node,) = (node for node in meta.graph_def.node if node.name == name)
    return [text.decode() for text in MakeNdarray(node.attr["value"].tensor).ravel()]


def add_text(meta: Any, name: str, text: str, shape: tuple[int, ...]) -> None:
    from tensorflow.python.framework.tensor_util import make_tensor_proto

    node = meta.graph_def.node.add(name=name, op="Const")
    node.attr["dtype"].type = STRING
    value = make_tensor_proto(np.full(shape, text.encode(), object), STRING, shape)
    node.attr["value"].tensor.CopyFrom(value)


def restores(meta: Any) -> Iterator[tuple[Any, list[str], list[str], list[int]]]:
    """The RestoreV2 nodes with names, specs, and types of what they restore."""
    for node in [node for node in meta.graph_def.node if node.op == "RestoreV2"]:
        names, specs = (texts(meta, name) for name in node.input[1:3])
        yield node, names, specs, list(node.attr["dtypes"].list.type)


def one_by_one(op: str) -> Callable[[Any], None]:
    """A restore op for each variable: "RestoreV2" as of 2017, "RestoreSlice", "Restore" before."""

    def change(meta: Any) -> None:
        for node, names, specs, types in list(restores(meta)):
            for i, (name, spec, dtype) in enumerate(zip(names, specs, types, strict=True)):
                alone = f"{node.name}_one_{i}"
                shape = (1,) if op == "RestoreV2" else ()
                add_text(meta, f"{alone}/tensor_names", name, shape)
                made = meta.graph_def.node.add(name=alone, op=op, input=[node.input[0]])
                made.input.append(f"{alone}/tensor_names")
                if op != "Restore":
                    add_text(meta, f"{alone}/shape_and_slices", spec, shape)
                    made.input.append(f"{alone}/shape_and_slices")
                if op == "RestoreV2":
                    made.attr["dtypes"].list.type.append(dtype)
                else:
                    made.attr["dt"].type = dtype
                    made.attr["preferred_shard"].i = -1
                took = node.name if i == 0 else f"{node.name}:{i}"
                for user in meta.graph_def.node:
                    for at, source in enumerate(user.input):
                        if source == took:
                            user.input[at] = alone
            meta.graph_def.node.remove(node)

    return change


def old_saves(op: str) -> Callable[[Any], None]:
    """SaveV2 becomes "SaveSlices" or "Save"."""

    def change(meta: Any) -> None:
        for node in meta.graph_def.node:
            if node.op == "SaveV2":
                node.op = op
                types = list(node.attr["dtypes"].list.type)
                del node.attr["dtypes"]
                node.attr["T"].list.type.extend(types)
                if op == "Save":
                    del node.input[2]

    return change


def without_restores(meta: Any) -> None:
    """Leaves only the side that saves."""
    gone = {
        node.name
        for node in meta.graph_def.node
        if node.op == "RestoreV2" or "/restore_all" in node.name
    }
    while True:
        more = {
            node.name
            for node in meta.graph_def.node
            if any(name.lstrip("^").partition(":")[0] in gone for name in node.input)
        }
        if more <= gone:
            break
        gone |= more
    kept = [node for node in meta.graph_def.node if node.name not in gone]
    del meta.graph_def.node[:]
    meta.graph_def.node.extend(kept)


def without_savers(meta: Any) -> None:
    """As if no saver had been made."""
    without_restores(meta)
    for node in [node for node in meta.graph_def.node if node.name.startswith("save/")]:
        meta.graph_def.node.remove(node)
    meta.ClearField("saver_def")
