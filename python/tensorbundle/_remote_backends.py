"""Which backend a URL means, and those of fsspec's file systems and of obstore's stores.

What such a store says of a version goes into one word: its ETag, generation or time of change, and
the size. fsspec does not tell the version of the bytes that it gives: so they are held against the
file's version after they came. S3 and Google Cloud Storage have backends of their own, to which the
answer tells it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ._remote import Backend, BusyError, Info, ReplacedError, hidden, secrets_of
from ._remote_answers import BUSY
from .errors import CheckpointError

if TYPE_CHECKING:
    from typing import Any

T = TypeVar("T")

_TAGS = ("ETag", "etag", "e_tag", "generation", "md5Hash", "content_md5", "checksum")
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")


class Address(NamedTuple):
    """Where a store is: how its paths are shown, what they are called within, how it is opened."""

    shown: str
    root: str
    inner_root: str
    query: str
    secrets: list[str]
    open: Callable[[], Backend]

    def inner(self, path: str) -> str:
        """What a path that is shown is called within."""
        if os.sep != "/":
            path = path.replace(os.sep, "/")
        if not path.startswith(self.root):
            raise FileNotFoundError(2, f"it is not in the store {self.root}", path)
        path = path[len(self.root) :]
        if not self.root:  # paths of a store that was given
            path = "" if path == "." else path.removeprefix("./")
        if self.root.startswith("http"):
            path = path.replace("?", "%3F")
        return f"{self.inner_root}{path}{self.query}"


def address_of(url: str, options: Mapping[str, object], filesystem: object) -> Address:
    """The store of a URL; or of a path, if the file system is given."""
    if filesystem is not None:
        return _given(url, filesystem)
    scheme = url.rpartition("::")[2].partition("://")[0].lower()
    try:
        core: Any = import_module("fsspec.core")
    except ImportError:
        raise CheckpointError(
            f"{scheme}:// URLs need fsspec, which is not installed: "
            "pip install 'tensorbundle[remote]'"
        ) from None

    def open_fs() -> tuple[Any, str]:
        try:
            found: tuple[Any, str]
            found = core.url_to_fs(_without_query(url), use_listings_cache=False, **options)
        except ImportError as error:
            text = f"{scheme}:// URLs need a library that is not installed: {error}"
            raise CheckpointError(text) from None
        except Exception as error:  # of a library that signs in at once
            shown = hidden(str(error), secrets_of(options))
            if shown == str(error):
                raise
            raise OSError(5, f"{scheme}://: {type(error).__name__}: {shown}") from None
        return found

    if scheme in ("http", "https") and "::" not in url:
        return _http(url, open_fs)
    _, inner = open_fs()
    shown = next(each for each in url.split("::") if "://" in each)
    start = shown[: -len(inner)] if inner and shown.endswith(inner) else f"{scheme}://"
    if not shown.startswith(start) or not shown.endswith(inner):
        shown = start + inner
    return Address(shown, start, "", "", [], lambda: _of(open_fs()[0]))


def _http(url: str, open_fs: Callable[[], tuple[Any, str]]) -> Address:
    from ._remote_http import Http

    bare = _without_query(url)
    query = url[len(bare) :].partition("#")[0]
    scheme, _, rest = bare.partition("://")
    host, _, path = rest.partition("/")
    user, _, own = host.rpartition("@")
    root = f"{scheme.lower()}://{own}"
    secrets = [each for each in (query.lstrip("?"), user, user.partition(":")[2]) if each]
    return Address(
        f"{root}/{path}",
        root,
        f"{scheme.lower()}://{host}",
        query,
        secrets,
        lambda: Http(open_fs()[0]),
    )


def _without_query(url: str) -> str:
    """``?????`` is the pattern of the files of a V1 checkpoint, no query."""
    if not url.lower().startswith(("http://", "https://")):
        return url
    url = url.partition("#")[0]
    at = url.find("?")
    while at >= 0 and url.startswith("?????", at):
        at = url.find("?", at + 5)
    return url if at < 0 else url[:at]


def _given(path: str, filesystem: Any) -> Address:
    """A store that the caller opened. Paths are its own; fsspec's may have their scheme."""
    if type(filesystem).__module__.partition(".")[0] == "obstore":
        return Address(path, "", "", "", [], lambda: Obstore(filesystem))
    if not hasattr(filesystem, "cat_file"):
        kind = type(filesystem).__name__
        raise TypeError(f"filesystem must be one of fsspec or a store of obstore, not a {kind}")
    protocol = filesystem.protocol
    if "http" in ([protocol] if isinstance(protocol, str) else protocol):
        return _http(path, lambda: (filesystem, path))
    inner = str(filesystem._strip_protocol(path))
    return Address(inner, "", "", "", [], lambda: _of(filesystem))


def _of(fs: Any) -> Backend:
    library = type(fs).__module__.partition(".")[0]
    if library == "s3fs":
        from ._remote_s3 import S3

        return S3(fs)
    if library == "gcsfs":
        from ._remote_gs import Gs

        return Gs(fs)
    return Fsspec(fs)


