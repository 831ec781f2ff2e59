"""``tensorbundle index``: a catalog of every checkpoint below some directories."""

from __future__ import annotations

import argparse
import sys

from tensorbundle.cli import _progress, _storage, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorbundle.catalog import IndexReport

FINDING = 1

DESCRIPTION = """\
Index every checkpoint below some directories: a catalog with the tables checkpoints,
tensors and findings. What is broken, half copied or being written is a row with its
reason, never a stop. Only indexes and graphs' headers are read, with all cores.

The ending of the output says what is written: .duckdb, .parquet, .arrow or .jsonl (of the
last three, one file for each table). A second run into .duckdb or .parquet reads only what
is new or changed, and drops what is gone; a run that was stopped goes on where it was.

With --engine the workers of Ray or Spark do it, and the output is a directory of Parquet
files, by the same rules; roots and output must be there on all nodes under these names.

Exit code: 0 all are ok, 1 some are not, 2 an error.
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "index",
        help="a catalog of all checkpoints below some directories",
        description=DESCRIPTION,
        epilog=_text.examples(
            "index /models -o models.duckdb",
            "index --verify /models/run-7 -o run-7.parquet",
            "query models.duckdb duplicates",
            "index --stats /models -o models.duckdb",
            "query models.duckdb nans",
            "index /models -o models.parquet --engine ray --address auto",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("roots", metavar="ROOT", nargs="+", help="a directory, or a checkpoint")
    add("-o", "--output", metavar="FILE", required=True, help="the catalog: .duckdb, .parquet, …")
    add("--engine", choices=("ray", "spark"), help="let the workers of an engine do it")
    add("--address", help="of its cluster: as for ray.init, or the URL of Spark's master")
    add("--verify", action="store_true", help="check all data, too")
    add("--stats", action="store_true", help="what the values of tensors are like, too")
    add("--follow-links", action="store_true", help="go where links to directories lead")
    add("--no-mmap", action="store_true", help="read the files instead of mapping them")
    add("-q", "--quiet", action="store_true", help="no progress, and no summary")
    add("--json", action="store_true", help="the summary as a JSON document")
    _storage.add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    index = _index(args)
    try:
        with _progress.Progress("index", quiet=args.quiet, noun="checkpoints") as progress:
            report = index(
                args.roots,
                args.output,
                verify=args.verify,
                stats=args.stats,
                follow_links=args.follow_links,
                mmap=not args.no_mmap,
                progress=progress,
                storage_options=_storage.options_of(args),
            )
    except ValueError as error:
        raise _text.CommandError(str(error)) from None
    except KeyboardInterrupt:
        print("tensorbundle: stopped; the next run goes on from here", file=sys.stderr)
        raise
    if args.json:
        from tensorbundle.cli import _json

        _json.write({"index": report.to_dict()})
    elif not args.quiet:
        print("\n".join(_lines(report)))
    return FINDING if report.bad or report.unreadable else 0


def _index(args: argparse.Namespace) -> Callable[..., IndexReport]:
    """Of this machine, or of an engine."""
    if args.engine is None:
        if args.address is not None:
            raise _text.CommandError("--address is for --engine ray or --engine spark")
        from tensorbundle import catalog

        return catalog.index
    from functools import partial
    from importlib import import_module

    engine = import_module(f"tensorbundle.engines.{args.engine}")
    return partial(engine.index, address=args.address)


def _lines(report: IndexReport) -> list[str]:
    rate = report.changed / report.seconds if report.seconds > 0 else 0
    summary = (
        f"{_text.count(report.found, 'checkpoint')}, {_text.count(report.directories, 'folder')}: "
        f"{report.changed:,} scanned, {report.kept:,} as before, {report.dropped:,} gone; "
        f"{report.seconds:.2f} s ({rate:,.0f}/s)"
    )
    lines = [summary]
    if report.bad:
        lines.append(f"{report.bad:,} of them not ok: tensorbundle query CATALOG broken")
    if report.unreadable:
        lines.append(f"{report.unreadable:,} not to be walked: see the table findings")
    if report.links:
        lines.append(f"{_text.count(report.links, 'link')} not followed (--follow-links)")
    return [*lines, *map(_text.safe, report.outputs)]
