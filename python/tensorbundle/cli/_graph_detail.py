"""All about one node."""

from __future__ import annotations

from tensorbundle import AttrPlaceholder, DType, FunctionRef
from tensorbundle.cli import _graph_json, _graph_nodes, _text
from tensorbundle.errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorbundle import Operation

VALUES = 8  # of an array or a list
LONGEST_STRING = 200


def sections(operation: Operation) -> list[list[str]]:
    outputs = _try(lambda: [(one.name, _graph_nodes.type_of(one)) for one in operation.outputs])
    consumers = _try(
        lambda: [
            (reader.name, _text.safe(one.name))
            for one in operation.outputs
            for reader in dict.fromkeys(one.consumers())
        ]
    )
    return [
        _text.facts(
            {
                "name": _text.safe(operation.name),
                "op": _text.safe(operation.type),
                "device": _text.safe(operation.device),
                "function": _text.safe(operation.graph.function_name or ""),
                "bytes": _text.both(operation.nbytes),
            }
        ),
        _list("inputs", _inputs(operation)),
        _list(
            "control inputs",
            _try(lambda: [(x.name, _text.safe(x.type)) for x in operation.control_inputs]),
        ),
        _list("attributes", list(_attrs(operation).items())),
        _list("outputs", outputs),
        _list("consumers", consumers),
        _list(
            "control outputs",
            _try(lambda: [(x.name, _text.safe(x.type)) for x in operation.control_outputs]),
        ),
    ]


def _try(make: Callable[[], list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """What is damaged is said in its place."""
    try:
        return make()
    except CheckpointError as error:
        return [("damaged:", _text.message(error))]


def _inputs(operation: Operation) -> list[tuple[str, str]]:
    rows = _try(lambda: [(one.name, _graph_nodes.type_of(one)) for one in operation.inputs])
    if rows and rows[0][0] == "damaged:":
        rows += [(name, "as the file has it") for name in operation.node_def["input"]]
    return rows


def _list(title: str, rows: list[tuple[str, str]]) -> list[str]:
    """A bold title, and two indented columns under it: names, and text that is safe."""
    if not rows:
        return []
    first = _text.Column("", [f"  {_text.safe(name)}" for name, _ in rows])
    second = _text.Column("", [text for _, text in rows], elastic=True)
    return [_text.bold(title), *_text.layout([first, second], _text.terminal_width())[1:]]


def _attrs(operation: Operation) -> dict[str, str]:
    return {key: show(value) for key, value in _graph_json.attrs_of(operation).items()}


def show(value: object) -> str:
    """An attribute's value in one line."""
    if isinstance(value, bytes):
        return _string(value)
    if isinstance(value, Exception):
        return f"damaged: {_text.message(value)}"
    if isinstance(value, DType):
        return value.name
    if isinstance(value, tuple) or value is None:
        return _text.partial_shape(value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, FunctionRef):
        attrs = ", ".join(f"{_text.safe(key)}={show(x)}" for key, x in value.attrs.items())
        return f"function {_text.safe(value.name)}" + (f"({attrs})" if attrs else "")
    if isinstance(value, AttrPlaceholder):
        return f"${_text.safe(value.name)}"
    if isinstance(value, list):
        items: list[object] = value  # pyright: ignore[reportUnknownVariableType]
        more = [f"… and {len(items) - VALUES:,} more"] if len(items) > VALUES else []
        return f"[{', '.join([*map(show, items[:VALUES]), *more])}]"
    if isinstance(value, bool | int | float):
        return str(value)
    return _array(value)


def _string(value: bytes) -> str:
    """As Python shows bytes, but without the b; and UTF-8 as its characters."""
    short = value[:LONGEST_STRING]
    text = f'"{_text.safe(short.decode("utf-8", "surrogateescape"))}"'
    return text if short == value else f"{text}… ({len(value):,} bytes)"


def _array(value: object) -> str:
    import numpy as np

    array = np.asarray(value)
    items = array.flat[:VALUES]
    values = ", ".join(show(x) if isinstance(x, bytes) else str(x) for x in items)
    if array.ndim == 0:
        return f"{_dtype(array.dtype.name)} {values}"
    more = f", … and {array.size - VALUES:,} more" if array.size > VALUES else ""
    return f"{_dtype(array.dtype.name)}{_text.shape(array.shape)} {values}{more}".rstrip()


def _dtype(name: str) -> str:
    return "string" if name == "object" else name
