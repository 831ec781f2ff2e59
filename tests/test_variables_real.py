"""The join over every checkpoint with a graph that there is: the fixtures, and the corpus."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from graph_oracle import CORPUS, file_id, graph_files, parse_meta
from variables_links import restored_keys
from variables_oracle import leaves, same_value

every_file = pytest.mark.parametrize("file", graph_files(), ids=file_id)
in_corpus = pytest.mark.skipif(not CORPUS, reason="TENSORBUNDLE_CORPUS names no folder")


def checkpoint_of(file: Path) -> tb.Checkpoint | None:
    """The checkpoint of a graph; `None` if there is none."""
    try:
        return tb.open(file.with_suffix("") if file.suffix == ".meta" else file.parent)
    except FileNotFoundError:
        return None


def joined(file: Path) -> tb.Variables:
    ckpt = checkpoint_of(file)
    return tb.Variables(ckpt, tb.load_meta_graph(file))


@every_file
def test_keys_are_those_of_the_restore_ops(tf: Any, file: Path) -> None:
    assert tf
    proto = parse_meta(file)
    want = restored_keys(proto)
    variables = joined(file)
    handles = {node.name for node in proto.graph_def.node if node.op in HANDLES}
    found = {one.op.name: one for one, _ in leaves(variables) if one.op is not None}
    assert set(found) == handles
    for name in handles & set(want):
        assert found[name].key in want[name], name
        assert found[name].key_source == "restore"
    for name in handles - set(want):
        assert found[name].key_source != "restore"


HANDLES = {"VariableV2", "VarHandleOp", "Variable"}


@every_file
def test_variables_are_those_of_the_collections(tf: Any, file: Path) -> None:
    """Names, types, trainable or not, as their protos say."""
    from tensorflow.core.framework.variable_pb2 import VariableDef

    collections = parse_meta(file).collection_def
    listed = {
        key: [VariableDef.FromString(data) for data in collections[key].bytes_list.value]
        for key in ("variables", "trainable_variables")
        if key in collections
    }
    names = {d.variable_name.partition(":")[0] for d in listed.get("variables", ())}
    trained = {d.variable_name.partition(":")[0] for d in listed.get("trainable_variables", ())}
    found = {one.name: one for one, _ in leaves(joined(file))}
    assert names <= set(found)
    for name in names:
        one = found[name]
        assert one.trainable is (name in trained), name
        assert one.initializer is not None
        assert one.snapshot is not None
        assert one.op is not None
        assert one.dtype == tf.dtypes.as_dtype(one.op.get_attr("dtype").as_datatype_enum).name


@pytest.mark.parametrize(
    "file", [file for file in graph_files() if checkpoint_of(file) is not None], ids=file_id
)
def test_values(file: Path) -> None:
    ckpt = checkpoint_of(file)
    assert ckpt is not None
    shards = ckpt.shard_paths()
    for one in ckpt.variables:
        assert one.in_checkpoint == (one.key in ckpt)
        if not one.in_checkpoint or one.key is None:
            continue
        info = one.info
        assert info == ckpt.info(one.key)
        assert one.dtype is None or one.dtype == info.type_name
        if info.shard is None or Path(shards[info.shard]).exists():
            same_value(one.numpy(), ckpt[one.key])
        else:
            with pytest.raises(FileNotFoundError):
                one.numpy()


# Variables that no saver saves: copies of half of them, and a global step.
SOUND_BUT = {"t5x--model.ckpt-0": 52, "tensorflow--export": 1}


@every_file
def test_all_fits(file: Path) -> None:
    variables = joined(file)
    kinds = Counter(finding.kind for finding in variables.findings)
    unsaved = sum(number for name, number in SOUND_BUT.items() if name in file.parts)
    want = {"variable that is not saved": unsaved} if unsaved else {}
    assert kinds == want, variables.findings


@every_file
def test_kinds(file: Path) -> None:
    """What is trained is a weight, what belongs to another is a slot or an average."""
    for one in joined(file):
        assert one.kind in {"weight", "slot", "average", "step", "other"}
        if one.trainable:
            assert one.kind in {"weight", "step"}, one
        if one.slot_of is not None:
            assert one.kind in {"slot", "average"}
            assert one.slot_of.kind == "weight"
            owned = one.slot_of.slots | one.slot_of.averages
            assert owned[one.slot_name or ""] == one


# What some of them hold, by hand.


def in_folder(name: str) -> tb.Variables:
    (file,) = (file for file in graph_files() if name in file.parts)
    return joined(file)


def counted(variables: tb.Variables) -> dict[str, int]:
    return dict(Counter(one.kind for one in variables))


@in_corpus
def test_momentum_of_2017() -> None:
    """TensorFlow 1.2: one restore op for each variable."""
    variables = in_folder("MTCNN-Tensorflow--PNet-1")
    assert counted(variables) == {"weight": 14, "slot": 13}
    assert [one.name for one in variables.weights if not one.trainable] == ["Variable"]
    for one in variables.trainable:
        assert list(one.slots) == ["Momentum"]
        assert one.slots["Momentum"].key == f"{one.name}/Momentum"


@in_corpus
def test_adam_of_2017() -> None:
    variables = in_folder("TensorFlow-Tutorials--dnn.ckpt-100")
    assert counted(variables) == {"weight": 3, "step": 1, "slot": 8}
    assert [one.name for one in variables.weights] == ["layer1/W1", "layer2/W2", "output/W3"]
    assert [list(one.slots) for one in variables.weights] == [["Adam", "Adam_1"]] * 3
    assert variables["optimizer/beta1_power"].kind == "slot"
    assert variables["global_step"].kind == "step"


@in_corpus
def test_ftrl_of_an_estimator() -> None:
    """TensorFlow 1.14: each variable is partitioned, into one part."""
    variables = in_folder("model--model.ckpt-0")
    assert counted(variables) == {"step": 1, "weight": 13, "slot": 26}
    for one in variables.weights:
        assert one.trainable
        assert len(one.parts) == 1
        assert {slot.key for slot in one.slots.values()} == {
            f"{one.name}/part_0/Ftrl",
            f"{one.name}/part_0/Ftrl_1",
        }
        assert list(one.slots) == ["Ftrl", "Ftrl_1"]


@in_corpus
def test_ftrl_of_the_first_format() -> None:
    """Before 0.12. The state file names another checkpoint, which is not there."""
    (file,) = Path(CORPUS, "tensorboard--model.ckpt-1").glob("*.meta")
    variables = joined(file)
    assert variables.checkpoint is not None
    assert variables.checkpoint.format == "V1"
    assert counted(variables) == {"step": 1, "weight": 3, "slot": 6}
    assert {one.key_source for one in variables} == {"restore"}
    assert [list(one.slots) for one in variables.weights] == [["Ftrl", "Ftrl_1"]] * 3


@in_corpus
def test_mesh_tensorflow() -> None:
    variables = in_folder("t5x--model.ckpt-0")
    saved = [one for one in variables if one.in_checkpoint]
    assert Counter(one.kind for one in saved) == {"weight": 52, "slot": 52, "step": 1}
    assert {one.dtype for one in saved if one.kind == "weight"} == {"bfloat16"}
    assert variables["shared/embedding"].shape == (32128, 32)
    assert variables["shared/embedding"].slots["slot_v"].name == "shared/embedding_slot_v"


@in_corpus
def test_a_served_model() -> None:
    """TensorFlow 2.14: three variables, and one that holds an asset's path."""
    variables = in_folder("serving--00000123")
    assert {one.name: one.key for one in variables if one.key is not None} == {
        name: f"{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in "abc"
    }
    assert [one.numpy().tolist() for one in map(variables.__getitem__, "abc")] == [0.5, 2.0, 3.0]
    assert sorted(one.name for one in variables.weights) == ["a", "b", "c"]


@in_corpus
def test_a_loss_scale_is_no_weight() -> None:
    ckpt = tb.open(Path(CORPUS or "") / "tensorflow--ckpt" / "ckpt")
    assert [one.name for one in ckpt.variables.weights] == [
        "layer_with_weights-0/bias",
        "layer_with_weights-0/kernel",
    ]
