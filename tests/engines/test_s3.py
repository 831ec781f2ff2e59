"""S3, by a server of its interface on this machine: the suite of reading, and what can happen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import object_stores
import pytest
import s3fs
from botocore.exceptions import ClientError
from object_stores import (  # noqa: F401 - the same tests, of these stores
    data_file,
    quiet,
    test_a_busy_store_is_asked_again,
    test_a_large_index_that_is_replaced,
    test_a_store_that_stays_busy_is_an_error,
    test_an_object_that_is_gone,
    test_an_object_that_is_replaced_is_an_error,
    test_an_object_that_shrinks_is_an_error,
    test_listing_takes_few_requests,
    test_options_are_for_the_store_and_for_nobody_else,
    test_ray_indexes_a_store,
    test_spark_indexes_a_store,
    test_the_command_line,
    test_the_command_line_takes_options,
    test_what_is_refused,
    test_whole_objects,
)
from s3_environment import S3

from test_remote import (  # noqa: F401 - the same tests, of these stores
    test_a_directory,
    test_catalogs,
    test_every_tensor,
    test_graphs,
    test_what_else_there_is,
)

KINDS = {"head_object": "stat", "get_object": "read", "list_objects_v2": "list"}
# How s3fs tells of a status.
TOLD = {403: PermissionError(13, "Forbidden"), 404: FileNotFoundError(2, "NoSuchKey")}


class Stores(object_stores.Stores):
    """Folders by URL of a bucket."""

    scheme = "s3"
    secret = S3["AWS_SECRET_ACCESS_KEY"]
    environment = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self.options = {"key": "tester", "secret": self.secret, "endpoint_url": endpoint}
        self.fs = s3fs.S3FileSystem(**self.options, skip_instance_cache=True)
        self.fs.mkdir("models")

    def put(self, path: Path | str, data: bytes, bucket: str = "models") -> None:
        self.fs.pipe_file(f"{bucket}{path}", data)

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """What s3fs asks is noted, and may be refused."""
        real = s3fs.S3FileSystem._call_s3

        async def call(fs: Any, method: str, *lists: Any, **options: Any) -> Any:
            kind = KINDS.get(method, method)
            self.made.append((kind, str(options.get("Key", options.get("Prefix", "")))))
            status = self.fault(kind) if self.fault is not None else None
            if status is not None:
                code, answer = str(status), {"HTTPStatusCode": status}
                cause = ClientError({"Error": {"Code": code}, "ResponseMetadata": answer}, method)
                raise TOLD.get(status, OSError(16, "slow down")) from cause
            return await real(fs, method, *lists, **options)

        patch.setattr(s3fs.S3FileSystem, "_call_s3", call)


@pytest.fixture(scope="module")
def stores(endpoint: str) -> Iterator[Stores]:
    found = Stores(endpoint)
    with pytest.MonkeyPatch.context() as patch:
        found.watch(patch)
        yield found
