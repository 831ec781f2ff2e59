"""The functions of a graph, and its name scopes."""

from __future__ import annotations

import sys

from tensorbundle.cli import _graph_facts, _graph_nodes, _text
from tensorbundle.errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tensorbundle import Function, Graph, MetaGraph, Scope, Tensor


def functions(meta: MetaGraph, *, as_json: bool) -> int:
    found = list(meta.graph.functions.values())
    aliases = meta.function_aliases
    if as_json:
        from tensorbundle.cli import _json

        rows = (_function(one, aliases.get(one.name)) for one in found)
        _json.write({"path": meta.path, "functions": rows})
        return 0
    columns = [
        ("alias", [_text.safe(aliases.get(one.name, "")) for one in found]),
        ("arguments", [_types(one, lambda one: one.arguments) for one in found]),
        ("returns", [_types(one, _returns) for one in found]),
        ("nodes", ["?" if (n := _nodes(one)) is None else f"{n:,}" for one in found]),
        ("bytes", [_text.human(one.nbytes) for one in found]),
    ]
    if not aliases:
        del columns[0]
    names = [one.name for one in found]
    lines = _text.table("function", names, *columns, shown=max(len(names), 1))
    nodes = _text.count(sum(_nodes(one) or 0 for one in found), "node")
    size = _text.human(sum(one.nbytes for one in found))
    lines.append(_text.bold(f"{_text.count(len(found), 'function')}, {nodes}, {size}"))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _nodes(function: Function) -> int | None:
    """None where the body is damaged."""
    try:
        return len(function.graph)
    except CheckpointError:
        return None


def _returns(function: Function) -> list[Tensor]:
    return [one for given in function.returns.values() for one in given]


def _types(function: Function, tensors: Callable[[Function], list[Tensor]]) -> str:
    try:
        return _text.some([_graph_nodes.type_of(one) for one in tensors(function)], 4)
    except CheckpointError:
        return "(damaged)"


def _function(function: Function, alias: str | None) -> dict[str, object]:
    from tensorbundle.cli import _graph_json

    record: dict[str, object] = {"name": function.name, "alias": alias, "nbytes": function.nbytes}
    try:
        return {
            **record,
            "nodes": len(function.graph),
            "arguments": [_graph_facts.tensor(one) for one in function.arguments],
            "returns": {
                key: [_graph_facts.tensor(one) for one in given]
                for key, given in function.returns.items()
            },
            "attrs": _graph_json.attrs(function.attrs),
        }
    except CheckpointError as error:
        return {**record, "error": _text.message(error)}


def scopes(meta: MetaGraph, graph: Graph, depth: int | None, *, as_json: bool) -> int:
    root = graph.scopes()
    if as_json:
        from tensorbundle.cli import _json

        _json.write(
            {
                "path": meta.path,
                "function": graph.function_name,
                "total": {"nodes": root.num_operations, "bytes": root.nbytes},
                "scopes": (
                    {"scope": one.name, "nodes": one.num_operations, "bytes": one.nbytes}
                    for _, _, one in _walk(root, depth)
                ),
            }
        )
        return 0
    rows = list(_walk(root, depth))
    names = ["  " * level + f"{_text.safe(one.name[skip:])}/" for level, skip, one in rows]
    header, *lines = _text.layout(
        [
            _text.Column("scope", names, elastic=True),
            _text.Column("nodes", [f"{one.num_operations:,}" for _, _, one in rows], right=True),
            _text.Column("bytes", [_text.human(one.nbytes) for _, _, one in rows], right=True),
        ],
        _text.terminal_width(),
    )
    size = _text.both(root.nbytes)
    total = f"{_text.count(root.num_operations, 'node')} in {_text.count(len(rows), 'scope')}"
    text = [_text.bold(header), *lines, _text.bold(f"{total}, {size}")]
    sys.stdout.write("\n".join(text) + "\n")
    return 0


def _walk(root: Scope, depth: int | None) -> Iterator[tuple[int, int, Scope]]:
    """From top to bottom: level, how much of the name is its parent's, and the scope.

    A scope with nothing in it but one other scope is one row with that.
    """
    waiting = [(0, 0, one) for one in reversed(root.children)]
    while waiting:
        level, skip, scope = waiting.pop()
        children = scope.children
        while len(children) == 1 and children[0].num_operations == scope.num_operations:
            scope = children[0]
            children = scope.children
        yield level, skip, scope
        if depth is None or level + 1 < depth:
            waiting += [(level + 1, len(scope.name) + 1, one) for one in reversed(children)]
