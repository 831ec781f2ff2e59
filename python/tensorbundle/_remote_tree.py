"""The files below a directory in a store."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._remote import Store


def files_below(store: Store, top: str) -> list[str]:
    """Their paths in it, sorted; none if there is no such directory."""
    found: list[str] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = store.list(f"{top}/{folder}".rstrip("/"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name, is_dir, *_ in entries:
            (folders if is_dir else found).append(f"{folder}/{name}".lstrip("/"))
    return sorted(found)
