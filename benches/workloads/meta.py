"""`meta`: a graph of 400,000 nodes, as a `.meta` holds it: parsing is the work."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tensorbundle as tb
from harness import Side, added_memory, alternate, tensorflow
from report import Row, Target, times, under, within
from workload import Parameters, Workload

_NAME = "meta"
_LAYERS = 6
_WIDTH = 64
# Nodes of neither a tower nor a restored variable: the saver's, and one that initializes all.
_FIXED = 12
# At least so many tables of floats; there are as many as make the number of nodes exact.
_TABLES = 100
_ROUNDS = 9
_ROUNDS_TENSORFLOW = 5
# In every tower, and with an attribute T.
_LOOKED_UP = ("layer_03/MatMul", "layer_05/add", "gradients/layer_02/BiasAdd_grad/BiasAddGrad")


def parameters(size: float) -> Parameters:
    nodes = max(round(400_000 * size), 20_000)
    return {"nodes": nodes, "tenth": nodes // 10, "layers": _LAYERS, "width": _WIDTH}


# Making the data.


def make(directory: Path, parameters: Parameters) -> None:
    template = _template()
    for name in ("nodes", "tenth"):
        data = _graph(template, parameters[name]).SerializeToString(deterministic=True)
        (directory / f"{name}.meta").write_bytes(data)


def _template() -> Any:
    """A perceptron, trained with Adam and saved, as TensorFlow 1 writes it: one tower."""
    tf = tensorflow()
    v1 = tf.compat.v1

    v1.logging.set_verbosity(v1.logging.ERROR)
    v1.disable_resource_variables()
    with tf.Graph().as_default():
        features = v1.placeholder(tf.float32, [None, _WIDTH], name="input/features")
        labels = v1.placeholder(tf.int64, [None], name="input/labels")
        hidden = features
        for number in range(_LAYERS):
            with v1.variable_scope(f"layer_{number:02d}"):
                kernel = v1.get_variable("dense/kernel", [_WIDTH, _WIDTH])
                bias = v1.get_variable("dense/bias", [_WIDTH])
                scale = v1.get_variable("norm/scale", [_WIDTH])
                dense = tf.nn.relu(tf.nn.bias_add(tf.matmul(hidden, kernel), bias))
                mean, variance = tf.nn.moments(dense, axes=[1], keepdims=True)
                hidden += (dense - mean) * tf.math.rsqrt(variance + 1e-6) * scale
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=hidden)
        v1.train.AdamOptimizer().minimize(tf.reduce_mean(losses, name="loss"))
        return v1.train.Saver().export_meta_graph()


def _graph(template: Any, nodes: int) -> Any:
    """The tower over and over under other names, a saver for all of them, tables of floats."""
    tf = tensorflow()

    graph = tf.compat.v1.MetaGraphDef()
    graph.CopyFrom(template)
    del graph.graph_def.node[:]
    graph.collection_def.clear()

    tower = [node for node in template.graph_def.node if not node.name.startswith("save/")]
    variables = [node.name for node in tower if node.op == "VariableV2"]
    towers = (nodes - _FIXED - _TABLES) // (len(tower) + len(variables))
    prefixes = [f"gpu_{number:03d}/" for number in range(towers)]
    for prefix in prefixes:
        for node in tower:
            _renamed(graph.graph_def.node.add(), node, prefix)
        for key, collection in template.collection_def.items():
            _collected(graph.collection_def[key], collection, prefix)
    _saver(graph.graph_def, template.graph_def, [p + name for p in prefixes for name in variables])
    _tables(graph.graph_def, nodes - len(graph.graph_def.node), nodes // 4)
    return graph


def _renamed(node: Any, original: Any, prefix: str) -> None:
    node.CopyFrom(original)
    node.name = prefix + original.name
    node.ClearField("input")
    node.input.extend(
        f"^{prefix}{text[1:]}" if text.startswith("^") else prefix + text for text in original.input
    )
    if "_class" in original.attr:
        places = original.attr["_class"].list.s
        node.attr["_class"].list.s[:] = [
            place.replace(b"loc:@", b"loc:@" + prefix.encode(), 1) for place in places
        ]


def _collected(collection: Any, original: Any, prefix: str) -> None:
    tensorflow()
    from tensorflow.core.framework.variable_pb2 import VariableDef

    collection.node_list.value.extend(prefix + name for name in original.node_list.value)
    for data in original.bytes_list.value:
        variable = VariableDef.FromString(data)
        for field, value in variable.ListFields():
            if field.name.endswith("_name"):
                setattr(variable, field.name, prefix + value)
        collection.bytes_list.value.append(variable.SerializeToString())


def _saver(graph: Any, template: Any, variables: list[str]) -> None:
    """The template's saver, made to save all variables; and an op that initializes them."""
    tf = tensorflow()

    originals = {node.name: node for node in template.node if node.name.startswith("save/")}
    assign = originals["save/Assign"]
    count = len(variables)
    unknown = tf.TensorShape(None).as_proto()
    shape = tf.TensorShape([count]).as_proto()
    for name, original in originals.items():
        if original.op == "Assign":
            continue
        node = graph.node.add()
        node.CopyFrom(original)
        if name.endswith(("/tensor_names", "/shape_and_slices")):
            texts = variables if name.endswith("/tensor_names") else [""] * count
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(texts, tf.string, [count]))
            node.attr["_output_shapes"].list.shape[0].CopyFrom(shape)
        elif original.op == "SaveV2":
            node.input[3:] = variables
            node.attr["dtypes"].list.type[:] = [tf.float32.as_datatype_enum] * count
        elif original.op == "RestoreV2":
            node.attr["dtypes"].list.type[:] = [tf.float32.as_datatype_enum] * count
            node.attr["_output_shapes"].list.ClearField("shape")
            node.attr["_output_shapes"].list.shape.extend([unknown] * count)
        elif name == "save/restore_all":
            node.input[:] = [f"^{_assign(number)}" for number in range(count)]
    shapes = {node.name: node.attr["shape"].shape for node in graph.node if node.op == "VariableV2"}
    for number, variable in enumerate(variables):
        node = graph.node.add()
        node.CopyFrom(assign)
        node.name = _assign(number)
        node.input[:] = [variable, f"save/RestoreV2:{number}" if number else "save/RestoreV2"]
        node.attr["_class"].list.s[:] = [b"loc:@" + variable.encode()]
        node.attr["_output_shapes"].list.shape[0].CopyFrom(shapes[variable])
    graph.node.add(name="init", op="NoOp").input.extend(f"^{name}/Assign" for name in variables)


