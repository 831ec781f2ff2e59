"""Text for people: safe names, human sizes, aligned columns, bold on a terminal."""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TextIO

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]

UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
GAP = "  "
ELLIPSIS = "…"
NARROWEST = 8  # of an elastic column
WIDEST = 200  # of a column; a longer cell moves the rest of its own line, not all lines
SHOWN = 8  # rows of a table that is one of several
WORDY = frozenset(("shape", "inputs", "outputs", "arguments", "returns", "tensor", "first"))
NUMBERS = frozenset(
    (
        *("tensors", "elements", "bytes", "nodes", "in functions", "items", "variables", "stored"),
        "captures",
    )
)
PATH_HELP = "a prefix, any of its files, or a directory with a checkpoint in it; or its URL"
GRAPH_HELP = (
    "a graph (.meta, .pb, .pbtxt, .cpb), a SavedModel's directory, "
    "or a checkpoint with a graph beside it"
)
PATTERN_HELP = """\
A PATTERN is a glob over the whole name, in which * also crosses "/"; after "re:"
it is a regular expression found anywhere in the name."""


class CommandError(Exception):
    """The user asked for something that cannot be done; the text says what and why."""


def message(error: BaseException) -> str:
    """One error as a sentence, without Python's decoration."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if error.filename is not None and os.fsdecode(error.filename) not in text:
            text = f"{os.fsdecode(error.filename)}: {text}"
    return sentence(text)


def sentence(text: str) -> str:
    """Text of the library's own, in which names are quoted already, in one line."""
    return "".join(map(_escape, text))


# Words and numbers.


def safe(name: str) -> str:
    """A name as it may stand in a line of text: nothing unprintable, and no two names alike.

    Control characters and the like become escapes, bytes that are not UTF-8 ``\\xNN``,
    and a backslash two.
    """
    if name.isprintable() and "\\" not in name:
        return name
    return "".join(map(_escape, name.replace("\\", "\\\\")))


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return repr(char)[1:-1]


def human(size: int) -> str:
    """Bytes with three or four digits and a unit."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in UNITS:
        value /= 1024
        if value < 1023.95:
            return f"{value:.1f} {unit}"
    return f"{value:,.1f} {UNITS[-1]}"


def both(size: int) -> str:
    """Bytes for people and to the byte."""
    return human(size) if size < 1024 else f"{human(size)} ({size:,} bytes)"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shape(dims: Iterable[int]) -> str:
    """Without blanks, so that a shape stays one field of a line."""
    return str(list(dims)).replace(" ", "")


def partial_shape(dims: Iterable[int | None] | None) -> str:
    """The same where sizes, or their number, may be unknown."""
    if dims is None:
        return "?"
    return "[" + ",".join("?" if dim is None else str(dim) for dim in dims) + "]"


def some(words: Sequence[str], shown: int = SHOWN) -> str:
    """The first words, and how many more there are."""
    more = [f"… and {len(words) - shown:,} more"] if len(words) > shown else []
    return ", ".join([*map(safe, words[:shown]), *more])


# The terminal.


def terminal_width() -> int | None:
    """Columns of the terminal that reads standard output, None if none does."""
    return columns(sys.stdout) if sys.stdout.isatty() else None


def columns(stream: TextIO) -> int:
    """Columns of the terminal that reads a stream."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdigit() and int(wanted):
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if _has_colour() else text


def _has_colour() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def help_formatter(prog: str) -> argparse.HelpFormatter:
    """Given a width, argparse need not import shutil to find one."""
    width = max((terminal_width() or 80) - 2, 20)
    return argparse.RawDescriptionHelpFormatter(prog, width=width)


def examples(*commands: str) -> str:
    return "\n".join(["examples:", *(f"  tensorbundle {command}" for command in commands)])


# Columns.


class Column:
    """A title and its cells; an elastic one gives way where a terminal is narrow."""

    __slots__ = ("cells", "elastic", "right", "title")

    def __init__(
        self, title: str, cells: list[str], *, right: bool = False, elastic: bool = False
    ) -> None:
        self.title = title
        self.cells = cells
        self.right = right
        self.elastic = elastic


def layout(columns: Sequence[Column], width: int | None = None) -> list[str]:
    """Lines of aligned columns, the titles first, none wider than a given width."""
    texts = [[column.title, *column.cells] for column in columns]
    widths = [min(max(map(_measure(cells), cells)), WIDEST) for cells in texts]
    if width is not None:
        excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
        for i, column in enumerate(columns):
            if column.elastic and excess > 0:
                room = max(widths[i] - excess, min(widths[i], NARROWEST))
                excess -= widths[i] - room
                widths[i] = room
                texts[i] = [elide(cell, room) for cell in texts[i]]
    padded = [
        _pad(cells, room, right=column.right)
        for cells, room, column in zip(texts, widths, columns, strict=True)
    ]
    lines = [line.rstrip() for line in map(GAP.join, zip(*padded, strict=True))]
    if width is not None:
        lines = [elide(line, width) for line in lines]
    return lines


def table(
    title: str, names: Sequence[str], *columns: tuple[str, list[str]], shown: int = SHOWN
) -> list[str]:
    """The first rows under a bold line of titles, numbers to the right; nothing for no rows."""
    if not names:
        return []
    header, *lines = layout(
        [
            Column(title, [safe(name) for name in names[:shown]], elastic=True),
            *(
                Column(heading, cells[:shown], right=heading in NUMBERS, elastic=heading in WORDY)
                for heading, cells in columns
            ),
        ],
        terminal_width(),
    )
    more = [f"… and {len(names) - shown:,} more"] if len(names) > shown else []
    return [bold(header), *lines, *more]


def facts(rows: Mapping[str, str]) -> list[str]:
    """Bold words, and beside each what there is to say; nothing where that is nothing."""
    said = {title: fact for title, fact in rows.items() if fact}
    width = max(map(len, said), default=0) + len(GAP)
    return [f"{bold(title.ljust(width))}{fact}" for title, fact in said.items()]


def join_sections(sections: Iterable[Sequence[str]]) -> str:
    """Sections with a blank line between, those without lines left out."""
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def elide(text: str, width: int) -> str:
    """Cut from the middle what is too much: names differ at their ends."""
    if text_width(text) <= width:
        return text
    mark = _ellipsis()
    if width <= 1:
        return mark[:width]
    tail_width = width // 2
    tail = _head(text[::-1], tail_width)[::-1]
    return _head(text, width - 1 - tail_width) + mark + tail


def text_width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if char < "\u0300" or char == ELLIPSIS:  # the usual case, and no import
        return 1
    from unicodedata import combining, east_asian_width

    if combining(char):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def _head(text: str, width: int) -> str:
    """As much of the beginning as fits."""
    if text.isascii():
        return text[:width]
    used = 0
    for i, char in enumerate(text):
        used += _char_width(char)
        if used > width:
            return text[:i]
    return text


def _measure(cells: Iterable[str]) -> Callable[[str], int]:
    return len if all(map(str.isascii, cells)) else text_width


def _pad(cells: list[str], width: int, *, right: bool) -> list[str]:
    measure = _measure(cells)
    if measure is len:
        return [cell.rjust(width) if right else cell.ljust(width) for cell in cells]
    gaps = [" " * (width - measure(cell)) for cell in cells]
    pairs = zip(gaps, cells, strict=True) if right else zip(cells, gaps, strict=True)
    return list(map("".join, pairs))


def _ellipsis() -> str:
    try:
        ELLIPSIS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "~"
    return ELLIPSIS
