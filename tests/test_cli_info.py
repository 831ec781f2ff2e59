from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from command import MATRIX, cli, write_small
from writer import Bundle


@pytest.fixture
def small(tmp_path: Path) -> str:
    return write_small(tmp_path)


@pytest.fixture
def mnist(data_dir: Path) -> Path:
    return data_dir / "mnist_mlp"


def test_info_of_a_training_run(mnist: Path) -> None:
    result = cli("info", mnist)
    assert result.code == 0
    assert result.lines[:6] == [
        f"prefix    {mnist}/model.ckpt-1000",
        "format    V2, producer 1, little-endian",
        "shards    1",
        "tensors   21",
        "elements  15,897",
        "bytes     62.1 KiB (63,592 bytes)",
    ]
    assert "model.ckpt-1000.data-00000-of-00001  62.1 KiB" in result.lines
    assert "float32       20    15,896  62.1 KiB" in result.lines
    assert "int64          1         1       8 B" in result.lines
    largest = result.lines.index(next(x for x in result.lines if x.startswith("largest tensors")))
    assert result.lines[largest + 1].split()[0] == "dense_1/kernel"
    assert "checkpoint            state file      87 B" in result.lines
    assert any(line.startswith("model.ckpt-1000.meta  graph  ") for line in result.lines)


def test_info_json(mnist: Path) -> None:
    document = cli("info", mnist, "--json").document
    prefix = f"{mnist}/model.ckpt-1000"
    assert document["path"] == str(mnist)
    assert document["prefix"] == prefix
    assert (document["format"], document["producer"], document["endianness"]) == ("V2", 1, "little")
    assert document["index"] == {
        "path": f"{prefix}.index",
        "size": Path(f"{prefix}.index").stat().st_size,
    }
    assert document["shards"] == [
        {"path": f"{prefix}.data-00000-of-00001", "size": 63592, "present": True}
    ]
    assert document["total"] == {"tensors": 21, "elements": 15897, "bytes": 63592}
    assert document["partitioned"] == 0
    assert document["dtypes"] == [
        {"dtype": "float32", "tensors": 20, "elements": 15896, "bytes": 63584},
        {"dtype": "int64", "tensors": 1, "elements": 1, "bytes": 8},
    ]
    assert [tensor["name"] for tensor in document["largest"]][:3] == [
        "dense_1/kernel", "dense_1/kernel/Adam", "dense_1/kernel/Adam_1",
    ]  # fmt: skip
    assert document["beside"] == {
        "companions": [
            {"name": "checkpoint", "what": "state file", "size": 87},
            {
                "name": "model.ckpt-1000.meta",
                "what": "graph",
                "size": Path(f"{prefix}.meta").stat().st_size,
            },
        ],
        "prefixes": [],
        "leftovers": [],
    }


def test_info_counts_partitioned_and_foreign_bundles(tmp_path: Path) -> None:
    bundle = Bundle(shards=2, big_endian=True)
    bundle.add_sliced("m", MATRIX, [[(0, 1), None], [(1, 2), None]], shards=[0, 1])
    prefix = bundle.write(tmp_path / "ckpt")
    result = cli("info", prefix)
    assert "format    V2, producer 1, big-endian" in result.lines
    assert "tensors   1 (1 partitioned)" in result.lines
    assert cli("info", prefix, "--json").document["partitioned"] == 1


def test_info_tells_missing_shards(small: str) -> None:
    Path(f"{small}.data-00001-of-00002").unlink()
    result = cli("info", small)
    assert result.code == 0
    assert "shards    2 (1 missing)" in result.lines
    assert "ckpt.data-00000-of-00002     48 B" in result.lines
    assert "ckpt.data-00001-of-00002  missing" in result.lines
    shards = cli("info", small, "--json").document["shards"]
    assert [(shard["size"], shard["present"]) for shard in shards] == [(48, True), (None, False)]


def test_info_of_many_shards_lists_only_the_missing(tmp_path: Path) -> None:
    bundle = Bundle(shards=30)
    bundle.add("w", MATRIX, shard=3)
    prefix = bundle.write(tmp_path / "ckpt")
    result = cli("info", prefix)
    assert "shards    30" in result.lines
    assert ".data-" not in result.out
    for shard in range(5, 25):
        Path(f"{prefix}.data-{shard:05d}-of-00030").unlink()
    result = cli("info", prefix)
    assert "shards    30 (20 missing)" in result.lines
    assert "ckpt.data-00012-of-00030  missing" in result.lines
    assert "… and 12 more" in result.lines
    assert "ckpt.data-00013-of-00030" not in result.out


