"""`objects`: a checkpoint of TensorFlow 2, whose tensors are found by paths of objects."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import tensorbundle as tb
from harness import Side, alternate, tensorflow
from report import Row, times
from workload import Parameters, Workload

_NAME = "objects"
_LAYERS = 20
_OF_A_LAYER = ("kernel", "bias", "m", "v")
_ROUNDS = 9
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def parameters(size: float) -> Parameters:
    return {"blocks": max(round(500 * size), 5), "layers": _LAYERS}


def make(directory: Path, parameters: Parameters) -> None:
    """Blocks of layers of variables: 40,000 of them at size 1."""
    tf = tensorflow()

    root = tf.Module()
    for i in range(parameters["blocks"]):
        block = tf.Module()
        setattr(root, f"block_{i:03d}", block)
        for j in range(parameters["layers"]):
            layer = tf.Module()
            setattr(block, f"layer_{j:02d}", layer)
            for k, name in enumerate(_OF_A_LAYER):
                setattr(layer, name, tf.Variable(float(i * 1000 + j * 10 + k)))
    tf.train.Checkpoint(net=root).write(str(directory / "model.ckpt"))


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    tf = tensorflow()
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    prefix = str(directory / "model.ckpt")
    chosen = random.Random(3)
    wanted = [
        f"net/block_{chosen.randrange(parameters['blocks']):03d}"
        f"/layer_{chosen.randrange(_LAYERS):02d}/{chosen.choice(_OF_A_LAYER)}"
        for _ in range(32)
    ]
    for_us, for_tensorflow = itertools.cycle(wanted), itertools.cycle(wanted)

    def graph_of(reader: Any) -> Any:
        return TrackableObjectGraph.FromString(reader.get_tensor(_GRAPH))

    def read_one() -> object:
        return tb.open(prefix)[next(for_us)]

    def tensorflow_read_one() -> object:
        reader = tf.train.load_checkpoint(prefix)
        nodes = graph_of(reader).nodes
        node = nodes[0]
        for name in next(for_tensorflow).split("/"):
            node = nodes[next(child.node_id for child in node.children if child.local_name == name)]
        return reader.get_tensor(node.attributes[0].checkpoint_key)

    def everything() -> dict[str, Any]:
        ckpt = tb.open(prefix)
        graph = ckpt.object_graph
        assert graph is not None
        shapes = ckpt.shapes()
        return {path: (key, shapes[key]) for key, path in graph.paths().items()}

    def tensorflow_everything() -> dict[str, Any]:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
        nodes = graph_of(reader).nodes
        found, seen, level = {}, {0}, [("", 0)]
        while level:
            below = []
            for path, number in level:
                node = nodes[number]
                for attribute in node.attributes:
                    key = attribute.checkpoint_key
                    found[path] = (key, tuple(shapes[key]))
                for child in node.children:
                    if child.node_id not in seen:
                        seen.add(child.node_id)
                        name = child.local_name
                        below.append((f"{path}/{name}" if path else name, child.node_id))
            level = below
        return found

    def variables() -> object:
        return len(tb.open(prefix).variables)

    if everything() != tensorflow_everything():
        raise SystemExit(f"{_NAME}: tensorbundle and a walk of the proto find different objects")
    if read_one() != tensorflow_read_one():
        raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow read different values")
    files = list(directory.iterdir())
    one = alternate(
        [Side("ours", read_one, calls=3), Side("tensorflow", tensorflow_read_one)],
        _ROUNDS,
        files=files,
    )
    every = alternate(
        [
            Side("ours", everything),
            Side("tensorflow", tensorflow_everything),
            Side("variables", variables),
        ],
        _ROUNDS,
        files=files,
    )
    count = f"{parameters['blocks'] * _LAYERS * len(_OF_A_LAYER):,}"
    peer = "TensorFlow's reader, protobuf and a walk"
    return [
        Row(
            _NAME,
            f"open, read 1 of {count} variables by path",
            one["ours"],
            peer,
            one["tensorflow"],
            times(5),
        ),
        Row(
            _NAME,
            f"open, path, key and shape of {count}",
            every["ours"],
            peer,
            every["tensorflow"],
            times(3),
        ),
        Row(
            _NAME,
            f"open, {count} `variables`, slots told apart",
            every["variables"],
            peer,
            every["tensorflow"],
            None,
        ),
    ]


WORKLOAD = Workload(_NAME, parameters, make, measure)
