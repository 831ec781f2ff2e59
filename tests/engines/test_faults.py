"""Each engine indexes a store that fails: the rows of a local run of one that does not."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from engine_here import rows_of
from http_faults import status
from http_store import Behaviour, Request
from tensorbundle import catalog
from test_remote_catalog import COUNT, EachOnce, server, store  # noqa: F401 - fixtures

Run = Callable[[str, Path], dict[str, list[Any]]]


@pytest.fixture(params=["ray", "spark"])
def run(request: pytest.FixtureRequest) -> Run:
    request.getfixturevalue({"ray": "cluster", "spark": "spark"}[request.param])
    engine = import_module(f"tensorbundle.engines.{request.param}")

    def job(roots: str, output: Path) -> dict[str, list[Any]]:
        engine.index(roots, output)
        return rows_of(output)

    return job


@pytest.fixture
def want(server: Behaviour, tmp_path: Path) -> dict[str, list[Any]]:  # noqa: F811
    catalog.index(server.url, tmp_path / "local.parquet")
    return rows_of(tmp_path / "local.parquet")


def test_what_passes_leaves_no_trace(
    server: Behaviour,  # noqa: F811
    want: dict[str, list[Any]],
    run: Run,
    tmp_path: Path,
) -> None:
    server.fault = EachOnce()
    assert run(server.url, tmp_path / "c") == want
    assert len(server.fault.asked) > 3 * COUNT


def test_what_lasts_is_a_row_and_read_again(
    server: Behaviour,  # noqa: F811
    want: dict[str, list[Any]],
    run: Run,
    tmp_path: Path,
) -> None:
    refuse = status(500)

    def fault(request: Request, handler: Any) -> bool:
        if request.path != "/run-1/model-5.index":
            return False
        refuse(request, handler)
        return True

    server.fault = fault
    found = run(server.url, tmp_path / "c")
    lost = set(want["checkpoints"]) - set(found["checkpoints"])
    assert {row[0] for row in lost} == {f"{server.url}/run-1/model-5"}
    assert len(found["checkpoints"]) == len(want["checkpoints"])
    server.fault = None
    assert run(server.url, tmp_path / "c") == want
