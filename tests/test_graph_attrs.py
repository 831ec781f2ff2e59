"""Attributes of every kind, defaults that were stripped, versions old and new."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from graph_builders import BUILDERS
from graph_maker import (
    FLOAT,
    bytes_field,
    func,
    graph_def,
    map_field,
    meta_graph,
    node,
    of_bool,
    of_bytes,
    of_float,
    of_func,
    of_int,
    of_list,
    of_placeholder,
    of_shape,
    of_tensor,
    of_type,
    opened,
    tensor,
    varint_field,
)
from graph_oracle import same_attr

WEIGHTS = np.arange(3, dtype="<f4")


@pytest.mark.parametrize("name", ["training", "queues", "tables", "conditions", "partitions"])
def test_stripped_defaults(tf: Any, name: str) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        BUILDERS[name](tf, v1)
        full = v1.train.export_meta_graph()
        stripped = v1.train.export_meta_graph(strip_default_attrs=True)
    meta = tb.load_meta_graph(stripped.SerializeToString())
    assert meta.stripped_default_attrs
    gone = 0
    for node_def, short in zip(full.graph_def.node, stripped.graph_def.node, strict=True):
        op = meta.graph.get_operation_by_name(node_def.name)
        assert op.attrs.keys() == node_def.attr.keys()
        for key in node_def.attr:
            gone += key not in short.attr
            same_attr(tf, op.get_attr(key), node_def.attr[key])
    assert gone > 0


@pytest.mark.parametrize(
    ("fields", "producer"),
    [
        (b"", 0),
        (varint_field(3, 21), 21),
        (bytes_field(4, varint_field(1, 2474)), 2474),
        (varint_field(3, 21) + bytes_field(4, varint_field(1, 30)), 30),
        (bytes_field(4, varint_field(1, 2**31 - 1)), 2**31 - 1),
    ],
)
def test_versions_new_and_old(fields: bytes, producer: int) -> None:
    meta = tb.load_meta_graph(meta_graph(graph_def([node("a")], producer=0) + fields))
    assert meta.producer == meta.graph.producer == producer
    assert (meta.versions is not None) == (b"\x22" in fields)


def test_every_kind_of_attribute() -> None:
    pair = func("g", {"k": of_int(1)})
    given = {
        "s": (of_bytes(b"\xff\0"), b"\xff\0"),
        "i": (of_int(-1), -1),
        "big": (of_int(2**63 - 1), 2**63 - 1),
        "f": (of_float(0.5), 0.5),
        "inf": (of_float(-math.inf), -math.inf),
        "b": (of_bool(False), False),
        "t": (of_type(1), "float32"),
        "ref": (of_type(101), "float32_ref"),
        "odd": (of_type(99), "unknown(99)"),
        "shape": (of_shape([2, -1, 0]), (2, None, 0)),
        "scalar": (of_shape([]), ()),
        "unknown": (of_shape(None), None),
        "none": (b"", []),
        "empty": (of_list(), []),
        "ls": (of_list(bytes_field(2, b""), bytes_field(2, b"b")), [b"", b"b"]),
        "li": (of_list(bytes_field(3, b"\1\2"), varint_field(3, 3)), [1, 2, 3]),
        "lb": (of_list(bytes_field(5, b"\1\0")), [True, False]),
        "lt": (of_list(bytes_field(6, b"\1\7")), ["float32", "string"]),
        "lshape": (of_list(bytes_field(7, b""), bytes_field(7, b"\x18\x01")), [(), None]),
    }
    attrs = {key: data for key, (data, _) in given.items()}
    op = opened(
        node(
            "a",
            "X",
            func=of_func("f", {"p": of_placeholder("T")}),
            lf=of_list(bytes_field(9, pair)),
            **attrs,
        )
    ).get_operations()[0]
    for key, (_, want) in given.items():
        assert op.get_attr(key) == want, key
    f, (g,) = op.get_attr("func"), op.get_attr("lf")
    assert (f.name, f.attrs["p"].name, g.name, g.attrs) == ("f", "T", "g", {"k": 1})
    assert (f == op.get_attr("func"), f == g, hash(f) == hash(op.get_attr("func"))) == (
        True,
        False,
        True,
    )
    array = of_tensor(tensor(FLOAT, [3], WEIGHTS[:3].tobytes()))
    op = opened(node("a", "X", f=of_func("f", {"t": array}))).get_operations()[0]
    assert op.get_attr("f") == op.get_attr("f")
    assert op.get_attr("f").attrs["t"].tolist() == [0, 1, 2]


def test_maps_of_attributes_may_come_in_pieces() -> None:
    """The last of equal keys counts, and a value in two pieces is merged."""
    twice = node("a", "X") + map_field(5, "k", of_int(1)) + map_field(5, "k", of_int(2))
    pieces = bytes_field(
        5,
        bytes_field(2, of_list(varint_field(3, 1)))
        + bytes_field(1, b"l")
        + bytes_field(2, of_list(varint_field(3, 2))),
    )
    op = opened(twice + pieces).get_operations()[0]
    assert op.attrs == {"k": 2, "l": [1, 2]}
