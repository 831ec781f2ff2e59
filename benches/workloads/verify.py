"""`verify`: every checksum of 4 GiB, as 512 tensors, as one, and of 200,000 small ones."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import crc32c
import numpy as np

import tensorbundle as tb
from harness import Side, alternate, cold, tensorflow
from report import Row, times, within
from workload import Parameters, Workload
from workloads import big

_NAME = "verify"
_SMALL = 200_000
_ROUNDS = 9
_ROUNDS_SLOW = 3
_CHUNK = 4 << 20


def parameters(size: float) -> Parameters:
    return {
        **big.parameters(size),
        "small": max(round(_SMALL * size), 100),
    }


def make(directory: Path, parameters: Parameters) -> None:
    tf = tensorflow()

    big.save(directory / "big", parameters)
    small = parameters["small"]
    values = np.arange(small * 8, dtype=np.float32).reshape(small, 8)
    tf.raw_ops.SaveV2(
        prefix=str(directory / "many"),
        tensor_names=[f"tower_{i // 10_000:03d}/cell_{i % 10_000:04d}/w" for i in range(small)],
        shape_and_slices=[""] * small,
        tensors=[tf.constant(value) for value in values],
    )
    _make_one(directory, parameters)


def _make_one(directory: Path, parameters: Parameters) -> None:
    """The same shard as one tensor: another index is all it takes, and no 4 GiB of memory."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from encoding import entry_proto, mask
    from writer import Bundle

    shard = _shard(directory, "big")
    rows, columns = parameters["tensors"] * parameters["rows"], parameters["columns"]
    crc = 0
    with shard.open("rb") as file:
        while piece := file.read(_CHUNK):
            crc = crc32c.crc32c(piece, crc)
    size = rows * columns * 4
    bundle = Bundle()
    bundle.items[b"one"] = entry_proto(dtype=1, shape=(rows, columns), size=size, crc=mask(crc))
    (directory / "one.index").write_bytes(bundle.index())
    os.link(shard, _shard(directory, "one"))


def _shard(directory: Path, name: str) -> Path:
    return directory / f"{name}.data-00000-of-00001"


def _plain(shard: Path) -> Callable[[], int]:
    """CRC-32C over a map of the file by two threads, chunk by chunk, and nothing else."""

    def run() -> int:
        with (
            shard.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole,
            memoryview(whole) as view,
        ):
            starts = iter(range(0, len(view), _CHUNK))
            lock = threading.Lock()

            def work() -> None:
                while True:
                    with lock:
                        start = next(starts, None)
                    if start is None:
                        return
                    with view[start : start + _CHUNK] as chunk:
                        crc32c.crc32c(chunk)

            threads = [threading.Thread(target=work) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return len(view)

    return run


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    tf = tensorflow()
    shard, one, many = (_shard(directory, name) for name in ("big", "one", "many"))

    def ours(name: str, **options: bool) -> Callable[[], object]:
        def run() -> object:
            report = tb.verify(directory / name, **options)
            if not report.ok:
                raise SystemExit(f"{_NAME}: {report.findings[0]}")
            return report

        return run

    def tensorflow_reads(name: str) -> Callable[[], object]:
        def run() -> object:
            reader = tf.train.load_checkpoint(str(directory / name))
            for tensor in reader.get_variable_to_shape_map():
                reader.get_tensor(tensor)
            return reader

        return run

    def dd() -> object:
        command = ["dd", f"if={shard}", "of=/dev/null", "bs=1M", "status=none"]
        return subprocess.run(command, check=True)

    size = f"{shard.stat().st_size / 2**30:.3g} GiB"
    sides = [
        Side("ours", ours("big")),
        Side("plain", _plain(shard)),
        Side("read", ours("big", mmap=False)),
        Side("one", ours("one")),
    ]
    whole = alternate(sides, _ROUNDS, files=[shard])
    sides = [Side("ours", ours("big")), Side("tensorflow", tensorflow_reads("big"))]
    slow = alternate(sides, _ROUNDS_SLOW, files=[shard], warm_up=False)
    sides = [Side("ours", ours("many")), Side("tensorflow", tensorflow_reads("many"))]
    small = alternate(sides, _ROUNDS_SLOW, files=[many])
    from_disk = cold([Side("ours", ours("big")), Side("dd", dd)], _ROUNDS_SLOW, [shard, one])
    plain = "two threads of crc32c"
    return [
        Row(
            _NAME, f"512 tensors, {size}", slow["ours"], "TensorFlow", slow["tensorflow"], times(15)
        ),
        Row(_NAME, f"512 tensors, {size}", whole["ours"], plain, whole["plain"], times(0.9)),
        Row(_NAME, f"one tensor, {size}", whole["one"], plain, whole["plain"], times(0.9)),
        Row(
            _NAME,
            f"512 tensors, mmap=False, {size}",
            whole["read"],
            plain,
            whole["plain"],
            times(0.6),
        ),
        Row(
            _NAME,
            f"{parameters['small']:,} tensors of 8 floats",
            small["ours"],
            "TensorFlow",
            small["tensorflow"],
            times(15),
        ),
        Row(
            _NAME,
            f"512 tensors, {size}, from the disk",
            from_disk["ours"],
            "dd",
            from_disk["dd"],
            within(1.05),
        ),
    ]


WORKLOAD = Workload(_NAME, parameters, make, measure)
