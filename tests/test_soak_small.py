"""Opened, read and closed over and over, what a process holds stays the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from writer import Bundle

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads what the process holds from /proc"
)

ROUNDS = 2000
# An allocator may take a few pages more; a leak of 256 bytes a round is found.
GROWTH = ROUNDS * 256

# A process of its own: what other tests allocate and free would be in the count.
SOAK = """
import gc, json, os, sys
import numpy as np
import tensorbundle as tb

prefix, action, mmap, rounds = sys.argv[1], sys.argv[2], sys.argv[3] == "True", int(sys.argv[4])

def read(ckpt):
    for name in ("plain", "odd", "parts", "words"):
        ckpt.read(name, verify=True)
        ckpt.read(name, rows=slice(1, 3), aligned=True)

def list_all(ckpt):
    for info in ckpt.infos():
        info.dtype, info.slices, info.name, hash(info)
    list(ckpt), ckpt.shapes(), ckpt.dtypes(), len(ckpt), repr(ckpt)

def fail(ckpt):
    for name in ("plane", "short", "wrong"):
        try:
            ckpt.read(name, verify=True)
        except tb.CheckpointError:
            pass
        else:
            raise AssertionError(name)
    try:
        tb.open(prefix + "-not-there", mmap=mmap)
    except FileNotFoundError:
        pass

def keep_a_view(ckpt):
    global view
    view = ckpt["plain"]

def held():
    with open("/proc/self/smaps_rollup") as rollup:
        anonymous = next(int(l.split()[1]) << 10 for l in rollup if l.startswith("Anonymous:"))
    with open("/proc/self/maps") as maps:
        mapped = sum(os.path.dirname(prefix) in line for line in maps)
    return {
        "anonymous": anonymous,
        "mapped": mapped,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }

def repeat(rounds):
    work = globals()[action]
    for _ in range(rounds):
        with tb.open(prefix, mmap=mmap) as ckpt:
            work(ckpt)

view = None
gc.disable()  # files and maps go with the last reference to them, not with a collection
repeat(rounds // 10)
before = held()
repeat(rounds)
view = None
print(json.dumps([before, held()]))
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = np.arange(1200, dtype="<f4").reshape(12, 100)
    bundle = Bundle(shards=2)
    bundle.add("flag", np.bool_(True))
    bundle.add("odd", rows)
    bundle.add("plain", rows, shard=1)
    bundle.add_sliced("parts", rows, [[(0, 5), None], [(5, 7), None]], shards=[0, 1])
    bundle.add("words", [b"a", b"bb", b"ccc", b"dddd" * 1000])
    bundle.add("wrong", rows, crc=1)
    bundle.add("short", rows, offset=1 << 40)
    return bundle.write(tmp_path_factory.mktemp("soak") / "b", block_size=100)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("action", ["read", "list_all", "fail", "keep_a_view"])
def test_nothing_is_kept(prefix: str, action: str, mmap: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SOAK, prefix, action, str(mmap), str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    before, after = json.loads(done.stdout)
    grown = after.pop("anonymous") - before.pop("anonymous")
    print(grown, before, after)
    assert grown < GROWTH
    assert after["mapped"] == 0
    assert after["descriptors"] == before["descriptors"]


def test_a_short_soak() -> None:
    """`make soak`, for seconds: threads and forked workers on shared readers, and openings."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent / "soak.py"), "400"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "SOAK_SECONDS": "3"},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    figures = json.loads(done.stdout)
    print(figures)
    assert figures["workers"] > 0
    assert figures["read"] > 0
