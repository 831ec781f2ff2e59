"""TensorFlow as the oracle for variables: what it restores from a checkpoint into a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tensorbundle as tb

Array = np.ndarray[Any, Any]
Build = Callable[[Any, Any], Any]


class Theirs(NamedTuple):
    """A variable as TensorFlow has it, or a part of a partitioned one."""

    dtype: str
    shape: tuple[int | None, ...] | None
    trainable: bool
    resource: bool
    value: Array
    whole: str | None
    """The name of the partitioned variable that it is a part of."""
    start: tuple[int, ...]


def save(tf: Any, folder: Path, build: Build, *, step: int | None = None, **saver: Any) -> str:
    """Builds a graph, initializes it, and saves it; `build` may return the saver."""
    v1 = tf.compat.v1
    config = v1.ConfigProto(device_count={"CPU": 3})
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        v1.set_random_seed(3)
        made = build(tf, v1)
        if not isinstance(made, v1.train.Saver):
            made = v1.train.Saver(**saver)
        # One by one: an average's initial value is its variable's.
        for variable in v1.global_variables() + v1.local_variables():
            session.run(variable.initializer)
        prefix: str = made.save(session, str(folder / "model.ckpt"), global_step=step)
        return prefix


def restored(tf: Any, prefix: str) -> dict[str, Theirs]:
    """The variables that TensorFlow restores when it imports the graph, by name."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        saver = v1.train.import_meta_graph(f"{prefix}.meta", clear_devices=True)
        saver.restore(session, prefix)
        found = v1.global_variables() + v1.local_variables()
        trained = {variable.name for variable in v1.trainable_variables()}
        unset = set(session.run(v1.report_uninitialized_variables(found)).tolist())
        there = [variable for variable in found if variable.op.name.encode() not in unset]
        values = session.run([variable.value() for variable in there])
        return {
            variable.op.name: describe(variable, value, variable.name in trained)
            for variable, value in zip(there, values, strict=True)
        }


def describe(variable: Any, value: Any, trainable: bool) -> Theirs:
    from tensorflow.python.ops.resource_variable_ops import is_resource_variable

    info = variable._save_slice_info
    rank = variable.shape.rank
    return Theirs(
        dtype=variable.dtype.base_dtype.name,
        shape=None if rank is None else tuple(variable.shape.as_list()),
        trainable=trainable,
        resource=is_resource_variable(variable),
        value=np.asarray(value),
        whole=None if info is None else info.full_name,
        start=() if info is None else tuple(info.var_offset),
    )


def leaves(variables: tb.Variables) -> Iterator[tuple[tb.Variable, tb.Variable]]:
    """What stands in the graph: each variable that is one node, and each part; with its whole."""
    for whole in variables:
        for one in whole.parts or [whole]:
            yield one, whole


def same_value(ours: Array, theirs: Array) -> None:
    assert ours.shape == theirs.shape
    if theirs.dtype == object:
        assert ours.tolist() == theirs.tolist()
    else:
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()


def check_against(theirs: dict[str, Theirs], ckpt: tb.Checkpoint) -> None:
    """Our variables are theirs: names, types, shapes, trainable, and the values bit by bit."""
    variables = ckpt.variables
    found = {one.name: (one, whole) for one, whole in leaves(variables)}
    saved = {name for name, (one, _) in found.items() if one.key is not None}
    assert saved == set(theirs)
    for name, other in theirs.items():
        one, whole = found[name]
        assert one.op is not None
        assert one.op.name == name
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        assert one.trainable is other.trainable, name
        assert one.is_resource is other.resource, name
        assert one.in_checkpoint
        assert one.key_source == "restore"
        same_value(one.numpy(), other.value)
        assert (None if one is whole else whole.name) == other.whole
        if other.whole is not None:
            place = one.part_of_whole
            assert place is not None
            assert tuple(piece.start for piece in place) == other.start
            same_value(whole.numpy()[place], other.value)
            assert whole.op is None


def check_keys(tf: Any, prefix: str, ckpt: tb.Checkpoint) -> None:
    """Each tensor is some variable's, and each value a view of it where it is one piece."""
    written = {name: shape for name, shape in tf.train.list_variables(prefix)}  # noqa: C416
    keys = [variable.key for variable in ckpt.variables if variable.key is not None]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(written)
    for variable in ckpt.variables:
        if variable.key is None:
            continue
        info = variable.info
        assert info.name == variable.key
        assert list(info.shape) == written[variable.key]
        value, stored = variable.numpy(), ckpt[variable.key]
        same_value(value, stored)
        if info.zero_copy and info.nbytes:
            assert np.shares_memory(value, stored)
            assert not value.flags.writeable
        if info.zero_copy:
            for part in variable.parts:
                assert np.shares_memory(part.numpy(), stored)
