"""The join of a graph and a checkpoint: variables with their values, and what does not fit."""

from __future__ import annotations

from collections.abc import Sequence

from ._native import join
from .errors import CorruptionError, TensorNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsIndex, overload

    import numpy.typing as npt

    from ._checkpoint import Checkpoint
    from ._dtype import DType
    from ._meta_graph import MetaGraph
    from ._native import MetaGraphReader, Operation, Tensor, TensorInfo, VariableRow


def _box(place: tuple[slice, ...]) -> str:
    return "[" + ", ".join(f"{piece.start}:{piece.stop}" for piece in place) + "]"


def _reader(graph: MetaGraph) -> MetaGraphReader:
    return graph._reader  # pyright: ignore[reportPrivateUsage]


class Finding:
    """Something that does not fit between a graph and a checkpoint."""

    __slots__ = ("key", "kind", "text", "variable")

    def __init__(self, kind: str, variable: str | None, key: str | None, text: str) -> None:
        """Findings come from :attr:`Variables.findings`."""
        self.kind = kind
        """Which way: ``"variable without a tensor"``, ``"variable that is not saved"``,
        ``"tensor without a variable"``,
        ``"dtypes disagree"``, ``"shapes disagree"``, ``"graph not understood"``."""
        self.variable = variable
        """The variable's name; ``None`` if it is about none."""
        self.key = key
        """The tensor's name in the checkpoint; ``None`` if it is about none."""
        self.text = text
        """A sentence for people."""

    def __repr__(self) -> str:
        return f"<tensorbundle.Finding {self.kind}: {self.text}>"

    def __str__(self) -> str:
        return self.text


