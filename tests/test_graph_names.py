"""Names resolve and elements hang together as in `tf.Graph`, over every op and tensor."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from graph_builders import BUILDERS
from graph_oracle import file_id, graph_files, parse_meta, same_attr

every_builder = pytest.mark.parametrize("name", BUILDERS)


@pytest.fixture(scope="module")
def built(tf: Any) -> Any:
    """From a builder's name to TensorFlow's graph and ours."""
    made: dict[str, tuple[Any, tb.MetaGraph]] = {}

    def get(name: str) -> tuple[Any, tb.MetaGraph]:
        if name not in made:
            with tf.Graph().as_default() as graph:
                BUILDERS[name](tf, tf.compat.v1)
                proto = tf.compat.v1.train.export_meta_graph()
            made[name] = graph, tb.load_meta_graph(proto.SerializeToString())
        return made[name]

    return get


def names(elements: Any) -> Counter[str]:
    return Counter(element.name for element in elements)


def same_graph(theirs: Any, ours: tb.Graph) -> None:
    """Every op and tensor, by TensorFlow's answers. Devices and attributes are apart."""
    assert names(ours.get_operations()) == names(theirs.get_operations())
    for op in theirs.get_operations():
        mine = ours.get_operation_by_name(op.name)
        assert (mine.name, mine.type) == (op.name, op.type)
        assert [tensor.name for tensor in mine.inputs] == [tensor.name for tensor in op.inputs]
        assert names(mine.control_inputs) == names(op.control_inputs)
        assert names(mine.control_outputs) == names(op._control_outputs)
        assert len(mine.outputs) == len(op.outputs)
        for i, (one, other) in enumerate(zip(mine.outputs, op.outputs, strict=True)):
            assert (one.name, one.value_index, one.op) == (other.name, i, mine)
            assert one.dtype is not None
            assert one.dtype.name == other.dtype.name
            assert one.dtype.as_datatype_enum == other.dtype.as_datatype_enum
            assert names(one.consumers()) == names(other.consumers())
            assert ours.get_tensor_by_name(other.name) == one
            assert ours.as_graph_element(one) == one
            assert one.name in ours
        assert ours.as_graph_element(op.name) == mine
        assert op.name in ours


def shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())


@every_builder
def test_built_graphs(built: Any, name: str) -> None:
    theirs, meta = built(name)
    same_graph(theirs, meta.graph)
    for op in theirs.get_operations():
        mine = meta.graph.get_operation_by_name(op.name)
        assert mine.device == op.device
        for tensor in op.outputs:
            assert meta.graph.get_tensor_by_name(tensor.name).shape == shape(tensor)


@every_builder
def test_attributes(tf: Any, built: Any, name: str) -> None:
    theirs, meta = built(name)
    for op in theirs.get_operations():
        mine, all_of_it = meta.graph.get_operation_by_name(op.name), op.node_def.attr
        for key in all_of_it:
            same_attr(tf, mine.get_attr(key), all_of_it[key])
            got = op.get_attr(key)
            if isinstance(got, tf.DType | bytes | int | float):
                assert repr(mine.get_attr(key)) == repr(got) or mine.get_attr(key) == got.name
        assert mine.attrs.keys() - {"_output_shapes"} == all_of_it.keys()
        with pytest.raises(ValueError, match="has no attribute 'nonesuch'; it has"):
            mine.get_attr("nonesuch")


def known_at_most(ours: Any, theirs: Any) -> bool:
    """Ours may say less than TensorFlow infers, but nothing else."""
    if ours is None or theirs is None:
        return ours is None
    return len(ours) == len(theirs) and all(
        one in (None, other) for one, other in zip(ours, theirs, strict=True)
    )


@every_builder
@pytest.mark.parametrize("ops", [True, False])
def test_a_bare_graph_def(built: Any, name: str, ops: bool) -> None:
    """Without shapes, and where need be without the file's op list."""
    theirs, meta = built(name)
    bare = theirs.as_graph_def()
    if ops:
        again = type_of_meta()()
        again.graph_def.CopyFrom(bare)
        again.meta_info_def.stripped_op_list.ParseFromString(
            meta.meta_info_def.stripped_op_list.to_bytes()
        )
        graph = tb.load_meta_graph(again.SerializeToString()).graph
    else:
        graph = tb.load_meta_graph(bare.SerializeToString()).graph
    same_graph(theirs, graph)
    for op in theirs.get_operations():
        for tensor in op.outputs:
            mine = graph.get_tensor_by_name(tensor.name).shape
            assert known_at_most(mine, shape(tensor)), (tensor.name, mine)


def type_of_meta() -> Any:
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

    return MetaGraphDef


@every_builder
def test_functions_are_name_spaces_of_their_own(tf: Any, built: Any, name: str) -> None:
    """Each body is what TensorFlow makes a graph of, its arguments and returns with it."""
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

    theirs, meta = built(name)
    bodies = theirs.as_graph_def().library.function
    assert len(bodies) == len(meta.graph.functions)
    with theirs.as_default():  # which knows the functions that these call
        for body in bodies:
            want, flat = function_def_to_graph_def(body)
            function = meta.graph.functions[body.signature.name]
            args = len(body.signature.input_arg)
            ops = function.graph.get_operations()
            for op, node in zip(ops, want.node[args:], strict=True):
                data = [tensor.name for tensor in op.inputs]
                inputs = [text for text in node.input if not text.startswith("^")]
                full = [text if ":" in text else text + ":0" for text in inputs]
                assert (op.name, data) == (node.name, full)
                for tensor in op.outputs:
                    assert function.graph.get_tensor_by_name(tensor.name) == tensor
            for output, tensors in function.returns.items():
                assert [tensor.name for tensor in tensors] == [flat[body.ret[output]]]
    assert tf


@pytest.fixture(scope="module", params=graph_files(), ids=file_id)
def imported(tf: Any, request: pytest.FixtureRequest) -> tuple[Any, Any, tb.MetaGraph]:
    """A file that TensorFlow can import: its GraphDef, TensorFlow's graph, ours."""
    file: Path = request.param
    proto = parse_meta(file).graph_def
    graph = tf.Graph()
    with graph.as_default():
        try:
            tf.import_graph_def(copy.deepcopy(proto), name="")
        except (ValueError, tf.errors.OpError) as error:
            assert "not registered" in str(error) or "PyFunc" in str(error), error  # noqa: PT017
    return proto, graph, tb.load_meta_graph(file)


def test_imported_files(tf: Any, imported: Any) -> None:
    proto, theirs, meta = imported
    if not theirs.get_operations():
        assert any("SimpleML" in op or "PackSequences2" in op for op in meta.graph.custom_ops)
        return
    same_graph(theirs, meta.graph)
    for node in proto.node:
        op = theirs.get_operation_by_name(node.name)
        mine = meta.graph.get_operation_by_name(node.name)
        for key in node.attr.keys() & op.node_def.attr.keys():
            if key != "_class":
                same_attr(tf, mine.get_attr(key), op.node_def.attr[key])
        for tensor in op.outputs:
            assert known_at_most(meta.graph.get_tensor_by_name(tensor.name).shape, shape(tensor))
