"""What the values of tensors are like: a report, and a row for each tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from ._verify import _Fixed  # pyright: ignore[reportPrivateUsage]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import ArrowTable, RawStats

    Names = str | Iterable[str] | Callable[[str], object]

HUGE = 1e4
"""Weights and slots of models that train are hardly ever beyond this."""


class TensorStats(_Fixed):
    """What the values of one tensor are like. Read-only; compares and pickles by what it says.

    Counts are exact. ``min``, ``max``, ``mean``, ``std`` and ``norm`` are over the finite elements,
    in float64 (``min`` and ``max`` of integers are exact), and ``None`` if there are none. Of
    complex numbers they are those of the modulus.
    """

    __slots__ = (
        "counts",
        "dtype",
        "edges",
        "elements",
        "max",
        "mean",
        "min",
        "name",
        "nan",
        "neg_inf",
        "norm",
        "pos_inf",
        "shape",
        "std",
        "subnormals",
        "zeros",
    )

    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    norm: float | None
    edges: list[float] | None
    counts: list[int] | None

    def __init__(self, raw: RawStats) -> None:
        """Rows come from :meth:`Checkpoint.stats`."""
        name, dtype, shape, sums, histogram = raw
        self.name = name
        """Its name."""
        self.dtype = dtype
        """TensorFlow's name of its type."""
        self.shape = shape
        """Its shape."""
        counts, extremes, figures = sums or ((0, 0, 0, 0, 0, 0), None, None)
        if sums is None:
            from math import prod

            counts = (prod(shape), 0, 0, 0, 0, 0)
        self.elements, self.nan, self.pos_inf, self.neg_inf, self.zeros, self.subnormals = counts
        """How many elements it has; how many are NaN, infinite above and below zero, zero, and
        subnormal in their type. Of complex numbers: NaN in a part."""
        self.min, self.max = extremes or (None, None)
        """The least and the greatest; int for integers."""
        self.mean, self.std, self.norm = figures or (None, None, None)
        """The mean; the root of the mean square distance from it; the root of the sum of squares
        (L2)."""
        self.edges, self.counts = histogram or (None, None)
        """The edges of bins of equal width from least to greatest, and how many are in each, as
        :func:`numpy.histogram` of their float64 values has it; ``None`` unless asked for."""

    @property
    def finite(self) -> int:
        """How many elements are finite."""
        return self.elements - self.nan - self.pos_inf - self.neg_inf

    @property
    def inf(self) -> int:
        """How many are infinite."""
        return self.pos_inf + self.neg_inf

    @property
    def suspicions(self) -> tuple[str, ...]:
        """What looks wrong about it, the worst first: ``"nan"``, ``"inf"``, ``"all zero"``,
        ``"constant"``, ``"huge"`` (beyond 10,000), ``"subnormal"`` (more than a tenth).

        Constants and zeros only of floating-point tensors of more than one element: biases and
        fresh slots are zero, so they come behind the others.
        """
        found: list[str] = []
        if self.nan:
            found.append("nan")
        if self.inf:
            found.append("inf")
        floating = "float" in self.dtype or "complex" in self.dtype
        if floating and self.max is not None and self.min is not None:
            if max(abs(self.max), abs(self.min)) > HUGE:
                found.append("huge")
            if self.subnormals > self.elements / 10:
                found.append("subnormal")
            if self.finite > 1 and self.min == self.max:
                found.append("all zero" if self.max == 0 else "constant")
        return tuple(found)

    def to_dict(self) -> dict[str, object]:
        """Its attributes by name, with ``suspicions``; edges and counts only if there are any."""
        found: dict[str, object] = {name: getattr(self, name) for name in _ORDER}
        found["shape"] = list(self.shape)
        found["suspicions"] = list(self.suspicions)
        if self.counts is not None:
            found["edges"] = self.edges
            found["counts"] = self.counts
        return found

    def _raw(self) -> RawStats:
        counts = self.elements, self.nan, self.pos_inf, self.neg_inf, self.zeros, self.subnormals
        extremes = None if self.min is None or self.max is None else (self.min, self.max)
        figures = None
        if self.mean is not None and self.std is not None and self.norm is not None:
            figures = self.mean, self.std, self.norm
        histogram = None
        if self.edges is not None and self.counts is not None:
            histogram = self.edges, self.counts
        return self.name, self.dtype, self.shape, (counts, extremes, figures), histogram

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorStats):
            return NotImplemented
        return self._raw() == other._raw()

    def __hash__(self) -> int:
        return hash((self.name, self.elements, self.mean))

    def __reduce__(self) -> tuple[type[TensorStats], tuple[RawStats]]:
        return TensorStats, (self._raw(),)

    def __repr__(self) -> str:
        worst = "".join(f", {each}" for each in self.suspicions)
        return (
            f"<tensorbundle.TensorStats {self.name!r} {self.elements} elements, "
            f"{self.min} to {self.max}, mean {self.mean}{worst}>"
        )


