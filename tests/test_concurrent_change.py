"""Files that change while a checkpoint is open: an error or whole values, and never a signal.

What is left is a plain view of a map, or a mapped graph, that is touched after its file was cut
short: the last tests show that this ends the process, as the documentation says.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph_maker import const, graph_def, meta_graph, node, tensor
from writer import Bundle, shard_path
from writer_v1 import V1File

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not let a mapped file be cut"
)

HERE = Path(__file__).parent
CHANGES = [
    "to nothing",
    "to the middle",
    "by a page",
    "by a byte",
    "replaced",
    "rewritten",
    "grown",
    "removed",
]
CUTS = CHANGES[:4]
ROWS = 4096


def content(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    words = [bytes([65 + seed]) * (i % 50) for i in range(400)]
    return {
        "a/first": rng.standard_normal((ROWS, 8)).astype("<f4"),
        "m/parts": rng.integers(1, 9, (ROWS, 4)).astype("<i8"),
        "m/words": np.array(words, dtype=object),
        "v/last": rng.integers(1, 200, 9001).astype("<u2"),
    }


def bundle(seed: int) -> Bundle:
    """All numbers lie at odd places, so that `aligned=True` is a copy."""
    made = Bundle()
    for name, value in content(seed).items():
        made.shards[0] += bytes(1 - len(made.shards[0]) % 2)
        if name == "m/parts":
            made.add_sliced(name, value, [[(i * 512, 512), None] for i in range(ROWS // 512)])
        else:
            made.add(name, value)
    for i in range(200):  # an index of several pages
        made.add(f"p/{i}", np.int16(i + 1000 * seed + 1), dtype=5)
    made.add("u/variants", [b"\x0a\x01" + bytes([48 + seed])] * 500, dtype=21)
    made.shards[0] += bytes(1 - len(made.shards[0]) % 2)
    made.add("v/more", np.arange(5000, dtype="<f4") + np.float32(seed + 1))
    return made


def v2(tmp_path: Path) -> tuple[str, str]:
    made = [bundle(i).write(tmp_path / f"b{i}", block_size=150) for i in range(2)]
    return made[0], made[1]


def v1(tmp_path: Path) -> tuple[str, str]:
    made = []
    for seed in range(2):
        file = V1File()
        for name, value in content(seed).items():
            if name == "m/parts":
                file.add_sliced(name, value, [[(i * 512, 512), None] for i in range(ROWS // 512)])
            else:
                file.add(name, value)
        made.append(file.write(tmp_path / f"m{seed}", block_size=5000))
    return made[0], made[1]


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ends(
    make: Callable[[Path], tuple[str, str]], folder: Path, suffix: str, **options: Any
) -> dict[str, dict[str, set[str]]]:
    """How reads end after each of the changes to one file."""
    lines = []
    for change in CHANGES:
        path, spare = make(folder / change)
        plan = {"path": path, "victim": path + suffix, "spare": spare + suffix, "change": change}
        lines.append(json.dumps([plan | options, spare]))
    done = subprocess.run(
        [sys.executable, str(HERE / "program_changing.py")],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    results = done.stdout.splitlines()
    ended = (done.returncode, done.stderr)
    assert ended == (0, ""), CHANGES[len(results) : len(results) + 1]
    found = [{key: set(value) for key, value in json.loads(line).items()} for line in results]
    return dict(zip(CHANGES, found, strict=True))


DATA, INDEX = ".data-00000-of-00001", ".index"


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("opened", [[], ["a/first"]], ids=["before", "between"])
def test_a_shard(tmp_path: Path, opened: list[str], mmap: bool) -> None:
    """Between opening and reading, and between two reads."""
    for change, got in ends(v2, tmp_path, DATA, mmap=mmap, opened=opened).items():
        assert got["listing"] == {"fine"}, change
        plain, verified = got["plain"], got["verified"]
        if change == "to nothing" or (change == "removed" and not opened):
            assert plain == verified == {"refused"}, change
        elif change in CUTS:
            assert verified == {"old", "refused"}, change
            # A map has zeros from the end of the file to the end of its page: only checksums tell.
            seam = {"zeros"} if mmap and opened and change == "by a byte" else set()
            assert plain <= {"old", "refused"} | seam, change
        elif change == "rewritten" or (change == "replaced" and not opened):
            # The index is still the old one, so that its checksums refuse the new bytes.
            assert plain == {"new", "refused"}, change
            assert verified == {"refused"}, change
        else:
            assert plain == verified == {"old"}, change


@pytest.mark.parametrize("opened", [[], ["a/first"]], ids=["before", "between"])
def test_an_index(tmp_path: Path, opened: list[str]) -> None:
    """Blocks are read when they are touched: from the file that was opened."""
    for change, got in ends(v2, tmp_path, INDEX, mmap=True, opened=opened).items():
        assert set.union(*got.values()) <= {"old", "refused", "fine"}, change
        if change in ("replaced", "grown", "removed", "by a byte"):  # the footer was read before
            want = {"plain": {"old"}, "verified": {"old"}, "listing": {"fine"}}
            assert got == want, change
        elif change in CUTS:
            assert "refused" in got["listing"], change


@pytest.mark.parametrize("opened", [[], ["a/first"]], ids=["before", "between"])
def test_a_v1_file(tmp_path: Path, opened: list[str]) -> None:
    for change, got in ends(v1, tmp_path, "", mmap=True, opened=opened).items():
        fresh = {"new"} if change == "rewritten" else set()
        assert set.union(*got.values()) <= {"old", "refused", "fine"} | fresh, change
        if change in ("replaced", "grown", "removed"):
            assert got["plain"] == got["verified"] == {"old"}, change
        if change == "to nothing":
            assert "refused" in got["plain"], change


# In the middle of a read.

READ_ON = """
import collections, json, sys, time
import tensorbundle as tb
ckpt = tb.open(sys.argv[1], mmap=False)
want = {name: ckpt.read(name).tolist() for name in ckpt}
print("ready", flush=True)
counts, end = collections.Counter(), time.monotonic() + 2
while time.monotonic() < end:
    for name, value in want.items():
        try:
            counts["old" if ckpt.read(name).tolist() == value else "wrong"] += 1
        except (tb.CorruptionError, OSError):
            counts["refused"] += 1
