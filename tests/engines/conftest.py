"""A Ray cluster and a Spark session, each of several processes; servers of S3's and GCS's APIs."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# Before an engine is imported: workers find the tests' modules, and nobody is told of the runs.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT / "tests"), str(ROOT / "tests" / "engines"), os.environ.get("PYTHONPATH", "")]
)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"  # a token would be written to the home directory
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"


# Of the engines' own code, which no change here would make go away.
IGNORED = (r"ignore::DeprecationWarning:ray\..*", r"ignore::FutureWarning:pyspark\..*")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for line in IGNORED:
            item.add_marker(pytest.mark.filterwarnings(line))


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Where S3 is; workers find it in the environment, too."""
    from moto.server import ThreadedMotoServer
    from s3_environment import S3

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**S3, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def gcs() -> Iterator[Any]:
    """Where Google Cloud Storage is; this process and others find it in their environment."""
    import fsspec
    from gs_environment import GS
    from gs_server import serve

    with serve() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in {**GS, "STORAGE_EMULATOR_HOST": server.url}.items():
            patch.setenv(name, value)
        # What fsspec makes of FSSPEC_GS_TOKEN when it is imported.
        patch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        yield server


@pytest.fixture(scope="session")
def cluster(endpoint: str, gcs: object) -> Iterator[None]:
    """Two workers at a time. Its sockets' paths must be short, so its directory is not pytest's."""
    import ray

    del endpoint, gcs  # its workers find them in the environment
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="warning",
            object_store_memory=200 << 20,
            _temp_dir=folder,
        )
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        yield
        ray.shutdown()


@pytest.fixture(scope="session")
def spark(endpoint: str, gcs: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two tasks at a time, each tried four times, as on a cluster."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.fail("Spark needs Java 17 or later, and there is no java: install it", pytrace=False)
    from pyspark.sql import SparkSession

    del endpoint, gcs  # its workers find them in the environment
    folder = tmp_path_factory.mktemp("spark")
    builder = SparkSession.builder.master("local[2,4]").appName("tests")
    settings = {
        "spark.ui.enabled": "false",
        "spark.local.dir": folder,
        "spark.sql.warehouse.dir": folder,
        "spark.driver.memory": "1g",
        "spark.ui.showConsoleProgress": "false",
    }
    for name, value in settings.items():
        builder = builder.config(name, str(value))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
