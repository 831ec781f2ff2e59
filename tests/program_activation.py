"""A hand-made activation, and an op nobody knows. Run by test_program_activation.py.

Arguments: the checkpoint or a graph file, an .npz with "input" and "output", and whether the
unknown op is in it: "plain" or "custom".
"""

from __future__ import annotations

import sys

import numpy as np

import tensorbundle as tb
from program_interpreter import evaluate


def check_activation(graph: tb.Graph) -> None:
    """The activation is there as ordinary operations."""
    activation = graph.get_operation_by_name("custom_activation")
    assert activation.type == "Maximum"
    x, scaled = activation.inputs
    assert scaled.op.type == "Mul"
    factors = [tensor for tensor in scaled.op.inputs if tensor.op.type == "Const"]
    assert [tensor for tensor in scaled.op.inputs if tensor not in factors] == [x]
    (factor,) = factors
    value = factor.op.get_attr("value")
    assert (value.dtype, value.shape) == (np.float32, ())
    assert value == np.float32(0.2)
    assert factor.op in graph.constants()
    output = graph.get_tensor_by_name("output_sum:0")
    assert output.op.type == "Sum"
    assert output.op.inputs[0] == activation.outputs[0]
    assert activation in graph.ancestors("output_sum")


def check_custom(graph: tb.Graph) -> None:
    """The unknown op is listed, and keeps all that it was given."""
    custom = graph.get_operation_by_name("unheard_of")
    assert graph.custom_ops == {"OpThatNobodyKnows": [custom]}
    assert custom.type == "OpThatNobodyKnows"
    assert custom.device == "/device:ODD:7"
    assert [tensor.name for tensor in custom.inputs] == ["custom_activation:0", "input_data:0"]
    assert [op.name for op in custom.control_inputs] == ["output_sum"]
    attrs = custom.attrs
    table = attrs.pop("table")
    assert table.dtype == np.float32
    assert table.tolist() == [[1.5, -2.0], [0.25, 8.0]]
    func = attrs.pop("function")
    assert (func.name, func.attrs) == ("elsewhere", {"n": 3})
    assert attrs == {
        "T": "float32",
        "alpha": 0.25,
        "flag": True,
        "shape": (None, 3),
        "unknown_shape": None,
        "size": -(2**40),
        "text": b"bytes \xff\x00",
        "types": ["int8", "bfloat16"],
        "numbers": [1, 2, 3],
        "nothing": [],
    }
    after = graph.get_operation_by_name("after")
    assert after.inputs[0].op == custom
    assert custom.outputs == [after.inputs[0]]
    assert [op.name for op in custom.outputs[0].consumers()] == ["after"]


def main(path: str, file: str, kind: str) -> None:
    ckpt = None
    if path.endswith((".meta", ".pbtxt", ".txt")):
        meta = tb.load_meta_graph(path)
    else:
        ckpt = tb.open(path)
        assert ckpt.meta_graph is not None
        meta = ckpt.meta_graph
    check_activation(meta.graph)
    if kind == "custom":
        check_custom(meta.graph)
    else:
        assert meta.graph.custom_ops == {}
    assert meta.variables.names() == ["scale"]
    if ckpt is not None:
        with np.load(file) as arrays:
            fed, wanted = arrays["input"], arrays["output"]
        known = {"input_data": fed, "scale": ckpt.variables["scale"].numpy()}
        ours = evaluate(meta.graph.get_tensor_by_name("output_sum:0"), known)
        np.testing.assert_allclose(ours, wanted, rtol=1e-6)
        assert ckpt.variables.findings == []


main(*sys.argv[1:])
