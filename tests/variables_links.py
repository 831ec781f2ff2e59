"""What restore ops say, told from TensorFlow's own protos: a second opinion for the tests."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

RESTORES = {"RestoreV2", "RestoreSlice", "Restore"}
PASSING = {"Identity", "Reshape", "Cast"}
ASSIGNING = {"Assign", "AssignVariableOp"}


def source(name: str) -> tuple[str, int]:
    """`a:2`, `a:output:2` or `a`: a node and the number of its output."""
    node, _, port = name.partition(":")
    return node, int(port.rpartition(":")[2] or 0)


def keys_in(nodes: Any) -> dict[str, set[str]]:
    """For each handle, by name, the tensors that the nodes restore into it."""
    from tensorflow.python.framework.tensor_util import MakeNdarray

    by_name = {node.name: node for node in nodes}
    users = defaultdict(list)
    for node in nodes:
        for at, name in enumerate(node.input):
            users[source(name)].append((node, at))
    found: dict[str, set[str]] = defaultdict(set)
    for node in nodes:
        if node.op not in RESTORES:
            continue
        const = by_name.get(source(node.input[1])[0])
        if const is None or const.op != "Const":
            continue
        for port, key in enumerate(MakeNdarray(const.attr["value"].tensor).ravel()):
            waiting = [(node.name, port)]
            for place in waiting:  # grows while it is gone through
                for user, at in users[place]:
                    if user.op in PASSING and at == 0:
                        waiting.append((user.name, 0))
                    elif user.op in ASSIGNING and at == 1:
                        found[source(user.input[0])[0]].add(key.decode())
    return found


def restored_keys(meta: Any) -> dict[str, set[str]]:
    """For each variable of the graph, by its node, the tensors that it is restored from."""
    graph = meta.graph_def
    found = keys_in(graph.node)
    functions = {function.signature.name: function for function in graph.library.function}
    for call in graph.node:
        function = functions.get(call.attr["f"].func.name if "f" in call.attr else call.op)
        if function is None:
            continue
        inside = keys_in(function.node_def)
        for argument, name in zip(function.signature.input_arg, call.input, strict=False):
            found[source(name)[0]] |= inside.get(argument.name, set())
    return {name: keys for name, keys in found.items() if keys}
