"""What a graph holds, in short: rows for tables and for JSON."""

from __future__ import annotations

from tensorbundle._paths import file_size
from tensorbundle.cli import _text
from tensorbundle.errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from tensorbundle import Graph, Message, MetaGraph, Operation, Tensor, Variable

    T = TypeVar("T")
    Row = dict[str, object]
    Dims = tuple[int | None, ...] | None

NUMPY_NAMES = {"float": "float32", "double": "float64", "half": "float16"}
KINDS = ("weight", "slot", "average", "step", "other")
SAVER_VERSIONS = {0: "legacy", 1: "V1", 2: "V2"}


def attempt(problems: list[str], what: str, make: Callable[[], list[T]]) -> list[T]:
    """A part of a graph; where that is damaged, a problem and nothing: the rest can be told."""
    try:
        return make()
    except CheckpointError as error:
        problems.append(f"{what}: {_text.message(error)}")
        return []


def tensor(one: Tensor) -> Row:
    """Type and shape are unknown where the node is damaged, too: that is a problem elsewhere."""
    try:
        dtype, shape = one.dtype, one.shape
    except CheckpointError:
        dtype = shape = None
    return {"name": one.name, "dtype": None if dtype is None else dtype.name, "shape": shape}


def outputs(operation: Operation) -> list[Tensor]:
    """None where the node is too damaged to tell."""
    try:
        return operation.outputs
    except CheckpointError:
        return []


def tensors(operations: Iterable[Operation]) -> list[Row]:
    """The first output of each."""
    return [tensor(found[0]) for one in operations if (found := outputs(one))]


def place(operation: Operation) -> str:
    """A node's name, and the function it is in."""
    function = operation.graph.function_name
    return operation.name if function is None else f"{operation.name} (in {function})"


def constants(graph: Graph) -> list[Operation]:
    """The constants, largest first; in the body of a function those of its own."""
    if graph.function_name is None:
        return graph.constants()
    return [one for one in graph.constants() if one.graph.function_name == graph.function_name]


def constant(operation: Operation) -> Row:
    found = tensors([operation])
    return {
        "name": operation.name,
        "function": operation.graph.function_name,
        "dtype": found[0]["dtype"] if found else None,
        "shape": found[0]["shape"] if found else None,
        "nbytes": operation.nbytes,
    }


def ops(graph: Graph) -> list[Row]:
    """How many nodes there are of each op, here and in the functions; the most frequent first."""
    own = graph.op_counts()
    every = graph.op_counts(functions=True) if graph.function_name is None else own
    return [
        {"op": op, "nodes": own.get(op, 0), "in_functions": number - own.get(op, 0)}
        for op, number in every.items()
    ]


def custom_ops(graph: Graph) -> list[Row]:
    return [
        {"op": op, "nodes": len(nodes), "first": place(nodes[0])}
        for op, nodes in graph.custom_ops.items()
    ]


def collections(meta: MetaGraph) -> list[Row]:
    """Key, kind ("VariableDef" for bytes that are such messages) and number of items."""
    rows: list[Row] = []
    for key, collection in meta.collection_def.items():
        kind = collection.which("kind") or "empty"
        items = 0 if kind == "empty" else len(collection[kind].value)
        if kind == "bytes_list" and items:
            kind = getattr(meta.graph.get_collection(key)[0], "type_name", kind)
        name = kind.removesuffix("_list").removeprefix("tensorflow.")
        rows.append({"key": key, "kind": name, "items": items})
    return rows


def savers(meta: MetaGraph) -> list[Row]:
    return [
        {
            "restore_op": saver["restore_op_name"],
            "save_tensor": saver["save_tensor_name"],
            "filename_tensor": saver["filename_tensor_name"],
            "version": SAVER_VERSIONS.get(saver["version"], str(saver["version"])),
            "sharded": saver["sharded"],
            "max_to_keep": saver["max_to_keep"],
        }
        for saver in meta.savers
    ]


def signatures(meta: MetaGraph) -> list[Row]:
    """A row for each input and output of each signature."""
    return [
        {
            "signature": name,
            "method": signature["method_name"],
            "direction": direction.removesuffix("s"),
            "key": key,
            "tensor": _tensor_name(info),
            "dtype": _dtype_name(info),
            "shape": _shape(info["tensor_shape"]),
        }
        for name, signature in meta.signature_def.items()
        for direction in ("inputs", "outputs")
        for key, info in signature[direction].items()
    ]


def _tensor_name(info: Message) -> str:
    if info.which("encoding") == "coo_sparse":
        return f"{info['coo_sparse']['values_tensor_name']} (sparse)"
    if info.which("encoding") == "composite_tensor":
        return "(composite)"
    name: str = info["name"]
    return name


def _dtype_name(info: Message) -> str | None:
    if not info["dtype"]:
        return None
    name = str(info.enum_name("dtype")).removeprefix("DT_").lower()
    base = name.removesuffix("_ref")
    return NUMPY_NAMES.get(base, base) + name[len(base) :]


def _shape(shape: Message | None) -> Dims:
    if shape is None or shape["unknown_rank"]:
        return None
    return tuple(None if dim["size"] < 0 else dim["size"] for dim in shape["dim"])


def kinds(variables: Iterable[Variable]) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    for variable in variables:
        counts[variable.kind] = counts.get(variable.kind, 0) + 1
    return {kind: number for kind, number in counts.items() if number}


def size_of(meta: MetaGraph) -> int:
    """Bytes of the file of a graph."""
    store = meta._store  # pyright: ignore[reportPrivateUsage]
    return file_size(meta.path or "", store)


def brief(meta: MetaGraph) -> dict[str, object]:
    """What `info` says of a graph."""
    graph = meta.graph
    path = meta.path or ""
    problems = graph.problems()
    variables = attempt(problems, "variables", lambda: list(meta.variables))
    return {
        "path": path,
        "size": size_of(meta),
        "kind": meta.kind,
        "tensorflow_version": meta.tensorflow_version,
        "producer": meta.producer,
        "tags": meta.tags,
        "nodes": len(graph),
        "functions": len(graph.functions),
        "variables": {
            "total": len(variables),
            "trainable": sum(1 for variable in variables if variable.trainable),
            "kinds": kinds(variables),
        },
        "placeholders": tensors(graph.placeholders),
        "signatures": list(meta.signature_def),
        "collections": attempt(problems, "collections", lambda: collections(meta)),
        "savers": attempt(problems, "savers", lambda: savers(meta)),
        "custom_ops": attempt(problems, "custom ops", lambda: custom_ops(graph)),
        "problems": problems,
    }
