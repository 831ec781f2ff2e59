"""Makes graph files byte by byte: also such as no TensorFlow would write."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import tensorbundle as tb
from encoding import bytes_field, optional_field, shape_proto, varint, varint_field

FLOAT, INT32, STRING = 1, 3, 7


def text(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def text_field(number: int, value: str | bytes) -> bytes:
    return bytes_field(number, text(value)) if value else b""


def map_field(number: int, key: str | bytes, value: bytes) -> bytes:
    return bytes_field(number, bytes_field(1, text(key)) + bytes_field(2, value))


# AttrValue: one function for each kind.


def of_bytes(value: bytes) -> bytes:
    return bytes_field(2, value)


def of_int(value: int) -> bytes:
    return varint_field(3, value)


def of_float(value: float) -> bytes:
    return b"\x25" + struct.pack("<f", value)


def of_bool(value: bool) -> bytes:
    return varint_field(5, int(value))


def of_type(number: int) -> bytes:
    return varint_field(6, number)


def of_shape(dims: Iterable[int] | None) -> bytes:
    return bytes_field(7, shape_proto([], unknown_rank=True) if dims is None else shape_proto(dims))


def of_tensor(proto: bytes) -> bytes:
    return bytes_field(8, proto)


def of_placeholder(name: str) -> bytes:
    return bytes_field(9, text(name))


def of_func(name: str, attrs: Mapping[str, bytes] | None = None) -> bytes:
    return bytes_field(10, func(name, attrs))


def func(name: str, attrs: Mapping[str, bytes] | None = None) -> bytes:
    return text_field(1, name) + b"".join(map_field(2, *item) for item in (attrs or {}).items())


def of_list(*fields: bytes) -> bytes:
    """Of values as the functions above make them, or of ready fields of a ListValue."""
    return bytes_field(1, b"".join(fields))


def of_funcs(*names: str) -> bytes:
    return of_list(*(bytes_field(9, func(name)) for name in names))


def tensor(
    dtype: int, shape: Iterable[int] | bytes, content: bytes = b"", more: bytes = b""
) -> bytes:
    """A TensorProto; `more` is ready fields, such as `float_val`."""
    shape = shape if isinstance(shape, bytes) else shape_proto(shape)
    return varint_field(1, dtype) + bytes_field(2, shape) + text_field(4, content) + more


def floats(*values: float) -> bytes:
    """`float_val`, packed."""
    return bytes_field(5, struct.pack(f"<{len(values)}f", *values))


# Nodes, functions, graphs.


def node(
    name: str | bytes,
    op: str | bytes = "NoOp",
    inputs: Iterable[str | bytes] = (),
    device: str = "",
    **attrs: bytes,
) -> bytes:
    """A NodeDef. A leading `_` of an attribute's name is written `x_`."""
    out = text_field(1, name) + text_field(2, op)
    out += b"".join(bytes_field(3, text(value)) for value in inputs)
    out += text_field(4, device)
    for key, value in attrs.items():
        out += map_field(5, key[1:] if key.startswith("x_") else key, value)
    return out


def const(name: str, value: bytes, dtype: int = FLOAT) -> bytes:
    return node(name, "Const", dtype=of_type(dtype), value=of_tensor(value))


def arg_def(
    name: str, *, dtype: int = 0, type_attr: str = "", number_attr: str = "", list_attr: str = ""
) -> bytes:
    out = text_field(1, name) + optional_field(3, dtype) + text_field(4, type_attr)
    return out + text_field(5, number_attr) + text_field(6, list_attr)


def op_def(
    name: str | bytes,
    inputs: Iterable[bytes] = (),
    outputs: Iterable[bytes] = (),
    control: Iterable[str] = (),
    attrs: Iterable[bytes] = (),
) -> bytes:
    out = text_field(1, name) + b"".join(bytes_field(2, arg) for arg in inputs)
    out += b"".join(bytes_field(3, arg) for arg in outputs)
    out += b"".join(bytes_field(4, attr) for attr in attrs)
    return out + b"".join(bytes_field(20, text(output)) for output in control)


def attr_def(name: str, kind: str, default: bytes | None = None) -> bytes:
    out = text_field(1, name) + text_field(2, kind)
    return out + (b"" if default is None else bytes_field(3, default))


def function(
    signature: bytes,
    nodes: Iterable[bytes] = (),
    ret: Mapping[str, str] | None = None,
    control_ret: Mapping[str, str] | None = None,
    attrs: Mapping[str, bytes] | None = None,
    arg_attrs: Mapping[int, Mapping[str, bytes]] | None = None,
) -> bytes:
    out = bytes_field(1, signature) + b"".join(bytes_field(3, item) for item in nodes)
    out += b"".join(map_field(4, key, text(value)) for key, value in (ret or {}).items())
    out += b"".join(map_field(5, key, value) for key, value in (attrs or {}).items())
    out += b"".join(map_field(6, key, text(value)) for key, value in (control_ret or {}).items())
    for i, given in (arg_attrs or {}).items():
        value = b"".join(map_field(1, key, attr) for key, attr in given.items())
        out += bytes_field(7, varint_field(1, i) + bytes_field(2, value))
    return out


def graph_def(
    nodes: Iterable[bytes] = (), functions: Iterable[bytes] = (), *, producer: int = 2474
) -> bytes:
    out = b"".join(bytes_field(1, item) for item in nodes)
    library = b"".join(bytes_field(1, item) for item in functions)
    out += bytes_field(2, library) if library else b""
    return out + (bytes_field(4, varint_field(1, producer)) if producer else b"")


def meta_graph(
    graph: bytes,
    *,
    ops: Iterable[bytes] = (),
    tags: Iterable[str] = (),
    collections: Mapping[str, bytes] | None = None,
    stripped: bool = False,
) -> bytes:
    info = bytes_field(2, b"".join(bytes_field(1, op) for op in ops))
    info += b"".join(bytes_field(4, text(tag)) for tag in tags) + bytes_field(5, b"2.21.0")
    info += optional_field(7, int(stripped))
    out = bytes_field(1, info) + bytes_field(2, graph)
    return out + b"".join(map_field(4, key, value) for key, value in (collections or {}).items())


def saved_model(*metas: bytes) -> bytes:
    return varint_field(1, 1) + b"".join(bytes_field(2, meta) for meta in metas)


def node_list(*names: str | bytes) -> bytes:
    """A CollectionDef of names."""
    return bytes_field(1, b"".join(bytes_field(1, text(name)) for name in names))


def bytes_list(*values: bytes) -> bytes:
    return bytes_field(2, b"".join(bytes_field(1, value) for value in values))


def int64_list(*values: int) -> bytes:
    return bytes_field(3, bytes_field(1, b"".join(varint(value) for value in values)))


def float_list(*values: float) -> bytes:
    return bytes_field(4, bytes_field(1, struct.pack(f"<{len(values)}f", *values)))


def opened(*nodes: bytes, functions: Iterable[bytes] = (), **options: Any) -> tb.Graph:
    """The graph of these nodes, in a MetaGraphDef."""
    data = meta_graph(graph_def(nodes, functions), **options)
    return tb.load_meta_graph(data).graph
