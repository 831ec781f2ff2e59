"""Spark: the rows of the local run, whatever workers do, in Spark's own types."""

from __future__ import annotations

import os
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from killing import explore_and_tell, kill_always, kill_once, no_space

from engine_here import TABLES, rows_of
from tensorbundle import catalog
from tensorbundle.cli import main
from tensorbundle.engines import _discovery, _job
from tensorbundle.engines import spark as of_spark
from tensorbundle.errors import CheckpointError
from test_catalog import plain, store

__all__ = ["store"]  # a fixture
CORPUS = os.environ.get("TENSORBUNDLE_CORPUS")


@pytest.fixture
def session(spark: Any) -> Any:
    of_spark.register(spark)
    return spark


def local(roots: Any, table: str, **look: bool) -> pa.Table:
    paths = [place.path for place in catalog.discover(roots)]
    return pa.table(catalog.rows(paths, table, **look))


def many(root: Path, count: int) -> Path:
    first = plain(root / "m-0")
    for i in range(1, count):
        for suffix in (".index", ".data-00000-of-00001"):
            os.link(first + suffix, root / f"m-{i}{suffix}")
    return root


def plain_number(value: Any) -> Any:
    return int(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_a_store(session: Any, store: Path, table: str) -> None:
    frame = session.read.format("tensorbundle").options(table=table, stats="true").load(str(store))
    want = local(store, table, stats=True)
    assert frame.columns == want.column_names
    rows = [tuple(map(plain_number, row)) for row in frame.collect()]
    expected = [tuple(row.values()) for row in want.to_pylist()]
    assert sorted(rows, key=repr) == sorted(expected, key=repr)


def test_types_without_a_sign(session: Any, store: Path) -> None:
    frame = session.read.format("tensorbundle").option("table", "findings").load(str(store))
    types = dict(frame.dtypes)
    assert (types["shard"], types["start"]) == ("bigint", "decimal(20,0)")
    assert dict(session.read.format("tensorbundle").load(str(store)).dtypes)["crc32c"] == "bigint"


def test_several_roots_in_one_another_and_far_down(
    session: Any, store: Path, tmp_path: Path
) -> None:
    """Directories that are not listed when the read is planned are walked by workers."""
    for i in range(_discovery.ENOUGH):
        plain(tmp_path / "wide" / f"run-{i}" / "deep" / "m")
    roots = [store, store / "run", tmp_path / "wide"]
    units = _discovery.units_of([str(root) for root in roots], False)
    assert sum(unit.deep for unit in units) >= _discovery.ENOUGH
    frame = session.read.format("tensorbundle").option("table", "checkpoints")
    got = [row.path for row in frame.load([str(root) for root in roots]).collect()]
    assert sorted(got) == sorted(place.path for place in catalog.discover(roots))


def test_columns_by_a_schema(session: Any, store: Path) -> None:
    frame = session.read.format("tensorbundle").schema("name string, bytes bigint")
    rows = frame.load(str(store)).collect()
    want = local(store, "tensors").select(["name", "bytes"]).to_pylist()
    assert sorted(map(tuple, rows)) == sorted(tuple(row.values()) for row in want)
    assert frame.load(str(store)).count() == len(want)


@pytest.mark.parametrize(
    ("options", "schema", "text"),
    [
        ({"table": "tensor"}, None, "no table 'tensor': there are checkpoints, tensors"),
        ({"tables": "tensors"}, None, "no option tables: there are table, verify"),
        ({"verify": "yes"}, None, "option verify: true or false, not yes"),
        ({}, "nom string", "no column nom of type string in table tensors: there are struct<path"),
        ({}, "name int", "no column name of type int in table tensors"),
    ],
)
def test_what_there_is_not(
    session: Any, store: Path, options: dict[str, str], schema: str | None, text: str
) -> None:
    reader = session.read.format("tensorbundle").options(**options)
    if schema is not None:
        reader = reader.schema(schema)
    with pytest.raises(Exception, match=text):
        reader.load(str(store)).collect()


def test_partitions_are_of_equal_bytes(session: Any, tmp_path: Path) -> None:
    root = many(tmp_path / "s", 2000)
    frame = session.read.format("tensorbundle").options(table="checkpoints", parts="4")
    loaded = frame.load(str(root))
    assert loaded.rdd.getNumPartitions() == 5  # one is of what was not to be walked
    assert loaded.count() == 2000


@pytest.mark.usefixtures("spark")
def test_the_job_makes_the_rows_of_the_local_run(store: Path, tmp_path: Path) -> None:
    roots = [store] if CORPUS is None else [store, CORPUS]
    told: list[tuple[int, int]] = []
    progress = lambda *now: told.append(now)  # noqa: E731
    report = of_spark.index(roots, tmp_path / "c", stats=True, progress=progress)
    want = catalog.index(roots, tmp_path / "local.parquet", stats=True)
    assert rows_of(tmp_path / "c") == rows_of(tmp_path / "local.parquet")
    assert (report.found, report.changed, report.bad) == (want.found, want.changed, want.bad)
    assert told[-1] == (want.found, want.found)
    again = of_spark.index(roots, tmp_path / "c", stats=True)
    assert (again.changed, again.kept) == (0, want.found)


@pytest.mark.usefixtures("spark")
def test_workers_find_the_checkpoints(store: Path, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "walkers").mkdir()
    monkeypatch.setattr(
        _job, "explore_all", partial(explore_and_tell, folder=str(tmp_path / "walkers"))
    )
    of_spark.index(store, tmp_path / "c")
    walkers = {path.name for path in (tmp_path / "walkers").iterdir()}
    assert walkers
    assert str(os.getpid()) not in walkers


@pytest.mark.usefixtures("spark")
def test_a_worker_that_is_killed_loses_no_row(tmp_path: Path, monkeypatch: Any) -> None:
    root = many(tmp_path / "s", 3000)
    monkeypatch.setattr(_job, "write_item", kill_once(str(tmp_path / "killed")))
    report = of_spark.index(root, tmp_path / "c")
    assert (tmp_path / "killed").read_text().isdigit(), "a worker was killed"
    assert (report.found, report.changed) == (3000, 3000)
    catalog.index(root, tmp_path / "local.parquet")
    assert rows_of(tmp_path / "c") == rows_of(tmp_path / "local.parquet")


@pytest.mark.usefixtures("spark")
def test_errors_of_workers_come_as_they_are(store: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(_job, "write_item", no_space)
    with pytest.raises(OSError, match="No space left") as caught:
        of_spark.index(store, tmp_path / "c")
    assert caught.value.errno == 28


@pytest.mark.usefixtures("spark")
def test_what_kills_every_worker_comes_to_an_end(
    store: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(_job, "write_item", kill_always)
    with pytest.raises(CheckpointError, match=r"c: Spark could not do it, the old data set is who"):
        of_spark.index(store, tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.usefixtures("spark")
def test_another_address(store: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"spark://x: a session of local\[2,4\] is active"):
        of_spark.index(store, tmp_path / "c", address="spark://x")


@pytest.mark.usefixtures("spark")
def test_the_command(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "c.parquet"
    words = ["index", str(store), "-o", str(output), "--engine", "spark", "--stats"]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("12 checkpoints, ")
    assert str(output / "tensors") in captured.out
    assert main(["query", str(output), "broken"]) == 0
    assert f"{store}/bad/half" in capsys.readouterr().out
    assert main(["query", str(output), "nans"]) == 0
