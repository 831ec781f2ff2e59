"""The summary of a graph: what ``tensorbundle graph`` shows without options."""

from __future__ import annotations

import sys

from tensorbundle.cli import _graph_facts, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tensorbundle import Graph, MetaGraph
    from tensorbundle.cli._graph_facts import Row
    from tensorbundle.cli._json import Member

FINDING = 1
OPS = 10
CONSTANTS = 5
MANY = 20  # of what users look for by name


def show(meta: MetaGraph, graph: Graph, *, as_json: bool) -> int:
    """The graph, or the body of one of its functions."""
    facts = Summary(meta, graph)
    if as_json:
        from tensorbundle.cli import _json

        _json.write(facts.document())
    else:
        sys.stdout.write(_text.join_sections(facts.sections()))
    return FINDING if facts.problems else 0


class Summary:
    """All rows, gathered before the first is written."""

    def __init__(self, meta: MetaGraph, graph: Graph) -> None:
        whole = graph.function_name is None
        facts = _graph_facts
        self.meta = meta
        self.graph = graph
        self.whole = whole
        self.problems = graph.problems()
        self.ops = self._rows("ops", True, lambda: facts.ops(graph))
        self.constants = facts.attempt(self.problems, "constants", lambda: facts.constants(graph))
        if whole:
            self.inputs = facts.tensors(graph.placeholders)
            self.outputs = self._rows(
                "outputs", whole, lambda: [facts.tensor(one) for one in graph.outputs]
            )
        else:
            function = meta.graph.functions[graph.function_name or ""]
            self.inputs = [facts.tensor(one) for one in function.arguments]
            self.outputs = self._rows(
                "returns",
                True,
                lambda: [
                    {**facts.tensor(one), "key": key}
                    for key, given in function.returns.items()
                    for one in given
                ],
            )
        self.signatures = self._rows("signatures", whole, lambda: facts.signatures(meta))
        self.collections = self._rows("collections", whole, lambda: facts.collections(meta))
        self.savers = self._rows("savers", whole, lambda: facts.savers(meta))
        self.custom = self._rows("custom ops", whole, lambda: facts.custom_ops(graph))

    def _rows(self, what: str, wanted: bool, make: Callable[[], list[Row]]) -> list[Row]:
        return _graph_facts.attempt(self.problems, what, make) if wanted else []

    def document(self) -> dict[str, Member]:
        meta = self.meta
        return {
            "path": meta.path,
            "size": _graph_facts.size_of(meta),
            "kind": meta.kind,
            "function": self.graph.function_name,
            "tensorflow_version": meta.tensorflow_version,
            "producer": meta.producer,
            "tags": list(meta.tags),
            "nodes": len(self.graph),
            "functions": len(meta.graph.functions),
            "ops": iter(self.ops),
            "inputs" if not self.whole else "placeholders": iter(self.inputs),
            "outputs": iter(self.outputs),
            "signatures": iter(self.signatures),
            "custom_ops": iter(self.custom),
            "constants": map(_graph_facts.constant, self.constants),
            "constant_bytes": sum(one.nbytes for one in self.constants),
            "collections": iter(self.collections),
            "savers": iter(self.savers),
            "problems": self.problems,
        }

    def sections(self) -> list[list[str]]:
        outputs = self._signature_table() or _tensor_table(
            "output" if self.whole else "return", self.outputs
        )
        return [
            self._head(),
            self._op_table(),
            _tensor_table("placeholder" if self.whole else "argument", self.inputs, MANY),
            outputs,
            _table(self.custom, op="custom op", nodes="nodes", first="first"),
            self._constant_table(),
            _table(self.collections, MANY, key="collection", kind="kind", items="items"),
            _table(
                self.savers, restore_op="saver", version="version", sharded="sharded",
                max_to_keep="kept",
            ),
            self._problem_list(),
        ]  # fmt: skip

    def _head(self) -> list[str]:
        meta = self.meta
        return _text.facts(
            {
                "graph": _text.safe(meta.path or ""),
                "function": _text.safe(self.graph.function_name or ""),
                "kind": meta.kind,
                "TensorFlow": _text.safe(meta.tensorflow_version),
                "producer": str(meta.producer or ""),
                "tags": ", ".join(map(_text.safe, meta.tags)),
                "nodes": f"{len(self.graph):,}",
                "functions": self._functions() if self.whole else "",
                "constants": self._constants(),
            }
        )

    def _functions(self) -> str:
        number = len(self.meta.graph.functions)
        inside = sum(number for number in _numbers(self.ops, "in_functions"))
        return f"{number:,}, with {_text.count(inside, 'node')}" if number else "0"

    def _constants(self) -> str:
        """How much of the file is constants; a text file has them in another form."""
        total = sum(one.nbytes for one in self.constants)
        path = self.meta.path or ""
        size = _graph_facts.size_of(self.meta)
        text = f"{len(self.constants):,}, {_text.human(total)}"
        if total > size or path.endswith("txt"):
            return text
        return f"{text}: {total / max(size, 1):.0%} of the file's {_text.human(size)}"

    def _op_table(self) -> list[str]:
        """The most frequent, and the sum of the rest."""
        names = [str(row["op"]) for row in self.ops]
        if len(names) > OPS:
            names[OPS:] = [f"{_text.count(len(names) - OPS, 'more op')}"]
        columns: list[tuple[str, list[str]]] = []
        for key, title in (("nodes", "nodes"), ("in_functions", "in functions")):
            numbers = _numbers(self.ops, key)
            numbers[OPS:] = [sum(numbers[OPS:])] if len(numbers) > OPS else []
            if key == "nodes" or any(numbers):
                columns.append((title, [f"{number:,}" for number in numbers]))
        return _text.table("op", names, *columns, shown=OPS + 1)

    def _signature_table(self) -> list[str]:
        return _table(
            self.signatures, MANY, signature="signature", direction="", key="key", tensor="tensor",
            dtype="dtype", shape="shape",
        )  # fmt: skip

    def _constant_table(self) -> list[str]:
        rows = [_graph_facts.constant(one) for one in self.constants[:CONSTANTS]]
        return _text.table(
            "largest constants",
            [
                _graph_facts.place(one) if self.whole else one.name
                for one in self.constants[:CONSTANTS]
            ],
            ("dtype", [cell(row["dtype"]) for row in rows]),
            ("shape", [shape_cell(row) for row in rows]),
            ("bytes", [_text.human(one.nbytes) for one in self.constants[:CONSTANTS]]),
        )

    def _problem_list(self) -> list[str]:
        if not self.problems:
            return []
        title = _text.bold(_text.count(len(self.problems), "problem"))
        more = len(self.problems) - _text.SHOWN
        rest = [f"… and {more:,} more"] if more > 0 else []
        return [title, *map(_text.sentence, self.problems[: _text.SHOWN]), *rest]


def _numbers(rows: Sequence[Row], key: str) -> list[int]:
    return [number for row in rows if isinstance(number := row[key], int)]


def cell(value: object) -> str:
    """What a table shows of a value: "?" for what is not known."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "?" if value is None else _text.safe(str(value))


def shape_cell(row: Row) -> str:
    shape: Any = row["shape"]
    return _text.partial_shape(shape)


def _table(rows: Sequence[Row], shown: int = _text.SHOWN, **titles: str) -> list[str]:
    """One column for each key of the rows that has a title; the first column is of names."""
    first, *others = titles
    columns = [
        (titles[key], [shape_cell(row) if key == "shape" else cell(row[key]) for row in rows])
        for key in others
    ]
    return _text.table(titles[first], [str(row[first]) for row in rows], *columns, shown=shown)


def _tensor_table(title: str, rows: Sequence[Row], shown: int = _text.SHOWN) -> list[str]:
    keyed = {"key": "key"} if rows and "key" in rows[0] else {}
    return _table(rows, shown, name=title, **keyed, dtype="dtype", shape="shape")
