"""Objects of a store with S3's interface, by s3fs: each answer says which version its bytes are of.

s3fs's own reading drops what the answer says beside the bytes, so that each read would need a
second request. Credentials, endpoints and retries are those of s3fs's file system.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ._remote import ReplacedError
from ._remote_answers import arriving
from ._remote_backends import Fsspec, hold, version_of

if TYPE_CHECKING:
    from typing import Any

PART = 8 << 20
"""Bytes that are held at once of an object that is fetched whole."""


class S3(Fsspec):
    """An object store, by s3fs's file system of it."""

    tells_versions = True

    def read(self, path: str, version: str | None, start: int, end: int) -> bytes:
        async def read() -> bytes:
            found = await self._get(path, version, start, end)
            try:
                return bytes(await found["Body"].read())
            finally:
                found["Body"].close()

        return self._sync(read)

    def pieces(self, path: str, version: str | None, start: int, end: int) -> Iterator[bytes]:
        body = self._sync(lambda: self._get(path, version, start, end))["Body"]
        return arriving(self._sync, body.read, body.close)

    def fetch(self, path: str, version: str | None, into: Any) -> None:
        async def fetch() -> None:
            found = await self._get(path, version)
            try:
                while part := await found["Body"].read(PART):
                    into.write(part)
            finally:
                found["Body"].close()

        into.seek(0)
        into.truncate()
        self._sync(fetch)

    async def _get(
        self, path: str, version: str | None, start: int | None = None, end: int = 0
    ) -> dict[str, Any]:
        bucket, key, own = self._fs.split_path(path)
        wanted = {} if start is None else {"Range": f"bytes={start}-{end - 1}"}
        if own is not None:
            wanted["VersionId"] = own
        found: dict[str, Any] = await self._fs._call_s3(
            "get_object", Bucket=bucket, Key=key, **wanted
        )
        total = str(found.get("ContentRange", "")).rpartition("/")[2]
        size = int(total) if total.isdecimal() else int(found["ContentLength"])
        try:
            hold(version, version_of(found.get("ETag"), None, size))
        except ReplacedError:
            found["Body"].close()
            raise
        return found
