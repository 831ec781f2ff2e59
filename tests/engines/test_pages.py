"""The pages about engines: their examples run."""

from __future__ import annotations

from pathlib import Path

import pytest

from test_docs import OF_ENGINES, ROOT, TEXTS
from test_readme import blocks, execute


@pytest.mark.usefixtures("cluster", "spark")
@pytest.mark.parametrize("page", OF_ENGINES, ids=lambda page: page.stem)
def test_the_python_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks(TEXTS[page])
    assert any(block.kind == "python" for block in found)
    monkeypatch.chdir(ROOT)
    execute(found, str(page))
