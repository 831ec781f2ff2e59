from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tensorbundle
from command import COMMAND, cli, process, write_small
from writer import Bundle


@pytest.fixture
def small(tmp_path: Path) -> str:
    return write_small(tmp_path)


@pytest.fixture
def mnist(data_dir: Path) -> Path:
    return data_dir / "mnist_mlp"


posix = pytest.mark.skipif(os.name != "posix", reason="signals and shells are POSIX's")


# Errors and exit codes


def test_a_missing_tensor_brings_near_names(mnist: Path) -> None:
    result = cli("cat", mnist, "dense_1/kernal")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("tensorbundle: ")
    assert result.err.count("\n") == 1
    assert "dense_1/kernal" in result.err
    assert "dense_1/kernel" in result.err


@pytest.mark.parametrize("command", [["ls"], ["info"], ["cat"], ["vars"], ["graph"]])
def test_a_missing_checkpoint(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "nothing"
    result = cli(*command, path, *(["w"] if command == ["cat"] else []))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("tensorbundle: ")
    assert str(path) in result.err
    assert "Errno" not in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("command", ["ls", "info", "vars"])
def test_a_damaged_index(small: str, command: str) -> None:
    Path(f"{small}.index").write_bytes(bytes(100))
    result = cli(command, small)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("tensorbundle: ")
    assert "footer" in result.err


def test_a_missing_shard(small: str) -> None:
    shard = Path(f"{small}.data-00001-of-00002")
    shard.unlink()
    assert cli("ls", small).code == 0
    result = cli("cat", small, "b/kernel")
    assert result.code == 2
    assert str(shard) in result.err


def test_an_error_message_stays_one_line(small: str) -> None:
    result = cli("cat", small, "a\nb\x1b[2J")
    assert result.code == 2
    assert "\x1b" not in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0), (["--version"], 0), (["ls", "--help"], 0), ([], 2), (["rm", "x"], 2),
        (["ls"], 2), (["ls", "x", "--sort", "colour"], 2), (["ls", "x", "--depth", "0"], 2),
        (["cat", "x"], 2), (["cat", "x", "y", "--full", "--json"], 2),
        (["graph", "--help"], 0), (["vars", "--help"], 0), (["--help", "ls"], 0), (["graph"], 2),
    ],
)  # fmt: skip
def test_exit_codes_of_the_command_line(arguments: list[str], code: int) -> None:
    result = cli(*arguments)
    assert result.code == code
    assert bool(result.err) == (code == 2)


def test_version_and_examples() -> None:
    assert cli("--version").out == f"tensorbundle {tensorbundle.__version__}\n"
    for command in ("ls", "vars", "info", "cat", "graph"):
        assert f"\n  tensorbundle {command} " in cli(command, "--help").out


# The process


def test_module_and_script_are_the_same(mnist: Path) -> None:
    script = Path(sys.executable).with_name("tensorbundle")
    assert script.exists(), "not installed: the console script is missing"
    by_script = subprocess.run([script, "ls", mnist], capture_output=True, text=True, check=True)
    assert by_script.stdout == process("ls", str(mnist)).stdout
    assert by_script.stdout.endswith("(63,592 bytes)\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"], ["ls", "--json"], ["ls", "--tree"], ["info"], ["info", "--json"],
        ["vars"], ["vars", "--json"], ["graph"], ["graph", "--json"], ["graph", "--scopes"],
        ["graph", "--functions"], ["graph", "--op", "*"], ["graph", "--dot"],
    ],
)  # fmt: skip
def test_listing_imports_nothing_heavy(mnist: Path, arguments: list[str]) -> None:
    code = (
        "import sys; from tensorbundle.cli import main; assert main(sys.argv[1:]) == 0;"
        "print(*sorted({'numpy', 'ml_dtypes', 'typing', 'dataclasses', 'pathlib', 'shutil'}"
        " & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, mnist], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == ""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """More tensors than a pipe holds lines."""
    bundle = Bundle()
    for i in range(5000):
        bundle.add(f"scope_{i:04d}/a_rather_long_name_of_a_layer/kernel", np.int8(0))
    return bundle.write(tmp_path_factory.mktemp("crowd") / "ckpt")


@posix
@pytest.mark.parametrize("options", [[], ["--json"], ["--tree"]])
def test_a_pipe_closed_early_is_quiet(crowd: str, options: list[str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "ls", crowd, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        assert done.stdout.readline()
        done.stdout.close()
        assert done.stderr.read() == b""
        assert done.wait(60) == -signal.SIGPIPE


@posix
def test_a_pipe_closed_early_where_no_signal_tells(crowd: str) -> None:
    code = (
        "import signal, sys; del signal.SIGPIPE; from tensorbundle.cli import run;sys.exit(run())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "ls", crowd], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.close()
        assert done.stderr.read() == b""
        assert done.wait(60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["small", "crowd"])
def test_a_full_disk_is_an_error(name: str, request: pytest.FixtureRequest) -> None:
    with Path("/dev/full").open("w") as full:
        done = process(
            "ls", request.getfixturevalue(name), capture_output=False, stdout=full,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "tensorbundle: No space left on device\n"


@posix
def test_a_closed_output_is_no_crash(small: str) -> None:
    shell = ["sh", "-c", 'exec "$@" >&-', "sh"]
    done = subprocess.run([*shell, *COMMAND, "ls", small], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@posix
def test_ctrl_c_is_quiet() -> None:
    code = (
        "import sys, time, tensorbundle;"
        "tensorbundle.open = lambda path, **_: (print('opening', flush=True), time.sleep(60));"
        "from tensorbundle.cli import run; sys.exit(run())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "ls", "x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        assert done.stdout.readline() == b"opening\n"
        done.send_signal(signal.SIGINT)
        assert done.stderr.read() == b""
        assert done.wait(60) == 130


def test_output_that_is_not_utf8_escapes(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add("日本", np.int8(0))
    prefix = bundle.write(tmp_path / "ckpt")
    done = process("ls", prefix, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert r"\u65e5\u672c" in done.stdout
