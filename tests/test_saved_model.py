"""SavedModels with TensorFlow as the oracle: its protos, its loaders, its command line."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import saved_model_maker as maker
import tensorbundle as tb
from command import cli
from graph_oracle import CORPUS, shape_of
from test_message import same_message
from variables_oracle import same_value

REAL = (
    "serving--00000123",
    "decision-forests--saved_model_adult_rf",
    "BookClassifier--text_vectorizer",
    "tensorflow--00000123",
    "tensorflow--half_plus_two_sharded",
    "tensorflow--chunked_model",
)
MADE = ("old", "module", "nothing", "keras", "text")


@pytest.fixture(scope="module")
def made(tf: Any, tmp_path_factory: Any) -> dict[str, tuple[Path, Any]]:
    """Each SavedModel, and what it was made of."""
    top = tmp_path_factory.mktemp("saved")
    makers = {
        "old": maker.of_the_old_builder,
        "module": maker.of_a_module,
        "nothing": maker.of_nothing,
        "keras": maker.exported_by_keras,
    }
    found = {name: (top / name, make(tf, top / name)) for name, make in makers.items()}
    shutil.copytree(top / "module", top / "text")
    from google.protobuf import text_format

    proto = model_proto(top / "text")
    (top / "text" / "saved_model.pbtxt").write_text(text_format.MessageToString(proto))
    (top / "text" / "saved_model.pb").unlink()
    return {**found, "text": (top / "text", None)}


@pytest.fixture(params=[*MADE, *(REAL if CORPUS else ())])
def folder(request: Any, made: Any) -> Path:
    name = request.param
    return made[name][0] if name in made else Path(CORPUS or "") / name


def model_proto(folder: Path) -> Any:
    """As TensorFlow's own SavedModel."""
    from google.protobuf import text_format
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    binary = folder / "saved_model.pb"
    if binary.exists():
        return SavedModel.FromString(binary.read_bytes())
    return text_format.Parse((folder / "saved_model.pbtxt").read_text(), SavedModel())


def asset_files(meta: Any) -> list[Any]:
    """Of the graph, or, as TensorFlow 1 has them, of a collection."""
    from tensorflow.core.protobuf.meta_graph_pb2 import AssetFileDef

    collected = meta.collection_def["saved_model_assets"].any_list.value
    return list(meta.asset_file_def) or [AssetFileDef.FromString(one.value) for one in collected]


def same_tensor(ours: tb.SignatureTensor, theirs: Any) -> None:
    same_message(ours.message, theirs)
    encoding = theirs.WhichOneof("encoding")
    if encoding == "coo_sparse":
        assert ours.kind == "coo_sparse"
        names = {one.key: one.name for one in ours.components}
        assert names == {
            "values": theirs.coo_sparse.values_tensor_name,
            "indices": theirs.coo_sparse.indices_tensor_name,
            "dense_shape": theirs.coo_sparse.dense_shape_tensor_name,
        }
        for one in ours.components:
            assert one.tensor is not None
            assert (one.tensor.dtype, one.tensor.name) == (one.dtype, one.name)
            assert one.shape == one.tensor.shape
    elif encoding == "composite_tensor":
        assert ours.kind == "composite"
        assert ours.type_name == theirs.composite_tensor.type_spec.type_spec_class_name
        for one, other in zip(ours.components, theirs.composite_tensor.components, strict=True):
            same_tensor(one, other)
    else:
        assert (ours.kind, ours.components, ours.type_spec) == ("dense", (), None)
        assert ours.name == (theirs.name or None)
    if ours.kind != "dense":
        assert (ours.name, ours.tensor, ours.op) == (None, None, None)
    number = 0 if ours.dtype is None else ours.dtype.as_datatype_enum
    assert number == theirs.dtype
    assert ours.shape == (
        shape_of(theirs.tensor_shape) if theirs.HasField("tensor_shape") else None
    )
    if ours.name is not None and ":" in ours.name:
        assert ours.tensor is not None
        assert ours.tensor.name == ours.name
        assert ours.op == ours.tensor.op
    elif ours.name is not None:
        assert ours.tensor is None
        assert ours.op is not None
        assert ours.op.name == ours.name


