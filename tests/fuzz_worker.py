"""Does everything with a mutated checkpoint that can be done, and says what went wrong.

What may come are the package's errors and those of the file system. A panic, any other exception or
a lost tensor is a failure; a signal or a time-out, the driver sees.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from typing import Any

import fuzz_tables as t
import tensorbundle as tb
from fuzz_bases import Base
from fuzz_mutations import Mutation, mutate, of_index
from graph_touch import Touch
from tensorbundle.cli import main

NODE = ("path", "children", "attributes", "key", "full_name", "slot_variables", "slots")
VARIABLE = ("op", "initializer", "initial_value", "slots", "averages", "parts", "collections")

CLEAN = (tb.CheckpointError, OSError)


class FailedError(Exception):
    """What must not happen."""


def clean(call: Callable[[], Any]) -> Any:
    """What a call gives; None for a clean error. Anything else goes through."""
    try:
        return call()
    except CLEAN:
        return None


def want(true: object, what: str) -> None:
    if not true:
        raise FailedError(what)


def comparable(array: Any) -> Any:
    data = array.tolist() if array.dtype == object else array.tobytes()
    return array.dtype.str, array.shape, data


class Originals:
    """The tensors of each base, as they were written."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}

    def of(self, base: Base, path: str) -> dict[str, Any]:
        if base.kind not in self.values:
            with tb.open(path) as ckpt:
                self.values[base.kind] = {name: comparable(array) for name, array in ckpt.items()}
        return self.values[base.kind]


