"""``tensorbundle ls``: the tensors of a checkpoint, as a table, a tree or JSON.

Of a directory with several checkpoints, those: see `_ls_directory`.
"""

from __future__ import annotations

import argparse
import sys

import tensorbundle
from tensorbundle.cli import _patterns, _storage, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorbundle import TensorInfo

NOTHING_FOUND = 1

DESCRIPTION = """\
List the tensors of a checkpoint: name, dtype, shape and the bytes they take in
its shards, then their totals. No tensor data is read.

A PATTERN is a glob over the whole name, in which * also crosses "/"; after "re:"
it is a regular expression found anywhere in the name. With several --match a
tensor is listed that any of them matches; if there is none, the exit code is 1.

Of a directory with several checkpoints, those are listed; --match, --sort,
--tree and --objects ask for the tensors of the latest one.
"""

SORTS = """\
name (the default): as stored, by the bytes of the name; size: largest first;
offset: as the bytes lie in the shards
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "ls",
        help="list the tensors: name, dtype, shape, bytes",
        description=DESCRIPTION,
        epilog=_text.examples(
            "ls run/model.ckpt-1000",
            "ls run --match '*/kernel' --sort size",
            "ls run --tree --depth 2",
            "ls run --objects --depth 3",
            "ls run --json | jq '.tensors[].name'",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("path", metavar="PATH", help=_text.PATH_HELP)
    add("-m", "--match", metavar="PATTERN", action="append", help="only these names")
    add("-s", "--sort", choices=("name", "size", "offset"), help=SORTS)
    add("-t", "--tree", action="store_true", help='by scope ("/"), with subtotals')
    objects = "the objects that a TensorFlow 2 checkpoint was made of, with their tensors"
    add("-o", "--objects", action="store_true", help=objects)
    levels = "with --tree, --objects: only N levels"
    add("-d", "--depth", metavar="N", type=_patterns.depth, help=levels)
    add("-b", "--bytes", action="store_true", help="sizes to the byte instead of KiB, MiB, …")
    add("--json", action="store_true", help="one JSON document, with all that is known")
    _storage.add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.depth is not None and not (args.tree or args.objects):
        raise _text.CommandError("--depth goes with --tree")
    if args.objects and (args.tree or args.sort):
        raise _text.CommandError("--objects has an order of its own, without --tree and --sort")
    if args.tree and args.sort == "offset":
        raise _text.CommandError("--tree sorts by name or size, not by offset")
    if args.objects:
        from tensorbundle.cli import _objects

        with tensorbundle.open(args.path, storage_options=_storage.options_of(args)) as checkpoint:
            return _objects.run(args, checkpoint)
    if not (args.match or args.sort or args.tree):
        from tensorbundle.cli import _ls_directory

        path, store = _storage.located(args, args.path)
        found = _ls_directory.several(path, store)
        if found:
            return _ls_directory.show(path, found, exact=args.bytes, as_json=args.json)
    matches = _patterns.matcher(args.match) if args.match else None
    with tensorbundle.open(args.path, storage_options=_storage.options_of(args)) as checkpoint:
        every = checkpoint.infos()
        infos = every if matches is None else [info for info in every if matches(info.name)]
        if args.json:
            _write_json(args, checkpoint, infos)
    if matches is not None and not infos:
        of = _text.count(len(every), "tensor")
        print(f"tensorbundle: {_patterns.no_match(args.match, of)}", file=sys.stderr)
        return NOTHING_FOUND
    if not args.json:
        lines = _table(args, infos)
        lines.append(_text.bold(_total(infos, len(every))))
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _sort(infos: list[TensorInfo], by: str) -> list[TensorInfo]:
    if by == "size":
        return sorted(infos, key=lambda info: -info.nbytes)
    if by == "offset":
        return sorted(infos, key=_place)
    return infos


def _place(info: TensorInfo) -> tuple[int, int]:
    """Where the first byte of a tensor lies; a partitioned one lies where its first slice does."""
    places = [
        (piece.shard, piece.offset)
        for piece in info.slices or (info,)
        if piece.shard is not None and piece.offset is not None
    ]
    return min(places, default=(sys.maxsize, 0))


def _table(args: argparse.Namespace, infos: list[TensorInfo]) -> list[str]:
    size = str if args.bytes else _text.human
    if args.tree:
        from tensorbundle.cli import _tree

        return _tree.table(_tree.rows(infos, depth=args.depth, by_size=args.sort == "size"), size)
    infos = _sort(infos, args.sort)
    columns = [
        _text.Column("name", [_text.safe(info.name) for info in infos], elastic=True),
        _text.Column("dtype", [info.type_name for info in infos]),
        _text.Column("shape", [_text.shape(info.shape) for info in infos], elastic=True),
    ]
    slices = [len(info.slices) for info in infos]
    if any(slices):
        cells = [str(number or "") for number in slices]
        columns.append(_text.Column("slices", cells, right=True))
    columns.append(_text.Column("bytes", [size(info.nbytes) for info in infos], right=True))
    header, *lines = _text.layout(columns, _text.terminal_width())
    return [_text.bold(header), *lines]


def _total(infos: Sequence[TensorInfo], of: int) -> str:
    tensors = _text.count(len(infos), "tensor")
    if len(infos) != of:
        tensors = f"{len(infos):,} of {_text.count(of, 'tensor')}"
    elements = _text.count(sum(info.size for info in infos), "element")
    return f"{tensors}, {elements}, {_text.both(sum(info.nbytes for info in infos))}"


def _write_json(
    args: argparse.Namespace, checkpoint: tensorbundle.Checkpoint, infos: list[TensorInfo]
) -> None:
    from tensorbundle.cli import _json

    document: dict[str, _json.Member] = {
        "path": checkpoint.path,
        "prefix": checkpoint.prefix,
        "format": checkpoint.format,
        "total": _json.total(infos),
        "tensors": map(_json.tensor, _sort(infos, args.sort)),
    }
    if args.tree:
        from tensorbundle.cli import _tree

        rows = _tree.rows(infos, depth=args.depth, by_size=args.sort == "size")
        document["scopes"] = (
            row.item.summary() for row in rows if isinstance(row.item, _tree.Scope)
        )
    _json.write(document)
