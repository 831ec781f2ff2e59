"""`engines`: the index job on Ray and on Spark, against the same on one machine, over the zoo."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from harness import Samples, Side, alternate
from report import Row, within
from tensorbundle import catalog
from workload import Parameters, Workload
from workloads import zoo

_NAME = "engines"
_WORKERS = 2
_ROUNDS = 5


def measure(directory: Path, parameters: Parameters) -> list[Row]:
    from tensorbundle.engines import ray as on_ray
    from tensorbundle.engines import spark as on_spark

    count = parameters["checkpoints"]
    files = list(directory.rglob("model.ckpt-*"))
    with tempfile.TemporaryDirectory(prefix=_NAME) as folder:
        ray_start = _timed(lambda: _start_ray(folder))
        spark_start = _timed(lambda: _start_spark(folder))

        def side(name: str, index: Any) -> Side:
            output = Path(folder) / f"{name}.parquet"

            def new() -> object:
                shutil.rmtree(output, ignore_errors=True)
                for old in Path(folder).glob(f"{name}.*.parquet"):
                    old.unlink()
                report = index(directory, output)
                if (report.found, report.changed, report.bad) != (count, count, 0):
                    raise SystemExit(f"{_NAME}: {name} has not read all: {report}")
                return report

            return Side(name, new)

        def again(name: str, index: Any) -> Side:
            output = Path(folder) / f"{name}.parquet"
            return Side(name, lambda: index(directory, output))

        engines = {"local": catalog.index, "ray": on_ray.index, "spark": on_spark.index}
        new = alternate([side(*engine) for engine in engines.items()], _ROUNDS, files=files)
        for name in ("ray", "spark"):
            _same_rows(Path(folder), name)
        kept = alternate([again(*engine) for engine in engines.items()], _ROUNDS, files=files)
        _stop()
    rows: list[Row] = []
    for name, title, start in (("ray", "Ray", ray_start), ("spark", "Spark", spark_start)):
        peer = "tensorbundle index"
        rows += [
            Row(
                _NAME,
                f"index {count:,} with {title}, {_WORKERS} workers",
                new[name],
                peer,
                new["local"],
                within(1.5),
            ),
            Row(_NAME, f"{title}: once more, nothing changed", kept[name], peer, kept["local"]),
            Row(_NAME, f"{title}: start and first task", start),
        ]
    return rows


def _same_rows(folder: Path, name: str) -> None:
    """The bench ends if an engine's rows are not those of the local run."""
    with duckdb.connect() as db:
        for table in ("checkpoints", "tensors", "findings", "stats"):
            sides = [
                f"SELECT * FROM read_parquet('{folder}/{name}.parquet/{table}/*.parquet')",
                f"SELECT * FROM read_parquet('{folder}/local.{table}.parquet')",
            ]
            for one, other in (sides, sides[::-1]):
                more = f"SELECT count(*) FROM ({one} EXCEPT ALL {other})"
                if db.execute(more).fetchall() != [(0,)]:
                    raise SystemExit(f"{_NAME}: the rows of {name} in {table} are others")


def _timed(call: Any) -> Samples:
    start = time.perf_counter()
    call()
    return Samples((time.perf_counter() - start,))


def _start_ray(folder: str) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_MODE"] = "disabled"
    import ray

    ray.init(
        num_cpus=_WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _temp_dir=folder,
    )
    task = ray.remote(lambda: None)
    ray.get([task.remote() for _ in range(_WORKERS)])


def _start_spark(folder: str) -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{_WORKERS},4]")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": folder,
    }.items():
        builder = builder.config(name, value)
    context = builder.getOrCreate().sparkContext
    context.setLogLevel("ERROR")
    context.parallelize(range(_WORKERS), _WORKERS).map(int).collect()


def _stop() -> None:
    import ray
    from pyspark.sql import SparkSession

    ray.shutdown()
    SparkSession.builder.getOrCreate().stop()


WORKLOAD = Workload(_NAME, zoo.parameters, zoo.make, measure, data=zoo.WORKLOAD.name)
