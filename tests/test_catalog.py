"""Catalogs: every kind of checkpoint is a row, what is wrong is a finding, and nothing stops."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import damage
import tensorbundle as tb
from objects_maker import checkpoint, child, graph, value
from tensorbundle import catalog
from tensorbundle.cli import main
from tensorbundle.errors import CheckpointError, UnsupportedError
from writer import Bundle, shard_path
from writer_v1 import V1File

W = np.arange(24, dtype="<f4").reshape(4, 6)
DATA = Path(__file__).parent / "data"
TABLES = ("checkpoints", "tensors", "findings", "stats")


def plain(path: Path, value: Any = W, names: tuple[str, ...] = ("w", "w/Adam")) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    bundle = Bundle()
    for name in names:
        bundle.add(name, value)
    return bundle.write(path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """One of each kind, in one tree."""
    root = tmp_path / "store"
    plain(root / "run" / "model.ckpt-100")
    plain(root / "run" / "model.ckpt-200", W + 1)
    plain(root / "copy" / "model.ckpt-100")
    file = V1File()
    file.add("old", W)
    (root / "v1").mkdir()
    file.write(root / "v1" / "model.ckpt-7")
    (root / "objects").mkdir()
    key = "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    checkpoint(root / "objects", graph(child("layer", 1), child("kernel", 2), value(key)), [key])
    shutil.copytree(DATA / "saved_model", root / "saved")
    damaged = plain(root / "bad" / "short")
    os.truncate(shard_path(damaged, 0, 1), 100)
    broken = plain(root / "bad" / "broken")
    os.truncate(f"{broken}.index", 60)
    half = plain(root / "bad" / "half")
    Path(f"{half}.index").unlink()
    missing = plain(root / "bad" / "missing")
    Path(shard_path(missing, 0, 1)).unlink()
    (root / "run" / "model.ckpt-300.index.tempstate123").write_bytes(b"x")
    (root / "run" / f"model.ckpt-300_temp_{'0' * 32}").mkdir()
    (root / "run" / "notes.txt").write_text("not a checkpoint, whatever its size may be" * 10)
    return root


def records(table: tb.ArrowTable | pa.Table) -> list[dict[str, Any]]:
    return pa.table(table).to_pylist()


def everything(output: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(str(output), read_only=True) as db:
        return {
            name: sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in TABLES
        }


def statuses(output: Path) -> dict[str, str]:
    answer = catalog.query(output, "SELECT path, status FROM checkpoints ORDER BY path")
    return dict(answer.rows)


def test_every_kind_is_a_row(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.duckdb"
    report = catalog.index(store, output)
    found = statuses(output)
    saved = store / "saved" / "variables" / "variables"
    assert found == {
        f"{store}/bad/broken": "broken",
        f"{store}/bad/half": "broken",
        f"{store}/bad/missing": "damaged",
        f"{store}/bad/short": "damaged",
        f"{store}/copy/model.ckpt-100": "ok",
        f"{store}/objects/made": "ok",
        f"{store}/run/model.ckpt-100": "ok",
        f"{store}/run/model.ckpt-200": "ok",
        f"{store}/run/model.ckpt-300.index.tempstate123": "temporary",
        f"{store}/run/model.ckpt-300_temp_{'0' * 32}": "temporary",
        str(saved): "ok",
        f"{store}/v1/model.ckpt-7": "ok",
    }
    assert (report.found, report.changed, report.kept, report.dropped) == (12, 12, 0, 0)
    assert (report.bad, report.unreadable) == (6, 0)
    facts = {
        row["path"]: row for row in catalog.query(output, "SELECT * FROM checkpoints").to_dicts()
    }
    first = facts[f"{store}/run/model.ckpt-100"]
    assert (first["step"], first["format"], first["style"]) == (100, "V2", "names")
    assert (first["tensors"], first["elements"], first["bytes"]) == (2, 48, 192)
    assert (first["files"], first["shards"], first["checked"]) == (2, 1, "index")
    assert first["file_bytes"] == sum(
        file.stat().st_size for file in (store / "run").glob("model.ckpt-100.*")
    )
    assert facts[f"{store}/v1/model.ckpt-7"]["format"] == "V1"
    assert facts[f"{store}/objects/made"]["style"] == "objects"
    model = facts[str(saved)]
    assert model["style"] == "saved_model"
    assert model["graph"].startswith(f"{store}/saved/saved_model.")
    assert model["nodes"] == len(tb.load_meta_graph(store / "saved").graph)
    assert all(row["reason"] for row in facts.values() if row["status"] != "ok")


def test_tensors_are_those_of_the_checkpoints(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.duckdb"
    catalog.index(store, output)
    for path, status in statuses(output).items():
        if status != "ok":
            continue
        sql = f"SELECT * EXCLUDE path FROM tensors WHERE path = '{path}'"
        got = catalog.query(output, sql).to_dicts()
        with tb.open(path) as ckpt:
            want = records(ckpt.to_arrow(graph=False))
            assert [row["name"] for row in got] == list(ckpt)
        columns = [key for key in want[0] if key not in ("kind", "variable", "scope")]
        assert [[row[key] for key in columns] for row in got] == [
            [row[key] for key in columns] for row in want
        ]


def test_findings_are_the_sentences_of_verify(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.duckdb"
    catalog.index(store, output)
    for name in ("short", "missing"):
        path = f"{store}/bad/{name}"
        sql = f"SELECT text, kind, tensor, shard FROM findings WHERE path = '{path}'"
        got = catalog.query(output, sql).rows
        want = [
            (each.text, each.kind, each.tensor, each.shard) for each in tb.verify(path).findings
        ]
        assert [each for each in want if each[1] != "checksum mismatch"] == got
    ((text,),) = catalog.query(
        output, f"SELECT text FROM findings WHERE path = '{store}/bad/half'"
    ).rows
    assert "without an index" in text


def test_data_is_checked_only_if_asked(tmp_path: Path) -> None:
    prefix = plain(tmp_path / "store" / "m")
    damage.flip(Path(shard_path(prefix, 0, 1)), 5)
    output = tmp_path / "c.duckdb"
    assert catalog.index(tmp_path / "store", output).bad == 0
    report = catalog.index(tmp_path / "store", output, verify=True)
    assert (report.changed, report.bad) == (1, 1)
    ((kind, tensor),) = catalog.query(output, "SELECT kind, tensor FROM findings").rows
    assert (kind, tensor) == ("checksum mismatch", "w")
    # What was checked is not forgotten by a run that does not.
    assert catalog.index(tmp_path / "store", output).changed == 0
    assert catalog.index(tmp_path / "store", output, verify=True).changed == 0


def test_statistics_are_there_only_if_asked(tmp_path: Path) -> None:
    root = tmp_path / "store"
    fine = plain(root / "fine")
    bad = plain(root / "bad", np.array([1, np.nan, -np.inf, 0, 1e-40], "<f4"), ("w",))
    words = Bundle()
    words.add("words", [b"a", b"b"])
    words.write(root / "words")
    output = tmp_path / "c.duckdb"
    catalog.index(root, output)
    assert catalog.query(output, "SELECT * FROM stats").rows == []
    with pytest.raises(CheckpointError, match=r"c\.duckdb: nothing is known .* in 3 .*--stats"):
        catalog.query(output, "nans")
    assert catalog.index(root, output, stats=True).changed == 3
    ((*counts, name, path),) = catalog.query(output, "nans").rows
    assert (counts, name, path) == ([1, 1, 5], "w", bad)
    columns = "elements, nan, pos_inf, neg_inf, zeros, subnormals, min, max, mean, std, norm"
    for prefix in (fine, bad, str(root / "words")):
        rows = catalog.query(
            output, f"SELECT name, {columns} FROM stats WHERE path = '{prefix}' ORDER BY name"
        ).rows
        report = tb.open(prefix).stats()
        assert [name for name, *_ in rows] == sorted(report)
        for tensor, *figures in rows:
            assert figures == [getattr(report[tensor], each) for each in columns.split(", ")]
    totals = catalog.query(output, "SELECT stats, nan, inf FROM checkpoints ORDER BY path").rows
    assert totals == [(True, 1, 1), (True, 0, 0), (True, 0, 0)]
    # What is known is not forgotten by a run that does not ask; what is checked anew is.
    assert catalog.index(root, output).changed == 0
    assert catalog.index(root, output, stats=True).changed == 0
    table = pa.table(catalog.rows(bad, "stats", stats=True))
    assert table["nan"].to_pylist() == [1]


def test_statistics_of_what_cannot_be_read(tmp_path: Path) -> None:
    root = tmp_path / "store"
    short = plain(root / "short", W, ("a", "b"))
    os.truncate(shard_path(short, 0, 1), 100)  # the second tensor
    (root / "gone").mkdir()
    gone = plain(root / "gone" / "m")
    Path(shard_path(gone, 0, 1)).unlink()
    output = tmp_path / "c.duckdb"
    report = catalog.index(root, output, stats=True)
    assert (report.changed, report.bad) == (2, 2)
    rows = catalog.query(output, "SELECT name, norm FROM stats ORDER BY path, name").rows
    norm = tb.open(short).stats("a")["a"].norm
    assert rows == [("a", norm)]
    kinds = catalog.query(output, "SELECT path, count(*) FROM findings GROUP BY 1 ORDER BY 1").rows
    assert dict(kinds) == {gone: 1, short: 1}
    assert catalog.index(root, output, stats=True).changed == 0


def test_tensors_without_end_in_the_same_bytes(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("w000", np.zeros(1 << 14, "<f4"))
    for i in range(1, 600):
        bundle.items[f"w{i:03}".encode()] = bundle.items[b"w000"]
    prefix = bundle.write(tmp_path / "m")
    checkpoints, tensors, findings, stats = (
        pa.table(catalog.rows(prefix, name, stats=True)) for name in TABLES
    )
    assert checkpoints["status"].to_pylist() == ["damaged"]
    assert (len(tensors), len(stats)) == (600, 0)
    (text,) = findings["text"].to_pylist()
    assert "too many to be read" in text


def test_a_second_run_reads_what_is_new_or_changed(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.duckdb"
    catalog.index(store, output)
    before = everything(output)
    again = catalog.index(store, output)
    assert (again.changed, again.kept, again.dropped) == (0, 12, 0)
    assert everything(output) == before
    plain(store / "run" / "model.ckpt-100", W * 2, ("w", "v"))
    plain(store / "run" / "model.ckpt-400")
    for file in (store / "copy").iterdir():
        file.unlink()
    third = catalog.index(store, output)
    assert (third.changed, third.kept, third.dropped) == (2, 10, 1)
    fresh = tmp_path / "fresh.duckdb"
    catalog.index(store, fresh)
    assert everything(output) == everything(fresh)


def test_other_roots_are_left_alone(tmp_path: Path) -> None:
    plain(tmp_path / "one" / "m")
    plain(tmp_path / "one-more" / "m")
    output = tmp_path / "c.duckdb"
    catalog.index([tmp_path / "one", tmp_path / "one-more"], output)
    shutil.rmtree(tmp_path / "one-more")
    (tmp_path / "one" / "m.index").unlink()
    (tmp_path / "one" / "m.data-00000-of-00001").unlink()
    assert catalog.index(tmp_path / "one", output).dropped == 1
    assert list(statuses(output)) == [f"{tmp_path}/one-more/m"]


def test_other_formats_say_the_same(store: Path, tmp_path: Path) -> None:
    catalog.index(store, tmp_path / "c.duckdb")
    want = everything(tmp_path / "c.duckdb")
    for ending in ("parquet", "arrow", "jsonl"):
        report = catalog.index(store, tmp_path / f"c.{ending}")
        assert list(report.outputs) == [f"{tmp_path}/c.{name}.{ending}" for name in TABLES]
        assert (report.found, report.bad) == (12, 6)
        for name, path in zip(TABLES, report.outputs, strict=True):
            if ending == "parquet":
                rows = pq.read_table(path).to_pylist()
            elif ending == "arrow":
                rows = pa.ipc.open_file(path).read_all().to_pylist()
            else:
                rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
            assert sorted((tuple(row.values()) for row in rows), key=repr) == want[name]
    assert not list(tmp_path.glob(".*"))
    again = catalog.index(store, tmp_path / "c.parquet")
    assert (again.changed, again.kept) == (0, 12)
    assert catalog.query(tmp_path / "c.parquet", "SELECT count(*) FROM checkpoints").rows == [(12,)]


def test_rows_of_one_path_are_a_pure_function(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.duckdb"
    catalog.index(store, output)
    places = catalog.discover(store)
    want = everything(output)
    for name in TABLES:
        work = pickle.loads(pickle.dumps(partial(catalog.rows, table=name)))
        got = [tuple(row.values()) for place in places for row in records(work(place.path))]
        assert sorted(got, key=repr) == want[name]
    assert pickle.loads(pickle.dumps(places)) == places
    paths = [place.path for place in places]
    together = records(catalog.rows(paths, "checkpoints"))
    assert [row["path"] for row in together] == paths
    assert records(catalog.rows([])) == []
    nothing = records(catalog.rows(tmp_path / "nowhere", "checkpoints"))
    assert nothing[0]["status"] == "broken"
    assert "there is no checkpoint of this name" in nothing[0]["reason"]
    with pytest.raises(ValueError, match="no table 'graphs'"):
        catalog.rows(store, "graphs")


def test_worker_processes_can_have_it(store: Path) -> None:
    paths = [place.path for place in catalog.discover(store)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        counts = pool.map(count_rows, paths)
    assert counts == [len(catalog.rows(path)) for path in paths]


def count_rows(path: str) -> int:
    return len(catalog.rows(path))


def test_questions_that_have_a_name(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.duckdb"
    catalog.index(store, output)
    (copies,) = catalog.query(output, "duplicates").to_dicts()
    assert copies["paths"] == [f"{store}/copy/model.ckpt-100", f"{store}/run/model.ckpt-100"]
    assert (copies["copies"], copies["wasted"]) == (2, 192)
    largest = catalog.query(output, "largest").to_dicts()
    assert [row["bytes"] for row in largest] == sorted(row["bytes"] for row in largest)[::-1]
    assert len(catalog.query(output, "broken")) == 6
    steps = [
        (row["step"], row["before"], row["unchanged"])
        for row in catalog.query(output, "lineage").to_dicts()
        if row["directory"] == f"{store}/run"
    ]
    assert steps == [(100, None, 0), (200, f"{store}/run/model.ckpt-100", 0)]
    wide = catalog.query(output, "SELECT DISTINCT name FROM tensors WHERE shape[2] > 5 ORDER BY 1")
    assert ("w",) in wide.rows
    with pytest.raises(CheckpointError, match="nonsense"):
        catalog.query(output, "SELECT nonsense FROM tensors")
    with pytest.raises(CheckpointError, match="read-only"):
        catalog.query(output, "DELETE FROM tensors")


def test_paths_give_the_rows_of_a_walk(tmp_path: Path) -> None:
    """Also those of a checkpoint without a name, and of one that is called like a V1 file."""
    root = tmp_path / "store"
    for suffix in (".index", ".data-00000-of-00001"):
        (root / "nameless").mkdir(parents=True, exist_ok=True)
        shutil.copy(plain(root / "m") + suffix, root / "nameless" / suffix)
    file = V1File()
    file.add("old", W)
    file.write(root / "m")
    output = tmp_path / "c.duckdb"
    catalog.index(root, output)
    paths = [place.path for place in catalog.discover(root)]
    assert paths == [f"{root}/m", f"{root}/nameless/"]
    rows = pa.table(catalog.rows(paths, "checkpoints"))
    assert set(rows["status"].to_pylist()) == {"ok"}
    want = everything(output)["checkpoints"]
    assert sorted((tuple(row.values()) for row in rows.to_pylist()), key=repr) == want


def test_all_tables_of_one_opening(store: Path) -> None:
    paths = [place.path for place in catalog.discover(store)]
    found = catalog.tables(paths, stats=True)
    assert tuple(found) == TABLES
    for name, table in found.items():
        assert records(table) == records(catalog.rows(paths, name, stats=True))
    with pytest.raises(ValueError, match="no table 'tensor'"):
        catalog.rows(paths, "tensor")


# Trouble on the way.


def test_a_directory_that_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder, as_nobody(folder):
        root, output = Path(folder) / "store", Path(folder) / "c.duckdb"
        plain(root / "run" / "m")
        catalog.index(root, output)
        (root / "run").chmod(0)
        report = catalog.index(root, output)
        (root / "run").chmod(0o755)
        assert (report.unreadable, report.dropped) == (1, 0), "nobody knows what is in there"
        ((text,),) = catalog.query(output, "SELECT text FROM findings").rows
        assert "Permission denied" in text
        assert str(root / "run") in text


@contextlib.contextmanager
def as_nobody(folder: str) -> Iterator[None]:
    """Root may read everything: as somebody else, if that is what runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    Path(folder).chmod(0o777)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_cannot_be_walked_is_a_finding_and_drops_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where everything may be read, by a walk that says so."""
    from tensorbundle.catalog import _index

    output = tmp_path / "c.duckdb"
    catalog.index(store, output)
    real = _index.walk

    def walk(_: list[str], follow: bool, progress: Any, _store: Any) -> Any:
        inside = [str(path) for path in store.iterdir() if path.name != "run"]
        places, _, directories, links = real(inside, follow, progress)
        columns = ("path", "kind", "part", "tensor", "file", "shard", "start", "end", "text")
        said = {key: [None] for key in columns} | {
            "path": [f"{store}/run"],
            "kind": ["unreadable"],
            "text": ["Permission denied"],
        }
        kinds = {"shard": "uint", "start": "uint", "end": "uint"}
        trouble = tb.ArrowTable.from_columns(
            [(name, kinds.get(name, "str"), values) for name, values in said.items()]
        )
        return places, trouble, directories, links

    monkeypatch.setattr(_index, "walk", walk)
    for _ in range(2):
        report = catalog.index(store, output)
        assert (report.unreadable, report.dropped) == (1, 0)
        sql = f"SELECT kind, text FROM findings WHERE path = '{store}/run'"
        assert catalog.query(output, sql).rows == [("unreadable", "Permission denied")]
    assert f"{store}/run/model.ckpt-100" in statuses(output)
    monkeypatch.undo()
    assert catalog.index(store, output).unreadable == 0
    assert catalog.query(output, sql).rows == []


def test_links_are_followed_if_asked_and_none_twice(tmp_path: Path) -> None:
    root = tmp_path / "store"
    plain(root / "a" / "m")
    plain(tmp_path / "elsewhere" / "m")
    (root / "a" / "loop").symlink_to(root)
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    left = catalog.index(root, tmp_path / "left.duckdb")
    assert (left.found, left.links, left.unreadable) == (1, 3, 0)
    report = catalog.index(root, tmp_path / "c.duckdb", follow_links=True)
    assert (report.found, report.links, report.unreadable) == (2, 0, 2)
    assert list(statuses(tmp_path / "c.duckdb")) == [f"{root}/a/m", f"{root}/b/m"]
    texts = [
        text for (text,) in catalog.query(tmp_path / "c.duckdb", "SELECT text FROM findings").rows
    ]
    assert all("not followed" in text for text in texts)


def test_files_that_vanish_are_rows(tmp_path: Path) -> None:
    root = tmp_path / "store"
    prefixes = [plain(root / f"m-{i}") for i in range(3)]
    from tensorbundle._native import walk

    places, *_ = walk([str(root)], False, None)
    Path(f"{prefixes[1]}.index").unlink()
    checkpoints, _, findings, _ = places.scan([0, 1, 2], False, False, True, None)
    assert checkpoints.column("status") == ["ok", "broken", "ok"]
    assert findings.column("kind") == ["unreadable"]
    assert "No such file" in findings.column("text")[0]


def test_a_root_that_is_a_checkpoint_or_nothing(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.duckdb"
    catalog.index(store / "run" / "model.ckpt-100", output)
    assert statuses(output) == {f"{store}/run/model.ckpt-100": "ok"}
    with pytest.raises(FileNotFoundError):
        catalog.index(tmp_path / "nowhere", tmp_path / "d.duckdb")
    with pytest.raises(ValueError, match="no directory"):
        catalog.index([], output)
    with pytest.raises(ValueError, match=r"told by the ending: \.duckdb"):
        catalog.index(store, tmp_path / "c.txt")


def test_a_catalog_of_a_later_version_is_not_touched(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.duckdb"
    catalog.index(store, output)
    with duckdb.connect(str(output)) as db:
        db.execute("UPDATE about SET version = 99")
    before = output.read_bytes()
    for touch in (lambda: catalog.index(store, output), lambda: catalog.query(output, "largest")):
        with pytest.raises(UnsupportedError, match="a catalog of version 99"):
            touch()
    assert output.read_bytes() == before


def test_files_that_are_no_catalogs(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as db:
        db.execute("CREATE TABLE mine AS SELECT 1 AS x")
    with pytest.raises(CheckpointError, match=r"other tables \(mine\)"):
        catalog.index(store, other)
    text = tmp_path / "text.duckdb"
    text.write_text("hello " * 1000)
    with pytest.raises(CheckpointError, match="cannot be opened as a catalog"):
        catalog.index(store, text)
    with pytest.raises(FileNotFoundError, match="there is no such catalog"):
        catalog.query(tmp_path / "nowhere.duckdb", "largest")


def test_a_full_disk_leaves_the_old_catalog_whole(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorbundle.catalog import _store

    output = tmp_path / "c.duckdb"
    catalog.index(store, output)
    before = everything(output)
    plain(store / "run" / "model.ckpt-100", W * 2)
    real = _store.replace

    class Full:
        """A connection whose inserts fail, as they do on a full disk."""

        def __init__(self, db: Any) -> None:
            self.db = db

        def __getattr__(self, name: str) -> Any:
            return getattr(self.db, name)

        def execute(self, sql: str) -> Any:
            if sql.startswith("INSERT INTO tensors"):
                raise duckdb.IOException("could not write: no space left on device")
            return self.db.execute(sql)

    monkeypatch.setattr(_store, "replace", lambda db, names, tables: real(Full(db), names, tables))
    with pytest.raises(OSError, match=r"cannot be written.*no space left"):
        catalog.index(store, output)
    assert everything(output) == before
    monkeypatch.undo()
    assert catalog.index(store, output).changed == 1


def test_a_really_full_disk_keeps_the_old_files(store: Path, tmp_path: Path) -> None:
    """By the limit on the size of files: a write beyond it fails as on a full disk."""
    output = tmp_path / "c.arrow"
    catalog.index(store, output)
    before = {path: path.read_bytes() for path in tmp_path.glob("c.*.arrow")}
    code = (
        "import resource, signal, sys\n"
        "from tensorbundle import catalog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))\n"
        "try:\n"
        "    catalog.index(sys.argv[1], sys.argv[2])\n"
        "except OSError as error:\n"
        "    print(error.errno)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store), str(output)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "27"), done.stderr
    assert {path: path.read_bytes() for path in tmp_path.glob("c.*.arrow")} == before


@pytest.mark.parametrize("ending", ["duckdb", "parquet"])
def test_a_killed_run_goes_on(tmp_path: Path, ending: str) -> None:
    root = tmp_path / "store"
    first = plain(root / "m-0")
    for i in range(1, 3000):
        for suffix in (".index", ".data-00000-of-00001"):
            os.link(first + suffix, root / f"m-{i}{suffix}")
    output = tmp_path / f"c.{ending}"
    code = (
        "import os, signal, sys\n"
        "from tensorbundle import catalog\n"
        "from tensorbundle.catalog import _store\n"
        "real, steps = _store.replace, []\n"
        "def replace(*args):\n"
        "    if steps: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    steps.append(1)\n"
        "    real(*args)\n"
        "_store.replace = replace\n"
        "catalog.index(sys.argv[1], sys.argv[2])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root), str(output)])
    assert done.returncode == -signal.SIGKILL
    report = catalog.index(root, output)
    assert (report.found, report.kept) == (3000, 2048)
    catalog.index(root, tmp_path / f"fresh.{ending}")
    if ending == "duckdb":
        assert everything(output) == everything(tmp_path / "fresh.duckdb")
    else:
        for name in TABLES:
            one, other = (
                pq.read_table(tmp_path / f"{each}.{name}.parquet") for each in ("c", "fresh")
            )
            assert sorted(map(repr, one.to_pylist())) == sorted(map(repr, other.to_pylist()))
    assert not list(tmp_path.glob(".*"))


def test_progress_is_told_and_stops_it(tmp_path: Path) -> None:
    root = tmp_path / "store"
    first = plain(root / "m-0")
    for i in range(1, 4500):
        for suffix in (".index", ".data-00000-of-00001"):
            os.link(first + suffix, root / f"m-{i}{suffix}")
    told: list[tuple[int, int]] = []
    catalog.index(root, tmp_path / "c.duckdb", progress=lambda *now: told.append(now))
    assert told[-1] == (4500, 4500)
    assert told == sorted(told)

    def stop(done: int, _: int) -> None:
        if done > 2048:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        catalog.index(root, tmp_path / "d.duckdb", progress=stop)
    assert len(statuses(tmp_path / "d.duckdb")) >= 2048
    assert catalog.index(root, tmp_path / "d.duckdb").kept >= 2048


def test_ctrl_c(tmp_path: Path) -> None:
    root = tmp_path / "store"
    first = plain(root / "m-0")
    for i in range(1, 5000):
        for suffix in (".index", ".data-00000-of-00001"):
            os.link(first + suffix, root / f"m-{i}{suffix}")
    code = (
        "import sys\n"
        "from tensorbundle.catalog import _store\n"
        "real = _store.replace\n"
        "def replace(*args):\n"
        "    real(*args)\n"
        "    print('committed', flush=True)\n"
        "_store.replace = replace\n"
        "from tensorbundle.cli import run\n"
        "sys.exit(run())\n"
    )
    words = ["index", str(root), "-o", str(tmp_path / "c.duckdb")]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "committed\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, STOPPED)
    assert catalog.index(root, tmp_path / "c.duckdb").kept >= 2048


STOPPED = "tensorbundle: stopped; the next run goes on from here\n"


@pytest.mark.parametrize("where", ["register", "execute"])
@pytest.mark.parametrize("ending", ["duckdb", "parquet"])
def test_ctrl_c_while_rows_are_written(tmp_path: Path, where: str, ending: str) -> None:
    """It waits for the end of the step, in whatever statement it comes."""
    plain(tmp_path / "store" / "m-0")
    code = (
        "import os, signal, sys\n"
        "from contextlib import contextmanager\n"
        "from tensorbundle.catalog import _store\n"
        "class Asked:\n"
        "    def __init__(self, table): self.table = table\n"
        "    def __len__(self): return len(self.table)\n"
        "    def __arrow_c_stream__(self, schema=None):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        return self.table.__arrow_c_stream__(schema)\n"
        "    def __arrow_c_schema__(self): return self.table.__arrow_c_schema__()\n"
        "real, whole = _store.replace, _store.whole\n"
        "def replace(db, names, tables): real(db, names, [Asked(table) for table in tables])\n"
        "@contextmanager\n"
        "def stopped(db):\n"
        "    with whole(db):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        yield\n"
        "if sys.argv.pop(1) == 'register': _store.replace = replace\n"
        "else: _store.whole = stopped\n"
        "from tensorbundle.cli import run\n"
        "sys.exit(run())\n"
    )
    output = tmp_path / f"c.{ending}"
    words = [where, "index", tmp_path / "store", "-o", output]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, STOPPED)
    assert catalog.index(tmp_path / "store", output).found == 1


def test_ctrl_c_ends_a_query(tmp_path: Path) -> None:
    plain(tmp_path / "m-0")
    catalog.index(tmp_path, tmp_path / "c.duckdb")
    code = (
        "import signal, sys, threading\n"
        "threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()\n"
        "from tensorbundle.cli import run\n"
        "sys.exit(run())\n"
    )
    sql = "SELECT sum(hash(a.range, b.range)) FROM range(10000000) a, range(1000000) b"
    words = [sys.executable, "-c", code, "query", tmp_path / "c.duckdb", sql]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


# The command line.


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_index_and_query(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "c.duckdb"
    code, out, err = run(capsys, "index", store, "-o", output)
    assert (code, err) == (1, "")
    assert out.startswith("12 checkpoints, ")
    assert "12 scanned, 0 as before, 0 gone" in out
    assert "6 of them not ok: tensorbundle query CATALOG broken" in out
    code, out, _ = run(capsys, "index", store, "-o", output, "--json")
    assert (code, json.loads(out)["index"]["kept"]) == (1, 12)
    code, out, _ = run(capsys, "query", output, "duplicates")
    assert code == 0
    header, row = out.splitlines()
    assert header.split() == ["fingerprint", "copies", "bytes", "wasted", "paths"]
    assert f"{store}/run/model.ckpt-100" in row
    code, out, _ = run(
        capsys, "query", output, "--json", "SELECT 1 AS one, 'x' AS text, 'nan'::double AS n"
    )
    assert json.loads(out) == {"rows": [{"one": 1, "text": "x", "n": None}]}
    assert run(capsys, "index", store / "run" / "model.ckpt-100", "-o", output, "-q") == (1, "", "")
    code, _, err = run(capsys, "query", output, "nans")
    assert code == 2
    assert "--stats" in err
    assert run(capsys, "index", "--stats", store, "-o", output, "-q") == (1, "", "")
    assert run(capsys, "query", output, "nans")[0] == 0


def test_errors_of_the_commands(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "index", store, "-o", tmp_path / "c.txt")
    assert (code, out) == (2, "")
    assert "what to write is told by the ending" in err
    code, _, err = run(capsys, "query", tmp_path / "c.duckdb", "largest")
    assert code == 2
    assert "there is no such catalog" in err
    code, _, err = run(capsys, "index", tmp_path / "nowhere", "-o", tmp_path / "c.duckdb")
    assert code == 2
    assert "nowhere" in err


def test_without_duckdb(store: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['duckdb'] = None\n"
        "from tensorbundle import catalog\n"
        "print(catalog.index(sys.argv[1], sys.argv[2] + '/c.arrow').found)\n"
        "try: catalog.index(sys.argv[1], sys.argv[2] + '/c.duckdb')\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "12",
        'a catalog needs DuckDB, which is not installed: pip install "tensorbundle[index]"',
    ]
