"""Arrow tables: what they say, and that DuckDB, Polars, pandas' readers and PyArrow take them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import tensorbundle as tb
from damage import flip
from objects_maker import checkpoint, child, graph, value
from tensorbundle.errors import CorruptionError
from writer import Bundle, shard_path
from writer_v1 import V1File

DATA = Path(__file__).parent / "data"
W = np.arange(24, dtype="<f4").reshape(4, 6)
COLUMNS = [
    "name",
    "dtype",
    "shape",
    "elements",
    "bytes",
    "shard",
    "offset",
    "crc32c",
    "aligned",
    "slices",
    "kind",
    "variable",
    "scope",
]


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    bundle = Bundle(shards=2)
    bundle.add("a/odd", np.zeros(3, np.uint8))
    bundle.add("a/w", W)
    bundle.add("a/w/Adam", W)
    bundle.add("global_step", np.array(7, "<i8"), shard=1)
    bundle.add_sliced("cut", W, [[(0, 2), None], [(2, 2), None]], shards=[0, 1])
    bundle.add("words", [b"one", b"two"])
    return bundle.write(tmp_path / "ckpt")


def rows(table: tb.ArrowTable) -> list[dict[str, Any]]:
    columns = table.to_pydict()
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def test_it_says_what_the_infos_say(prefix: str) -> None:
    with tb.open(prefix) as ckpt:
        table = ckpt.to_arrow()
        infos = ckpt.infos()
    assert table.column_names == COLUMNS
    assert len(table) == table.num_rows == len(infos)
    for row, info in zip(rows(table), infos, strict=True):
        partitioned = bool(info.slices)
        fixed = info.type_name != "string"
        assert row["name"] == info.name
        assert row["dtype"] == info.type_name
        assert row["shape"] == list(info.shape)
        assert (row["elements"], row["bytes"]) == (info.size, info.nbytes)
        assert (row["shard"], row["offset"], row["crc32c"]) == (
            info.shard,
            info.offset,
            info.crc32c,
        )
        lies = info.aligned if fixed and not partitioned else None
        assert row["aligned"] == lies
        assert row["slices"] == len(info.slices)
    by_name = {row["name"]: row for row in rows(table)}
    assert not by_name["a/w"]["aligned"]
    assert by_name["cut"]["slices"] == 2
    assert by_name["cut"]["shard"] is None


def test_kinds_and_scopes_by_name(prefix: str) -> None:
    table = tb.open(prefix).to_arrow()
    kinds = dict(zip(table.column("name"), table.column("kind"), strict=True))
    assert kinds == {
        "a/odd": "weight",
        "a/w": "weight",
        "a/w/Adam": "slot",
        "cut": "weight",
        "global_step": "step",
        "words": "weight",
    }
    assert table.column("scope") == ["a", "a", "a/w", "", "", ""]
    assert table.column("variable") == table.column("name")


def test_the_graph_says_what_tensors_are_for() -> None:
    prefix = DATA / "mnist_mlp"
    with tb.open(prefix) as ckpt:
        table = ckpt.to_arrow()
        want = {variable.key: (variable.kind, variable.name) for variable in ckpt.variables}
        by_name_alone = ckpt.to_arrow(graph=False)
    for name, kind, variable in zip(
        table.column("name"), table.column("kind"), table.column("variable"), strict=True
    ):
        assert want[name] == (kind, variable)
    assert by_name_alone.column("name") == table.column("name")


def test_objects_say_what_tensors_are_for(tmp_path: Path) -> None:
    key = "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    nodes = [child("layer", 1), child("kernel", 2), value(key, "model/kernel")]
    prefix = checkpoint(tmp_path, graph(*nodes), [key]).prefix
    with tb.open(prefix) as ckpt:
        table = ckpt.to_arrow()
        found = {variable.key: variable for variable in ckpt.variables}
    at = {row["name"]: row for row in rows(table)}
    assert at["_CHECKPOINTABLE_OBJECT_GRAPH"]["variable"] is None
    for key, variable in found.items():
        assert key is not None
        assert at[key]["kind"] == variable.kind
        assert at[key]["variable"] in (variable.name, variable.full_name)


def test_v1_has_neither_offsets_nor_checksums(tmp_path: Path) -> None:
    file = V1File()
    file.add("w", W)
    prefix = file.write(tmp_path / "v1")
    (row,) = rows(tb.open(prefix).to_arrow())
    assert (row["name"], row["shape"], row["bytes"], row["shard"]) == ("w", [4, 6], 96, 0)
    assert (row["offset"], row["crc32c"], row["aligned"]) == (None, None, None)


def test_duckdb_reads_it_as_it_is(prefix: str) -> None:
    ckpt = tb.open(prefix)
    weights = duckdb.sql("select sum(bytes)::bigint, count(*) from ckpt where kind = 'weight'")
    named = [ckpt.info(name).nbytes for name in ("a/odd", "a/w", "cut", "words")]
    assert weights.fetchall() == [(sum(named), 4)]
    wide = duckdb.sql("select name, shape from ckpt where len(shape) = 2 order by name")
    assert wide.fetchall() == [("a/w", [4, 6]), ("a/w/Adam", [4, 6]), ("cut", [4, 6])]


def test_polars_and_pyarrow_read_it_as_it_is(prefix: str) -> None:
    ckpt = tb.open(prefix)
    frame = pl.DataFrame(ckpt.to_arrow())  # of a Mapping it would make columns
    assert frame.columns == COLUMNS
    assert frame["name"].to_list() == list(ckpt)
    table = pa.table(ckpt)
    assert table.to_pydict() == ckpt.to_arrow().to_pydict()
    assert pa.schema(ckpt.to_arrow()) == table.schema
    # It can be taken as often as one likes.
    kept = ckpt.to_arrow()
    assert pa.table(kept) == pa.table(kept)


def test_pandas_reads_it_as_it_is(prefix: str) -> None:
    ckpt = tb.open(prefix)
    frame = pd.DataFrame.from_arrow(ckpt)
    assert list(frame.columns) == COLUMNS
    assert frame["name"].tolist() == list(ckpt)
    assert frame.groupby("kind")["bytes"].sum()["weight"] == sum(
        ckpt.info(name).nbytes for name in ("a/odd", "a/w", "cut", "words")
    )


def test_what_is_taken_outlives_it(prefix: str) -> None:
    taken = pa.table(tb.open(prefix).to_arrow())
    assert taken["name"].to_pylist()[0] == "a/odd"
    stream = tb.open(prefix).__arrow_c_stream__()
    del stream  # never read: given back all the same


def test_many_tensors_come_in_several_batches(tmp_path: Path) -> None:
    bundle = Bundle()
    for i in range(70_000):
        bundle.add(f"t{i:06}", np.zeros(0, np.uint8))
    ckpt = tb.open(bundle.write(tmp_path / "many"))
    table = pa.table(ckpt)
    assert table.num_rows == 70_000
    assert table["name"].num_chunks == 5  # of 16,384 rows each
    assert table["name"].to_pylist() == list(ckpt)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add(b"bad\xff/n\xc3", np.zeros(1, np.uint8))
    table = tb.open(bundle.write(tmp_path / "b")).to_arrow()
    assert table.column("name") == ["bad\\xff/n\\xc3"]
    assert table.column("scope") == ["bad\\xff"]


def test_nodes_of_a_graph() -> None:
    graph_ = tb.load_meta_graph(next((DATA / "mnist_mlp").glob("*.meta"))).graph
    table = graph_.to_arrow()
    ops = graph_.get_operations()
    assert table.column("name") == [op.name for op in ops]
    assert table.column("op") == [op.type for op in ops]
    assert table.column("device") == [op.device for op in ops]
    assert table.column("controls") == [[c.name for c in op.control_inputs] for op in ops]
    assert set(table.column("function")) == {None}
    assert pa.table(graph_).num_rows == len(ops)
    inputs = [len(op.inputs) for op in ops]
    assert [len(each) for each in table.column("inputs")] == inputs


def test_findings_of_a_report(prefix: str) -> None:
    flip(Path(shard_path(prefix, 0, 2)), 5)
    report = tb.verify(prefix)
    table = report.to_arrow()
    assert table.column("tensor") == ["a/w"]
    assert table.column("kind") == ["checksum mismatch"]
    assert table.column("text") == [report.findings[0].text]
    assert table.column("severity") == ["finding"]
    assert pa.table(report).num_rows == 1


def test_rows_of_a_comparison(prefix: str, tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("a/w", W + 1)
    other = bundle.write(tmp_path / "other")
    report = tb.diff(prefix, other)
    table = pa.table(report)
    at = {row["name"]: row for row in table.to_pylist()}
    assert at["a/w"]["kind"] == "changed"
    assert at["a/w"]["max_abs"] == 1.0
    assert at["cut"]["kind"] == "removed"
    assert table.num_rows == len(report)


def test_a_damaged_index_is_an_error(prefix: str) -> None:
    flip(Path(prefix + ".index"), 3)
    with pytest.raises(CorruptionError):
        tb.open(prefix).to_arrow()


def test_files_in_arrows_own_format(prefix: str, tmp_path: Path) -> None:
    table = tb.open(prefix).to_arrow()
    table.write(tmp_path / "t.arrow")
    with pa.OSFile(str(tmp_path / "t.arrow")) as file:
        read = pa.ipc.open_file(file).read_all()
    assert read == pa.table(table)
    with pytest.raises(OSError, match=r"nowhere|No such file"):
        table.write(tmp_path / "nowhere" / "t.arrow")


def test_columns_of_ones_own() -> None:
    columns: list[tuple[str, str, list[Any]]] = [
        ("text", "str", ["a", None]),
        ("n", "int", [-1, None]),
        ("u", "uint", [2**64 - 1, None]),
        ("x", "float", [0.5, None]),
        ("b", "bool", [True, None]),
        ("l", "list[int]", [[1, 2], None]),
        ("s", "list[str]", [["x"], []]),
    ]
    table = tb.ArrowTable.from_columns(list(columns))
    assert table.to_pydict() == {name: values for name, _, values in columns}
    assert pa.table(table).to_pydict() == table.to_pydict()
    with pytest.raises(TypeError, match='no kind of column is called "date"'):
        tb.ArrowTable.from_columns([("d", "date", [])])
    with pytest.raises(ValueError, match="length"):
        tb.ArrowTable.from_columns([("a", "int", [1]), ("b", "int", [])])
    with pytest.raises(ValueError, match="nowhere"):
        table.column("nowhere")


def test_neither_pyarrow_nor_numpy_is_needed(prefix: str) -> None:
    code = (
        "import sys, tensorbundle as tb\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('pyarrow', 'numpy', 'polars'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        f"print(tb.open({prefix!r}).to_arrow().column('name')[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a/odd\n"
