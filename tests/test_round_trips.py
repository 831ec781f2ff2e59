"""What is written is what is read, whatever it is: V1 checkpoints, grids of slices, state files.

Plain V2 bundles of every type go round in test_oracle.py.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorbundle as tb
from encoding import Extent, snappy_compress
from test_oracle import NAMES
from writer import DTYPES, STRING, VARIANT, Bundle
from writer_v1 import FLOATS, VARINTS, V1File, write_shards

TRIPS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Array = np.ndarray[Any, Any]
Content = dict[bytes, tuple[int, Array, list[list[Extent]]]]


@st.composite
def arrays(draw: Any, numbers: list[int]) -> tuple[int, Array]:
    number = draw(st.sampled_from(numbers))
    shape = draw(st.lists(st.integers(1, 5) | st.integers(0, 1), max_size=4).map(tuple))
    count = int(np.prod(shape, dtype=np.int64))
    if number in {STRING, VARIANT}:
        array = np.empty(count, dtype=object)
        array[:] = draw(st.lists(st.binary(max_size=9), min_size=count, max_size=count))
    else:
        size = count * DTYPES[number].itemsize
        data = draw(st.binary(min_size=size, max_size=size))
        if number == 10:
            data = bytes(byte & 1 for byte in data)
        array = np.frombuffer(data, DTYPES[number])
    return number, array.reshape(shape)


@st.composite
def grids(draw: Any, shape: tuple[int, ...]) -> list[list[Extent]]:
    """Each axis cut anywhere, the pieces in any order; an axis that is not cut in either form."""
    if 0 in shape:
        return [[None] * len(shape)]
    axes: list[list[Extent]] = []
    for dim in shape:
        cuts = sorted(draw(st.sets(st.integers(1, dim - 1), max_size=2))) if dim > 1 else []
        ends = list(itertools.pairwise([0, *cuts, dim]))
        pieces: list[Extent] = [(start, end - start) for start, end in ends]
        axes.append([None] if not cuts and draw(st.booleans()) else pieces)
    return draw(st.permutations([list(each) for each in itertools.product(*axes)]))


@st.composite
def contents(draw: Any, numbers: list[int]) -> Content:
    named = draw(st.dictionaries(NAMES, arrays(numbers), min_size=1, max_size=6))
    return {
        name: (number, array, draw(grids(array.shape))) for name, (number, array) in named.items()
    }


def same(prefix: str, content: Content, mmap: bool) -> None:
    with tb.open(prefix, mmap=mmap, verify=True) as ckpt:
        assert set(ckpt) == {name.decode("utf-8", "surrogateescape") for name in content}
        for name, (number, want, _) in content.items():
            key = name.decode("utf-8", "surrogateescape")
            got = ckpt[key]
            assert (got.shape, ckpt.info(key).shape) == (want.shape, want.shape)
            if number in {STRING, VARIANT}:
                assert got.tolist() == want.tolist()
                continue
            assert got.dtype.itemsize == want.dtype.itemsize
            assert got.astype(want.dtype).tobytes() == want.tobytes()
            if want.shape:
                rows = ckpt.read(key, rows=slice(1, 3))
                assert rows.astype(want.dtype).tobytes() == want[1:3].tobytes()
    assert tb.verify(prefix, mmap=mmap).ok


@TRIPS
@given(
    content=contents([7, *FLOATS, *VARINTS]),
    files=st.integers(1, 3),
    packed=st.booleans(),
    snappy=st.booleans(),
    block_size=st.sampled_from([40, 300, 1 << 18]),
    mmap=st.booleans(),
    data=st.data(),
)
def test_v1(
    tmp_path_factory: pytest.TempPathFactory,
    content: Content,
    files: int,
    packed: bool,
    snappy: bool,
    block_size: int,
    mmap: bool,
    data: st.DataObject,
) -> None:
    made = [V1File() for _ in range(files)]
    for name, (number, array, slices) in content.items():
        where = [data.draw(st.integers(0, files - 1)) for _ in slices]
        for i in set(where):
            own = [extents for extents, at in zip(slices, where, strict=True) if at == i]
            made[i].add_sliced(name, array, own, dtype=number, packed=packed)
    hooks: dict[str, Any] = {"block_size": block_size}
    if snappy:
        hooks |= {"contents": lambda _part, raw: snappy_compress(raw), "kind": lambda _part: 1}
    same(write_shards(tmp_path_factory.mktemp("v1") / "m", made, **hooks), content, mmap)


@TRIPS
@given(
    content=contents(sorted(DTYPES)),
    shards=st.integers(1, 3),
    big_endian=st.booleans(),
    snappy=st.booleans(),
    block_size=st.sampled_from([40, 300, 1 << 18]),
    mmap=st.booleans(),
    data=st.data(),
)
def test_grids_of_slices(
    tmp_path_factory: pytest.TempPathFactory,
    content: Content,
    shards: int,
    big_endian: bool,
    snappy: bool,
    block_size: int,
    mmap: bool,
    data: st.DataObject,
) -> None:
    bundle = Bundle(shards=shards, big_endian=big_endian)
    for name, (number, array, slices) in content.items():
        where = [data.draw(st.integers(0, shards - 1)) for _ in slices]
        bundle.add_sliced(name, array, slices, dtype=number, shards=where)
    hooks: dict[str, Any] = {"block_size": block_size}
    if snappy:
        hooks |= {"contents": lambda _part, raw: snappy_compress(raw), "kind": lambda _part: 1}
    same(bundle.write(tmp_path_factory.mktemp("v2") / "m", **hooks), content, mmap)


PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
TIMES = st.floats(allow_nan=False)


@TRIPS
@given(
    latest=PATHS,
    paths=st.lists(PATHS, max_size=5),
    times=st.lists(TIMES, max_size=5),
    last=st.none() | TIMES.filter(bool),
    as_utf8=st.booleans(),
    one_line=st.booleans(),
)
def test_state_files(
    tf: Any,
    tmp_path_factory: pytest.TempPathFactory,
    latest: str,
    paths: list[str],
    times: list[float],
    last: float | None,
    as_utf8: bool,
    one_line: bool,
) -> None:
    from google.protobuf import text_format
    from tensorflow.python.checkpoint.checkpoint_management import CheckpointState

    del tf
    proto = CheckpointState(
        model_checkpoint_path=latest,
        all_model_checkpoint_paths=paths,
        all_model_checkpoint_timestamps=times,
        last_preserved_timestamp=last,
    )
    text = text_format.MessageToString(proto, as_utf8=as_utf8, as_one_line=one_line)
    folder = tmp_path_factory.mktemp("state")
    (folder / "checkpoint").write_bytes(text.encode())
    state = tb.load_state(Path(folder))
    assert (state.recorded_path, state.recorded_paths) == (latest, paths)
    assert state.all_model_checkpoint_timestamps == times
    assert state.last_preserved_timestamp == (last or 0.0)
