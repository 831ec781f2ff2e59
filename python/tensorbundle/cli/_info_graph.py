"""What ``tensorbundle info`` says of the graph that belongs to a checkpoint."""

from __future__ import annotations

import sys

from tensorbundle.cli import _graph_facts, _text
from tensorbundle.errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tensorbundle.cli._source import Source


def facts(source: Source, tags: list[str] | None) -> dict[str, object] | None:
    """What a graph holds, or why that cannot be told; None if there is none."""
    if source.graph_path is None:
        return None
    try:
        meta = source.graph(tags)
        return None if meta is None else _graph_facts.brief(meta)
    except (CheckpointError, OSError) as error:
        return {"path": source.graph_path, "error": _text.message(error)}


def alone(source: Source, tags: list[str] | None, *, as_json: bool) -> int:
    """Of a graph without a checkpoint: here a damaged one is an error."""
    from tensorbundle.cli import _saved_model

    assert source.graph_path is not None
    saved = _saved_model.facts(source.graph_path, source.store, tags)
    if _saved_model.has_several(saved):
        graph = None  # which one is meant need not be known: all are told
    else:
        meta = source.graph(tags)
        assert meta is not None
        graph = _graph_facts.brief(meta)
    if as_json:
        from tensorbundle.cli import _json

        document = {"path": source.graph_path, "missing": source.missing, "graph": graph}
        _json.write(document if saved is None else {**document, "saved_model": saved})
    else:
        missing = _text.facts({"checkpoint": f"none: {source.missing}"})
        rest = _saved_model.sections(saved)
        sys.stdout.write(_text.join_sections([missing, section(graph), *rest]))
    return 1 if _saved_model.finds_fault(saved) else 0


def section(graph: dict[str, Any] | None) -> list[str]:
    if graph is None:
        return []
    path = _text.safe(graph["path"])
    if "error" in graph:
        return _text.facts({"graph": f"not read: {graph['error']}"})
    version = graph["tensorflow_version"]
    return _text.facts(
        {
            "graph": f"{path}, {_text.human(graph['size'])}",
            "kind": graph["kind"] + (f" ({', '.join(graph['tags'])})" if graph["tags"] else ""),
            "written by": ", ".join(
                [
                    *([f"TensorFlow {_text.safe(version)}"] if version else []),
                    f"producer {graph['producer']}",
                ]
            ),
            "nodes": f"{graph['nodes']:,}",
            "functions": f"{graph['functions']:,}" if graph["functions"] else "",
            "variables": _variables(graph["variables"]),
            "placeholders": _text.some(
                [
                    f"{row['name']} {row['dtype'] or '?'}{_text.partial_shape(row['shape'])}"
                    for row in graph["placeholders"]
                ]
            ),
            "signatures": _text.some(graph["signatures"]),
            "collections": _text.some(
                [f"{row['key']} ({row['items']:,})" for row in graph["collections"]]
            ),
            "savers": _text.some(
                [f"{row['restore_op']} ({row['version']})" for row in graph["savers"]]
            ),
            "custom ops": _text.some(
                [f"{row['op']} ({row['nodes']:,})" for row in graph["custom_ops"]]
            ),
            "problems": _problems(graph["problems"]),
        }
    )


def _problems(problems: list[str]) -> str:
    if not problems:
        return ""
    first = f"{len(problems):,}: {_text.sentence(problems[0])}"
    return first if len(problems) == 1 else f"{first}; `tensorbundle graph` lists all"


def _variables(numbers: dict[str, Any]) -> str:
    kinds = ", ".join(
        f"{number:,} other" if kind == "other" else _text.count(number, kind)
        for kind, number in numbers["kinds"].items()
    )
    text = f"{numbers['total']:,}"
    if kinds:
        text += f": {kinds}"
    return f"{text}; {numbers['trainable']:,} trainable" if numbers["total"] else text
