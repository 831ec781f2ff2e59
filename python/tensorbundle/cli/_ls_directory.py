"""``tensorbundle ls DIR``: the checkpoints of a directory that holds several."""

from __future__ import annotations

import os
import sys

import tensorbundle
from tensorbundle._paths import is_dir, is_file
from tensorbundle.cli import _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorbundle import StoredCheckpoint
    from tensorbundle._remote import Store


def several(path: str, store: Store | None) -> list[StoredCheckpoint]:
    """The checkpoints of a directory; none if it holds but one, or is something else."""
    if not is_dir(path, store) or is_file(f"{path}.index", store):
        return []
    try:
        found = tensorbundle.list_checkpoints(path, storage_options=store)
    except NotADirectoryError:  # a server that does not list what it has
        return []
    return found if len(found) > 1 else []


def show(path: str, found: Sequence[StoredCheckpoint], *, exact: bool, as_json: bool) -> int:
    """All of them, the latest marked."""
    if as_json:
        from tensorbundle.cli import _json

        _json.write({"path": path, "checkpoints": map(_record, found)})
        return 0
    size = str if exact else _text.human
    columns = [
        _text.Column("name", [_text.safe(each.name) for each in found], elastic=True),
        _text.Column("format", [each.format or "" for each in found]),
        _text.Column("saved", [_time(each) for each in found]),
        _text.Column("bytes", [size(each.nbytes) for each in found], right=True),
        _text.Column("notes", [", ".join(_notes(each)) for each in found], elastic=True),
    ]
    header, *lines = _text.layout(columns, _text.terminal_width())
    total = f"{_text.count(len(found), 'checkpoint')}, "
    total += _text.both(sum(each.nbytes for each in found))
    rows = [_text.bold(header), *(line.rstrip() for line in lines), _text.bold(total)]
    here = [each for each in found if each.format is not None]
    example = next((each for each in here if each.latest), here[-1] if here else None)
    if example is not None:
        rows.append(f"Its tensors: tensorbundle ls {_text.safe(example.prefix)}")
    sys.stdout.write("\n".join(rows) + "\n")
    return 0


def _time(found: StoredCheckpoint) -> str:
    """When it was saved, by the state file or else by its first file, in local time."""
    import time

    moment = found.timestamp
    if moment is None and found.files:
        try:
            name = next(iter(found.files))
            path = os.path.join(os.path.dirname(found.prefix), name)  # noqa: PTH118, PTH120
            store = found._store  # pyright: ignore[reportPrivateUsage]
            if store is None:
                moment = os.stat(path).st_mtime  # noqa: PTH116
            else:
                moment = store.stat(path)[2] / 1e9 or None
        except OSError:
            return ""
    try:
        return "" if moment is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
    except (OverflowError, ValueError, OSError):  # a time that the state file makes up
        return ""


def _notes(found: StoredCheckpoint) -> list[str]:
    notes = ["latest"] if found.latest else []
    if found.format is None:
        return [*notes, "in the state file, but not here"]
    if found.missing:
        notes.append(f"{_text.count(found.missing, 'file')} missing")
    elif found.format == "V2" and not any(".data-" in name for name in found.files):
        notes.append("no data shards")
    return notes


def _record(found: StoredCheckpoint) -> dict[str, object]:
    return {
        "name": found.name,
        "prefix": found.prefix,
        "format": found.format,
        "step": found.step,
        "latest": found.latest,
        "recorded": found.recorded,
        "timestamp": found.timestamp,
        "bytes": found.nbytes,
        "files": found.files,
        "missing": found.missing,
    }
