"""`tensorbundle.train` against `tf.train`, function by function."""

from __future__ import annotations

import inspect
import pickle
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from faults import sound
from tensorbundle import train
from tensorbundle.errors import CorruptionError, TensorNotFoundError
from writer import Bundle
from writer_v1 import V1File

VALUES: dict[str, Any] = {
    "scope/matrix": np.arange(6).reshape(2, 3),
    "scalar": np.float32(3.5),
    "flag": np.array(True),
    "pair": np.complex64(1 + 2j),
    "half": np.ones(2, np.float16),
    "none": np.zeros((0, 3), np.float32),
    "word": np.array(b"abc", object),
    "words": np.array([[b"\xff\0", b""]], object),
    "bytes": np.arange(4, dtype=np.uint8),
}


@pytest.fixture(scope="module")
def saved(tf: Any, tmp_path_factory: Any) -> str:
    """A V2 checkpoint and its state file, by TensorFlow."""
    v1 = tf.compat.v1
    folder = tmp_path_factory.mktemp("train")
    with tf.Graph().as_default(), v1.Session() as session:
        values = VALUES | {"brain": np.arange(3).astype(tf.bfloat16.as_numpy_dtype)}
        variables = [v1.get_variable(n, initializer=tf.constant(v)) for n, v in values.items()]
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(variables)
        saver.save(session, f"{folder}/model.ckpt", global_step=3)
        return str(saver.save(session, f"{folder}/model.ckpt", global_step=20))


def same(theirs: Any, ours: Any) -> None:
    assert type(ours) is type(theirs)
    if isinstance(theirs, bytes):
        assert ours == theirs
        return
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    if theirs.dtype == object:
        assert ours.tolist() == theirs.tolist()
    else:
        assert ours.tobytes() == theirs.tobytes()
    assert ours.flags.writeable == theirs.flags.writeable
    assert ours.flags.aligned
    assert ours.flags.c_contiguous


@pytest.mark.parametrize("by", ["file", "directory"])
def test_readers(tf: Any, saved: str, by: str) -> None:
    path = saved if by == "file" else str(Path(saved).parent)
    theirs, ours = tf.train.load_checkpoint(path), train.load_checkpoint(path)
    assert ours.get_variable_to_shape_map() == theirs.get_variable_to_shape_map()
    kinds = ours.get_variable_to_dtype_map()
    assert kinds.keys() == theirs.get_variable_to_dtype_map().keys()
    for name, kind in theirs.get_variable_to_dtype_map().items():
        assert kinds[name].name == kind.name
        assert kinds[name].as_numpy_dtype == kind.as_numpy_dtype
        assert kinds[name].as_datatype_enum == kind.as_datatype_enum
        assert kinds[name] == kind.name
        same(theirs.get_tensor(name), ours.get_tensor(name))
        same(theirs.get_tensor(name), ours.get_tensor(name.encode()))
        assert ours.has_tensor(name)
        assert ours.has_tensor(name.encode())
        same(tf.train.load_variable(path, f"{name}:0"), train.load_variable(path, f"{name}:0"))
    assert not ours.has_tensor("no")
    assert ours.debug_string() == theirs.debug_string()
    listed = train.list_variables(path)
    assert listed == tf.train.list_variables(path)
    assert all(type(shape) is list for _, shape in listed)
    copy = pickle.loads(pickle.dumps(ours))
    assert copy.debug_string() == ours.debug_string()
    older = train.NewCheckpointReader(path)
    assert older.get_variable_to_shape_map() == ours.get_variable_to_shape_map()


def test_objects_have_no_names_here(tf: Any, tmp_path: Path) -> None:
    """A path or a full name leads to no tensor in TensorFlow's reader, so it does not here."""
    path = tf.train.Checkpoint(v=tf.Variable(1, name="full")).save(f"{tmp_path}/m")
    theirs, ours = tf.train.load_checkpoint(path), train.load_checkpoint(path)
    assert tb.open(path)["v"] == tb.open(path)["full"] == 1
    for name in ("v", "full"):
        assert not theirs.has_tensor(name)
        assert not ours.has_tensor(name)
        with pytest.raises(TensorNotFoundError, match=f"no tensor '{name}'"):
            ours.get_tensor(name)
    assert ours.get_tensor("v/.ATTRIBUTES/VARIABLE_VALUE") == 1


