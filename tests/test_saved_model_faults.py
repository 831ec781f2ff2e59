"""Broken and hostile SavedModels: what is said, and that no name leads out of the directory."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from command import cli
from encoding import bytes_field, varint, varint_field
from graph_maker import (
    graph_def,
    map_field,
    meta_graph,
    node,
    node_list,
    op_def,
    saved_model,
    tensor,
    text_field,
)
from graph_oracle import CORPUS


def info(name: str | bytes, dtype: int = 1) -> bytes:
    return text_field(1, name) + (varint_field(2, dtype) if dtype else b"")


def asset(filename: str | bytes) -> bytes:
    return bytes_field(6, bytes_field(1, info("a:0")) + text_field(2, filename))


def signature(inputs: dict[str, bytes], outputs: dict[str, bytes], more: bytes = b"") -> bytes:
    out = b"".join(map_field(1, *item) for item in inputs.items())
    return out + b"".join(map_field(2, *item) for item in outputs.items()) + more


def signed(name: str | bytes, message: bytes) -> bytes:
    return map_field(5, name, message)


def child(name: str | bytes, number: int) -> bytes:
    return bytes_field(1, varint_field(1, number) + text_field(2, name))


def objects(*nodes: bytes, functions: bytes = b"") -> bytes:
    return bytes_field(7, b"".join(bytes_field(1, one) for one in nodes) + functions)


GRAPH = graph_def([node("a", "Placeholder"), node("b")])


def write(
    folder: Path,
    *more: bytes,
    tags: Iterable[str] = ("serve",),
    graph: bytes = GRAPH,
    **options: Any,
) -> Path:
    folder.mkdir(exist_ok=True)
    meta = meta_graph(graph, tags=tags, ops=[op_def("NoOp")], **options) + b"".join(more)
    (folder / "saved_model.pb").write_bytes(saved_model(meta))
    return folder


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"\x08\x01\x12\xff\x01\x0a\x00", "cut short"),
        (meta_graph(GRAPH), "this is a MetaGraphDef"),
        (GRAPH, "this is a GraphDef"),
        (b"\0" * 20, "no MetaGraphDef, SavedModel or GraphDef"),
    ],
)
def test_no_saved_model(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "saved_model.pb").write_bytes(data)
    with pytest.raises(tb.CorruptionError, match=said) as caught:
        tb.load_saved_model(tmp_path)
    assert caught.value.path == str(tmp_path / "saved_model.pb")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match="no SavedModel in this directory: none of"
    ) as caught:
        tb.load_saved_model(tmp_path)
    assert caught.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError):
        tb.load_saved_model(tmp_path / "gone")


def test_cut_anywhere(data_dir: Path, tmp_path: Path) -> None:
    data = (data_dir / "saved_model" / "saved_model.pb").read_bytes()
    for end in range(0, len(data), 97):
        (tmp_path / "saved_model.pb").write_bytes(data[:end])
        with pytest.raises(tb.CorruptionError):
            tb.load_saved_model(tmp_path).meta_graph()


def test_graphs_of_the_same_tags(tmp_path: Path) -> None:
    metas = [meta_graph(graph_def([node(name)]), tags=["serve"]) for name in ("a", "b")]
    (tmp_path / "saved_model.pb").write_bytes(saved_model(*metas))
    model = tb.load_saved_model(tmp_path)
    assert [meta.graph.get_operations()[0].name for meta in model.meta_graphs] == ["a", "b"]
    with pytest.raises(tb.UnsupportedError, match="several of its 2 graphs"):
        model.meta_graph()
    graphs = cli("info", tmp_path, "--json").document["saved_model"]["graphs"]
    assert [graph["nodes"] for graph in graphs] == [1, 1]
    assert cli("info", tmp_path).code == 0


def test_one_of_two_graphs_is_damaged(tmp_path: Path) -> None:
    good = meta_graph(GRAPH, tags=["serve"])
    bad = meta_graph(b"", tags=["train"]) + bytes_field(2, bytes_field(1, node("a")) + b"\x0a\x7f")
    (tmp_path / "saved_model.pb").write_bytes(saved_model(good, bad))
    model = tb.load_saved_model(tmp_path)
    assert len(model.meta_graph().graph) == 2
    with pytest.raises(tb.CorruptionError):
        model.meta_graph(["train"])
    with pytest.raises(tb.CorruptionError):
        assert model.meta_graphs
    result = cli("info", tmp_path)
    assert "{train} not read: " in result.out


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:\\x", "a\0b"]
)
def test_assets_that_lead_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("x")
    folder = write(tmp_path / "m", asset(name), asset("fine"))
    (folder / "assets").mkdir()
    (folder / "assets" / "fine").write_text("12345")
    first, second = tb.load_saved_model(folder).assets
    assert (first.filename, first.path, first.exists, first.size) == (name, None, False, None)
    assert "leads out of assets/" in (first.problem or "")
    assert (second.size, second.problem) == (5, None)
    assert "not followed" in cli("info", folder).out
    rows = cli("info", folder, "--json").document["saved_model"]["graphs"][0]["assets"]
    assert [row["exists"] for row in rows] == [False, True]


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "m",
        asset(b"\xff"),
        signed(b"s\xff", signature({"k\udcfe": info("a:0")}, {})),
        objects(child(b"\xfd\n", 1), b""),
        tags=["serve", "t\udcff"],
    )
    model = tb.load_saved_model(folder)
    assert model.tags == [("serve", "t\udcff")]
    assert model.assets[0].filename == "\udcff"
    assert list(model.signatures) == ["s\udcff"]
    assert list(model.signatures["s\udcff"].inputs) == ["k\udcfe"]
    assert [one.path for one in model.objects or ()] == ["", "\udcfd\n"]
    printed = cli("info", folder)
    assert printed.code == 0
    assert "t\\xff" in printed.out
    assert cli("info", folder, "--json").code == 0


def test_signatures_of_what_is_not_there(tmp_path: Path) -> None:
    key = "__saved_model_init_op"
    folder = write(
        tmp_path / "m",
        signed("x", signature({"gone": info("gone:0"), "far": info("b:7")}, {"empty": b""})),
        signed(key, signature({}, {key: info("nowhere", 0)})),
    )
    model = tb.load_saved_model(folder)
    one = model.signatures["x"]
    for name in ("gone", "far"):
        with pytest.raises(tb.NotInGraphError):
            assert one.inputs[name].tensor
    assert (one.outputs["empty"].name, one.outputs["empty"].op) == (None, None)
    with pytest.raises(tb.NotInGraphError):
        assert model.init_op
    result = cli("info", folder)
    assert "damaged" in result.out
    assert "nowhere" in result.out


def test_the_legacy_init_op(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", collections={"legacy_init_op": node_list("b")})
    model = tb.load_saved_model(folder)
    assert model.init_op is not None
    assert model.init_op.name == "b"
    assert model.main_op is None


def test_composite_tensors_in_one_another(tmp_path: Path) -> None:
    message = info("a:0")
    for _ in range(90):
        message = bytes_field(5, bytes_field(2, message))
    folder = write(tmp_path / "m", signed("x", signature({"deep": message}, {})))
    deep = tb.load_saved_model(folder).signatures["x"].inputs["deep"]
    for _ in range(20):
        (deep,) = deep.components
    with pytest.raises(tb.CorruptionError, match="deep"):
        assert deep.components
    assert "damaged" in cli("info", folder).out


def test_defaults(tmp_path: Path) -> None:
    given = map_field(4, "x", tensor(1, [1], b"\0\0\x80\x3f")) + map_field(
        4, "y", tensor(1, [9], b"1")
    )
    folder = write(tmp_path / "m", signed("s", signature({"x": info("a:0")}, {}, given)))
    (one,) = tb.load_saved_model(folder).signatures.values()
    with pytest.raises(tb.CorruptionError):
        assert one.defaults
    assert cli("info", folder, "--json").code == 0


def test_objects_in_a_circle(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "m",
        objects(
            child("self", 0) + child("a", 1) + child("far", 99) + child("neg", -1),
            child("up", 0) + child("b.c/d", 2),
            child("a", 1),
            child("never", 0),
        ),
    )
    found = tb.load_saved_model(folder).objects
    assert found is not None
    assert [one.path for one in found] == ["", "a", "a/b..c.Sd", None]
    assert list(found[0].children) == ["self", "a"]
    assert [one.kind for one in found] == [""] * 4


def test_a_long_chain_of_objects(tmp_path: Path) -> None:
    """Paths together could be the square of the file."""
    number = 20_000
    nodes = [child("n" * 20, i + 1) for i in range(number)]
    function = map_field(2, "f", bytes_field(2, varint(number - 1) + varint(1 << 30)))
    folder = write(tmp_path / "m", objects(*nodes, b"", functions=function))
    model = tb.load_saved_model(folder)
    assert model.objects is not None
    paths = [one.path or "" for one in model.objects]
    assert max(map(len, paths)) < 65 * 21
    assert paths[-1].startswith("…/")
    (one,) = model.concrete_functions.values()
    assert one.function is None
    assert (one.path, one.arguments, one.returns) == (None, (), "?")
    assert [found and found.number for found in one.bound_inputs] == [number - 1, None]


def test_structures_in_one_another(tmp_path: Path) -> None:
    value = bytes_field(1, b"")
    for _ in range(95):
        value = bytes_field(51, bytes_field(1, value))
    wide = bytes_field(52, b"".join(bytes_field(1, varint_field(13, 2)) for _ in range(50_000)))
    functions = b"".join(
        map_field(2, name, bytes_field(4, one)) for name, one in (("deep", value), ("wide", wide))
    )
    folder = write(tmp_path / "m", objects(b"", functions=functions))
    found = tb.load_saved_model(folder).concrete_functions
    assert found["deep"].returns == "[" * 50 + "…" + "]" * 50
    assert len(found["wide"].returns) < 10_000


def test_much_that_is_shared(tmp_path: Path) -> None:
    """Many functions of one object with many arguments, each of which captures much."""
    names = b"".join(bytes_field(1, text_field(13, "x")) for _ in range(20_000))
    pair = text_field(1, "args") + bytes_field(2, bytes_field(51, names))
    spec = bytes_field(54, text_field(1, "FullArgSpec") + bytes_field(2, pair))
    traced = b"".join(text_field(1, f"f{i}") for i in range(5_000))
    function = bytes_field(6, traced + bytes_field(2, bytes_field(1, spec)))
    bound = bytes_field(2, varint(0) * 20)
    functions = b"".join(map_field(2, f"f{i}", bound) for i in range(5_000))
    folder = write(tmp_path / "m", objects(child("f", 1), function, functions=functions))
    found = tb.load_saved_model(folder).concrete_functions
    assert {one.path for one in found.values()} == {"f"}
    assert cli("info", folder, "--json").code == 0
    given = bytes_field(3, bytes_field(52, bytes_field(1, bytes_field(52, names[:5]))))
    folder = write(
        tmp_path / "m", objects(child("f", 1), function, functions=map_field(2, "f7", given))
    )
    assert tb.load_saved_model(folder).concrete_functions["f7"].arguments == (("x", "'x'"),)


# Fingerprints.


@pytest.fixture
def copied(data_dir: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copied"
    shutil.copytree(data_dir / "saved_model", folder)
    return folder


def test_a_fingerprint_of_another_checkpoint(copied: Path) -> None:
    assert tb.load_saved_model(copied).check_fingerprint() is True
    assert cli("info", copied).code == 0
    index = copied / "variables" / "variables.index"
    index.write_bytes(bytes((index.read_bytes()[0] ^ 1,)) + index.read_bytes()[1:])
    assert tb.load_saved_model(copied).check_fingerprint() is False
    index.unlink()
    assert tb.load_saved_model(copied).check_fingerprint() is False
    result = cli("info", copied)
    assert result.code == 1
    assert "checkpoint hash  does NOT match" in result.out


def test_a_mismatch_is_a_finding(copied: Path) -> None:
    print_of = (copied / "fingerprint.pb").read_bytes()
    at = print_of.index(b"\x28") + 1  # field 5
    broken = print_of[:at] + bytes((print_of[at] ^ 1,)) + print_of[at + 1 :]
    (copied / "fingerprint.pb").write_bytes(broken)
    result = cli("info", copied, "--json")
    assert result.code == 1
    assert result.document["saved_model"]["fingerprint"]["checkpoint_hash_matches"] is False
    assert result.document["total"]["tensors"] == 3
    assert "does NOT match" in cli("info", copied).out


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x0a\x01a", "field 1"),
        (b"\x3a\x01\xff", "field 7"),
        (bytes(1 << 17), "too many"),
    ],
)
def test_broken_fingerprints(copied: Path, data: bytes, said: str) -> None:
    (copied / "fingerprint.pb").write_bytes(data)
    model = tb.load_saved_model(copied)
    for act in (lambda: model.fingerprint, model.check_fingerprint):
        with pytest.raises(tb.CorruptionError, match=said) as caught:
            act()
        assert caught.value.path == str(copied / "fingerprint.pb")
    result = cli("info", copied)
    assert result.code == 1
    assert "fingerprint  not read: " in result.out
    assert len(model.signatures) == 2


def test_a_cut_fingerprint(copied: Path) -> None:
    data = (copied / "fingerprint.pb").read_bytes()
    refused = 0
    for end in range(len(data)):
        (copied / "fingerprint.pb").write_bytes(data[:end])
        try:
            assert tb.load_saved_model(copied).check_fingerprint() in (True, None)
        except tb.CorruptionError:
            refused += 1
    assert refused > len(data) // 2


@pytest.mark.skipif(not CORPUS, reason="no corpus")
@pytest.mark.parametrize(
    ("name", "said"),
    [("bad--BSData--saved_model", "git lfs pull"), ("bad--java--model", "U\\+FFFD")],
)
def test_real_broken_ones(name: str, said: str) -> None:
    with pytest.raises(tb.CorruptionError, match=said):
        tb.load_saved_model(Path(CORPUS or "") / name)
    # Where there is a checkpoint, that can be told of.
    assert cli("info", Path(CORPUS or "") / name).code == (1 if "java" in name else 2)


def test_text_that_is_broken(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pbtxt").write_bytes(
        b"saved_model_schema_version: 1\nmeta_graphs {\n  meta_info_def { tags: 3 }\n}\n"
    )
    with pytest.raises(tb.CorruptionError, match="line 3"):
        tb.load_saved_model(tmp_path)
