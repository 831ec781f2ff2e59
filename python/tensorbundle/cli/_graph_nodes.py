"""Nodes of a graph: which are meant, one line for each, or all about one."""

from __future__ import annotations

import re
import sys

from tensorbundle.cli import _patterns, _text
from tensorbundle.errors import CheckpointError, NotInGraphError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from tensorbundle import Graph, MetaGraph, Operation, Tensor

NOTHING_FOUND = 1
INPUTS = 8  # in a line
TENSOR = re.compile(r"(.+):\d+")


def show(args: argparse.Namespace, meta: MetaGraph, graph: Graph) -> int:
    """The nodes of the options; all if there are none."""
    found = select(args, graph)
    if args.json:
        from tensorbundle.cli import _graph_json, _json

        consumers = _is_detail(args, found)
        _json.write(
            {
                "path": meta.path,
                "function": graph.function_name,
                "total": {"nodes": len(found), "of": len(graph)},
                "nodes": (_graph_json.node(one, consumers=consumers) for one in found),
            }
        )
    if not found and len(graph):
        print(f"tensorbundle: {_nothing(args, graph)}", file=sys.stderr)
        return NOTHING_FOUND
    if args.json:
        return 0
    if args.dot:
        sys.stdout.write(graph.to_dot(found))
    elif _is_detail(args, found):
        from tensorbundle.cli import _graph_detail

        sys.stdout.write(_text.join_sections(_graph_detail.sections(found[0])))
    else:
        lines = table(found)
        lines.append(_text.bold(f"{len(found):,} of {_text.count(len(graph), 'node')}"))
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _is_detail(args: argparse.Namespace, found: Sequence[Operation]) -> bool:
    return bool(args.name) and len(found) == 1


def select(args: argparse.Namespace, graph: Graph) -> list[Operation]:
    """The nodes that every given option fits, in the order of the file."""
    found = graph.get_operations()
    for names, walk in (
        (args.inputs_of, graph.ancestors),
        (args.outputs_of, graph.descendants),
    ):
        if names:
            indices = {one.index for one in walk([_element(graph, name) for name in names])}
            found = [one for one in found if one.index in indices]
    if args.op:
        matches = _patterns.matcher(args.op, "--op")
        fitting = {op for op in graph.op_counts() if matches(op)}
        found = [one for one in found if one.type in fitting]
    if args.name:
        matches = _patterns.matcher([_node_name(graph, name) for name in args.name], "--name")
        found = [one for one in found if matches(one.name)]
    return found


def _element(graph: Graph, name: str) -> Operation | Tensor:
    """The node or tensor of a name."""
    try:
        return graph.as_graph_element(name)
    except CheckpointError:
        raise
    except ValueError as error:
        raise _text.CommandError(str(error)) from None


def _node_name(graph: Graph, pattern: str) -> str:
    """The name of a tensor stands for its node."""
    tensor = TENSOR.fullmatch(pattern)
    if tensor and _patterns.is_literal(pattern) and tensor[1] in graph:
        return tensor[1]
    return pattern


def _nothing(args: argparse.Namespace, graph: Graph) -> str:
    """Why no node was found; for a plain name with those that are close."""
    of = _text.count(len(graph), "node")
    if args.name and not (args.op or args.inputs_of or args.outputs_of):
        if len(args.name) == 1 and _patterns.is_literal(args.name[0]):
            try:
                graph.get_operation_by_name(args.name[0])
            except NotInGraphError as error:
                if error.near:
                    return _text.message(error)
            except ValueError:
                pass
        return _patterns.no_match(args.name, of)
    if args.op and not (args.name or args.inputs_of or args.outputs_of):
        return _patterns.no_match(args.op, f"the ops of {of}")
    return f"none of {of} fits all of these options"


def table(operations: Sequence[Operation]) -> list[str]:
    header, *lines = _text.layout(
        [
            _text.Column("name", [_text.safe(one.name) for one in operations], elastic=True),
            _text.Column("op", [_text.safe(one.type) for one in operations], elastic=True),
            _text.Column(
                "inputs", [_text.some(inputs(one), INPUTS) for one in operations], elastic=True
            ),
            _text.Column("outputs", [_outputs(one) for one in operations], elastic=True),
        ],
        _text.terminal_width(),
    )
    return [_text.bold(header), *lines]


def inputs(operation: Operation) -> list[str]:
    """As a file writes them: without ":0", and "^" before those that are only waited for.

    Those that name nothing are in the file all the same.
    """
    try:
        return [
            *(one.name.removesuffix(":0") for one in operation.inputs),
            *(f"^{one.name}" for one in operation.control_inputs),
        ]
    except CheckpointError:
        return list(operation.node_def["input"])


def _outputs(operation: Operation) -> str:
    try:
        given = operation.outputs
    except CheckpointError:
        return "(damaged)"
    more = [f"… and {len(given) - INPUTS:,} more"] if len(given) > INPUTS else []
    return ", ".join([*map(type_of, given[:INPUTS]), *more])


def type_of(tensor: Tensor) -> str:
    """The type and shape of a tensor: "float32[?,784]"."""
    try:
        dtype, dims = tensor.dtype, tensor.shape
    except CheckpointError:
        return "(damaged)"
    shape = _text.partial_shape(dims)
    name = "?" if dtype is None else dtype.name
    return f"{name} {shape}" if shape == "?" else f"{name}{shape}"
