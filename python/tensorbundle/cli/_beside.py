"""What lies in the directory of a checkpoint beside its own files.

A save that broke off leaves files of its own kinds: a file that was never renamed
(``.tempstate…``), a directory of parts (``…_temp``), shards whose index was never written.
"""

from __future__ import annotations

import os
import re

from tensorbundle._directory import natural
from tensorbundle._native import scan_directory
from tensorbundle._paths import file_size, is_dir, names_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tensorbundle._remote import Store

SHARD = re.compile(r"(.+)\.data-\d{5,}-of-(\d{5,})", re.DOTALL)
TEMPORARY = re.compile(r".+\.tempstate\d+", re.DOTALL)
PARTS = re.compile(r".+_temp(_[0-9a-f]{32})?", re.DOTALL)
LOOSE_PART = re.compile(r".+\.part-\d{5,}-of-\d{5,}(\..+)?", re.DOTALL)


class Entry:
    """A file or directory; `size` is None for a directory."""

    __slots__ = ("name", "size", "what")

    def __init__(self, directory: str, name: str, what: str, store: Store | None) -> None:
        self.name = name
        self.what = what
        path = joined(directory, name)
        self.size = None if is_dir(path, store) else size_of(path, store)

    def record(self) -> dict[str, object]:
        return {"name": self.name, "what": self.what, "size": self.size}


class Beside:
    """`companions` belong to the checkpoint, `leftovers` to none that is whole."""

    __slots__ = ("companions", "leftovers", "prefixes")

    def __init__(
        self, directory: str, base: str, num_shards: int, store: Store | None = None
    ) -> None:
        names = sorted(names_in(directory, store), key=natural)
        stems = {name.removesuffix(".index") for name in names if name.endswith(".index")}
        companions = {
            f"{base}.meta": "graph",
            f"{base}.debug": "graph debug info",
            "checkpoint": "state file",
        }
        self.companions = [
            Entry(directory, name, companions[name], store) for name in names if name in companions
        ]
        for suffix in ("cpb", "pb", "pbtxt") if base == "variables" else ():
            saved_model = Entry(directory, f"../saved_model.{suffix}", "graph", store)
            if saved_model.size is not None:
                self.companions.append(saved_model)
        there = [os.path.basename(found[0]) for found in scan_directory(directory, store)]  # noqa: PTH119
        self.prefixes = sorted((name for name in there if name != base), key=natural)
        self.leftovers = [
            Entry(directory, name, what, store)
            for name in names
            if (what := _leftover(name, base, num_shards, stems))
        ]

    def record(self) -> dict[str, object]:
        return {
            "companions": [entry.record() for entry in self.companions],
            "prefixes": self.prefixes,
            "leftovers": [entry.record() for entry in self.leftovers],
        }


def joined(directory: str, name: str) -> str:
    """The path of an entry; a store knows no ``..``."""
    while "://" in directory and name.startswith("../"):
        directory, name = os.path.dirname(directory), name[3:]  # noqa: PTH120
    return os.path.join(directory, name)  # noqa: PTH118


def size_of(path: str, store: Store | None) -> int | None:
    """None for a file that is not there."""
    try:
        return file_size(path, store)
    except FileNotFoundError:
        return None


def _leftover(name: str, base: str, num_shards: int, stems: set[str]) -> str | None:
    if TEMPORARY.fullmatch(name):
        return "temporary file of a save"
    if PARTS.fullmatch(name) or LOOSE_PART.fullmatch(name):
        return "unmerged part of a save"
    shard = SHARD.fullmatch(name)
    if shard is None:
        return None
    if shard[1] == base and int(shard[2]) != num_shards:
        return "shard of an earlier save"
    return None if shard[1] in stems else "shard without an index"
