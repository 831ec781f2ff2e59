"""Some mutations of whole checkpoints; `make fuzz-files` does as many as are asked for.

No signal, panic or time-out, no memory out of proportion, no error but clean ones; and where
checksums cover what was changed, no tensor that is missing or has other values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

import tensorbundle as tb
from fuzz_bases import Base, bases
from fuzz_files import run
from fuzz_mutations import mutate
from fuzz_tables import listed
from fuzz_worker import FailedError, Worker

COUNT = 1200


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Base]]:
    folder = tmp_path_factory.mktemp("sound")
    return folder, bases(folder)


def test_mutations(tmp_path: Path) -> None:
    failures = run("0", 0, COUNT, tmp_path)
    assert not failures, "\n".join(failures)


def test_bases_are_sound(sound: tuple[Path, list[Base]]) -> None:
    """Else nothing would be reached by mutating them."""
    folder, made = sound
    for base in made:
        path = folder / base.kind / base.path
        if base.opens == "checkpoint":
            with tb.open(path, verify=True) as ckpt:
                assert len(list(ckpt.values())) > 1
                assert ckpt.verify().ok
                names = set().union(*(listed(base.files[name]) for name in base.tables()))
                assert names == {*ckpt}, "the lenient reader sees what ours does"
        elif base.opens == "graph":
            assert len(tb.load_meta_graph(path).graph.get_operations()) > 2
        elif base.opens == "saved model":
            assert len(tb.load_saved_model(path).meta_graphs) == 1
        else:
            assert len(tb.list_checkpoints(path)) == 2


def test_mutations_are_made_of_their_numbers(sound: tuple[Path, list[Base]]) -> None:
    _, made = sound
    for number in range(len(made) * 3):
        base = made[number % len(made)]
        first, second = (mutate(Random(f"0/{number}"), base) for _ in range(2))
        assert first == second


@pytest.mark.parametrize(
    ("program", "what"),
    [
        ("import os; os.abort()", "exit code -6"),
        ("raise SystemExit(3)", "exit code 3"),
    ],
)
def test_a_worker_that_dies_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, what: str
) -> None:
    script = tmp_path / "worker.py"
    script.write_text(f"print('begin', 0, flush=True)\n{program}\n")
    monkeypatch.setattr("fuzz_files.__file__", str(script))
    failures = run("0", 0, 1, tmp_path)
    assert len(failures) == 1
    assert failures[0].startswith(f"0: {what}")


def test_a_worker_that_hangs_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "worker.py"
    script.write_text("print('begin', 0, flush=True)\nwhile True: pass\n")
    monkeypatch.setattr("fuzz_files.__file__", str(script))
    monkeypatch.setattr("fuzz_files.SECONDS", 1.0)
    assert run("0", 0, 1, tmp_path) == ["0: not done after 1.0 s"]


def test_each_target_has_a_dictionary() -> None:
    """Of words that libFuzzer understands."""
    rust = Path(__file__).parent.parent / "rust/fuzz"
    dictionaries = sorted(rust.glob("dict/*"))
    targets = sorted(path.stem for path in rust.glob("fuzz_targets/*.rs"))
    assert [path.name for path in dictionaries] == [f"{target}.dict" for target in targets]
    line = re.compile(r'#.*|"([ !#-\[\]-~]|\\x[0-9a-f]{2})+"')
    for path in dictionaries:
        assert [text for text in path.read_text().splitlines() if not line.fullmatch(text)] == []


def forgetful(names: Callable[[tb.Checkpoint], Iterator[str]]) -> object:
    return lambda self: iter([*names(self)][:-1])


def careless(read: Callable[[tb.Checkpoint, str], Any]) -> object:
    return lambda self, name: read(self, name).ravel()


@pytest.mark.parametrize(
    ("method", "fault", "what"),
    [
        ("__iter__", forgetful, "infos and names differ"),
        ("__getitem__", careless, "other values"),
        ("verify", lambda _: lambda _self: SimpleNamespace(findings=()), "verify finds nothing"),
    ],
)
def test_a_reader_at_fault_is_found(
    sound: tuple[Path, list[Base]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    fault: Callable[[Any], object],
    what: str,
) -> None:
    """Else the fuzzer would find nothing, whatever there is."""
    worker = Worker(tmp_path, sound[1][:1])
    worker.run("0", 0)  # remembers the values as they were written
    monkeypatch.setattr(tb.Checkpoint, method, fault(getattr(tb.Checkpoint, method)))
    with pytest.raises(FailedError, match=what):
        all(worker.run("0", number) for number in range(100))
