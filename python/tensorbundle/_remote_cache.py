"""Indexes of remote checkpoints, kept on this machine: by URL and version.

    <directory>/<hash of URL>-<hash of version>.index    index | CRC-32 | length

A file takes its name when it is complete. One whose checksum or length is wrong is not believed.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

_TAIL = 12


def default_directory() -> Path:
    """Where this user's caches are."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(base or Path.home() / ".cache") / "tensorbundle"


class Cache:
    """A directory of indexes."""

    def __init__(self, where: object) -> None:
        """``where``: a path; or ``True``, for this user's own."""
        if where is True:
            self._directory = default_directory()
        elif isinstance(where, (str, Path)):
            self._directory = Path(where)
        else:
            raise TypeError(
                f"cache must be a directory (str or Path) or True, not {type(where).__name__}"
            )

    @staticmethod
    def may_keep(version: str) -> bool:
        """Whether a version says more than a size, which a new file may have too."""
        return not version.startswith("size ")

    def _path(self, url: str, version: str) -> Path:
        own = f"{_hash(url)}-{_hash(version)}.index"
        return self._directory / own

    def load(self, url: str, version: str, size: int) -> bytes | None:
        """The index, if it is there and as it was written."""
        try:
            stored = self._path(url, version).read_bytes()
        except OSError:
            return None
        found, tail = stored[:-_TAIL], stored[-_TAIL:]
        return found if len(found) == size and tail == _tail(found) else None

    def store(self, url: str, version: str, index: bytes) -> None:
        """Keeps an index in place of older versions. A cache that cannot be written is no error."""
        path = self._path(url, version)
        with contextlib.suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._directory, suffix=".partial", delete=False) as file:
                try:
                    file.write(index)
                    file.write(_tail(index))
                    file.close()
                    Path(file.name).replace(path)
                except BaseException:
                    file.close()
                    Path(file.name).unlink(missing_ok=True)
                    raise
            for old in self._directory.glob(f"{_hash(url)}-*.index"):
                if old != path:
                    old.unlink(missing_ok=True)


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _tail(index: bytes) -> bytes:
    return zlib.crc32(index).to_bytes(4, "little") + len(index).to_bytes(8, "little")
