"""Directories with many checkpoints: `list_checkpoints`, `load_state` and `tensorbundle ls DIR`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from command import cli
from faults import refused
from tensorbundle.errors import CorruptionError
from writer import Bundle
from writer_v1 import V1File, write_shards


def bundle(value: float = 0) -> Bundle:
    made = Bundle()
    made.add("w", np.full(100, value))
    return made


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Checkpoints of both formats, of which the state file knows some, and one that is gone."""
    folder = tmp_path / "run"
    for step in (1, 20, 3):
        bundle(step).write(folder / f"ckpt-{step}")
    (folder / "ckpt-3.meta").write_bytes(b"12345")
    file = V1File()
    file.add("w", np.ones(3))
    write_shards(folder / "old", [file, V1File()])
    (folder / "notes.txt").write_text("of somebody")
    (folder / "below").mkdir()
    bundle().write(folder / "below/ckpt-4")
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "ckpt-20"\n'
        'all_model_checkpoint_paths: "ckpt-2"\n'
        'all_model_checkpoint_paths: "/before/it/was/moved/ckpt-3"\n'
        'all_model_checkpoint_paths: "ckpt-20"\n'
        "all_model_checkpoint_timestamps: 1700000000.25\n"
        "all_model_checkpoint_timestamps: 1700000100.5\n"
        "all_model_checkpoint_timestamps: 1700000200\n"
    )
    return folder


def test_what_is_listed(run: Path) -> None:
    found = {each.name: each for each in tb.list_checkpoints(run)}
    assert list(found) == ["ckpt-1", "ckpt-2", "ckpt-3", "ckpt-20", "old"]
    assert [each.format for each in found.values()] == ["V2", None, "V2", "V2", "V1"]
    assert [each.step for each in found.values()] == [1, 2, 3, 20, None]
    assert [each.recorded for each in found.values()] == [False, True, True, True, False]
    assert [each.latest for each in found.values()] == [False, False, False, True, False]
    assert [each.timestamp for each in found.values()] == [
        *(None, 1700000000.25, 1700000100.5, 1700000200.0, None),
    ]
    three = found["ckpt-3"]
    sizes = {file.name: file.stat().st_size for file in run.glob("ckpt-3.*")}
    assert three.files == sizes
    assert three.nbytes == sum(sizes.values())
    assert (three.prefix, three.missing) == (f"{run}/ckpt-3", 0)
    assert list(found["old"].files) == ["old-00000-of-00002", "old-00001-of-00002"]
    assert found["old"].open()["w"].sum() == 3
    assert three.open(mmap=False)["w"][0] == 3
    assert repr(found["ckpt-2"]) == f"<tensorbundle.StoredCheckpoint '{run}/ckpt-2' missing>"


def test_the_state_file(run: Path) -> None:
    state = tb.load_state(run)
    assert state.path == f"{run}/checkpoint"
    assert state.model_checkpoint_path == f"{run}/ckpt-20"
    assert state.all_model_checkpoint_paths == [f"{run}/ckpt-{step}" for step in (2, 3, 20)]
    assert state.recorded_paths == ["ckpt-2", "/before/it/was/moved/ckpt-3", "ckpt-20"]
    assert state.last_preserved_timestamp == 0.0
    assert repr(state) == f"<tensorbundle.CheckpointState '{run}/ckpt-20' of 3>"
    with pytest.raises(FileNotFoundError, match="the directory's state file"):
        tb.load_state(run, filename="other")
    (run / "other").write_text("what is this")
    with refused(CorruptionError, "line 1", path=run / "other", part="state file"):
        tb.load_state(run, filename="other")


def test_a_broken_state_file_hides_nothing(run: Path) -> None:
    (run / "checkpoint").write_text("}")
    assert [each.name for each in tb.list_checkpoints(run)] == [
        "ckpt-1",
        "ckpt-3",
        "ckpt-20",
        "old",
    ]
    assert not any(each.latest or each.recorded for each in tb.list_checkpoints(run))


