"""What differs between two checkpoints: a report, and a row for each tensor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import perf_counter

from ._checkpoint import Checkpoint
from ._checkpoint import open as open_checkpoint
from ._native import diff as _native_diff
from ._paths import is_url
from ._verify import _Fixed  # pyright: ignore[reportPrivateUsage]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import overload

    from ._native import ArrowTable, DiffRows, RawDiff
    from ._paths import StorageOptions
    from ._verify import Progress

    Rename = Mapping[str, str] | Iterable[tuple[str, str]] | Callable[[str], str]
    Names = str | Iterable[str] | Callable[[str], object]

KINDS = ("changed", "close", "reshaped", "retyped", "added", "removed", "unknown", "equal")
"""What may become of a tensor, in the order of what is worth telling first."""


class TensorDiff(_Fixed):
    """What became of one tensor, from the first checkpoint (A) to the second (B).

    Figures are ``None`` unless it is ``"changed"`` or ``"close"`` and values were read.
    Read-only; compares and pickles by what it says.
    """

    __slots__ = (
        "beyond",
        "changed",
        "cosine",
        "dtype_a",
        "dtype_b",
        "elements",
        "finite",
        "kind",
        "max_abs",
        "max_rel",
        "mean_abs",
        "name_a",
        "name_b",
        "reason",
        "shape_a",
        "shape_b",
        "strange",
    )

    dtype_a: str | None
    dtype_b: str | None
    shape_a: tuple[int, ...] | None
    shape_b: tuple[int, ...] | None
    elements: int | None
    changed: int | None
    beyond: int | None
    finite: int | None
    strange: int | None

    def __init__(self, raw: RawDiff) -> None:
        """Rows come from :class:`DiffReport`."""
        kind, name_a, name_b, typed_a, typed_b, reason, figures = raw
        self.kind = kind
        """``"added"``, ``"removed"``, ``"retyped"``, ``"reshaped"``, ``"changed"``, ``"close"``
        (changed, but within the tolerance), ``"equal"`` or ``"unknown"``."""
        self.name_a = name_a
        """Its name in A; ``None`` if A does not have it."""
        self.name_b = name_b
        """Its name in B; ``None`` if B does not have it."""
        self.dtype_a, self.shape_a = typed_a or (None, None)
        """TensorFlow's name of its type in A, and its shape; ``None`` if A does not have it."""
        self.dtype_b, self.shape_b = typed_b or (None, None)
        """The same in B."""
        self.reason = reason
        """Why it is unknown what became of it; ``None`` otherwise."""
        counts = (None,) * 5 if figures is None else figures[:5]
        self.elements, self.changed, self.beyond, self.finite, self.strange = counts
        """How many elements it has; how many changed; how many of them are not close (by
        :func:`numpy.isclose`'s rule, with NaNs equal); how many are finite on both sides, which
        the other figures are over; how many changed that are NaN or infinite on a side."""
        sizes = (None,) * 4 if figures is None else figures[5:]
        self.max_abs, self.mean_abs, self.max_rel, self.cosine = sizes
        """The largest and the mean ``|a - b|``; the largest ``|a - b| / |b|`` where b is not 0; the
        cosine of the angle between both, as vectors. ``None`` where there are no such elements,
        or, of the cosine, if one vector is zero or its square not to be held by a float64."""

    @property
    def name(self) -> str:
        """Its name: in B, or in A if B does not have it."""
        return self.name_b if self.name_b is not None else self.name_a or ""

    def to_dict(self) -> dict[str, object]:
        """Its attributes by name, and ``name``."""
        return {"name": self.name, **{key: getattr(self, key) for key in _ORDER}}

    def _raw(self) -> RawDiff:
        def typed(
            dtype: str | None, shape: tuple[int, ...] | None
        ) -> tuple[str, tuple[int, ...]] | None:
            return None if dtype is None or shape is None else (dtype, shape)

        a, b = typed(self.dtype_a, self.shape_a), typed(self.dtype_b, self.shape_b)
        figures = None
        if (
            self.elements is not None
            and self.changed is not None
            and self.beyond is not None
            and self.finite is not None
            and self.strange is not None
        ):
            counts = (self.elements, self.changed, self.beyond, self.finite, self.strange)
            sizes = (self.max_abs, self.mean_abs, self.max_rel, self.cosine)
            figures = (*counts, *sizes)
        return self.kind, self.name_a, self.name_b, a, b, self.reason, figures

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorDiff):
            return NotImplemented
        return self._raw() == other._raw()

    def __hash__(self) -> int:
        return hash(self._raw())

    def __reduce__(self) -> tuple[type[TensorDiff], tuple[RawDiff]]:
        return TensorDiff, (self._raw(),)

    def __repr__(self) -> str:
        more = ""
        if self.changed is not None:
            more = f": {self.changed} of {self.elements} elements"
            if self.max_abs is not None:
                more += f", by up to {self.max_abs:.6g}"
        return f"<tensorbundle.TensorDiff {self.name!r} {self.kind}{more}>"


