"""Objects of Google Cloud Storage, by gcsfs: each request names the generation that it wants.

Session, endpoint, credentials and the project to bill are those of gcsfs's file system. Requests of
its JSON API are made here, because gcsfs drops what an answer says beside the bytes, takes two
requests to tell what a path is, and asks a busy store again by itself, six times for each of ours.

A version is ``#<generation> <size>``. A read is held to it by the request (``ifGenerationMatch``)
and by the answer (``x-goog-generation``). A server of the API that says nothing of generations is
asked for them after the bytes came.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from ._remote import Info
from ._remote_answers import arriving, check, check_part, patience, size_of
from ._remote_backends import Fsspec, hold, info_of, version_of

if TYPE_CHECKING:
    from typing import Any

    import aiohttp

PART = 8 << 20
"""Bytes that are held at once of an object that is fetched whole."""

FIELDS = "name,size,updated,generation"
"""What is asked for of an object: all that is said of it can be much."""


class Gs(Fsspec):
    """Buckets, by gcsfs's file system of them."""

    tells_versions = True

    def stat(self, path: str) -> Info:
        return self._sync(lambda: self._stat(path))

    def list(self, path: str) -> list[Info]:
        if not path.strip("/"):  # the buckets of a project
            return super().list(path)
        bucket, key, _ = self._fs.split_path(path)
        key = key.rstrip("/")

        async def entries() -> list[Info]:
            known = not key
            found: list[Info] = []
            async for page in self._pages(bucket, key):
                folders: list[str] = page.get("prefixes", [])
                found += [info_of({"name": each, "type": "directory"}) for each in folders]
                for each in page.get("items", []):
                    known = True
                    if not each["name"].endswith("/"):  # else a mark that there is a directory
                        found.append(_info(each))
            if not found and not known:
                await self._object(f"{bucket}/{key}")
                raise NotADirectoryError(20, os.strerror(20))
            return [each for each in found if each.name]

        return self._sync(entries)

    def read(self, path: str, version: str | None, start: int, end: int) -> bytes:
        async def read() -> bytes:
            response, now = await self._part(path, version, start, end)
            async with response:
                found = bytes(await response.read())
            if now is None:
                hold(version, (await self._object(path)).version)
            return found

        return self._sync(read)

    def pieces(self, path: str, version: str | None, start: int, end: int) -> Iterator[bytes]:
        response, now = self._sync(lambda: self._part(path, version, start, end))
        coming = arriving(self._sync, response.content.read, response.release)
        if now is not None:
            return coming
        whole = b"".join(coming)  # nothing goes on before it is known of what it is
        hold(version, self._sync(lambda: self._object(path)).version)
        return iter([whole])

    def fetch(self, path: str, version: str | None, into: Any) -> None:
        async def fetch() -> None:
            async with await self._media(path, version, {}) as response:
                now = _hold(response, version)
                async for piece in response.content.iter_chunked(PART):
                    into.write(piece)
            if now is None:
                hold(version, (await self._object(path)).version)

        into.seek(0)
        into.truncate()
        self._sync(fetch)

    async def _stat(self, path: str) -> Info:
        bucket, key, _ = self._fs.split_path(path)
        folder = Info(path.rstrip("/").rpartition("/")[2], True, 0, 0, None)
        if key and not key.endswith("/"):
            try:
                return await self._object(path)
            except FileNotFoundError:
                pass
        async for page in self._pages(bucket, key, "1"):
            if page.get("items") or page.get("prefixes") or not key:
                return folder
        raise FileNotFoundError(2, os.strerror(2))

    # Requests.

    async def _object(self, path: str) -> Info:
        """What is known of an object, or of one generation of it if the path names one."""
        bucket, key, generation = self._fs.split_path(path)
        found = await self._json("b/{}/o/{}", bucket, key, fields=FIELDS, generation=generation)
        return _info(found)

    async def _pages(
        self, bucket: str, key: str, most: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """The listing of a directory. A page may be empty, and others follow."""
        wanted = {
            "prefix": f"{key.rstrip('/')}/" if key else None,
            "delimiter": "/",
            "maxResults": most,
            "fields": f"items({FIELDS}),prefixes,nextPageToken",
        }
        token = None
        while True:
            page = await self._json("b/{}/o", bucket, pageToken=token, **wanted)
            yield page
            token = page.get("nextPageToken")
            if not token:
                return

    async def _json(self, path: str, *names: str, **parameters: str | None) -> dict[str, Any]:
        url: str = self._fs._format_path(path, names)
        async with await self._get(url, {}, parameters) as response:
            found: dict[str, Any] = await response.json(content_type=None)
        return found

    async def _part(
        self, path: str, version: str | None, start: int, end: int
    ) -> tuple[aiohttp.ClientResponse, str | None]:
        """The answer with a part of an object, and the version that it says this is of."""
        response = await self._media(path, version, {"Range": f"bytes={start}-{end - 1}"})
        try:
            now = _hold(response, version)
            check_part(response, start, end)
        except BaseException:
            response.release()
            raise
        return response, now

    async def _media(
        self, path: str, version: str | None, headers: dict[str, str]
    ) -> aiohttp.ClientResponse:
        """The answer with the bytes of an object."""
        wanted = version[1:].partition(" ")[0] if version and version.startswith("#") else None
        response = await self._get(self._fs.url(path), headers, {"ifGenerationMatch": wanted})
        packed = response.headers.get("x-goog-stored-content-encoding", "identity")
        if packed != "identity":
            response.close()
            raise OSError(
                95,
                f"it is stored with Content-Encoding: {packed}, and the store gives no parts of "
                "such an object: upload it without",
            )
        return response

    async def _get(
        self, url: str, headers: dict[str, str], parameters: dict[str, str | None]
    ) -> aiohttp.ClientResponse:
        fs = self._fs
        session: aiohttp.ClientSession = await fs._set_session()
        response = await session.get(
            url,
            params=fs._get_params(parameters),
            # A packed answer has other bytes and another length.
            headers=fs._get_headers({"Accept-Encoding": "identity", **headers}),
            timeout=fs.requests_timeout or patience(),
        )
        try:
            if response.status == 400:
                raise OSError(5, f"the server answers 400: {await _reason(response)}")
            check(response, of_version="ifGenerationMatch" in parameters)
        except OSError:
            response.release()
            raise
        return response


async def _reason(response: aiohttp.ClientResponse) -> str:
    """What the store says of a request that it does not take."""
    try:
        said = str((await response.json(content_type=None))["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.reason or ""
    if "requester pays" in said.lower():
        said += ': open with storage_options={"requester_pays": "PROJECT"}'
    return said


def _hold(response: aiohttp.ClientResponse, version: str | None) -> str | None:
    """Which version the bytes are of, if the answer says so; not another one than is wanted."""
    generation = response.headers.get("x-goog-generation")
    if generation is None:
        return None
    now = version_of(f"#{generation}", None, size_of(response))
    hold(version, now)
    return now


def _info(found: dict[str, Any]) -> Info:
    # A generation, not an ETag: new metadata leave the bytes as they are.
    known = {name: found[name] for name in FIELDS.split(",") if name in found}
    if "generation" in known:
        known["generation"] = f"#{known['generation']}"
    return info_of(known)
