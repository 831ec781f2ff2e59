"""TensorFlow's element types, as a graph names them (FORMAT 4.6)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy as np

_KNOWN: dict[int, DType] = {}
_REF = 100

# The protos have their own names for some.
_PROTO_NAMES = {"float16": "HALF", "float32": "FLOAT", "float64": "DOUBLE"}


class DType:
    """An element type, of which ``name`` is ``"float32"``, ``"string"``, ``"float32_ref"``….

    Equal to its name, to the NumPy type of its elements, and to itself; one object for each type.
    """

    __slots__ = ("_name", "_number")

    _name: str
    _number: int

    def __init__(self) -> None:
        """Types come from graphs: there is nothing to make one of."""
        raise TypeError("a DType comes from a graph: it is not made")

    @classmethod
    def _of(cls, number: int, name: str) -> DType:
        known = _KNOWN.get(number)
        if known is None:
            made = object.__new__(cls)
            made._number, made._name = number, name
            known = _KNOWN.setdefault(number, made)
        return known

    @property
    def name(self) -> str:
        """TensorFlow's name of the type; ``"unknown(99)"`` for a number that is not known."""
        return self._name

    @property
    def as_datatype_enum(self) -> int:
        """Its number in files."""
        return self._number

    @property
    def proto_name(self) -> str:
        """Its name in TensorFlow's protos, such as ``"DT_FLOAT"``."""
        base = self.base_dtype._name
        return f"DT_{_PROTO_NAMES.get(base, base.upper())}{'_REF' if self.is_ref_dtype else ''}"

    @property
    def is_ref_dtype(self) -> bool:
        """Whether it is a reference to another type, as the output of an old variable is."""
        return self._name.endswith("_ref")

    @property
    def base_dtype(self) -> DType:
        """What a reference refers to; any other type itself."""
        if not self.is_ref_dtype:
            return self
        return DType._of(self._number - _REF, self._name.removesuffix("_ref"))

    def _is(self, *kinds: str) -> bool:
        return self.base_dtype._name.startswith(kinds)

    @property
    def is_floating(self) -> bool:
        """Whether its elements are floating-point numbers, of any width."""
        return self._is("float", "bfloat")

    @property
    def is_complex(self) -> bool:
        """Whether its elements are complex numbers."""
        return self._is("complex")

    @property
    def is_integer(self) -> bool:
        """Whether its elements are integers, signed or not; quantized ones are not counted."""
        return self._is("int", "uint")

    @property
    def is_unsigned(self) -> bool:
        """Whether its elements are unsigned integers, which quantized ones are not counted as."""
        return self._is("uint")

    @property
    def is_bool(self) -> bool:
        """Whether its elements are truth values."""
        return self._is("bool")

    @property
    def is_quantized(self) -> bool:
        """Whether its elements are quantized numbers, whose scale is elsewhere."""
        return self._is("qint", "quint")

    @property
    def size(self) -> int:
        """Bytes of an element; 0 for strings, variants and resources, which have no fixed size.

        Raises:
            UnsupportedError: a type that NumPy has no dtype for.
        """
        dtype = self.numpy_dtype
        return 0 if dtype.hasobject else dtype.itemsize

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of arrays of such elements; ``object`` for strings, variants and resources.

        Raises:
            UnsupportedError: a type that NumPy has no dtype for.
        """
        from ._dtypes import numpy_dtype

        return numpy_dtype(self.base_dtype._name, False)

    @property
    def as_numpy_dtype(self) -> type[Any]:
        """The scalar type of :attr:`numpy_dtype`, or ``object``, as TensorFlow's types give it."""
        scalar: type[Any] = self.numpy_dtype.type
        return object if self.numpy_dtype.hasobject else scalar

    def __eq__(self, other: object, /) -> bool:
        if isinstance(other, DType):
            return self._number == other._number
        if isinstance(other, str):
            return self._name == other
        if other is None:
            return False
        try:
            import numpy as np

            given: np.dtype[Any] = np.dtype(other)  # type: ignore[call-overload]
            return bool(self.numpy_dtype == given)
        except (TypeError, NotImplementedError):
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"tensorbundle.DType({self._name})"

    def __str__(self) -> str:
        return self._name

    def __reduce__(self) -> tuple[Any, ...]:
        return DType._of, (self._number, self._name)
