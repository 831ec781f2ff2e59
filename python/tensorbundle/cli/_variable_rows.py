"""Variables with what they take, as rows for tables and for JSON."""

from __future__ import annotations

import math
import re

from tensorbundle.cli import _graph_facts, _text
from tensorbundle.errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorbundle import Finding, TensorInfo, Variable, Variables

NOTE = "variable that is not saved"  # as it should be, for tables, metrics and the like
BITS = re.compile(r"[a-z]+(\d+)")


class Row:
    """A variable; `elements` and `nbytes` are None where they are not known.

    They are those of its tensor in the checkpoint: one that is not in it takes nothing there.
    Without a checkpoint they are the graph's.
    """

    __slots__ = ("elements", "name", "nbytes", "stored", "variable")

    def __init__(self, variable: Variable, info: TensorInfo | None, *, alone: bool) -> None:
        self.variable = variable
        self.name = variable.name
        self.stored = info is not None
        if info is not None or not alone:
            self.elements: int | None = 0 if info is None else info.size
            self.nbytes: int | None = 0 if info is None else info.nbytes
            return
        dims = [dim for dim in variable.shape or () if dim is not None]
        known = variable.shape is not None and len(dims) == len(variable.shape)
        self.elements = math.prod(dims) if known else None
        width = None if variable.dtype is None else _width(variable.dtype.name)
        self.nbytes = None if self.elements is None or width is None else self.elements * width


def _width(dtype: str) -> int | None:
    """Bytes of an element, from the name of its type: no need for NumPy."""
    if dtype == "bool":
        return 1
    bits = BITS.match(dtype)
    return max(int(bits[1]) // 8, 1) if bits else None


def rows(variables: Variables) -> list[Row]:
    checkpoint = variables.checkpoint
    infos = {} if checkpoint is None else {info.name: info for info in checkpoint.infos()}
    alone = checkpoint is None
    return [
        Row(one, None if one.key is None else infos.get(one.key), alone=alone) for one in variables
    ]


def is_misfit(finding: Finding) -> bool:
    """Whether it is more than a note."""
    return finding.kind != NOTE


class Total:
    """Sums of what is known."""

    __slots__ = ("elements", "nbytes", "stored", "variables")

    def __init__(self, rows: Sequence[Row]) -> None:
        self.variables = len(rows)
        self.stored = sum(1 for row in rows if row.stored)
        self.elements = sum(row.elements or 0 for row in rows)
        self.nbytes = sum(row.nbytes or 0 for row in rows)

    def record(self) -> dict[str, int]:
        return {
            "variables": self.variables,
            "stored": self.stored,
            "elements": self.elements,
            "bytes": self.nbytes,
        }


def by_kind(rows: Sequence[Row]) -> dict[str, Total]:
    kinds = (*_graph_facts.KINDS, *{row.variable.kind for row in rows} - {*_graph_facts.KINDS})
    found = {kind: [row for row in rows if row.variable.kind == kind] for kind in kinds}
    return {kind: Total(these) for kind, these in found.items() if these}


def kinds_record(rows: Sequence[Row]) -> dict[str, object]:
    return {kind: total.record() for kind, total in by_kind(rows).items()}


def record(row: Row) -> dict[str, object]:
    """Everything a variable has."""
    one = row.variable
    return {
        **_own(one),
        "elements": row.elements,
        "nbytes": row.nbytes,
        "slot_of": None if one.slot_of is None else one.slot_of.name,
        "slot_name": one.slot_name,
        "slots": {name: slot.name for name, slot in one.slots.items()},
        "averages": {name: average.name for name, average in one.averages.items()},
        "parts": [_own(part) for part in one.parts],
    }


def _own(one: Variable) -> dict[str, object]:
    place = one.part_of_whole
    return {
        "name": one.name,
        "dtype": None if one.dtype is None else one.dtype.name,
        "shape": one.shape,
        "kind": one.kind,
        "trainable": one.trainable,
        "is_resource": one.is_resource,
        "collections": one.collections,
        "key": one.key,
        "key_source": one.key_source,
        "in_checkpoint": one.in_checkpoint,
        "op": _name(lambda: one.op),
        "initializer": _name(lambda: one.initializer),
        "snapshot": _name(lambda: one.snapshot),
        "initial_value": _name(lambda: one.initial_value),
        "part_of_whole": None if place is None else [[x.start, x.stop] for x in place],
    }


def _name(find: Callable[[], object]) -> str | None:
    """The name of an element of the graph; None if the graph names one that it has not."""
    try:
        found = find()
    except (CheckpointError, ValueError):
        return None
    name: str | None = getattr(found, "name", None)
    return name


def table(rows: Sequence[Row], size: Callable[[int], str], *, alone: bool) -> list[str]:
    if not rows:
        return []
    found = [row.variable for row in rows]
    columns = [
        _text.Column("name", [_text.safe(row.name) for row in rows], elastic=True),
        _text.Column("dtype", ["?" if one.dtype is None else one.dtype.name for one in found]),
        _text.Column("shape", [_text.partial_shape(one.shape) for one in found], elastic=True),
        _text.Column("kind", [one.kind for one in found]),
        _text.Column("trainable", [_yes(one.trainable) for one in found]),
        _text.Column("slots", [str(len(one.slots) or "") for one in found], right=True),
        _text.Column("key", [_key(row, alone=alone) for row in rows], elastic=True),
        _text.Column("bytes", [_size(row, size, alone=alone) for row in rows], right=True),
    ]
    shown = [column for column in columns if column.title == "name" or any(column.cells)]
    header, *lines = _text.layout(shown, _text.terminal_width())
    return [_text.bold(header), *lines]


def _yes(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _key(row: Row, *, alone: bool) -> str:
    """The key where it is not the name, and why there is no tensor."""
    key = row.variable.key
    if key is None:
        return "(not saved)"
    missing = [] if row.stored or alone else ["(missing)"]
    return " ".join([*([] if key == row.name else [_text.safe(key)]), *missing])


def _size(row: Row, size: Callable[[int], str], *, alone: bool) -> str:
    if not (row.stored or alone):
        return ""
    return "?" if row.nbytes is None else size(row.nbytes)


def kind_table(rows: Sequence[Row], size: Callable[[int], str], *, alone: bool) -> list[str]:
    """What the variables of each kind take; how many are in the checkpoint, if not all are."""
    totals = by_kind(rows)
    all_stored = alone or all(row.stored for row in rows)
    if len(totals) < 2 and all_stored:
        return []
    stored = ("stored", [f"{total.stored:,}" for total in totals.values()])
    return _text.table(
        "kind",
        list(totals),
        ("variables", [f"{total.variables:,}" for total in totals.values()]),
        *([] if all_stored else [stored]),
        ("elements", [f"{total.elements:,}" for total in totals.values()]),
        ("bytes", [size(total.nbytes) for total in totals.values()]),
    )


def finding_lists(findings: Sequence[Finding]) -> list[list[str]]:
    """A list of what does not fit and one of notes, the first few of each."""
    misfits = [finding.text for finding in findings if is_misfit(finding)]
    notes = [finding.text for finding in findings if not is_misfit(finding)]
    return [_list("does not fit", misfits), _list("notes", notes)]


def _list(title: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    more = len(texts) - _text.SHOWN
    rest = [f"… and {more:,} more"] if more > 0 else []
    shown = map(_text.sentence, texts[: _text.SHOWN])
    return [_text.bold(f"{title} ({len(texts):,})"), *shown, *rest]
