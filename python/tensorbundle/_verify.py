"""What is wrong with a checkpoint: a report, and its findings."""

from __future__ import annotations

import os
from time import perf_counter

from ._native import verify as _native_verify
from ._paths import located
from .errors import CorruptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._native import ArrowTable, RawFinding, RawReport
    from ._paths import StorageOptions

    Progress = Callable[[int, int], object]

# Why many tensors are lost at once, none of which has a finding of its own.
OF_SHARDS = ("missing shard", "unreadable")
# What always keeps a tensor from being read. Other findings about a tensor may be mere oddities.
UNREADABLE = ("checksum mismatch", "short shard", "bad slices")
# The last finding of a report in which the others beyond some number are only counted.
MORE = "more findings"


class _Fixed:
    """Attributes that are set once."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, name):
            raise AttributeError(f"{name!r} of a {type(self).__name__} cannot be set")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name!r} of a {type(self).__name__} cannot be deleted")


class VerifyFinding(_Fixed):
    """One thing that is wrong with a checkpoint.

    Read-only; compares and pickles by what it says.
    """

    __slots__ = (
        "end",
        "got",
        "kind",
        "part",
        "path",
        "shard",
        "start",
        "tensor",
        "text",
        "want",
    )

    def __init__(
        self,
        kind: str,
        part: str,
        tensor: str | None,
        path: str | None,
        shard: int | None,
        start: int | None,
        end: int | None,
        got: str | None,
        want: str | None,
        text: str,
    ) -> None:
        """Findings come from :class:`VerifyReport`."""
        self.kind = kind
        """In which way it is wrong, a phrase that stays the same: ``"damaged index"``,
        ``"bad entry"``, ``"bad slices"``, ``"checksum mismatch"``, ``"missing shard"``,
        ``"short shard"``, ``"unreadable"``, ``"overlapping bytes"``, ``"bytes nobody owns"``,
        ``"left-over file"``, ``"shard of another checkpoint"``, ``"damaged graph"``,
        ``"graph does not fit"``. After ten thousand others, ``"more findings"`` says how many there
        are beyond those."""
        self.part = part
        """Which part of the file, in the words of the format."""
        self.tensor = tensor
        """The tensor's name; ``None`` if it is about none, or about many."""
        self.path = path
        """The file."""
        self.shard = shard
        """The number of the data shard, or of the file of a V1 checkpoint."""
        self.start = start
        """The first byte of the file that it is about."""
        self.end = end
        """The byte behind the last one."""
        self.got = got
        """What was found, where a word or a number says it; of checksums the masked form."""
        self.want = want
        """What should have been found."""
        self.text = text
        """A sentence for people, with file, place, got and want, and what to do."""

    def _fields(self) -> RawFinding:
        return (
            self.kind,
            self.part,
            self.tensor,
            self.path,
            self.shard,
            self.start,
            self.end,
            self.got,
            self.want,
            self.text,
        )

    def as_dict(self) -> dict[str, str | int | None]:
        """Its attributes by name."""
        return {name: getattr(self, name) for name in _ORDER}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VerifyFinding):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __reduce__(self) -> tuple[type[VerifyFinding], RawFinding]:
        return VerifyFinding, self._fields()

    def __repr__(self) -> str:
        return f"<tensorbundle.VerifyFinding {self.kind}: {self.text}>"

    def __str__(self) -> str:
        return self.text


_ORDER = ("kind", "part", "tensor", "path", "shard", "start", "end", "got", "want", "text")