def _assign(number: int) -> str:
    return f"save/Assign_{number}" if number else "save/Assign"


def _tables(graph: Any, count: int, largest: int) -> None:
    """Constants of very different sizes: the n-th has an n-th of the floats of the largest."""
    tf = tensorflow()

    floats = np.random.default_rng(2).random(largest, dtype=np.float32)
    for number in range(count):
        values = floats[: largest // (number + 1)]
        node = graph.node.add(name=f"tables/table_{number:04d}", op="Const")
        node.attr["dtype"].type = tf.float32.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
        node.attr["_output_shapes"].list.shape.add().CopyFrom(
            tf.TensorShape(values.shape).as_proto()
        )


# Measuring.


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    path, tenth = directory / "nodes.meta", directory / "tenth.meta"
    _check(path, parameters["nodes"])
    _check_tenth(tenth, parameters["tenth"])
    return [
        *_against_protobuf(path, parameters["nodes"]),
        _against_import(tenth, parameters["tenth"]),
        *_constants(path, parameters["nodes"]),
        *_memory(path),
    ]


def _names(nodes: int) -> Iterator[str]:
    """Names to look up, from all over the graph; one after the other, without end."""
    towers = range(nodes // 1500)  # there are more, as a tower has fewer nodes
    names = [f"gpu_{tower:03d}/{name}" for tower in towers for name in _LOOKED_UP]
    return itertools.cycle(random.Random(2).sample(names, min(len(names), 64)))


def _look_up(graph: Any, name: str) -> object:
    """A node, its inputs and an attribute: TensorFlow's graph and ours have the same words."""
    operation = graph.get_operation_by_name(name)
    return operation.type, list(operation.inputs), operation.get_attr("T")


def _parsed(path: Path) -> Any:
    return tensorflow().compat.v1.MetaGraphDef.FromString(path.read_bytes())


def _against_protobuf(path: Path, nodes: int) -> list[Row]:
    for_us, for_protobuf = _names(nodes), _names(nodes)

    def find() -> object:
        graph = tb.load_meta_graph(path).graph
        return graph, graph.op_counts(), _look_up(graph, next(for_us))

    def protobuf_find() -> object:
        meta = _parsed(path)
        return meta, _counts_and_node(meta, next(for_protobuf))

    def columns() -> object:
        return tb.load_meta_graph(path).graph.columns()

    def protobuf_lists() -> object:
        meta = _parsed(path)
        return meta, _lists(meta)

    def objects() -> object:
        operations = tb.load_meta_graph(path).graph.get_operations()
        return operations, [(operation.name, operation.type) for operation in operations]

    def protobuf_objects() -> object:
        operations = list(_parsed(path).graph_def.node)
        return operations, [(operation.name, operation.op) for operation in operations]

    times_of = alternate(
        [
            Side("find", find, calls=3),
            Side("protobuf finds", protobuf_find),
            Side("protobuf parses", lambda: _parsed(path)),
            Side("columns", columns),
            Side("protobuf lists", protobuf_lists),
            Side("objects", objects),
            Side("protobuf objects", protobuf_objects),
        ],
        _ROUNDS,
        files=[path],
    )

    def row(what: str, ours: str, peer: str, theirs: str, target: Target | None = None) -> Row:
        return Row(_NAME, what, times_of[ours], peer, times_of[theirs], target)

    count = f"{nodes:,} nodes"
    first = f"open {path.stat().st_size / 1e6:.3g} MB, count ops, find 1 of {count}"
    return [
        row(first, "find", "protobuf, parse and walk", "protobuf finds", times(10)),
        row("the same", "find", "protobuf's parse alone", "protobuf parses"),
        row(
            f"open, names, ops and edges of {count} as columns",
            "columns",
            "protobuf, lists of names, ops, inputs",
            "protobuf lists",
        ),
        row(
            f"open, {count} as objects, name and type of each",
            "objects",
            "protobuf, the same",
            "protobuf objects",
        ),
    ]


def _counts_and_node(meta: Any, name: str) -> object:
    counts: dict[str, int] = {}
    found = None
    for node in meta.graph_def.node:
        op = node.op
        counts[op] = counts.get(op, 0) + 1
        if node.name == name:
            found = node
    assert found is not None
    return counts, (found.op, list(found.input), found.attr["T"].type)


def _lists(meta: Any) -> tuple[list[str], list[str], list[list[str]]]:
    nodes = meta.graph_def.node
    return (
        [node.name for node in nodes],
        [node.op for node in nodes],
        [list(node.input) for node in nodes],
    )


def _against_import(path: Path, nodes: int) -> Row:
    tf = tensorflow()
    for_us, for_tensorflow = _names(nodes), _names(nodes)

    def find() -> object:
        graph = tb.load_meta_graph(path).graph
        return graph, graph.op_counts(), _look_up(graph, next(for_us))

    def imported_find() -> object:
        with tf.Graph().as_default() as graph:
            tf.compat.v1.train.import_meta_graph(str(path))
        counts = Counter(operation.type for operation in graph.get_operations())
        return graph, counts, _look_up(graph, next(for_tensorflow))

    times_of = alternate(
        [Side("ours", find, calls=5), Side("tensorflow", imported_find)],
        _ROUNDS_TENSORFLOW,
        files=[path],
    )
    what = f"open {path.stat().st_size / 1e6:.3g} MB, count ops, find 1 of {nodes:,} nodes"
    peer = "TensorFlow's import_meta_graph"
    return Row(_NAME, what, times_of["ours"], peer, times_of["tensorflow"], times(200))


def _constants(path: Path, nodes: int) -> list[Row]:
    tf = tensorflow()

    names = [f"tables/table_{number:04d}" for number in range(_TABLES)]
    graph, meta = tb.load_meta_graph(path).graph, _parsed(path)
    operations = [graph.get_operation_by_name(name) for name in names]
    found = {node.name: node for node in meta.graph_def.node if node.name in names}
    parsed = [found[name] for name in names]
    large, small = operations[0], operations[-1]

    def arrays() -> list[Any]:
        return [operation.get_attr("value") for operation in operations]

    def tensorflow_arrays() -> list[Any]:
        return [tf.make_ndarray(node.attr["value"].tensor) for node in parsed]

    for ours, theirs in zip(arrays(), tensorflow_arrays(), strict=True):
        if ours.dtype != theirs.dtype or not np.array_equal(ours, theirs):
            raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow read different constants")
    times_of = alternate(
        [
            Side("ours", arrays, calls=5),
            Side("tensorflow", tensorflow_arrays),
            Side("large", lambda: large.get_attr("value"), calls=50),
            Side("small", lambda: small.get_attr("value"), calls=50),
        ],
        _ROUNDS,
        files=[path],
    )
    size = sum(array.nbytes for array in arrays()) / 1e6
    sizes = [f"{operation.get_attr('value').nbytes:,} bytes" for operation in (large, small)]
    return [
        Row(
            _NAME,
            f"{_TABLES} constants of a graph of {nodes:,} nodes, {size:.3g} MB, as arrays",
            times_of["ours"],
            "TensorFlow's make_ndarray",
            times_of["tensorflow"],
        ),
        Row(
            _NAME,
            f"a constant of {sizes[0]} as an array",
            times_of["large"],
            f"the same, of {sizes[1]}",
            times_of["small"],
            within(2),
        ),
    ]


def _memory(path: Path) -> list[Row]:
    # What the graph itself takes has a limit; columns are the caller's.
    limit = under(path.stat().st_size / 2, "B")

    def row(what: str, mode: str, target: Target | None) -> Row:
        ours, theirs = (
            added_memory(mode, reader, path, runs)
            for reader, runs in (("tensorbundle", 3), ("protobuf", 1))
        )
        return Row(_NAME, f"{what}: anonymous memory added", ours, "protobuf", theirs, target, "B")

    return [
        row("open, count ops, find a node", "graph", limit),
        row("the same, and who takes a tensor", "edges", limit),
        row("the same, and all as columns", "columns", None),
    ]


# Both must give the same answer before it is worth asking who is faster.


def _check(path: Path, nodes: int) -> None:
    graph, meta = tb.load_meta_graph(path).graph, _parsed(path)
    names, ops, inputs = _lists(meta)
    if len(names) != nodes:
        raise SystemExit(f"{_NAME}: {path} has {len(names)} nodes instead of {nodes}")
    for name in itertools.islice(_names(nodes), 64):
        counts, node = _counts_and_node(meta, name)
        if graph.op_counts() != counts or _as_written(_look_up(graph, name)) != node:
            raise SystemExit(f"{_NAME}: tensorbundle and protobuf differ on {name}")
    operations = [(operation.name, operation.type) for operation in graph.get_operations()]
    if operations != list(zip(names, ops, strict=True)):
        raise SystemExit(f"{_NAME}: tensorbundle's operations are not those of the file")
    columns = graph.columns()
    if columns.names() != names or [columns.op_types[op] for op in columns.op.tolist()] != ops:
        raise SystemExit(f"{_NAME}: tensorbundle's columns are not the names and ops in the file")
    edges: list[list[str]] = [[] for _ in names]
    ends = (columns.edge_dst, columns.edge_src, columns.edge_port)
    for dst, src, port in zip(*(column.tolist() for column in ends), strict=True):
        edges[dst].append(_text(names[src], port))
    if edges != inputs:
        raise SystemExit(f"{_NAME}: tensorbundle's edges are not the inputs in the file")


def _check_tenth(path: Path, nodes: int) -> None:
    tf = tensorflow()

    ours = tb.load_meta_graph(path).graph
    with tf.Graph().as_default() as theirs:
        tf.compat.v1.train.import_meta_graph(str(path))
    types = [
        {operation.name: operation.type for operation in graph.get_operations()}
        for graph in (ours, theirs)
    ]
    if types[0] != types[1] or len(types[0]) != nodes:
        raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow list different operations")
    for name in itertools.islice(_names(nodes), 64):
        if _as_written(_look_up(ours, name)) != _as_written(_look_up(theirs, name)):
            raise SystemExit(f"{_NAME}: tensorbundle and TensorFlow differ on {name}")


def _as_written(found: Any) -> object:
    """What was looked up, in the words of the file."""
    op, inputs, dtype = found
    texts = [_text(tensor.op.name, tensor.value_index) for tensor in inputs]
    return op, texts, dtype.as_datatype_enum


def _text(name: str, port: int) -> str:
    """An input as TensorFlow writes it: the first output goes without saying."""
    return f"^{name}" if port < 0 else f"{name}:{port}" if port else name


WORKLOAD = Workload(_NAME, parameters, make, measure)
