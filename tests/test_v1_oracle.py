"""V1 checkpoints that TensorFlow writes, against TensorFlow's own reading of them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb

RNG = np.random.default_rng(7)
WRITABLE = [
    *("float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "bool"),
    *("uint16", "complex128", "float16"),
]
# What CheckpointReader gives of V1; the restoring ops read the others too.
READER = {"float32", "float64", "int32", "uint8", "int16", "int8", "int64", "string", "bool"}


def random(dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    kind = np.dtype(dtype)
    if kind == np.bool_:
        return RNG.integers(0, 2, shape).astype(bool)
    return np.frombuffer(RNG.bytes(int(np.prod(shape)) * kind.itemsize), kind).reshape(shape)


def box(start: Any, shape: Any) -> tuple[slice, ...]:
    return tuple(slice(at, at + n) for at, n in zip(start, shape, strict=True))


class Part:
    """Initializes each part of a partitioned variable with what it is to hold."""

    def __init__(self, value: np.ndarray[Any, Any]) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any, partition_info: Any) -> Any:
        import tensorflow

        return tensorflow.constant(self.value[box(partition_info.var_offset, shape)], dtype)


def save(tf: Any, prefix: str, values: dict[str, Any], **options: Any) -> str:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variables = [v1.get_variable(n, initializer=tf.constant(v)) for n, v in values.items()]
        saver = v1.train.Saver(variables, write_version=v1.train.SaverDef.V1, **options)
        session.run(v1.global_variables_initializer())
        return str(saver.save(session, prefix))


def restore(tf: Any, path: str, name: str, slice_spec: str, dtype: Any) -> Any:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.run(tf.raw_ops.RestoreSlice(
            file_pattern=path, tensor_name=name, shape_and_slice=slice_spec, dt=dtype,
            preferred_shard=-1,
        ))  # fmt: skip


@pytest.mark.parametrize("mmap", [True, False])
def test_every_type_that_can_be_written(tf: Any, tmp_path: Path, mmap: bool) -> None:
    values: dict[str, Any] = {f"v/{kind}": random(kind, (5, 3)) for kind in WRITABLE}
    values |= {f"s/{kind}": random(kind, ()) for kind in WRITABLE}
    values |= {"words": np.array([[b"", b"abc"], [b"\0\xff", b"x" * 300]], object)}
    path = save(tf, f"{tmp_path}/m.ckpt", values)
    theirs = tf.train.load_checkpoint(path)
    with tb.open(path, mmap=mmap) as ckpt:
        assert ckpt.format == "V1"
        assert list(ckpt) == sorted(values)
        assert ckpt.shapes() == {n: tuple(s) for n, s in theirs.get_variable_to_shape_map().items()}
        kinds = theirs.get_variable_to_dtype_map()
        for info in ckpt.infos():
            value, ours = values[info.name], ckpt[info.name]
            assert info.type_name == kinds[info.name].name
            assert (ours.dtype, ours.shape) == (value.dtype, value.shape)
            if info.type_name in READER:
                assert np.asarray(theirs.get_tensor(info.name)).tolist() == ours.tolist() or (
                    theirs.get_tensor(info.name).tobytes() == ours.tobytes()
                )
            if info.type_name == "string":
                assert ours.tolist() == value.tolist()
                assert info.nbytes == sum(len(word) for word in value.ravel())
            else:
                assert ours.tobytes() == value.tobytes()
                assert (info.nbytes, info.zero_copy, info.aligned) == (value.nbytes, False, True)
                assert ours.flags.aligned
                assert not ours.flags.writeable
            assert (info.offset, info.crc32c, info.slices) == (None, None, ())
            assert pickle.loads(pickle.dumps(info)) == info
            assert pickle.loads(pickle.dumps(info)).zero_copy is False


def test_quantized_numbers(tf: Any, tmp_path: Path) -> None:
    """Only the low-level op saves these."""
    kinds = {"qint8": np.int8, "quint8": np.uint8, "qint32": np.int32}
    values = {kind: random(np.dtype(plain).name, (4, 3)) for kind, plain in kinds.items()}
    path = f"{tmp_path}/q"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        data = [tf.bitcast(tf.constant(value), kind) for kind, value in values.items()]
        session.run(tf.raw_ops.Save(filename=path, tensor_names=list(values), data=data))
    ckpt = tb.open(path)
    for kind, value in values.items():
        assert ckpt.info(kind).type_name == kind
        assert ckpt[kind].tobytes() == value.tobytes()


@pytest.mark.parametrize("sharded", [False, True])
def test_partitioned_variables_are_put_together(tf: Any, tmp_path: Path, sharded: bool) -> None:
    v1 = tf.compat.v1
    values = {
        "rows": (random("float32", (10, 3)), 0),
        "columns": (random("int64", (4, 9)), 1),
        "words": (np.array([b"%d" % i for i in range(7)], object), 0),
        "halves": (random("float16", (6, 2, 5)), 2),
    }
    with tf.Graph().as_default(), v1.Session() as session:
        for name, (value, axis) in values.items():
            v1.get_variable(
                name,
                initializer=Part(value),
                shape=value.shape,
                dtype=tf.string if value.dtype == object else value.dtype,
                partitioner=v1.fixed_size_partitioner(3, axis=axis),
            )
        saver = v1.train.Saver(write_version=v1.train.SaverDef.V1, sharded=sharded)
        session.run(v1.global_variables_initializer())
        path = str(saver.save(session, f"{tmp_path}/m"))
    assert path.endswith("m-?????-of-00001") == sharded
    ckpt = tb.open(path)
    assert list(ckpt) == sorted(values)
    for name, (value, axis) in values.items():
        info, ours = ckpt.info(name), ckpt[name]
        assert (len(info.slices), info.shape, info.shard) == (3, value.shape, None)
        assert [part.shard for part in info.slices] == [0, 0, 0]
        assert sum(part.shape[axis] for part in info.slices) == value.shape[axis]
        with pytest.raises(Exception, match="Sliced checkpoints are not supported"):
            tf.train.load_checkpoint(path).get_tensor(name)
        if value.dtype == object:
            assert ours.tolist() == value.tolist()
            continue
        assert ours.tobytes() == value.tobytes()
        for part in info.slices:
            spec = (
                " ".join(map(str, value.shape))
                + " "
                + ":".join(f"{at},{n}" for at, n in zip(part.start, part.shape, strict=True))
            )
            theirs = restore(tf, path, name, spec, tf.as_dtype(value.dtype))
            assert theirs.tobytes() == ours[box(part.start, part.shape)].tobytes()
        for rows in (slice(1, 3), slice(None, None, -2), slice(2, 2), range(3, 0, -1)):
            want = value[rows] if isinstance(rows, slice) else value[list(rows)]
            np.testing.assert_array_equal(ckpt.read(name, rows=rows), want)


def test_slices_in_several_files(tf: Any, tmp_path: Path) -> None:
    """As a sharded save of a partitioned variable on several devices leaves them."""
    value = random("float32", (9, 4))
    cuts = [(0, 4), (4, 1), (5, 4)]
    for i, (start, length) in enumerate(cuts):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            session.run(tf.raw_ops.SaveSlices(
                filename=f"{tmp_path}/m-{i:05d}-of-00003",
                tensor_names=["w", f"own_{i}"],
                shapes_and_slices=[f"9 4 {start},{length}:-", ""],
                data=[tf.constant(value[start : start + length]), tf.constant(i)],
            ))  # fmt: skip
    pattern = f"{tmp_path}/m-?????-of-00003"
    ckpt = tb.open(f"{tmp_path}/m")
    assert list(ckpt) == ["own_0", "own_1", "own_2", "w"]
    assert [ckpt[f"own_{i}"] for i in range(3)] == [0, 1, 2]
    assert [part.shard for part in ckpt.info("w").slices] == [0, 1, 2]
    assert ckpt["w"].tobytes() == value.tobytes()
    assert ckpt.read("w", rows=slice(3, 6)).tobytes() == value[3:6].tobytes()
    theirs = restore(tf, pattern, "w", "9 4 3,3:-", tf.float32)
    assert theirs.tobytes() == value[3:6].tobytes()


def test_the_graph_beside_it(tf: Any, tmp_path: Path) -> None:
    value = random("float32", (3, 4))
    path = save(tf, f"{tmp_path}/m.ckpt", {"w": value})
    ckpt = tb.open(path)
    assert ckpt.meta_path == f"{path}.meta"
    variable = ckpt.variables["w"]
    assert variable.in_checkpoint
    assert variable.key_source == "restore"
    assert variable.numpy().tobytes() == value.tobytes()


def test_blocks_that_snappy_has_compressed(tf: Any, tmp_path: Path) -> None:
    from encoding import snappy_compress
    from writer_v1 import V1File

    value = np.zeros((300, 300), np.float32)
    value[::7] = RNG.random(300)
    file = V1File()
    file.add("w", value)
    file.add("n", np.arange(50))
    data_only = {
        "contents": lambda part, data: snappy_compress(data) if part.startswith("data") else data,
        "kind": lambda part: int(part.startswith("data")),
    }
    path = file.write(tmp_path / "m", block_size=4096, **data_only)
    theirs = tf.train.load_checkpoint(path)
    ckpt = tb.open(path)
    for name in ("w", "n"):
        assert ckpt[name].tobytes() == theirs.get_tensor(name).tobytes()
