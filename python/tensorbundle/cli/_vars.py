"""``tensorbundle vars``: the variables of a checkpoint and its graph, joined."""

from __future__ import annotations

import argparse
import sys

from tensorbundle.cli import _patterns, _storage, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorbundle import Variables
    from tensorbundle.cli._source import Source
    from tensorbundle.cli._variable_rows import Row

FINDING = 1

DESCRIPTION = f"""\
List the variables of a model: name, dtype, shape, what they are for (weights,
optimizer slots, moving averages, steps), whether they are trained, and the bytes
they take in it; then their totals, and what does not fit between graph and checkpoint
(then the exit code is 1). No tensor data is read.

Works with a graph alone, and with a checkpoint alone: then names tell.

{_text.PATTERN_HELP}
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "vars",
        help="list the variables: weights and optimizer slots, trainable or not, totals",
        description=DESCRIPTION,
        epilog=_text.examples(
            "vars run/model.ckpt-1000",
            "vars run --weights-only --sort size",
            "vars run --trainable --json | jq .total",
            "vars saved_model --match '*kernel*'",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("path", metavar="PATH", help=f"{_text.PATH_HELP}; or a graph")
    add("-m", "--match", metavar="PATTERN", action="append", help="only these names")
    add("--trainable", action="store_true", help="only those that the graph says are trained")
    add("-w", "--weights-only", action="store_true", help="no slots, averages, steps")
    sort = "name: by name; size: largest first; else as the graph has them"
    add("-s", "--sort", choices=("name", "size"), help=sort)
    add("-b", "--bytes", action="store_true", help="sizes to the byte instead of KiB, MiB, …")
    add("--tags", metavar="TAG,TAG", help="which graph of a SavedModel")
    add("--json", action="store_true", help="one JSON document, with all that is known")
    _storage.add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import tensorbundle
    from tensorbundle.cli import _source, _variable_rows

    matches = _patterns.matcher(args.match) if args.match else None
    source = _source.find(*_storage.located(args, args.path))
    meta = source.graph(_source.tags(args.tags))
    variables = tensorbundle.Variables(source.checkpoint, meta)
    every = _variable_rows.rows(variables)
    rows = [
        row
        for row in every
        if (matches is None or matches(row.name))
        and (not args.trainable or row.variable.trainable)
        and (not args.weights_only or row.variable.kind == "weight")
    ]
    if args.sort == "name":
        rows.sort(key=lambda row: row.name)
    elif args.sort == "size":
        rows.sort(key=lambda row: -(row.nbytes or 0))
    if args.json:
        _write_json(source, variables, rows)
    if every and not rows:
        print(f"tensorbundle: {_nothing(args, variables)}", file=sys.stderr)
        return FINDING
    if not args.json:
        _write_text(args, source, variables, rows)
    return FINDING if any(map(_variable_rows.is_misfit, variables.findings)) else 0


def _nothing(args: argparse.Namespace, variables: Variables) -> str:
    of = _text.count(len(variables), "variable")
    if args.trainable and variables.meta_graph is None:
        return f"none of {of} is known to be trained: there is no graph that says so"
    if args.match and not (args.trainable or args.weights_only):
        return _patterns.no_match(args.match, of)
    return f"none of {of} fits all of these options"


def _write_json(source: Source, variables: Variables, rows: Sequence[Row]) -> None:
    from tensorbundle.cli import _json, _variable_rows

    checkpoint = source.checkpoint
    _json.write(
        {
            "path": None if checkpoint is None else checkpoint.path,
            "prefix": None if checkpoint is None else checkpoint.prefix,
            "graph": source.graph_path,
            "missing": source.missing,
            "total": _variable_rows.Total(rows).record(),
            "kinds": _variable_rows.kinds_record(rows),
            "variables": (_variable_rows.record(row) for row in rows),
            "findings": (
                {
                    "kind": finding.kind,
                    "variable": finding.variable,
                    "key": finding.key,
                    "text": finding.text,
                    "misfit": _variable_rows.is_misfit(finding),
                }
                for finding in variables.findings
            ),
        }
    )


def _write_text(
    args: argparse.Namespace, source: Source, variables: Variables, rows: Sequence[Row]
) -> None:
    from tensorbundle.cli import _variable_rows

    size = str if args.bytes else _text.human
    alone = source.checkpoint is None
    total = _variable_rows.Total(rows)
    number = _text.count(total.variables, "variable")
    if len(rows) != len(variables):
        number = f"{len(rows):,} of {_text.count(len(variables), 'variable')}"
    elements = _text.count(total.elements, "element")
    unknown = sum(1 for row in rows if row.nbytes is None)
    if not alone and total.stored < total.variables:
        number += f" ({total.stored:,} in the checkpoint)"
    rest = f" and {_text.count(unknown, 'variable')} of unknown size" if unknown else ""
    sections = [
        _variable_rows.table(rows, size, alone=alone),
        _variable_rows.kind_table(rows, size, alone=alone),
        [
            _text.bold(f"{number}, {elements}, {_text.both(total.nbytes)}{rest}"),
            *_remarks(source),
        ],
        *_variable_rows.finding_lists(variables.findings),
    ]
    sys.stdout.write(_text.join_sections(sections))


def _remarks(source: Source) -> list[str]:
    if source.checkpoint is None:
        return [f"No values, the sizes are the graph's: {source.missing}"]
    if source.graph_path is None:
        return ["No graph beside the checkpoint: its tensors and objects tell."]
    return []