class VerifyReport(_Fixed):
    """What a check of a whole checkpoint found.

    Read-only; pickles; compares by what it says, but for the time it took.
    """

    __slots__ = (
        "_reasons",
        "bytes",
        "findings",
        "format",
        "lost",
        "notes",
        "prefix",
        "seconds",
        "tensors",
    )

    _reasons: dict[str, VerifyFinding | None]

    def __init__(self, raw: RawReport, seconds: float) -> None:
        """Reports come from :meth:`Checkpoint.verify` and :func:`tensorbundle.verify`."""
        prefix, form, tensors, size, findings, notes, lost = raw
        self.prefix = prefix
        """What the names of its files begin with."""
        self.format = form
        """``"V1"`` or ``"V2"``."""
        self.tensors = tensors
        """How many tensors are known, good or not."""
        self.bytes = size
        """Over how many bytes checksums were computed."""
        self.seconds = seconds
        """How long it took."""
        self.findings = tuple(VerifyFinding(*finding) for finding in findings)
        """What is wrong."""
        self.notes = tuple(VerifyFinding(*note) for note in notes)
        """What is worth knowing, but no damage."""
        self.lost = tuple(lost)
        """The names of the tensors that cannot be read as they were written. Those of which the
        index has lost the very names are not among them: findings about the index say so."""

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.findings

    def to_arrow(self) -> ArrowTable:
        """The findings and notes as columns in Arrow's format.

        ``severity`` (``"finding"`` or ``"note"``), and the attributes of :class:`VerifyFinding`.
        """
        from ._native import ArrowTable

        rows = [("finding", each) for each in self.findings]
        rows += [("note", each) for each in self.notes]
        columns: list[tuple[str, str, Iterable[object]]] = [
            ("severity", "str", [severity for severity, _ in rows])
        ]
        for name in VerifyFinding.__slots__:
            kind = "uint" if name in ("shard", "start", "end") else "str"
            columns.append((name, kind, [getattr(each, name) for _, each in rows]))
        return ArrowTable.from_columns(columns)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """:meth:`to_arrow` as an ArrowArrayStream, for whoever takes the PyCapsule protocol."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def reason(self, tensor: str) -> VerifyFinding | None:
        """Why a tensor is lost; ``None`` if it is not.

        The finding about it, else one about a shard: the first, if several cannot be read. Where
        findings were left out, the one that says so: the reason may be one of those.
        """
        return self._known_reasons().get(tensor)

    def is_lost(self, tensor: str) -> bool:
        """Whether ``tensor`` is one of :attr:`lost`, without going over all of them."""
        return tensor in self._known_reasons()

    def _known_reasons(self) -> dict[str, VerifyFinding | None]:
        try:
            return self._reasons
        except AttributeError:
            reasons = self._find_reasons()
        # Another thread may have been quicker.
        object.__setattr__(self, "_reasons", reasons)
        return reasons

    def _find_reasons(self) -> dict[str, VerifyFinding | None]:
        """Of every tensor that is lost: a shard can take all of them with it."""
        other = left_out(self) or next(iter(closed_shards(self)), None)
        reasons: dict[str, VerifyFinding | None] = dict.fromkeys(self.lost, other)
        own = [found for found in reversed(self.findings) if found.tensor in reasons]
        # The first counts, and before it the first of those that leave nothing to read.
        for found in (*own, *(found for found in own if found.kind in UNREADABLE)):
            if found.tensor is not None:
                reasons[found.tensor] = found
        return reasons

    def raise_for_findings(self) -> None:
        """Raises a :class:`CorruptionError` with the first finding, if there is one."""
        if self.findings:
            first, *others = self.findings
            rest = f" (and {how_many(self, besides=1)})" if others else ""
            raise error_of(first, first.text + rest)

    def as_dict(self) -> dict[str, object]:
        """Its attributes by name, findings as dicts."""
        return {
            "prefix": self.prefix,
            "format": self.format,
            "tensors": self.tensors,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "ok": self.ok,
            "findings": [finding.as_dict() for finding in self.findings],
            "notes": [note.as_dict() for note in self.notes],
            "lost": list(self.lost),
        }

    def _raw(self) -> RawReport:
        findings = [finding._fields() for finding in self.findings]  # pyright: ignore[reportPrivateUsage]
        notes = [note._fields() for note in self.notes]  # pyright: ignore[reportPrivateUsage]
        lost = list(self.lost)
        return self.prefix, self.format, self.tensors, self.bytes, findings, notes, lost

    def __eq__(self, other: object) -> bool:
        """Whether they say the same; how long it took does not count."""
        if not isinstance(other, VerifyReport):
            return NotImplemented
        return self._raw() == other._raw()

    __hash__ = None  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> tuple[type[VerifyReport], tuple[RawReport, float]]:
        return VerifyReport, (self._raw(), self.seconds)

    def __repr__(self) -> str:
        found = how_many(self) if self.findings else "no findings"
        lost = f", {len(self.lost)} lost" if self.lost else ""
        return (
            f"<tensorbundle.VerifyReport {self.prefix!r}: {found} in {self.tensors} tensors{lost}>"
        )


def verify(
    path: str | os.PathLike[str],
    *,
    mmap: bool = True,
    follow: bool = False,
    progress: Progress | None = None,
    storage_options: StorageOptions = None,
) -> VerifyReport:
    """Checks everything about a checkpoint, also of one that cannot be opened any more.

    Every block of the index (or V1 file) and every tensor is held against its checksum, with all
    cores and the GIL let go; every byte is read once. The structure too: entries against types,
    shapes and shards, slices against their tensors, keys out of order, ranges that share bytes,
    bytes that nobody owns, shards that are missing, short, or of another checkpoint, files that
    writers left behind, and graphs that speak of other tensors. It goes on after each finding;
    those beyond ten thousand are only counted.

    A file that is cut short meanwhile is a finding, not the end of the process: mapped pages are
    brought in by a call that fails instead (Linux 5.14 and later; elsewhere bytes are read).

    Args:
        path: as for :func:`tensorbundle.open`.
        mmap: map the shards; ``False`` reads them.
        follow: as for :func:`tensorbundle.open`.
        progress: called some twenty times a second, in this thread, with the bytes done and all
            bytes. What it raises stops the check and comes out, as does ``KeyboardInterrupt``.
        storage_options: of a URL, what its file system is opened with, as for
            :func:`tensorbundle.open`.

    Raises:
        OSError: there is no checkpoint, or its index cannot be read at all.
        CorruptionError: the state file that should say which checkpoint is meant is damaged, or
            the path is that of a lone file that no longer looks like one of V1.

    Source: FORMAT 2 to 6, 10.
    """
    path, store = located(path, storage_options)
    start = perf_counter()
    raw = _native_verify(path, mmap, follow, progress, store)
    return VerifyReport(raw, perf_counter() - start)


def closed_shards(report: VerifyReport) -> list[VerifyFinding]:
    """The findings about files that are gone or cannot be read, with all that is in them."""
    return [each for each in report.findings if each.tensor is None and each.kind in OF_SHARDS]


def left_out(report: VerifyReport) -> VerifyFinding | None:
    """The finding that says how many more there are, if they are not all told."""
    last = next(reversed(report.findings), None)
    return last if last is not None and last.kind == MORE else None


def how_many(report: VerifyReport, *, besides: int = 0) -> str:
    """``3 findings``; ``more than 10,000 findings`` where some are left out."""
    more = left_out(report) is not None
    number = len(report.findings) - more - besides
    other = "more " * bool(besides)
    return f"{'more than ' * more}{number:,} {other}finding{'s' * (number != 1)}"


def error_of(finding: VerifyFinding, text: str) -> CorruptionError:
    """The exception for a finding."""
    error = CorruptionError(text)
    error.part = finding.part
    error.path = finding.path
    error.offset = finding.start
    error.tensor = finding.tensor
    return error
