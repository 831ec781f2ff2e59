"""The perceptron computed from its checkpoint. Run by test_program_values.py.

Arguments: the checkpoint, an .npz with "input", "output" and the values of the variables.
"""

from __future__ import annotations

import sys

import numpy as np

import tensorbundle as tb
from program_interpreter import evaluate


def main(path: str, file: str) -> None:
    ckpt = tb.open(path)
    assert ckpt.meta_graph is not None
    graph = ckpt.meta_graph.graph
    data = graph.get_tensor_by_name("input_data:0")
    output = graph.get_tensor_by_name("softmax_output:0")
    assert (data.shape, output.op.type) == ((None, 784), "Softmax")

    with np.load(file) as arrays:
        theirs = dict(arrays)
    fed, wanted = theirs.pop("input"), theirs.pop("output")

    # The values, joined by name.
    variables = ckpt.variables
    assert variables.findings == []
    assert set(variables.names()) == set(theirs)
    for name, value in theirs.items():
        ours = variables[name].numpy()
        assert (ours.dtype, ours.shape) == (value.dtype, value.shape)
        assert ours.tobytes() == value.tobytes(), name
        key = variables[name].key
        assert key is not None
        assert np.shares_memory(ours, ckpt[key]) != bool(variables[name].parts)

    # The network, along the graph's own edges.
    known = {"input_data": fed}
    for variable in variables:
        for one in variable.parts or [variable]:
            assert one.op is not None
            known[one.op.name] = one.numpy()
    ours = evaluate(output, known)
    assert (ours.dtype, ours.shape) == (np.float32, wanted.shape)
    np.testing.assert_allclose(ours, wanted, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(ours.sum(-1), 1, rtol=1e-5)


main(*sys.argv[1:])