def test_graphs_and_signatures(tf: Any, folder: Path) -> None:
    model, proto = tb.load_saved_model(folder), model_proto(folder)
    assert model.schema_version == proto.saved_model_schema_version == 1
    assert model.directory == str(folder)
    assert model.tags == [tuple(meta.meta_info_def.tags) for meta in proto.meta_graphs]
    assert len(model.meta_graphs) == len(proto.meta_graphs)
    for meta, theirs in zip(model.meta_graphs, proto.meta_graphs, strict=True):
        same_message(meta.message, theirs)
        assert meta is model.meta_graph(reversed(meta.tags))
        assert meta.graph is not None
        signatures = model.signatures_of(meta.tags)
        assert list(signatures) == sorted(theirs.signature_def)
        for name, one in signatures.items():
            other = theirs.signature_def[name]
            assert (one.name, one.method_name) == (name, other.method_name)
            for ours, wanted in ((one.inputs, other.inputs), (one.outputs, other.outputs)):
                assert list(ours) == sorted(wanted)
                for key in ours:
                    assert ours[key].key == key
                    same_tensor(ours[key], wanted[key])
            assert one.defaults.keys() == set(other.defaults)
            for key, value in one.defaults.items():
                same_value(value, tf.make_ndarray(other.defaults[key]))
        assets = model.assets_of(meta.tags)
        assert [(one.filename, one.tensor_name) for one in assets] == [
            (one.filename, one.tensor_info.name) for one in asset_files(theirs)
        ]
        for asset in assets:
            path = folder / "assets" / asset.filename
            assert (asset.path, asset.exists) == (str(path), path.exists())
            assert asset.size == (path.stat().st_size if path.exists() else None)
    copied = pickle.loads(pickle.dumps(model))
    assert repr(copied) == repr(model)
    for one, other in zip(copied.meta_graphs, model.meta_graphs, strict=True):
        assert one.message == other.message
        assert pickle.loads(pickle.dumps(one)).message == other.message


def test_objects(tf: Any, folder: Path) -> None:
    assert tf
    model = tb.load_saved_model(folder)
    theirs = model_proto(folder).meta_graphs[0].object_graph_def
    objects = model.objects_of(model.tags[0])
    if not theirs.nodes:
        assert objects is None
        return
    assert objects is not None
    assert len(objects) == len(theirs.nodes)
    for one, other in zip(objects, theirs.nodes, strict=True):
        same_message(one.message, other)
        assert one.kind == (other.WhichOneof("kind") or "")
        assert one.number == objects[one.number].number
        assert {name: child.number for name, child in one.children.items()} == {
            child.local_name: child.node_id for child in other.children
        }
        if one.path:  # each name leads on
            at = objects[0]
            for name in one.path.split("/"):
                at = at.children[name.replace(".S", "/").replace("..", ".")]
            assert at.number == one.number
    functions = model.concrete_functions
    assert functions.keys() == set(theirs.concrete_functions)
    for name, function in functions.items():
        same_message(function.message, theirs.concrete_functions[name])
        assert function.function is not None
        assert function.function.name == name
        bound = theirs.concrete_functions[name].bound_inputs
        assert [one and one.number for one in function.bound_inputs] == list(bound)


def test_the_join_of_the_old_builder(tf: Any, made: Any) -> None:
    folder, values = made["old"]
    model = tb.load_saved_model(folder)
    for tags in model.tags:
        variables = model.variables_of(tags)
        assert variables.names() == ["w", "r"]
        assert variables.findings == []
        for name, value in values.items():
            same_value(variables[name].numpy(), value)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
        for name in ("w", "r"):
            (theirs,) = (v for v in tf.compat.v1.global_variables() if v.op.name == name)
            same_value(model.variables[name].numpy(), session.run(theirs))
    assert model.init_op is not None
    assert model.init_op.name == "main"
    assert model.main_op == model.init_op
    assert model.train_op is not None
    assert model.train_op.name == "train_step"
    train = {
        tuple(graph["tags"]): graph
        for graph in cli("info", folder, "--json").document["saved_model"]["graphs"]
    }[("train",)]
    assert (train["init_op"], train["train_op"]) == ("main", "train_step")


@pytest.mark.parametrize("name", ["module", "keras", "nothing"])
def test_the_join_of_objects(tf: Any, made: Any, name: str) -> None:
    """Each variable that TensorFlow loads, by its path: the value, bit by bit."""
    folder, _ = made[name]
    model = tb.load_saved_model(folder)
    loaded = tf.saved_model.load(str(folder))
    objects = model.objects
    assert objects is not None
    seen = 0
    for one in objects:
        if one.kind != "variable" or one.path is None:
            continue
        theirs: Any = loaded
        for step in one.path.split("/"):
            step = step.replace(".S", "/").replace("..", ".")
            theirs = (
                theirs[int(step)]
                if step.isdigit() and isinstance(theirs, list | tuple)
                else (theirs[step] if isinstance(theirs, dict) else getattr(theirs, step))
            )
        (ours,) = (
            variable
            for variable in model.variables
            if variable.key == f"{one.path}/.ATTRIBUTES/VARIABLE_VALUE"
        )
        same_value(ours.numpy(), theirs.numpy())
        assert ours.trainable == theirs.trainable
        seen += 1
    assert seen == {"module": 3, "keras": 8, "nothing": 0}[name]
    assert model.init_op is not None
    assert model.init_op.name == "NoOp"


