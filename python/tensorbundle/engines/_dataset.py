"""The data set that workers write: a directory, and in it one of Parquet files for each table.

```text
catalog/                   what readers see: replaced as a whole
    checkpoints/  tensors/  findings/  stats/
        part-4f1c09d2-00003.parquet       of the same name in all four: a part
.catalog.partial/          what a run has done so far; the next one goes on with it
.catalog.before/           the old one, for the moment between two renames
```

A part is written by one worker, under names that nobody reads; its file of checkpoints takes its
name last, and says that the part is whole. A worker that does it again does it over.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..catalog._rows import TABLES
from ..errors import CheckpointError

UNFINISHED = ".unfinished"


class Facts(NamedTuple):
    """What a part says of a checkpoint."""

    signature: str
    checked: bool
    stats: bool


class Part(NamedTuple):
    """A part that is whole, and what it has rows of: findings alone have no facts."""

    folder: Path
    name: str
    rows: dict[str, Facts | None]


class Dataset:
    """The directories of a data set."""

    def __init__(self, output: str) -> None:
        """Looks at what is there, and changes nothing.

        Raises:
            CheckpointError: something else is there.
        """
        self.folder = Path(output)
        self.partial = self.folder.with_name(f".{self.folder.name}.partial")
        self.before = self.folder.with_name(f".{self.folder.name}.before")
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise CheckpointError(f"{output}: a file, and no directory: give another name")
        there = os.listdir(self.folder) if self.folder.is_dir() else []  # noqa: PTH208
        others = sorted(set(there) - set(TABLES))
        if others:
            raise CheckpointError(
                f"{output}: a directory with other things ({', '.join(others[:5])}), no catalog: "
                "give another name"
            )

    def begin(self) -> None:
        """Ends what a run left that was killed between the two renames; makes the directories."""
        if self.before.exists() and self.folder.exists():
            shutil.rmtree(self.before)
        elif self.before.exists():
            self.before.rename(self.folder)
        for table in TABLES:
            (self.partial / table).mkdir(parents=True, exist_ok=True)

    def parts(self) -> list[Part]:
        """What is there, also of a run that was killed: the latest last.

        Raises:
            CheckpointError: a file is not one of ours.
        """
        found = [
            (file.stat().st_mtime_ns, file)
            for folder in (self.folder, self.partial)
            for file in folder.glob("checkpoints/*.parquet")
        ]
        return [_part(file) for _, file in sorted(found)]

    def commit(self, kept: Sequence[Part], written: Iterable[str]) -> None:
        """Makes a data set of these parts, and puts it in place of the old one.

        Raises:
            CheckpointError: another run is at work on it.
            OSError: it cannot be done; the old one is whole.
        """
        names = {f"{part.name}.parquet" for part in kept} | {f"{name}.parquet" for name in written}
        folders = [self.partial / table for table in TABLES]
        for folder in folders:
            for other in set(os.listdir(folder)) - names:  # noqa: PTH208
                (folder / other).unlink()
        for folder in reversed(folders):  # a part that has its checkpoints is whole
            for part in kept:
                _link(part.folder / folder.name, folder, f"{part.name}.parquet")
            if set(os.listdir(folder)) != names:  # noqa: PTH208
                raise CheckpointError(
                    f"{self.folder}: another run is at work on it: wait for it, and run again"
                )
        if self.folder.exists():
            self.folder.rename(self.before)
        self.partial.rename(self.folder)
        shutil.rmtree(self.before, ignore_errors=True)


def write(folder: Path, name: str, steps: Iterable[Mapping[str, pa.Table]]) -> None:
    """Writes a part, a step at a time; whatever is there of it is replaced."""
    unfinished = f"{name}.{uuid4().hex}{UNFINISHED}"
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        writers: dict[str, pq.ParquetWriter] = {}
        for tables in steps:
            for table, rows in tables.items():
                if table not in writers:
                    file = (folder / table / unfinished).open("wb")
                    files[table] = stack.enter_context(file)
                    writers[table] = stack.enter_context(pq.ParquetWriter(file, rows.schema))
                if len(rows):
                    writers[table].write_table(rows)
        for table, writer in writers.items():
            writer.close()
            files[table].flush()
            os.fsync(files[table].fileno())
    for table in reversed(TABLES):
        (folder / table / unfinished).replace(folder / table / f"{name}.parquet")


def write_rest(folder: Path, name: str, part: Part) -> None:
    """Writes what is left of another part: the rows of the paths that it is given with."""
    compute: Any = pc  # its functions are made when it is imported: no checker knows them
    paths = pa.array(sorted(part.rows), pa.string())

    def left(table: str) -> pa.Table:
        rows = _read(part.folder / table / f"{part.name}.parquet", None)
        return rows.filter(compute.is_in(rows["path"], paths))

    write(folder, name, [{table: left(table) for table in TABLES}])


def not_ok(folder: Path) -> int:
    """How many checkpoints have another status than ``"ok"``."""
    files = folder.glob("checkpoints/*.parquet")
    return sum(status != "ok" for file in files for status in _column(file, "status"))


def _part(file: Path) -> Part:
    folder, name = file.parents[1], file.name
    rows: dict[str, Facts | None]
    rows = dict.fromkeys(_column(folder / "findings" / name, "path"))
    columns = _read(file, ["path", "signature", "checked", "stats"]).to_pydict()
    for path, signature, checked, stats in zip(*columns.values(), strict=True):
        rows[path] = Facts(signature, checked == "data", stats)
    return Part(folder, file.stem, rows)


def _column(file: Path, name: str) -> list[Any]:
    return _read(file, [name])[name].to_pylist()


def _read(file: Path, columns: list[str] | None) -> pa.Table:
    try:
        with file.open("rb") as opened:
            return pq.ParquetFile(opened).read(columns)  # pyright: ignore[reportUnknownMemberType]
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise CheckpointError(
            f"{file}: not a Parquet file of an earlier run: {error}; remove its directory, or give "
            "another name"
        ) from None


def _link(source: Path, folder: Path, name: str) -> None:
    """The same file in another directory; a copy where there are no links."""
    if source == folder or (folder / name).exists():
        return
    try:
        os.link(source / name, folder / name)
    except OSError:
        shutil.copy2(source / name, folder / name)
