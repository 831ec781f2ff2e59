"""The objects of a checkpoint as a tree, for ``tensorbundle ls --objects``.

An object that several others hold is shown once, where its path leads; elsewhere it is named with
that path. So the tree is finite, whatever holds what.
"""

from __future__ import annotations

import argparse
import sys

from tensorbundle.cli import _patterns, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tensorbundle import Checkpoint, ObjectGraph, TensorInfo, TrackedObject

NOTHING_FOUND = PROBLEMS = 1
DEEPEST = 100  # levels that are indented: a chain of objects must not fill the disk with blanks


class Line:
    """A line of the tree: what it is called, and the tensor that stands there, if one does."""

    __slots__ = ("info", "level", "name", "note")

    def __init__(self, level: int, name: str, note: str, info: TensorInfo | None = None) -> None:
        self.level = level
        self.name = name
        self.note = note
        self.info = info


def run(args: argparse.Namespace, checkpoint: Checkpoint) -> int:
    graph = checkpoint.object_graph
    if graph is None:
        raise _text.CommandError(
            f"{checkpoint.prefix}: a checkpoint of names, as TensorFlow 1 writes them: it holds no "
            "objects; ls --tree shows its scopes"
        )
    matches = _patterns.matcher(args.match) if args.match else None
    rows = list(_rows(graph, args.depth))
    if matches is not None:
        rows = [row for row in rows if row[3] and matches(_path(row[2]) or "")]
    if args.json:
        _write_json(checkpoint, graph, rows)
    if matches is not None and not rows:
        of = _text.count(len(graph), "object")
        print(f"tensorbundle: {_patterns.no_match(args.match, of)}", file=sys.stderr)
        return NOTHING_FOUND
    problems = graph.problems()
    if not args.json:
        infos = {info.name: info for info in checkpoint.infos()}
        lines = _table(args, _lines(rows, infos, flat=matches is not None))
        tensors = _text.count(len(infos) - 1, "tensor")
        lines.append(_text.bold(f"{_text.count(len(graph), 'object')}, {tensors}"))
        sys.stdout.write("\n".join(lines) + "\n")
        for problem in problems:
            print(f"tensorbundle: object graph: {_text.sentence(problem)}", file=sys.stderr)
    return PROBLEMS if problems else 0


def _rows(graph: ObjectGraph, depth: int | None) -> Iterator[tuple[int, str, TrackedObject, bool]]:
    """The tree, no deeper than asked."""
    return (row for row in graph.walk() if depth is None or row[0] <= depth)


def _lines(
    rows: list[tuple[int, str, TrackedObject, bool]], infos: dict[str, TensorInfo], *, flat: bool
) -> Iterator[Line]:
    for depth, name, one, here in rows:
        label = _text.safe((_path(one) or "") if flat else name)
        level = 0 if flat else depth
        if depth == 0:
            label = "/"
        if not here:
            path = _path(one) if one.id else "/"
            yield Line(level, label, f"→ {_text.safe(path or f'node {one.id}')}")
            continue
        saver = one.registered_saver
        note = "" if saver is None else f"saved by {_text.safe(saver[0])}"
        yield from _tensors(level, label or "''", note, one, infos)
        for slot, state in one.slots.items():
            yield from _tensors(level + 1, f"slot {_text.safe(slot)}", "", state, infos)


def _path(one: TrackedObject) -> str | None:
    """Its path; none if that has more than 100 names or 1 KiB: chains add up."""
    return one.graph._nodes.short_path(one.id)  # pyright: ignore[reportPrivateUsage]


def _tensors(
    level: int, label: str, note: str, one: TrackedObject, infos: dict[str, TensorInfo]
) -> Iterator[Line]:
    """An object, and its tensors: one that is its value on its own line, others below."""
    tensors = [(attribute, key) for attribute in one.attributes for key in attribute.keys]
    if len(tensors) == 1 and tensors[0][0].name == "VARIABLE_VALUE":
        yield Line(level, label, note, infos.get(tensors[0][1]))
        return
    yield Line(level, label, note)
    for attribute, key in tensors:
        more = key.removeprefix(attribute.key)
        name = _text.safe(f".{attribute.name}{more}")
        yield Line(level + 1, name, "", infos.get(key))


def _table(args: argparse.Namespace, lines: Iterator[Line]) -> list[str]:
    size = str if args.bytes else _text.human
    names: list[str] = []
    dtypes: list[str] = []
    shapes: list[str] = []
    sizes: list[str] = []
    for line in lines:
        note = f"  {line.note}" if line.note else ""
        names.append("  " * min(line.level, DEEPEST) + line.name + note)
        info = line.info
        dtypes.append("" if info is None else info.type_name)
        shapes.append("" if info is None else _text.shape(info.shape))
        sizes.append("" if info is None else size(info.nbytes))
    columns = [
        _text.Column("object", names, elastic=True),
        _text.Column("dtype", dtypes),
        _text.Column("shape", shapes, elastic=True),
        _text.Column("bytes", sizes, right=True),
    ]
    header, *rest = _text.layout(columns, _text.terminal_width())
    return [_text.bold(header), *rest]


def _write_json(
    checkpoint: Checkpoint, graph: ObjectGraph, rows: list[tuple[int, str, TrackedObject, bool]]
) -> None:
    from tensorbundle.cli import _json

    document: dict[str, _json.Member] = {
        "path": checkpoint.path,
        "prefix": checkpoint.prefix,
        "problems": graph.problems(),
        "objects": (_object(one) for _, _, one, here in rows if here),
    }
    _json.write(document)


def _object(one: TrackedObject) -> dict[str, object]:
    edges = one.graph._nodes.edges(one.id)  # pyright: ignore[reportPrivateUsage]
    return {
        "id": one.id,
        "path": _path(one),
        "children": {name: child for name, child, _ in edges},
        "attributes": [
            {
                "name": attribute.name,
                "full_name": attribute.full_name,
                "key": attribute.key,
                "keys": attribute.keys,
            }
            for attribute in one.attributes
        ],
        "slots": {name: state.id for name, state in one.slots.items()},
        "registered_saver": one.registered_saver,
        "has_checkpoint_values": one.has_checkpoint_values,
    }
