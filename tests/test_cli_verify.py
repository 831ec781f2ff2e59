"""`tensorbundle verify`: text, JSON, exit codes, progress, and being stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from command import COMMAND, cli, process
from damage import flip, plain
from faults import sound
from tensorbundle.cli._progress import clock, describe
from writer import Bundle, shard_path


@pytest.fixture
def good(tmp_path: Path) -> str:
    return sound().write(tmp_path / "good")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    prefix = sound().write(tmp_path / "bad")
    flip(Path(shard_path(prefix, 0, 1)), 2)
    return prefix


def test_nothing_wrong(good: str) -> None:
    done = cli("verify", good)
    assert (done.code, done.err) == (0, "")
    assert len(done.lines) == 1
    assert done.lines[0].startswith(f"{good}: no findings; 3 tensors, 51 B checked in ")


def test_quiet(good: str, bad: str) -> None:
    assert cli("verify", "--quiet", good).out == ""
    assert len(cli("verify", "--quiet", bad).lines) == 2


def test_a_finding(bad: str) -> None:
    done = cli("verify", bad)
    assert done.code == 1
    assert done.lines[0].startswith('checksum mismatch: tensor "bias": tensor data of ')
    assert ": 1 finding, 1 tensor lost; 3 tensors, " in done.lines[1]


def test_several_paths(good: str, bad: str, tmp_path: Path) -> None:
    done = cli("verify", good, tmp_path / "none", bad)
    assert done.code == 2
    assert "no checkpoint of this prefix" in done.err
    assert [line.split(":")[0] for line in done.lines] == [good, "checksum mismatch", bad]
    assert cli("verify", good, bad).code == 1
    assert cli("verify", good, good).code == 0


@pytest.mark.parametrize("options", [[], ["--no-mmap"], ["--salvage"]])
def test_json(good: str, bad: str, tmp_path: Path, options: list[str]) -> None:
    done = cli("verify", "--json", *options, good, bad, tmp_path / "none")
    assert done.code == 2
    first, second = done.document["checkpoints"]
    assert (first["path"], first["ok"], first["findings"]) == (good, True, [])
    assert second["lost"] == ["bias"]
    (finding,) = second["findings"]
    assert finding["kind"] == "checksum mismatch"
    assert finding["tensor"] == "bias"
    assert (finding["shard"], finding["start"], finding["end"]) == (0, 0, 12)
    assert finding["got"] != finding["want"]
    assert done.document["errors"][0]["path"] == str(tmp_path / "none")
    if options == ["--salvage"]:
        assert second["salvaged"] == {"tensors": ["kernel", "words"], "bytes": 24 + 15}


def test_salvage(tmp_path: Path) -> None:
    prefix = plain(tmp_path)
    Path(shard_path(prefix, 1, 2)).unlink()
    done = cli("verify", "--salvage", prefix)
    assert done.code == 1
    assert "  lost  wide  (missing shard)" in done.lines
    assert done.lines[-2].startswith("8 of 17 tensors can be read, ")
    assert done.lines[-1].endswith(f'tensorbundle.open({prefix!r}, on_error="skip")')


def test_names_are_shown_safely(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("a\x1b[31m\n", np.arange(3, dtype="<f4"), crc=1)
    done = cli("verify", "--salvage", bundle.write(tmp_path / "b"))
    assert done.code == 1
    assert "\x1b" not in done.out


def test_what_an_index_cannot_be_opened_for(tmp_path: Path) -> None:
    (tmp_path / "m.index").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"
    )
    done = cli("verify", tmp_path / "m")
    assert done.code == 1
    assert "git lfs pull" in done.lines[0]


def test_lines_of_progress() -> None:
    line = describe("verify m", 1 << 30, 4 << 30, 2.0)
    assert line == "verify m: 1.0 GiB of 4.0 GiB  25%  512.0 MiB/s  0:06 left"
    assert describe("verify m", 0, 0, 0) == "verify m: 0 B of 0 B  100%"
    assert [clock(n) for n in (-1, 7, 754, 3723)] == ["0:00", "0:07", "12:34", "1:02:03"]


def sparse(tmp_path: Path, size: int) -> str:
    """A tensor of zeros that costs no disk, and takes a while to check."""
    bundle = Bundle()
    bundle.add("t", np.uint8(0), data=b"", shape=(size,), size=size)
    prefix = bundle.write(tmp_path / "big")
    os.truncate(shard_path(prefix, 0, 1), size)
    return prefix


def test_progress_on_a_terminal_only(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    prefix = sparse(tmp_path, 1 << 30)
    leader, follower = pty.openpty()
    arguments = [*COMMAND, "verify", prefix]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=follower) as done:
        os.close(follower)
        written = b""
        try:
            while piece := os.read(leader, 1 << 16):
                written += piece
        except OSError:  # how Linux tells that the other side has closed
            pass
        assert done.stdout is not None
        assert b"1 finding" in done.stdout.read()
    os.close(leader)
    assert done.returncode == 1
    assert b"verify big: " in written
    assert b" of 1.0 GiB  " in written
    assert b" left" in written
    assert written.endswith(b"\r\x1b[K")
    assert process("verify", prefix).stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("options", [[], ["--no-mmap"], ["--salvage"]])
def test_ctrl_c(tmp_path: Path, options: list[str]) -> None:
    prefix = sparse(tmp_path, 4 << 40)
    arguments = [*COMMAND, "verify", *options, prefix]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        time.sleep(1.5)
        assert done.poll() is None
        done.send_signal(signal.SIGINT)
        out, err = done.communicate(timeout=60)
    assert (done.returncode, out, err) == (130, b"", b"")
