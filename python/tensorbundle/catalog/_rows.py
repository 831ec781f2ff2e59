"""What is there, and the rows of one checkpoint: no state, nothing kept, nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from .._native import ArrowTable, places_of, walk
from .._paths import located
from .._verify import _Fixed  # pyright: ignore[reportPrivateUsage]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._paths import StorageOptions
    from .._remote import Store

    Progress = Callable[[int, int], object]

TABLES = ("checkpoints", "tensors", "findings", "stats")
"""What a catalog consists of."""


class Place(_Fixed):
    """Something that is, or should be, a checkpoint. Read-only; compares and pickles."""

    __slots__ = ("bytes", "path", "signature")

    def __init__(self, path: str, signature: str, size: int) -> None:
        """Places come from :func:`discover`."""
        self.path = path
        """Its prefix, or the file or directory that a writer left behind."""
        self.signature = signature
        """64 bits in hexadecimal that change when the size of one of its files does, or the time
        when it was last changed, or what a store calls its version (an ETag)."""
        self.bytes = size
        """How many bytes its files have."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Place):
            return NotImplemented
        return (self.path, self.signature) == (other.path, other.signature)

    def __hash__(self) -> int:
        return hash((self.path, self.signature))

    def __reduce__(self) -> tuple[type[Place], tuple[str, str, int]]:
        return Place, (self.path, self.signature, self.bytes)

    def __repr__(self) -> str:
        return f"<tensorbundle.catalog.Place {self.path!r}>"


def discover(
    roots: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    follow_links: bool = False,
    progress: Progress | None = None,
    storage_options: StorageOptions = None,
) -> list[Place]:
    """Every checkpoint below some directories, in the order of their paths.

    Also those that are broken, half copied, or being written. Only names, sizes and times are read,
    and the first bytes of files that may be of format V1.

    Args:
        roots: directories; or checkpoints, as for :func:`tensorbundle.open`. URLs must all be of
            one store.
        follow_links: go where links to directories lead. None is walked twice.
        progress: looked at for exceptions only: how much there is nobody knows yet.
        storage_options: of URLs, as for :func:`tensorbundle.open`.

    Raises:
        OSError: a root does not exist. Directories below it that cannot be read are left out here;
            :func:`index` makes findings of them.
    """
    paths, store = roots_of(roots, storage_options)
    places, _, _, _ = walk(paths, follow_links, progress, store)
    pairs = zip(places.paths(), places.signatures(), places.sizes(), strict=True)
    return [Place(path, signature, size) for path, (_, signature), size in pairs]


def rows(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    table: str = "tensors",
    *,
    verify: bool = False,
    stats: bool = False,
    mmap: bool = True,
    storage_options: StorageOptions = None,
) -> ArrowTable:
    """The rows of a checkpoint, or of several: a pure function that pickles, for engines to map.

    Args:
        paths: a prefix, or a V1 file, as :func:`discover` gives them; or several.
        table: ``"checkpoints"`` (one row each), ``"tensors"``, ``"findings"`` or ``"stats"``, which
            is empty unless ``stats`` is true.
        verify: check all data, too.
        stats: look at the values of all tensors, too.
        mmap: map the shards for that.
        storage_options: of URLs, as for :func:`tensorbundle.open`.

    Returns:
        An Arrow table; the columns are those of the catalog. Whatever is wrong with a checkpoint
        is in its rows, and stops nothing. Several are scanned with all cores.

    Raises:
        ValueError: there is no such table; a NUL in the path.
    """
    if table not in TABLES:
        raise ValueError(f"no table {table!r}: there are {', '.join(TABLES)}")
    look = {"verify": verify, "stats": stats, "mmap": mmap}
    return tables(paths, **look, storage_options=storage_options)[table]


def tables(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    verify: bool = False,
    stats: bool = False,
    mmap: bool = True,
    storage_options: StorageOptions = None,
) -> dict[str, ArrowTable]:
    """As :func:`rows`, but all four tables by name: each checkpoint is opened once for them.

    Raises:
        ValueError: a NUL in the path.
    """
    some = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    plain, store = _of_one_store(some, storage_options)
    places = places_of(plain, store)
    numbers = list(range(len(places)))
    return dict(zip(TABLES, places.scan(numbers, verify, stats, mmap, None), strict=True))


def roots_of(
    roots: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    storage_options: StorageOptions = None,
) -> tuple[list[str], Store | None]:
    """Absolute, so that a catalog means the same wherever it is asked from."""
    some = [roots] if isinstance(roots, (str, os.PathLike)) else list(roots)
    if not some:
        raise ValueError("no directory to look in")
    plain, store = _of_one_store(some, storage_options)
    if store is None:
        plain = [os.path.abspath(root) for root in plain]  # noqa: PTH100 - keeps links
    return plain, store


def _of_one_store(
    paths: Iterable[str | os.PathLike[str]], storage_options: StorageOptions
) -> tuple[list[str], Store | None]:
    """Paths of this machine, or of the store of the first URL.

    Raises:
        ValueError: they are of several.
    """
    plain: list[str] = []
    store: Store | None = None
    for i, path in enumerate(paths):
        shown, own = located(path, storage_options)
        if i == 0:
            store = own
        elif (own is None) != (store is None) or not (store is None or store.has(shown)):
            raise ValueError(f"{plain[0]} and {shown} are not of one store: one call for each")
        plain.append(shown)
    return plain, store
