"""The data set that the index job writes: the local run's rows, and whole whenever it is killed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine_here import TABLES, Here, index_here, rows_of
from tensorbundle import catalog
from tensorbundle.engines import _job
from tensorbundle.errors import CheckpointError
from test_catalog import as_nobody, plain, store

__all__ = ["store"]  # a fixture
W = np.arange(24, dtype="<f4").reshape(4, 6)


def test_rows_are_those_of_the_local_run(store: Path, tmp_path: Path) -> None:
    for look in ({}, {"verify": True}, {"stats": True}):
        local, mine = tmp_path / "local.parquet", tmp_path / "mine.parquet"
        want = catalog.index(store, local, **look).to_dict()
        got = index_here(store, mine, **look).to_dict()
        assert rows_of(mine) == rows_of(local)
        for name in ("outputs", "seconds"):
            del want[name], got[name]
        assert got == want


@pytest.mark.skipif("TENSORBUNDLE_CORPUS" not in os.environ, reason="TENSORBUNDLE_CORPUS is unset")
def test_rows_are_those_of_the_local_run_for_the_corpus(tmp_path: Path) -> None:
    corpus = os.environ["TENSORBUNDLE_CORPUS"]
    catalog.index(corpus, tmp_path / "local.parquet", stats=True)
    index_here(corpus, tmp_path / "mine", stats=True)
    assert rows_of(tmp_path / "mine") == rows_of(tmp_path / "local.parquet")


def test_a_second_run_reads_what_is_new_or_changed(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c"
    index_here(store, output)
    before = rows_of(output)
    again = index_here(store, output)
    assert (again.changed, again.kept, again.dropped) == (0, 12, 0)
    assert rows_of(output) == before
    plain(store / "run" / "model.ckpt-100", W * 2)
    plain(store / "new" / "m")
    shutil.rmtree(store / "copy")
    report = index_here(store, output)
    assert (report.found, report.changed, report.kept, report.dropped) == (12, 2, 10, 1)
    catalog.index(store, tmp_path / "fresh.parquet")
    assert rows_of(output) == rows_of(tmp_path / "fresh.parquet")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_more_is_asked_and_nothing_is_forgotten(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c"
    index_here(store, output)
    assert index_here(store, output, verify=True).changed == 12
    assert index_here(store, output, stats=True).changed == 12
    assert index_here(store, output).changed == 0


def test_other_roots_are_left_alone(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c"
    index_here([store / "run", store / "bad"], output)
    report = index_here(store / "bad", output)
    assert (report.found, report.kept, report.dropped, report.bad) == (4, 4, 0, 6)
    both = rows_of(output)
    index_here([store / "run", store / "bad"], tmp_path / "both")
    assert rows_of(tmp_path / "both") == both


def test_a_store_without_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    assert index_here(tmp_path / "store", tmp_path / "c").found == 0
    assert catalog.query(tmp_path / "c", "largest").rows == []


def test_a_directory_that_may_not_be_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("nobody")
    for parent in [folder, *folder.parents][:3]:
        parent.chmod(0o755)
    with as_nobody(str(folder)):
        root, output = folder / "store", folder / "c"
        plain(root / "run" / "m")
        plain(root / "m")
        index_here(root, output)
        (root / "run").chmod(0)
        for _ in range(2):
            report = index_here(root, output)
            assert (report.unreadable, report.dropped, report.kept) == (1, 0, 1)
            ((text,),) = catalog.query(output, "SELECT text FROM findings").rows
            assert "Permission denied" in text
            assert len(catalog.query(output, "SELECT path FROM checkpoints")) == 2
        (root / "run").chmod(0o755)
        assert index_here(root, output).kept == 2
        assert catalog.query(output, "SELECT text FROM findings").rows == []


def test_questions_are_answered_from_a_data_set(store: Path, tmp_path: Path) -> None:
    index_here(store, tmp_path / "c.parquet")
    catalog.index(store, tmp_path / "c.duckdb")
    for question in ("duplicates", "largest", "broken", "lineage"):
        answers = [catalog.query(tmp_path / f"c.{end}", question) for end in ("parquet", "duckdb")]
        assert answers[0].rows == answers[1].rows
    with pytest.raises(CheckpointError, match="--stats"):
        catalog.query(tmp_path / "c.parquet", "nans")


def test_progress_is_told(store: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    index_here(store, tmp_path / "c", progress=lambda *now: told.append(now))
    assert told[-1] == (12, 12)
    told.clear()
    index_here(store, tmp_path / "c", progress=lambda *now: told.append(now))
    assert told == []


# Killed, at any moment.


class Killer:
    """Ends a run at the nth thing that it does to a file below a directory."""

    EVENTS = ("open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir")

    def __init__(self) -> None:
        self.folder = ""
        self.left = 0
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.left and event in self.EVENTS and str(arguments[0]).startswith(self.folder):
            self.left -= 1
            if not self.left:
                raise SystemExit("killed")

    def run(self, folder: Path, call: int, work: Callable[[], object]) -> bool:
        """Was it killed?"""
        self.folder, self.left = str(folder), call
        try:
            work()
        except SystemExit:
            return True
        finally:
            self.left = 0
        return False


@pytest.fixture(scope="module")
def killer() -> Killer:
    return Killer()  # once: hooks stay


def changing(root: Path, output: Path) -> None:
    """A data set of two parts; of the first, one checkpoint is changed by now, and one is gone."""
    for name in ("kept", "changed", "gone"):
        plain(root / name / "m")
    index_here(root, output)
    plain(root / "whole" / "m")
    index_here(root, output)
    plain(root / "changed" / "m", W * 2)
    plain(root / "new" / "m")
    shutil.rmtree(root / "gone")


def test_a_run_killed_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killer: Killer
) -> None:
    """The old one is whole, or the new one is there; the next run goes on, and leaves nothing."""
    monkeypatch.setattr(_job, "split", lambda spots, _: [[spot] for spot in spots])
    monkeypatch.setattr(os, "fsync", lambda _: None)  # not for a machine that stops
    root, output = tmp_path / "store", tmp_path / "c"
    changing(root, output)
    old = rows_of(output)
    catalog.index(root, tmp_path / "fresh.parquet")
    fresh = rows_of(tmp_path / "fresh.parquet")
    seen: set[object] = set()
    for call in range(1, 1000):
        work = tmp_path / f"work-{call}"
        shutil.copytree(output, work / "c")
        killed = killer.run(work, call, lambda: index_here(root, work / "c"))  # noqa: B023
        if (work / "c").exists():
            rows = rows_of(work / "c")
            seen.add(rows == fresh)
            assert rows in ([old, fresh] if killed else [fresh])
        else:
            seen.add("between")
            assert catalog.query(work / "c", "SELECT path FROM checkpoints").rows
        index_here(root, work / "c")
        assert rows_of(work / "c") == fresh
        assert [path.name for path in work.iterdir()] == ["c"]
        shutil.rmtree(work)
        if not killed:
            break
    assert seen == {True, False, "between"}
    assert call > 50


def test_what_a_killed_run_has_read_is_not_read_again(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_job, "split", lambda spots, _: [[spot] for spot in spots])
    real, calls = _job.write, []

    def write(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 6:
            raise SystemExit("killed")
        real(*arguments)

    monkeypatch.setattr(_job, "write", write)
    with pytest.raises(SystemExit):
        index_here(store, tmp_path / "c")
    assert not (tmp_path / "c").exists()
    report = index_here(store, tmp_path / "c")
    assert (report.changed, report.kept) == (7, 5)
    catalog.index(store, tmp_path / "fresh.parquet")
    assert rows_of(tmp_path / "c") == rows_of(tmp_path / "fresh.parquet")


def test_two_runs_at_once(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is ready first takes the place; the other is told, and nothing is mixed."""
    output = tmp_path / "c"
    index_here(store, output)
    plain(store / "new" / "m")
    real = _job._carry_out

    def other_run_first(*arguments: Any) -> None:
        monkeypatch.setattr(_job, "_carry_out", real)
        index_here(store, output)
        real(*arguments)

    monkeypatch.setattr(_job, "_carry_out", other_run_first)
    with pytest.raises((CheckpointError, FileNotFoundError)):
        index_here(store, output)
    catalog.index(store, tmp_path / "fresh.parquet")
    assert rows_of(output) == rows_of(tmp_path / "fresh.parquet")


