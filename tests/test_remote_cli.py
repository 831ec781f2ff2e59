"""The command line on URLs: the same as on paths, but for the paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import cli
from http_store import Behaviour, serve

DATA = Path(__file__).parent / "data"
MNIST = "mnist_mlp"

COMMANDS = [
    ["ls", f"{MNIST}/model.ckpt-1000"],
    ["ls", MNIST],
    ["ls", MNIST, "--tree"],
    ["ls", "object_graph", "--objects"],
    ["cat", MNIST, "dense_2/bias"],
    ["cat", MNIST, "dense_1/kernel", "--rows", "0:2", "--json"],
    ["info", MNIST],
    ["info", MNIST, "--json"],
    ["info", "saved_model"],
    ["info", f"{MNIST}/model.ckpt-1000.meta"],
    ["graph", MNIST],
    ["graph", "saved_model", "--json"],
    ["vars", MNIST],
    ["vars", "saved_model"],
    ["verify", "-q", MNIST],
    ["verify", "--salvage", "-q", MNIST],
    ["stats", "-q", MNIST, "--json"],
    ["diff", MNIST, f"{MNIST}/model.ckpt-1000"],
    ["ls", "nothing"],
]


@pytest.fixture(scope="module")
def server() -> Iterator[Behaviour]:
    with serve(DATA) as running:
        yield running


def timeless(text: str) -> str:
    return re.sub(r'"seconds": [\d.e-]+|in [\d.]+ s( \([^)]*\))?', "", text)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_as_on_paths(server: Behaviour, words: list[str]) -> None:
    def at(base: str) -> tuple[int, str, str]:
        own = {MNIST, "nothing"}
        is_path = [each.partition("/")[0] in own or (DATA / each).exists() for each in words]
        paths = [f"{base}/{w}" if is_it else w for w, is_it in zip(words, is_path, strict=True)]
        done = cli(*paths)
        out = done.out.replace('"zero_copy": true', '"zero_copy": false')
        texts = (timeless(each.replace(base, "BASE")) for each in (out, done.err))
        return done.code, *texts

    assert at(server.url) == at(str(DATA))


def test_index(server: Behaviour, tmp_path: Path) -> None:
    done = cli("index", f"{server.url}/{MNIST}", "-o", tmp_path / "all.jsonl")
    assert done.code == 0, done.err
    rows = (tmp_path / "all.checkpoints.jsonl").read_text(encoding="utf-8")
    assert f'"{server.url}/{MNIST}/model.ckpt-1000"' in rows


def test_storage_options(server: Behaviour, tmp_path: Path) -> None:
    url = f"{server.url}/{MNIST}/model.ckpt-1000"
    server.clear()
    words = ["--storage-option", 'headers={"X-Key": "k"}', "--storage-option", f"cache={tmp_path}"]
    assert cli("ls", url, *words).code == 0
    assert all(each.headers["X-Key"] == "k" for each in server.requests)
    assert list(tmp_path.iterdir())
    assert cli("diff", url, DATA / MNIST, *words).code == 0
    server.ranges = False
    assert "whole_files" in cli("cat", url, "dense_2/bias").err
    assert cli("cat", url, "dense_2/bias", "--storage-option", "whole_files=true").code == 0
    server.ranges = True
    assert "is not KEY=VALUE" in cli("ls", url, "--storage-option", "x").err
    assert "not JSON" in cli("ls", url, "--storage-option", "x={").err
