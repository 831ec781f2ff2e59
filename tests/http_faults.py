"""What servers do wrong, as faults of `http_store`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from http_store import Request


class Fails:
    """A fault of the first requests for some file."""

    def __init__(self, times: int, what: Any, path: str = ".index", method: str = "GET") -> None:
        self.left = times
        self.what = what
        self.path = path
        self.method = method
        self.lock = threading.Lock()

    def __call__(self, request: Request, handler: Any) -> bool:
        if self.path not in request.path or request.method != self.method:
            return False
        with self.lock:
            if self.left <= 0:
                return False
            self.left -= 1
        self.what(request, handler)
        return True


def status(code: int, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request, handler: handler.refuse(code, names)


def _file(request: Request, handler: Any) -> Path:
    folder: Path = handler.store.folder
    return folder / request.path.lstrip("/")


def short(request: Request, handler: Any) -> None:
    """Promises more than it sends."""
    handler.give(request, _file(request, handler), promise=7)
    handler.close_connection = True


def fewer(request: Request, handler: Any) -> None:
    """Sends fewer bytes than were asked for, and says so."""
    assert request.range is not None
    first, end = request.range
    request.range = first, end - 3
    handler.give(request, _file(request, handler))


def reset(_request: Request, handler: Any) -> None:
    handler.reset()


PASSING = [
    *(pytest.param(status(code), id=str(code)) for code in (429, 500, 502, 503, 504)),
    pytest.param(status(503, Retry_After="0"), id="retry-after"),
    pytest.param(short, id="short"),
    pytest.param(fewer, id="fewer"),
    pytest.param(reset, id="reset"),
]
