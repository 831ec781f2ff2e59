"""One reader in many threads, in forked processes, and with the GIL let go."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from encoding import slice_key
from writer import Bundle


@pytest.fixture
def restless() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def crowd(tmp_path: Path) -> tuple[str, dict[str, np.ndarray[Any, Any]]]:
    rng = np.random.default_rng(5)
    bundle = Bundle(shards=4)
    content: dict[str, np.ndarray[Any, Any]] = {}
    for i in range(120):
        array = rng.integers(0, 100, (i % 7 + 2, 3), dtype=np.int32)
        content[f"t{i:03}"] = array
        if i % 3:
            bundle.add(f"t{i:03}", array, shard=i % 4)
        else:
            halves = [[(0, 1), None], [(1, len(array) - 1), None]]
            bundle.add_sliced(f"t{i:03}", array, halves, shards=[i % 4, (i + 1) % 4])
    return bundle.write(tmp_path / "b", block_size=500), content


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("mmap", [True, False])
def test_threads(tmp_path: Path, mmap: bool) -> None:
    prefix, content = crowd(tmp_path)
    ckpt = tb.open(prefix, mmap=mmap)
    start = threading.Barrier(8)
    wrong: list[Any] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        start.wait()
        try:
            for i in rng.permutation(len(content)):
                name = f"t{i:03}"
                if not np.array_equal(ckpt.read(name, verify=bool(i % 2)), content[name]):
                    wrong.append(name)
            if len(ckpt) != len(content) or len(ckpt.infos()) != len(content):
                wrong.append("listing")
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.usefixtures("restless")
def test_closing_while_others_read(tmp_path: Path) -> None:
    prefix, content = crowd(tmp_path)
    for _ in range(5):
        ckpt = tb.open(prefix)
        outcome: list[Any] = []

        def work(ckpt: Any = ckpt, outcome: list[Any] = outcome) -> None:
            try:
                for name, want in content.items():
                    if not np.array_equal(ckpt[name], want):
                        outcome.append(name)
            except ValueError as error:
                if "closed" not in str(error):
                    outcome.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        ckpt.close()
        for thread in threads:
            thread.join()
        assert outcome == []


def big_partitioned(tmp_path: Path) -> tuple[str, int]:
    """A tensor of 256 MB in four slices; the shard is sparse, so it costs no disk."""
    rows = 1 << 14
    bundle = Bundle()
    extents = [[(i * rows // 4, rows // 4), None] for i in range(4)]
    bundle.declare("w", 1, (rows, 4096), extents)
    size = rows // 4 * 4096 * 4
    for i, piece in enumerate(extents):
        bundle.add(
            slice_key(b"w", piece),
            np.float32(0),
            data=b"",
            shape=(rows // 4, 4096),
            size=size,
            offset=i * size,
        )
    prefix = bundle.write(tmp_path / "b")
    with Path(prefix + ".data-00000-of-00001").open("r+b") as shard:
        shard.truncate(4 * size)
    return prefix, rows


@pytest.mark.parametrize("options", [{}, {"verify": True}, {"aligned": True}], ids=repr)
def test_the_gil_is_free_while_slices_are_put_together(
    tmp_path: Path, options: dict[str, bool]
) -> None:
    """Another thread counts on while a big tensor is being read."""
    prefix, rows = big_partitioned(tmp_path)
    ckpt = tb.open(prefix)
    ready, done = threading.Event(), threading.Event()
    span: list[float] = []

    def assemble() -> None:
        ready.wait()
        span.append(time.perf_counter())
        try:
            assert ckpt.read("w", **options).shape[0] == rows
        except tb.errors.CorruptionError:
            assert options.get("verify")  # the checksums of the sparse shard are made up
        span.append(time.perf_counter())
        done.set()

    thread = threading.Thread(target=assemble)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)  # nobody takes the GIL away: it has to be given
    try:
        thread.start()
        ticks = []
        ready.set()
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0)
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    begin, end = span
    during = [tick for tick in ticks if begin + (end - begin) / 4 < tick < end - (end - begin) / 4]
    assert len(during) > 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("mmap", [True, False])
def test_fork(tmp_path: Path, mmap: bool) -> None:
    prefix, content = crowd(tmp_path)
    code = f"""
import os, sys
import numpy as np
import tensorbundle as tb
ckpt = tb.open({prefix!r}, mmap={mmap})
names = list(ckpt)
before = {{name: ckpt[name] for name in names[:60]}}
ckpt.read("t000", verify=True)
want = {{name: value.tolist() for name, value in tb.open({prefix!r}).items()}}
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        fine = all(ckpt.read(name, verify=True).tolist() == want[name] for name in names)
        fine = fine and all(view.tolist() == want[name] for name, view in before.items())
        os._exit(0 if fine else 1)
    children.append(child)
status = [os.waitpid(child, 0)[1] for child in children]
assert all(view.tolist() == want[name] for name, view in before.items())
sys.exit(max(status) != 0)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(content) == 120