class Variable:
    """A variable of a graph, a checkpoint, or of both (FORMAT 7.5, 7.6)."""

    __slots__ = ("_all", "_row")

    def __init__(self, row: VariableRow, variables: Variables) -> None:
        """Variables come from :attr:`Checkpoint.variables` and :attr:`MetaGraph.variables`."""
        self._row = row
        self._all = variables

    @property
    def name(self) -> str:
        """Its name, without ``:0``; the name of the whole, if it is partitioned.

        Without a graph: its tensor's name, or in a checkpoint of objects the path of its object.
        """
        return self._row.name or ""

    @property
    def full_name(self) -> str | None:
        """Of a checkpoint of objects without a graph: its name as TensorFlow 1 would call it.

        Others may have it too. ``None`` where nothing says.
        """
        return self._row.full_name

    @property
    def dtype(self) -> DType | None:
        """The type of its elements; ``None`` where nothing says."""
        return self._row.dtype

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """Its shape: ``None`` for an unknown dimension, or for an unknown rank."""
        return self._row.shape

    @property
    def trainable(self) -> bool | None:
        """Whether it is trained; ``None`` if nothing says, as without a graph."""
        return self._row.trainable

    @property
    def kind(self) -> str:
        """What it is for.

        ``"weight"``: what the model computes with, trained or not; ``"slot"``: state of an
        optimizer; ``"average"``: a moving average of another; ``"step"``: a count of steps;
        ``"other"``. From the ops that train and the collections, else from the name.
        """
        return self._row.kind

    @property
    def is_resource(self) -> bool | None:
        """Whether it is a resource variable or a reference; ``None`` without a graph."""
        return self._row.resource

    @property
    def collections(self) -> tuple[str, ...]:
        """The keys of the graph's collections that it is in."""
        return self._row.collections

    @property
    def key(self) -> str | None:
        """The name of its tensor in the checkpoint; ``None`` if it is not meant to be saved."""
        return self._row.key

    @property
    def key_source(self) -> str | None:
        """Who says so.

        ``"restore"``: the constants of the graph's restore ops; ``"save"``: those of its save ops;
        ``"object"``: the object graphs of a SavedModel and its checkpoint; ``"name"``: the rule for
        names, as nothing else says; ``"tensor"``: there is no graph.
        """
        return self._row.key_source

    @property
    def in_checkpoint(self) -> bool:
        """Whether there is a checkpoint that has its tensor."""
        return self._row.stored

    @property
    def op(self) -> Operation | None:
        """Its operation in the graph; ``None`` without a graph, and for a partitioned variable."""
        graph = self._all.meta_graph
        return None if graph is None else self._row.op(_reader(graph))

    @property
    def initializer(self) -> Operation | None:
        """The operation that initializes it; ``None`` where the graph does not say.

        Raises:
            NotInGraphError: the graph names one that it does not have.
        """
        return self._operation(self._row.initializer_name)

    @property
    def snapshot(self) -> Tensor | None:
        """The tensor of its value.

        ``None`` where the graph does not say. Raises as :attr:`initializer`.
        """
        return self._tensor(self._row.snapshot_name)

    @property
    def initial_value(self) -> Tensor | None:
        """The tensor it is initialized with.

        ``None`` where the graph does not say. Raises as :attr:`initializer`.
        """
        return self._tensor(self._row.initial_value_name)

    def _operation(self, name: str | None) -> Operation | None:
        graph = self._all.meta_graph
        if graph is None or name is None:
            return None
        return graph.graph.get_operation_by_name(name.removesuffix(":0"))

    def _tensor(self, name: str | None) -> Tensor | None:
        graph = self._all.meta_graph
        if graph is None or name is None:
            return None
        return graph.graph.get_tensor_by_name(name)

    # What belongs together.

    @property
    def slots(self) -> dict[str, Variable]:
        """The state that optimizers keep of it, by what it is called.

        ``"Adam"``, ``"Adam_1"``, ``"Momentum"``.
        """
        return self._all.owned_by(self, "slot")

    @property
    def averages(self) -> dict[str, Variable]:
        """Its moving averages, by what they are called: ``"ExponentialMovingAverage"``."""
        return self._all.owned_by(self, "average")

    @property
    def slot_of(self) -> Variable | None:
        """The variable that it is a slot or an average of; ``None`` if of none."""
        owner = self._row.owner
        return None if owner is None else self._all[owner]

    @property
    def slot_name(self) -> str | None:
        """What it is called among the slots or averages of :attr:`slot_of`."""
        return self._row.slot

    @property
    def parts(self) -> list[Variable]:
        """The parts of a partitioned variable, as the graph has them; empty for any other."""
        return [Variable(row, self._all) for row in self._row.parts]

    @property
    def part_of_whole(self) -> tuple[slice, ...] | None:
        """Of a part: the slice of the whole that it is; ``None`` for any other."""
        place = self._row.place
        if place is None:
            return None
        return tuple(slice(start, start + size) for start, size in zip(*place, strict=True))

    # The value.

    @property
    def info(self) -> TensorInfo:
        """What the index says of its tensor. Raises as :meth:`numpy`."""
        checkpoint, key = self._tensor_of()
        return checkpoint.info(key)

    def numpy(self, *, aligned: bool = False, verify: bool | None = None) -> npt.NDArray[Any]:
        """Its value, as :meth:`Checkpoint.read` gives it: a view, where it is stored in one piece.

        Of a part it is the part: a view of rows, else a view of a copy of the whole.

        Raises:
            ValueError: there is no checkpoint, only a graph.
            TensorNotFoundError: the checkpoint has no tensor for it.
            CorruptionError, UnsupportedError, OSError: as :meth:`Checkpoint.read`.
        """
        checkpoint, key = self._tensor_of()
        place = self.part_of_whole
        if not place:
            return checkpoint.read(key, aligned=aligned, verify=verify)
        shape = checkpoint.info(key).shape
        if len(shape) != len(place) or any(
            piece.stop > size for piece, size in zip(place, shape, strict=True)
        ):
            error = CorruptionError(
                f"variable {self.name!r} is a part of tensor {key!r} that this has not: "
                f"want {_box(place)}, its shape is {list(shape)}"
            )
            error.tensor = key
            raise error
        rows, *rest = place
        return checkpoint.read(key, rows=rows, aligned=aligned, verify=verify)[:, *rest]

    def _tensor_of(self) -> tuple[Checkpoint, str]:
        checkpoint, key = self._all.checkpoint, self.key
        if checkpoint is None:
            raise ValueError(
                f"variable {self.name!r} has no value: a graph alone holds none; "
                "open the checkpoint with tensorbundle.open"
            )
        if key is None:
            text = f"variable {self.name!r} is not saved in the checkpoint {checkpoint.prefix}"
            error = TensorNotFoundError(text)
            error.tensor = self.name
            raise error
        return checkpoint, key

    def __eq__(self, other: object, /) -> bool:
        """The same variable of the same join."""
        return isinstance(other, Variable) and self._row == other._row

    def __hash__(self) -> int:
        return hash(self._row)

    def __repr__(self) -> str:
        shape = "?" if self.shape is None else list(self.shape)
        return f"<tensorbundle.Variable {self.name!r} {self.dtype} {shape} {self.kind}>"


