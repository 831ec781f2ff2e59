"""``tensorbundle cat``: the values of one tensor."""

from __future__ import annotations

import argparse
import sys

import tensorbundle
from tensorbundle.cli import _storage, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SUMMARIZED = 1000  # NumPy's own default
LONGEST_STRING = 200

DESCRIPTION = """\
Show one tensor: name, dtype and shape, then its values as NumPy prints them;
a large tensor is summarized, and so is a long string.

In JSON, values are nested lists ([] for a tensor without elements). NaN and the
infinities are the strings "NaN", "Infinity" and "-Infinity", a complex number is
[re, im]. A string is its UTF-8 text; bytes that are not UTF-8 are lone
surrogates, "\\udcff" for the byte FF, as Python's surrogateescape makes them.
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "cat",
        help="show the values of one tensor",
        description=DESCRIPTION,
        epilog=_text.examples(
            "cat run/model.ckpt-1000 dense/bias",
            "cat run embeddings --rows 0:10",
            "cat run embeddings --rows=-10:",
            "cat run global_step --json | jq .values",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("path", metavar="PATH", help=_text.PATH_HELP)
    add("name", metavar="NAME", help="the name of a tensor, as ls shows it")
    rows_help = "only these entries of the first dimension, counted as Python's slices"
    add("-r", "--rows", metavar="START:STOP[:STEP]", type=_rows, help=rows_help)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--full", action="store_true", help="every value, however many")
    output.add_argument("--json", action="store_true", help="one JSON document with every value")
    _storage.add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with tensorbundle.open(args.path, storage_options=_storage.options_of(args)) as checkpoint:
        info = checkpoint.info(args.name)
        if args.rows is not None and not info.shape:
            raise _text.CommandError(f"{_text.safe(info.name)} is a scalar: it has no rows")
        values = checkpoint.read(args.name, rows=args.rows)
        if args.json:
            from tensorbundle.cli import _values

            _values.write_json(info, args.rows, values)
        else:
            title = (_text.safe(info.name), info.type_name, _text.shape(info.shape))
            sys.stdout.write(_text.bold(_text.GAP.join(title)) + "\n")
            sys.stdout.write(_show(values, full=args.full) + "\n")
    return 0


def _rows(text: str) -> slice:
    try:
        parts = [int(part) if part else None for part in text.split(":")]
    except ValueError:
        parts = []
    if not 2 <= len(parts) <= 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not START:STOP or START:STOP:STEP")
    if parts[2:] == [0]:
        raise argparse.ArgumentTypeError("a step of 0 leads nowhere")
    return slice(*parts)


def _show(values: Array, *, full: bool) -> str:
    import numpy as np

    string: Callable[[Any], str] = repr if full else _short
    return np.array2string(
        values,
        max_line_width=_text.terminal_width() or 80,
        threshold=sys.maxsize if full else SUMMARIZED,
        formatter={"object": string},
    )


def _short(value: bytes) -> str:
    if len(value) <= LONGEST_STRING:
        return repr(value)
    return f"{value[:LONGEST_STRING]!r}… ({len(value):,} bytes)"
