"""How a graph file is held: views of the map, lifetimes, pickles, fork, threads."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from graph_maker import (
    FLOAT,
    STRING,
    bytes_field,
    const,
    graph_def,
    meta_graph,
    node,
    saved_model,
    tensor,
)
from test_views import anonymous, inside, linux, maps_of

MB = 1 << 20
WEIGHTS = np.arange(MB, dtype="<f4")


def large(path: Path) -> Path:
    """A constant of 4 MiB, one of strings, and a small one."""
    nodes = [
        const("w", tensor(FLOAT, WEIGHTS.shape, WEIGHTS.tobytes())),
        const("s", tensor(STRING, [2], more=bytes_field(8, b"a") + bytes_field(8, b"b")), STRING),
        const("v", tensor(FLOAT, [2, 2], WEIGHTS[:4].tobytes())),
    ]
    path.write_bytes(meta_graph(graph_def(nodes)))
    return path


def value(source: Any, name: str = "w", **options: Any) -> np.ndarray[Any, Any]:
    graph = tb.load_meta_graph(source, **options).graph
    array: np.ndarray[Any, Any] = graph.get_operation_by_name(name).get_attr("value")
    return array


@linux
def test_constants_are_views_of_the_map(tmp_path: Path) -> None:
    path = large(tmp_path / "large.meta")
    array = value(path)
    assert inside(array, path)
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, WEIGHTS)
    read = value(path, mmap=False)
    assert not inside(read, path)
    np.testing.assert_array_equal(read, WEIGHTS)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    meta = tb.load_meta_graph(path)
    one, other = (meta.graph.get_operation_by_name("w").get_attr("value") for _ in range(2))
    assert np.shares_memory(one, other)


@linux
def test_opening_and_walking_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.meta"
    piece = const("w", tensor(FLOAT, [8 * MB], bytes(32 * MB)))
    path.write_bytes(meta_graph(graph_def([piece.replace(b"w", b"%d" % i, 1) for i in range(3)])))
    del piece
    value(large(tmp_path / "large.meta"))
    before = anonymous()
    graph = tb.load_meta_graph(path).graph
    arrays = [op.get_attr("value") for op in graph.get_operations()]
    total = sum(float(array.sum()) for array in arrays)
    shapes = [op.outputs[0].shape for op in graph.constants()]
    assert anonymous() - before < 4 * MB
    assert (total, shapes) == (0, [(8 * MB,)] * 3)


@linux
def test_an_array_outlives_all_else(tmp_path: Path) -> None:
    path = large(tmp_path / "large.meta")
    meta = tb.load_meta_graph(path)
    array = meta.graph.get_operation_by_name("w").get_attr("value")[5:]
    del meta
    gc.collect()
    assert len(maps_of(path)) == 1
    path.unlink()
    np.testing.assert_array_equal(array, WEIGHTS[5:])
    del array
    gc.collect()
    assert not [
        line for line in Path("/proc/self/maps").read_text().splitlines() if "large.meta" in line
    ]


def test_an_element_keeps_its_graph(tmp_path: Path) -> None:
    path = large(tmp_path / "large.meta")
    kept = tb.load_meta_graph(path).graph.get_operation_by_name("v").outputs[0].op.node_def.attr
    gc.collect()
    assert kept["value"].tensor.dtype == FLOAT
    data = memoryview(bytearray(path.read_bytes()))
    array = value(data)
    del data
    gc.collect()
    assert array[-1] == MB - 1


@pytest.mark.parametrize("mmap", [True, False])
def test_pickles(tmp_path: Path, mmap: bool) -> None:
    path = large(tmp_path / "large.meta")
    pair = saved_model(*(meta_graph(graph_def([node(tag)]), tags=[tag]) for tag in "ab"))
    for source, options in (
        (path, {}),
        (path.read_bytes(), {}),
        (pair, {"tags": ["b"]}),
    ):
        meta = tb.load_meta_graph(source, mmap=mmap, **options)
        data = pickle.dumps(meta)
        again = pickle.loads(data)
        assert type(again) is tb.MetaGraph
        assert (again.path, again.kind, again.message) == (meta.path, meta.kind, meta.message)
        assert (len(data) < 1000) == (meta.path is not None or bool(options))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_across_fork(tmp_path: Path) -> None:
    meta = tb.load_meta_graph(large(tmp_path / "large.meta"))
    array = meta.graph.get_operation_by_name("w").get_attr("value")
    child = os.fork()
    if child == 0:
        same = meta.graph.get_operation_by_name("w").get_attr("value")
        right = bool((same == array).all()) and len(meta.graph.columns()) == 3
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_threads(data_dir: Path) -> None:
    """One graph, many threads at once, each the first to ask for something."""

    def ask(graph: tb.Graph) -> list[Any]:
        ops = graph.get_operations()
        return [
            [names_of(op.inputs) + names_of(op.control_outputs) for op in ops],
            graph.get_operation_by_name(ops[-1].name).index,
            names_of(graph.ancestors(ops[-1])),
            graph.op_counts(),
            len(graph.to_dot()),
        ]

    file = data_dir / "mnist_mlp" / "model.ckpt-1000.meta"
    want = ask(tb.load_meta_graph(file).graph)
    for _ in range(5):
        graph = tb.load_meta_graph(file).graph
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, [graph] * 16)) == [want] * 16


def names_of(elements: Any) -> list[str]:
    return [element.name for element in elements]


def test_tensorflow_is_not_needed(data_dir: Path) -> None:
    code = """
import sys
sys.modules["tensorflow"] = None
import tensorbundle as tb
meta = tb.load_meta_graph(sys.argv[1])
assert "numpy" not in sys.modules
ops = meta.graph.get_operations()
print(len(ops), len([op.attrs for op in ops]), len(meta.graph.columns()), meta.saver_def.version)
assert not [name for name in sys.modules if name.startswith(("tensorflow.", "google."))]
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(data_dir / "mnist_mlp" / "model.ckpt-1000.meta")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    count, *rest = done.stdout.split()
    assert rest == [count, count, "2"]