class Variables(Sequence[Variable]):
    """The variables of a graph in its order, or of a checkpoint in stored order; also by name.

    Made by :attr:`Checkpoint.variables` and :attr:`MetaGraph.variables`.
    """

    __slots__ = ("_joined", "checkpoint", "meta_graph")

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        meta_graph: MetaGraph | None,
        joined: Joined | None = None,
    ) -> None:
        """Joins a checkpoint and a graph.

        Args:
            checkpoint: where the values are; ``None`` for variables without values.
            meta_graph: the graph, which need not lie beside the checkpoint; ``None`` if there is
                none.
            joined: what a join of the two has found before, which is then not made again.

        Raises:
            CorruptionError: the graph or the index is damaged.
        """
        self.checkpoint = checkpoint
        self.meta_graph = meta_graph
        # Variables are made when they are asked for: kept, each would be in a cycle with all.
        self._joined = Joined(checkpoint, meta_graph) if joined is None else joined

    @property
    def findings(self) -> list[Finding]:
        """What does not fit: variables without a tensor, tensors without a variable, and the like.

        Empty if all fits. With only one of the two nothing can be missing, but a part of the graph
        may not be understood.
        """
        return [Finding(*finding) for finding in self._joined.findings]

    @property
    def weights(self) -> list[Variable]:
        """Those that the model computes with: no slots, averages, steps."""
        return [variable for variable in self if variable.kind == "weight"]

    @property
    def trainable(self) -> list[Variable]:
        """Those that the graph says are trained."""
        return [variable for variable in self if variable.trainable]

    def owned_by(self, owner: Variable, kind: str) -> dict[str, Variable]:
        """The slots or averages of a variable, by what they are called."""
        owned = [self[number] for number in self._joined.owned(owner.name)]
        return {one.slot_name or one.name: one for one in owned if one.kind == kind}

    def names(self) -> list[str]:
        """Their names."""
        return [variable.name for variable in self]

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, key: str | SupportsIndex, /) -> Variable: ...
        @overload
        def __getitem__(self, key: slice[Any, Any, Any], /) -> list[Variable]: ...

    def __getitem__(
        self, key: str | SupportsIndex | slice[Any, Any, Any], /
    ) -> Variable | list[Variable]:
        """By number, by slice, or by name (``KeyError``: there is no such variable)."""
        rows = self._joined.rows
        if isinstance(key, slice):
            return [Variable(row, self) for row in rows[key]]
        number = self._joined.number(key) if isinstance(key, str) else key
        return Variable(rows[number], self)

    def __len__(self) -> int:
        """How many."""
        return len(self._joined.rows)

    def __contains__(self, key: object, /) -> bool:
        """Is there a variable of this name; or is it one of these?"""
        if isinstance(key, str):
            try:
                self._joined.number(key)
            except KeyError:
                return False
            return True
        return isinstance(key, Variable) and any(key == variable for variable in self)

    def __repr__(self) -> str:
        findings = f", {len(self._joined.findings)} findings" if self._joined.findings else ""
        return f"<tensorbundle.Variables {len(self)}{findings}>"


class Joined:
    """What a join has found: rows and findings, that refer to neither checkpoint nor graph."""

    __slots__ = ("_by_name", "_owned", "findings", "rows")

    def __init__(self, checkpoint: Checkpoint | None, meta_graph: MetaGraph | None) -> None:
        """Joins a checkpoint and a graph: see :class:`Variables`."""
        self.rows, self.findings = join(
            None if checkpoint is None else checkpoint._open,  # pyright: ignore[reportPrivateUsage]
            None if meta_graph is None else _reader(meta_graph),
        )
        self._by_name: dict[str | None, int] | None = None
        self._owned: dict[int, list[int]] | None = None

    def number(self, name: str) -> int:
        """The number of the first variable of this name (``KeyError``: there is none)."""
        if self._by_name is None:
            last = len(self.rows) - 1
            self._by_name = {row.name: last - i for i, row in enumerate(reversed(self.rows))}
        return self._by_name[name]

    def owned(self, name: str) -> list[int]:
        """The numbers of the slots and averages of a variable; none of a part of one."""
        if self._owned is None:
            self._owned = {}
            for number, row in enumerate(self.rows):
                if row.owner is not None:
                    self._owned.setdefault(row.owner, []).append(number)
        try:
            return self._owned.get(self.number(name), [])
        except KeyError:
            return []
