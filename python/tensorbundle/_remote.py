"""Files of a store that is reached by a URL: what the core asks, and how often it is asked again.

    Store      stat, list, read: by paths as users see them, without user, password and query
    a backend  the same of fsspec, HTTP or obstore, by paths of its own (`_remote_backends`)

A question is asked again when the store is busy, or an answer breaks off; never without end. What
comes out is an ``OSError`` whose text holds nothing secret.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from ._remote_kept import Kept

if TYPE_CHECKING:
    from typing import Any

    from ._remote_cache import Cache

T = TypeVar("T")

TRIES = 5
"""How often a question is asked before it fails."""

DELAY = 0.2
"""Seconds before the second time; twice as many before each further one."""

LONGEST_DELAY = 30.0
"""Seconds, whatever a server asks for."""

AT_ONCE = 16
"""So many questions are on their way at once; the threads of further ones wait."""

WHOLE_INDEX = 8 << 20
"""Bytes of an index that are read at once where each read is two requests."""

OWN = ("cache", "filesystem", "whole_files")
"""Storage options of tensorbundle, which no file system sees."""


class ReplacedError(OSError):
    """A file is not the one that was opened."""


class WholeFilesError(OSError):
    """A server has no parts of files to give, and nobody agreed to fetch whole ones."""


class BusyError(OSError):
    """To be asked again; the server may have said after how many seconds."""

    after: float | None = None


class Info(NamedTuple):
    """What a backend says of a file or directory; the size is ``None`` where listings have none."""

    name: str
    is_dir: bool
    size: int | None
    mtime_ns: int
    version: str | None


class Backend(Protocol):
    """A store by its own paths. Errors are ``OSError``; a :class:`BusyError` may pass."""

    tells_versions: bool
    """What is read comes with its version. Else each read is two requests."""

    def stat(self, path: str) -> Info: ...
    def list(self, path: str) -> list[Info]: ...
    def read(self, path: str, version: str | None, start: int, end: int) -> bytes: ...
    def pieces(self, path: str, version: str | None, start: int, end: int) -> Iterator[bytes]:
        """The same as it arrives."""
        ...

    def fetch(self, path: str, version: str | None, into: Any) -> None:
        """Writes the whole file ``into`` another."""
        ...


class _Live(NamedTuple):
    """What belongs to one process: threads and connections do not survive a fork."""

    pid: int
    backend: Backend
    lock: Lock
    slots: BoundedSemaphore


class Store:
    """A store of files, as the core wants it. Safe to share between threads and across ``fork``."""

    def __init__(self, url: str, storage_options: Mapping[str, object] | None) -> None:
        """Opens nothing yet, but says at once if the libraries for it are missing.

        Raises:
            CheckpointError: fsspec, or what it needs for this kind of URL, is not installed.
        """
        from ._remote_backends import address_of

        options = dict(storage_options or {})
        self._own = {key: options.pop(key) for key in OWN if key in options}
        self._address = address_of(url, options, self._own.get("filesystem"))
        self.path = self._address.shown
        """The path as users see it."""
        self._secrets = [*secrets_of(options), *self._address.secrets]
        self._live: _Live | None = None
        self._cache: Cache | None = None
        if self._own.get("cache"):
            from ._remote_cache import Cache

            self._cache = Cache(self._own["cache"])
        self._kept = Kept()
        self._backend()

    def has(self, path: str) -> bool:
        """Whether a path, as users see it, is in this store."""
        return path.startswith(self._address.root)

    def __reduce__(self) -> tuple[object, ...]:
        # Nothing that could be secret goes into a pickle.
        if "filesystem" in self._own:
            raise TypeError("what was opened with filesystem= does not pickle: use a URL")
        return Store, (self.path, self._own)

    def __repr__(self) -> str:
        return f"<tensorbundle.Store {self.path!r}>"

    def _backend(self) -> _Live:
        live = self._live
        if live is None or live.pid != os.getpid():
            self._kept = self._kept.after_fork()
            live = self._live = _Live(
                os.getpid(), self._address.open(), Lock(), BoundedSemaphore(AT_ONCE)
            )
        return live

    # What the core asks.

    def stat(self, path: str) -> tuple[bool, int, int, str | None]:
        """Is it a directory, its size, when it was changed, its version."""
        info = self._ask(path, lambda backend, inner: backend.stat(inner))
        return info.is_dir, info.size or 0, info.mtime_ns, info.version

    def list(self, path: str) -> list[tuple[str, bool, int | None, int, str | None]]:
        """The same of each entry of a directory, with its name."""
        entries = self._ask(path, lambda backend, inner: backend.list(inner))
        return [(e.name, e.is_dir, e.size, e.mtime_ns, e.version) for e in entries]

    def read(self, path: str, version: str | None, start: int, end: int) -> bytes:
        """Bytes of a file that has this version."""
        here = self._here(path, version)
        if here is not None:
            return bytes(here[start:end])
        try:
            return self._read(path, version, start, end)
        except WholeFilesError:
            if not self._own.get("whole_files"):
                raise
        return bytes(self._whole(path, version)[start:end])

    def pieces(self, path: str, version: str | None, start: int, end: int) -> Iterator[bytes]:
        """The same as it arrives. What breaks off goes on where it did."""
        here = self._here(path, version)
        if here is not None:
            yield bytes(here[start:end])
            return
        arriving: Iterator[bytes] | None = None

        def following(backend: Backend, inner: str) -> bytes:
            nonlocal arriving
            if arriving is None:
                arriving = backend.pieces(inner, version, start, end)
            try:
                piece = next(arriving, b"")
            except BaseException:
                arriving = None
                raise
            if not piece:
                arriving = None
                raise BusyError(5, f"the answer ends {end - start} bytes too soon")
            return piece

        while start < end:
            try:
                piece = self._ask(path, following)
            except WholeFilesError:
                piece = self.read(path, version, start, end)
            start += len(piece)
            yield piece

    def _here(self, path: str, version: str | None) -> Any:
        """The whole file, if it is on this machine, or should be."""
        kept = self._kept.get(path, version)
        if kept is not None or not path.endswith(".index"):
            return kept
        size = size_in(version)
        if version is None or not size:
            return None
        if self._cache is not None and self._cache.may_keep(version):
            found = self._cache.load(path, version, size)
            if found is None:
                found = self._read(path, version, 0, size)
                self._cache.store(path, version, found)
        elif size <= WHOLE_INDEX and not self._backend().backend.tells_versions:
            found = self._read(path, version, 0, size)
        else:
            return None
        self._kept.put(path, version, found)
        return found

    def _read(self, path: str, version: str | None, start: int, end: int) -> bytes:
        def read(backend: Backend, inner: str) -> bytes:
            found = backend.read(inner, version, start, end)
            if len(found) != end - start:
                raise BusyError(5, f"{len(found)} bytes came, want {end - start}")
            return found

        return self._ask(path, read)

    def _whole(self, path: str, version: str | None) -> Any:
        """A file that was fetched whole, once."""
        import mmap
        from tempfile import TemporaryFile

        with self._backend().lock:
            kept = self._kept.get(path, version)
            if kept is None:

                def fetch(backend: Backend, inner: str) -> Any:
                    with TemporaryFile() as file:
                        backend.fetch(inner, version, file)
                        file.flush()
                        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

                kept = self._ask(path, fetch)
                self._kept.put(path, version, kept)
            return kept

    # Asking.

    def _ask(self, path: str, question: Callable[[Backend, str], T]) -> T:
        """Asks, again where that may help. Errors are about the path as users see it."""
        inner = self._address.inner(path)
        tried = 0
        while True:
            tried += 1
            live = self._backend()
            try:
                with live.slots:
                    return question(live.backend, inner)
            except BusyError as error:
                if tried >= TRIES:
                    text = f"{self._clean(error)}; asked {tried} times"
                    raise OSError(5, text, path) from None
                delay = DELAY * 2 ** (tried - 1) * random.uniform(0.75, 1.25)
                if error.after is not None:
                    delay = max(delay, error.after)
                time.sleep(min(delay, LONGEST_DELAY))
            except OSError as error:
                raise self._shown(error, path) from None

    def _shown(self, error: OSError, path: str) -> OSError:
        """The error, of the path and without what is secret."""
        if isinstance(error, FileNotFoundError):
            return FileNotFoundError(2, os.strerror(2), path)
        known = (ReplacedError, WholeFilesError, PermissionError, NotADirectoryError)
        kinds = (*known, IsADirectoryError)
        kind = next((kind for kind in kinds if isinstance(error, kind)), OSError)
        return kind(error.errno or 5, self._clean(error), path)

    def _clean(self, error: OSError) -> str:
        return hidden(error.strerror or str(error) or type(error).__name__, self._secrets)


def hidden(text: str, secrets: Iterable[str]) -> str:
    """A text without what is secret, also as it is written within a URL."""
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, "…")
    return text


def size_in(version: str | None) -> int | None:
    """How many bytes a version has: its last word."""
    word = (version or "").rpartition(" ")[2]
    return int(word) if word.isdecimal() else None


def secrets_of(options: Mapping[str, object]) -> list[str]:
    """What of the options nobody is told: everything that is not as short as a number."""
    return [each for each in _strings(options) if len(each) > 3]


def _strings(value: Any) -> list[str]:
    """All strings in options, also those within others."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if hasattr(value, "values") else value
    nested = isinstance(value, (Mapping, list, tuple))
    return [each for one in inner for each in _strings(one)] if nested else []
