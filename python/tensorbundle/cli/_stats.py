"""``tensorbundle stats``: what the values of tensors are like, what looks wrong first."""

from __future__ import annotations

import argparse
import os
import sys

from tensorbundle.cli import _patterns, _progress, _storage, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tensorbundle import StatsReport, TensorStats

FINDING = 1
BINS = 12  # of the small histograms in the text
BARS = " ▁▂▃▄▅▆▇█"

DESCRIPTION = """\
Say what the values of tensors are like: counts of NaN, infinities, zeros and subnormals; the
least, the greatest, the mean, the spread (std) and the norm (L2) of what is finite; a small
histogram. All values are read, with all cores. What looks wrong comes first.

Exit code: 0 fine, 1 there are NaNs or infinities, 2 something could not be read.
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "stats",
        help="what values are like: NaN, Inf, extremes, mean, spread, histograms",
        description=DESCRIPTION,
        epilog=_text.examples(
            "stats run/model.ckpt-1000",
            "stats -n 'encoder/*' --sort norm run/model.ckpt-1000",
            "stats --json --bins 64 run/model.ckpt-1000",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("path", metavar="PATH", help=_text.PATH_HELP)
    add(
        "-n",
        "--names",
        metavar="PATTERN",
        action="append",
        help='only these tensors: a glob, or "re:" and a regular expression',
    )
    add(
        "--sort",
        choices=("worst", "name", "max", "std", "norm", "elements"),
        default="worst",
        help="the order of the rows (worst: what looks wrong first)",
    )
    add("--bins", metavar="N", type=int, default=None, help="bins of the histograms; 0 is none")
    add("--salvage", action="store_true", help="of a damaged checkpoint, what can be read")
    add("--no-mmap", action="store_true", help="read the files instead of mapping them")
    add("--follow", action="store_true", help="go where a state file says, also outside of it")
    add("-q", "--quiet", action="store_true", help="no progress")
    add("--json", action="store_true", help="one JSON document, with all that is known")
    _storage.add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        report = _look(args)
    except KeyboardInterrupt:
        print("tensorbundle: stopped", file=sys.stderr)
        raise
    rows = _sorted(report, args.sort)
    if args.json:
        from tensorbundle.cli import _json

        _json.write(
            {
                "prefix": report.prefix,
                "seconds": report.seconds,
                "skipped": list(report.skipped),
                "tensors": (_plain(row.to_dict()) for row in rows),
            }
        )
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(report, rows)))
    return FINDING if report.bad else 0


def _look(args: argparse.Namespace) -> StatsReport:
    import tensorbundle

    names = None if args.names is None else _patterns.matcher(args.names, "--names")
    bins = args.bins if args.bins is not None else 0 if args.json else BINS
    title = f"stats {_text.safe(os.path.basename(_storage.shown(args.path)))}"  # noqa: PTH119
    on_error = "skip" if args.salvage else "raise"
    with (
        _progress.Progress(title, quiet=args.quiet) as progress,
        tensorbundle.open(
            args.path,
            mmap=not args.no_mmap,
            follow=args.follow,
            on_error=on_error,
            storage_options=_storage.options_of(args),
        ) as ckpt,
    ):
        try:
            return ckpt.stats(names, histogram=bins, progress=progress)
        except ValueError as error:
            raise _text.CommandError(str(error)) from None


def _sorted(report: StatsReport, order: str) -> list[TensorStats]:
    if order == "worst":
        return report.worst()
    rows = list(report.values())
    if order == "name":
        return rows

    def size(row: TensorStats) -> float:
        if order == "max":
            return max(abs(row.max or 0), abs(row.min or 0))
        value = {"std": row.std, "norm": row.norm, "elements": row.elements}[order]
        return value or 0

    return sorted(rows, key=size, reverse=True)


def _plain(row: dict[str, object]) -> dict[str, object]:
    """JSON has no word for what is beyond a float64."""
    for key, value in row.items():
        if isinstance(value, float) and not abs(value) < float("inf"):
            row[key] = None
    return row


def _lines(report: StatsReport, rows: list[TensorStats]) -> Iterator[str]:
    def column(title: str, of: str) -> _text.Column:
        return _text.Column(title, [_figure(getattr(row, of)) for row in rows], right=True)

    def counts(title: str, of: str) -> list[_text.Column]:
        cells = [f"{getattr(row, of):,}" if getattr(row, of) else "" for row in rows]
        return [_text.Column(title, cells, right=True)] if any(cells) else []

    if rows:
        columns = [
            _text.Column("name", [_text.safe(row.name) for row in rows], elastic=True),
            _text.Column("dtype", [row.dtype for row in rows]),
            _text.Column("elements", [f"{row.elements:,}" for row in rows], right=True),
            *counts("nan", "nan"),
            *counts("inf", "inf"),
            *counts("zeros", "zeros"),
            *counts("subnormal", "subnormals"),
            column("min", "min"),
            column("max", "max"),
            column("mean", "mean"),
            column("std", "std"),
            column("norm", "norm"),
        ]
        if any(row.counts for row in rows):
            columns.append(_text.Column("histogram", [_bars(row.counts) for row in rows]))
        looks = [", ".join(row.suspicions) for row in rows]
        if any(looks):
            columns.append(_text.Column("looks", looks))
        header, *lines = _text.layout(columns, _text.terminal_width())
        yield _text.bold(header)
        yield from lines
    bad = len(report.bad)
    summary = f"{_text.count(len(rows), 'tensor')}; "
    summary += f"{bad:,} with NaN or Inf" if bad else "no NaN, no Inf"
    if report.skipped:
        summary += f"; {len(report.skipped):,} without numbers"
    yield _text.bold(f"{_text.safe(report.prefix)}: {summary}")


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _bars(counts: list[int] | None) -> str:
    """A column for each bin: nothing, or at least the lowest of eight heights."""
    if not counts:
        return ""
    most = max(counts)
    return "".join(BARS[-(-8 * count // most) if most else 0] for count in counts)
