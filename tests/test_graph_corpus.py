"""Every graph file there is, against TensorFlow's own protos, field by field."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from graph_oracle import (
    CORPUS,
    file_id,
    graph_files,
    in_graph,
    inputs_of,
    parse_meta,
    same_attr,
    same_attrs,
)
from tensorbundle import Message
from test_message import same_message

every_file = pytest.mark.parametrize("file", graph_files(), ids=file_id)


def test_there_are_files() -> None:
    assert len(graph_files()) >= (15 if CORPUS else 3)


def same_messages(ours: Iterable[Message], theirs: Iterable[Any]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        same_message(one, other)


def same_map(ours: dict[str, Message], theirs: Any) -> None:
    assert ours.keys() == theirs.keys()
    for key in ours:
        same_message(ours[key], theirs[key])


@every_file
def test_the_whole_tree(tf: Any, file: Path) -> None:
    assert tf
    meta, proto = tb.load_meta_graph(file), parse_meta(file)
    same_message(meta.message, proto)
    info = proto.meta_info_def
    assert meta.kind == ("MetaGraphDef" if file.suffix == ".meta" else "SavedModel")
    assert meta.path == str(file)
    assert meta.tags == tuple(info.tags)
    assert meta.tensorflow_version == info.tensorflow_version
    assert meta.tensorflow_git_version == info.tensorflow_git_version
    assert meta.stripped_default_attrs == info.stripped_default_attrs
    assert meta.function_aliases == dict(info.function_aliases)
    assert list(meta.stripped_op_list) == [op.name for op in info.stripped_op_list.op]
    same_messages(meta.stripped_op_list.values(), info.stripped_op_list.op)
    same_map(meta.signature_def, proto.signature_def)
    same_map(meta.collection_def, proto.collection_def)
    same_messages(meta.asset_file_def, proto.asset_file_def)
    for name in ("saver_def", "meta_info_def", "object_graph_def"):
        ours = getattr(meta, name)
        assert (ours is not None) == proto.HasField(name)
        if ours is not None:
            same_message(ours, getattr(proto, name))
    versions = proto.graph_def.versions
    assert meta.producer == (versions.producer or proto.graph_def.version)
    if proto.graph_def.HasField("versions"):
        assert meta.versions is not None
        same_message(meta.versions, versions)


@every_file
def test_nodes(tf: Any, file: Path) -> None:
    graph, proto = tb.load_meta_graph(file).graph, parse_meta(file).graph_def
    ops, data = graph.get_operations(), graph.to_graph_def_bytes()
    assert len(graph) == len(ops) == len(proto.node)
    for i, (op, node) in enumerate(zip(ops, proto.node, strict=True)):
        assert (op.index, op.name, op.type, op.device) == (i, node.name, node.op, node.device)
        assert op.nbytes == len(op.node_def.to_bytes())
        assert i % 50 or op.node_def.to_bytes() in data
        assert inputs_of(op) == [in_graph(name) for name in node.input]
        same_node(tf, op, node)
    assert graph.problems() == []


def same_node(tf: Any, op: tb.Operation, node: Any) -> None:
    all_of_it = op.attrs
    assert node.attr.keys() <= all_of_it.keys()
    for name in node.attr:
        same_attr(tf, op.get_attr(name), node.attr[name])
        same_attr(tf, all_of_it[name], node.attr[name])
    if op.op_def is not None:
        # What the node leaves out has the default of the op's definition in the file.
        defaults = {attr.name: attr for attr in op.op_def.attr if attr.has("default_value")}
        assert all_of_it.keys() - node.attr.keys() == defaults.keys() - node.attr.keys()
    else:
        assert all_of_it.keys() == node.attr.keys()


@every_file
def test_functions(tf: Any, file: Path) -> None:
    meta, proto = tb.load_meta_graph(file), parse_meta(file)
    library = proto.graph_def.library
    assert list(meta.graph.functions) == [item.signature.name for item in library.function]
    rules = Rules(tf, proto)
    for function, theirs in zip(meta.graph.functions.values(), library.function, strict=True):
        same_message(function.function_def, theirs)
        assert function.nbytes == len(function.function_def.to_bytes())
        assert function.graph.function_name == function.name == theirs.signature.name
        assert [arg.op.name for arg in function.arguments] == [
            arg.name for arg in theirs.signature.input_arg
        ]
        for i, (arg, theirs_arg) in enumerate(
            zip(function.arguments, theirs.signature.input_arg, strict=True)
        ):
            assert arg.op.type == "_Arg"
            assert arg.name == theirs_arg.name + ":0"
            if theirs_arg.type:
                assert arg.dtype is not None
                assert arg.dtype.as_datatype_enum == theirs_arg.type
            same_attrs(tf, function.arg_attrs(i), theirs.arg_attr[i].attr)
            assert arg.op.attrs.keys() == theirs.arg_attr[i].attr.keys()
        same_attrs(tf, function.attrs, theirs.attr)
        assert {k: v.name for k, v in function.control_returns.items()} == theirs.control_ret
        returns = function.returns
        assert returns.keys() == theirs.ret.keys()
        for name, tensors in returns.items():
            want = rules.tensors(theirs, theirs.ret[name])
            assert [tensor.name for tensor in tensors] == want
        ops = function.graph.get_operations()
        for op, node in zip(ops, theirs.node_def, strict=True):
            assert (op.name, op.type, op.device) == (node.name, node.op, node.device)
            same_node(tf, op, node)
            want = [name for text in node.input for name in rules.tensors(theirs, text)]
            control = [text for text in node.input if text.startswith("^")]
            assert [tensor.name for tensor in op.inputs] == want
            assert ["^" + waited.name for waited in op.control_inputs] == control


class Rules:
    """What inputs in a function mean (FORMAT 7.3), by the definitions of ops."""

    def __init__(self, tf: Any, meta: Any) -> None:
        from tensorflow.python.framework import op_def_registry

        assert tf
        self.registry = op_def_registry
        self.defs = {op.name: op for op in meta.meta_info_def.stripped_op_list.op}
        self.defs |= {f.signature.name: f.signature for f in meta.graph_def.library.function}

    def widths(self, function: Any, node: Any) -> dict[str, int]:
        definition = self.defs.get(node.op) or self.registry.get(node.op)
        if definition is None:  # a custom op: its outputs are numbered as they are first named
            texts = [text for other in function.node_def for text in other.input]
            named = [text.split(":") for text in texts if text.startswith(node.name + ":")]
            return {output: 1 for _, output, _ in named}
        found = {}
        for arg in definition.output_arg:
            width = 1
            if arg.number_attr:
                width = node.attr[arg.number_attr].i
            elif arg.type_list_attr:
                width = len(node.attr[arg.type_list_attr].list.type)
            found[arg.name] = width
        return found

    def tensors(self, function: Any, text: str) -> list[str]:
        if text.startswith("^"):
            return []
        name, *rest = text.split(":")
        if name in {arg.name for arg in function.signature.input_arg}:
            return [f"{name}:{rest[0] if rest else 0}"]
        (node,) = (node for node in function.node_def if node.name == name)
        start = 0
        for output, width in self.widths(function, node).items():
            if output == rest[0]:
                every = [f"{name}:{start + i}" for i in range(width)]
                return [every[int(rest[1])]] if len(rest) > 1 else every
            start += width
        raise AssertionError(text)


@every_file
def test_collections(tf: Any, file: Path) -> None:
    meta, proto = tb.load_meta_graph(file), parse_meta(file)
    graph, pool = meta.graph, protos(tf)
    assert graph.get_all_collection_keys() == sorted(proto.collection_def)
    for key, theirs in proto.collection_def.items():
        kind = theirs.WhichOneof("kind")
        values = list(getattr(theirs, kind).value)
        items = graph.get_collection(key)
        assert len(items) == len(values)
        for item, value in zip(items, values, strict=True):
            if kind == "node_list":
                assert type(item) is (tb.Tensor if ":" in value else tb.Operation)
                assert item.name == value
                assert item in graph
            elif kind == "any_list":
                known = item.type_name == value.TypeName()
                assert known or item.type_name == "google.protobuf.Any"
                assert item.to_bytes() == (value.value if known else value.SerializeToString())
            elif isinstance(item, Message):
                same_message(item, pool[item.type_name].FromString(value))
            else:
                assert item == value
                assert key not in {"variables", "trainable_variables", "savers", "while_context"}
    names = [saver.type_name for saver in meta.savers]
    assert names == ["tensorflow.SaverDef"] * len(names)
    assert bool(names) == (proto.HasField("saver_def") or "savers" in proto.collection_def)


def protos(tf: Any) -> dict[str, Any]:
    from tensorflow.core.framework.variable_pb2 import VariableDef
    from tensorflow.core.protobuf import control_flow_pb2, queue_runner_pb2, saver_pb2

    assert tf
    classes = [
        VariableDef,
        control_flow_pb2.WhileContextDef,
        control_flow_pb2.CondContextDef,
        queue_runner_pb2.QueueRunnerDef,
        saver_pb2.SaverDef,
    ]
    return {each.DESCRIPTOR.full_name: each for each in classes}


@every_file
def test_written_out_again(tf: Any, file: Path) -> None:
    from tensorflow.core.framework.graph_pb2 import GraphDef

    assert tf
    graph, proto = tb.load_meta_graph(file).graph, parse_meta(file).graph_def
    data = graph.to_graph_def_bytes()
    assert GraphDef.FromString(data) == proto
    again = tb.load_meta_graph(data)
    assert again.kind == "GraphDef"
    assert again.graph.to_graph_def_bytes() == data
    assert [op.node_def for op in again.graph.get_operations()] == [
        op.node_def for op in graph.get_operations()
    ]


def importable(tf: Any, graph_def: Any) -> bool:
    try:
        with tf.Graph().as_default():
            tf.import_graph_def(copy.deepcopy(graph_def), name="")  # which changes it
    except (ValueError, tf.errors.OpError):
        return False
    return True


@every_file
def test_slices(tf: Any, file: Path) -> None:
    from tensorflow.core.framework.graph_pb2 import GraphDef

    graph, proto = tb.load_meta_graph(file).graph, parse_meta(file).graph_def
    whole = importable(tf, proto)
    nodes = {node.name: node for node in proto.node}
    bodies = {item.signature.name: item for item in proto.library.function}
    place = {node.name: i for i, node in enumerate(proto.node)}
    ops = graph.get_operations()
    chosen = [ops[-1], ops[len(ops) // 2], ops[len(ops) // 3]]
    for op in chosen:
        data = graph.to_graph_def_bytes(op)
        cut = GraphDef.FromString(data)
        want = tf.compat.v1.graph_util.extract_sub_graph(proto, [op.name])
        assert [node.name for node in cut.node] == [node.name for node in want.node]
        assert all(node == nodes[node.name] for node in cut.node)
        assert all(item == bodies[item.signature.name] for item in cut.library.function)
        assert cut.versions == proto.versions
        for kept in tb.load_meta_graph(data).graph.get_operations():
            assert kept.node_def == ops[place[kept.name]].node_def
        if whole:
            assert importable(tf, cut)
    everything = GraphDef.FromString(graph.to_graph_def_bytes(ops))
    assert list(everything.node) == list(proto.node)


if CORPUS:

    @pytest.mark.parametrize("file", graph_files(broken=True), ids=file_id)
    def test_what_is_broken(file: Path) -> None:
        text = "git lfs pull" if "BSData" in str(file) else "a text filter has replaced its bytes"
        with pytest.raises(tb.CorruptionError, match=text) as caught:
            tb.load_meta_graph(file)
        assert caught.value.path == str(file)
        assert str(file) in str(caught.value)
