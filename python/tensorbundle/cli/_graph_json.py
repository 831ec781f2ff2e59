"""Nodes and the values of attributes as JSON.

Strings are their UTF-8, with lone surrogates for other bytes; types their names; shapes lists with
null for unknown dimensions, or null; tensors {"dtype", "shape"} with "values" if they are
few; functions {"function", "attrs"}; what a function's caller gives {"placeholder"}; what is
damaged {"error"}.
"""

from __future__ import annotations

from tensorbundle import AttrPlaceholder, DType, FunctionRef
from tensorbundle.cli import _graph_facts, _graph_nodes, _text
from tensorbundle.errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensorbundle import Operation, Tensor

FEW = 16


def node(operation: Operation, *, consumers: bool = False) -> dict[str, object]:
    inputs = _graph_nodes.inputs(operation)
    outputs = _graph_facts.outputs(operation)
    record: dict[str, object] = {
        "name": operation.name,
        "op": operation.type,
        "device": operation.device,
        "inputs": [name for name in inputs if not name.startswith("^")],
        "control_inputs": [name[1:] for name in inputs if name.startswith("^")],
        "outputs": [_graph_facts.tensor(one) for one in outputs],
        "attrs": attrs(attrs_of(operation)),
        "nbytes": operation.nbytes,
    }
    if consumers:
        record.update(_readers(operation, outputs))
    return record


def _readers(operation: Operation, outputs: list[Tensor]) -> dict[str, object]:
    """Finding them goes over all nodes: one that is damaged hides them."""
    try:
        return {
            "consumers": [[x.name for x in dict.fromkeys(one.consumers())] for one in outputs],
            "control_outputs": [one.name for one in operation.control_outputs],
        }
    except CheckpointError:
        return {"consumers": None, "control_outputs": None}


def attrs_of(operation: Operation) -> dict[str, object]:
    """Attributes by name; in place of one that is damaged, the error."""
    try:
        return operation.attrs
    except CheckpointError as error:
        return _one_by_one(operation, error)


def _one_by_one(operation: Operation, error: CheckpointError) -> dict[str, object]:
    try:
        names = list(operation.node_def["attr"])
    except CheckpointError:
        return {"": error}
    found: dict[str, object] = {}
    for name in names:
        try:
            found[name] = operation.get_attr(name)
        except (CheckpointError, ValueError) as damage:
            found[name] = damage
    return found


def attrs(values: Mapping[str, object]) -> dict[str, object]:
    return {key: attr(value) for key, value in values.items()}


def attr(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, DType):
        return value.name
    if value is None or isinstance(value, bool | int | tuple):
        return value  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        items: list[object] = value  # pyright: ignore[reportUnknownVariableType]
        return [attr(item) for item in items]
    if isinstance(value, FunctionRef):
        return {"function": value.name, "attrs": attrs(value.attrs)}
    if isinstance(value, AttrPlaceholder):
        return {"placeholder": value.name}
    if isinstance(value, Exception):
        return {"error": _text.message(value)}
    return _array(value)


def _number(value: float) -> float | str:
    """JSON has neither NaN nor infinities."""
    if value - value == 0:
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _array(value: object) -> dict[str, object]:
    import numpy as np

    from tensorbundle.cli import _values

    array = np.asarray(value)
    name = "string" if array.dtype.kind == "O" else array.dtype.name
    record: dict[str, object] = {"dtype": name, "shape": array.shape}
    if array.size <= FEW:
        record["values"] = _values.plain(array) if array.size else []
    return record