print(json.dumps(counts))
"""


@pytest.mark.parametrize("kind", ["v2", "v1"])
def test_cut_and_restored_in_the_middle_of_reads(tmp_path: Path, kind: str) -> None:
    path = (v2 if kind == "v2" else v1)(tmp_path)[0]
    victim = Path(path + DATA if kind == "v2" else path)
    data = victim.read_bytes()
    kept = len(data) // 2 // 4096 * 4096
    reader = subprocess.Popen(
        [sys.executable, "-c", READ_ON, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 60
    with victim.open("r+b", buffering=0) as file:
        while reader.poll() is None and time.monotonic() < deadline:
            os.ftruncate(file.fileno(), kept)
            time.sleep(0.001)
            os.pwrite(file.fileno(), data[kept:], kept)
            time.sleep(0.001)
    out, err = reader.communicate(timeout=60)
    assert (reader.returncode, err) == (0, b"")
    counts = json.loads(out)
    assert set(counts) <= {"old", "refused"}
    assert counts["old"] > 0


# Graphs.

READ_GRAPH = """
import os, sys
import tensorbundle as tb
meta = tb.load_meta_graph(sys.argv[1], mmap=sys.argv[2] == "True")
os.truncate(sys.argv[1], 4096)
try:
    meta.graph.get_operation_by_name("k").get_attr("value").sum()
    meta.graph.problems()
    meta.graph.to_graph_def_bytes()
except tb.CheckpointError:
    print("refused")
else:
    print("old")
"""


def graph_file(tmp_path: Path) -> str:
    """Above the size from which files are mapped."""
    big = const("k", tensor(1, [1 << 20], b"\1" * (4 << 20)))
    path = tmp_path / "g.meta"
    path.write_bytes(meta_graph(graph_def([node("a", "NoOp"), big, node("z", "NoOp")])))
    return str(path)


def test_a_graph_that_is_read(tmp_path: Path) -> None:
    done = run(READ_GRAPH, graph_file(tmp_path), "False")
    assert (done.returncode, done.stdout, done.stderr) == (0, "old\n", "")


# What is left, as documented.

TOUCH_VIEW = """
import os, sys
import tensorbundle as tb
view = tb.open(sys.argv[1]).read("a/first")
os.truncate(sys.argv[2], 0)
print("cut", flush=True)
view.sum()
"""


def test_a_view_that_is_touched_after_a_cut(tmp_path: Path) -> None:
    path = v2(tmp_path)[0]
    done = run(TOUCH_VIEW, path, shard_path(path, 0, 1))
    assert (done.returncode, done.stdout) == (-signal.SIGBUS, "cut\n")


def test_a_mapped_graph_that_is_touched_after_a_cut(tmp_path: Path) -> None:
    done = run(READ_GRAPH, graph_file(tmp_path), "True")
    assert (done.returncode, done.stdout) == (-signal.SIGBUS, "")
