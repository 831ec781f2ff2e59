"""V1 files and directories that somebody wrote to do harm, or that a copy has left in pieces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from command import cli
from encoding import bytes_field, snappy_compress, varint
from faults import refused
from tensorbundle import train
from tensorbundle.errors import CorruptionError, UnsupportedError
from writer import STRING, table
from writer_v1 import V1File, contents, saved_tensor, values_proto, write_shards

INT8, INT64 = 6, 9


def one(value: float) -> V1File:
    file = V1File()
    file.add("w", np.float32(value))
    return file


def cut(path: str | Path, by: int = 5) -> None:
    path = Path(path)
    path.write_bytes(path.read_bytes()[:-by])


def limited(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs Python with 1 GiB of memory."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
    return subprocess.run(
        [sys.executable, "-c", limit + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )


# Damaged checkpoints are not passed over for others.


def test_a_cut_file_is_not_passed_over(tmp_path: Path) -> None:
    one(1).write(tmp_path / "m-1")
    cut(one(2).write(tmp_path / "m-2"))
    with pytest.raises(FileNotFoundError, match="which of its 2 checkpoints is meant"):
        tb.open(tmp_path)
    with refused(CorruptionError, "bad magic number", path=tmp_path / "m-2"):
        tb.open(tmp_path / "m-2")
    assert [each.name for each in tb.list_checkpoints(tmp_path)] == ["m-1", "m-2"]


def test_a_recorded_file_is_the_one(tmp_path: Path) -> None:
    one(1).write(tmp_path / "m-1")
    file = one(2).write(tmp_path / "sub" / "m-1")
    state = tmp_path / "checkpoint"
    state.write_text('model_checkpoint_path: "sub/m-1"')
    assert tb.open(tmp_path)["w"] == 2
    (listed,) = tb.list_checkpoints(tmp_path)
    assert (listed.latest, listed.recorded) == (False, False)
    cut(file)
    with refused(CorruptionError, path=file):
        tb.open(tmp_path)
    assert train.latest_checkpoint(tmp_path) == file
    Path(file).write_bytes(b"anything")
    with refused(CorruptionError, path=file):
        tb.open(tmp_path)
    Path(file).unlink()
    with pytest.raises(FileNotFoundError, match='"sub/m-1" that the state file names'):
        tb.open(tmp_path)
    assert train.latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("damaged", [0, 1])
@pytest.mark.parametrize("given", [".", "m-5", "m-5-?????-of-00002", "m-5-00000-of-00002"])
def test_a_cut_file_of_several(tmp_path: Path, damaged: int, given: str) -> None:
    write_shards(tmp_path / "m-5", [one(1), V1File()])
    file = tmp_path / f"m-5-0000{damaged}-of-00002"
    cut(file)
    with refused(CorruptionError, "bad magic number", path=file):
        tb.open(tmp_path / given)
    Path(file).write_bytes(b"not even the beginning of one")
    with refused(CorruptionError, path=file):
        tb.open(tmp_path / given)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    second = V1File()
    second.add("b", np.int64(1))
    prefix = f"{tmp_path}/m\udcff"
    pattern = write_shards(prefix, [one(3), second])
    for given in (pattern, prefix, f"{prefix}-00001-of-00002", tmp_path):
        ckpt = tb.open(given)
        assert (list(ckpt), ckpt["w"]) == (["b", "w"], 3)
    assert [each.prefix for each in tb.list_checkpoints(tmp_path)] == [prefix]


def test_a_name_that_counts_very_many(tmp_path: Path) -> None:
    for i in range(100):
        one(1).write(tmp_path / f"m{i}-00000-of-65536")
    one(1).write(tmp_path / "more-00000-of-99999999")
    with refused(UnsupportedError, "its name counts 99999999 files"):
        tb.open(tmp_path / "more-00000-of-99999999")
    done = limited(
        "import sys, tensorbundle as tb\n"
        "print(len(tb.list_checkpoints(sys.argv[1])))\n"
        "try: tb.open(sys.argv[1])\n"
        "except FileNotFoundError as error: print(error)\n",
        tmp_path,
    )
    assert done.stdout.startswith("101\n"), done.stderr
    assert "which of its 101 checkpoints is meant" in done.stdout


# Little that claims to be much.


def test_contents_that_unpack_to_very_many_tensors(tmp_path: Path) -> None:
    line = bytes_field(1, bytes.fromhex("18012200"))
    count = 2_000_000
    value = b"\x0a" + varint(len(line) * count)
    block = b"\0\0" + varint(len(value) + len(line) * count) + value
    path = tmp_path / "m"

    def contents_of(part: str, data: bytes) -> bytes:
        if part != "data 0":
            return data
        return snappy_compress(block + line * count + bytes.fromhex("0000000001000000"))

    path.write_bytes(
        table([(b"", b"")], contents=contents_of, kind=lambda part: int(part == "data 0"))
    )
    done = limited(
        "import sys, tensorbundle as tb\n"
        "try: tb.open(sys.argv[1])\n"
        "except tb.CheckpointError as error: print(error)\n",
        path,
    )
    assert done.returncode == 0, done.stderr
    assert "more than" in done.stdout or "more tensors" in done.stdout


def test_many_strings_in_one_block(tmp_path: Path) -> None:
    """Listing loads a block once, not once for each record: that would take minutes."""
    file = V1File()
    for i in range(60_000):
        file.add(f"s{i:05d}", b"x" * 200)
    path = file.write(tmp_path / "m", block_size=1 << 30)
    program = (
        "import sys, tensorbundle as tb; print(sum(i.nbytes for i in tb.open(sys.argv[1]).infos()))"
    )
    assert limited(program, path).stdout == "12000000\n"


def test_many_slices_in_two_blocks(tmp_path: Path) -> None:
    """The order of slices in the contents is not that of their records."""
    count = 20_000
    file = V1File()
    value = np.arange(2 * count, dtype="i1")
    order = [i // 2 + (i % 2) * count for i in range(2 * count)]
    file.add_sliced("w", value, [[(i, 1)] for i in order])
    path = file.write(tmp_path / "m", block_size=800_000)
    program = "import sys, tensorbundle as tb; print(tb.open(sys.argv[1])['w'].tobytes().hex())"
    assert limited(program, path).stdout.strip() == value.tobytes().hex()


def test_rows_of_strings(tmp_path: Path) -> None:
    words = np.array([[b"%d" % (i * 3 + j) for j in range(3)] for i in range(5)], object)
    file = V1File()
    file.add("whole", words)
    file.add_sliced("parts", words, [[(0, 2), None], [(2, 3), (0, 1)], [(2, 3), (1, 2)]])
    ckpt = tb.open(file.write(tmp_path / "m"))
    for name in ("whole", "parts"):
        assert ckpt[name].tolist() == words.tolist()
        for rows in (slice(1, 4), slice(0, 0), slice(4, 1, -1), slice(2, 3)):
            assert ckpt.read(name, rows=rows).tolist() == words[rows].tolist()
        assert ckpt.info(name).nbytes == sum(len(word) for word in words.ravel())


def test_a_damaged_string_leaves_the_rest(tmp_path: Path) -> None:
    file = one(1)
    file.declare("s", (2,), STRING, [[None]])
    file.add("zone", np.int64(3))
    path = file.write(tmp_path / "m")
    ckpt = tb.open(path)
    assert list(ckpt) == ["s", "w", "zone"]
    assert ckpt.shapes()["s"] == (2,)
    assert [info.nbytes for info in ckpt.infos()] == [0, 4, 8]
    assert train.list_variables(path) == [("s", [2]), ("w", []), ("zone", [])]
    with refused(CorruptionError, "no record has its key", tensor="s"):
        ckpt["s"]
    with pytest.raises(tb.TensorNotFoundError, match="did you mean"):
        ckpt["zones"]


def test_numbers_cut_between_pieces(tmp_path: Path) -> None:
    file = V1File()
    file.declare("w", (2,), 1, [[None]])
    data = values_proto(np.array([1, 2], "<f4"), 1)[2:]
    file.put("w", [None], bytes_field(5, data[:3]) + bytes_field(5, data[3:]))
    with refused(CorruptionError, "3 bytes of numbers of 4 bytes each", tensor="w"):
        tb.open(file.write(tmp_path / "m"))["w"]


def test_lines_for_one_tensor_are_one(tmp_path: Path) -> None:
    lines = [saved_tensor(b"w", (4,), INT64, [[(i, 1)]]) for i in range(4)]
    file = V1File()
    file.add_sliced("w", np.arange(4), [[(i, 1)] for i in range(4)])
    path = tmp_path / "m"
    path.write_bytes(table([(b"", contents(lines)), *sorted(file.records.items())]))
    assert tb.open(path)["w"].tolist() == [0, 1, 2, 3]


# Directories.


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_pipes_do_not_keep_us_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checkpoint")
    os.mkfifo(tmp_path / "m-00000-of-00001")
    os.mkfifo(tmp_path / "m.index")
    program = (
        "import sys, tensorbundle as tb\n"
        "from tensorbundle import train\n"
        "d = sys.argv[1]\n"
        "for function in (tb.list_checkpoints, tb.load_state, tb.open, train.latest_checkpoint,\n"
        "                 train.get_checkpoint_state, train.checkpoint_exists):\n"
        "    try: print(function.__name__, function(d))\n"
        "    except (OSError, ValueError) as error: print(function.__name__, error)\n"
    )
    done = limited(program, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6
    assert "latest_checkpoint None" in done.stdout


def test_directories_that_may_not_be_listed() -> None:
    """As a user who is not root, which tests may be."""
    program = (
        "import os, sys, errno, tensorbundle as tb\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "for path in sys.argv[1:]:\n"
        "    try: tb.open(path); print('opened')\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
    )
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = Path(made, "run")
        one(1).write(folder / "m-1")
        write_shards(folder / "s", [one(1)])
        folder.chmod(0o311)
        done = limited(program, folder, folder / "s", folder / "m-1")
        folder.chmod(0o755)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert lines[0].startswith("PermissionError")
    assert lines[1].startswith("PermissionError")
    assert "may not be listed" in lines[1]
    assert lines[2] == "opened"


def test_steps_with_very_many_digits(tmp_path: Path) -> None:
    one(1).write(tmp_path / "m-7")
    name = "m-" + "9" * 5000
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{name}"')
    document = json.loads(cli("ls", tmp_path, "--json").out)
    assert [each["step"] for each in document["checkpoints"]] == [7, None]


def test_very_many_shards_that_are_not_there(tmp_path: Path) -> None:
    for i in range(200):
        (tmp_path / f"m{i}.index").touch()
        (tmp_path / f"m{i}.data-00000-of-99999").touch()
    program = (
        "import sys, tensorbundle as tb\n"
        "print(sum(each.missing for each in tb.list_checkpoints(sys.argv[1])))"
    )
    assert limited(program, tmp_path).stdout == f"{200 * 99998}\n"
