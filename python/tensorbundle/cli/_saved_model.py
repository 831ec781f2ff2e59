"""What ``tensorbundle info`` says of a SavedModel: what ``saved_model_cli show`` does, and more."""

from __future__ import annotations

import os

import tensorbundle
from tensorbundle.cli import _graph_facts, _source, _text
from tensorbundle.errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from tensorbundle import (
        ConcreteFunction,
        MetaGraph,
        Operation,
        SavedModel,
        SavedObject,
        SavedObjects,
        Signature,
        SignatureTensor,
    )
    from tensorbundle._remote import Store

    Row = dict[str, object]
    T = TypeVar("T")

HASHES = (
    "saved_model_checksum",
    "graph_def_program_hash",
    "signature_def_hash",
    "saved_object_graph_hash",
    "checkpoint_hash",
)


def is_one(path: str, store: Store | None) -> bool:
    """Whether a path is the directory of a SavedModel, or the file in it."""
    found = _source.graph_of(path, store)
    return found is not None and os.path.split(found)[1] in _source.SAVED_MODELS


def facts(
    path: str,
    store: Store | None,
    tags: list[str] | None,
    known: dict[str, object] | None = None,
) -> dict[str, Any] | None:
    """All there is to say of the graphs with these tags, or of all graphs; None where it is none.

    Where the file itself is damaged, the error; that of a part is a problem of its graph. `known`
    is what is known of the graph that is meant.
    """
    if not is_one(path, store):
        return None
    try:
        model = tensorbundle.load_saved_model(path, storage_options=store)
    except (CheckpointError, OSError) as error:
        return {"path": path, "error": _text.message(error)}
    with model:
        numbers = list(range(len(model.tags)))
        if tags is not None:
            wanted = model.meta_graph(tags)
            numbers = [i for i in numbers if model.tags[i] == wanted.tags][:1]
        return {
            "path": model.file,
            "directory": model.directory,
            "schema_version": model.schema_version,
            "tags": model.tags,
            "graphs": [_graph(model, number, known) for number in numbers],
            "assets_extra": model.assets_extra,
            "fingerprint": _fingerprint(model),
        }


def has_several(saved: dict[str, Any] | None) -> bool:
    """Whether there are several graphs, or none, to tell of."""
    return len((saved or {}).get("graphs", "1")) != 1


def finds_fault(saved: dict[str, Any] | None) -> bool:
    """Whether graphs or fingerprint are damaged, or that is of another checkpoint."""
    if saved is None:
        return False
    if "error" in saved or any("error" in graph for graph in saved["graphs"]):
        return True
    found = saved["fingerprint"]
    return found is not None and ("error" in found or found["checkpoint_hash_matches"] is False)


def _fingerprint(model: SavedModel) -> Row | None:
    try:
        found = model.fingerprint
        if found is None:
            return None
        fields: Row = {name: getattr(found, name) for name in HASHES}
        return {
            **fields,
            "producer": found.producer,
            "uuid": found.uuid,
            "singleprint": found.singleprint,
            "checkpoint_hash_matches": model.check_fingerprint(),
        }
    except (CheckpointError, OSError) as error:
        return {"error": _text.message(error)}


def _graph(model: SavedModel, number: int, known: dict[str, object] | None) -> dict[str, Any]:
    try:
        # By its number: two may have the same tags.
        meta = model._graph(number)  # pyright: ignore[reportPrivateUsage]
        return _GraphFacts(model, meta).row(known)
    except (CheckpointError, OSError) as error:
        return {"tags": model.tags[number], "error": _text.message(error)}


