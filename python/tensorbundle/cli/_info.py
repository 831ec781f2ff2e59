"""``tensorbundle info``: what a checkpoint is made of, and what lies beside it."""

from __future__ import annotations

import argparse
import os
import sys

from tensorbundle.cli import _storage, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorbundle import Checkpoint, TensorInfo
    from tensorbundle._remote import Store
    from tensorbundle.cli._beside import Beside, Entry
    from tensorbundle.cli._json import Member

LARGEST = 5

DESCRIPTION = """\
Show what a checkpoint is made of: format, shards (present or missing), dtypes,
the largest tensors; what the graph beside it holds (.meta, SavedModel); and what
else lies there: the state file "checkpoint", other checkpoints, and what a save
that broke off has left. Of a graph without a checkpoint, what that holds.
No tensor data is read.

Of a SavedModel (its directory, or the file in it) also all graphs with their tags,
signatures, ops, objects, concrete functions and assets, and its fingerprint: if
that is of another checkpoint, or it or a graph is damaged, the exit code is 1.
"""


def add_parser(commands: _text.Commands) -> None:
    parser = commands.add_parser(
        "info",
        help="show format, shards, dtypes, largest tensors, the graph, and what lies beside",
        description=DESCRIPTION,
        epilog=_text.examples(
            "info run/model.ckpt-1000",
            "info run --json | jq .dtypes",
            "info export --tags serve",
        ),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("path", metavar="PATH", help=f"{_text.PATH_HELP}; or a graph")
    add("--tags", metavar="TAG,TAG", help="of a SavedModel only the graph with these tags")
    add("--json", action="store_true", help="one JSON document")
    _storage.add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tensorbundle.cli import _info_graph, _saved_model, _source

    path, store = _storage.located(args, args.path)
    source = _source.find(path, store)
    tags = _source.tags(args.tags)
    if source.checkpoint is None:
        return _info_graph.alone(source, tags, as_json=args.json)
    with source.checkpoint as checkpoint:
        graph = _info_graph.facts(source, tags)
        saved = _saved_model.facts(path, store, tags, graph)
        infos = checkpoint.infos()
        shards = [Shard(path, store) for path in checkpoint.shard_paths()]
        directory, base = os.path.split(checkpoint.prefix)
        beside = _look_beside(directory or os.curdir, base, checkpoint.num_shards, store)
        if args.json:
            from tensorbundle.cli import _json

            document = _document(checkpoint, infos, shards, beside, graph, store)
            _json.write(document if saved is None else {**document, "saved_model": saved})
        else:
            sections = [
                _head(checkpoint, infos, shards),
                _shard_table(shards),
                _dtype_table(infos),
                _largest_table(infos),
                _info_graph.section(None if _saved_model.has_several(saved) else graph),
                *_saved_model.sections(saved),
                *_beside_tables(beside),
            ]
            sys.stdout.write(_text.join_sections(sections))
    return 1 if _saved_model.finds_fault(saved) else 0


class Shard:
    """The expected path of a shard and its size, None if it is missing."""

    __slots__ = ("path", "size")

    def __init__(self, path: str, store: Store | None) -> None:
        from tensorbundle.cli._beside import size_of

        self.path = path
        self.size = size_of(path, store)


def _look_beside(directory: str, base: str, num_shards: int, store: Store | None) -> Beside | None:
    """None if the directory may be passed through but not listed."""
    from tensorbundle.cli._beside import Beside

    try:
        return Beside(directory, base, num_shards, store)
    except (PermissionError, NotADirectoryError):
        return None


def _by_dtype(infos: Sequence[TensorInfo]) -> list[tuple[str, int, int, int]]:
    """Tensors, elements and bytes of each dtype, the most bytes first."""
    sums: dict[str, tuple[int, int, int]] = {}
    for info in infos:
        tensors, elements, nbytes = sums.get(info.type_name, (0, 0, 0))
        sums[info.type_name] = (tensors + 1, elements + info.size, nbytes + info.nbytes)
    rows = [(name, *numbers) for name, numbers in sums.items()]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def _largest(infos: Sequence[TensorInfo]) -> list[TensorInfo]:
    return sorted(infos, key=lambda info: -info.nbytes)[:LARGEST]


def _partitioned(infos: Sequence[TensorInfo]) -> int:
    return sum(1 for info in infos if info.slices)


def _document(
    checkpoint: Checkpoint,
    infos: list[TensorInfo],
    shards: list[Shard],
    beside: Beside | None,
    graph: dict[str, object] | None,
    store: Store | None,
) -> dict[str, Member]:
    from tensorbundle.cli import _json
    from tensorbundle.cli._beside import size_of

    index = checkpoint.index_path
    return {
        "path": checkpoint.path,
        "prefix": checkpoint.prefix,
        "format": checkpoint.format,
        "producer": checkpoint.producer,
        "endianness": checkpoint.endianness,
        "index": None if index is None else {"path": index, "size": size_of(index, store)},
        "shards": (
            {"path": shard.path, "size": shard.size, "present": shard.size is not None}
            for shard in shards
        ),
        "total": _json.total(infos),
        "partitioned": _partitioned(infos),
        "dtypes": (
            {"dtype": name, "tensors": tensors, "elements": elements, "bytes": nbytes}
            for name, tensors, elements, nbytes in _by_dtype(infos)
        ),
        "graph": graph,
        "largest": map(_json.tensor, _largest(infos)),
        "beside": None if beside is None else beside.record(),
    }


def _head(checkpoint: Checkpoint, infos: list[TensorInfo], shards: list[Shard]) -> list[str]:
    missing = sum(1 for shard in shards if shard.size is None)
    partitioned = _partitioned(infos)
    facts = {
        "prefix": _text.safe(checkpoint.prefix),
        "format": f"{checkpoint.format}, producer {checkpoint.producer}, "
        f"{checkpoint.endianness}-endian",
        "shards": f"{len(shards):,}" + (f" ({missing:,} missing)" if missing else ""),
        "tensors": f"{len(infos):,}" + (f" ({partitioned:,} partitioned)" if partitioned else ""),
        "elements": f"{sum(info.size for info in infos):,}",
        "bytes": _text.both(sum(info.nbytes for info in infos)),
    }
    return [f"{_text.bold(title.ljust(10))}{fact}" for title, fact in facts.items()]


def _shard_table(shards: list[Shard]) -> list[str]:
    """All shards if they are few, else those that are missing."""
    shown = shards
    if len(shards) > _text.SHOWN:
        shown = [shard for shard in shards if shard.size is None]
    sizes = ["missing" if shard.size is None else _text.human(shard.size) for shard in shown]
    names = [os.path.split(shard.path)[1] for shard in shown]
    return _text.table("shard", names, ("bytes", sizes))


def _dtype_table(infos: list[TensorInfo]) -> list[str]:
    rows = _by_dtype(infos)
    return _text.table(
        "dtype",
        [row[0] for row in rows],
        ("tensors", [f"{row[1]:,}" for row in rows]),
        ("elements", [f"{row[2]:,}" for row in rows]),
        ("bytes", [_text.human(row[3]) for row in rows]),
    )


def _largest_table(infos: list[TensorInfo]) -> list[str]:
    largest = _largest(infos)
    return _text.table(
        "largest tensors",
        [info.name for info in largest],
        ("dtype", [info.type_name for info in largest]),
        ("shape", [_text.shape(info.shape) for info in largest]),
        ("bytes", [_text.human(info.nbytes) for info in largest]),
    )


def _beside_tables(beside: Beside | None) -> list[list[str]]:
    if beside is None:
        return [["The directory may not be listed: what lies beside is not known."]]
    return [
        _entry_table("beside", beside.companions),
        _text.table("other checkpoints here", beside.prefixes),
        _entry_table("left over", beside.leftovers),
    ]


def _entry_table(title: str, entries: list[Entry]) -> list[str]:
    sizes = ["directory" if entry.size is None else _text.human(entry.size) for entry in entries]
    return _text.table(
        title,
        [entry.name for entry in entries],
        ("what", [entry.what for entry in entries]),
        ("bytes", sizes),
    )
