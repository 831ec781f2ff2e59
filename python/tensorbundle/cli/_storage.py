"""``--storage-option``: what the file system of a URL is opened with."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from tensorbundle._remote import Store


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage-option",
        metavar="KEY=VALUE",
        action="append",
        type=_pair,
        dest="storage_options",
        help="of a URL: for fsspec, or cache=DIR, whole_files=true; VALUE may be JSON; repeatable",
    )


def options_of(args: argparse.Namespace, path: str | None = None) -> Mapping[str, object] | None:
    """The options that were given; of a ``path`` of this machine none."""
    from tensorbundle._paths import is_url

    if not args.storage_options or (path is not None and not is_url(path)):
        return None
    return dict(args.storage_options)


def located(args: argparse.Namespace, path: str) -> tuple[str, Store | None]:
    """A path as it is shown, and its store."""
    from tensorbundle import _paths

    return _paths.located(path, options_of(args, path))


def _pair(text: str) -> tuple[str, object]:
    import argparse

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    if value[:1] in "{[" or value in ("true", "false", "null") or value.isdecimal():
        import json

        try:
            return key, json.loads(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{key}: not JSON: {error}") from None
    return key, value


def shown(path: str) -> str:
    """A path in a line of progress: without what a query could give away."""
    from tensorbundle._paths import is_url

    return path.partition("?")[0] if is_url(path) else path
