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
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from .._native import Places, folders, walk
from .._paths import is_dir
from .._remote import Store
from ..catalog._index import _below  # pyright: ignore[reportPrivateUsage]

ENOUGH = 64
"""So many directories are waiting: no further level is listed by who plans."""

MOST = 512
"""So many units at most: beyond, one unit is several directories."""

EACH = 1 << 14
"""What it costs to open a checkpoint, however small, in bytes that could be read meanwhile."""


class Unit(NamedTuple):
    """A piece of the walk."""

    roots: tuple[str, ...]
    deep: bool = True
    follow_links: bool = False
    store: Store | None = None
    listed: bool = False
    """Its roots are directories that were seen; should one be gone by now, that is a finding."""


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


def units_of(roots: list[str], follow_links: bool, store: Store | None = None) -> list[Unit]:
    """Splits the walk of some directories.

    With ``follow_links`` it is one unit: whether a link leads to what was walked before is known
    only to who walks all of it.

    Raises:
        OSError: a root does not exist.
    """
    above = [root for root in roots if is_dir(root, store)]
    lone = tuple(root for root in roots if root not in above and not _known(root, above, store))
    if follow_links:
        return [Unit(tuple(roots), follow_links=True, store=store)]
    units = [Unit(lone, store=store)] if lone else []
    waiting = _apart(above, store)
    while waiting and len(waiting) < ENOUGH:
        below: list[str] = []
        for folder in waiting:
            try:
                found, _ = folders(folder, store)
            except OSError:
                # Its walk says what is wrong with it.
                units.append(Unit((folder,), store=store, listed=True))
            else:
                units.append(Unit((folder,), deep=False, store=store, listed=True))
                below += found
        waiting = below
    together = max(1, -(-len(waiting) // MOST))
    steps = range(0, len(waiting), together)
    rest = (tuple(waiting[i : i + together]) for i in steps)
    return units + [Unit(folders, store=store, listed=True) for folders in rest]


def explore(unit: Unit, data: bool) -> Found:
    """Walks a unit: a pure function, for workers. ``data``: all bytes will be read."""
    places, troubles, directories, links = walk(
        list(unit.roots), unit.follow_links, None, unit.store, unit.deep, unit.listed
    )
    return Found(_spots(places, data), pa.table(troubles), directories, links)


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


def _known(root: str, above: list[str], store: Store | None) -> bool:
    """Does the walk of a directory find this checkpoint? What is none raises."""
    (path,) = walk([root], False, None, store)[0].paths()
    own = os.path.dirname(path)  # noqa: PTH120
    return any(_reached(own, folder, store) for folder in above)


def _apart(above: list[str], store: Store | None) -> list[str]:
    """Without those that the walk of another comes by."""
    once = sorted(set(above))
    return [
        root
        for root in once
        if not any(root != other and _reached(root, other, store) for other in once)
    ]


def _reached(folder: str, root: str, store: Store | None) -> bool:
    """Does a walk come by a directory, which it does not if a link is on the way?"""
    if store is not None or not _below(folder, [root]):
        return _below(folder, [root])
    way = os.path.join(os.path.realpath(root), os.path.relpath(folder, root))  # noqa: PTH118
    return os.path.realpath(folder) == os.path.normpath(way)


def _spots(places: Places, data: bool) -> list[Spot]:
    sizes = places.sizes() if data else places.index_sizes()
    columns = zip(places.paths(), places.signatures(), sizes, strict=True)
    return [Spot(path, text, signature, EACH + size) for path, (text, signature), size in columns]
