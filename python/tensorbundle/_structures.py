"""Python's structures as a SavedModel keeps them, as text (FORMAT appendix A, struct.proto)."""

from __future__ import annotations

from ._native import dtype_of
from ._signatures import shape_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import Message

_DEEP = 50
_MANY = 1000
_SPECS = {"tensor_spec_value": "TensorSpec", "bounded_tensor_spec_value": "BoundedTensorSpec"}


def text_of(value: Message | None, depth: int = 0) -> str:
    """A StructuredValue as it would stand in a Python program.

    ``TensorSpec(shape=(None, 2), dtype=tf.float32, name='x')``; what lies very deep, or comes after
    very much, is ``…``.
    """
    kind = None if value is None else value.which("kind")
    if value is None or kind is None:
        return "?"
    if depth == _DEEP:
        return "…"
    content = value[kind]
    match kind:
        case "none_value":
            return "None"
        case "list_value":
            return f"[{_joined(content['values'], depth)}]"
        case "tuple_value":
            comma = "," if len(content["values"]) == 1 else ""
            return f"({_joined(content['values'], depth)}{comma})"
        case "dict_value":
            fields = sorted(content["fields"].items())
            pairs = [f"{key!r}: {text_of(item, depth + 1)}" for key, item in fields[:_MANY]]
            return "{" + ", ".join(pairs + ["…"] * (len(fields) > _MANY)) + "}"
        case "named_tuple_value":
            pairs = [
                f"{pair['key']}={text_of(pair['value'], depth + 1)}"
                for pair in content["values"][:_MANY]
            ]
            return f"{content['name']}({', '.join(pairs)})"
        case "tensor_spec_value" | "bounded_tensor_spec_value":
            return _spec(_SPECS[kind], content)
        case "tensor_shape_value":
            shape = shape_of(content)
            return f"TensorShape({None if shape is None else list(shape)})"
        case "tensor_dtype_value":
            return f"tf.{dtype_of(content)}"
        case "type_spec_value":
            state = content["type_state"]
            if state is not None and state.which("kind") == "tuple_value":
                inner = _joined(state["tuple_value"]["values"], depth)
            else:
                inner = text_of(state, depth + 1)
            return f"{content['type_spec_class_name']}({inner})"
        case "float64_value" | "int64_value" | "string_value" | "bool_value":
            return repr(content)
        case _:
            return f"<{kind.removesuffix('_value')}>"


def _joined(values: tuple[Message, ...], depth: int) -> str:
    texts = [text_of(value, depth + 1) for value in values[:_MANY]]
    return ", ".join(texts + ["…"] * (len(values) > _MANY))


def _spec(name: str, spec: Message) -> str:
    shape = shape_of(spec["shape"])
    if shape is None:
        size = "<unknown>"
    else:
        size = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    return f"{name}(shape={size}, dtype=tf.{dtype_of(spec['dtype'])}, name={spec['name']!r})"


def items_of(value: Message | None) -> tuple[Message, ...]:
    """The values of a list or tuple; none of anything else."""
    kind = None if value is None else value.which("kind")
    if value is None or kind not in ("list_value", "tuple_value"):
        return ()
    items: tuple[Message, ...] = value[kind]["values"]
    return items


def fields_of(value: Message | None) -> dict[str, Message]:
    """The values of a dict, or of a named tuple, by name; none of anything else."""
    kind = None if value is None else value.which("kind")
    if value is None or kind not in ("dict_value", "named_tuple_value"):
        return {}
    if kind == "dict_value":
        fields: dict[str, Message] = value[kind]["fields"]
        return fields
    return {pair["key"]: pair["value"] for pair in value[kind]["values"]}
