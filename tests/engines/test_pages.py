"""The pages about engines and stores: their examples run."""

from __future__ import annotations

from pathlib import Path

import pytest
from gs_server import Gcs, bucket_of

from test_docs import OF_ENGINES, OF_STORES, ROOT, TEXTS, in_store, run_page
from test_readme import blocks, execute

BUCKET = "my-models"


@pytest.mark.usefixtures("cluster", "spark")
@pytest.mark.parametrize("page", OF_ENGINES, ids=lambda page: page.stem)
def test_the_python_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks(TEXTS[page])
    assert any(block.kind == "python" for block in found)
    monkeypatch.chdir(ROOT)
    execute(found, str(page))


def fill_s3() -> None:
    import s3fs

    fs = s3fs.S3FileSystem()
    fs.mkdir(BUCKET, acl="public-read")
    for path, data in in_store().items():
        fs.pipe_file(f"{BUCKET}/{path}", data, ACL="public-read")


def fill_gcs(server: Gcs) -> None:
    bucket_of(server, BUCKET)
    for path, data in in_store().items():
        server.put(BUCKET, path, data)


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("page", OF_STORES, ids=lambda page: page.stem)
def test_a_page_about_a_store_runs(
    page: Path, gcs: Gcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.stem == "s3":
        fill_s3()
    else:
        fill_gcs(gcs)
    monkeypatch.chdir(tmp_path)
    run_page(blocks(TEXTS[page]), page, tmp_path)
