"""A SavedModel: its graphs, signatures, variables, assets, objects and fingerprint (FORMAT 9)."""

# pathlib would take longer to import than all of this package.
# ruff: noqa: PTH118, PTH120, PTH208

from __future__ import annotations

import os

from ._assets import Asset, assets_of
from ._fingerprint import Fingerprint
from ._native import SavedModelReader, index_fingerprint, read_fingerprint
from ._paths import located

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ._checkpoint import Checkpoint
    from ._meta_graph import MetaGraph
    from ._native import Message, Operation
    from ._paths import StorageOptions
    from ._remote import Store
    from ._saved_objects import ConcreteFunction, SavedObjects
    from ._signatures import Signature
    from ._variables import Joined, Variables

_INIT_OP = "__saved_model_init_op"
_TRAIN_OP = "__saved_model_train_op"


def load_saved_model(
    path: str | os.PathLike[str],
    *,
    mmap: bool = True,
    verify: bool = False,
    storage_options: StorageOptions = None,
) -> SavedModel:
    """Opens a SavedModel: all its graphs, and its variables beside them.

    Reads the file of the graphs as :func:`tensorbundle.load_meta_graph` does, once for all of them;
    the checkpoint, the fingerprint and the graphs are opened when they are asked for.

    Args:
        path: the directory, or the file in it: ``saved_model.cpb`` (in chunks), else
            ``saved_model.pb``, else ``saved_model.pbtxt``. That is the order of TensorFlow's C++;
            its Python does not know ``.cpb``.
        mmap: as for :func:`tensorbundle.open`, of the graphs and the variables.
        verify: as for :func:`tensorbundle.open`, of the variables.
        storage_options: of a URL, what its file system is opened with, as for
            :func:`tensorbundle.open`.

    Raises:
        OSError: with ``errno`` and ``filename``; a directory without such a file is a
            ``FileNotFoundError``.
        CorruptionError: the file is no SavedModel, or is cut short or damaged.
        UnsupportedError: chunks that are packed in a way that is not read.

    Source: FORMAT 9.
    """
    return SavedModel(path, mmap=mmap, verify=verify, storage_options=storage_options)


