"""The objects of a TensorFlow 2 checkpoint, by the path that a user knows."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import CheckpointError, TensorNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, SupportsIndex, overload

    import numpy.typing as npt

    from ._checkpoint import Checkpoint
    from ._native import Message, ObjectGraphReader, TensorInfo


class ObjectAttribute:
    """A tensor of an object, as the object records it (FORMAT 8.3)."""

    __slots__ = ("full_name", "key", "keys", "name")

    def __init__(self, name: str, full_name: str, key: str, keys: tuple[str, ...]) -> None:
        """Attributes come from :attr:`TrackedObject.attributes`."""
        self.name = name
        """Its name, escapes undone: ``"VARIABLE_VALUE"``, ``"py_state"``, ``"table"`` …"""
        self.full_name = full_name
        """The variable's name as TensorFlow 1 would call it; empty for what is no variable.
        Several variables may have it."""
        self.key = key
        """The key that is recorded."""
        self.keys = keys
        """The names of its tensors in the checkpoint.

        Mostly the recorded key alone; of tables and iterators several that begin with it; none if
        the checkpoint lacks it."""

    def __eq__(self, other: object, /) -> bool:
        """The same in all that it says."""
        return isinstance(other, ObjectAttribute) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())

    def _said(self) -> tuple[str, str, str, tuple[str, ...]]:
        return self.name, self.full_name, self.key, self.keys

    def __repr__(self) -> str:
        full_name = f" {self.full_name!r}" if self.full_name else ""
        return f"<tensorbundle.ObjectAttribute {self.name}{full_name} {self.key!r}>"


class SlotVariable:
    """State that an optimizer keeps of a variable, as the optimizer records it (FORMAT 8.4)."""

    __slots__ = ("original", "slot_name", "variable")

    def __init__(self, slot_name: str, original: TrackedObject, variable: TrackedObject) -> None:
        """Slot variables come from :attr:`TrackedObject.slot_variables`."""
        self.slot_name = slot_name
        """What it is called: ``"m"``, ``"momentum"`` …"""
        self.original = original
        """The variable that it is state of."""
        self.variable = variable
        """The variable that holds the state."""

    def __eq__(self, other: object, /) -> bool:
        """The same name, of the same objects."""
        return isinstance(other, SlotVariable) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())

    def _said(self) -> tuple[str, TrackedObject, TrackedObject]:
        return self.slot_name, self.original, self.variable

    def __repr__(self) -> str:
        return f"<tensorbundle.SlotVariable {self.slot_name!r} of {self.original.path!r}>"


class TrackedObject:
    """An object of a checkpoint: a node of its :class:`ObjectGraph` (FORMAT 8.2).

    Equal to another if it is the same node of the same open checkpoint.
    """

    __slots__ = ("graph", "id")

    def __init__(self, graph: ObjectGraph, node: int) -> None:
        """Objects come from an :class:`ObjectGraph`."""
        self.graph = graph
        """The graph it is in."""
        self.id = node
        """Its number there; the root's is 0."""

    @property
    def _nodes(self) -> ObjectGraphReader:
        return self.graph._nodes  # pyright: ignore[reportPrivateUsage]

    @property
    def path(self) -> str | None:
        """The names that lead to it, joined by ``/``: raw, along the first way breadth-first.

        ``""`` for the root; ``"w/.OPTIMIZER_SLOT/opt/m"`` for state that an optimizer records;
        ``None`` if no way leads to it (or one of more than 1 MiB).
        """
        return self._nodes.path(self.id)

    @property
    def children(self) -> dict[str, TrackedObject]:
        """What it holds, by name. Objects may be shared, and may hold each other.

        Raises:
            CorruptionError: a child is a node that is not there, or two have one name.
        """
        graph = self.graph
        return {name: TrackedObject(graph, node) for name, node in self._nodes.children(self.id)}

    @property
    def attributes(self) -> tuple[ObjectAttribute, ...]:
        """Its tensors, as it records them: one for a variable, none for a plain container.

        Raises:
            CorruptionError: the index is damaged.
        """
        return tuple(ObjectAttribute(*row) for row in self._nodes.attributes(self.id))

    @property
    def key(self) -> str | None:
        """The name of its tensor in the checkpoint; ``None`` if it has none, or several."""
        return self._nodes.key(self.id)

    @property
    def full_name(self) -> str | None:
        """The variable's name as TensorFlow 1 would call it; ``None`` if it is no variable."""
        names = (one.full_name for one in self.attributes)
        return next((name for name in names if name), None)

    @property
    def slot_variables(self) -> tuple[SlotVariable, ...]:
        """Of an optimizer: the state that it records as kept of variables.

        Newer optimizers (Keras from 2.11 on) record none; :attr:`slots` of a variable tells.

        Raises:
            CorruptionError: one of them is a node that is not there.
        """
        graph = self.graph
        return tuple(
            SlotVariable(name, TrackedObject(graph, original), TrackedObject(graph, variable))
            for name, original, variable in self._nodes.slots(self.id)
        )

    @property
    def slots(self) -> dict[str, TrackedObject]:
        """Of a variable: the state that optimizers keep of it, by what it is called.

        What optimizers record (``"m"``, ``"momentum"``); of Keras 3 the lists that run along with
        ``_trainable_variables`` (``"momentums"``, ``"velocities"``); of Keras 2.11 to 2.15 state
        whose full name ends in that of the variable, if no other has it. State of which neither
        says whose it is belongs to none. Where several optimizers use one name, their paths stand
        before it.
        """
        graph = self.graph
        return {name: TrackedObject(graph, node) for name, node in self._nodes.states(self.id)}

    @property
    def registered_saver(self) -> tuple[str, str] | None:
        """Who saves it in a way of its own: the registered name, and the object's path there."""
        return self._nodes.saver(self.id)

    @property
    def has_checkpoint_values(self) -> bool | None:
        """Whether it or something below it was saved; ``None``: its writer did not say (≤ 2.10)."""
        return self._nodes.has_values(self.id)

    # The value.

    def _only_key(self) -> str:
        key = self.key
        if key is None:
            attributes = self.attributes
            keys = [key for attribute in attributes for key in attribute.keys]
            report = self.graph.checkpoint.report
            if report is not None and not keys:
                lost = [each.key for each in attributes if report.is_lost(each.key)]
                if lost:
                    return lost[0]  # its look-up says why
            what = f"{len(keys)} tensors: {', '.join(map(repr, keys[:5]))}" if keys else "no tensor"
            error = TensorNotFoundError(f"object {self.path!r} (node {self.id}) has {what}")
            error.tensor, error.near = self.path, tuple(keys[:5])
            raise error
        return key

    @property
    def info(self) -> TensorInfo:
        """What the index says of its tensor. Raises as :meth:`numpy`."""
        return self.graph.checkpoint.info(self._only_key())

    def numpy(self, *, aligned: bool = False, verify: bool | None = None) -> npt.NDArray[Any]:
        """Its value, as :meth:`Checkpoint.read` gives it: a view, where it is stored in one piece.

        Raises:
            TensorNotFoundError: it has no tensor, or several: ``attributes`` has their keys.
            CorruptionError, UnsupportedError, OSError: as :meth:`Checkpoint.read`.
        """
        return self.graph.checkpoint.read(self._only_key(), aligned=aligned, verify=verify)

    def __eq__(self, other: object, /) -> bool:
        """The same node of the same graph."""
        return isinstance(other, TrackedObject) and (self.id, self._nodes) == (
            other.id,
            other._nodes,
        )

    def __hash__(self) -> int:
        return hash((self.id, self._nodes))

    def __repr__(self) -> str:
        path = self._nodes.short_path(self.id)
        name = "" if path is None else f" {path!r}"
        counts = [(len(self._nodes.edges(self.id)), "child", "children")]
        try:  # noqa: SIM105 - contextlib is not worth its import
            counts.append((len(self._nodes.attributes(self.id)), "tensor", "tensors"))
        except (CheckpointError, OSError):
            pass  # whoever asks for the attributes is told
        said = "".join(f", {n} {one if n == 1 else many}" for n, one, many in counts if n)
        return f"<tensorbundle.TrackedObject {self.id}{name}{said}>"


