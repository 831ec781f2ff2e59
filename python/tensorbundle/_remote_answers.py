"""What an HTTP answer says: may it be asked for again, how long is the file, which part is this.

A part must be called one (206) and begin where it should; a server that sends the whole file
instead (200) is told from one that has ranges.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ._remote import BusyError, ReplacedError, WholeFilesError

if TYPE_CHECKING:
    from typing import Any

    import aiohttp

BUSY = (408, 425, 429, 500, 502, 503, 504)

CONNECT = 30.0
"""Seconds to wait for a connection."""

SILENCE = 60.0
"""Seconds to wait for the next bytes."""

PIECE = 512 << 10
"""Bytes of an answer that are worth handing on before the rest has come."""


def patience() -> aiohttp.ClientTimeout:
    """How long to wait: for a sign of life, not for all of an answer."""
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)


def check(response: aiohttp.ClientResponse, *, of_version: bool = False) -> None:
    """Raises what a status means, if it is not that of an answer.

    ``of_version``: bytes of one version of a file were asked for.
    """
    status = response.status
    if status in (200, 206):
        return
    if of_version and status in (412, 416):
        raise ReplacedError(116, "it no longer has the bytes that are wanted")
    if status in (404, 410):
        raise FileNotFoundError(2, os.strerror(2))
    if status in (401, 403):
        raise PermissionError(13, f"the server answers {status}: not with these credentials")
    if status in BUSY:
        error = BusyError(5, f"the server answers {status} {response.reason or ''}".rstrip())
        error.after = _after(response)
        raise error
    raise OSError(5, f"the server answers {status} {response.reason or ''}".rstrip())


def _after(response: aiohttp.ClientResponse) -> float | None:
    """How many seconds the server wants to be left alone."""
    from datetime import UTC, datetime

    said = response.headers.get("Retry-After", "")
    if said.isdecimal():
        return float(said)
    try:
        when = parsedate_to_datetime(said)
    except ValueError:
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)


def length(response: aiohttp.ClientResponse) -> int | None:
    """Bytes of the answer, if it says so and they are not packed."""
    if response.headers.get("Content-Encoding", "identity") not in ("", "identity"):
        return None
    said = response.headers.get("Content-Length", "")
    return int(said) if said.isdecimal() else None


def total(response: aiohttp.ClientResponse) -> int | None:
    """Bytes of the file of which the answer has a part, or none (416)."""
    said = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(said) if said.isdecimal() else None


def size_of(response: aiohttp.ClientResponse) -> int | None:
    """Bytes of the file, if the answer says so."""
    return total(response) if response.status == 206 else length(response)


def check_part(response: aiohttp.ClientResponse, start: int, end: int) -> None:
    """Raises what keeps an answer from being the part of a file that was asked for.

    Raises:
        BusyError: It is another part.
        WholeFilesError: It is all of the file, of which a part was wanted.
    """
    if response.status == 206:
        first = response.headers.get("Content-Range", "").removeprefix("bytes ")
        if first.partition("-")[0] != str(start):
            raise BusyError(5, "the server sends another part than it was asked for")
        return
    if start == 0 and length(response) == end:
        return  # all of it was wanted
    response.close()
    raise WholeFilesError(
        95,
        "the server sends only whole files, no parts of them: to fetch each file once and "
        'keep it on this machine, open with storage_options={"whole_files": True}',
    )


def arriving(
    sync: Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any],
    read: Callable[[int], Awaitable[bytes]],
    close: Callable[[], object],
) -> Iterator[bytes]:
    """The pieces of an answer; ``sync`` runs coroutines where the connection is."""

    async def end() -> None:
        close()

    try:
        while piece := sync(lambda: _piece_of(read)):
            yield piece
    finally:
        sync(end)


async def _piece_of(read: Callable[[int], Awaitable[bytes]]) -> bytes:
    """The next piece of an answer that gives as much as it has; less of it is at its end."""
    parts: list[bytes] = []
    room = PIECE
    while room and (some := await read(room)):
        parts.append(some)
        room -= len(some)
    return b"".join(parts)
