"""Slots and moving averages, told apart from weights: TensorFlow says whose each is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from variables_oracle import check_against, check_keys, restored, same_value, save

Make = Callable[[Any], Any]

OPTIMIZERS: dict[str, Make] = {
    "GradientDescent": lambda train: train.GradientDescentOptimizer(0.1),
    "Momentum": lambda train: train.MomentumOptimizer(0.1, 0.9),
    "Adam": lambda train: train.AdamOptimizer(0.1),
    "Adagrad": lambda train: train.AdagradOptimizer(0.1),
    "RMSProp": lambda train: train.RMSPropOptimizer(0.1),
    "RMSProp centered": lambda train: train.RMSPropOptimizer(0.1, centered=True),
    "Ftrl": lambda train: train.FtrlOptimizer(0.1),
    "Adadelta": lambda train: train.AdadeltaOptimizer(0.1),
    "ProximalAdagrad": lambda train: train.ProximalAdagradOptimizer(0.1),
    "AdagradDA": lambda train: train.AdagradDAOptimizer(0.1, train.get_or_create_global_step()),
    "called otherwise": lambda train: train.AdamOptimizer(0.1, name="Trainer"),
}


def whole(variable: Any) -> str:
    """The name of a variable, or of the whole that it is a part of."""
    info = variable._save_slice_info
    name: str = variable.op.name if info is None else info.full_name
    return name


class Facts:
    """Whose slots and averages there are, as TensorFlow's objects say while the graph is built."""

    def __init__(self) -> None:
        self.slots: dict[str, set[str]] = {}
        self.shared: set[str] = set()
        self.averages: dict[str, set[str]] = {}
        self.weights: set[str] = set()
        self.steps = {"global_step"}

    def train(self, v1: Any, loss: Any, optimizer: Any) -> None:
        optimizer.minimize(loss, global_step=v1.train.get_or_create_global_step())
        mine = {whole(variable) for variable in optimizer.variables()}
        for variable in v1.trainable_variables():
            for name in optimizer.get_slot_names():
                slot = optimizer.get_slot(variable, name)
                if slot is not None:
                    self.slots.setdefault(whole(variable), set()).add(whole(slot))
        owned = set().union(*self.slots.values()) if self.slots else set()
        self.shared |= mine - owned

    def average(self, ema: Any, variables: list[Any]) -> Any:
        op = ema.apply(variables)
        for variable in variables:
            self.averages.setdefault(whole(variable), set()).add(ema.average_name(variable))
        return op

    def check(self, variables: tb.Variables) -> None:
        """Each kind, each owner, both ways."""
        for one in variables:
            slots = {slot.name for slot in one.slots.values()}
            assert slots == self.slots.get(one.name, set()), one
            averages = {average.name for average in one.averages.values()}
            assert averages == self.averages.get(one.name, set()), one
            for name, owned in (one.slots | one.averages).items():
                assert owned.slot_of == one
                assert owned.slot_name == name
                assert owned.trainable in (False, None)
                assert owned.name.endswith(f"/{name}")
        kinds = {one.name: one.kind for one in variables}
        want = dict.fromkeys(self.weights, "weight") | dict.fromkeys(
            self.steps & set(kinds), "step"
        )
        for names in self.slots.values():
            want |= dict.fromkeys(names, "slot")
        for names in self.averages.values():
            want |= dict.fromkeys(names, "average")
        want |= dict.fromkeys(self.shared, "slot")
        assert kinds == want
        assert {one.name for one in variables.weights} == self.weights


def check_all(tf: Any, prefix: str, facts: Facts) -> None:
    """With the graph, the graph alone, and the names alone."""
    ckpt = tb.open(prefix)
    check_against(restored(tf, prefix), ckpt)
    check_keys(tf, prefix, ckpt)
    assert ckpt.variables.findings == []
    facts.check(ckpt.variables)
    facts.check(tb.load_meta_graph(f"{prefix}.meta").variables)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(tf: Any, tmp_path: Path, name: str) -> None:
    """Dense and sparse gradients, an untrained variable; ref, resource, in one piece, in parts."""
    facts = Facts()

    def build(tf: Any, v1: Any) -> None:
        loss = 0.0
        nets = [("a", False, 1), ("b", True, 2), ("c", True, 1), ("d", False, 2)]
        for net, resource, parts in nets if name == "Adam" else nets[:2]:
            cut = v1.fixed_size_partitioner(parts) if parts > 1 else None
            with v1.variable_scope(net, use_resource=resource, partitioner=cut):
                w = v1.get_variable("w", [4, 3])
                rows = v1.get_variable("rows", [5, 3])
                b = v1.get_variable("b", [3], trainable=False)
            looked_up = v1.nn.embedding_lookup(rows, v1.placeholder(tf.int32, [None]))
            product = tf.matmul(v1.placeholder(tf.float32, [None, 4]), tf.convert_to_tensor(w))
            loss += tf.reduce_sum((product + looked_up + b) ** 2)
            facts.weights |= {f"{net}/w", f"{net}/rows", f"{net}/b"}
        facts.train(v1, loss, OPTIMIZERS[name](v1.train))

    prefix = save(tf, tmp_path, build)
    check_all(tf, prefix, facts)
    if name != "called otherwise":  # no name tells that
        facts.check(tb.Variables(tb.open(prefix), None))


