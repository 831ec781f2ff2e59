"""Signatures of a SavedModel: named inputs and outputs, and their tensors (FORMAT 9.2)."""

from __future__ import annotations

from ._native import dtype_of
from .errors import CorruptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from ._dtype import DType
    from ._meta_graph import MetaGraph
    from ._native import Message, Operation, Tensor

_NESTED = 20
_SPARSE = ("indices", "values", "dense_shape")


def shape_of(shape: Message | None) -> tuple[int | None, ...] | None:
    """The shape of a TensorShapeProto; ``None`` for an unknown rank, or if there is none."""
    if shape is None or shape["unknown_rank"]:
        return None
    return tuple(None if dim["size"] < 0 else dim["size"] for dim in shape["dim"])


class SignatureTensor:
    """An input or output of a signature: a tensor of the graph, or several that belong together."""

    __slots__ = ("_graph", "_name", "_nested", "key", "message")

    def __init__(
        self, key: str, message: Message, graph: MetaGraph, name: str | None = None, nested: int = 0
    ) -> None:
        """They come from :attr:`Signature.inputs` and :attr:`Signature.outputs`."""
        self.key = key
        """What the signature calls it."""
        self.message = message
        """What the file says of it: a TensorInfo."""
        self._graph = graph
        self._name = name
        self._nested = nested

    @property
    def kind(self) -> str:
        """``"dense"``, ``"coo_sparse"`` or ``"composite"`` (a ragged tensor, for instance)."""
        encoding = self.message.which("encoding")
        if self._name is not None or encoding not in ("coo_sparse", "composite_tensor"):
            return "dense"
        return encoding.removesuffix("_tensor")

    @property
    def name(self) -> str | None:
        """The name of its tensor in the graph; ``None`` where it is several, or none is named.

        That of an operation, without ``:0``, if the signature names one: an operation to run.
        """
        if self._name is not None:
            return self._name or None
        if self.kind != "dense":
            return None
        name: str = self.message["name"]
        return name or None

    @property
    def dtype(self) -> DType | None:
        """The type of its elements; ``None`` where the signature does not say."""
        if self._name is not None and self.key != "values":
            return dtype_of(9)  # indices and shape of a sparse tensor are int64
        number: int = self.message["dtype"]
        return dtype_of(number) if number else None

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """Its shape: ``None`` for an unknown dimension, or for an unknown rank.

        Of a sparse tensor that of the whole; of its components what the graph says.
        """
        if self._name is None:
            return shape_of(self.message["tensor_shape"])
        return None if self.tensor is None else self.tensor.shape

    @property
    def components(self) -> tuple[SignatureTensor, ...]:
        """The tensors that it is made of; empty if it is one.

        Of a sparse one ``indices``, ``values`` and ``dense_shape``; of a composite one those that
        its type has, by number.

        Raises:
            CorruptionError: composite tensors lie too deep in one another.
        """
        if self.kind == "coo_sparse":
            parts = self.message["coo_sparse"]
            return tuple(
                SignatureTensor(key, self.message, self._graph, parts[f"{key}_tensor_name"])
                for key in _SPARSE
            )
        if self.kind == "composite":
            if self._nested == _NESTED:
                raise CorruptionError(
                    f"signature: composite tensors lie in one another more than {_NESTED} deep"
                )
            parts = self.message["composite_tensor"]["components"]
            return tuple(
                SignatureTensor(str(i), part, self._graph, nested=self._nested + 1)
                for i, part in enumerate(parts)
            )
        return ()

    @property
    def type_spec(self) -> Message | None:
        """Of a composite tensor its type: a TypeSpecProto; ``None`` for any other."""
        if self.kind != "composite":
            return None
        spec: Message | None = self.message["composite_tensor"]["type_spec"]
        return spec

    @property
    def type_name(self) -> str:
        """The class of its type: ``"TensorSpec"``, ``"SparseTensorSpec"``, what the file says."""
        if self.kind == "dense":
            return "TensorSpec"
        if self.kind == "coo_sparse":
            return "SparseTensorSpec"
        spec = self.type_spec
        return "" if spec is None else str(spec["type_spec_class_name"])

    @property
    def tensor(self) -> Tensor | None:
        """Its tensor in the graph.

        ``None`` if it is several, or if the signature names an operation or nothing.

        Raises:
            NotInGraphError: the graph has no such tensor.
        """
        name = self.name
        if name is None or ":" not in name:
            return None
        return self._graph.graph.get_tensor_by_name(name)

    @property
    def op(self) -> Operation | None:
        """The operation that it is an output of, or that the signature names.

        Raises:
            NotInGraphError: the graph has no such operation or tensor.
        """
        name = self.name
        if name is None:
            return None
        tensor = self.tensor
        return self._graph.graph.get_operation_by_name(name) if tensor is None else tensor.op

    def __repr__(self) -> str:
        shape = "?" if self.shape is None else list(self.shape)
        name = self.kind if self.name is None else repr(self.name)
        return f"<tensorbundle.SignatureTensor {self.key!r} {name} {self.dtype} {shape}>"


class Signature:
    """A signature of a graph: what is put in, and what comes out."""

    __slots__ = ("_graph", "message", "name")

    def __init__(self, name: str, message: Message, graph: MetaGraph) -> None:
        """They come from :attr:`SavedModel.signatures`."""
        self.name = name
        """What it is called: ``"serving_default"``."""
        self.message = message
        """What the file says: a SignatureDef."""
        self._graph = graph

    @property
    def method_name(self) -> str:
        """What it is for: ``"tensorflow/serving/predict"``."""
        name: str = self.message["method_name"]
        return name

    def _tensors(self, field: str) -> dict[str, SignatureTensor]:
        return {
            key: SignatureTensor(key, info, self._graph)
            for key, info in sorted(self.message[field].items())
        }

    @property
    def inputs(self) -> dict[str, SignatureTensor]:
        """What is put in, in the order of the names."""
        return self._tensors("inputs")

    @property
    def outputs(self) -> dict[str, SignatureTensor]:
        """What comes out, in the order of the names."""
        return self._tensors("outputs")

    @property
    def defaults(self) -> dict[str, npt.NDArray[Any]]:
        """The values of inputs that need not be given, as arrays that are views of the file.

        Raises:
            CorruptionError, UnsupportedError: a value cannot be read.
        """
        reader = self._graph._reader  # pyright: ignore[reportPrivateUsage]
        values = sorted(self.message["defaults"].items())
        return {key: reader.array(value) for key, value in values}

    def __repr__(self) -> str:
        inputs, outputs = ", ".join(self.inputs), ", ".join(self.outputs)
        return f"<tensorbundle.Signature {self.name!r} ({inputs}) -> ({outputs})>"


def signatures(graph: MetaGraph) -> dict[str, Signature]:
    """The signatures of a graph, in the order of their names."""
    found = sorted(graph.signature_def.items())
    return {name: Signature(name, message, graph) for name, message in found}