class _GraphFacts:
    """What can be told of a graph; what is damaged is a problem."""

    def __init__(self, model: SavedModel, meta: MetaGraph) -> None:
        self.model = model
        self.meta = meta
        self.problems: list[str] = []

    def one(self, what: str, make: Callable[[], T]) -> T | None:
        found = _graph_facts.attempt(self.problems, what, lambda: [make()])
        return found[0] if found else None

    def row(self, known: dict[str, object] | None) -> dict[str, Any]:
        from tensorbundle._assets import assets_of
        from tensorbundle._saved_model import init_op_of, train_op_of
        from tensorbundle._saved_objects import SavedObjects
        from tensorbundle._signatures import signatures

        meta, attempt = self.meta, _graph_facts.attempt
        message = meta.object_graph_def
        objects = None
        if message is not None:
            objects = self.one("objects", lambda: SavedObjects(meta, message))
        # No two have the same tags, or `known` would be none of them.
        same = known is not None and known.get("tags") == meta.tags
        row = {**known} if known is not None and same else _graph_facts.brief(meta)
        row["signatures"] = dict(
            attempt(
                self.problems,
                "signatures",
                lambda: [(name, self.signature(one)) for name, one in signatures(meta).items()],
            )
        )
        row |= {
            "init_op": self.one("init op", lambda: _name(init_op_of(meta))),
            "train_op": self.one("train op", lambda: _name(train_op_of(meta))),
            "ops": _graph_facts.ops(meta.graph),
            "objects": None if objects is None else self.objects(objects),
            "concrete_functions": []
            if objects is None
            else attempt(
                self.problems,
                "concrete functions",
                lambda: [_function(one) for one in objects.concrete_functions().values()],
            ),
            "assets": attempt(
                self.problems,
                "assets",
                lambda: [
                    {
                        "filename": one.filename,
                        "tensor": one.tensor_name,
                        "path": one.path,
                        "exists": one.exists,
                        "size": one.size,
                        "problem": one.problem,
                    }
                    for one in assets_of(meta, self.model.directory)
                ],
            ),
        }
        row["damaged"] = self.problems
        return row

    def signature(self, one: Signature) -> Row:
        return {
            "method": one.method_name,
            "inputs": {key: self.tensor(info) for key, info in one.inputs.items()},
            "outputs": {key: self.tensor(info) for key, info in one.outputs.items()},
            "defaults": sorted(one.message["defaults"]),
        }

    def tensor(self, one: SignatureTensor) -> dict[str, Any]:
        row: dict[str, Any] = {
            "tensor": one.name,
            "kind": one.kind,
            "type": one.type_name,
            "dtype": None if one.dtype is None else one.dtype.name,
            "shape": self.one(f"signature's {one.key!r}", lambda: one.shape),
            "components": [self.tensor(part) | {"key": part.key} for part in one.components],
        }
        self.one(f"signature's {one.key!r}", lambda: one.op)  # does the graph have it?
        return row

    def objects(self, objects: SavedObjects) -> Row:
        kinds: dict[str, int] = {}
        for one in objects:
            kinds[one.kind or "unknown"] = kinds.get(one.kind or "unknown", 0) + 1
        listed = _graph_facts.attempt(
            self.problems, "objects", lambda: [_object(one) for one in objects]
        )
        return {"total": len(objects), "kinds": kinds, "objects": listed}


def _name(operation: Operation | None) -> str | None:
    return None if operation is None else operation.name


def _object(one: SavedObject) -> Row:
    row: Row = {"number": one.number, "path": one.path, "kind": one.kind, "name": one.name}
    return row if one.version is None else {**row, "version": one.version}


def _function(one: ConcreteFunction) -> Row:
    return {
        "name": one.name,
        "path": one.path,
        "arguments": [{"name": name, "value": value} for name, value in one.arguments],
        "returns": one.returns,
        "bound_inputs": one.message["bound_inputs"],  # numbers of objects, which may be many
    }


# As text.


def sections(saved: dict[str, Any] | None) -> Iterator[list[str]]:
    """All of it; of one graph alone, without what `info` says of any graph."""
    if saved is None or "error" in saved:
        return
    yield _head(saved)
    yield _text.table("extra asset", saved["assets_extra"], ("", [""] * len(saved["assets_extra"])))
    for graph in saved["graphs"]:
        if len(saved["graphs"]) > 1:
            yield from _other(graph)
        if "error" not in graph:
            yield from _graph_sections(graph)


def _tags(tags: tuple[str, ...]) -> str:
    return "{" + ", ".join(map(_text.safe, tags)) + "}"


