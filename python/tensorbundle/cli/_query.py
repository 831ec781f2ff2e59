"""``tensorbundle query``: SQL, or a question that has a name, to a catalog."""

from __future__ import annotations

import argparse

from tensorbundle.cli import _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tensorbundle.catalog import Answer

DESCRIPTION = """\
Ask a catalog that "tensorbundle index" made: SQL over the tables checkpoints, tensors,
findings and stats, or a question that has a name:

  duplicates   checkpoints with the same names, types, shapes and checksums
  largest      the largest tensors
  broken       what is not as it should be, and why
  nans         tensors with NaNs or infinities (of an index made with --stats)
  lineage      runs, by step, and how much of each checkpoint is as in the one before

The catalog is opened for reading only.
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "query",
        help="ask a catalog: SQL, or a question that has a name",
        description=DESCRIPTION,
        epilog=_text.examples(
            "query models.duckdb duplicates",
            'query models.duckdb "SELECT name, path FROM tensors WHERE shape[2] > 1024"',
            "query models.duckdb --json broken",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("catalog", metavar="CATALOG", help="a .duckdb file, or the name that index got")
    add("question", metavar="SQL", help="SQL, or duplicates, largest, broken, nans, lineage")
    add("--json", action="store_true", help="a JSON document with an object for each row")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tensorbundle import catalog

    answer = catalog.query(args.catalog, args.question)
    if args.json:
        from tensorbundle.cli import _json

        rows = answer.to_dicts()
        _json.write({"rows": ({key: _plain(value) for key, value in row.items()} for row in rows)})
    else:
        print("\n".join(_lines(answer)))
    return 0


def _lines(answer: Answer) -> list[str]:
    columns = [
        _text.Column(
            name,
            [_cell(row[i]) for row in answer.rows],
            right=all(isinstance(row[i], int | float) for row in answer.rows),
            elastic=any(isinstance(row[i], str | list) for row in answer.rows),
        )
        for i, name in enumerate(answer.columns)
    ]
    header, *lines = _text.layout(columns, _text.terminal_width())
    return [_text.bold(header), *lines]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_cell, value)) + "]"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return _text.safe(str(value))


def _plain(value: object) -> object:
    """What JSON has no word for, as text; NaN and infinities as null."""
    from typing import cast

    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[object]", value)]
    if isinstance(value, dict):
        items = cast("dict[object, object]", value).items()
        return {str(key): _plain(each) for key, each in items}
    return value if value is None or isinstance(value, bool | int | str) else str(value)