_ORDER = (
    "kind",
    "name_a",
    "name_b",
    "dtype_a",
    "dtype_b",
    "shape_a",
    "shape_b",
    "reason",
    "elements",
    "changed",
    "beyond",
    "finite",
    "strange",
    "max_abs",
    "mean_abs",
    "max_rel",
    "cosine",
)


# What is no text, as kinds of Arrow columns.
_COLUMNS = {
    "shape_a": "list[int]",
    "shape_b": "list[int]",
    **dict.fromkeys(("elements", "changed", "beyond", "finite", "strange"), "uint"),
    **dict.fromkeys(("max_abs", "mean_abs", "max_rel", "cosine"), "float"),
}


class _Rows(Sequence[TensorDiff]):
    """Rows that are made when they are asked for."""

    __slots__ = ("_numbers", "_rows")

    def __init__(self, rows: DiffRows, numbers: Sequence[int]) -> None:
        self._rows = rows
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, i: int, /) -> TensorDiff: ...
        @overload
        def __getitem__(self, i: slice, /) -> _Rows: ...

    def __getitem__(self, i: int | slice, /) -> TensorDiff | _Rows:
        if isinstance(i, slice):
            return _Rows(self._rows, self._numbers[i])
        return TensorDiff(self._rows.row(self._numbers[i]))

    def __iter__(self) -> Iterator[TensorDiff]:
        return (TensorDiff(self._rows.row(i)) for i in self._numbers)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:3]))
        return f"[{shown}{', …' * (len(self) > 3)}]"