class _Nodes(Sequence[TrackedObject]):
    """The objects of a graph by their numbers, made when they are asked for."""

    __slots__ = ("_graph", "_ids")

    def __init__(self, graph: ObjectGraph, ids: range) -> None:
        self._graph = graph
        self._ids = ids

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, i: SupportsIndex, /) -> TrackedObject: ...
        @overload
        def __getitem__(self, i: slice[Any, Any, Any], /) -> _Nodes: ...

    def __getitem__(self, i: SupportsIndex | slice[Any, Any, Any], /) -> TrackedObject | _Nodes:
        if isinstance(i, slice):
            return _Nodes(self._graph, self._ids[i])
        return TrackedObject(self._graph, self._ids[i])

    def __len__(self) -> int:
        return len(self._ids)

    def __repr__(self) -> str:
        return f"<{len(self)} objects>"


class ObjectGraph:
    """The objects that a TensorFlow 2 checkpoint was made of (FORMAT 8).

    From :attr:`Checkpoint.object_graph`. A directed graph, in which objects are shared and may hold
    each other: look-ups by path follow the names of children, so every name that an object has
    leads to it. Iterates over its objects in the order of their numbers.
    """

    __slots__ = ("_nodes", "checkpoint")

    def __init__(self, checkpoint: Checkpoint, nodes: ObjectGraphReader) -> None:
        """See :attr:`Checkpoint.object_graph`."""
        self.checkpoint = checkpoint
        """The checkpoint it is of."""
        self._nodes = nodes

    def __len__(self) -> int:
        """How many objects."""
        return len(self._nodes)

    def __iter__(self) -> Iterator[TrackedObject]:
        """The objects, in the order of their numbers."""
        return iter(self.nodes)

    @property
    def nodes(self) -> Sequence[TrackedObject]:
        """The objects, by their numbers."""
        return _Nodes(self, range(len(self._nodes)))

    @property
    def root(self) -> TrackedObject:
        """The object that was saved: a ``tf.train.Checkpoint``, a model.

        Raises:
            CheckpointError: the graph is empty.
        """
        if not len(self):
            raise CheckpointError(f"the object graph of {self._nodes.prefix} has no nodes")
        return TrackedObject(self, 0)

    def __getitem__(self, path: str, /) -> TrackedObject:
        """The object of a path, ``"model/layers/0/kernel"``; ``""`` is the root.

        Every way of names that leads to it will do, as will ``"w/.OPTIMIZER_SLOT/opt/m"``.

        Raises:
            NotInGraphError: there is none; ``near`` holds paths that are close. Or there are
                several, as names may hold a ``/``: ``near`` holds their first paths.
        """
        return TrackedObject(self, self._nodes.by_path(path))

    def get(self, path: str, default: TrackedObject | None = None, /) -> TrackedObject | None:
        """The object of a path, or ``default`` if there is none, or several."""
        found = self._nodes.find(path)
        return TrackedObject(self, found[0]) if len(found) == 1 else default

    def __contains__(self, path: object, /) -> bool:
        """Is there one object of this path; or is it one of these?"""
        if isinstance(path, TrackedObject):
            return path.graph == self and 0 <= path.id < len(self)
        return isinstance(path, str) and len(self._nodes.find(path)) == 1

    def by_full_name(self, name: str) -> TrackedObject:
        """The variable with this name, as TensorFlow 1 would call it (FORMAT 8.3).

        Raises:
            NotInGraphError: none has it, or several: ``near`` holds their paths.
        """
        return TrackedObject(self, self._nodes.by_full_name(name))

    def by_key(self, key: str) -> TrackedObject:
        """The object that has a tensor of the checkpoint.

        Raises:
            NotInGraphError: none has it.
        """
        return TrackedObject(self, self._nodes.by_key(key))

    def resolve(self, name: str) -> str:
        """The name of the tensor that is meant: by its own name, a path, or else a full name.

        Raises:
            TensorNotFoundError: it leads to no tensor, or to several; ``near`` says what could be
                meant.
        """
        return self._nodes.resolve(name)

    def paths(self) -> dict[str, str]:
        """The path of the object of each tensor, by the tensor's name: the quick way to all.

        In the order of the objects' numbers. Left out are tensors that no object has, as the one
        with this graph, and those of objects that no way leads to.

        Raises:
            CorruptionError: the index is damaged.
            UnsupportedError: the paths are out of all proportion to the graph.

        Source: FORMAT 8.3.
        """
        return self._nodes.paths()

    @property
    def message(self) -> Message:
        """All of it as a message: a ``tensorflow.TrackableObjectGraph``."""
        return self._nodes.message

    def walk(self) -> Iterator[tuple[int, str, TrackedObject, bool]]:
        """The objects as a tree, each before what it holds.

        Gives depth, name, object, and whether it is shown here: an object that several hold is
        shown where its :attr:`TrackedObject.path` leads, and only named elsewhere. Children that
        are not there are passed over: :meth:`problems` lists them.
        """
        nodes = self._nodes
        if not len(self):
            return
        waiting = [(0, "", 0, True)]
        while waiting:
            depth, name, node, here = waiting.pop()
            yield depth, name, TrackedObject(self, node), here
            if here:
                edges = reversed(nodes.edges(node))
                waiting += [(depth + 1, name, child, first) for name, child, first in edges]

    def problems(self) -> list[str]:
        """What is wrong with it, a sentence each; empty if it is sound.

        Numbers of nodes that are not there, names that two children have, tensors that the
        checkpoint lacks or that no way leads to. At most 1,000, then how many more there are.
        """
        return self._nodes.problems()

    def __eq__(self, other: object, /) -> bool:
        """The graph of the same open checkpoint."""
        return isinstance(other, ObjectGraph) and self._nodes == other._nodes

    def __hash__(self) -> int:
        return hash(self._nodes)

    def __repr__(self) -> str:
        return f"<tensorbundle.ObjectGraph {len(self):,} objects>"
