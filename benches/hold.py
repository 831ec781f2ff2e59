"""Holds what a reader makes of a file and prints how many bytes of anonymous memory that added.

A process of its own, `hold.py WHAT READER PATH`, so that nothing measured before counts. WHAT is

* `tensors`: every tensor of a checkpoint, each of them summed as well: a view that nobody looks at
  would cost nothing anyway;
* `graph`: an open graph whose ops were counted and of which one node was looked up;
* `edges`: besides, who takes that node's tensor;
* `columns`: besides, the names, ops and inputs of all nodes.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness import anonymous_bytes, tensorflow

# Of a path: what is to be held. What a reader imports, it imports before it returns one.
Hold = Callable[[str], object]

_NODE = "gpu_001/layer_03/MatMul"


def _sum(tensors: dict[str, np.ndarray]) -> object:
    total = sum(float(tensor.sum()) for tensor in tensors.values())
    return tensors if tensors and total > 0 else None


def _tensors_tensorbundle() -> Hold:
    import tensorbundle as tb

    return lambda prefix: _sum(dict(tb.open(prefix)))


def _tensors_tensorflow() -> Hold:
    tf = tensorflow()

    def hold(prefix: str) -> object:
        reader = tf.train.load_checkpoint(prefix)
        return _sum({name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()})

    return hold


def _graph_tensorbundle() -> Hold:
    import tensorbundle as tb

    def hold(path: str) -> Any:
        graph = tb.load_meta_graph(path).graph
        return graph, graph.op_counts(), graph.get_operation_by_name(_NODE)

    return hold


def _edges_tensorbundle() -> Hold:
    find = _graph_tensorbundle()

    def hold(path: str) -> Any:
        found = find(path)
        return *found, found[-1].outputs[0].consumers()

    return hold


def _columns_tensorbundle() -> Hold:
    find = _edges_tensorbundle()

    def hold(path: str) -> Any:
        found = find(path)
        return *found, found[0].columns()

    return hold


def _graph_protobuf() -> Hold:
    parse = tensorflow().compat.v1.MetaGraphDef.FromString

    def hold(path: str) -> Any:
        meta = parse(Path(path).read_bytes())
        nodes = meta.graph_def.node
        counts = Counter(node.op for node in nodes)
        return meta, counts, next(node for node in nodes if node.name == _NODE)

    return hold


def _edges_protobuf() -> Hold:
    find = _graph_protobuf()

    def hold(path: str) -> Any:
        found = find(path)
        name = found[-1].name
        return *found, [node for node in found[0].graph_def.node if name in node.input]

    return hold


def _columns_protobuf() -> Hold:
    find = _edges_protobuf()

    def hold(path: str) -> Any:
        found = find(path)
        nodes = found[0].graph_def.node
        names, ops = [node.name for node in nodes], [node.op for node in nodes]
        return *found, names, ops, [list(node.input) for node in nodes]

    return hold


_HOLDS: dict[tuple[str, str], Callable[[], Hold]] = {
    ("tensors", "tensorbundle"): _tensors_tensorbundle,
    ("tensors", "tensorflow"): _tensors_tensorflow,
    ("graph", "tensorbundle"): _graph_tensorbundle,
    ("graph", "protobuf"): _graph_protobuf,
    ("edges", "tensorbundle"): _edges_tensorbundle,
    ("edges", "protobuf"): _edges_protobuf,
    ("columns", "tensorbundle"): _columns_tensorbundle,
    ("columns", "protobuf"): _columns_protobuf,
}


def main(what: str, reader: str, path: str) -> None:
    hold = _HOLDS[what, reader]()
    np.ones(1 << 16, dtype=np.float32).sum()
    before = anonymous_bytes()
    held = hold(path)
    added = anonymous_bytes() - before
    if held is None:
        raise SystemExit(f"{reader} found nothing to hold in {path}")
    print(added)


if __name__ == "__main__":
    main(*sys.argv[1:])