def _head(saved: dict[str, Any]) -> list[str]:
    found = saved["fingerprint"]
    rows = {
        "SavedModel": f"{_text.safe(saved['path'])}, format version {saved['schema_version']}",
        "tag sets": " ".join(_tags(tags) for tags in saved["tags"]) or "none: it has no graphs",
        "fingerprint": "none",
    }
    if found is not None and "error" in found:
        rows["fingerprint"] = f"not read: {found['error']}"
    elif found is not None:
        rows["fingerprint"] = found["singleprint"]
        rows["uuid"] = _text.safe(found["uuid"])
        rows["checkpoint hash"] = {
            True: "matches variables/variables.index",
            False: "does NOT match: variables/variables.index is of another save, or is missing",
            None: "none in the fingerprint",
        }[found["checkpoint_hash_matches"]]
    return _text.facts(rows)


def _other(graph: dict[str, Any]) -> Iterator[list[str]]:
    """One of several graphs."""
    from tensorbundle.cli import _info_graph

    if "error" in graph:
        yield _text.facts({"graph": f"{_tags(graph['tags'])} not read: {graph['error']}"})
    else:
        yield _info_graph.section(graph | {"signatures": list(graph["signatures"])})


def _graph_sections(graph: dict[str, Any]) -> Iterator[list[str]]:
    objects = graph["objects"]
    kinds: dict[str, int] = {} if objects is None else objects["kinds"]
    yield _text.facts(
        {
            "init op": _text.safe(graph["init_op"] or ""),
            "train op": _text.safe(graph["train_op"] or ""),
            "ops": ", ".join(
                f"{_text.safe(row['op'])} ({row['nodes'] + row['in_functions']:,})"
                for row in graph["ops"]
            ),
            "objects": f"{objects['total']:,}: "
            + ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
            if objects
            else "",
            "damaged": "; ".join(graph["damaged"]),
        }
    )
    yield from _signature_tables(graph["signatures"])
    yield _function_table(graph["concrete_functions"])
    yield _asset_table(graph["assets"])


def _signature_tables(signatures: dict[str, Any]) -> Iterator[list[str]]:
    for name, one in signatures.items():
        rows = [
            (direction, *row, key in one["defaults"] and direction == "input")
            for direction in ("input", "output")
            for key, info in one[f"{direction}s"].items()
            for row in _tensor_rows(key, info)
        ]
        method = f" ({_text.safe(one['method'])})" if one["method"] else ""
        lines = [_text.bold(f"signature {_text.safe(name)}{method}")]
        columns = [
            ("", [row[0] for row in rows]),
            ("tensor", [_text.safe(row[2]) for row in rows]),
            ("dtype", [row[3] for row in rows]),
            ("shape", [row[4] for row in rows]),
            ("default", ["given" if row[5] else "" for row in rows]),
        ]
        if not one["defaults"]:
            del columns[-1]
        yield lines + _text.table("key", [row[1] for row in rows], *columns, shown=len(rows))


def _tensor_rows(key: str, info: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    name = info["tensor"] or ("" if info["kind"] == "dense" else f"({info['type']})")
    yield key, name, info["dtype"] or "", _text.partial_shape(info["shape"])
    for part in info["components"]:
        yield from _tensor_rows(f"{key}/{part['key']}", part)


def _function_table(functions: list[dict[str, Any]]) -> list[str]:
    def call(one: dict[str, Any]) -> str:
        pairs = ((row["name"], row["value"]) for row in one["arguments"])
        return ", ".join(f"{name}: {value}" if name else value for name, value in pairs)

    return _text.table(
        "concrete function of",
        [one["name"] if one["path"] is None else one["path"] for one in functions],
        ("function", [_text.safe(one["name"]) for one in functions]),
        ("captures", [f"{len(one['bound_inputs']):,}" for one in functions]),
        ("arguments", [_text.safe(call(one)) for one in functions]),
        ("returns", [_text.safe(one["returns"]) for one in functions]),
        shown=len(functions),
    )


def _asset_table(assets: list[dict[str, Any]]) -> list[str]:
    def size(one: dict[str, Any]) -> str:
        if one["problem"] is not None:
            return "not followed: it leads out of assets/"
        return _text.human(one["size"]) if one["exists"] else "missing"

    return _text.table(
        "asset",
        [one["filename"] for one in assets],
        ("tensor", [_text.safe(one["tensor"]) for one in assets]),
        ("bytes", [size(one) for one in assets]),
        shown=len(assets),
    )
