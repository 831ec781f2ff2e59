"""Tensors by scope, the part of a name before a "/".

A scope that holds nothing but one other scope, or one tensor, is one row with it. So a tree has
fewer scopes than tensors, whatever their names are.
"""

from __future__ import annotations

from tensorbundle.cli import _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorbundle import TensorInfo


class Scope:
    """A scope and what is below it. `parts` are the names of the scopes it lies in, and its own."""

    __slots__ = ("children", "elements", "nbytes", "parts", "tensors")

    def __init__(self, parts: Sequence[str]) -> None:
        self.parts = parts
        self.children: list[Scope | TensorInfo] = []
        self.tensors = 0
        self.elements = 0
        self.nbytes = 0

    def add(self, child: Scope | TensorInfo) -> None:
        self.children.append(child)
        if isinstance(child, Scope):
            self.tensors += child.tensors
            self.elements += child.elements
        else:
            self.tensors += 1
            self.elements += child.size
        self.nbytes += child.nbytes

    @property
    def name(self) -> str:
        return "/".join(self.parts)

    def summary(self) -> dict[str, object]:
        return {
            "scope": self.name,
            "tensors": self.tensors,
            "elements": self.elements,
            "bytes": self.nbytes,
        }


class Row:
    """A scope or tensor at a level of the tree; `skip` parts of its name are its parent's."""

    __slots__ = ("item", "level", "skip")

    def __init__(self, level: int, skip: int, item: Scope | TensorInfo) -> None:
        self.level = level
        self.skip = skip
        self.item = item

    def label(self) -> str:
        label = "/".join(self.item.name.split("/")[self.skip :])
        if isinstance(self.item, Scope):
            label += "/"
        return _text.safe(label) or "''"


def rows(infos: Sequence[TensorInfo], *, depth: int | None, by_size: bool) -> list[Row]:
    """The tree as rows from top to bottom; `depth` bounds their level, `by_size` sorts siblings."""
    root = _build(infos)
    found: list[Row] = []
    waiting = [Row(0, 0, root)]
    while waiting:
        row = waiting.pop()
        level, item = row.level, row.item
        if item is not root:
            found.append(row)
            level += 1
        if isinstance(item, Scope) and (depth is None or level < depth):
            children = item.children
            if by_size:
                children = sorted(children, key=lambda child: -child.nbytes)
            waiting += [Row(level, len(item.parts), child) for child in reversed(children)]
    return found


def table(rows: Sequence[Row], size: Callable[[int], str]) -> list[str]:
    names: list[str] = []
    dtypes: list[str] = []
    shapes: list[str] = []
    tensors: list[str] = []
    sizes: list[str] = []
    for row in rows:
        item = row.item
        names.append("  " * row.level + row.label())
        if isinstance(item, Scope):
            dtypes.append("")
            shapes.append("")
            tensors.append(f"{item.tensors:,}")
        else:
            dtypes.append(item.type_name)
            shapes.append(_text.shape(item.shape))
            tensors.append("")
        sizes.append(size(item.nbytes))
    columns = [
        _text.Column("name", names, elastic=True),
        _text.Column("dtype", dtypes),
        _text.Column("shape", shapes, elastic=True),
        _text.Column("tensors", tensors, right=True),
        _text.Column("bytes", sizes, right=True),
    ]
    header, *lines = _text.layout(columns, _text.terminal_width())
    return [
        _text.bold(header),
        *(
            _text.bold(line) if isinstance(row.item, Scope) else line
            for row, line in zip(rows, lines, strict=True)
        ),
    ]


def _build(infos: Sequence[TensorInfo]) -> Scope:
    """The root scope of tensors in the order of their names.

    In that order the names of a scope stand together, so a scope closes once a name leaves it;
    scopes are made only where names part. A stack, since names may be nested without bound.
    """
    root = Scope(())
    open_scopes = [root]
    last: TensorInfo | None = None
    last_parts: list[str] = []
    for info in infos:
        parts = info.name.split("/")
        if last is not None:
            _close(open_scopes, last, _shared(last_parts, parts), last_parts)
        last, last_parts = info, parts
    if last is not None:
        _close(open_scopes, last, 0, last_parts)
    return root


def _close(stack: list[Scope], child: Scope | TensorInfo, depth: int, parts: list[str]) -> None:
    """Hand a finished child to its scope, and close every scope deeper than `depth`."""
    while len(stack[-1].parts) > depth:
        stack[-1].add(child)
        child = stack.pop()
    if len(stack[-1].parts) < depth:
        stack.append(Scope(parts[:depth]))
    stack[-1].add(child)


def _shared(left: list[str], right: list[str]) -> int:
    """How many scopes two names have in common; the last part of a name is no scope."""
    number = 0
    for one, other in zip(left[:-1], right[:-1], strict=False):
        if one != other:
            break
        number += 1
    return number
