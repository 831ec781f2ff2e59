from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from command import COMMAND, from_terminal, process
from writer import Bundle

fcntl = pytest.importorskip("fcntl")
pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")


@pytest.fixture
def mnist(data_dir: Path) -> Path:
    return data_dir / "mnist_mlp"


def on_terminal(arguments: Sequence[str], columns: int, **env: str) -> str:
    """What the command writes to a terminal of that width."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: os.environ[key] for key in os.environ.keys() - {"COLUMNS", "NO_COLOR"}}
    environment |= {"TERM": "xterm", "LC_ALL": "C.UTF-8", **env}
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=follower, stderr=follower, env=environment
    ) as done:
        os.close(follower)
        written = b"".join(from_terminal(leader))
    os.close(leader)
    assert done.returncode == 0
    return written.decode().replace("\r\n", "\n")


def test_a_narrow_terminal_cuts_names_in_the_middle(mnist: Path) -> None:
    lines = on_terminal(["ls", str(mnist)], 44, NO_COLOR="1").splitlines()[:-1]
    assert max(map(len, lines)) == 44
    assert "softmax…/Adam_1  float32  [16,10]      640 B" in lines
    assert "global_step      int64    []             8 B" in lines


@pytest.mark.parametrize("columns", [1, 10, 20, 30])
@pytest.mark.parametrize("options", [[], ["--tree"]])
def test_no_line_of_a_table_exceeds_the_terminal(
    mnist: Path, columns: int, options: list[str]
) -> None:
    lines = on_terminal(["ls", str(mnist), *options], columns, NO_COLOR="1").splitlines()
    assert max(map(len, lines[:-1])) <= columns


def test_wide_characters_take_two_columns(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("日本語/カーネル", np.int8(0))
    bundle.add("kernel", np.int8(0))
    prefix = bundle.write(tmp_path / "ckpt")
    lines = process("ls", prefix, env={"PYTHONIOENCODING": "utf-8"}).stdout.splitlines()
    assert lines[1] == "kernel           int8   []       1 B"
    assert lines[2] == "日本語/カーネル  int8   []       1 B"
    lines = on_terminal(["ls", prefix], 31, NO_COLOR="1").splitlines()
    assert lines[2] == "日本…ネル   int8   []       1 B"


def test_a_pipe_never_cuts(mnist: Path) -> None:
    done = process("ls", str(mnist), env={"COLUMNS": "20"})
    assert "softmax_output/kernel/Adam_1  float32  [16,10]      640 B" in done.stdout.splitlines()
    assert "\x1b" not in done.stdout


def test_colour_only_where_wanted(mnist: Path) -> None:
    arguments = ["ls", str(mnist)]
    assert on_terminal(arguments, 80).startswith("\x1b[1mname ")
    assert "\x1b" not in on_terminal(arguments, 80, NO_COLOR="1")
    assert "\x1b" not in on_terminal(arguments, 80, TERM="dumb")