_ORDER = (
    "name",
    "dtype",
    "shape",
    "elements",
    "nan",
    "pos_inf",
    "neg_inf",
    "zeros",
    "subnormals",
    "min",
    "max",
    "mean",
    "std",
    "norm",
)

_RANK = {"nan": 0, "inf": 1, "huge": 2, "subnormal": 3, "constant": 4, "all zero": 5}


class StatsReport(Mapping[str, TensorStats]):
    """What the values of a checkpoint's tensors are like: by name, in stored order.

    Made by :meth:`Checkpoint.stats`. Strings, variants and resources are not in it: see
    :attr:`skipped`.
    """

    __slots__ = ("_rows", "prefix", "seconds", "skipped")

    def __init__(
        self, prefix: str, raw: list[RawStats], skipped: tuple[str, ...], seconds: float
    ) -> None:
        """Reports come from :meth:`Checkpoint.stats`."""
        self.prefix = prefix
        """What the names of its files begin with."""
        self.skipped = skipped
        """The names of tensors that are no numbers."""
        self.seconds = seconds
        """How long it took."""
        self._rows = {row[0]: TensorStats(row) for row in raw}

    def __getitem__(self, name: str, /) -> TensorStats:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def worst(self) -> list[TensorStats]:
        """All rows, what looks wrong first: see :attr:`TensorStats.suspicions`."""

        def rank(row: TensorStats) -> tuple[int, float]:
            first = min((_RANK[each] for each in row.suspicions), default=len(_RANK))
            bad = row.nan + row.inf
            return first, -bad / row.elements if row.elements else 0.0

        return sorted(self._rows.values(), key=rank)

    @property
    def bad(self) -> tuple[str, ...]:
        """The names of those with NaNs or infinities."""
        return tuple(row.name for row in self._rows.values() if row.nan or row.inf)

    def to_arrow(self) -> ArrowTable:
        """The rows as columns in Arrow's format; ``min`` and ``max`` as float64.

        ``name``, ``dtype``, ``shape``, the counts, ``min``, ``max``, ``mean``, ``std``, ``norm``,
        ``edges`` and ``counts`` are those of :class:`TensorStats`.
        """
        from ._native import ArrowTable

        rows = list(self._rows.values())
        columns: list[tuple[str, str, Iterable[object]]] = [
            (name, _COLUMNS.get(name, "uint"), [getattr(row, name) for row in rows])
            for name in _ORDER
        ]
        columns.append(("edges", "list[float]", [row.edges for row in rows]))
        columns.append(("counts", "list[int]", [row.counts for row in rows]))
        return ArrowTable.from_columns(columns)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """:meth:`to_arrow` as an ArrowArrayStream, for whoever takes the PyCapsule protocol."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_dict(self) -> dict[str, object]:
        """Its attributes by name, and all rows as dicts."""
        return {
            "prefix": self.prefix,
            "seconds": self.seconds,
            "skipped": list(self.skipped),
            "tensors": [row.to_dict() for row in self._rows.values()],
        }

    def __reduce__(self) -> tuple[object, ...]:
        raw = [row._raw() for row in self._rows.values()]  # pyright: ignore[reportPrivateUsage]
        return StatsReport, (self.prefix, raw, self.skipped, self.seconds)

    def __repr__(self) -> str:
        return (
            f"<tensorbundle.StatsReport {self.prefix!r} {len(self)} tensors, "
            f"{len(self.bad)} with NaN or Inf>"
        )


_COLUMNS = {
    "name": "str",
    "dtype": "str",
    "shape": "list[int]",
    **dict.fromkeys(("min", "max", "mean", "std", "norm"), "float"),
}
