"""Checkpoints as a data source of Apache Spark, and the index job on a Spark cluster.

>>> from tensorbundle.engines import spark as of_spark
>>> of_spark.register(spark)  # doctest: +SKIP
>>> spark.read.format("tensorbundle").option("table", "tensors").load("/models")  # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from ..errors import CheckpointError
from . import EngineMissingError

try:
    import pyarrow as pa
    from py4j.protocol import (  # type: ignore[import-untyped]
        Py4JJavaError,  # pyright: ignore[reportMissingTypeStubs]
    )
    from pyspark import SparkContext
    from pyspark.sql import SparkSession
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import (
        ArrayType,
        BooleanType,
        DataType,
        DecimalType,
        DoubleType,
        IntegerType,
        LongType,
        StringType,
        StructField,
        StructType,
    )
except ImportError as error:
    raise EngineMissingError(
        f"PySpark 4 is needed and not installed ({error}): pip install 'tensorbundle[spark]'"
    ) from None

from ..catalog import IndexReport
from ..catalog._rows import TABLES, roots_of
from ._discovery import Unit, explore, put_together, units_of
from ._job import STEP, Look, Progress, rows_of
from ._job import index as _index
from ._split import split

__all__ = ["CheckpointSource", "index", "register"]

if TYPE_CHECKING:
    from .._paths import StorageOptions

T = TypeVar("T")
R = TypeVar("R")

TYPES: dict[str, DataType] = {
    "bool": BooleanType(),
    "double": DoubleType(),
    "int32": IntegerType(),
    "int64": LongType(),
    "list<item: int64>": ArrayType(LongType()),
    "string": StringType(),
    # Spark has no unsigned types, and reads those of Parquet so.
    "uint32": LongType(),
    "uint64": DecimalType(20, 0),
}
"""What Arrow's types are in Spark."""

PARTS = 64
"""Parts of what is known when a read is planned: the cluster is not to be asked then."""

TICK = 0.2
"""Seconds between two looks at how far a job is."""


def register(spark: SparkSession) -> None:
    """Makes ``spark.read.format("tensorbundle")`` known to a session."""
    spark.dataSource.register(CheckpointSource)


class CheckpointSource(DataSource):
    """A table of all checkpoints below some directories: ``format("tensorbundle")``.

    Options: ``table`` (``checkpoints``, ``tensors``, ``findings``, ``stats``; default ``tensors``),
    ``verify``, ``stats``, ``followLinks`` and ``mmap`` (``true`` or ``false``), and ``parts``: how
    many partitions there should be of what is found when the read is planned (default 64).
    """

    @classmethod
    def name(cls) -> str:
        """What it is called in ``format``."""
        return "tensorbundle"

    def schema(self) -> StructType:
        """The columns of the table."""
        return _schema(self._table())

    def reader(self, schema: StructType) -> DataSourceReader:
        """Of the columns that are asked for.

        Raises:
            ValueError: an option, a table or a column that there is not.
        """
        table = self._table()
        columns = {field.name: field.dataType for field in _schema(table)}
        for field in schema:
            if columns.get(field.name) != field.dataType:
                raise ValueError(
                    f"no column {field.name} of type {field.dataType.simpleString()} in table "
                    f"{table}: there are {_schema(table).simpleString()}"
                )
        options = dict(self.options)
        known = ("table", "verify", "stats", "followlinks", "mmap", "parts", "path", "paths")
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ValueError(f"no option {', '.join(unknown)}: there are {', '.join(known)}")
        roots = json.loads(options["paths"]) if "paths" in options else [options.get("path", "")]
        if not all(roots):
            raise ValueError("no directory to look in: give it to load()")
        look = Look(
            _is_true(options, "verify"), _is_true(options, "stats"), _is_true(options, "mmap", True)
        )
        follow = _is_true(options, "followlinks")
        parts = int(options.get("parts", PARTS))
        plain, store = roots_of(roots)
        look = look._replace(store=store)
        return CheckpointReader(plain, table, look, follow, parts, schema)

    def _table(self) -> str:
        table = self.options.get("table", "tensors")
        if table not in TABLES:
            raise ValueError(f"no table {table!r}: there are {', '.join(TABLES)}")
        return table


class Piece(InputPartition):
    """What a worker is given: checkpoints, or a part of the walk; and what was not to be walked."""

    def __init__(
        self,
        paths: Sequence[str] = (),
        unit: Unit | None = None,
        troubles: pa.Table | None = None,
    ) -> None:
        """A piece of work."""
        self.paths = paths
        self.unit = unit
        self.troubles = troubles


