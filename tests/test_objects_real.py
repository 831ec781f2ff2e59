"""Objects of checkpoints that TensorFlow writes, against the objects themselves and protobuf."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import objects_maker as maker
import tensorbundle as tb
from command import cli
from objects_maker import GRAPH, VALUE, Objects, parsed, same

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def objects(tf: Any, tmp_path_factory: Any) -> tuple[Objects, str]:
    made = Objects(tf)
    return made, made.saved.save(str(tmp_path_factory.mktemp("objects") / "ckpt"))


@pytest.fixture(scope="session")
def keras_model(tf: Any, tmp_path_factory: Any) -> tuple[Any, str]:
    return maker.model_and_optimizer(tf, tmp_path_factory.mktemp("keras"))


@pytest.fixture(scope="session")
def keras_subclassed(tf: Any, tmp_path_factory: Any) -> tuple[Any, str]:
    return maker.subclassed(tf, tmp_path_factory.mktemp("subclassed"))


def check(ckpt: tb.Checkpoint) -> None:
    """Every field of every node, as protobuf reads it; every path leads back."""
    graph, theirs = ckpt.object_graph, parsed(ckpt)
    assert graph is not None
    assert (len(graph), graph.problems()) == (len(theirs.nodes), [])
    assert graph.message.to_bytes() == ckpt[GRAPH].item()
    for one, other in zip(graph, theirs.nodes, strict=True):
        said = [(name, below.id) for name, below in one.children.items()]
        assert said == [(below.local_name, below.node_id) for below in other.children]
        said = [(it.full_name, it.key) for it in one.attributes]
        assert said == [(it.full_name, it.checkpoint_key) for it in other.attributes]
        slots = [(it.original.id, it.slot_name, it.variable.id) for it in one.slot_variables]
        assert slots == [
            (it.original_variable_node_id, it.slot_name, it.slot_variable_node_id)
            for it in other.slot_variables
        ]
        saver = other.registered_saver
        want = (saver.name, saver.object_name) if other.HasField("registered_saver") else None
        assert one.registered_saver == want
        has = other.HasField("has_checkpoint_values")
        assert one.has_checkpoint_values == (other.has_checkpoint_values.value if has else None)
        assert one.path is not None
        assert graph[one.path] == one
        for attribute in one.attributes:
            assert attribute.keys
            for key in attribute.keys:
                assert graph.by_key(key) == one
                assert key in ckpt
    keys = {key for one in graph for it in one.attributes for key in it.keys}
    assert keys == set(ckpt) - {GRAPH}
    paths = {key: one.path for one in graph for it in one.attributes for key in it.keys}
    assert graph.paths() == paths
    assert set(graph.paths()) == keys


def test_every_field(
    objects: tuple[Objects, str], keras_model: tuple[Any, str], keras_subclassed: tuple[Any, str]
) -> None:
    for path in (objects[1], keras_model[1], keras_subclassed[1], DATA / "object_graph"):
        check(tb.open(path))


def test_variables_by_path(objects: tuple[Objects, str]) -> None:
    made, path = objects
    ckpt = tb.open(path)
    graph = ckpt.object_graph
    assert graph is not None
    for name, variable in made.variables().items():
        one = graph[name]
        assert same(one.numpy(), variable.numpy())
        assert same(ckpt[name], variable.numpy())
        assert same(ckpt.read(name, verify=True), variable.numpy())
        assert name in ckpt
        assert name in graph
        assert ckpt.info(name) == one.info
        assert graph.resolve(name) == one.key == graph.resolve(one.key or "")
        assert ckpt.get(name) is not None
    assert graph["net/inner/up"] == graph["net"]
    assert graph[""] == graph.root == graph.nodes[0]
    assert list(ckpt) == sorted(ckpt)
    assert "net/inner/w" not in list(ckpt)


def test_full_names(objects: tuple[Objects, str]) -> None:
    made, path = objects
    ckpt = tb.open(path)
    graph = ckpt.object_graph
    assert graph is not None
    assert graph.by_full_name("w") == graph["alias"]
    assert graph["alias"].full_name == "w"
    assert same(ckpt["w/Adam"], made.adam.get_slot(made.shared, "m").numpy())
    assert ckpt.variables["alias"].full_name == "w"
    with pytest.raises(tb.NotInGraphError, match="5 objects with the full name 'Variable'") as e:
        graph.by_full_name("Variable")
    assert "layers/0" in e.value.near
    with pytest.raises(tb.TensorNotFoundError, match="is the full name of 5 objects"):
        ckpt["Variable"]
    assert "Variable" not in ckpt


def test_tables_iterators_states(objects: tuple[Objects, str]) -> None:
    _, path = objects
    ckpt = tb.open(path)
    graph = ckpt.object_graph
    assert graph is not None
    keys = {key for one in graph["table"].attributes for key in one.keys}
    assert keys == {f"table/.ATTRIBUTES/{name}" for name in ("table-keys", "table-values")}
    assert graph["table"].key is None
    with pytest.raises(tb.TensorNotFoundError, match="has 2 tensors"):
        graph["table"].numpy()
    with pytest.raises(tb.TensorNotFoundError, match="is an object of 2 tensors"):
        ckpt["table"]
    assert ckpt["state"].item() == b"state"
    (iterator,) = graph["it"].attributes
    assert iterator.keys == ("it/.ATTRIBUTES/ITERATOR_STATE",) or iterator.keys == (iterator.key,)
    with pytest.raises(tb.TensorNotFoundError, match="without a tensor of its own") as caught:
        ckpt["layers"]
    assert caught.value.near == ("layers/0", "layers/1")


def test_slots(objects: tuple[Objects, str]) -> None:
    _, path = objects
    graph = tb.open(path).object_graph
    assert graph is not None
    w, opt = graph["alias"], graph["opt"]
    assert {name: one.path for name, one in w.slots.items()} == {
        name: f"alias/.OPTIMIZER_SLOT/opt/{name}" for name in ("m", "v")
    }
    assert [(it.slot_name, it.original) for it in opt.slot_variables] == [("m", w), ("v", w)]
    assert [it.variable for it in opt.slot_variables] == list(w.slots.values())


def test_keras_slots(keras_model: tuple[Any, str]) -> None:
    """Lists of an optimizer that run along with what it trains."""
    model, path = keras_model
    variables = tb.open(path).variables
    assert variables.findings == []
    kinds = {one.name: one.kind for one in variables}
    assert kinds["opt/_iterations"] == "step"
    assert kinds["opt/_learning_rate"] == "slot"
    assert kinds["save_counter"] == "other"
    assert len(variables.weights) == len(model.weights)
    adam = model.optimizer
    for i, theirs in enumerate(model.trainable_variables):
        ours = variables[f"opt/_trainable_variables/{i}"]
        assert ours.full_name == theirs.path
        assert same(ours.numpy(), np.asarray(theirs.value))
        assert set(ours.slots) == {"momentums", "velocities"}
        for name, lists in (("momentums", adam._momentums), ("velocities", adam._velocities)):
            assert same(ours.slots[name].numpy(), np.asarray(lists[i].value))
            assert ours.slots[name].slot_of == ours


def test_subclassed(keras_subclassed: tuple[Any, str]) -> None:
    model, path = keras_subclassed
    ckpt = tb.open(path)
    for name, layer in (("first", model.first), ("more/1", model.more[1])):
        key = f"{name}/_kernel"
        if key in ckpt:  # Keras tracks lists of layers elsewhere
            assert same(ckpt[key], np.asarray(layer.kernel.value))
    first = ckpt.variables["first/_kernel"]
    assert set(first.slots) == {"momentums"}
    assert set(first.averages) == {"model_variables_moving_average"}


def test_near_names(objects: tuple[Objects, str]) -> None:
    ckpt = tb.open(objects[1])
    with pytest.raises(tb.TensorNotFoundError, match="did you mean 'save_counter'") as caught:
        ckpt["save_countr"]
    assert caught.value.near[0] == "save_counter"
    graph = ckpt.object_graph
    assert graph is not None
    with pytest.raises(tb.NotInGraphError, match="no object with the path") as missed:
        graph["net/iner"]
    assert "net/inner" in missed.value.near
    assert graph.get("net/iner") is None
    assert "net/iner" not in graph
    assert "nothing" not in ckpt


def test_equality_and_reprs(objects: tuple[Objects, str]) -> None:
    ckpt, other = tb.open(objects[1]), tb.open(objects[1])
    graph, again = ckpt.object_graph, other.object_graph
    assert graph is not None
    assert again is not None
    assert graph == ckpt.object_graph
    assert graph != again
    assert graph["net"] == graph.root.children["net"]
    assert graph["net"] != again["net"]
    assert len({graph["net"], graph["net/inner/up"]}) == 1
    assert graph["net"] in graph
    assert graph["net"] not in again
    assert repr(graph["net/inner"]).endswith("'net/inner', 2 children>")
    assert repr(graph["alias"]).endswith("'alias', 1 tensor>")
    assert repr(graph) == f"<tensorbundle.ObjectGraph {len(graph)} objects>"
    assert [one.id for one in graph.nodes[2:4]] == [2, 3]
    assert graph["alias"].attributes[0].key == f"alias{VALUE}"


def test_names_only() -> None:
    ckpt = tb.open(DATA / "mnist_mlp")
    assert ckpt.object_graph is None
    assert "nothing" not in ckpt


def test_registered_saver(tf: Any, tmp_path: Path) -> None:
    register = getattr(tf.saved_model.experimental, "register_checkpoint_saver", None)
    if register is None:  # the public name differs between versions
        from tensorflow.python.saved_model.registration import register_checkpoint_saver as register

    class Stack(tf.Module):  # type: ignore[misc]
        pass

    register(
        package="Mine",
        name="Stack",
        predicate=lambda one: isinstance(one, Stack),
        save_fn=lambda **_: None,
        restore_fn=lambda **_: None,
    )
    path = tf.train.Checkpoint(stack=Stack(), w=tf.Variable(1.0)).write(str(tmp_path / "ckpt"))
    ckpt = tb.open(path)
    check(ckpt)
    graph = ckpt.object_graph
    assert graph is not None
    assert graph["stack"].registered_saver == ("Mine.Stack", "stack")
    assert "stack  saved by Mine.Stack" in cli("ls", "--objects", path).out


def test_command(objects: tuple[Objects, str]) -> None:
    _, path = objects
    done = cli("ls", "--objects", path)
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.lines]
    assert ["alias", "float32", "[2]", "8", "B"] in lines
    assert ["slot", "m", "float32", "[2]", "8", "B"] in lines
    assert ["w", "→", "alias"] in lines
    assert ["up", "→", "net"] in lines
    assert any(line[0] == ".table-keys" for line in lines)
    assert cli("ls", "--objects", "--depth", "1", path).out.count("\n") < len(lines)
    found = cli("ls", "--objects", "--match", "named/*", "--json", path).document["objects"]
    assert {one["path"] for one in found} >= {"named/k/1", "named/k.2", "named/a", "named/a/b"}
    assert cli("ls", "--objects", "--match", "zzz", path).code == 1
    assert cli("cat", path, "layers/0").lines[-1] == "1.5"
    names = cli("ls", "--objects", str(DATA / "mnist_mlp"))
    assert names.code == 2
    assert "a checkpoint of names" in names.err


CORPUS = os.environ.get("TENSORBUNDLE_CORPUS")


@pytest.mark.skipif(not CORPUS, reason="TENSORBUNDLE_CORPUS names no folder")
def test_corpus() -> None:
    read = absent = 0
    for index in sorted(Path(CORPUS or "").rglob("*.index")):
        try:
            ckpt = tb.open(index)
        except tb.CheckpointError:
            continue
        if GRAPH not in list(ckpt):
            assert ckpt.object_graph is None
            continue
        try:
            ckpt[GRAPH]
        except FileNotFoundError:
            absent += 1
            with pytest.raises(FileNotFoundError, match="data-0"):
                ckpt.object_graph  # noqa: B018 - raises
            assert len(ckpt.variables) > 0
            continue
        read += 1
        check(ckpt)
        assert cli("ls", "--objects", index).code == 0
    assert (read > 8, absent > 0) == (True, True)