def test_names_of_all_types(tf: Any, data_dir: Path) -> None:
    path = tb.open(data_dir / "every_dtype").prefix
    assert train.load_checkpoint(path).debug_string() == (
        tf.train.load_checkpoint(path).debug_string()
    )


def test_arrays_are_the_callers(saved: str) -> None:
    """Converters write to what they get, in place or through PyTorch."""
    reader = train.load_checkpoint(saved)
    array = reader.get_tensor("scope/matrix")
    array += 1
    assert (reader.get_tensor("scope/matrix") == VALUES["scope/matrix"]).all()


def test_arguments_have_their_names(tf: Any) -> None:
    for name in train.__all__:
        theirs = getattr(tf.train, name, None) or getattr(tf.compat.v1.train, name, None)
        if theirs is None:
            assert name in {"CheckpointNotFoundError", "CheckpointReader"}
            continue
        ours = dict(inspect.signature(getattr(train, name)).parameters)
        assert ours.pop("storage_options").kind is inspect.Parameter.KEYWORD_ONLY
        assert [(p.name, p.default) for p in ours.values()] == [
            (p.name, p.default) for p in inspect.signature(theirs).parameters.values()
        ]


def test_storage_options(tmp_path: Path) -> None:
    obstore = pytest.importorskip("obstore")
    store = obstore.store.MemoryStore()
    bundle = Bundle()
    bundle.add("w", np.arange(3, dtype=np.float32))
    bundle.write(tmp_path / "model.ckpt-1")
    for file in tmp_path.iterdir():
        obstore.put(store, f"run/{file.name}", file.read_bytes())
    obstore.put(store, "run/checkpoint", b'model_checkpoint_path: "model.ckpt-1"\n')
    options: dict[str, Any] = {"filesystem": store}
    prefix = "run/model.ckpt-1"
    assert train.latest_checkpoint("run", storage_options=options) == prefix
    state = train.get_checkpoint_state("run", storage_options=options)
    assert state is not None
    assert state.model_checkpoint_path == prefix
    for path in ("run", prefix):
        assert train.checkpoint_exists(path, storage_options=options)
        assert train.list_variables(path, storage_options=options) == [("w", [3])]
        assert train.load_variable(path, "w:0", storage_options=options).tolist() == [0, 1, 2]
        for reader in (train.load_checkpoint, train.NewCheckpointReader):
            assert reader(path, storage_options=options).has_tensor("w")
    found = train.checkpoints_iterator("run", timeout=0, storage_options=options)
    assert list(found) == [prefix]
    assert not train.checkpoint_exists("no", storage_options=options)
    import fsspec

    fsspec.filesystem("memory").put(str(tmp_path), "/train", recursive=True)
    remote = train.load_checkpoint("memory://train/model.ckpt-1", storage_options={"cache": False})
    again = pickle.loads(pickle.dumps(remote))
    assert again.get_tensor("w").tolist() == [0, 1, 2]
    fsspec.filesystem("memory").rm("/train", recursive=True)
    local = {"anon": True}
    for call in (train.load_checkpoint, train.latest_checkpoint, train.checkpoint_exists):
        with pytest.raises(ValueError, match="storage_options are for URLs"):
            call(tmp_path, storage_options=local)


def test_the_package_stands_for_tensorflow() -> None:
    assert tb.train is train


def test_what_is_not_there(saved: str, tmp_path: Path) -> None:
    with pytest.raises(TensorNotFoundError, match="did you mean 'scalar'"):
        train.load_variable(saved, "scaler")
    with pytest.raises(KeyError):
        train.load_checkpoint(saved).get_tensor("no")
    for path in (tmp_path, tmp_path / "no", f"{saved}/no"):
        for kind in (ValueError, FileNotFoundError, tb.CheckpointError):
            with pytest.raises(kind) as caught:
                train.load_checkpoint(path)
        error = caught.value
        assert type(error) is train.CheckpointNotFoundError
        assert error.errno is not None
        assert error.filename
        assert str(error).startswith("[Errno ")
        again = pickle.loads(pickle.dumps(error))
        assert (again.errno, again.filename, str(again)) == (
            error.errno,
            error.filename,
            str(error),
        )
        with pytest.raises(ValueError, match=r"no checkpoint|Not a directory"):
            train.list_variables(path)
    prefix = sound().write(tmp_path / "b")
    Path(f"{prefix}.data-00000-of-00001").unlink()
    with pytest.raises(FileNotFoundError, match="data shard 0 of 1"):
        train.load_variable(prefix, "kernel")


