"""Ray: the rows of the local run, whatever workers do; and nothing is walked by the driver."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import ray
from killing import explore_and_tell, kill_always, kill_once, no_space

from engine_here import TABLES, rows_of
from tensorbundle import catalog
from tensorbundle.cli import main
from tensorbundle.engines import _job
from tensorbundle.engines import ray as of_ray
from tensorbundle.engines.ray import CheckpointDatasource
from tensorbundle.errors import CheckpointError
from test_catalog import plain, store

__all__ = ["store"]  # a fixture
pytestmark = pytest.mark.usefixtures("cluster")
CORPUS = os.environ.get("TENSORBUNDLE_CORPUS")


def records(table: Any) -> list[str]:
    return sorted(map(repr, pa.table(table).to_pylist()))


def of_dataset(dataset: Any) -> list[str]:
    blocks = ray.get(dataset.to_arrow_refs())
    return sorted(repr(row) for block in blocks for row in block.to_pylist())


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_a_store(store: Path, table: str) -> None:
    dataset = ray.data.read_datasource(CheckpointDatasource(store, table=table, stats=True))
    paths = [place.path for place in catalog.discover(store)]
    want = catalog.rows(paths, table, stats=True)
    assert dataset.schema().names == want.column_names
    assert of_dataset(dataset) == records(want)


def test_columns_are_chosen_where_they_are_read(store: Path) -> None:
    source = CheckpointDatasource(store, table="checkpoints")
    names = ray.data.read_datasource(source).select_columns(["path", "status"])
    assert names.schema().names == ["path", "status"]
    want = catalog.rows([place.path for place in catalog.discover(store)], "checkpoints")
    pairs = zip(want.column("path"), want.column("status"), strict=True)
    assert sorted((row["path"], row["status"]) for row in names.take_all()) == sorted(pairs)
    (task, *_) = source.apply_projection({"name": "name"}).get_read_tasks(2)
    assert [block.column_names for block in task()] == [["name"]]


def test_tasks_are_split_by_bytes_as_asked(tmp_path: Path) -> None:
    first = plain(tmp_path / "s" / "m-0")
    for i in range(1, 2000):
        for suffix in (".index", ".data-00000-of-00001"):
            os.link(first + suffix, tmp_path / "s" / f"m-{i}{suffix}")
    source = CheckpointDatasource(tmp_path / "s", table="checkpoints")
    assert len(source.get_read_tasks(4)) == 5  # one is of the walk
    assert source.estimate_inmemory_data_size() > 2000 * Path(f"{first}.index").stat().st_size
    assert ray.data.read_datasource(source).count() == 2000


def test_a_table_that_there_is_not(store: Path) -> None:
    with pytest.raises(ValueError, match="no table 'tensor': there are checkpoints, tensors"):
        CheckpointDatasource(store, table="tensor")


def test_the_job_makes_the_rows_of_the_local_run(store: Path, tmp_path: Path) -> None:
    roots = [store] if CORPUS is None else [store, CORPUS]
    told: list[tuple[int, int]] = []
    report = of_ray.index(roots, tmp_path / "c", stats=True, progress=lambda *now: told.append(now))
    want = catalog.index(roots, tmp_path / "local.parquet", stats=True)
    assert rows_of(tmp_path / "c") == rows_of(tmp_path / "local.parquet")
    assert (report.found, report.changed, report.bad) == (want.found, want.changed, want.bad)
    assert told[-1] == (want.found, want.found)
    again = of_ray.index(roots, tmp_path / "c", stats=True)
    assert (again.changed, again.kept) == (0, want.found)


def test_workers_find_the_checkpoints(store: Path, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "walkers").mkdir()
    monkeypatch.setattr(
        _job, "explore_all", partial(explore_and_tell, folder=str(tmp_path / "walkers"))
    )
    of_ray.index(store, tmp_path / "c")
    CheckpointDatasource(store).get_read_tasks(2)
    walkers = {path.name for path in (tmp_path / "walkers").iterdir()}
    assert walkers
    assert str(os.getpid()) not in walkers


def test_a_worker_that_is_killed_loses_no_row(tmp_path: Path, monkeypatch: Any) -> None:
    first = plain(tmp_path / "s" / "m-0")
    for i in range(1, 3000):
        for suffix in (".index", ".data-00000-of-00001"):
            os.link(first + suffix, tmp_path / "s" / f"m-{i}{suffix}")
    monkeypatch.setattr(_job, "write_item", kill_once(str(tmp_path / "killed")))
    report = of_ray.index(tmp_path / "s", tmp_path / "c")
    assert (tmp_path / "killed").read_text().isdigit(), "a worker was killed"
    assert (report.found, report.changed) == (3000, 3000)
    catalog.index(tmp_path / "s", tmp_path / "local.parquet")
    assert rows_of(tmp_path / "c") == rows_of(tmp_path / "local.parquet")


def test_errors_of_workers_come_as_they_are(store: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(_job, "write_item", no_space)
    with pytest.raises(OSError, match="No space left") as caught:
        of_ray.index(store, tmp_path / "c")
    assert caught.value.errno == 28


def test_what_kills_every_worker_comes_to_an_end(
    store: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(_job, "write_item", kill_always)
    with pytest.raises(CheckpointError, match=r"c: Ray could not do it, the old data set is whole"):
        of_ray.index(store, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_the_command(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "c.parquet"
    words = ["index", str(store), "-o", str(output), "--engine", "ray", "--stats"]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("12 checkpoints, ")
    assert str(output / "tensors") in captured.out
    assert main(["query", str(output), "broken"]) == 0
    assert f"{store}/bad/half" in capsys.readouterr().out
    assert main(["query", str(output), "nans"]) == 0
