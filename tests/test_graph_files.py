"""What `load_meta_graph` takes: every form of a graph file, and which of several is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from graph_builders import BUILDERS
from graph_maker import (
    bytes_field,
    graph_def,
    meta_graph,
    node,
    of_int,
    of_list,
    saved_model,
    varint_field,
)
from test_message import same_message

# Sources.


def test_paths_and_bytes(data_dir: Path) -> None:
    file = data_dir / "mnist_mlp" / "model.ckpt-1000.meta"
    data = file.read_bytes()
    want = tb.load_meta_graph(file).message
    for source in (file, str(file), data, bytearray(data), memoryview(data)):
        for mmap in (True, False):
            meta = tb.load_meta_graph(source, mmap=mmap)
            assert meta.message == want
            assert meta.kind == "MetaGraphDef"
            assert meta.path == (str(file) if isinstance(source, Path | str) else None)
            assert ("bytes" if meta.path is None else str(file)) in repr(meta)
    view = memoryview(b"".join(bytes([byte, 0]) for byte in data))[::2]
    assert tb.load_meta_graph(view).message == want
    changing = bytearray(data)
    meta = tb.load_meta_graph(changing)
    changing[:] = bytes(len(data))
    assert meta.message == want


@pytest.mark.parametrize("source", [None, 3, b"x".hex, ["a"], Path])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(TypeError):
        tb.load_meta_graph(source)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        tb.load_meta_graph(tmp_path / "no.meta")
    assert caught.value.filename == str(tmp_path / "no.meta")
    with pytest.raises(IsADirectoryError):
        tb.load_meta_graph(tmp_path)
    with pytest.raises(ValueError, match="NUL"):
        tb.load_meta_graph("a\0b")
    with pytest.raises(TypeError, match="path must be str"):
        tb.load_meta_graph(type("P", (), {"__fspath__": lambda _: b"x"})())


def test_a_saved_model_by_folder_and_file(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "saved_model"
    by_file, by_folder = tb.load_meta_graph(folder / "saved_model.pb"), tb.load_meta_graph(folder)
    assert by_folder.message == by_file.message
    assert by_folder.path == str(folder / "saved_model.pb")
    assert (by_file.kind, by_file.tags) == ("SavedModel", ("serve",))
    (tmp_path / "saved_model.pbtxt").write_text(
        "meta_graphs { graph_def { node { name: 'a' op: 'B' } } }"
    )
    assert tb.load_meta_graph(tmp_path).path == str(tmp_path / "saved_model.pbtxt")
    (tmp_path / "saved_model.pb").write_bytes(saved_model(meta_graph(b"")))
    assert tb.load_meta_graph(tmp_path).path == str(tmp_path / "saved_model.pb")


@pytest.mark.parametrize("name", BUILDERS)
def test_every_form_of_a_graph(tf: Any, tmp_path: Path, name: str) -> None:
    """Text and binary, with all about it and bare: the same graph."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        BUILDERS[name](tf, v1)
        proto = v1.train.export_meta_graph(tmp_path / "a.meta")
        v1.train.export_meta_graph(tmp_path / "text.meta", as_text=True)
        tf.io.write_graph(graph, str(tmp_path), "frozen.pb", as_text=False)
        tf.io.write_graph(graph, str(tmp_path), "frozen.pbtxt", as_text=True)
    model = SavedModel(saved_model_schema_version=1, meta_graphs=[proto])
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    (tmp_path / "saved_model.pbtxt").write_text(str(model))
    bare = graph.as_graph_def()
    for mmap in (True, False):
        for file in ("a.meta", "text.meta", "saved_model.pb", "saved_model.pbtxt"):
            meta = tb.load_meta_graph(tmp_path / file, mmap=mmap)
            same_message(meta.message, proto)
            assert meta.kind == ("MetaGraphDef" if "meta" in file else "SavedModel")
            assert len(meta.graph) == len(bare.node)
        for file in ("frozen.pb", "frozen.pbtxt"):
            meta = tb.load_meta_graph(tmp_path / file, mmap=mmap)
            same_message(meta.message, bare)
            assert meta.kind == "GraphDef"
            assert [op.name for op in meta.graph.get_operations()] == [n.name for n in bare.node]
            assert (meta.saver_def, meta.signature_def, meta.tags) == (None, {}, ())
            assert (meta.meta_info_def, meta.object_graph_def, meta.collection_def) == (
                None,
                None,
                {},
            )
            assert (meta.stripped_op_list, meta.savers, meta.asset_file_def) == ({}, [], ())
            assert meta.producer == bare.versions.producer