def test_checksums_are_always_checked(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "b")
    shard = Path(f"{prefix}.data-00000-of-00001")
    data = bytearray(shard.read_bytes())
    data[14] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CorruptionError, match="checksum"):
        train.load_variable(prefix, "kernel")
    tb.open(prefix)["kernel"]


def test_big_endian_values_come_in_native_order(tmp_path: Path) -> None:
    bundle = Bundle(big_endian=True)
    bundle.add("w", np.arange(5, dtype="<i4"))
    array = train.load_variable(bundle.write(tmp_path / "b"), "w")
    assert array.dtype == np.dtype(np.int32)
    assert array.dtype.isnative
    assert array.tolist() == [0, 1, 2, 3, 4]


def test_partitioned_variables_of_v1(tmp_path: Path) -> None:
    file = V1File()
    value = np.arange(24.0).reshape(4, 6)
    file.add_sliced("w", value, [[(0, 2), None], [(2, 2), None]])
    np.testing.assert_array_equal(train.load_variable(file.write(tmp_path / "m"), "w"), value)


# State files.


def test_states_that_tensorflow_writes(tf: Any, saved: str, tmp_path: Path) -> None:
    folder = str(Path(saved).parent)
    assert train.latest_checkpoint(folder) == tf.train.latest_checkpoint(folder) == saved
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(v=tf.Variable(1)), f"{tmp_path}/m", 2, keep_checkpoint_every_n_hours=1
    )
    for _ in range(3):
        manager.save()
    for each in (folder, f"{tmp_path}/m"):
        ours, theirs = train.get_checkpoint_state(each), tf.train.get_checkpoint_state(each)
        assert ours is not None
        for member in (
            "model_checkpoint_path",
            "all_model_checkpoint_paths",
            "all_model_checkpoint_timestamps",
            "last_preserved_timestamp",
        ):
            assert getattr(ours, member) == getattr(theirs, member)
    assert train.latest_checkpoint(f"{tmp_path}/m") == f"{tmp_path}/m/ckpt-3"
    assert [each.name for each in tb.list_checkpoints(f"{tmp_path}/m")] == ["ckpt-2", "ckpt-3"]
    assert tb.list_checkpoints(f"{tmp_path}/m")[0].timestamp is not None


