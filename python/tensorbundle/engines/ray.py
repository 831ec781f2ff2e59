"""Checkpoints as data sets of Ray Data, and the index job on a Ray cluster.

>>> import ray
>>> from tensorbundle.engines.ray import CheckpointDatasource
>>> ray.data.read_datasource(CheckpointDatasource("/models")).count()  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import CheckpointError
from . import EngineMissingError

try:
    import pyarrow as pa
    import ray
    from ray.data import DataContext
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask
    from ray.exceptions import RayError
except ImportError as error:
    raise EngineMissingError(
        f"Ray Data is needed and not installed ({error}): pip install 'tensorbundle[ray]'"
    ) from None

from ..catalog import IndexReport
from ..catalog._rows import TABLES, roots_of
from ._discovery import Found
from ._job import STEP, Look, Progress, discover, rows_of
from ._job import index as _index
from ._split import split

__all__ = ["CheckpointDatasource", "index"]

if TYPE_CHECKING:
    from .._paths import StorageOptions

T = TypeVar("T")
R = TypeVar("R")

RETRIES = 3
"""So often a call is made again when its worker dies: what kills every worker must have an end."""

_ray: Any = ray  # whose types say less than its documentation


class CheckpointDatasource(Datasource):
    """A table of all checkpoints below some directories, for :func:`ray.data.read_datasource`.

    Workers find the checkpoints, and workers read them, in parts of about equal bytes. Whatever is
    wrong with a checkpoint is in its rows, and stops nothing.
    """

    def __init__(
        self,
        roots: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        table: str = "tensors",
        verify: bool = False,
        stats: bool = False,
        follow_links: bool = False,
        mmap: bool = True,
        storage_options: StorageOptions = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            roots: directories, or checkpoints; all nodes must see them under these names.
            table: ``"checkpoints"``, ``"tensors"``, ``"findings"`` or ``"stats"``, as
                :func:`tensorbundle.catalog.rows` has them. What could not be walked is in
                ``"findings"``.
            verify: check all data, too.
            stats: look at the values of all tensors, too.
            follow_links: go where links to directories lead; one worker then finds all.
            mmap: map the shards for that.
            storage_options: of URLs, as for :func:`tensorbundle.open`; for this process alone.
                Workers find credentials where their own environment has them.

        Raises:
            ValueError: there is no such table.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        if table not in TABLES:
            raise ValueError(f"no table {table!r}: there are {', '.join(TABLES)}")
        self._roots, store = roots_of(roots, storage_options)
        self._table = table
        self._look = Look(verify, stats, mmap, store)
        self._follow_links = follow_links
        self._projection_map: dict[str, str] | None = None
        self._found: Found | None = None

    def supports_projection_pushdown(self) -> bool:
        """Columns that nobody asks for are not handed over."""
        return True

    def estimate_inmemory_data_size(self) -> int | None:
        """The bytes that are read; rows take about as many."""
        return sum(spot.size for spot in self._discovered().spots)

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: DataContext | None = None,
    ) -> list[ReadTask]:
        """A task for each part; the walk, by workers, is before the first."""
        del data_context
        found = self._discovered()
        columns = self._get_data_columns()
        tasks: list[ReadTask] = []
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        for part in split(found.spots, parallelism):
            paths = [spot.path for spot in part]
            read = partial(_read, paths, self._table, self._look, columns)
            tasks.append(ReadTask(read, unknown, per_task_row_limit=per_task_row_limit))
        # Not less than one block: without any, nobody knew the columns.
        alone = found.troubles if self._table == "findings" else rows_of((), self._table, Look())
        give = partial(_give, _select(alone, columns))
        return [*tasks, ReadTask(give, unknown, per_task_row_limit=per_task_row_limit)]

    def _discovered(self) -> Found:
        """Once: Ray asks several times for the tasks of a data set."""
        if self._found is None:
            self._found = discover(_Ray(), self._roots, self._look, self._follow_links)
        return self._found


def index(
    roots: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    address: str | None = None,
    verify: bool = False,
    stats: bool = False,
    follow_links: bool = False,
    mmap: bool = True,
    progress: Progress | None = None,
    storage_options: StorageOptions = None,
) -> IndexReport:
    """Indexes every checkpoint below some directories with the workers of a Ray cluster.

    The rows are those of :func:`tensorbundle.catalog.index`, and so is the rule for a second run:
    what is as it was is not read again, what is gone is dropped.

    Args:
        roots: directories, or checkpoints; all nodes must see them under these names.
        output: a directory, which all nodes must see, too: in it ``checkpoints/*.parquet``,
            ``tensors/*.parquet``, ``findings/*.parquet`` and ``stats/*.parquet``.
        address: of the cluster, as for :func:`ray.init`. Without, the one that is connected is
            used, or that ``RAY_ADDRESS`` names, or one on this machine, which ends with the call.
        verify: check all data.
        stats: say in table ``stats`` what the values of tensors are like.
        follow_links: go where links to directories lead; one worker then finds all.
        mmap: map the shards for ``verify`` and ``stats``.
        progress: called with the checkpoints done and all of them that are to be scanned.
        storage_options: of URLs, as for :func:`tensorbundle.open`; for this process alone. Workers
            find credentials where their own environment has them.

    Raises:
        OSError: a root does not exist; the output cannot be written.
        CheckpointError: the output is something else; another run is at work on it; the cluster
            cannot do it. The old data set is whole, and the next run goes on.
        RuntimeError: an address, and a cluster is connected already.
        ValueError: an output that is no directory, by its ending.
    """
    ours = not _ray.is_initialized()
    if ours or address is not None:
        _start(address)
    try:
        look = Look(verify, stats, mmap)
        return _index(roots, output, _Ray(), look, follow_links, progress, storage_options)
    except RayError as error:
        raise CheckpointError(
            f"{os.fspath(output)}: Ray could not do it, the old data set is whole, and the next "
            f"run goes on: {error}"
        ) from error
    finally:
        if ours:
            _ray.shutdown()


def _start(address: str | None) -> None:
    """Connects, or starts workers on this machine: without a dashboard, and nobody is told."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {"include_dashboard": False}
    _ray.init(address=address, **options)


class _Ray:
    """The cluster that is connected: calls are tasks, and Ray makes them again."""

    def __init__(self) -> None:
        self.slots = max(1, int(_ray.cluster_resources().get("CPU", 1)))

    def map(
        self, function: Callable[[T], R], items: Sequence[T], told: Callable[[int], object]
    ) -> list[R]:
        call: Any = _ray.remote(max_retries=RETRIES)(_call)
        shared = _ray.put(function)
        calls = ahead = [call.remote(shared, item) for item in items]
        try:
            while ahead:
                ready, ahead = _ray.wait(ahead)
                _ray.get(ready)
                told(len(items) - len(ahead))
        finally:
            for each in ahead:
                _ray.cancel(each)
        results: list[R] = _ray.get(calls)
        return results


def _call(function: Callable[[T], R], item: T) -> R:
    return function(item)


def _read(
    paths: Sequence[str], table: str, look: Look, columns: list[str] | None
) -> Iterator[pa.Table]:
    for i in range(0, len(paths), STEP):
        yield _select(rows_of(paths[i : i + STEP], table, look), columns)


def _give(table: pa.Table) -> list[pa.Table]:
    return [table]


def _select(table: pa.Table, columns: list[str] | None) -> pa.Table:
    # Rows without a column would be no rows: one is left for those who only count.
    return table if columns is None else table.select(columns or ["path"])
