"""``tensorbundle diff``: what changed from one checkpoint to another."""

from __future__ import annotations

import argparse
import sys

from tensorbundle.cli import _patterns, _progress, _storage, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tensorbundle import DiffReport, TensorDiff

DIFFERENCE = 1
LEFT = ("dtype", "shape")  # columns of words
MOST = 20  # rows of a kind, unless all are asked for

DESCRIPTION = """\
Compare two checkpoints, A and B: which tensors were added, removed, retyped, reshaped or
changed, and by how much. Values are read, with all cores; how they are stored (slices, V1 or
V2, byte order) does not matter.

With --fast only the indexes are read, some kilobytes: "equal" then means that the 32-bit
checksums are, and what has none to compare is unknown.

Elements are equal if their bits are, or if both are NaN. With --rtol or --atol, tensors of
which every element is within |a - b| <= atol + rtol * |b| are close, which is no difference.

PATTERN is a regular expression over names of A, REPL what each match becomes (\\1 is a group):
all before the last = is the pattern.

Exit code: 0 all equal or close, 1 differences, or some that cannot be told, 2 an error.
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "diff",
        help="what changed from one checkpoint to another",
        description=DESCRIPTION,
        epilog=_text.examples(
            "diff run/model.ckpt-1000 run/model.ckpt-2000",
            "diff --fast run/model.ckpt-1000 copy/model.ckpt-1000",
            "diff --rtol 1e-5 --rename '^old/(.*)=new/\\1' a/ckpt b/ckpt",
            "diff --json a/ckpt b/ckpt | jq '.tensors[] | select(.max_abs > 0.1) | .name'",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("a", metavar="A", help=_text.PATH_HELP)
    add("b", metavar="B", help="the same")
    add("--fast", action="store_true", help="compare checksums of the index alone; read no values")
    add(
        "--rename",
        metavar="PATTERN=REPL",
        action="append",
        default=[],
        type=_pair,
        help="what names of A are in B; several are applied in order",
    )
    add("--rtol", metavar="X", type=_tolerance, default=0.0, help="relative tolerance")
    add("--atol", metavar="X", type=_tolerance, default=0.0, help="absolute tolerance")
    add(
        "-n",
        "--names",
        metavar="PATTERN",
        action="append",
        help='only these tensors, by names of B: a glob, or "re:" and a regular expression',
    )
    add("--all", action="store_true", help="all rows, and the equal ones too")
    add("--no-mmap", action="store_true", help="read the files instead of mapping them")
    add("--follow", action="store_true", help="go where a state file says, also outside of it")
    add("-q", "--quiet", action="store_true", help="no progress, and nothing if nothing differs")
    add("--json", action="store_true", help="one JSON document, with all that differs")
    _storage.add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        report = _compare(args)
    except KeyboardInterrupt:
        print("tensorbundle: stopped", file=sys.stderr)
        raise
    if args.json:
        _write_json(args, report)
    elif report or not args.quiet:
        sys.stdout.write(_text.join_sections(_sections(args, report)))
    return DIFFERENCE if report else 0


def _compare(args: argparse.Namespace) -> DiffReport:
    import tensorbundle

    names = None if args.names is None else _patterns.matcher(args.names, "--names")
    try:
        with _progress.Progress("diff", quiet=args.quiet) as progress:
            report = tensorbundle.diff(
                args.a,
                args.b,
                fast=args.fast,
                rename=args.rename,
                names=names,
                rtol=args.rtol,
                atol=args.atol,
                mmap=not args.no_mmap,
                follow=args.follow,
                progress=progress,
                storage_options=_storage.options_of(args),
            )
    except tensorbundle.CheckpointError:
        raise
    except ValueError as error:  # of --rename
        raise _text.CommandError(str(error)) from None
    if args.names is not None and not len(report):
        raise _text.CommandError(_patterns.no_match(args.names, "the tensors of both"))
    return report


def _sections(args: argparse.Namespace, report: DiffReport) -> Iterator[Sequence[str]]:
    yield _figures("changed", report.changed, args)
    yield _figures("close", report.close, args)
    yield _table("reshaped", report.reshaped, args, ("dtype", _dtype), ("shape", _shapes))
    yield _table("retyped", report.retyped, args, ("dtype", _dtypes), ("shape", _shapes))
    for kind, rows in (("added", report.added), ("removed", report.removed)):
        yield _table(kind, rows, args, ("dtype", _dtype), ("shape", _shape))
    yield _table("unknown", report.unknown, args, ("why", _reason))
    if args.all:
        yield _table("equal", report.equal, args, ("dtype", _dtype), ("shape", _shape))
    yield _summary(report)


def _table(
    kind: str,
    rows: Sequence[TensorDiff],
    args: argparse.Namespace,
    *columns: tuple[str, Callable[[TensorDiff], str]],
    right: bool = False,
) -> list[str]:
    """The rows of a kind, the first ones if there are many; nothing for none."""
    if not len(rows):
        return []
    shown = list(rows if args.all else rows[:MOST])
    made = [
        _text.Column(title, [cell(row) for row in shown], right=right and title not in LEFT)
        for title, cell in columns
    ]
    names = _text.Column(kind, [_name(row) for row in shown], elastic=True)
    header, *lines = _text.layout([names, *made], _text.terminal_width())
    more = [f"… and {len(rows) - len(shown):,} more (--all)"] if len(rows) > len(shown) else []
    return [_text.bold(header), *lines, *more]


def _figures(kind: str, rows: Sequence[TensorDiff], args: argparse.Namespace) -> list[str]:
    columns: list[tuple[str, Callable[[TensorDiff], str]]]
    columns = [("dtype", _dtype), ("shape", _shape)]
    if not args.fast:
        columns += [
            ("changed", _changed),
            ("max |a-b|", _figure("max_abs")),
            ("mean |a-b|", _figure("mean_abs")),
            ("max rel", _figure("max_rel")),
            ("cosine", _cosine),
        ]
        if args.rtol or args.atol:
            columns.insert(3, ("beyond", _count("beyond")))
        if any(row.strange for row in (rows if args.all else rows[:MOST])):
            columns.append(("NaN, inf", _count("strange")))
    return _table(kind, rows, args, *columns, right=True)


def _name(row: TensorDiff) -> str:
    name = _text.safe(row.name)
    renamed = row.name_a is not None and row.name_b is not None and row.name_a != row.name_b
    return f"{_text.safe(row.name_a or '')} -> {name}" if renamed else name


def _dtype(row: TensorDiff) -> str:
    return row.dtype_b or row.dtype_a or ""


def _shape(row: TensorDiff) -> str:
    dims = row.shape_b if row.shape_b is not None else row.shape_a
    return _text.shape(dims or ())


def _dtypes(row: TensorDiff) -> str:
    return f"{row.dtype_a} -> {row.dtype_b}"


def _shapes(row: TensorDiff) -> str:
    if row.shape_a == row.shape_b:
        return _shape(row)
    return f"{_text.shape(row.shape_a or ())} -> {_text.shape(row.shape_b or ())}"


def _changed(row: TensorDiff) -> str:
    return f"{row.changed or 0:,} of {row.elements or 0:,}"


def _reason(row: TensorDiff) -> str:
    return row.reason or ""


def _count(key: str) -> Callable[[TensorDiff], str]:
    def cell(row: TensorDiff) -> str:
        return f"{getattr(row, key):,}"

    return cell


def _figure(key: str) -> Callable[[TensorDiff], str]:
    def cell(row: TensorDiff) -> str:
        value: float | None = getattr(row, key)
        return "-" if value is None else f"{value:.4g}"

    return cell


def _cosine(row: TensorDiff) -> str:
    """Enough digits to tell what is near 1 from 1."""
    return "-" if row.cosine is None else f"{row.cosine:.9f}"


def _summary(report: DiffReport) -> list[str]:
    counts = [f"{number:,} {kind}" for kind, number in report.counts.items() if number]
    found = ", ".join(counts) or "no tensors"
    names = f"{_text.safe(report.a)} -> {_text.safe(report.b)}"
    if report.fast:
        line = f"{names}: {found}; in {report.seconds:.2f} s"
        note = (
            'By checksums alone, no values were read: "equal" rests on 32 bits, which differ '
            "for all but one in 4,294,967,296 of other tensors."
        )
        return [_text.bold(line), note]
    line = f"{names}: {found}; {_text.human(report.bytes)} compared in {report.seconds:.2f} s"
    if report.bytes and report.seconds > 0:
        line += f" ({_text.human(int(report.bytes / report.seconds))}/s)"
    return [_text.bold(line)]


def _write_json(args: argparse.Namespace, report: DiffReport) -> None:
    from tensorbundle.cli import _json

    rows = (_finite(row) for row in report if args.all or row.kind != "equal")
    _json.write(
        {
            "a": report.a,
            "b": report.b,
            "fast": report.fast,
            "rtol": report.rtol,
            "atol": report.atol,
            "seconds": report.seconds,
            "bytes": report.bytes,
            "different": bool(report),
            "counts": report.counts,
            "tensors": rows,
        }
    )


def _finite(row: TensorDiff) -> dict[str, object]:
    """JSON has no infinity: what is more than a float64 holds is null."""
    fields = row.to_dict()
    for key, value in fields.items():
        if isinstance(value, float) and not -float("inf") < value < float("inf"):
            fields[key] = None
    return fields


def _pair(text: str) -> tuple[str, str]:
    """The type of --rename."""
    pattern, equals, replacement = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not PATTERN=REPL")
    return pattern, replacement


def _tolerance(text: str) -> float:
    """The type of --rtol and --atol."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number that is finite and not negative"
        )
    return value