class SavedModel:
    """A SavedModel: graphs with tags, signatures, variables, assets, objects and a fingerprint.

    Made by :func:`tensorbundle.load_saved_model`. Safe to share between threads and across
    ``fork``; pickles as its path and options. What does not say which graph it means is about the
    only one, or else the one tagged ``serve``, as :meth:`meta_graph` has it.
    """

    __slots__ = (
        "__weakref__",
        "_checkpoint",
        "_graphs",
        "_joined",
        "_mmap",
        "_objects",
        "_path",
        "_reader",
        "_store",
        "_verify",
    )

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mmap: bool = True,
        verify: bool = False,
        storage_options: StorageOptions = None,
    ) -> None:
        """See :func:`tensorbundle.load_saved_model`."""
        self._store: Store | None
        path, self._store = located(path, storage_options)
        self._path = path
        self._mmap = mmap
        self._verify = verify
        self._reader: SavedModelReader | None = SavedModelReader.open(path, mmap, self._store)
        self._graphs: dict[int, MetaGraph] = {}
        self._checkpoint: Checkpoint | None = None
        self._joined: dict[int, Joined] = {}
        self._objects: dict[int, SavedObjects] = {}

    @property
    def _open(self) -> SavedModelReader:
        if self._reader is None:
            raise ValueError(f"SavedModel {self._path!r} is closed")
        return self._reader

    # The files.

    @property
    def path(self) -> str:
        """What it was opened with."""
        return self._path

    @property
    def file(self) -> str:
        """The file with the graphs."""
        return self._open.path

    @property
    def directory(self) -> str:
        """The directory that the file is in."""
        return os.path.dirname(self.file) or os.curdir

    def _inside(self, *names: str) -> str:
        return os.path.join(self.directory, *names)

    # The graphs.

    @property
    def schema_version(self) -> int:
        """The version of the format, which is 1; 0 if the file does not say."""
        return self._open.schema_version

    @property
    def tags(self) -> list[tuple[str, ...]]:
        """The tags of each graph, in the order of the file."""
        return self._open.tags()

    @property
    def meta_graphs(self) -> tuple[MetaGraph, ...]:
        """All graphs, in the order of the file. Each is gone over once, when first asked for.

        Raises:
            CorruptionError: a graph is damaged; :meth:`meta_graph` still gives the others.
        """
        return tuple(self._graph(number) for number in range(len(self._open)))

    def meta_graph(self, tags: Iterable[str] | None = None) -> MetaGraph:
        """The graph with exactly these tags.

        Without them the only one, or else the one tagged ``serve``.

        Raises:
            CorruptionError: it is damaged.
            UnsupportedError: ``tags`` are needed, or fit none or several of the graphs.
        """
        return self._graph(self._number(tags))

    def _number(self, tags: Iterable[str] | None) -> int:
        if isinstance(tags, str):
            raise TypeError("tags must be a collection of str, not a str")
        return self._open.choose(None if tags is None else list(tags))

    def _graph(self, number: int) -> MetaGraph:
        found = self._graphs.get(number)
        if found is None:
            from ._meta_graph import MetaGraph

            made = MetaGraph._of(  # pyright: ignore[reportPrivateUsage]
                self._open, number, self._mmap, self._store
            )
            found = self._graphs.setdefault(number, made)
        return found

    # What one of them says. Raises as :meth:`meta_graph`.

    @property
    def signatures(self) -> dict[str, Signature]:
        """The signatures, in the order of their names; :meth:`signatures_of` has other graphs'."""
        return self.signatures_of()

    def signatures_of(self, tags: Iterable[str] | None = None) -> dict[str, Signature]:
        """The signatures of the graph with these tags."""
        from ._signatures import signatures

        return signatures(self.meta_graph(tags))

    @property
    def init_op(self) -> Operation | None:
        """What TensorFlow runs when it has loaded the model; ``None`` if there is nothing to run.

        The signature ``__saved_model_init_op`` names it, else the collection
        ``saved_model_main_op``, else ``legacy_init_op``.

        Raises:
            NotInGraphError: the graph does not have what the signature names.
        """
        return init_op_of(self.meta_graph())

    @property
    def main_op(self) -> Operation | None:
        """The operation in the collection ``saved_model_main_op``; ``None`` if there is none."""
        return _collected(self.meta_graph(), "saved_model_main_op")

    @property
    def train_op(self) -> Operation | None:
        """What a step of training runs; ``None`` if there is nothing.

        The signature ``__saved_model_train_op`` names it, else the collection
        ``saved_model_train_op``. Raises as :attr:`init_op`.
        """
        return train_op_of(self.meta_graph())

    @property
    def assets(self) -> list[Asset]:
        """The files that the graph needs, in its order; :meth:`assets_of` has other graphs'."""
        return self.assets_of()

    def assets_of(self, tags: Iterable[str] | None = None) -> list[Asset]:
        """The files that the graph with these tags needs."""
        return assets_of(self.meta_graph(tags), self.directory, self._store)

    @property
    def assets_extra(self) -> list[str]:
        """The files in ``assets.extra/``, by their paths in it, sorted. Links are not followed."""
        top = self._inside("assets.extra")
        if self._store is not None:
            from ._remote_tree import files_below

            return files_below(self._store, top)
        found = [
            os.path.relpath(os.path.join(folder, name), top)
            for folder, _, names in os.walk(top)
            for name in names
        ]
        return sorted(found)

    @property
    def object_graph_def(self) -> Message | None:
        """The objects as the file has them: a SavedObjectGraph; ``None`` if it has none."""
        return self.meta_graph().object_graph_def

    @property
    def objects(self) -> SavedObjects | None:
        """The objects that TensorFlow 2 restores, by number; ``None`` if the file has none.

        Raises:
            CorruptionError: the object graph is damaged.
        """
        return self.objects_of()

    def objects_of(self, tags: Iterable[str] | None = None) -> SavedObjects | None:
        """The objects of the graph with these tags."""
        number = self._number(tags)
        found = self._objects.get(number)
        if found is None:
            graph = self._graph(number)
            message = graph.object_graph_def
            if message is None:
                return None
            from ._saved_objects import SavedObjects

            found = self._objects.setdefault(number, SavedObjects(graph, message))
        return found

    @property
    def concrete_functions(self) -> dict[str, ConcreteFunction]:
        """The functions of the objects for arguments of certain types, in the order of their names.

        Raises as :attr:`objects`.
        """
        objects = self.objects
        return {} if objects is None else objects.concrete_functions()

    # The variables.

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Its variables' values; ``None`` if it has no ``variables/``, or an empty one.

        Raises:
            OSError, CorruptionError, UnsupportedError: as :func:`tensorbundle.open`.
        """
        reader = self._open
        if self._checkpoint is None or self._checkpoint.closed:
            from ._checkpoint import open as open_checkpoint

            folder = os.path.join(os.path.dirname(reader.path), "variables")
            prefix = os.path.join(folder, "variables")
            if self._is_empty(folder, prefix):
                return None
            self._checkpoint = open_checkpoint(
                prefix, mmap=self._mmap, verify=self._verify, storage_options=self._store
            )
        return self._checkpoint

    def _is_empty(self, folder: str, prefix: str) -> bool:
        try:
            if self._store is None:
                return not os.listdir(folder)
            # Not every store can list a directory.
            self._store.stat(f"{prefix}.index")
        except (FileNotFoundError, NotADirectoryError):
            return True
        return False

    @property
    def variables(self) -> Variables:
        """Its variables with their values, joined as :attr:`Checkpoint.variables` are.

        Without values, if there is no checkpoint. :meth:`variables_of` has other graphs'.

        Raises:
            OSError, CorruptionError, UnsupportedError: graph or checkpoint cannot be read.
        """
        return self.variables_of()

    def variables_of(self, tags: Iterable[str] | None = None) -> Variables:
        """The variables of the graph with these tags; they share one checkpoint."""
        from ._variables import Variables

        number = self._number(tags)
        made = Variables(self.checkpoint, self._graph(number), self._joined.get(number))
        self._joined[number] = made._joined  # pyright: ignore[reportPrivateUsage]
        return made

    # The fingerprint.

    @property
    def fingerprint(self) -> Fingerprint | None:
        """What ``fingerprint.pb`` says; ``None`` if there is none, as before TensorFlow 2.12.

        Raises:
            OSError: it cannot be read.
            CorruptionError: it is something else, cut short or damaged.
        """
        try:
            return Fingerprint(read_fingerprint(self._inside("fingerprint.pb"), self._store))
        except FileNotFoundError:
            return None

    def check_fingerprint(self) -> bool | None:
        """Whether the fingerprint is of the checkpoint that lies there.

        Reads ``variables/variables.index``, all of it, and no data.

        Returns:
            ``True``: its hash is that in the fingerprint. ``False``: it is not, or there is no
            index. ``None``: there is nothing to hold it against, no fingerprint or no hash in it.

        Raises:
            OSError, CorruptionError: as :attr:`fingerprint`, or the index cannot be read.
        """
        fingerprint = self.fingerprint
        if fingerprint is None or not fingerprint.checkpoint_hash:
            return None
        try:
            index = self._inside("variables", "variables.index")
            found = index_fingerprint(index, self._mmap, self._store)
        except FileNotFoundError:
            return False
        return found == fingerprint.checkpoint_hash

    # Its life.

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._reader is None

    def close(self) -> None:
        """Lets go of the files. Graphs, arrays and checkpoints that were handed out stay valid."""
        self._reader = None
        self._checkpoint = None
        self._graphs = {}
        self._joined = {}
        self._objects = {}

    def __enter__(self) -> SavedModel:
        self._open  # noqa: B018 - raises if it is closed
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._reader is None:
            return f"<tensorbundle.SavedModel {self._path!r} closed>"
        tags = " ".join("{" + ", ".join(tags) + "}" for tags in self.tags)
        return f"<tensorbundle.SavedModel {self._path!r} {tags or 'no graphs'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._path, self._mmap, self._verify, self._store)


def _reopen(path: str, mmap: bool, verify: bool, store: Store | None) -> SavedModel:
    return SavedModel(path, mmap=mmap, verify=verify, storage_options=store)


# What a graph says.


def init_op_of(graph: MetaGraph) -> Operation | None:
    """What TensorFlow runs when it has loaded the graph."""
    return (
        _signed_op(graph, _INIT_OP)
        or _collected(graph, "saved_model_main_op")
        or _collected(graph, "legacy_init_op")
    )


def train_op_of(graph: MetaGraph) -> Operation | None:
    """What a step of training runs."""
    return _signed_op(graph, _TRAIN_OP) or _collected(graph, "saved_model_train_op")


def _signed_op(graph: MetaGraph, key: str) -> Operation | None:
    from ._signatures import signatures

    signature = signatures(graph).get(key)
    output = None if signature is None else signature.outputs.get(key)
    return None if output is None else output.op


def _collected(graph: MetaGraph, key: str) -> Operation | None:
    from ._native import Operation, Tensor

    for one in graph.graph.get_collection(key):
        if isinstance(one, Operation | Tensor):
            return one.op if isinstance(one, Tensor) else one
    return None
