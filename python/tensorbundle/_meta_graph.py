"""An open graph with all that belongs to it: what a ``.meta`` file holds."""

from __future__ import annotations

import os

from ._native import MetaGraphReader, SavedModelReader
from ._paths import located

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ._native import Graph, Message
    from ._paths import StorageOptions
    from ._remote import Store
    from ._variables import Variables


def load_meta_graph(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    tags: Iterable[str] | None = None,
    mmap: bool = True,
    storage_options: StorageOptions = None,
) -> MetaGraph:
    """Opens a graph: a ``.meta`` file, a SavedModel, a frozen GraphDef, or the bytes of one.

    One pass finds the nodes; each is decoded when it is asked for. No op need be known.

    Args:
        source: a path or URL, or the bytes of a file. ``MetaGraphDef``, ``SavedModel`` and
            ``GraphDef`` are told apart by their content, and so are binary and text format (a text
            is turned into binary in memory). The directory of a SavedModel stands for the file in
            it: ``saved_model.cpb`` (in chunks), else ``.pb``, else ``.pbtxt``, as TensorFlow's C++
            has it.
        tags: which graph of a SavedModel is meant: the one with exactly these tags. Without them
            the only
            one, or else the one tagged ``serve``.
        mmap: map a large file instead of reading it: it must then not change while anything of the
            graph lives (see :func:`tensorbundle.open`).
        storage_options: of a URL, what its file system is opened with, as for
            :func:`tensorbundle.open`.

    Raises:
        OSError: with ``errno`` and ``filename``.
        CorruptionError: the file is none of these: the text says what it seems to be instead. Or
            it is cut short or damaged.
        UnsupportedError: ``tags`` are needed, or fit none of its graphs.

    Source: FORMAT 1.5, 7, 9.
    """
    return MetaGraph(source, tags=tags, mmap=mmap, storage_options=storage_options)


