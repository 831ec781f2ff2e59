"""A little interpreter of graphs: NumPy does what the nodes say, along the graph's own edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import tensorbundle as tb

Array = np.ndarray[Any, Any]
Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}


def rule(*ops: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(ops, function))
        return function

    return register


@rule("Identity", "ReadVariableOp", "StopGradient", "PlaceholderWithDefault")
def same(_op: tb.Operation, value: Array) -> Array:
    return value


@rule("Const")
def const(op: tb.Operation) -> Array:
    return op.get_attr("value")


@rule("MatMul")
def mat_mul(op: tb.Operation, a: Array, b: Array) -> Array:
    return (a.T if op.get_attr("transpose_a") else a) @ (b.T if op.get_attr("transpose_b") else b)


@rule("Add", "AddV2", "BiasAdd")
def add(_op: tb.Operation, a: Array, b: Array) -> Array:
    return a + b


@rule("Mul")
def mul(_op: tb.Operation, a: Array, b: Array) -> Array:
    return a * b


@rule("Maximum")
def maximum(_op: tb.Operation, a: Array, b: Array) -> Array:
    return np.maximum(a, b)


@rule("Relu")
def relu(_op: tb.Operation, x: Array) -> Array:
    return np.maximum(x, 0)


@rule("Softmax")
def softmax(_op: tb.Operation, x: Array) -> Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@rule("Sum")
def total(op: tb.Operation, x: Array, axes: Array) -> Array:
    return x.sum(tuple(axes.ravel().tolist()), keepdims=op.get_attr("keep_dims"))


@rule("ConcatV2")
def concat(_op: tb.Operation, *values: Array) -> Array:
    *parts, axis = values
    return np.concatenate(parts, int(axis))


def evaluate(wanted: tb.Tensor, known: Mapping[str, Any]) -> Array:
    """The value of a tensor. `known` has those of what is fed and of variables, by operation.

    From the output to the inputs, without recursion: a node waits on the stack for what it takes.
    """
    values: dict[str, Any] = dict(known)
    waiting = [wanted.op]
    while waiting:
        op = waiting[-1]
        missing = [tensor.op for tensor in op.inputs if tensor.op.name not in values]
        if op.name in values:
            waiting.pop()
        elif missing:
            waiting += missing
        else:
            inputs = [values[tensor.op.name] for tensor in op.inputs]
            assert all(tensor.value_index == 0 for tensor in op.inputs)
            values[op.name] = RULES[op.type](op, *inputs)
            waiting.pop()
    return values[wanted.op.name]
