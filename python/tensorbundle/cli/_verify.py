"""``tensorbundle verify``: is everything as it was written, and if not, what can be saved?"""

from __future__ import annotations

import argparse
import os
import sys

from tensorbundle.cli import _progress, _storage, _text
from tensorbundle.errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tensorbundle import Checkpoint, VerifyFinding, VerifyReport

FINDING = 1
ERROR = 2

DESCRIPTION = """\
Check checkpoints: every block of the index, every tensor, against its checksum; entries,
slices and shards against each other; files that are missing, cut short, left behind or of
another checkpoint; graphs that speak of other tensors. It goes on after each finding, uses
all cores and reads every byte once.

With --salvage, say what can still be read: tensorbundle.open(PATH, on_error="skip") opens
just that.

Exit code: 0 nothing found, 1 findings, 2 something could not be opened at all.
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "verify",
        help="check every checksum and the structure; say what can be saved",
        description=DESCRIPTION,
        epilog=_text.examples(
            "verify run/model.ckpt-1000",
            "verify --json run/model.ckpt-* | jq '.checkpoints[].findings[].text'",
            "verify --salvage broken/model.ckpt-7",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("paths", metavar="PATH", nargs="+", help=_text.PATH_HELP)
    add("--salvage", action="store_true", help="list what is lost, and say what can be read")
    add("--no-mmap", action="store_true", help="read the files instead of mapping them")
    add("--follow", action="store_true", help="go where a state file says, also outside of it")
    add("-q", "--quiet", action="store_true", help="no progress, and nothing of what is sound")
    add("--json", action="store_true", help="one JSON document, with all that is known")
    _storage.add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        return _run(args)
    except KeyboardInterrupt:
        print("tensorbundle: stopped", file=sys.stderr)
        raise


def _run(args: argparse.Namespace) -> int:
    code = 0
    records: list[dict[str, object]] = []
    errors: list[dict[str, str]] = []
    for path in args.paths:
        try:
            report, saved = _check(args, path)
        except (CheckpointError, OSError, MemoryError) as error:
            text = _text.message(error)
            print(f"tensorbundle: {text}", file=sys.stderr)
            errors.append({"path": path, "text": text})
            code = ERROR
            continue
        if not report.ok:
            code = max(code, FINDING)
        if args.json:
            records.append(_record(path, report, saved))
        else:
            sys.stdout.write("".join(f"{line}\n" for line in _lines(args, report, saved)))
            sys.stdout.flush()
    if args.json:
        from tensorbundle.cli import _json

        _json.write({"checkpoints": iter(records), "errors": iter(errors)})
    return code


def _check(args: argparse.Namespace, path: str) -> tuple[VerifyReport, Checkpoint | None]:
    import tensorbundle

    mmap, follow = not args.no_mmap, args.follow
    options = _storage.options_of(args, path)
    title = f"verify {_text.safe(os.path.basename(_storage.shown(path)))}"  # noqa: PTH119
    with _progress.Progress(title, quiet=args.quiet) as progress:
        if not args.salvage:
            report = tensorbundle.verify(
                path, mmap=mmap, follow=follow, progress=progress, storage_options=options
            )
            return report, None
        saved = tensorbundle.open(
            path,
            mmap=mmap,
            follow=follow,
            on_error="skip",
            progress=progress,
            storage_options=options,
        )
        assert saved.report is not None
        return saved.report, saved


def _lines(
    args: argparse.Namespace, report: VerifyReport, saved: Checkpoint | None
) -> Iterator[str]:
    if args.quiet and report.ok and saved is None:
        return
    for finding in report.findings:
        yield _line(finding)
    if not args.quiet:
        for note in report.notes:
            yield f"note: {_line(note)}"
    yield _text.bold(f"{_text.safe(report.prefix)}: {_summary(report)}")
    if saved is not None:
        yield from _saved(args, report, saved)


def _line(finding: VerifyFinding) -> str:
    return f"{finding.kind}: {_text.sentence(finding.text)}"


def _summary(report: VerifyReport) -> str:
    from tensorbundle._verify import how_many

    found = how_many(report) if report.findings else "no findings"
    if report.lost:
        found += f", {_text.count(len(report.lost), 'tensor')} lost"
    text = f"{found}; {_text.count(report.tensors, 'tensor')}, {_text.human(report.bytes)} checked"
    text += f" in {report.seconds:.2f} s"
    if report.bytes and report.seconds > 0:
        text += f" ({_text.human(int(report.bytes / report.seconds))}/s)"
    return text


def _saved(args: argparse.Namespace, report: VerifyReport, saved: Checkpoint) -> Iterator[str]:
    if report.lost:
        reasons = map(report.reason, report.lost)
        columns = [
            _text.Column("lost", list(map(_text.safe, report.lost)), elastic=True),
            _text.Column("why", [_why(reason) for reason in reasons], elastic=True),
        ]
        header, *lines = _text.layout(columns, _text.terminal_width())
        yield from (_text.bold(header), *lines)
    size = sum(info.nbytes for info in saved.infos())
    count = f"{len(saved):,} of {_text.count(report.tensors, 'tensor')} can be read"
    if not len(saved):
        yield count
        return
    yield f"{count}, {_text.both(size)}:"
    options = "".join((", mmap=False" * args.no_mmap, ", follow=True" * args.follow))
    yield f'  tensorbundle.open({_text.sentence(repr(saved.path))}, on_error="skip"{options})'


def _why(reason: VerifyFinding | None) -> str:
    """In a few words: the sentence is among the findings."""
    if reason is None:
        return "see the findings"
    start, end = reason.start, reason.end
    where = "" if start is None or end is None else f", bytes {start:,} to {end:,}"
    name = "" if reason.path is None else f": {_text.safe(os.path.basename(reason.path))}"  # noqa: PTH119
    return f"{reason.kind}{name}{where}"


def _record(path: str, report: VerifyReport, saved: Checkpoint | None) -> dict[str, object]:
    record: dict[str, object] = {"path": path, **report.as_dict()}
    if saved is not None:
        record["salvaged"] = {
            "tensors": list(saved),
            "bytes": sum(info.nbytes for info in saved.infos()),
        }
    return record
