"""Small sound checkpoints of every kind, as files in memory: what the fuzzer of files mutates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import damage
import graph_maker as g
import objects_maker as o
import variables_maker as v
from riegeli_maker import chunked, chunked_field, cpb, step_field, step_index
from writer import Bundle
from writer_v1 import V1File


class Base(NamedTuple):
    """Files by their path, which of them to open, and how."""

    kind: str
    path: str
    files: dict[str, bytes]
    opens: str = "checkpoint"  # or "graph", "saved model", "directory"
    snappy: bool = False

    def tables(self) -> list[str]:
        return [name for name in self.files if name.endswith(".index") or "old.ckpt" in name]

    def shards(self) -> list[str]:
        return sorted(name for name in self.files if ".data-" in name)


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def of(kind: str, folder: Path, path: str, **more: Any) -> Base:
    relative = str(Path(path).relative_to(folder))
    return Base(kind, relative, files_in(folder), **more)


def v1_single(folder: Path) -> str:
    file = V1File()
    file.add("bias", np.array([1, 2, 3], "<f4"))
    file.add("steps", np.array([-1, 0, 2**40], "<i8"), packed=False)
    file.add("words", [b"one", b"", b"three"])
    wide = np.arange(12, dtype="<i4").reshape(4, 3)
    file.add_sliced("wide", wide, [[(0, 3), None], [(3, 1), (0, 3)]])
    return file.write(folder / "old.ckpt")


def with_objects(folder: Path) -> str:
    """An object checkpoint as TensorFlow 2 writes it."""
    graph = o.graph(
        o.child("model", 1) + o.child("opt", 3),
        o.child("w", 2),
        o.value("model/w" + o.VALUE, "model/w"),
        o.slot(2, "m", 4),
        o.value("model/w/.OPTIMIZER_SLOT/opt/m" + o.VALUE, "m"),
    )
    bundle = Bundle()
    bundle.add("model/w" + o.VALUE, np.arange(4, dtype="<f4"))
    bundle.add("model/w/.OPTIMIZER_SLOT/opt/m" + o.VALUE, np.zeros(4, "<f4"))
    bundle.add(o.GRAPH, graph)
    return bundle.write(folder / "ckpt-1")


def meta_graph() -> bytes:
    body = g.function(
        g.op_def("f", [g.arg_def("x", dtype=1)], [g.arg_def("y", dtype=1)]),
        [g.node("y", "Identity", ["x"], T=g.of_type(1))],
        {"y": "y:output:0"},
    )
    nodes = [
        v.variable("w", [2, 3]),
        v.resource("r", [2]),
        g.const("c", g.tensor(1, [2], b"", g.floats(1.0, 2.0))),
        g.node("a", "Add", ["c", "c"], T=g.of_type(1)),
        g.node(
            "call", "f", ["a", "^w"], device="/cpu:0", x__class=g.of_list(g.of_bytes(b"loc:@a"))
        ),
        v.strings("file", "model"),
        *v.saver({"w": "w", "r": "r"}),
    ]
    collections = {"train_op": g.node_list("call"), "numbers": g.int64_list(1, 2)}
    return g.meta_graph(g.graph_def(nodes, [body]), tags=["serve"], collections=collections)


def with_graph(folder: Path) -> str:
    bundle = Bundle()
    bundle.add("w", np.arange(6, dtype="<f4").reshape(2, 3))
    bundle.add("r", np.zeros(2, "<f4"))
    prefix = bundle.write(folder / "model.ckpt-7")
    Path(prefix + ".meta").write_bytes(meta_graph())
    return prefix


TEXT = b"""meta_info_def { tags: "serve" tensorflow_version: "1.15.0" }
graph_def {
  node { name: "w" op: "VariableV2" attr { key: "dtype" value { type: DT_FLOAT } }
    attr { key: "shape" value { shape { dim { size: 2 } } } } }
  node { name: "c" op: "Const" attr { key: "value" value { tensor {
    dtype: DT_INT32 tensor_shape { dim { size: 2 } } int_val: [1, -2] } } } }
  node { name: "a" op: "Assign" input: "w" input: "^c" }
  versions { producer: 27 }
}
collection_def { key: "train_op" value { node_list { value: "a" } } }
"""


def binary_graph(folder: Path) -> str:
    (folder / "model.meta").write_bytes(meta_graph())
    return str(folder / "model.meta")


def text_graph(folder: Path) -> str:
    (folder / "graph.pbtxt").write_bytes(TEXT)
    return str(folder / "graph.pbtxt")


def saved_model(folder: Path) -> str:
    (folder / "saved_model.pb").write_bytes(g.saved_model(meta_graph()))
    variables = Bundle()
    variables.add("w", np.arange(6, dtype="<f4").reshape(2, 3))
    variables.write(folder / "variables" / "variables")
    return str(folder)


def chunked_model(folder: Path) -> str:
    way = [step_field(2), step_index(0)]
    parts = [g.saved_model(b""), meta_graph()]
    message = chunked(0, [chunked_field(way, chunked(1))])
    (folder / "saved_model.cpb").write_bytes(cpb(parts, message))
    return str(folder)


def directory(folder: Path) -> str:
    for number in (3, 4):
        bundle = Bundle()
        bundle.add("w", np.full(3, number, "<f4"))
        bundle.write(folder / f"ckpt-{number}")
    (folder / "checkpoint").write_bytes(
        b'model_checkpoint_path: "ckpt-4"\nall_model_checkpoint_paths: "ckpt-3"\n'
        b'all_model_checkpoint_paths: "ckpt-4"\nall_model_checkpoint_timestamps: 1795337477.26\n'
        b"all_model_checkpoint_timestamps: 1795337477.27\n"
    )
    return str(folder)


MAKERS: dict[str, tuple[Callable[[Path], str], dict[str, Any]]] = {
    "plain": (damage.plain, {}),
    "snappy": (damage.snappy, {"snappy": True}),
    "big-endian": (damage.big_endian, {}),
    "v1": (damage.v1, {}),
    "v1-single": (v1_single, {}),
    "objects": (with_objects, {}),
    "graph-beside": (with_graph, {}),
    "meta": (binary_graph, {"opens": "graph"}),
    "pbtxt": (text_graph, {"opens": "graph"}),
    "saved-model": (saved_model, {"opens": "saved model"}),
    "cpb": (chunked_model, {"opens": "saved model"}),
    "directory": (directory, {"opens": "directory"}),
}


def bases(folder: Path) -> list[Base]:
    made = []
    for kind, (make, more) in MAKERS.items():
        place = folder / kind
        place.mkdir(parents=True, exist_ok=True)
        made.append(of(kind, place, make(place), **more))
    return made
