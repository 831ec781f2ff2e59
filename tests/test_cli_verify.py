"""``tensorbundle verify``: what it prints, how it ends, and that it can be stopped."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from command import COMMAND, cli, from_terminal, process
from encoding import entry_proto
from tensorbundle.cli import _progress
from writer import Bundle, raw_payload, shard_path

W = np.arange(24, dtype="<f4").reshape(4, 6)


def write(folder: Path, name: str = "ckpt", **fields: Any) -> str:
    """Two tensors; `fields` are those of the entry of the second."""
    bundle = Bundle()
    bundle.add("bias", W[0])
    bundle.add("kernel", W, **fields)
    return bundle.write(folder / name)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return write(tmp_path / "good")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return write(tmp_path / "bad", crc=0x12345678)


def test_nothing_found(good: str) -> None:
    result = cli("verify", good)
    assert (result.code, result.err) == (0, "")
    (line,) = result.lines
    assert re.fullmatch(
        rf"{re.escape(good)}: no findings; 2 tensors, 120 B checked in [\d.]+ s \([\d.]+ \w+/s\)",
        line,
    )


def test_a_finding(bad: str) -> None:
    result = cli("verify", bad)
    assert (result.code, result.err) == (1, "")
    finding, summary = result.lines
    report = tb.verify(bad)
    assert finding == f"checksum mismatch: {report.findings[0].text}"
    assert "0x12345678" in finding
    assert shard_path(bad, 0, 1) in finding
    assert summary.startswith(f"{bad}: 1 finding, 1 tensor lost; 2 tensors, ")


def test_several_paths(good: str, bad: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    result = cli("verify", good, gone, bad)
    assert result.code == 2  # and the others were checked all the same
    assert [line.split(": ")[0] for line in result.lines] == [good, "checksum mismatch", bad]
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("tensorbundle: ")
    assert str(gone) in result.err
    assert cli("verify", bad, good).code == 1
    assert cli("verify", gone, bad).code == 2
    assert cli("verify", good, good).code == 0


def test_json(good: str, bad: str, tmp_path: Path) -> None:
    result = cli("verify", "--json", good, bad, tmp_path / "gone")
    assert result.code == 2
    document = result.document
    assert list(document) == ["checkpoints", "errors"]
    sound, damaged = document["checkpoints"]
    for path, record in ((good, sound), (bad, damaged)):
        report = tb.verify(path)
        assert record.pop("path") == path
        assert record.pop("seconds") >= 0
        wanted = report.as_dict()
        del wanted["seconds"]
        assert record == wanted
    assert (sound["ok"], damaged["ok"]) == (True, False)
    (error,) = document["errors"]
    assert error["path"] == str(tmp_path / "gone")
    assert error["text"] in result.err


def test_json_of_nothing_found_and_of_a_salvage(good: str, bad: str) -> None:
    assert cli("verify", "--json", good).code == 0
    result = cli("verify", "--json", "--salvage", bad)
    assert result.code == 1
    (record,) = result.document["checkpoints"]
    assert record["salvaged"] == {"tensors": ["bias"], "bytes": 24}
    assert record["lost"] == ["kernel"]


def test_salvage(bad: str) -> None:
    result = cli("verify", "--salvage", bad)
    assert result.code == 1
    _, _, title, lost, count, python = result.lines
    assert title.split() == ["lost", "why"]
    shard = Path(shard_path(bad, 0, 1)).name
    assert lost == f"kernel  checksum mismatch: {shard}, bytes 24 to 120"
    assert count == "1 of 2 tensors can be read, 24 B:"
    checkpoint = eval(python.strip(), {"tensorbundle": tb})
    assert list(checkpoint) == ["bias"]


def test_more_findings_than_are_told(tmp_path: Path) -> None:
    bundle = Bundle()
    for i in range(10_005):
        bundle.add(f"tensor_{i:05}", W[0, :1], crc=1)
    result = cli("verify", "--salvage", bundle.write(tmp_path / "many"))
    assert result.code == 1
    summary = next(line for line in result.lines if line.startswith(str(tmp_path)))
    assert ": more than 10,000 findings, 10,005 tensors lost; " in summary
    assert result.lines[-2].split("  ", 1)[1].startswith("more findings: ")


def test_salvage_of_what_is_whole(good: str) -> None:
    result = cli("verify", "--salvage", good)
    assert result.code == 0
    assert result.lines[1] == "2 of 2 tensors can be read, 120 B:"


def test_salvage_of_what_is_all_lost(good: str) -> None:
    Path(shard_path(good, 0, 1)).unlink()
    result = cli("verify", "--salvage", good)
    assert result.code == 1
    finding, summary, _, *lost, count = result.lines
    assert finding.startswith("missing shard: ")
    assert re.search(r": 1 finding, 2 tensors lost; 2 tensors, 0 B checked in [\d.]+ s$", summary)
    assert [line.split("  ")[0] for line in lost] == ["bias", "kernel"]
    assert all(line.endswith("missing shard: ckpt.data-00000-of-00001") for line in lost)
    assert count == "0 of 2 tensors can be read"


def test_the_line_of_python_says_all_that_is_needed(tmp_path: Path) -> None:
    prefix = write(tmp_path / "with 'quotes'")
    away = tmp_path / "away"
    away.mkdir()
    (away / "checkpoint").write_text(f'model_checkpoint_path: "{prefix}"\n')
    assert cli("verify", away).code == 2
    result = cli("verify", "--salvage", "--follow", "--no-mmap", away)
    assert result.code == 0
    checkpoint = eval(result.lines[-1].strip(), {"tensorbundle": tb})
    assert (checkpoint.prefix, checkpoint.mmap) == (prefix, False)


@pytest.mark.parametrize("option", ["--no-mmap", "--follow"])
def test_options_that_change_no_result(bad: str, option: str) -> None:
    plain, other = cli("verify", "--json", bad), cli("verify", "--json", option, bad)
    assert plain.code == other.code == 1
    for result in (plain, other):
        for record in result.document["checkpoints"]:
            del record["seconds"]
    findings = [result.document["checkpoints"][0]["findings"] for result in (plain, other)]
    assert findings[0] == findings[1]


def test_quiet(good: str, bad: str) -> None:
    assert cli("verify", "-q", good).out == ""
    result = cli("verify", "--quiet", good, bad)
    assert result.code == 1
    assert [line.split(":")[0] for line in result.lines] == ["checksum mismatch", bad]


def test_an_index_that_cannot_be_opened(good: str) -> None:
    index = Path(good + ".index")
    index.write_bytes(index.read_bytes()[:-20])
    assert cli("ls", good).code == 2
    result = cli("verify", "--salvage", good)
    assert (result.code, result.err) == (1, "")
    assert result.lines[0].startswith("damaged index: ")
    assert result.lines[-2] == "2 of 2 tensors can be read, 120 B:"


def test_an_index_that_is_something_else(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"
    (tmp_path / "m.index").write_bytes(pointer)
    result = cli("verify", tmp_path / "m")
    assert result.code == 1
    assert "git lfs pull" in result.lines[0]


def test_a_directory_of_several(tmp_path: Path) -> None:
    for i in (1, 2):
        write(tmp_path, f"ckpt-{i}")
    result = cli("verify", tmp_path)
    assert (result.code, result.out) == (2, "")
    assert "ckpt-1" in result.err
    assert "ckpt-2" in result.err
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "ckpt-2"')
    result = cli("verify", tmp_path)
    assert result.code == 0
    assert result.out.startswith(f"{tmp_path}/ckpt-2: ")


def test_a_file_that_a_save_left(good: str) -> None:
    Path(good + ".index.tempstate123").touch()
    result = cli("verify", good)
    assert result.code == 1
    assert result.lines[0].startswith("left-over file: ")


@pytest.mark.skipif(os.name != "posix", reason="names that Windows cannot have")
def test_control_characters_are_escaped(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("red\x1b[31m\n", W, crc=1)
    bundle.add(b"\xff", W, crc=1)
    prefix = bundle.write(tmp_path / "esc\x1b[2J" / "ckpt")
    for options in ([], ["--salvage"], ["--json"], ["--salvage", "--json"]):
        result = cli("verify", *options, prefix)
        assert result.code == 1
        assert "\x1b" not in result.out
        assert "\udcff" not in result.out
        assert all(line.isprintable() for line in result.lines)
    assert r"red\x1b[31m\n" in cli("verify", "--salvage", prefix).out
    result = cli("verify", f"{tmp_path}/no\x1b[2J")
    assert (result.code, "\x1b" in result.err) == (2, False)


def test_paths_are_needed() -> None:
    done = process("verify")
    assert (done.returncode, done.stdout) == (2, "")
    assert "PATH" in done.stderr
    assert process("verify", "--help").returncode == 0


# Progress.


def test_a_line_of_progress() -> None:
    gib = 1 << 30
    line = _progress.describe("verify x", gib, 4 * gib, 2.0)
    assert line == "verify x: 1.0 GiB of 4.0 GiB  25%  512.0 MiB/s  0:06 left"
    assert _progress.describe("verify x", 0, 0, 0.0) == "verify x: 0 B of 0 B  100%"
    assert _progress.describe("verify x", 0, gib, 1.0) == "verify x: 0 B of 1.0 GiB  0%"
    assert _progress.describe("verify x", 1, gib, 1e9).endswith("left")


@pytest.mark.parametrize("width", range(1, 90))
def test_progress_fits(width: int) -> None:
    line = _progress.describe("verify " + "long/" * 20, 1 << 30, 1 << 32, 2.0, width=width)
    assert len(line) <= width
    if width >= 70:
        assert line.endswith(": 1.0 GiB of 4.0 GiB  25%  512.0 MiB/s  0:06 left")


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0:00"), (7, "0:07"), (754, "12:34"), (3723, "1:02:03")]
)
def test_the_clock(seconds: int, text: str) -> None:
    assert _progress.clock(seconds) == text


# On a terminal, and stopped.

posix = pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal and signals")
SIZE = 1 << 40  # of a sparse file: longer than anybody waits


@pytest.fixture
def endless(tmp_path: Path) -> str:
    """A tensor of a TiB, of which the disk holds nothing."""
    bundle = Bundle()
    bundle.items[b"zeros"] = entry_proto(
        dtype=4, shape=(SIZE,), shard_id=0, offset=0, size=SIZE, crc=raw_payload(b"").crc
    )
    prefix = bundle.write(tmp_path / "endless")
    with Path(shard_path(prefix, 0, 1)).open("r+b") as shard:
        try:
            shard.truncate(SIZE)
        except OSError:
            pytest.skip("no sparse files of a TiB here")
    return prefix


Ready = Callable[[bytes], bool]


def on_terminal(
    arguments: Sequence[str],
    *,
    command: Sequence[str] = COMMAND,
    columns: int = 80,
    stop_when: Ready | None = None,
    **env: str,
) -> tuple[int, bytes, bytes]:
    """Exit code, stdout, and what a terminal gets as stderr; SIGINT once that is ready."""
    import fcntl
    import pty
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: os.environ[key] for key in os.environ.keys() - {"COLUMNS", "NO_COLOR"}}
    environment |= {"TERM": "xterm", "LC_ALL": "C.UTF-8", **env}
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=follower, env=environment
    ) as done:
        os.close(follower)
        written = b""
        for piece in from_terminal(leader):
            written += piece
            if stop_when is not None and stop_when(written):
                done.send_signal(signal.SIGINT)
                stop_when = None
        assert done.stdout is not None
        out = done.stdout.read()
    os.close(leader)
    return done.returncode, out, written


def drawn(written: bytes) -> list[str]:
    return [piece for piece in written.decode().split(_progress.CLEAR) if piece]


@posix
def test_progress_on_a_terminal_and_ctrl_c(endless: str) -> None:
    begun = time.monotonic()
    code, out, written = on_terminal(
        ["verify", endless], stop_when=lambda text: text.count(b" left") > 3
    )
    assert time.monotonic() - begun < 60
    assert (code, out) == (130, b"")
    *lines, last = drawn(written)
    assert last == "tensorbundle: stopped\r\n"
    assert len(lines) > 3
    for line in lines:
        assert len(line) < 80
        assert re.search(r": [\d.]+ \wi?B of 1.0 TiB  \d+%  [\d.]+ \w+/s  [\d:]+ left$", line)
    # The line is taken back before anything else is said.
    assert written.endswith(_progress.CLEAR.encode() + last.encode())


# The command, which gets a SIGINT when it was told of its progress for the twentieth time.
STOPPED = """
import os, signal, sys
from tensorbundle.cli import _progress, run

