"""What a `.meta` of a perceptron tells, read alone. Run by test_program_perceptron.py.

Arguments: the .meta, an .npz with the values of the variables, "ref" or "resource".
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb

SHAPES = {"weights_1": (784, 256), "bias_1": (256,), "weights_2": (256, 10), "bias_2": (10,)}


def source(tensor: tb.Tensor) -> str:
    """The variable or operation that a tensor comes from, through what reads variables."""
    op = tensor.op
    while op.type in ("Identity", "ReadVariableOp"):
        (only,) = op.inputs
        op = only.op
    return op.name


def main(file: str, values: str, kind: str) -> None:
    meta = tb.load_meta_graph(file)
    graph = meta.graph
    assert meta.kind == "MetaGraphDef"

    # The placeholder and its shape.
    (placeholder,) = [op for op in graph.placeholders if not op.name.startswith("save/")]
    assert (placeholder.name, placeholder.type) == ("input_data", "Placeholder")
    data = graph.get_tensor_by_name("input_data:0")
    assert data.op == placeholder
    assert (data.shape, data.dtype) == ((None, 784), "float32")

    # The variables, and that they are trainable.
    variables = meta.variables
    assert variables.names() == list(SHAPES)
    assert variables.trainable == variables.weights == list(variables)
    assert variables.findings == []
    for variable in variables:
        assert (variable.shape, variable.dtype) == (SHAPES[variable.name], "float32")
        assert variable.trainable is True
        assert variable.is_resource == (kind == "resource")
        assert variable.collections == ("trainable_variables", "variables")
        assert variable.op is not None
        assert variable.op.type == ("VarHandleOp" if kind == "resource" else "VariableV2")
        assert (variable.key, variable.key_source) == (variable.name, "restore")
        assert not variable.in_checkpoint
        assert variable.initializer is not None
        assert variable.initializer.name == f"{variable.name}/Assign"
        assert variable.snapshot is not None
        assert source(variable.snapshot) == variable.name

    # MatMul, Relu, Softmax with their inputs and attributes.
    first, second = (op for op in graph.get_operations() if op.type == "MatMul")
    assert [source(tensor) for tensor in first.inputs] == ["input_data", "weights_1"]
    (relu,) = (op for op in graph.get_operations() if op.type == "Relu")
    softmax = graph.get_operation_by_name("softmax_output")
    assert softmax.type == "Softmax"
    assert [op.name for op in graph.get_operations() if op.type == "Softmax"] == ["softmax_output"]
    assert [source(tensor) for tensor in second.inputs] == [relu.name, "weights_2"]
    for activation, product, bias in ((relu, first, "bias_1"), (softmax, second, "bias_2")):
        (logits,) = activation.inputs
        assert [source(tensor) for tensor in logits.op.inputs] == [product.name, bias]
        assert activation.get_attr("T") == "float32"
        assert product.get_attr("T") == "float32"
        assert product.get_attr("transpose_a") is False
        assert product.get_attr("transpose_b") is False
    counts = graph.op_counts()
    assert (counts["MatMul"], counts["Relu"], counts["Softmax"]) == (2, 1, 1)
    assert graph.custom_ops == {}

    # Both collections.
    assert graph.get_all_collection_keys() == ["trainable_variables", "variables"]
    for key in graph.get_all_collection_keys():
        items = graph.get_collection(key)
        assert [item.variable_name for item in items] == [f"{name}:0" for name in SHAPES]
        assert all(item.trainable for item in items)

    # And that no value is in it.
    for variable in variables:
        says = f"variable '{variable.name}' has no value: a graph alone holds none"
        with pytest.raises(ValueError, match=says):
            variable.numpy()
        with pytest.raises(ValueError, match=says):
            variable.info  # noqa: B018 - raises
    stored = Path(file).read_bytes()
    with np.load(values) as arrays:
        assert set(arrays) == set(SHAPES)
        for name, array in arrays.items():
            flat = array.ravel()
            assert len(np.unique(flat)) > 9, "values that cannot be there by chance"
            for at in range(0, len(flat) - 1, 2):
                assert flat[at : at + 2].tobytes() not in stored, name
    for op in graph.constants():
        value = op.get_attr("value")
        assert value.size <= 4, op.name


main(*sys.argv[1:])