class MetaGraph:
    """A graph with its collections, savers, signatures and functions.

    Made by :func:`tensorbundle.load_meta_graph`. Immutable: safe to share between threads and
    across ``fork``; pickles as its path and options (or as its bytes, if it was made of bytes).

    The messages have the names of TensorFlow's protos; their fields are
    :class:`tensorbundle.Message` and plain values.
    """

    __slots__ = ("__weakref__", "_mmap", "_number", "_reader", "_source", "_store", "_tags")

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | bytearray | memoryview,
        *,
        tags: Iterable[str] | None = None,
        mmap: bool = True,
        storage_options: StorageOptions = None,
    ) -> None:
        """See :func:`tensorbundle.load_meta_graph`."""
        if isinstance(tags, str):
            raise TypeError("tags must be a collection of str, not a str")
        self._tags = None if tags is None else tuple(tags)
        self._mmap = mmap
        self._number: int | None = None
        self._store: Store | None = None
        wanted = None if self._tags is None else list(self._tags)
        if isinstance(source, bytes | bytearray | memoryview):
            self._source: str | bytes = bytes(source)
            self._reader = MetaGraphReader.parse(self._source, wanted)
            return
        path, self._store = located(source, storage_options)
        self._source = path
        self._reader = MetaGraphReader.open(path, mmap, wanted, self._store)

    @classmethod
    def _of(
        cls, saved_model: SavedModelReader, number: int, mmap: bool, store: Store | None
    ) -> MetaGraph:
        """A graph of an open SavedModel, by its number: there may be two of the same tags."""
        made = object.__new__(cls)
        made._source, made._tags = saved_model.path, None
        made._mmap, made._number, made._store = mmap, number, store
        made._reader = saved_model.meta_graph(number)
        return made

    @property
    def path(self) -> str | None:
        """The file it comes from; ``None`` if it was made of bytes."""
        return self._reader.path

    @property
    def kind(self) -> str:
        """What the file is: ``"MetaGraphDef"``, ``"SavedModel"`` or ``"GraphDef"``."""
        return self._reader.kind

    @property
    def graph(self) -> Graph:
        """The graph: its operations, tensors, collections and functions."""
        return self._reader.graph

    @property
    def message(self) -> Message:
        """All of it as a message.

        A MetaGraphDef, or a GraphDef if the file has no more than that.
        """
        return self._reader.message

    @property
    def variables(self) -> Variables:
        """The variables of the graph, without values; made anew at each call.

        :attr:`Checkpoint.variables` has them with their values.

        Raises:
            CorruptionError: a variable's node is damaged.
        """
        from ._variables import Variables

        return Variables(None, self)

    def _field(self, name: str) -> Any:
        return None if self.kind == "GraphDef" else self.message[name]

    def _info(self, name: str, default: Any) -> Any:
        info = self.meta_info_def
        return default if info is None else info[name]

    @property
    def meta_info_def(self) -> Message | None:
        """TensorFlow's version, the op list, tags: a MetaInfoDef; ``None`` if the file has none."""
        info: Message | None = self._field("meta_info_def")
        return info

    @property
    def saver_def(self) -> Message | None:
        """The saver that the file was written with: a SaverDef; ``None`` if it has none."""
        saver: Message | None = self._field("saver_def")
        return saver

    @property
    def savers(self) -> list[Message]:
        """All savers of the graph: :attr:`saver_def`, then those of the collection ``savers``."""
        from ._native import Message

        found = [] if self.saver_def is None else [self.saver_def]
        for saver in self.graph.get_collection("savers"):
            if isinstance(saver, Message) and saver not in found:
                found.append(saver)
        return found

    @property
    def signature_def(self) -> dict[str, Message]:
        """The signatures, by name: SignatureDefs."""
        return self._field("signature_def") or {}

    @property
    def collection_def(self) -> dict[str, Message]:
        """The collections as they are in the file, by key: CollectionDefs.

        :meth:`Graph.get_collection` gives what they mean.
        """
        return self._field("collection_def") or {}

    @property
    def asset_file_def(self) -> tuple[Message, ...]:
        """The assets: AssetFileDefs."""
        return self._field("asset_file_def") or ()

    @property
    def object_graph_def(self) -> Message | None:
        """The objects that a SavedModel of TensorFlow 2 restores.

        A SavedObjectGraph; ``None`` if it has none.
        """
        objects: Message | None = self._field("object_graph_def")
        return objects

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of a SavedModel's graph."""
        found: tuple[str, ...] = self._info("tags", ())
        return found

    @property
    def tensorflow_version(self) -> str:
        """The version of TensorFlow that wrote it; ``""`` if it does not say."""
        found: str = self._info("tensorflow_version", "")
        return found

    @property
    def tensorflow_git_version(self) -> str:
        """The git version of that TensorFlow; ``""`` if it does not say."""
        found: str = self._info("tensorflow_git_version", "")
        return found

    @property
    def stripped_default_attrs(self) -> bool:
        """Whether attributes that have their default were left out.

        Operations have them all the same.
        """
        found: bool = self._info("stripped_default_attrs", False)
        return found

    @property
    def stripped_op_list(self) -> dict[str, Message]:
        """The definitions of the ops that the graph uses, by name: OpDefs."""
        ops = self._info("stripped_op_list", None)
        return {} if ops is None else {op.name: op for op in ops.op}

    @property
    def function_aliases(self) -> dict[str, str]:
        """From the names of functions to those that their author gave them."""
        found: dict[str, str] = self._info("function_aliases", {})
        return found

    @property
    def versions(self) -> Message | None:
        """The versions of the graph.

        A VersionDef. Old files have none; :attr:`producer` reads both.
        """
        graph = self.message if self.kind == "GraphDef" else self.message.graph_def
        versions: Message | None = None if graph is None else graph.versions
        return versions

    @property
    def producer(self) -> int:
        """The version of graphs that the producer wrote, also where old files have it.

        0 if none says.
        """
        return self.graph.producer

    def __repr__(self) -> str:
        where = "bytes" if self.path is None else repr(self.path)
        return f"<tensorbundle.MetaGraph {where} {self.kind} {len(self.graph)} nodes>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._number is not None:
            return _reopen_number, (self._source, self._number, self._mmap, self._store)
        return _reopen, (self._source, self._tags, self._mmap, self._store)


def _reopen(
    source: str | bytes, tags: tuple[str, ...] | None, mmap: bool, store: Store | None
) -> MetaGraph:
    return MetaGraph(source, tags=tags, mmap=mmap, storage_options=store)


def _reopen_number(path: str, number: int, mmap: bool, store: Store | None) -> MetaGraph:
    return MetaGraph._of(  # pyright: ignore[reportPrivateUsage]
        SavedModelReader.open(path, mmap, store), number, mmap, store
    )
