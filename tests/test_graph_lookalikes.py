"""What a file is instead of a graph: the error says so."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import tensorbundle as tb
from tensorbundle import CorruptionError


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html></html>", "a web page"),
        (b'model_checkpoint_path: "m-1"\n', "state file"),
        (b'model_checkpoint_path: "m-1"\nall_model_checkpoint_paths: "m-1"\n' * 9, "state file"),
        (b"\x1c\0\0\0TFL3" + bytes(60), "TensorFlow Lite"),
        (b"\x1f\x8b\x08" + bytes(30), "a gzip file: unpack it"),
        (b"PK\3\4" + bytes(30), "a zip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5"),
        (bytes(100), "no MetaGraphDef, SavedModel or GraphDef"),
        (random.Random(0).randbytes(999), "no MetaGraphDef, SavedModel or GraphDef"),
        (b"meta_info_def {\n  tag: 'serve'\n}", "line 2"),
        (b"node {\n  name: 'a'\n", "ends before"),
    ],
)
def test_what_it_is_instead(tmp_path: Path, data: bytes, text: str) -> None:
    path = tmp_path / "model.meta"
    path.write_bytes(data)
    for mmap in (True, False):
        with pytest.raises(CorruptionError) as caught:
            tb.load_meta_graph(path, mmap=mmap)
        assert text in str(caught.value)
        assert caught.value.path == str(path)
        assert str(path) in str(caught.value)
    with pytest.raises(CorruptionError) as caught:
        tb.load_meta_graph(data)
    assert caught.value.path is None


@pytest.mark.parametrize("end", [".index", ".data-00000-of-00001"])
def test_files_of_a_checkpoint(data_dir: Path, end: str) -> None:
    (file,) = (data_dir / "mnist_mlp").glob(f"*{end}")
    with pytest.raises(CorruptionError) as caught:
        tb.load_meta_graph(file)
    assert caught.value.path == str(file)
    assert ("table of tensors" in str(caught.value)) == (end == ".index")