class DiffReport:
    """What differs between two checkpoints, A and B; made by :func:`diff`.

    True if anything does, or may: unless every tensor is on both sides and equal, or close. A
    sequence of :class:`TensorDiff`, in the order of names, made when they are asked for.

    With ``fast`` "equal" says that type, shape, size and the 32-bit checksum in the index are the
    same: of tensors that differ by chance, one in four thousand million looks equal.
    """

    __slots__ = ("_counts", "_rows", "a", "atol", "b", "fast", "rtol", "seconds")

    def __init__(
        self,
        a: str,
        b: str,
        rows: DiffRows,
        *,
        fast: bool,
        rtol: float,
        atol: float,
        seconds: float,
    ) -> None:
        """Reports come from :func:`diff`."""
        self.a = a
        """What the names of A's files begin with."""
        self.b = b
        """The same of B."""
        self.fast = fast
        """Whether only the indexes were read: equality then rests on 32-bit checksums."""
        self.rtol = rtol
        """The relative tolerance that was asked for."""
        self.atol = atol
        """The absolute one."""
        self.seconds = seconds
        """How long it took."""
        self._rows = rows
        self._counts = rows.counts()

    @property
    def bytes(self) -> int:
        """How many bytes of elements were compared, on both sides together; 0 if ``fast``."""
        return self._rows.bytes

    @property
    def counts(self) -> dict[str, int]:
        """How many tensors there are of each kind, 0 included."""
        return {kind: self._counts.get(kind, 0) for kind in KINDS}

    def _of(self, kind: str, *, by_change: bool = False) -> Sequence[TensorDiff]:
        return _Rows(self._rows, self._rows.rows_of(kind, by_change))

    @property
    def added(self) -> Sequence[TensorDiff]:
        """Those that only B has."""
        return self._of("added")

    @property
    def removed(self) -> Sequence[TensorDiff]:
        """Those that only A has."""
        return self._of("removed")

    @property
    def retyped(self) -> Sequence[TensorDiff]:
        """Those whose type is another; their shape may be, too. Values are not compared."""
        return self._of("retyped")

    @property
    def reshaped(self) -> Sequence[TensorDiff]:
        """Those of the same type whose shape is another. Values are not compared."""
        return self._of("reshaped")

    @property
    def changed(self) -> Sequence[TensorDiff]:
        """Those whose elements are not the same, the largest difference first.

        Before all come those of which a NaN or an infinity came or went; strings, which have no
        differences to go by, last.
        """
        return self._of("changed", by_change=True)

    @property
    def close(self) -> Sequence[TensorDiff]:
        """Those that changed, but each element is within the tolerance; largest difference first.

        None unless a tolerance was given.
        """
        return self._of("close", by_change=True)

    @property
    def equal(self) -> Sequence[TensorDiff]:
        """Those whose elements are the same; with :attr:`fast`: whose checksums are."""
        return self._of("equal")

    @property
    def unknown(self) -> Sequence[TensorDiff]:
        """Those of which it cannot be told: :attr:`TensorDiff.reason` says why."""
        return self._of("unknown")

    def names(self, kind: str) -> list[str]:
        """The names of those of a kind (in B, else in A), in order: the quick way to all of them.

        Raises:
            ValueError: there is no such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"no kind {kind!r}: there are {', '.join(KINDS)}")
        return self._rows.names_of(kind)

    def __bool__(self) -> bool:
        return any(count for kind, count in self._counts.items() if kind not in ("equal", "close"))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[TensorDiff]:
        return iter(_Rows(self._rows, range(len(self._rows))))

    def __getitem__(self, i: int, /) -> TensorDiff:
        return _Rows(self._rows, range(len(self._rows)))[i]

    def to_arrow(self) -> ArrowTable:
        """All rows as columns in Arrow's format: ``name``, and what :class:`TensorDiff` has."""
        from ._native import ArrowTable

        dicts = [row.to_dict() for row in self]
        columns: list[tuple[str, str, Iterable[object]]] = [
            (name, _COLUMNS.get(name, "str"), [row[name] for row in dicts])
            for name in ("name", *_ORDER)
        ]
        return ArrowTable.from_columns(columns)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """:meth:`to_arrow` as an ArrowArrayStream, for whoever takes the PyCapsule protocol."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_dict(self) -> dict[str, object]:
        """Its attributes by name, ``different`` for its truth, and all rows as dicts."""
        return {
            "a": self.a,
            "b": self.b,
            "fast": self.fast,
            "rtol": self.rtol,
            "atol": self.atol,
            "seconds": self.seconds,
            "bytes": self.bytes,
            "different": bool(self),
            "counts": self.counts,
            "tensors": [row.to_dict() for row in self],
        }

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {kind}" for kind, n in self.counts.items() if n) or "no tensors"
        fast = " by checksums alone" if self.fast else ""
        return f"<tensorbundle.DiffReport {self.a!r} to {self.b!r}: {counts}{fast}>"


def diff(
    a: str | os.PathLike[str] | Checkpoint,
    b: str | os.PathLike[str] | Checkpoint,
    *,
    fast: bool = False,
    rename: Rename | None = None,
    names: Names | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
    mmap: bool = True,
    follow: bool = False,
    progress: Progress | None = None,
    storage_options: StorageOptions = None,
) -> DiffReport:
    """Compares two checkpoints, tensor by tensor.

    All values are read and held against each other, with all cores, the GIL let go, a mebibyte at a
    time (of a store: up to two, 16 times at once) and without copies, whatever the checksums say.
    How they are stored does not matter: V1 or V2, slices and byte order may be others. (Tensors of
    V1 files, strings and variants are read whole, each by one core.)

    Two elements are equal if their bits are, or if both are NaN, whatever the payload. So ``0.0``
    and ``-0.0`` are not equal, though their difference is 0. Figures are in float64, over the
    elements that are finite on both sides; those of integers of 64 bits are exact before they are
    rounded. For tensors of up to 2**32 elements the mean is within 1e-12 of itself, the cosine
    within 1e-11. Complex numbers go by their modulus, and the cosine by the real part of the inner
    product.

    Args:
        a: a path, as for :func:`tensorbundle.open`, or an open checkpoint. Of one that was opened
            with ``on_error="skip"``, what was salvaged is compared, and what is lost is
            ``unknown``. Of one that was opened with ``verify=True``, the checksums are checked.
        b: the same.
        fast: read only the indexes, some kilobytes, and never the shards: compares types, shapes,
            sizes and 32-bit checksums. What has no checksums that can be compared is ``unknown``:
            tensors of V1 files, other slices, the other byte order. Checksums are over bits, so a
            NaN of another payload is a change here.
        rename: what A's names are in B: pairs of a regular expression and what is put in place of
            each match (as :func:`re.sub` has it), applied one after the other; or a function.
        names: only these tensors, by their names in B: a glob over the whole name, several, or a
            function.
        rtol: with ``atol``: an element is close if ``|a - b| <= atol + rtol * |b|``. Tensors of
            which all elements are count as ``close``, not as ``changed``.
        atol: see there.
        mmap: map the shards; ``False`` reads them. For paths.
        follow: as for :func:`tensorbundle.open`. For paths.
        progress: called some twenty times a second, in this thread, with the bytes done and all
            bytes. What it raises stops the work and comes out, as does ``KeyboardInterrupt``.
        storage_options: for those of the two that are URLs; see :func:`tensorbundle.open`.

    Raises:
        OSError, CorruptionError, UnsupportedError: one of the two, or a tensor of it, cannot be
            read; which file and which tensor it is, is in the text.
        ValueError: two names of A become one; a tolerance is negative or not finite; a regular
            expression is none.

    Source: FORMAT 4, 5.
    """
    if not (0 <= rtol < float("inf") and 0 <= atol < float("inf")):
        raise ValueError(
            f"rtol and atol must be finite and not negative, not {rtol!r} and {atol!r}"
        )
    start = perf_counter()
    one, other = (
        each if isinstance(each, Checkpoint) else _opened(each, mmap, follow, storage_options)
        for each in (a, b)
    )
    left, right = one._open, other._open  # pyright: ignore[reportPrivateUsage]
    renamed = of_a = of_b = None
    change = _renaming(rename)
    if change is not None:
        renamed = [change(name) for name in left.names()]
    if names is not None:
        wanted = _chooser(names)
        of_a = [bool(wanted(name)) for name in (renamed or left.names())]
        of_b = [bool(wanted(name)) for name in right.names()]
    lost_of_a, lost_of_b = (
        [] if each.report is None else list(each.report.lost) for each in (one, other)
    )
    if change is not None:
        lost_of_a = [change(name) for name in lost_of_a]
    lost = (lost_of_a, lost_of_b)
    rows = _native_diff(
        left, right, renamed, of_a, of_b, *lost, fast, float(rtol), float(atol), progress
    )
    seconds = perf_counter() - start
    return DiffReport(
        one.prefix, other.prefix, rows, fast=fast, rtol=rtol, atol=atol, seconds=seconds
    )


def _opened(
    path: str | os.PathLike[str], mmap: bool, follow: bool, storage_options: StorageOptions
) -> Checkpoint:
    options = storage_options if is_url(path) else None
    return open_checkpoint(path, mmap=mmap, follow=follow, storage_options=options)


def _renaming(rename: Rename | None) -> Callable[[str], str] | None:
    """The function that renames; ``None`` if nothing does."""
    if rename is None:
        return None
    pairs: list[tuple[str, str]]
    if isinstance(rename, Mapping):
        pairs = [*rename.items()]  # pyright: ignore[reportUnknownVariableType, reportAssignmentType]
    elif callable(rename):
        return rename
    else:
        pairs = [*rename]
    if not pairs:
        return None
    import re

    compiled: list[tuple[re.Pattern[str], str]] = []
    for pattern, replacement in pairs:
        try:
            compiled.append((re.compile(pattern), replacement))
        except re.error as error:
            raise ValueError(f"rename {pattern!r}: not a regular expression: {error}") from None

    def change(name: str) -> str:
        for expression, replacement in compiled:
            try:
                name = expression.sub(replacement, name)
            except (re.error, IndexError) as error:
                text = f"rename {expression.pattern!r} to {replacement!r}: {error}"
                raise ValueError(text) from None
        return name

    return change


def _chooser(names: Names) -> Callable[[str], object]:
    """The function that says which names count."""
    if callable(names):
        return names
    import re
    from fnmatch import translate

    globs = [names] if isinstance(names, str) else list(names)
    matches = [re.compile(translate(each)).match for each in globs]
    return lambda name: any(match(name) for match in matches)
