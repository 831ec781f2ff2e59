"""Whole files that a store keeps on this machine: in memory, or mapped from a temporary file.

The latest, up to some bytes of memory and some files: whoever scans a store of checkpoints comes by
each once.
"""

from __future__ import annotations

from threading import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_BYTES = 64 << 20
"""Bytes in memory, beside the latest file."""

MOST_FILES = 1024
"""Files: of those that are mapped a system has only so many to give."""


class Kept:
    """Files by path, each of one version."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str | None, Any]] = {}
        self._bytes = 0
        self._lock = Lock()

    def get(self, path: str, version: str | None) -> Any:
        """The bytes of a file; ``None`` if they are not here, or of another version."""
        kept = self._files.get(path)
        return kept[1] if kept is not None and kept[0] == version else None

    def put(self, path: str, version: str | None, data: Any) -> None:
        """Keeps a file; what is older gives way."""
        with self._lock:
            self._drop(path)
            while self._files and (self._bytes > MOST_BYTES or len(self._files) >= MOST_FILES):
                self._drop(next(iter(self._files)))
            self._files[path] = version, data
            self._bytes += _in_memory(data)

    def _drop(self, path: str) -> None:
        kept = self._files.pop(path, None)
        if kept is not None:
            self._bytes -= _in_memory(kept[1])

    def after_fork(self) -> Kept:
        """The same files, for a process in which nobody holds the lock."""
        other = Kept()
        for path, (version, data) in list(self._files.items()):
            other.put(path, version, data)
        return other


def _in_memory(data: Any) -> int:
    return len(data) if isinstance(data, bytes) else 0
