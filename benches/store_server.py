"""A simulated store: files of a folder by HTTP, as late and as slow as is asked for.

    python benches/store_server.py FOLDER [--latency 30] [--rate 100]

Prints its URL. A process of its own, so that what it does is not in the reader's way. An answer
begins after the latency; the bytes of all answers share one line of the rate. ``GET /-/`` tells how
many requests there were and how many bytes were sent since it was last asked.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_PIECE = 256 << 10


class _Line:
    """What all answers share: whoever sends waits until it is free, and as long as it takes."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free = 0.0
        self._requests = self._bytes = 0

    def send(self, size: int) -> None:
        with self._lock:
            self._bytes += size
            self._free = max(self._free, time.monotonic()) + size / self._rate
            wait = self._free - time.monotonic()
        if wait > 0:
            time.sleep(wait)

    def asked(self) -> None:
        with self._lock:
            self._requests += 1

    def told(self) -> dict[str, int]:
        with self._lock:
            counts = {"requests": self._requests, "bytes": self._bytes}
            self._requests = self._bytes = 0
        return counts


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    folder: Path
    latency: float
    line: _Line

    def log_message(self, *_args: object) -> None:
        """Nothing: it would take longer than the answers."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/-/":
            self._send(200, json.dumps(self.line.told()).encode(), {})
            return
        self.line.asked()
        time.sleep(self.latency)
        file = self.folder / path.lstrip("/")
        if file.is_dir():
            names = (f"{each.name}/" if each.is_dir() else each.name for each in file.iterdir())
            page = "".join(f'<a href="{name}">{name}</a>\n' for name in sorted(names)).encode()
            self._send(200, page if body else b"", {"Content-Type": "text/html"})
        elif not file.is_file():
            self._send(404, b"", {})
        else:
            self._file(file, body)

    def _file(self, path: Path, body: bool) -> None:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            start, end = 0, stat.st_size
            wanted = self.headers.get("Range", "").removeprefix("bytes=")
            if wanted:
                first, _, last = wanted.partition("-")
                start, end = int(first), min(int(last) + 1, end)
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(end - start))
            self.send_header("ETag", f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"')
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{stat.st_size}")
            self.end_headers()
            if not body:
                return
            for at in range(start, end, _PIECE):
                piece = os.pread(file.fileno(), min(_PIECE, end - at), at)
                self.line.send(len(piece))
                self.wfile.write(piece)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=30, help="milliseconds (default 30)")
    parser.add_argument("--rate", type=float, default=100, help="MB a second (default 100)")
    given = parser.parse_args()
    _Handler.folder = given.folder
    _Handler.latency = given.latency / 1000
    _Handler.line = _Line(given.rate * 1e6)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