def test_fingerprints(tf: Any, folder: Path) -> None:
    model = tb.load_saved_model(folder)
    if not (folder / "fingerprint.pb").exists():
        assert model.fingerprint is None
        assert model.check_fingerprint() is None
        return
    theirs = tf.saved_model.experimental.read_fingerprint(str(folder))
    ours = model.fingerprint
    assert ours is not None
    for name in (
        "saved_model_checksum",
        "graph_def_program_hash",
        "signature_def_hash",
        "saved_object_graph_hash",
        "checkpoint_hash",
    ):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.singleprint == theirs.singleprint()
    assert ours.uuid.isdigit() or not ours.uuid
    assert ours.producer >= 1
    there = (folder / "variables" / "variables.index").exists()
    assert model.check_fingerprint() is (True if there else None)


def test_the_hash_is_tensorflow_s(tf: Any, tmp_path: Path) -> None:
    from tensorbundle._native import index_fingerprint

    rng = np.random.default_rng(0)
    for size in [*range(1, 300, 7), 1 << 12, (1 << 20) + 13]:
        data = rng.integers(0, 256, size, np.uint8)
        (tmp_path / "data").write_bytes(data.tobytes())
        theirs = tf.raw_ops.Fingerprint(data=data[None], method="farmhash64").numpy().tobytes()
        ours = index_fingerprint(str(tmp_path / "data"), True)
        assert ours == int.from_bytes(theirs, "little"), size


# What saved_model_cli prints.


def shown_by_tensorflow(folder: Path) -> str:
    from tensorflow.python.tools import saved_model_cli

    out = io.StringIO()
    with redirect_stdout(out):
        saved_model_cli._show_all(str(folder))
    return out.getvalue()


def test_all_that_saved_model_cli_shows(tf: Any, folder: Path) -> None:
    text = shown_by_tensorflow(folder)
    result = cli("info", folder, "--json")
    assert result.code == 0
    graphs = {tuple(graph["tags"]): graph for graph in result.document["saved_model"]["graphs"]}
    printed = cli("info", folder).out
    signatures = 0
    for part in text.split("\nMetaGraphDef with tag-set: ")[1:]:
        tags = re.match(r"'(.*)' contains", part)
        assert tags
        graph = graphs.pop(tuple(tags[1].split(", ")))
        for one in re.split(r"\nsignature_def\['", part)[1:]:
            name = one.split("']:", 1)[0]
            ours = graph["signatures"][name]
            method = re.search(r"Method name is: (.*)", one)
            assert method
            assert ours["method"] == method[1]
            rows = re.findall(
                r"(input|output)s\['(.*)'\] tensor_info:\n +"
                r"dtype: (\w+)\n +shape: (.*)\n +name: (.*)",
                one,
            )
            assert len(rows) == len(ours["inputs"]) + len(ours["outputs"])
            for direction, key, dtype, shape, tensor in rows:
                info = ours[f"{direction}s"][key]
                number = tf.dtypes.DType(getattr(tf.compat.v1.core, "x", 0)) if False else dtype
                assert number == dtype
                theirs = None if dtype == "DT_INVALID" else as_name(tf, dtype)
                assert info["dtype"] == theirs
                dims = (
                    None
                    if shape == "unknown_rank"
                    else eval(shape.replace("(", "[").replace(")", "]"))
                )
                if dims is not None:
                    dims = [None if dim < 0 else dim for dim in dims]
                if info["kind"] == "dense":
                    assert info["shape"] == dims or (dims == [] and info["shape"] is None)
                    assert (info["tensor"] or "") == tensor
                if tensor:
                    assert tensor in printed
                assert key in printed
            signatures += 1
        ops = re.search(r"contains the following ops: (\{.*\}|set\(\))", part)
        assert ops
        # Those of functions that nothing calls are in ours, too.
        assert {row["op"] for row in graph["ops"]} >= set(re.findall(r"'([^']+)'", ops[1]))
        functions = {row["path"]: [] for row in graph["concrete_functions"]}
        for row in graph["concrete_functions"]:
            functions[row["path"]].append(row)
        for one in re.split(r"\n  Function Name: '", part)[1:]:
            name = one.split("'", 1)[0]
            assert functions[name]
            values = [arg["value"] for row in functions[name] for arg in row["arguments"]]
            for spec in re.findall(r": (TensorSpec\(.*\))", one):
                assert spec in values
                assert spec in printed
            for value in re.findall(r" Value: (?![{\[])(.*)", one):
                assert value in values or repr(value) in values
            traced = len(re.findall("Option #", one))
            assert traced in (len(functions[name]), 0)
    assert not graphs
    assert signatures


