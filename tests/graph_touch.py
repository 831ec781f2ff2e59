"""Touches all that there is of a graph, and says which clean errors that gave.

As a program: the same under a memory limit, with the file's path as its argument.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import tensorbundle as tb

MOST = 100


class Touch:
    """Counts clean errors by class; any other exception is a bug and goes through."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}

    def __call__(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except tb.CheckpointError as error:
            if type(error) not in (tb.CorruptionError, tb.UnsupportedError):
                raise
            self.errors.setdefault(type(error).__name__, str(error))
            return None

    def everything(self, source: Any, **options: Any) -> dict[str, str]:
        meta = self(lambda: tb.load_meta_graph(source, **options))
        if meta is None:
            return self.errors
        self(meta.message.to_dict)
        for name in ("savers", "signature_def", "tags", "stripped_op_list", "function_aliases"):
            self(lambda name=name: getattr(meta, name))
        for key in self(meta.graph.get_all_collection_keys) or ():
            self(lambda key=key: meta.graph.get_collection(key))
            self(lambda key=key: meta.graph.get_collection(key, "a"))
        functions = self(lambda: meta.graph.functions) or {}
        for function in functions.values():
            for name in ("arguments", "returns", "control_returns", "attrs"):
                self(lambda name=name, function=function: getattr(function, name))
            self(lambda function=function: function.arg_attrs(0))
            self.graph(function.graph)
        self.graph(meta.graph)
        return self.errors

    def graph(self, graph: tb.Graph) -> None:
        for call in (graph.op_counts, graph.constants, graph.problems, graph.to_dot):
            self(call)
        self(lambda: list(scopes(graph.scopes())))
        self(graph.columns)
        for name in ("placeholders", "outputs", "custom_ops", "producer"):
            self(lambda name=name: getattr(graph, name))
        ops = self(graph.get_operations) or []
        self(lambda: graph.descendants(ops[:MOST]))
        if graph.function_name is None:
            self(graph.to_graph_def_bytes)
            self(lambda: graph.to_graph_def_bytes(ops[:MOST]))
        for op in ops[:MOST]:
            for name in (
                "inputs",
                "control_inputs",
                "control_outputs",
                "attrs",
                "device",
                "op_def",
            ):
                self(lambda op=op, name=name: getattr(op, name))
            self(op.node_def.to_dict)
            self(lambda op=op: repr(op))
            for tensor in (self(lambda op=op: op.outputs) or [])[:MOST]:
                for name in ("name", "dtype", "shape"):
                    self(lambda tensor=tensor, name=name: getattr(tensor, name))
                self(tensor.consumers)


def scopes(root: tb.Scope) -> Iterator[tb.Scope]:
    waiting = [root]
    while waiting:
        scope = waiting.pop()
        yield scope
        waiting += scope.children


def touch(source: Any, **options: Any) -> dict[str, str]:
    return Touch().everything(source, **options)


def main(path: str) -> None:
    import resource

    import numpy as np

    tb.load_meta_graph(b"\x0a\x06\x2a\x042.21").graph.columns()  # imports what it needs
    assert np.zeros(1).sum() == 0
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    for name, text in touch(path).items():
        print(name, text)


if __name__ == "__main__":
    main(sys.argv[1])