@pytest.mark.parametrize("resource", [False, True], ids=["ref", "resource"])
def test_within_scopes(tf: Any, tmp_path: Path, resource: bool) -> None:
    """An optimizer that is made within a scope names its slots after both."""
    facts = Facts()

    def build(tf: Any, v1: Any) -> None:
        with v1.variable_scope("net", use_resource=resource):
            w = v1.get_variable("w", [4])
            inner = v1.get_variable("w/w", [4])
        facts.weights = {"net/w", "net/w/w"}
        with v1.variable_scope("train/deep"):
            facts.train(v1, tf.reduce_sum((w + inner) ** 2), v1.train.AdamOptimizer())

    facts.steps = {"train/deep/global_step"}
    prefix = save(tf, tmp_path, build)
    check_all(tf, prefix, facts)


def test_two_optimizers(tf: Any, tmp_path: Path) -> None:
    """One for each of two variables, and one more for both: slots get numbers."""
    facts = Facts()

    def build(tf: Any, v1: Any) -> None:
        a, b = v1.get_variable("a", [2]), v1.get_variable("b", [2], use_resource=True)
        facts.weights = {"a", "b"}
        loss = tf.reduce_sum(a**2) + tf.reduce_sum(b**2)
        for optimizer in (v1.train.AdamOptimizer(), v1.train.AdamOptimizer()):
            facts.train(v1, loss, optimizer)
        facts.train(v1, loss, v1.train.MomentumOptimizer(0.1, 0.9))

    prefix = save(tf, tmp_path, build)
    check_all(tf, prefix, facts)
    slots = tb.open(prefix).variables["a"].slots
    assert list(slots) == ["Adam", "Adam_1", "Adam_2", "Adam_3", "Momentum"]


@pytest.mark.parametrize("resource", [False, True], ids=["ref", "resource"])
@pytest.mark.parametrize("name", ["ExponentialMovingAverage", "shadow"])
def test_moving_averages(tf: Any, tmp_path: Path, name: str, resource: bool) -> None:
    """Of trained and untrained variables, beside slots, whatever the average is called."""
    facts = Facts()

    def build(tf: Any, v1: Any) -> None:
        with v1.variable_scope("net", use_resource=resource):
            w = v1.get_variable("w", [4, 3])
            b = v1.get_variable("b", [3], trainable=False)
        facts.weights = {"net/w", "net/b"}
        facts.train(v1, tf.reduce_sum((w + b) ** 2), v1.train.MomentumOptimizer(0.1, 0.9))
        facts.average(v1.train.ExponentialMovingAverage(0.9, name=name), [w, b])

    prefix = save(tf, tmp_path, build)
    check_all(tf, prefix, facts)
    variables = tb.open(prefix).variables
    assert list(variables["net/w"].averages) == [name]
    assert list(variables["net/w"].slots) == ["Momentum"]


def test_the_average_of_what_is_no_variable(tf: Any, tmp_path: Path) -> None:
    """It belongs to no variable, and is no weight; nor are its helpers."""

    def build(tf: Any, v1: Any) -> None:
        w = v1.get_variable("w", [2])
        loss = tf.reduce_sum(w, name="loss")
        v1.train.ExponentialMovingAverage(0.9, zero_debias=True).apply([loss])

    variables = tb.open(save(tf, tmp_path, build)).variables
    assert [one.name for one in variables.weights] == ["w"]
    average = variables["loss/ExponentialMovingAverage"]
    assert (average.kind, average.slot_of) == ("average", None)
    assert set(variables.names()) == {
        "w",
        "loss/ExponentialMovingAverage",
        "loss/ExponentialMovingAverage/biased",
        "loss/ExponentialMovingAverage/local_step",
    }


def test_restoring_averages_into_weights(tf: Any, tmp_path: Path) -> None:
    """The usual way to evaluate: `variables_to_restore` renames each variable to its average."""

    def build(_: Any, v1: Any) -> None:
        w = v1.get_variable("w", [2])
        v1.train.ExponentialMovingAverage(0.9).apply([w])

    def evaluate(_: Any, v1: Any) -> Any:
        v1.get_variable("w", [2])
        return v1.train.Saver(v1.train.ExponentialMovingAverage(0.9).variables_to_restore())

    trained = tb.open(save(tf, tmp_path / "train", build))
    prefix = save(tf, tmp_path / "evaluate", evaluate)
    variables = tb.Variables(trained, tb.load_meta_graph(f"{prefix}.meta"))
    (w,) = variables
    assert (w.name, w.key, w.kind) == ("w", "w/ExponentialMovingAverage", "weight")
    same_value(w.numpy(), trained["w/ExponentialMovingAverage"])
    (finding,) = variables.findings
    assert (finding.kind, finding.key) == ("tensor without a variable", "w")


def test_a_step_by_its_collection(tf: Any, tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        v1.get_variable("w", [2])
        count = v1.get_variable("count", [], tf.int64, trainable=False)
        v1.add_to_collection(v1.GraphKeys.GLOBAL_STEP, count)

    variables = tb.open(save(tf, tmp_path, build)).variables
    assert [one.kind for one in variables] == ["step", "weight"]
    assert variables.names() == ["count", "w"]


def test_parts_are_what_their_whole_is(tf: Any, tmp_path: Path) -> None:
    facts = Facts()

    def build(tf: Any, v1: Any) -> None:
        w = v1.get_variable("w", [5, 2], partitioner=v1.fixed_size_partitioner(2))
        facts.train(v1, tf.reduce_sum(tf.convert_to_tensor(w) ** 2), v1.train.AdamOptimizer())

    variables = tb.open(save(tf, tmp_path, build)).variables
    for one in variables:
        assert [part.kind for part in one.parts] == [one.kind] * len(one.parts)
    for slot in variables["w"].slots.values():
        assert len(slot.parts) == 2
        assert slot.parts[0].name == f"w/part_0/{slot.slot_name}"