def as_name(tf: Any, dtype: str) -> str:
    from tensorflow.core.framework import types_pb2

    name: str = tf.dtypes.as_dtype(types_pb2.DataType.Value(dtype)).name
    return name


def test_tags(made: Any) -> None:
    folder, _ = made["old"]
    model = tb.load_saved_model(folder)
    assert sorted(map(sorted, model.tags)) == [["serve"], ["serve", "tpu"], ["train"]]
    assert model.meta_graph().tags == ("serve",)
    assert set(model.meta_graph(["serve", "tpu"]).tags) == {"serve", "tpu"}
    with pytest.raises(tb.UnsupportedError, match="none of its 3 graphs has the tags"):
        model.meta_graph(["nope"])
    with pytest.raises(TypeError, match="not a str"):
        model.meta_graph("serve")
    document = cli("info", folder, "--json").document["saved_model"]
    assert [set(graph["tags"]) for graph in document["graphs"]] == list(map(set, model.tags))
    (one,) = cli("info", folder, "--tags", "tpu,serve", "--json").document["saved_model"]["graphs"]
    assert set(one["signatures"]) == {"other"}
    printed = cli("info", folder).out
    assert "init op   main" in printed
    assert "train_step" in printed
    assert "(SparseTensorSpec)" in printed
    narrowed = cli("info", folder, "--tags", "train").out
    assert "serving_default" not in narrowed
    assert cli("info", folder, "--tags", "nope").code == 2


def test_its_life(made: Any) -> None:
    folder, _ = made["module"]
    for path in (folder, str(folder / "saved_model.pb")):
        with tb.load_saved_model(path, mmap=False, verify=True) as model:
            assert model.checkpoint is not None
            assert model.checkpoint is model.checkpoint
            assert model.checkpoint.verify_on_read
            assert not model.checkpoint.mmap
            weight = model.variables["weight"]
            graph = model.meta_graph()
            assert not model.closed
        assert model.closed
        same_value(weight.numpy(), np.array([1, 2], np.float32))
        assert len(graph.graph) > 5
        for act in (lambda: model.tags, model.meta_graph, lambda: model.checkpoint):
            with pytest.raises(ValueError, match="is closed"):
                act()
        assert "closed" in repr(model)
    with pytest.raises(TypeError, match="must be str"):
        tb.load_saved_model(b"x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NUL"):
        tb.load_saved_model("a\0b")
    if os.name == "posix":
        text = tb.load_saved_model(made["text"][0])
        assert text.file.endswith(".pbtxt")
        assert text.check_fingerprint() is True


def test_without_variables(made: Any, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(made["nothing"][0], folder)
    variables = folder / "variables"
    shutil.rmtree(variables, ignore_errors=True)
    for prepare in (lambda: None, variables.mkdir):
        prepare()
        model = tb.load_saved_model(folder)
        assert model.checkpoint is None
        assert list(model.variables) == []
        result = cli("info", folder, "--json")
        assert result.document["saved_model"]["graphs"][0]["concrete_functions"]
        assert result.code == (0 if model.check_fingerprint() is None else 1)
    # Something beside the graphs is not the checkpoint.
    shutil.copy(made["module"][0] / "variables" / "variables.index", folder / "stray.index")
    assert tb.load_saved_model(folder).checkpoint is None


def test_extra_assets(made: Any, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(made["module"][0], folder)
    (folder / "assets.extra" / "deep").mkdir(parents=True)
    (folder / "assets.extra" / "a").write_text("x")
    (folder / "assets.extra" / "deep" / "b").write_text("x")
    model = tb.load_saved_model(folder)
    assert model.assets_extra == ["a", str(Path("deep", "b"))]
    (asset,) = model.assets
    assert (asset.filename, asset.size, asset.problem) == ("vocab.txt", 4, None)
    Path(asset.path or "").unlink()
    assert not model.assets[0].exists
    assert "missing" in cli("info", folder).out