class Folder:
    """A folder that holds a mutation's files, of which only those that differ are written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, bytes] = {}

    def hold(self, files: dict[str, bytes | None]) -> None:
        wanted = {name: data for name, data in files.items() if data is not None}
        for name in self.files.keys() - wanted.keys():
            place = self.path / name
            place.rmdir() if name.endswith("/") else place.unlink()
        for name, data in sorted(wanted.items()):
            if self.files.get(name) == data:
                continue
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir() if name.endswith("/") else place.write_bytes(data)
        self.files = wanted


def tensors(ckpt: Any, mutation: Mutation, good: dict[str, Any]) -> None:
    names = clean(lambda: list(ckpt))
    infos = clean(ckpt.infos) or []
    want(names is None or len(infos) == len(names), "infos and names differ")
    if names is not None and mutation.repaired:
        for table in mutation.base.tables():
            held = t.listed(mutation.files[table] or b"")
            want(held <= {*names}, f"{table} holds {held - {*names}}, which are not listed")
    # A V1 file in place of another says nothing of what is missing; verify finds it there twice.
    if names is not None and not mutation.repaired and not mutation.what.endswith("copied"):
        want(good.keys() <= {*names}, f"{good.keys() - {*names}} are not listed")
    for name in good if names is None else names:
        array = clean(lambda name=name: ckpt[name])
        if array is not None and not mutation.repaired:
            want(comparable(array) == good.get(name), f"{name} has other values")
    for info in infos:
        (repr(info), info.nbytes, info.slices, hash(info))
        clean(lambda info=info: info.dtype)  # NumPy need not have it
        if info.shape:
            clean(lambda info=info: ckpt.read(info.name, rows=slice(1, 2), aligned=True))
    clean(lambda: "w" in ckpt)
    clean(lambda: ckpt["model/w"])


def checkpoint(path: str, mutation: Mutation, good: dict[str, Any], mmap: bool) -> None:
    verify = mmap or not mutation.repaired
    ckpt = clean(lambda: tb.open(path, mmap=mmap, verify=verify))
    if ckpt is not None:
        with ckpt:
            tensors(ckpt, mutation, good)
            beside(ckpt)
            found(clean(ckpt.verify), mutation)
    found(verified(path, mmap), mutation)
    saved = clean(lambda: tb.open(path, mmap=mmap, on_error="skip"))
    if saved is None:
        return
    with saved:
        for name in saved:
            array = saved[name] if not mutation.repaired else clean(lambda n=name: saved[n])
            want(array is not None, f"{name} is saved, and cannot be read")
            if not mutation.repaired:
                want(comparable(array) == good.get(name), f"{name} is saved with other values")


def found(report: Any, mutation: Mutation) -> None:
    want(report is None or not mutation.covered() or report.findings, "verify finds nothing")


def verified(path: str, mmap: bool) -> Any:
    """A report, whatever is wrong, if only it can be told what the files are."""
    try:
        return tb.verify(path, mmap=mmap)
    except OSError:
        return None
    except tb.CorruptionError as error:
        if error.part != "file":
            raise
        return None


def beside(ckpt: Any) -> None:
    """The graphs of a checkpoint, and what they say of its tensors."""
    clean(lambda: ckpt.meta_graph)
    graph = clean(lambda: ckpt.object_graph)
    if graph is not None:
        for call in (graph.problems, lambda: graph.paths, lambda: list(graph.walk())):
            clean(call)
        for node in clean(lambda: list(graph.nodes)) or []:
            repr(node)
            for name in NODE:
                clean(lambda node=node, name=name: getattr(node, name))
    variables = clean(lambda: ckpt.variables)
    if variables is not None:
        for variable in clean(lambda: list(variables)) or ():
            repr(variable)
            for name in VARIABLE:
                clean(lambda variable=variable, name=name: getattr(variable, name))
        clean(lambda: variables.findings)


def saved_model(path: str, mmap: bool) -> None:
    model = clean(lambda: tb.load_saved_model(path, mmap=mmap))
    if model is None:
        return
    with model:
        metas = clean(lambda: model.meta_graphs) or ()
        touch = Touch()
        for meta in metas:
            touch.graph(meta.graph)
        for name in ("tags", "signatures", "init_op", "train_op", "assets", "objects"):
            clean(lambda name=name: getattr(model, name))
        for name in ("concrete_functions", "checkpoint", "variables", "fingerprint"):
            clean(lambda name=name: getattr(model, name))
        clean(model.check_fingerprint)


def command(path: str, *words: str) -> None:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = main([words[0], path, *words[1:]])
    want(code in (0, 1, 2), f"exit code {code}")
    want("MemoryError" not in out.getvalue() and "out of memory" not in out.getvalue(), "memory")


def use(path: str, mutation: Mutation, good: dict[str, Any], mmap: bool) -> None:
    base = mutation.base
    if base.opens == "checkpoint":
        checkpoint(path, mutation, good, mmap)
    elif base.opens == "graph":
        Touch().everything(path, mmap=mmap) if Path(path).is_file() else None
    elif base.opens == "saved model":
        saved_model(path, mmap)
    else:
        clean(lambda: tb.load_state(path))
        clean(lambda: tb.list_checkpoints(path))
        clean(lambda: tb.train.latest_checkpoint(path))
        ckpt = clean(lambda: tb.open(path, mmap=mmap))
        if ckpt is not None:
            clean(lambda: list(ckpt.items()))
    for words in (("ls",), ("info",)) if base.opens != "graph" else (("graph",),):
        command(path, *words)


def made(bases: list[Base], seed: str, number: int) -> tuple[Mutation, Random]:
    """The seed "index" is for mutations of one index, others for all kinds in turn."""
    rng = Random(f"{seed}/{number}")
    if seed == "index":
        return of_index(rng, bases[0]), rng
    return mutate(rng, bases[number % len(bases)]), rng


class Worker:
    def __init__(self, folder: Path, bases: list[Base]) -> None:
        self.bases = bases
        self.folders = {base.kind: Folder(folder / base.kind) for base in bases}
        self.originals = Originals()

    def run(self, seed: str, number: int) -> str:
        """One mutation, made of seed and number alone. Gives what it was."""
        mutation, rng = made(self.bases, seed, number)
        base = mutation.base
        folder = self.folders[base.kind]
        path = str(folder.path / base.path)
        good: dict[str, Any] = {}
        if base.opens == "checkpoint":
            if base.kind not in self.originals.values:
                folder.hold(dict(base.files))
            good = self.originals.of(base, path)
        if mutation.changed():
            folder.hold(mutation.files)
            use(path, mutation, good, mmap=bool(rng.randrange(2)))
        return f"{base.kind}: {mutation.what}"