class CheckpointReader(DataSourceReader):
    """Splits a read into pieces, and reads one."""

    def __init__(
        self,
        roots: list[str],
        table: str,
        look: Look,
        follow_links: bool,
        parts: int,
        schema: StructType,
    ) -> None:
        """Reads nothing yet."""
        self._roots = roots
        self._table = table
        self._look = look
        self._follow_links = follow_links
        self._parts = parts
        self._columns = schema.fieldNames()
        self._schema = to_arrow_schema(schema)

    def partitions(self) -> Sequence[InputPartition]:
        """Parts of equal bytes of what lies high up; below that, directories for workers to walk.

        Spark plans in a process that has no workers: it walks no further than it must.
        """
        units = units_of(self._roots, self._follow_links, self._look.store)
        here = [unit for unit in units if unit.follow_links or not unit.deep]
        found = put_together(explore(unit, self._look.data) for unit in here)
        pieces = [
            Piece(paths=[spot.path for spot in part]) for part in split(found.spots, self._parts)
        ]
        below = [Piece(unit=unit) for unit in units if unit not in here]
        return [*pieces, *below, Piece(troubles=found.troubles)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Rows of a piece, some checkpoints at a time."""
        assert isinstance(partition, Piece)
        paths, troubles = partition.paths, partition.troubles
        if partition.unit is not None:
            found = explore(partition.unit, self._look.data)
            paths, troubles = [spot.path for spot in found.spots], found.troubles
        if troubles is not None and self._table == "findings":
            yield from self._batches(troubles)
        for i in range(0, len(paths), STEP):
            yield from self._batches(rows_of(paths[i : i + STEP], self._table, self._look))

    def _batches(self, rows: pa.Table) -> list[pa.RecordBatch]:
        return rows.select(self._columns).cast(self._schema).to_batches()


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
    """Indexes every checkpoint below some directories with the executors of a Spark cluster.

    The rows are those of :func:`tensorbundle.catalog.index`, and so is the rule for a second run:
    what is as it was is not read again, what is gone is dropped.

    Args:
        roots: directories, or checkpoints; all nodes must see them under these names.
        output: a directory, which all nodes must see, too: in it ``checkpoints/*.parquet``,
            ``tensors/*.parquet``, ``findings/*.parquet`` and ``stats/*.parquet``.
        address: the URL of a master. Without, the active session is used, or what
            ``spark-submit`` says, or one on this machine; a session that was not there ends with
            the call. Spark Connect has no such jobs.
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
        ValueError: an output that is no directory, by its ending; an address, and a session with
            another one is active.
    """
    active = SparkSession.getActiveSession()
    context = (active or _start(address)).sparkContext
    if active is not None and address not in (None, context.master):
        raise ValueError(f"{address}: a session of {context.master} is active: stop it first")
    try:
        look = Look(verify, stats, mmap)
        return _index(roots, output, _Spark(context), look, follow_links, progress, storage_options)
    except Py4JJavaError as error:
        raise CheckpointError(
            f"{os.fspath(output)}: Spark could not do it, the old data set is whole, and the next "
            f"run goes on: {error}"
        ) from error
    finally:
        if active is None:
            context.stop()


def _start(address: str | None) -> SparkSession:
    """A session. On this machine, too, a task is tried four times, and with this Python."""
    builder = SparkSession.builder.appName("tensorbundle index")
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit has said where
    if address is None and not submitted:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        address = "local[*,4]"
        builder = builder.config("spark.ui.enabled", "false")
    return (builder.master(address) if address else builder).getOrCreate()


class _Spark:
    """A cluster: calls are tasks of one job each, and Spark makes them again."""

    def __init__(self, context: SparkContext) -> None:
        self._context = context
        self.slots = context.defaultParallelism

    def map(
        self, function: Callable[[T], R], items: Sequence[T], told: Callable[[int], object]
    ) -> list[R]:
        if not items:
            return []
        group = uuid4().hex

        def work() -> list[R]:
            self._context.setJobGroup(group, "tensorbundle")
            return self._context.parallelize(items, len(items)).map(function).collect()

        with ThreadPoolExecutor(1) as pool:
            results = pool.submit(work)
            try:
                while not wait([results], TICK).done:
                    told(self._done(group))
            except BaseException:
                self._context.cancelJobGroup(group)
                raise
        told(len(items))
        return results.result()

    def _done(self, group: str) -> int:
        """How many tasks of a job have ended."""
        tracker: Any = self._context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        return sum(stage.numCompletedTasks for stage in stages if stage)


def _schema(table: str) -> StructType:
    fields: list[Any] = list(rows_of((), table, Look()).schema)
    return StructType([StructField(field.name, TYPES[str(field.type)]) for field in fields])


def _is_true(options: Mapping[str, str], name: str, default: bool = False) -> bool:
    value = options.get(name, str(default)).lower()
    if value not in ("true", "false"):
        raise ValueError(f"option {name}: true or false, not {value}")
    return value == "true"
