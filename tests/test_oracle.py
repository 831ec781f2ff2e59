"""TensorFlow as oracle: what it writes reads back bit for bit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorbundle as tb
from encoding import MASK_DELTA, bytes_field, entry_proto, shape_proto, slice_key, varint_field
from writer import DTYPES, QUANTIZED, STRING, VARIANT, Bundle, as_array

# What SaveV2 takes. Quantized types have no NumPy type: they are cast from the plain one.
KINDS: dict[str, Any] = {
    "float32": "<f4",
    "float64": "<f8",
    "float16": "<f2",
    "bfloat16": ml_dtypes.bfloat16,
    "int8": "i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "bool": "?",
    "complex64": "<c8",
    "complex128": "<c16",
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "float8_e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "float8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "int4": ml_dtypes.int4,
    "uint4": ml_dtypes.uint4,
    "int2": ml_dtypes.int2,
    "uint2": ml_dtypes.uint2,
    "float4_e2m1fn": ml_dtypes.float4_e2m1fn,
    "qint8": "i1",
    "quint8": "u1",
    "qint16": "<i2",
    "quint16": "<u2",
    "qint32": "<i4",
    "string": object,
}
SHAPES: list[tuple[int, ...]] = [
    *((4, 5, 1, 3, 1, 2, 2, 1)[:rank] for rank in range(9)),
    (0,),
    (3, 0),
    (0, 2, 5),
    (1,) * 8,
    (40, 17),
]
# Where TensorFlow can put slices together itself; elsewhere the source is the oracle.
TF_JOINS = {
    *("float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "bool"),
    *("bfloat16", "complex128", "qint8", "quint8", "qint32", "int4", "uint4"),
}


def values(kind: Any, shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """Random bits, so NaNs, infinities and denormals are among them."""
    rng = np.random.default_rng(seed)
    count = int(np.prod(shape, dtype=np.int64))
    if kind is object:
        strings = [rng.bytes(int(size)) for size in rng.integers(0, 40, count)]
        array = np.empty(count, dtype=object)
        array[:] = strings
        return array.reshape(shape)
    dtype = np.dtype(kind)
    if dtype == np.bool_:
        return rng.integers(0, 2, count).astype(bool).reshape(shape)
    if dtype == ml_dtypes.float4_e2m1fn:
        return np.frombuffer(bytes(rng.integers(0, 16, count).tolist()), dtype).reshape(shape)
    if dtype.itemsize == 1 and "int" in dtype.name and dtype.name[-1] in "42":
        bits = int(dtype.name[-1])
        low = -(1 << bits - 1) if dtype.name.startswith("i") else 0
        return rng.integers(low, low + (1 << bits), count).astype(dtype).reshape(shape)
    return np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).reshape(shape)


def tensor(tf: Any, name: str, array: np.ndarray[Any, Any]) -> Any:
    if name.startswith(("qint", "quint")):
        return tf.bitcast(tf.constant(array), getattr(tf, name))
    return tf.constant(array, dtype=getattr(tf.dtypes, name, None) or tf.as_dtype(name))


def same(got: np.ndarray[Any, Any], want: np.ndarray[Any, Any]) -> bool:
    """Bit for bit, and as many dimensions."""
    if got.shape != want.shape or got.dtype.itemsize != want.dtype.itemsize:
        return False
    if want.dtype == object:
        return got.dtype == object and got.tolist() == want.tolist()
    return got.dtype == want.dtype and got.tobytes() == want.tobytes()


def cuts(shape: tuple[int, ...], seed: int) -> Iterator[list[tuple[int, int]]]:
    """A tiling of a shape: its first two dimensions and the fourth, each cut at most twice."""
    rng = np.random.default_rng(seed)
    parts: list[list[tuple[int, int]]] = []
    for axis, dim in enumerate(shape):
        inner = range(1, dim) if axis in {0, 1, 3} else range(0)
        places = (
            sorted(rng.choice(inner, min(len(inner), 1 + axis % 2), replace=False)) if inner else []
        )
        ends = [0, *map(int, places), dim]
        parts.append([(a, b - a) for a, b in itertools.pairwise(ends)])
    return map(list, itertools.product(*parts))


def spec(shape: tuple[int, ...], extents: list[tuple[int, int]]) -> str:
    """The string SaveV2 takes; a dimension that is whole is written both ways in turn."""
    items = [
        "-" if (start, length) == (0, dim) and axis % 2 else f"{start},{length}"
        for axis, ((start, length), dim) in enumerate(zip(extents, shape, strict=True))
    ]
    return " ".join(map(str, shape)) + " " + ":".join(items)


class Written:
    """Bundles that TensorFlow wrote, and the arrays it was given."""

    def __init__(self, tf: Any, folder: Path) -> None:
        self.tf = tf
        self.folder = folder
        self.source: dict[str, np.ndarray[Any, Any]] = {}
        self.sliced: set[str] = set()

    def save(self, prefix: str, pieces: list[tuple[str, str, Any]]) -> None:
        names, specs, tensors = zip(*pieces, strict=True)
        self.tf.raw_ops.SaveV2(
            prefix=prefix, tensor_names=names, shape_and_slices=specs, tensors=tensors
        )

    def write(self, shards: int) -> str:
        """Every kind and shape, whole and sliced, dealt out over the shards."""
        dealt: list[list[tuple[str, str, Any]]] = [[] for _ in range(shards)]
        turn = itertools.cycle(range(shards))
        for kind, (i, shape) in itertools.product(KINDS, enumerate(SHAPES)):
            array = values(KINDS[kind], shape, seed=i)
            self.source[name := f"{kind}/{i}"] = array
            dealt[next(turn)].append((name, "", tensor(self.tf, kind, array)))
            if not shape or 0 in shape:
                continue
            self.source[name := f"{kind}/{i}/sliced"] = array
            self.sliced.add(name)
            for extents in cuts(shape, seed=i):
                box = tuple(slice(start, start + length) for start, length in extents)
                piece = tensor(self.tf, kind, np.ascontiguousarray(array[box]))
                dealt[next(turn)].append((name, spec(shape, extents), piece))
        prefix = str(self.folder / f"of-{shards}")
        if shards == 1:
            self.save(prefix, dealt[0])
            return prefix
        parts = [f"{prefix}-part-{i}" for i in range(shards)]
        for part, pieces in zip(parts, dealt, strict=True):
            self.save(part, pieces)
        self.tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=parts, destination_prefix=prefix, delete_old_dirs=False
        )
        return prefix


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def written(tf: Any, tmp_path_factory: pytest.TempPathFactory, request: Any) -> tuple[Any, str]:
    made = Written(tf, tmp_path_factory.mktemp("oracle"))
    return made, made.write(request.param)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("verify", [True, False])
def test_every_kind_and_shape(written: tuple[Any, str], mmap: bool, verify: bool) -> None:
    made, prefix = written
    with tb.open(prefix, mmap=mmap, verify=verify) as ckpt:
        assert list(ckpt) == sorted(made.source)
        wrong = [name for name, want in made.source.items() if not same(ckpt[name], want)]
        assert wrong == []


def test_tensorflow_reads_the_same(written: tuple[Any, str]) -> None:
    made, prefix = written
    reader = made.tf.train.load_checkpoint(prefix)
    ckpt = tb.open(prefix)
    kinds = reader.get_variable_to_dtype_map()
    shapes = reader.get_variable_to_shape_map()
    assert set(ckpt) == set(shapes)
    compared = 0
    for info in ckpt.infos():
        assert list(info.shape) == shapes[info.name]
        assert info.type_name == kinds[info.name].name
        if info.name in made.sliced and info.type_name not in TF_JOINS:
            continue
        theirs, ours = as_array(reader.get_tensor(info.name)), ckpt[info.name]
        assert (theirs.shape, theirs.dtype.itemsize) == (ours.shape, ours.dtype.itemsize)
        if info.type_name == "string":
            assert theirs.tolist() == ours.tolist()
        elif info.dtype.kind in "biufc":
            assert theirs.tobytes() == ours.tobytes()
        else:  # small types: TensorFlow sets the high bits as it likes
            assert same(theirs.view(ours.dtype).astype("f4"), ours.astype("f4"))
        compared += 1
    assert compared > 500


def test_what_the_listing_says(written: tuple[Any, str]) -> None:
    made, prefix = written
    ckpt = tb.open(prefix)
    for info in ckpt.infos():
        want = made.source[info.name]
        assert (info.dtype, info.shape, info.size) == (want.dtype, want.shape, want.size)
        assert info == ckpt.info(info.name)
        # One slice that covers the tensor is stored as a plain tensor.
        assert bool(info.slices) == (info.name in made.sliced and info.size > 1)
        if want.dtype != object:
            assert info.nbytes == want.nbytes
        assert info.zero_copy == (not info.slices and want.dtype != object)


def test_a_large_tensor(tf: Any, tmp_path: Path) -> None:
    large = np.random.default_rng(1).random((1 << 20, 3), dtype=np.float32)
    prefix = str(tmp_path / "b")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=["odd", "large"],
        shape_and_slices=["", ""],
        tensors=[tf.constant([True]), large],
    )
    for mmap in (True, False):
        ckpt = tb.open(prefix, mmap=mmap, verify=True)
        np.testing.assert_array_equal(ckpt["large"], large)


@pytest.mark.parametrize(
    "prefix",
    [
        "mnist_mlp/model.ckpt-1000",
        "partitioned/model.ckpt-0",
        "object_graph/ckpt-1",
        "every_dtype/dtypes",
        "iterator/ckpt",
        "saved_model/variables/variables",
    ],
)
@pytest.mark.parametrize("mmap", [True, False])
def test_fixtures(tf: Any, data_dir: Path, prefix: str, mmap: bool) -> None:
    reader = tf.train.load_checkpoint(str(data_dir / prefix))
    ckpt = tb.open(data_dir / prefix, mmap=mmap, verify=True)
    assert set(ckpt) == set(reader.get_variable_to_shape_map())
    for name, ours in ckpt.items():
        if ckpt.info(name).type_name == "variant":
            continue
        theirs = as_array(reader.get_tensor(name))
        assert theirs.shape == ours.shape
        assert theirs.tolist() == ours.tolist()


def test_no_bytes_past_the_end(tf: Any, tmp_path: Path) -> None:
    """Where no bytes lie does not matter; their checksum is that of nothing."""
    bundle = Bundle()
    bundle.add("a", np.float32(1))
    places = {"offset": 10**6, "crc": MASK_DELTA}
    bundle.items[b"none"] = entry_proto(dtype=1, shape=(0, 2), **places)
    bundle.items[b"words"] = entry_proto(dtype=STRING, shape=(0,), **places)
    prefix = bundle.write(tmp_path / "b")
    reader = tf.train.load_checkpoint(prefix)
    for mmap in (True, False):
        ckpt = tb.open(prefix, mmap=mmap, verify=True)
        for name, shape in (("none", (0, 2)), ("words", (0,))):
            assert ckpt[name].shape == shape
            assert ckpt.read(name, rows=slice(0, 0), aligned=True).shape == shape
            assert as_array(reader.get_tensor(name)).shape == shape


def test_a_length_of_minus_one_is_the_whole_dimension(tf: Any, tmp_path: Path) -> None:
    """No TensorFlow writes it, but TensorFlow reads it so."""
    w = np.arange(8, dtype="<f4").reshape(4, 2)
    all_columns = bytes_field(1, varint_field(2, -1))
    bundle = Bundle()
    bundle.add_sliced("w", w, [[(0, 2), None], [(2, 2), None]])
    entry = varint_field(1, 1) + bytes_field(2, shape_proto((4, 2)))
    for start in (0, 2):
        rows = bytes_field(1, varint_field(1, start) + varint_field(2, 2))
        entry += bytes_field(7, rows + all_columns)
        assert slice_key(b"w", [(start, 2), (0, -1)]) in bundle.items
    bundle.items[b"w"] = entry
    prefix = bundle.write(tmp_path / "b")
    ckpt = tb.open(prefix)
    np.testing.assert_array_equal(ckpt["w"], w)
    np.testing.assert_array_equal(ckpt.read("w", rows=slice(1, 4)), w[1:])
    assert [(s.start, s.shape) for s in ckpt.info("w").slices] == [
        ((0, 0), (2, 2)),
        ((2, 0), (2, 2)),
    ]
    assert ckpt.info("w") == ckpt.infos()[0]
    np.testing.assert_array_equal(tf.train.load_checkpoint(prefix).get_tensor("w"), w)


def test_variants(tf: Any, data_dir: Path) -> None:
    from tensorflow.core.framework.tensor_pb2 import VariantTensorDataProto

    del tf
    ckpt = tb.open(data_dir / "iterator" / "ckpt")
    variants = ckpt["records/.ATTRIBUTES/ITERATOR_STATE"]
    assert variants.shape == ckpt.info("records/.ATTRIBUTES/ITERATOR_STATE").shape
    for serialized in variants:
        proto = VariantTensorDataProto.FromString(serialized)
        assert proto.type_name != ""
        assert proto.SerializeToString() == serialized


# Random bundles of the tests' own writer.

NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: not name.startswith(b"\0"))
NUMBERS = st.sampled_from(sorted(DTYPES))


@st.composite
def arrays(draw: Any) -> tuple[int, np.ndarray[Any, Any]]:
    number = draw(NUMBERS)
    shape = draw(st.lists(st.integers(0, 4), max_size=4).map(tuple))
    count = int(np.prod(shape, dtype=np.int64))
    if number in {STRING, VARIANT}:
        array = np.empty(count, dtype=object)
        array[:] = draw(st.lists(st.binary(max_size=9), min_size=count, max_size=count))
    else:
        size = count * DTYPES[number].itemsize
        array = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), DTYPES[number])
    return number, array.reshape(shape)


@st.composite
def bundles(draw: Any) -> tuple[Bundle, dict[str, tuple[int, np.ndarray[Any, Any]]], int]:
    shards = draw(st.integers(1, 3))
    bundle = Bundle(
        shards=shards, big_endian=draw(st.booleans()), alignment=draw(st.sampled_from([1, 16]))
    )
    content = draw(st.dictionaries(NAMES, arrays(), min_size=1, max_size=8))
    for name, (number, array) in content.items():
        where = draw(st.integers(0, shards - 1))
        if not array.shape or 0 in array.shape or draw(st.booleans()):
            bundle.add(name, array, dtype=number, shard=where)
            continue
        axis = draw(st.integers(0, array.ndim - 1))
        at = draw(st.integers(0, array.shape[axis]))
        whole = [None] * array.ndim
        pieces = [
            [*whole[:axis], (start, length), *whole[axis + 1 :]]
            for start, length in ((0, at), (at, array.shape[axis] - at))
            if length
        ]
        bundle.add_sliced(name, array, pieces, dtype=number, shards=[where] * len(pieces))
    named = {name.decode("utf-8", "surrogateescape"): pair for name, pair in content.items()}
    return bundle, named, draw(st.sampled_from([40, 300, 1 << 18]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=bundles(), mmap=st.booleans())
def test_random_bundles(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[Any, Any, int], mmap: bool
) -> None:
    bundle, content, block_size = made
    prefix = bundle.write(tmp_path_factory.mktemp("random") / "b", block_size=block_size)
    ckpt = tb.open(prefix, mmap=mmap, verify=True)
    assert set(ckpt) == set(content)
    for name, (number, want) in content.items():
        got = ckpt[name]
        assert got.shape == want.shape
        if want.dtype == object:
            assert got.tolist() == want.tolist()
        else:
            assert got.dtype.newbyteorder("<") == want.dtype.newbyteorder("<")
            assert got.astype(want.dtype).tobytes() == want.tobytes()
        if number in QUANTIZED:
            assert ckpt.info(name).type_name.startswith(("qint", "quint"))
