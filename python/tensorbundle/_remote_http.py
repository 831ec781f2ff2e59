"""Files of an HTTP server: ranges by GET, held against what the server says it sends.

fsspec's own reading takes whatever comes for the bytes that were asked for. Here a part must be the
right one (`_remote_answers`) and of the version that was opened. Sessions, headers and
authentication are those of fsspec's file system.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from ._remote import BusyError, Info, ReplacedError
from ._remote_answers import BUSY, arriving, check, check_part, length, patience, size_of, total
from ._remote_backends import version_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import aiohttp

T = TypeVar("T")


class Http:
    """An HTTP server, by fsspec's file system of it."""

    tells_versions = True

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def stat(self, path: str) -> Info:
        return self._sync(lambda: self._stat(path))

    def list(self, path: str) -> list[Info]:
        bare, _, query = path.partition("?")
        folder = bare.rstrip("/") + "/"
        if query:
            raise NotADirectoryError(20, "a URL with a query cannot be listed")

        async def links() -> list[str]:
            try:
                found: list[str] = await self._fs._ls_real(folder, detail=False)
            except Exception as error:
                status = getattr(error, "status", None)
                if status in (401, 403, 405):
                    raise NotADirectoryError(
                        20, f"the server does not list it ({status})"
                    ) from None
                if status in BUSY:
                    raise BusyError(5, f"the server answers {status}") from None
                raise
            return found

        entries: dict[str, Info] = {}
        for link in self._sync(links):
            name = link.removeprefix(folder)
            is_dir = name.endswith("/")
            name = name.rstrip("/")
            if name and not any(each in name for each in "/?#:"):
                entries[name] = Info(name, is_dir, 0 if is_dir else None, 0, None)
        if not entries:
            raise NotADirectoryError(20, "the server gives no list of what is in it")
        return [*entries.values()]

    def read(self, path: str, version: str | None, start: int, end: int) -> bytes:
        async def read() -> bytes:
            async with await self._part(path, version, start, end) as response:
                return bytes(await response.read())

        return self._sync(read)

    def pieces(self, path: str, version: str | None, start: int, end: int) -> Iterator[bytes]:
        response = self._sync(lambda: self._part(path, version, start, end))
        return arriving(self._sync, response.content.read, response.release)

    def fetch(self, path: str, version: str | None, into: Any) -> None:
        async def fetch() -> None:
            async with await self._get(path, {}) as response:
                check(response)
                _hold(response, version, length(response))
                async for part in response.content.iter_chunked(1 << 20):
                    into.write(part)

        into.seek(0)
        into.truncate()
        self._sync(fetch)

    # Requests.

    async def _get(
        self, path: str, headers: Mapping[str, str], method: str = "GET"
    ) -> aiohttp.ClientResponse:
        session: aiohttp.ClientSession = await self._fs.set_session()
        options: dict[str, Any] = dict(self._fs.kwargs)
        own = dict(options.pop("headers", None) or {})
        # A packed answer has other bytes and another length.
        own.update({"Accept-Encoding": "identity", **headers})
        options.setdefault("timeout", patience())
        options.setdefault("allow_redirects", True)
        return await session.request(method, self._fs.encode_url(path), headers=own, **options)

    async def _part(
        self, path: str, version: str | None, start: int, end: int
    ) -> aiohttp.ClientResponse:
        """The answer with a part of a file."""
        response = await self._get(path, {"Range": f"bytes={start}-{end - 1}"})
        try:
            check(response, of_version=True)
            _hold(response, version, size_of(response))
            check_part(response, start, end)
        except BaseException:
            response.release()
            raise
        return response

    def _sync(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        import aiohttp

        sync: Any = import_module("fsspec.asyn").sync
        try:
            found: T = sync(self._fs.loop, work)
        except (aiohttp.InvalidURL, ValueError) as error:
            raise OSError(22, f"not a URL that can be asked for: {type(error).__name__}") from None
        except (
            aiohttp.ClientConnectionError,
            aiohttp.ClientPayloadError,
            ConnectionError,
            TimeoutError,  # fsspec's own is one
        ) as error:
            raise BusyError(5, f"{type(error).__name__}: {error}") from None
        except aiohttp.ClientError as error:
            raise OSError(5, type(error).__name__) from None
        return found

    async def _stat(self, path: str) -> Info:
        bare = path.partition("?")[0]
        if bare.endswith("/"):  # by its name, also where the server does not list it
            return Info(bare.rstrip("/").rpartition("/")[2], True, 0, 0, None)
        async with await self._get(path, {}, "HEAD") as response:
            if response.status in BUSY or response.status in (404, 410):
                check(response)
            size = length(response)
            if response.status == 200 and size is not None:
                return _info(response, size)
        # Some refuse HEAD, or do not say how long the file is.
        async with await self._get(path, {"Range": "bytes=0-0"}) as response:
            whole = total(response)
            if response.status == 416 and whole is not None:
                return _info(response, whole)
            check(response)
            size = size_of(response)
            if size is None and not str(response.url.path).endswith("/"):
                raise OSError(5, "the server does not say how many bytes the file has")
            return _info(response, size or 0)


def _version(response: aiohttp.ClientResponse, size: int | None) -> str | None:
    headers = response.headers
    return version_of(headers.get("ETag"), headers.get("Last-Modified"), size)


def _hold(response: aiohttp.ClientResponse, version: str | None, size: int | None) -> None:
    now = _version(response, size)
    if version is not None and version != now:
        raise ReplacedError(116, f"it is now {now}, and was {version}")


def _info(response: aiohttp.ClientResponse, size: int) -> Info:
    name = response.url.path.rstrip("/").rpartition("/")[2]
    if response.url.path.endswith("/"):
        return Info(name, True, 0, 0, None)
    try:
        when = parsedate_to_datetime(response.headers.get("Last-Modified", ""))
        mtime_ns = int(when.timestamp()) * 10**9
    except ValueError:
        mtime_ns = 0
    return Info(name, False, size, mtime_ns, _version(response, size))
