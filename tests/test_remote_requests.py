"""How often a store is asked, and for how many bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from http_store import Behaviour, serve
from writer import Bundle

COUNT = 40_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[Behaviour]:
    with serve(folder) as running:
        yield running
