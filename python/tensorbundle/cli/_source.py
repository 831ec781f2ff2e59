"""What a path leads to: a checkpoint, the file of a graph, or both."""

from __future__ import annotations

import os

import tensorbundle
from tensorbundle._paths import is_dir, is_file, names_in
from tensorbundle.cli import _text
from tensorbundle.errors import UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tensorbundle import Checkpoint, MetaGraph
    from tensorbundle._remote import Store

SAVED_MODELS = ("saved_model.cpb", "saved_model.pb", "saved_model.pbtxt")  # the first counts
GRAPHS = (".meta", ".pb", ".pbtxt", ".cpb")


class Source:
    """A checkpoint or the path of a graph, at least one of the two.

    `missing` says why there is no checkpoint.
    """

    __slots__ = ("checkpoint", "graph_path", "missing", "store")

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        graph_path: str | None,
        store: Store | None,
        missing: str | None = None,
    ) -> None:
        self.store = store
        self.checkpoint = checkpoint
        self.graph_path = graph_path
        self.missing = missing

    def graph(self, tags: list[str] | None = None) -> MetaGraph | None:
        if self.graph_path is None:
            return None
        return tensorbundle.load_meta_graph(self.graph_path, tags=tags, storage_options=self.store)


def find(path: str, store: Store | None) -> Source:
    """The checkpoint of a path and its graph; where there is no checkpoint, a graph alone."""
    own = graph_of(path, store)
    if own is not None and not own.endswith(".meta"):
        folder, base = os.path.split(own)
        if base not in SAVED_MODELS:
            return Source(None, own, store, "a graph without a checkpoint")
        if path == own:
            path = folder or os.curdir
    try:
        checkpoint = tensorbundle.open(path, storage_options=store)
    except (FileNotFoundError, UnsupportedError) as error:
        if own is None:
            raise
        return Source(None, own, store, _text.message(error))
    return Source(checkpoint, own or checkpoint.meta_path, store)


def open_graph(path: str, store: Store | None, tags: list[str] | None = None) -> MetaGraph:
    """The graph of a path, whatever its file is called."""
    own = graph_of(path, store)
    if own is None and is_file(path, store) and not _is_part(path):
        own = path
    if own is None:
        own = _graph_beside(path, store)
    return tensorbundle.load_meta_graph(own, tags=tags, storage_options=store)


def tags(text: str | None) -> list[str] | None:
    """The tags of an option; "" is a graph without tags."""
    return None if text is None else [tag for tag in text.split(",") if tag]


def graph_of(path: str, store: Store | None) -> str | None:
    """The graph that a path names by itself, without looking for a checkpoint."""
    if is_dir(path, store):
        for base in SAVED_MODELS:
            inside = os.path.join(path, base)  # noqa: PTH118
            if is_file(inside, store):
                return inside
        return None
    if path.endswith(GRAPHS) and is_file(path, store):
        return path
    beside = f"{path}.meta"
    return beside if is_file(beside, store) else None


def _graph_beside(path: str, store: Store | None) -> str:
    """The graph that belongs to the checkpoint of a path."""
    try:
        with tensorbundle.open(path, storage_options=store) as checkpoint:
            found, prefix = checkpoint.meta_path, checkpoint.prefix
    except (FileNotFoundError, UnsupportedError):
        only = _only_graph(path, store)
        if only is None:
            raise
        return only
    if found is None:
        raise _text.CommandError(
            f"{prefix}: there is no graph beside this checkpoint, neither {prefix}.meta "
            "nor a SavedModel's; give the path of a graph's file"
        )
    return found


def _only_graph(path: str, store: Store | None) -> str | None:
    """The graph in a directory without a checkpoint that can be opened, if there is but one."""
    if not is_dir(path, store):
        return None
    found = [name for name in names_in(path, store) if name.endswith(".meta")]
    return os.path.join(path, found[0]) if len(found) == 1 else None  # noqa: PTH118


def _is_part(path: str) -> bool:
    """Whether this is the index or a shard of a checkpoint."""
    from tensorbundle.cli._beside import SHARD

    return path.endswith(".index") or SHARD.fullmatch(path) is not None