# Errors.


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda path: path.write_text("hello"), CheckpointError, "a file, and no directory"),
        (lambda path: plain(path / "m"), CheckpointError, r"other things \(m\.data.*, m\.index\)"),
        (
            lambda path: (
                [(path / name).mkdir(parents=True) for name in TABLES]
                and (path / "checkpoints" / "x.parquet").write_text("hello" * 99)
                and (path / "findings" / "x.parquet").write_text("hello" * 99)
            ),
            CheckpointError,
            r"x\.parquet: not a Parquet file of an earlier run",
        ),
    ],
    ids=["file", "directory", "no Parquet"],
)
def test_outputs_that_are_no_data_sets(
    store: Path, tmp_path: Path, make: Callable[[Path], object], error: type, text: str
) -> None:
    output = tmp_path / "c"
    make(output)
    before = sorted(output.rglob("*"))
    with pytest.raises(error, match=text):
        index_here(store, output)
    assert sorted(output.rglob("*")) == before


def test_an_output_that_cannot_be_written(store: Path, tmp_path: Path) -> None:
    class Full:
        """Workers whose disk is full."""

        slots = 2

        def map(self, function: Any, items: Any, told: Any) -> Any:
            found = Here().map(function, items, told)
            if isinstance(items[0], _job.Scan):
                return [([], OSError(28, "No space left on device", "part"))]
            return found

    index_here(store, tmp_path / "c")
    before = rows_of(tmp_path / "c")
    plain(store / "new" / "m")
    with pytest.raises(OSError, match="No space left"):
        _job.index(store, tmp_path / "c", Full(), _job.Look(), False, None)
    assert rows_of(tmp_path / "c") == before
