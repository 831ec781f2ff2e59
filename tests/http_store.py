"""An HTTP server on the loopback: files of a folder, and what can go wrong with servers."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Request:
    """What was asked, and how many bytes were sent."""

    method: str
    path: str
    range: tuple[int, int] | None
    query: str
    headers: dict[str, str]
    sent: int = 0


@dataclass
class Behaviour:
    """How the server behaves, and what it was asked. Change it at any time."""

    folder: Path
    ranges: bool = True
    head: bool = True
    etags: bool = True
    listings: bool = True
    latency: float = 0.0
    bandwidth: float = 0.0
    """Bytes a second, of all connections together; 0 is as fast as it goes."""
    fault: Callable[[Request, Any], bool] | None = None
    """Answers a request in another way, and says so by giving true."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """Files that are not in the folder, or other than there."""
    requests: list[Request] = field(default_factory=list)
    busy: threading.Lock = field(default_factory=threading.Lock)
    free: float = 0.0
    url: str = ""

    def clear(self) -> None:
        self.requests.clear()

    def sent(self) -> int:
        return sum(each.sent for each in self.requests)


@contextmanager
def serve(folder: Path, **how: Any) -> Iterator[Behaviour]:
    """Serves a folder while the block runs."""
    behaviour = Behaviour(folder, **how)

    class Handler(_Handler):
        store = behaviour

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # connections that the test breaks

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    behaviour.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield behaviour
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    store: Behaviour
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        store = self.store
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        request = Request(self.command, path, self._range(), parts.query, dict(self.headers))
        store.requests.append(request)
        if store.latency:
            time.sleep(store.latency)
        if store.fault is not None and store.fault(request, self):
            return
        if self.command == "HEAD" and not store.head:
            self.refuse(405)
            return
        file = store.folder / path.lstrip("/")
        data = store.contents.get(path)
        if data is None and file.is_dir():
            self._list(request, path, file)
        elif data is None and not file.is_file():
            self.refuse(404)
        else:
            self.give(request, file if data is None else data)

    def _range(self) -> tuple[int, int] | None:
        said = self.headers.get("Range")
        if said is None:
            return None
        first, _, last = said.removeprefix("bytes=").partition("-")
        return int(first), int(last) + 1

    def give(self, request: Request, data: bytes | Path, *, promise: int = 0) -> None:
        """The file, or the part that is wanted; with ``promise``, so many bytes fewer than said."""
        if isinstance(data, Path):
            size, tag = data.stat().st_size, f"{data.stat().st_size}-{data.stat().st_mtime_ns}"
        else:
            size, tag = len(data), hashlib.sha256(data).hexdigest()[:16]
        first, end, status = 0, size, 200
        extra: dict[str, str] = {}
        if request.range is not None and self.store.ranges:
            first, end = request.range[0], min(request.range[1], size)
            if first >= size:
                self.refuse(416, {"Content-Range": f"bytes */{size}"})
                return
            status = 206
            extra["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        if isinstance(data, Path):
            with data.open("rb") as file:
                file.seek(first)
                body = b"" if self.command == "HEAD" else file.read(end - first)
        else:
            body = data[first:end]
        if self.store.etags:
            extra["ETag"] = f'"{tag}"'
        extra["Last-Modified"] = formatdate(1_000_000_000, usegmt=True)
        extra["Content-Length"] = str(end - first)
        self.send(status, body, extra, promise)
        if self.command == "GET":
            request.sent += len(body)

    def send(self, status: int, body: bytes, headers: dict[str, str], promise: int = 0) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        body = body[: len(body) - promise]
        if not self.store.bandwidth:
            self.wfile.write(body)
            return
        for at in range(0, len(body), 1 << 20):
            part = body[at : at + (1 << 20)]
            with self.store.busy:
                free = max(self.store.free, time.monotonic())
                free = self.store.free = free + len(part) / self.store.bandwidth
            time.sleep(max(free - time.monotonic(), 0))
            self.wfile.write(part)

    def refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send(status, b"no", headers or {})

    def reset(self) -> None:
        """Breaks the connection off."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _list(self, request: Request, path: str, folder: Path) -> None:
        if not path.endswith("/"):
            self.refuse(301, {"Location": f"{path}/"})
        elif not self.store.listings:
            self.refuse(403)
        else:
            names = [f"{each.name}/" if each.is_dir() else each.name for each in folder.iterdir()]
            links = "".join(f'<li><a href="{name}">{name}</a></li>\n' for name in sorted(names))
            page = f"<html><body><ul>\n{links}</ul></body></html>".encode()
            self.send(200, page, {"Content-Type": "text/html"})
            request.sent += len(page)