@pytest.mark.parametrize("relative", [True, False])
def test_other_names_of_state_files(
    tf: Any, saved: str, tmp_path: Path, relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(Path(saved).parent, tmp_path / "run")
    name = "model.ckpt-3" if relative else f"{tmp_path}/run/model.ckpt-3"
    (tmp_path / "run/best").write_text(f'model_checkpoint_path: "{name}"')
    monkeypatch.chdir(tmp_path)
    for folder in (f"{tmp_path}/run", "run", "./run/"):
        ours = train.latest_checkpoint(folder, "best")
        assert ours == tf.train.latest_checkpoint(folder, "best")
        assert train.latest_checkpoint(checkpoint_dir=folder, latest_filename="best") == ours


def test_a_directory_that_was_moved(tf: Any, saved: str, tmp_path: Path) -> None:
    shutil.copytree(Path(saved).parent, tmp_path / "run")
    state = tmp_path / "run/checkpoint"
    state.write_text(state.read_text().replace(str(Path(saved).parent), "/gone/away"))
    assert tf.train.latest_checkpoint(f"{tmp_path}/run") is None
    assert train.latest_checkpoint(tmp_path / "run") == f"{tmp_path}/run/model.ckpt-20"
    found = train.get_checkpoint_state(tmp_path / "run")
    assert found is not None
    assert found.recorded_path == "/gone/away/model.ckpt-20"
    assert found.all_model_checkpoint_paths == [
        f"{tmp_path}/run/model.ckpt-{step}" for step in (3, 20)
    ]
    assert train.load_checkpoint(tmp_path / "run").has_tensor("scalar")


@pytest.mark.parametrize("form", ["absolute", "relative"])
def test_a_path_that_leads_out_is_not_followed(saved: str, tmp_path: Path, form: str) -> None:
    shutil.copytree(Path(saved).parent, tmp_path / "elsewhere")
    (tmp_path / "run").mkdir()
    where = f"{tmp_path}/elsewhere" if form == "absolute" else "../elsewhere"
    (tmp_path / "run/checkpoint").write_text(f'model_checkpoint_path: "{where}/model.ckpt-3"')
    with pytest.warns(UserWarning, match="lies outside of that directory: it is not followed"):
        assert train.latest_checkpoint(tmp_path / "run") is None
    with pytest.raises(train.CheckpointNotFoundError, match="lies outside of its directory"):
        train.load_checkpoint(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="or with follow=True"):
        tb.open(tmp_path / "run")
    asked = tb.open(tmp_path / "run", follow=True)
    assert asked["scalar"] == 3.5
    assert list(pickle.loads(pickle.dumps(asked))) == list(asked)
    state = tb.load_state(tmp_path / "run", follow=True)
    assert tb.open(state.model_checkpoint_path)["scalar"] == 3.5


@pytest.mark.parametrize(
    ("text", "ours"),
    [("", ValueError), ('all_model_checkpoint_paths: "a"', ValueError), ("no text proto {", None)],
)
def test_broken_state_files(tf: Any, tmp_path: Path, text: str, ours: Any) -> None:
    (tmp_path / "checkpoint").write_text(text)
    for function in (train.get_checkpoint_state, train.latest_checkpoint):
        theirs = getattr(tf.train, function.__name__)
        if ours is None:
            assert theirs(str(tmp_path)) is None
            with pytest.warns(UserWarning, match="state file"):
                assert function(tmp_path) is None
            continue
        with pytest.raises(ours):
            theirs(str(tmp_path))
        with pytest.raises(ours, match="names no model_checkpoint_path"):
            function(tmp_path)


def test_no_state_file(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "no"):
        assert train.get_checkpoint_state(folder) is None
        assert train.latest_checkpoint(folder) is None
    assert train.latest_checkpoint(tmp_path, "other") is None


def test_existence(tf: Any, saved: str, tmp_path: Path) -> None:
    exists = tf.compat.v1.train.checkpoint_exists
    folder = Path(saved).parent
    for path in (saved, f"{folder}/model.ckpt-3", f"{folder}/model.ckpt", f"{tmp_path}/no"):
        assert train.checkpoint_exists(path) == exists(path)
    assert train.checkpoint_exists(folder)
    assert not train.checkpoint_exists(tmp_path)
    file = V1File()
    file.write(tmp_path / "m-00000-of-00002")
    pattern = f"{tmp_path}/m-?????-of-00002"
    assert train.checkpoint_exists(pattern) == exists(pattern)
    assert train.checkpoint_exists(V1File().write(tmp_path / "one"))


def test_checkpoints_as_they_come(saved: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert list(train.checkpoints_iterator(folder, timeout=0)) == []
    asked: list[str] = []

    def arrive(step: int) -> None:
        folder.mkdir(exist_ok=True)
        for file in Path(saved).parent.glob("model.ckpt-3.*"):
            shutil.copy(file, folder / file.name.replace("-3", f"-{step}"))
        (folder / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{step}"')

    def waited() -> bool:
        asked.append("waited")
        return len(asked) > 2

    arrive(1)
    later = threading.Timer(0.4, arrive, [2])
    later.start()
    found = list(train.checkpoints_iterator(folder, timeout=0.3, timeout_fn=waited))
    later.join()
    assert found == [f"{folder}/model.ckpt-1", f"{folder}/model.ckpt-2"]
    assert len(asked) == 3


def test_checkpoints_not_too_fast(saved: str) -> None:
    import time

    started = time.monotonic()
    found = list(train.checkpoints_iterator(Path(saved).parent, 0.2, timeout=0))
    assert found == [saved]
    assert time.monotonic() - started >= 0.2