def test_what_is_missing(run: Path) -> None:
    (run / "ckpt-1.data-00000-of-00001").rename(run / "ckpt-1.data-00001-of-00003")
    (run / "old-00001-of-00002").unlink()
    found = {each.name: each for each in tb.list_checkpoints(run)}
    assert found["ckpt-1"].missing == 2
    assert list(found["ckpt-1"].files) == ["ckpt-1.data-00001-of-00003", "ckpt-1.index"]
    assert found["old"].missing == 1
    assert list(found["old"].files) == ["old-00000-of-00002"]
    out = cli("ls", run).out
    assert re.search(r"ckpt-1 .* 2 files missing", out)
    assert re.search(r"old .* 1 file missing", out)


def test_a_name_that_claims_very_many_files(tmp_path: Path) -> None:
    bundle().write(tmp_path / "m")
    (tmp_path / "m.data-00000-of-00001").rename(tmp_path / "m.data-00000-of-99999999999")
    (found,) = tb.list_checkpoints(tmp_path)
    assert (len(found.files), found.missing) == (2, 99999999998)


def test_directories_that_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tb.list_checkpoints(tmp_path / "no")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        tb.list_checkpoints(tmp_path / "file")
    assert tb.list_checkpoints(tmp_path) == []


@pytest.mark.parametrize("given", [".", "", "./", "../run", "/"])
def test_paths_of_the_directory(run: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.chdir(run)
    if given == "/":
        given = f"{run}/"
    found = tb.list_checkpoints(given)
    assert [each.name for each in found] == ["ckpt-1", "ckpt-2", "ckpt-3", "ckpt-20", "old"]
    assert [each.open()["w"][0] for each in found if each.format] == [1, 3, 20, 1]


def test_ls_of_a_directory(run: Path) -> None:
    result = cli("ls", run)
    lines = result.out.splitlines()
    assert result.code == 0
    assert lines[0].split() == ["name", "format", "saved", "bytes", "notes"]
    assert [line.split()[0] for line in lines[1:6]] == [
        "ckpt-1",
        "ckpt-2",
        "ckpt-3",
        "ckpt-20",
        "old",
    ]
    assert lines[4].endswith("latest")
    assert lines[2].endswith("in the state file, but not here")
    assert lines[6].startswith("5 checkpoints, ")
    assert lines[7] == f"Its tensors: tensorbundle ls {run}/ckpt-20"
    assert "2023-11-1" in lines[4]


def test_ls_of_a_directory_as_json(run: Path) -> None:
    document = json.loads(cli("ls", run, "--json").out)
    assert document["path"] == str(run)
    names = [each["name"] for each in document["checkpoints"]]
    assert names == ["ckpt-1", "ckpt-2", "ckpt-3", "ckpt-20", "old"]
    three = document["checkpoints"][2]
    assert three["files"]["ckpt-3.meta"] == 5
    assert (three["step"], three["latest"], three["timestamp"]) == (3, False, 1700000100.5)


@pytest.mark.parametrize("options", [["--match", "w"], ["--sort", "name"], ["--tree"]])
def test_options_of_tensors_mean_the_latest(run: Path, options: list[str]) -> None:
    assert "1 tensor" in cli("ls", run, *options).out


def test_a_single_checkpoint_is_listed_by_its_tensors(tmp_path: Path) -> None:
    bundle().write(tmp_path / "only")
    assert "1 tensor, 100 elements" in cli("ls", tmp_path).out
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "gone-2"')
    out = cli("ls", tmp_path).out
    assert "2 checkpoints" in out
    assert re.search(r"gone-2 .*latest, in the state file, but not here", out)


def test_times_that_are_made_up(run: Path) -> None:
    state = run / "checkpoint"
    state.write_text(state.read_text().replace("1700000200", "1e300"))
    assert cli("ls", run).code == 0
    state.write_text(state.read_text().replace("1e300", "nan"))
    assert cli("ls", run).code == 0
    json.loads(cli("ls", run, "--json").out)


def test_info_of_v1(run: Path) -> None:
    out = cli("info", run / "old").out
    assert re.search(r"format +V1, producer 1, little-endian", out)
    assert re.search(r"shards +2", out)
    assert "ckpt-20" in out  # beside it
    document = json.loads(cli("info", run / "old", "--json").out)
    assert (document["format"], document["index"]) == ("V1", None)
    assert [shard["present"] for shard in document["shards"]] == [True, True]
    assert "old" in cli("info", run / "ckpt-1").out
    assert "1. 1. 1." in cli("cat", run / "old", "w").out
