"""Graphs made to be costly: claims, long chains, deep names. Under a memory limit, to the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graph_touch
import tensorbundle as tb
from encoding import bytes_field
from graph_maker import (
    FLOAT,
    STRING,
    arg_def,
    attr_def,
    const,
    floats,
    func,
    function,
    graph_def,
    meta_graph,
    node,
    of_func,
    of_int,
    of_list,
    of_tensor,
    op_def,
    opened,
    tensor,
)

pytest.importorskip("resource", reason="RLIMIT_AS exists on POSIX only")

MOST = 1 << 20  # outputs that a number may claim


def one(
    *nodes: bytes, ops: tuple[bytes, ...] = (), functions: tuple[bytes, ...] = ()
) -> Callable[[], bytes]:
    return lambda: meta_graph(graph_def(nodes, functions), ops=ops)


def counted(count: int) -> bytes:
    return op_def("S", outputs=[arg_def(f"o{i}", dtype=1, number_attr="N") for i in range(count)])


def many_lists() -> bytes:
    """50,000 types, which each of 5,000 outputs of the op stands for."""
    types = of_list(bytes_field(6, b"\x01" * 50_000))
    op = op_def("S", outputs=[arg_def(f"o{i}", list_attr="L") for i in range(5000)])
    return meta_graph(graph_def([node("s", "S", L=types)]), ops=[op])


def whole_lists() -> bytes:
    """A node of a function that takes all of a million outputs, 2,000 times."""
    body = [node("s", "S", N=of_int(MOST)), node("t", "T", ["s:o0"] * 2000)]
    return meta_graph(
        graph_def([node("x")], [function(op_def("f"), body)]),
        ops=[counted(1)],
    )


def deep_twice(depth: int) -> bytes:
    """Each of the nested messages stands in two pieces."""
    value = b""
    for _ in range(depth):
        value = bytes_field(10, func("f", {"g": value})) + bytes_field(10, b"")
    return meta_graph(graph_def([node("c", "Own", f=value)], [function(op_def("f"))]))


def in_function(node_op: str, count: int, ops: tuple[bytes, ...] = ()) -> Callable[[], bytes]:
    names = [f"c:o{i}:0" for i in range(count)]
    body = function(op_def("f"), [node("c", node_op), node("t", "T", names)])
    return one(node("x"), functions=(body,), ops=ops)


def wide_op(count: int) -> bytes:
    return op_def("M", outputs=[arg_def(f"o{i}", dtype=1) for i in range(count)])


def splat(dtype: int, size: int, more: bytes) -> bytes:
    return tensor(dtype, [size], more=more)


WIDE = 30_000
TWO_TO_30 = bytes_field(8, splat(FLOAT, 2**28 - 1, floats(1, 2)))
ALL_DEFAULT = [attr_def(f"a{i}", "int", of_int(1)) for i in range(WIDE)]
FILES: dict[str, Callable[[], bytes]] = {
    "2^60 outputs": one(node("s", "S", N=of_int(2**60)), ops=(counted(1),)),
    "2^20 outputs": one(node("s", "S", N=of_int(MOST)), ops=(counted(1),)),
    "3000 times 2^20 outputs": one(node("s", "S", N=of_int(MOST)), ops=(counted(3000),)),
    "outputs times types": many_lists,
    "whole lists": whole_lists,
    "the largest number of an output": one(node("a", "Own"), node("b", "Own", ["a:4294967295"])),
    "the largest signed one": one(node("a", "Own"), node("b", "Own", ["a:2147483647"])),
    "one more than that": one(node("a", "Own"), node("b", "Own", ["a:2147483648"])),
    "output 2,000,000,000": one(node("a", "Own"), node("b", "Own", ["a:2000000000"])),
    "2^40 equal floats": one(const("c", splat(FLOAT, 2**40, floats(1.5)))),
    "2^40 equal strings": one(const("c", splat(STRING, 2**40, bytes_field(8, b"x")))),
    "2^40 zeros": one(const("c", splat(FLOAT, 2**40, b""))),
    "2^40 floats of two": one(const("c", splat(FLOAT, 2**40, floats(1, 2)))),
    "1000 tensors of 1 GiB": one(node("c", "Own", x=of_list(*[TWO_TO_30] * 1000))),
    "a default of 4 TiB": one(
        node("c", "Own"),
        ops=(
            op_def(
                "Own",
                attrs=[attr_def("v", "tensor", of_tensor(splat(FLOAT, 2**40, floats(1, 2))))],
            ),
        ),
    ),
    "a million shapes": one(node("c", "Own", x__output_shapes=of_list(bytes_field(7, b"") * MOST))),
    "nested in two pieces": lambda: deep_twice(10_000),
    "names of slashes": one(*[node("/" * 5000 + str(i)) for i in range(2000)]),
    "equal names": one(*[node("x")] * 100_000),
    "takers of equal names": one(
        *[node("x")] * 2, *[node(str(i), "X", ["x"]) for i in range(9999)]
    ),
    "outputs of a custom op by name": in_function("Own", WIDE),
    "outputs of an op by name": in_function("M", WIDE, (wide_op(WIDE),)),
    "outputs of an op": one(
        node("c", "M"), node("t", "T", [f"c:{i}" for i in range(WIDE)]), ops=(wide_op(WIDE),)
    ),
    "attributes": one(node("c", "Own", **{f"a{i}": of_int(i) for i in range(WIDE)})),
    "defaults": one(node("c", "Own"), ops=(op_def("Own", attrs=ALL_DEFAULT),)),
}


@pytest.mark.parametrize("name", FILES)
def test_touching_everything_ends(tmp_path: Path, name: str) -> None:
    """Neither crash nor endless loop: the time limit is that of a test that hangs."""
    path = tmp_path / "hostile.meta"
    path.write_bytes(FILES[name]())
    done = subprocess.run(
        [sys.executable, graph_touch.__file__, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr[-1000:]) == (0, "")
    assert {line.split()[0] for line in done.stdout.splitlines()} <= {
        "CorruptionError",
        "UnsupportedError",
    }


def test_equal_elements_are_a_view() -> None:
    huge = opened(
        const("f", splat(FLOAT, 2**40, floats(1.5))),
        const("s", splat(STRING, 2**40, bytes_field(8, b"x"))),
        const("z", splat(FLOAT, 2**40, b"")),
    )
    for name, value in (("f", 1.5), ("s", b"x"), ("z", 0)):
        array = huge.get_operation_by_name(name).get_attr("value")
        assert array.shape == (2**40,)
        assert array.strides == (0,)
        assert array[2**39] == value
        assert not array.flags.writeable
        assert huge.get_tensor_by_name(f"{name}:0").shape == (2**40,)


# Long and deep, but honest.

LONG = 200_000


@pytest.fixture(scope="module")
def chain() -> tb.Graph:
    nodes = [node("n0", "Own")]
    nodes += [node(f"n{i}", "Own", [f"n{i - 1}", f"^n{i - 1}"]) for i in range(1, LONG)]
    return tb.load_meta_graph(meta_graph(graph_def(nodes))).graph


def test_a_chain(chain: tb.Graph) -> None:
    last = f"n{LONG - 1}"
    assert len(chain) == LONG
    assert len(chain.ancestors(last)) == LONG
    assert len(chain.ancestors(last, control=False, stop="n7")) == LONG - 7
    assert len(chain.descendants("n0")) == LONG
    assert len(chain.between("n5", [last, "n9"])) == 5  # beyond a sink it does not go
    assert [tensor.name for tensor in chain.outputs] == [f"{last}:0"]
    assert (
        chain.to_graph_def_bytes(last)
        == chain.to_graph_def_bytes()[: -len(b"\x22\x03") - 3] + (chain.to_graph_def_bytes()[-5:])
    )
    assert chain.op_counts() == {"Own": LONG}
    columns = chain.columns()
    assert len(columns.edge_dst) == 2 * (LONG - 1)
    np.testing.assert_array_equal(columns.edge_src[::2], np.arange(LONG - 1))
    assert chain.to_dot().count("style=dashed") == LONG - 1
    assert chain.problems() == []


def test_a_deep_scope() -> None:
    deep = "/".join("s" for _ in range(10_000))
    graph = opened(node(f"{deep}/x"), node(f"{deep}/y"), node("s/z"))
    scope, levels = graph.scopes(), 0
    while scope.children:
        (scope,) = scope.children
        levels += 1
        assert scope.num_operations == (3 if levels == 1 else 2)
    assert 90 <= levels <= 100
    assert graph.get_operation_by_name(f"{deep}/x").name == f"{deep}/x"


def test_calls_nested_deeply() -> None:
    """Functions that call each other, 20,000 deep, and one that names as many."""
    count = 20_000
    bodies = [function(op_def(f"f{i}"), [node("c", f"f{i + 1}")]) for i in range(count)]
    graph = opened(
        node("x", "f0"),
        node("y", "X", f=of_list(*[bytes_field(9, func("f1"))] * count)),
        node("z", "X", f=of_func("f19990")),
        functions=bodies,
    )
    cut = tb.load_meta_graph(graph.to_graph_def_bytes("x"))
    assert len(cut.graph.functions) == count
    cut = tb.load_meta_graph(graph.to_graph_def_bytes("z"))
    assert len(cut.graph.functions) == 10