def test_info_sees_what_lies_beside(small: str) -> None:
    folder = Path(small).parent
    for name in ("other-1000", "other-500"):
        shutil.copy(f"{small}.index", folder / f"{name}.index")
        (folder / f"{name}.data-00000-of-00002").write_bytes(b"")
    (folder / "ckpt.debug").write_bytes(b"12345")
    leftovers = {
        "ckpt.data-00000-of-00003": "shard of an earlier save",
        "ckpt.index.tempstate14990763380959921832": "temporary file of a save",
        "ckpt_temp": "unmerged part of a save",
        f"ckpt_temp_{'0f' * 16}": "unmerged part of a save",
        "gone.data-00000-of-00001": "shard without an index",
        "ckpt.part-00000-of-00002.index.gz": "unmerged part of a save",
    }
    for name in leftovers:
        if "_temp" in name:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(b"123")
    for name in ("notes.txt", "ckpt_template", "ckpt.tempstate", "ckpt.data-0-of-1"):
        (folder / name).write_bytes(b"")

    beside = cli("info", small, "--json").document["beside"]
    assert beside["companions"] == [{"name": "ckpt.debug", "what": "graph debug info", "size": 5}]
    assert beside["prefixes"] == ["other-500", "other-1000"]
    assert {entry["name"]: entry["what"] for entry in beside["leftovers"]} == leftovers
    assert {entry["name"]: entry["size"] for entry in beside["leftovers"]} == {
        name: None if "_temp" in name else 3 for name in leftovers
    }
    text = cli("info", small).out
    assert "\nother checkpoints here\nother-500\nother-1000\n" in text
    for name in leftovers:
        assert name in text
    assert "ckpt_template" not in text


def test_info_of_a_saved_model_names_its_graph(data_dir: Path) -> None:
    graph = data_dir / "saved_model" / "saved_model.pb"
    document = cli("info", data_dir / "saved_model", "--json").document
    assert document["beside"]["companions"] == [
        {"name": "../saved_model.pb", "what": "graph", "size": graph.stat().st_size}
    ]


def test_info_where_the_directory_may_not_be_listed(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert cli("info", small).lines[-1] == (
        "The directory may not be listed: what lies beside is not known."
    )
    assert cli("info", small, "--json").document["beside"] is None


# The graph beside


def test_info_says_what_the_graph_holds(mnist: Path, data_dir: Path) -> None:
    text = cli("info", mnist).out
    assert "\nwritten by    TensorFlow 2.21.0, producer 2474\nnodes         331\n" in text
    assert "\nvariables     21: 6 weights, 14 slots, 1 step; 6 trainable\n" in text
    assert "\nplaceholders  image:0 float32[?,196], label:0 int64[?], " in text
    assert "\nsavers        save/restore_all (V2)\n" in text
    graph = cli("info", mnist, "--json").document["graph"]
    assert (graph["kind"], graph["nodes"], graph["functions"]) == ("MetaGraphDef", 331, 0)
    assert graph["variables"] == {
        "total": 21, "trainable": 6, "kinds": {"weight": 6, "slot": 14, "step": 1},
    }  # fmt: skip
    model = cli("info", data_dir / "saved_model")
    assert "signatures    __saved_model_init_op, serving_default" in model.lines
    assert "kind          SavedModel (serve)" in model.lines
    assert cli("info", data_dir / "object_graph", "--json").document["graph"] is None


def test_a_damaged_graph_does_not_stop_info(small: str) -> None:
    meta = Path(f"{small}.meta")
    meta.write_bytes(b"no graph")
    for path in (small, meta):
        result = cli("info", path)
        assert (result.code, result.err) == (0, "")
        (line,) = [line for line in result.lines if line.startswith("graph  ")]
        assert line.startswith("graph  not read: ")
        assert str(meta) in line
        assert "tensors   4" in result.lines
    graph = cli("info", small, "--json").document["graph"]
    assert graph.keys() == {"path", "error"}


def test_info_of_a_graph_alone(mnist: Path, tmp_path: Path) -> None:
    meta = shutil.copy(mnist / "model.ckpt-1000.meta", tmp_path / "alone.meta")
    for path in (meta, tmp_path / "alone"):
        result = cli("info", path)
        assert (result.code, result.err) == (0, "")
        assert result.lines[0].startswith("checkpoint  none: ")
        assert "nodes         331" in result.lines
    document = cli("info", meta, "--json").document
    assert document["graph"]["nodes"] == 331
    assert "alone.index" in document["missing"]
    Path(meta).write_bytes(b"no graph")
    result = cli("info", meta)
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