@pytest.mark.parametrize("head", [b"", b"# a comment\n\n", b"\xef\xbb\xbf", b"\n  \n"])
def test_texts_begin_in_many_ways(head: bytes) -> None:
    meta = tb.load_meta_graph(
        head + b"node < name: 'a' op: \"X\" input: ['b', '^b'] >\nnode { name: 'b' op: 'Y' }"
    )
    assert [op.name for op in meta.graph.get_operations()] == ["a", "b"]
    assert meta.kind == "GraphDef"


def test_graph_defs_of_every_make() -> None:
    nodes = [
        node("a", "Own"),
        node("b", "Own", ["a"]),
        node("c", "Own", device="/cpu:0", k=of_int(1)),
    ]
    for data, count in (
        (graph_def(nodes), 3),
        (graph_def(nodes, producer=0), 3),
        (graph_def(nodes[:1]), 1),
        (graph_def(nodes[:2], producer=0), 2),
        (graph_def(nodes[2:]), 1),
        (graph_def([node(b"\xff", "Own", x__c=of_list())]), 1),
        (varint_field(3, 21) + graph_def(nodes, producer=0), 3),
        (bytes_field(4, b"\x08\x15") + graph_def(nodes, producer=0), 3),
    ):
        meta = tb.load_meta_graph(data)
        assert (meta.kind, len(meta.graph)) == ("GraphDef", count)
        again = tb.load_meta_graph(bytes_field(2, data))
        assert (again.kind, len(again.graph)) == ("MetaGraphDef", count)
        again = tb.load_meta_graph(saved_model(bytes_field(2, data)))
        assert (again.kind, len(again.graph)) == ("SavedModel", count)


# Tags.


def several(*tags: list[str]) -> bytes:
    return saved_model(
        *(meta_graph(graph_def([node("/".join(each) or "-")]), tags=each) for each in tags)
    )


@pytest.mark.parametrize(
    ("have", "wanted", "got"),
    [
        ([["train"]], None, "train"),
        ([[]], None, "-"),
        ([["serve"], ["train"]], None, "serve"),
        ([["train"], ["serve", "gpu"], ["serve"]], None, "serve"),
        ([["train"], ["serve", "gpu"], ["serve"]], ["gpu", "serve"], "serve/gpu"),
        ([["train"], ["serve", "gpu"], ["serve"]], {"train"}, "train"),
        ([["train"], [], ["serve"]], [], "-"),
        ([["train"], ["é"]], iter(["é"]), "é"),
    ],
)
def test_tags(have: list[list[str]], wanted: Any, got: str) -> None:
    meta = tb.load_meta_graph(several(*have), tags=wanted)
    (op,) = meta.graph.get_operations()
    assert op.name == got
    assert "/".join(meta.tags) == got.replace("-", "")


@pytest.mark.parametrize(
    ("have", "wanted", "text"),
    [
        ([["train"], ["serve", "gpu"]], None, '["gpu", "serve"] ["train"]'),
        ([["train"], ["serve", "gpu"]], ["serve"], "none of its 2 graphs has the tags"),
        ([["train"]], ["serve"], '["train"]'),
        ([["serve"], ["serve"]], None, "several of its 2 graphs"),
    ],
)
def test_tags_that_fit_none_or_several(have: Any, wanted: Any, text: str) -> None:
    with pytest.raises(tb.UnsupportedError) as caught:
        tb.load_meta_graph(several(*have), tags=wanted)
    assert all(part in str(caught.value) for part in text.split("] ["))
    assert ("`tags`" in str(caught.value)) == (not text.startswith("several"))


def test_tags_of_a_wrong_kind() -> None:
    with pytest.raises(TypeError, match="not a str"):
        tb.load_meta_graph(several(["a"]), tags="a")
    with pytest.raises(TypeError):
        tb.load_meta_graph(several(["a"]), tags=[1])  # type: ignore[list-item]


def test_a_graph_without_nodes(tf: Any, tmp_path: Path) -> None:
    """TensorFlow writes the versions even then."""
    with tf.Graph().as_default() as graph:
        proto = tf.compat.v1.train.export_meta_graph(tmp_path / "empty.meta")
        tf.io.write_graph(graph, str(tmp_path), "empty.pb", as_text=False)
    meta = tb.load_meta_graph(tmp_path / "empty.meta")
    same_message(meta.message, proto)
    assert (meta.kind, len(meta.graph), meta.graph.get_operations()) == ("MetaGraphDef", 0, [])
    assert tb.load_meta_graph(saved_model(proto.SerializeToString())).kind == "SavedModel"
    again = tb.load_meta_graph(tmp_path / "empty.pb")
    assert (again.kind, again.producer) == ("GraphDef", meta.producer)