told = []
tell = _progress.Progress.__call__

def count(self, done, total):
    told.append(done)
    tell(self, done, total)
    if len(told) == 20:
        os.kill(os.getpid(), signal.SIGINT)

_progress.Progress.__call__ = count
sys.exit(run())
"""


@posix
@pytest.mark.parametrize("options", [[], ["--json"], ["--salvage"], ["--no-mmap"]])
def test_ctrl_c_without_a_terminal(endless: str, options: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, "verify", *options, endless],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr == b"tensorbundle: stopped\n"


@posix
@pytest.mark.parametrize(
    ("options", "env"), [(["--quiet"], {}), (["-q", "--salvage"], {}), ([], {"TERM": "dumb"})]
)
def test_no_progress(endless: str, options: list[str], env: dict[str, str]) -> None:
    command = [sys.executable, "-c", STOPPED]
    code, out, written = on_terminal(["verify", *options, endless], command=command, **env)
    assert (code, out, written) == (130, b"", b"tensorbundle: stopped\r\n")


@posix
def test_a_narrow_terminal(endless: str) -> None:
    for columns in (5, 30, 50):
        _, _, written = on_terminal(
            ["verify", endless],
            columns=columns,
            stop_when=lambda text: text.count(_progress.CLEAR.encode()) > 3,
        )
        assert all(len(line) < columns for line in drawn(written)[:-1])


@posix
def test_the_line_is_gone_at_the_end(tmp_path: Path) -> None:
    bundle = Bundle()
    size = 3 << 29  # not 2^31: so many zeros have the checksum of one
    bundle.add("zeros", np.uint8(0), data=b"", shape=(size,), size=size)
    prefix = bundle.write(tmp_path / "large")
    os.truncate(shard_path(prefix, 0, 1), size)
    code, out, written = on_terminal(["verify", prefix])
    assert code == 1
    assert b": 1 finding, 1 tensor lost; 1 tensor, 1.5 GiB checked in " in out
    if written:  # a machine may be too quick for it
        assert b"verify large: " in written
        assert written.endswith(_progress.CLEAR.encode())


@posix
def test_what_is_done_at_once_draws_nothing(good: str) -> None:
    code, out, written = on_terminal(["verify", good])
    assert (code, written) == (0, b"")
    assert out.decode().startswith(f"{good}: no findings")


def test_the_document_is_one(good: str) -> None:
    done = process(*shlex.split("verify --json"), good)
    assert json.loads(done.stdout)["checkpoints"][0]["ok"] is True
    assert done.stderr == ""
