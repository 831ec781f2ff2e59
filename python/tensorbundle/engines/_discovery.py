"""Finding checkpoints with many workers: roots become units, each of which one worker walks.

```text
/models                 shallow: only what lies in it itself
├── team-a              shallow
│   ├── run-1           deep: with all that is below it
│   └── run-2           deep
└── team-b              deep
```

Who plans lists the names of a level or two, until there are units enough. Sizes and times, of
which a store has many more, are asked for by the workers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from .._native import Places, places_of, walk
from ..catalog._index import _below  # pyright: ignore[reportPrivateUsage]

ENOUGH = 64
"""So many directories are waiting: no further level is listed by who plans."""

MOST = 512
"""So many units at most: beyond, one unit is several directories."""

EACH = 1 << 14
"""What it costs to open a checkpoint, however small, in bytes that could be read meanwhile."""

LEFT = (".tempstate", "_temp", ".part-")
"""What is in the names of directories that may be a writer's: the core says which of them are."""


class Unit(NamedTuple):
    """A piece of the walk."""

    roots: tuple[str, ...]
    deep: bool = True
    follow_links: bool = False


class Spot(NamedTuple):
    """A place where a checkpoint is, or should be, and what it costs to look at it."""

    path: str
    """As the system has it."""
    text: str
    """As catalogs have it: UTF-8."""
    signature: str
    size: int
    """How many bytes will be read of it."""


class Found(NamedTuple):
    """What the walk of a unit, or of several, has found."""

    spots: list[Spot]
    troubles: pa.Table
    directories: int
    links: int


def units_of(roots: list[str], follow_links: bool) -> list[Unit]:
    """Splits the walk of some directories.

    With ``follow_links`` it is one unit: whether a link leads to what was walked before is known
    only to who walks all of it.

    Raises:
        OSError: a root does not exist.
    """
    folders = [root for root in roots if os.path.isdir(root)]  # noqa: PTH112
    lone = tuple(root for root in roots if root not in folders and not _known(root, folders))
    if follow_links:
        return [Unit(tuple(roots), follow_links=True)]
    units = [Unit(lone)] if lone else []
    waiting = _apart(folders)
    while waiting and len(waiting) < ENOUGH:
        below: list[str] = []
        for folder in waiting:
            try:
                found, _ = _folders(folder)
            except OSError:
                units.append(Unit((folder,)))  # its walk says what is wrong with it
            else:
                units.append(Unit((folder,), deep=False))
                below += found
        waiting = below
    together = max(1, -(-len(waiting) // MOST))
    steps = range(0, len(waiting), together)
    return units + [Unit(tuple(waiting[i : i + together])) for i in steps]


def explore(unit: Unit, data: bool) -> Found:
    """Walks a unit: a pure function, for workers. ``data``: all bytes will be read."""
    if unit.deep:
        places, troubles, directories, links = walk(list(unit.roots), unit.follow_links, None)
        return Found(_spots(places, data), pa.table(troubles), directories, links)
    (folder,) = unit.roots
    try:
        _, links = _folders(folder)
        spots = _spots_in(folder, data)
    except OSError:
        return explore(Unit(unit.roots), data)  # which says what is wrong with it
    return Found(spots, _no_troubles(), 1, links)


def put_together(all_found: Iterable[Found]) -> Found:
    """What several units have found, in the order of paths, and each place once."""
    some = list(all_found)
    spots = {spot.path: spot for found in some for spot in found.spots}
    return Found(
        [spots[path] for path in sorted(spots, key=lambda path: Path(path).parts)],
        pa.concat_tables([_no_troubles(), *(found.troubles for found in some)]),
        sum(found.directories for found in some),
        sum(found.links for found in some),
    )


def _no_troubles() -> pa.Table:
    return pa.table(walk([], False, None)[1])


def _known(root: str, folders: list[str]) -> bool:
    """Does the walk of a directory find this checkpoint? What is none raises."""
    (path,) = walk([root], False, None)[0].paths()
    return any(_reached(os.path.dirname(path), folder) for folder in folders)  # noqa: PTH120


def _apart(folders: list[str]) -> list[str]:
    """Without those that the walk of another comes by."""
    once = sorted(set(folders))
    return [
        root for root in once if not any(root != other and _reached(root, other) for other in once)
    ]


def _reached(folder: str, root: str) -> bool:
    """Does a walk come by a directory, which it does not if a link is on the way?"""
    way = os.path.join(os.path.realpath(root), os.path.relpath(folder, root))  # noqa: PTH118
    return _below(folder, [root]) and os.path.realpath(folder) == os.path.normpath(way)


def _folders(folder: str) -> tuple[list[str], int]:
    """The directories in one, and how many links there are to others; writers' are neither."""
    found: list[str] = []
    links: list[str] = []
    suspects: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                (links if entry.is_symlink() else found).append(entry.path)
                if any(mark in entry.name for mark in LEFT):
                    suspects.append(entry.path)
    left: set[str] = set()
    if suspects:
        checkpoints, *_ = places_of(suspects).scan(
            list(range(len(suspects))), False, False, False, None
        )
        pairs = zip(suspects, checkpoints.column("status"), strict=True)
        left = {path for path, status in pairs if status == "temporary"}
    return sorted(set(found) - left), len(set(links) - left)


def _spots_in(folder: str, data: bool) -> list[Spot]:
    """The places in a directory itself."""
    names: list[str] = []
    broken: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
                broken.append(entry.name)
    places = places_of(_beginnings(folder, names))
    without_files = _without_files(_beginnings(folder, broken))
    ((_, of_none),) = places_of(["\0/"]).signatures()  # where nothing can be
    return [
        spot
        for spot in _spots(places, data)
        if spot.signature != of_none or spot.path in without_files
    ]


def _beginnings(folder: str, names: list[str]) -> list[str]:
    """Whatever the places of files are called, the names of the files begin so."""
    found = {os.path.join(folder, name) for name in names}  # noqa: PTH118
    for name in names:
        cuts = (i for i, letter in enumerate(name) if letter in ".-")
        found.update(os.path.join(folder, name[:i]) for i in cuts)  # noqa: PTH118
    return sorted(found)


def _without_files(paths: list[str]) -> set[str]:
    """What of these is a place though none of its files is there: links that lead nowhere."""
    places = places_of(paths)
    _, _, findings, _ = places.scan(list(range(len(paths))), False, False, False, None)
    said = zip(findings.column("path"), findings.column("kind"), strict=True)
    nothing = {text for text, kind in said if kind == "nothing there"}
    texts = [text for text, _ in places.signatures()]
    return {path for path, text in zip(paths, texts, strict=True) if text not in nothing}


def _spots(places: Places, data: bool) -> list[Spot]:
    columns = zip(places.paths(), places.signatures(), places.sizes(), strict=True)
    return [
        Spot(path, text, signature, EACH + (size if data else _index_bytes(path)))
        for path, (text, signature), size in columns
    ]


def _index_bytes(path: str) -> int:
    """What is read of a checkpoint without its data: the index, and the graph beside it."""
    size = 0
    for ending in (".index", ".meta"):
        with suppress(OSError):
            size += os.stat(path + ending).st_size  # noqa: PTH116
    return size
