"""The index job without an engine: what workers find and are given, and what is refused."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine_here import index_here
from tensorbundle import catalog
from tensorbundle._native import walk
from tensorbundle.cli import main
from tensorbundle.engines import _discovery
from tensorbundle.engines._discovery import EACH, Spot, explore, put_together, units_of
from tensorbundle.engines._split import LONGEST, SMALLEST, split
from test_catalog import store
from writer_v1 import V1File

__all__ = ["store"]  # a fixture
W = np.arange(24, dtype="<f4").reshape(4, 6)


def found_by_units(*roots: Path, follow_links: bool = False) -> _discovery.Found:
    units = units_of([str(root) for root in roots], follow_links)
    return put_together(explore(unit, data=False) for unit in units)


def same_as_the_walk(*roots: Path, follow_links: bool = False) -> None:
    places, troubles, directories, links = walk([str(root) for root in roots], follow_links, None)
    found = found_by_units(*roots, follow_links=follow_links)
    assert [spot.path for spot in found.spots] == places.paths()
    assert [(spot.text, spot.signature) for spot in found.spots] == places.signatures()
    assert found.troubles.to_pydict() == troubles.to_pydict()
    assert (found.directories, found.links) == (directories, links)


# Finding.


def test_units_find_what_one_walk_finds(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same_as_the_walk(store)
    for enough in (1, 2, 5):
        monkeypatch.setattr(_discovery, "ENOUGH", enough)
        same_as_the_walk(store)
        monkeypatch.setattr(_discovery, "MOST", 2)


@pytest.mark.skipif("TENSORBUNDLE_CORPUS" not in os.environ, reason="TENSORBUNDLE_CORPUS is unset")
def test_units_find_what_one_walk_finds_in_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    for enough in (1, 4, 64):
        monkeypatch.setattr(_discovery, "ENOUGH", enough)
        same_as_the_walk(Path(os.environ["TENSORBUNDLE_CORPUS"]))


@pytest.mark.parametrize("seed", range(12))
def test_units_of_trees_by_chance(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that checkpoints, V1 files, writers and others give to files and directories."""
    chance = random.Random(seed)
    file = V1File()
    file.add("old", W)
    folders = [tmp_path / "root"]
    folders[0].mkdir()
    stems = ["m", "m.ckpt-1", "a-b.c", "", "x_temp", "run", f"m_temp_{'0' * 32}", "é"]
    ends = [".index", ".meta", ".data-00000-of-00001", "", "-00000-of-00002", ".index.tempstate7"]
    for _ in range(60):
        inside = chance.choice(folders)
        path = inside / ((chance.choice(stems) + chance.choice(ends)) or "plain")
        if os.path.lexists(path):
            continue
        kind = chance.choice(["file", "file", "v1", "folder", "folder", "link", "gone"])
        if kind == "file":
            path.write_bytes(b"x" * chance.randrange(99))
        elif kind == "v1":
            file.write(path)
        elif kind == "folder":
            path.mkdir()
            folders.append(path)
        else:
            path.symlink_to(chance.choice(folders) if kind == "link" else "nowhere")
    for enough in (1, 3, 64):
        monkeypatch.setattr(_discovery, "ENOUGH", enough)
        same_as_the_walk(folders[0])
        same_as_the_walk(folders[0], follow_links=True)


def test_roots_in_one_another_are_walked_once(store: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store / "run")
    roots = [store, store / "run", store / "run" / "model.ckpt-100", tmp_path / "link"]
    units = units_of([str(root) for root in roots], False)
    paths = [spot.path for unit in units for spot in explore(unit, data=False).spots]
    assert len(paths) == len(set(paths))
    assert sorted(paths) == [place.path for place in catalog.discover(roots)]


def test_checkpoints_as_roots(store: Path) -> None:
    same_as_the_walk(store / "run" / "model.ckpt-100", store / "v1" / "model.ckpt-7")
    same_as_the_walk(store / "run" / "model.ckpt-100.index", store / "bad")


def test_a_root_that_does_not_exist(store: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        index_here([store, tmp_path / "nowhere"], tmp_path / "c")
    assert not list(tmp_path.glob("*c*"))


def test_what_a_unit_reads(store: Path) -> None:
    prefix = store / "run" / "model.ckpt-100"
    (unit,) = units_of([str(prefix)], False)
    ((index,), (everything,)) = (explore(unit, data=data).spots for data in (False, True))
    index_bytes = Path(f"{prefix}.index").stat().st_size
    assert index.size == EACH + index_bytes
    assert everything.size == index.size + Path(f"{prefix}.data-00000-of-00001").stat().st_size


# Splitting.


def test_work_is_split_by_bytes() -> None:
    sizes = [EACH] * 100_000
    for i in range(0, 100_000, 10_000):
        sizes[i] = 100 << 20
    spots = [Spot(f"/m-{i:06}", f"/m-{i:06}", "", size) for i, size in enumerate(sizes)]
    parts = split(spots, 32)
    assert [spot for part in parts for spot in part] == spots
    bytes_of = [sum(spot.size for spot in part) for part in parts]
    assert max(bytes_of) <= sum(sizes) / 32 + (100 << 20)
    assert max(map(len, parts)) <= LONGEST
    assert 20 <= len(parts) <= 32
    assert min(map(len, parts)) < 2 < 1000 < max(map(len, parts)), "not by count"


def test_little_work_is_one_part_and_none_is_none() -> None:
    spots = [Spot(f"/{i}", f"/{i}", "", EACH) for i in range(SMALLEST // EACH)]
    assert split(spots, 100) == [spots]
    assert split([], 100) == []


# What is refused.


def test_a_wrong_ending(store: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="engines write a directory of Parquet files"):
        index_here(store, tmp_path / "c.duckdb")


def without(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules[{module!r}] = None; from tensorbundle.cli import run; run()"
    command = [sys.executable, "-c", code.replace("run()", "sys.exit(run())"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("engine", "module"), [("ray", "ray"), ("spark", "pyspark")])
def test_an_engine_that_is_not_installed(tmp_path: Path, engine: str, module: str) -> None:
    done = without(module, "index", str(tmp_path), "-o", str(tmp_path / "c"), "--engine", engine)
    assert done.returncode == 2
    assert f"pip install 'tensorbundle[{engine}]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_address_needs_an_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["index", str(tmp_path), "-o", str(tmp_path / "c.parquet"), "--address", "auto"]
    assert main(words) == 2
    assert "--address is for --engine ray or --engine spark" in capsys.readouterr().err


def test_nothing_else_imports_an_engine() -> None:
    code = (
        "import sys, tensorbundle, tensorbundle.catalog, tensorbundle.engines\n"
        "print({'ray', 'pyspark', 'pyarrow', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