class Fsspec:
    """Any file system of fsspec."""

    tells_versions = False

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def stat(self, path: str) -> Info:
        with told():
            return info_of(self._fs.info(path))

    def list(self, path: str) -> list[Info]:
        with told():
            found = [info_of(each) for each in self._fs.ls(path, detail=True)]
        # Some have the directory itself among its entries.
        own = path.rstrip("/").rpartition("/")[2]
        if len(found) == 1 and not found[0].is_dir and found[0].name == own:
            raise NotADirectoryError(20, os.strerror(20))
        return [each for each in found if each.name]

    def read(self, path: str, version: str | None, start: int, end: int) -> bytes:
        with told():
            found = bytes(self._fs.cat_file(path, start=start, end=end))
            now = info_of(self._fs.info(path)).version
        hold(version, now)
        return found

    def pieces(self, path: str, version: str | None, start: int, end: int) -> Iterator[bytes]:
        yield self.read(path, version, start, end)

    def fetch(self, path: str, version: str | None, into: Any) -> None:
        with told():
            into.write(self._fs.cat_file(path))
            now = info_of(self._fs.info(path)).version
        hold(version, now)

    def _sync(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What is asked by the file system's own means, on its loop."""
        sync: Any = import_module("fsspec.asyn").sync
        with told():
            found: T = sync(self._fs.loop, work)
        return found


class Obstore:
    """A store of obstore, opened by the caller."""

    tells_versions = True

    def __init__(self, store: Any) -> None:
        self._store = store
        self._library: Any = import_module("obstore")

    def stat(self, path: str) -> Info:
        obstore = self._library
        path = path.rstrip("/")
        if not path:
            return Info("", True, 0, 0, None)
        try:
            return info_of({**obstore.head(self._store, path), "name": path})
        except FileNotFoundError:
            found = obstore.list_with_delimiter(self._store, path)
            if not found["objects"] and not found["common_prefixes"]:
                raise
        return Info(path, True, 0, 0, None)

    def list(self, path: str) -> list[Info]:
        found = self._library.list_with_delimiter(self._store, path.rstrip("/"))
        if not found["objects"] and not found["common_prefixes"]:
            raise FileNotFoundError(2, os.strerror(2))
        folders = [_base(each) for each in found["common_prefixes"]]
        files = [info_of({**each, "name": each["path"]}) for each in found["objects"]]
        return [*(Info(each, True, 0, 0, None) for each in folders), *files]

    def read(self, path: str, version: str | None, start: int, end: int) -> bytes:
        with told():
            found = self._library.get(self._store, path, options={"range": (start, end)})
            hold(version, info_of({**found.meta, "name": path}).version)
            return bytes(found.bytes())

    def pieces(self, path: str, version: str | None, start: int, end: int) -> Iterator[bytes]:
        yield self.read(path, version, start, end)

    def fetch(self, path: str, version: str | None, into: Any) -> None:
        with told():
            found = self._library.get(self._store, path)
            hold(version, info_of({**found.meta, "name": path}).version)
            for part in found:
                into.write(part)


class told:  # noqa: N801 - reads like a word where it is used
    """What libraries raise, as ``OSError``: busy, if asking again may help."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, (ReplacedError, BusyError)):
            return
        if not isinstance(error, Exception):
            return
        status = _status(error)
        if status in (412, 416):
            raise ReplacedError(116, "it no longer has the bytes that are wanted")
        if status in (401, 403):
            raise PermissionError(13, f"the store answers {status}: not with these credentials")
        if status == 404:
            raise FileNotFoundError(2, os.strerror(2))
        lost = isinstance(error, (ConnectionError, TimeoutError))
        if status in BUSY or lost or type(error).__module__.startswith("aiohttp"):
            raise BusyError(5, f"{type(error).__name__}: {error}")
        if isinstance(error, OSError):
            return
        raise OSError(5, f"{type(error).__name__}: {error}")


def _status(error: Any) -> int | None:
    """The HTTP status in the error of some library, or in what caused it."""
    for each in (error, error.__cause__):
        for name in ("status", "status_code", "code"):
            found = getattr(each, name, None)
            if isinstance(found, int) or (isinstance(found, str) and found.isdecimal()):
                return int(found)
        with suppress(AttributeError, KeyError, TypeError):  # of botocore
            return int(each.response["ResponseMetadata"]["HTTPStatusCode"])
    return None


def hold(version: str | None, now: str | None) -> None:
    if version is not None and now is not None and version != now:
        raise ReplacedError(116, f"it is now {now}, and was {version}")


def _base(path: object) -> str:
    return str(path).rstrip("/").rpartition("/")[2]


def info_of(raw: Mapping[str, Any]) -> Info:
    """What an entry of a file system or an object of an API says."""
    name = _base(raw["name"])
    if raw.get("type") == "directory":
        return Info(name, True, 0, 0, None)
    size = None if raw.get("size") is None else int(raw["size"])
    tag = _first(raw, _TAGS)
    when = _microseconds(_first(raw, _TIMES))
    return Info(name, False, size, when * 1000, version_of(tag, when or None, size))


def _first(raw: Mapping[str, Any], names: Iterable[str]) -> object:
    return next((raw[name] for name in names if raw.get(name) is not None), None)


def version_of(tag: object, when: object, size: int | None) -> str | None:
    """One word for what is known of a version."""
    if tag is not None:
        tag = str(tag).removeprefix("W/").strip('"')
        return f"{tag} {size}"
    if when is not None:
        return f"{when} {size}"
    return None if size is None else f"size {size}"


def _microseconds(when: object) -> int:
    """Since 1970. The same file may have a number in one answer, and a date in another."""
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            return 0
    if isinstance(when, datetime):
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        since = when - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds
    if isinstance(when, (int, float)):
        return round(when * 10**6)
    return 0
