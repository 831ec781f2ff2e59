"""What a path may be, wherever one is given: of this machine, or the URL of a store."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ._remote import Store

    StorageOptions = Mapping[str, object] | Store | None

# A path may hold "://" too, so only these are taken for URLs, and what fsspec has been told of.
_SCHEMES = frozenset(
    (
        "abfs", "abfss", "adl", "az", "ftp", "gcs", "gs", "hdfs", "hf", "http", "https", "memory",
        "oci", "oss", "s3", "s3a", "sftp", "smb", "ssh", "tar", "webdav", "webhdfs", "zip",
    )
)  # fmt: skip


def plain_path(path: str | os.PathLike[str]) -> str:
    """The path as a string.

    Raises:
        TypeError: it is none, or one of bytes.
        ValueError: a NUL in it, which no system has.
    """
    plain = os.fspath(path)
    if not isinstance(plain, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a path must be str or os.PathLike[str], not {type(plain).__name__}")
    if "\0" in plain:
        raise ValueError(f"a NUL in the path {plain!r}")
    return plain


def located(
    path: str | os.PathLike[str], storage_options: StorageOptions = None
) -> tuple[str, Store | None]:
    """The path as users see it, and the store that it is in; ``None`` for this machine.

    Of a URL, what could be secret (user, password, query) is left out. A ``file://`` URL is a path.

    Raises:
        TypeError, ValueError: as :func:`plain_path`; options for a path of this machine.
        CheckpointError: what it takes to read such a URL is not installed.
    """
    plain = plain_path(path)
    options: Any = storage_options
    if options is not None and not hasattr(options, "keys"):
        return plain, options  # it is open already
    if "://" in plain:
        scheme = plain.partition("://")[0].rpartition("::")[2].lower()
        if scheme in ("file", "local") and "::" not in plain:
            rest = plain.partition("://")[2]
            return rest.removeprefix("localhost") if rest.startswith("localhost/") else rest, None
        if _is_known(scheme):
            return _open(plain, options)
    if options is not None and options.get("filesystem") is not None:
        return _open(plain, options)
    if options:
        raise ValueError(f"storage_options are for URLs: {plain!r} is a path of this machine")
    return plain, None


def is_url(path: object) -> bool:
    """Whether a path is the URL of a store."""
    if not isinstance(path, str) or "://" not in path:
        return False
    return _is_known(path.partition("://")[0].rpartition("::")[2].lower())


def _open(url: str, options: Mapping[str, object] | None) -> tuple[str, Store]:
    from ._remote import Store

    store = Store(url, options)
    return store.path, store


def _is_known(scheme: str) -> bool:
    if scheme in _SCHEMES:
        return True
    import sys

    # What others registered; nothing is imported to find out.
    registry = sys.modules.get("fsspec.registry")
    return registry is not None and scheme in registry.available_protocols()


def is_dir(path: str, store: Store | None) -> bool:
    """Whether there is a directory, here or in a store."""
    if store is None:
        return os.path.isdir(path)  # noqa: PTH112
    try:
        return store.stat(path)[0]
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_file(path: str, store: Store | None) -> bool:
    """Whether there is a file, here or in a store."""
    if store is None:
        return os.path.isfile(path)  # noqa: PTH113
    try:
        return not store.stat(path)[0]
    except (FileNotFoundError, NotADirectoryError):
        return False


def file_size(path: str, store: Store | None) -> int:
    """How many bytes a file has, here or in a store."""
    return os.stat(path).st_size if store is None else store.stat(path)[1]  # noqa: PTH116


def names_in(directory: str, store: Store | None) -> list[str]:
    """The names of what a directory holds, here or in a store."""
    if store is None:
        return os.listdir(directory)  # noqa: PTH208
    return [entry[0] for entry in store.list(directory)]
