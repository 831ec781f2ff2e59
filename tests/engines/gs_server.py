"""A server of Google Cloud Storage's JSON API on the loopback: gcp-storage-emulator, completed.

The emulator keeps objects and their generations, takes uploads, lists and gives ranges. It does not
say which generation the bytes of an answer are of, knows neither preconditions nor generations that
are asked for, has no 416, no pages of listings and no decompressive transcoding, and takes no empty
object. That is done here, in front of it, as the documentation of ``objects.get``, ``objects.list``
and of transcoding says. The documentation does not list ``x-goog-generation``; the service sends it
with every download, and clients of Google's own depend on it.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.handlers.objects import _make_object_resource
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

PATH = re.compile(r"(?P<media>/download)?/storage/v1/b/(?P<bucket>[^/]+)/o(?:/(?P<key>[^/]+))?")


class Request(NamedTuple):
    """A question, and what it is: ``stat``, ``read``, ``list`` or another."""

    kind: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    """By names in lower case."""


@dataclass
class Gcs:
    """The store, how it behaves and what it was asked."""

    storage: Any
    url: str = ""
    complete: bool = True
    """False: the emulator alone answers."""
    page: int = 1000
    """Most entries in an answer of a listing."""
    fault: Callable[[Request], tuple[int, dict[str, str]] | None] | None = None
    """Refuses a question: by a status, with headers."""
    requests: list[Request] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def put(self, bucket: str, key: str, data: bytes, **metadata: str) -> None:
        """An upload by the API; what else is known of the object is set beside it."""
        if not data:  # which the emulator's uploads do not take
            known = _make_object_resource(self.url, bucket, key, None, "0", metadata)
            self.storage.create_file(bucket, key, data, known)
            return
        connection = HTTPConnection(self.url.removeprefix("http://"))
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}"
        connection.request("POST", path, data, {"Content-Type": "application/octet-stream"})
        assert connection.getresponse().status == 200
        connection.close()
        self.storage.get_file_obj(bucket, key).update(metadata)


@contextmanager
def serve() -> Iterator[Gcs]:
    """A store without buckets, while the block runs."""
    store = Gcs(Storage(use_memory_fs=True))

    class Own(Handler):
        gcs = store

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # connections that a client breaks

    server = Server(("127.0.0.1", 0), partial(Own, store.storage))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def bucket_of(store: Gcs, name: str) -> None:
    create_bucket(name, store.storage)


class Handler(RequestHandler):  # type: ignore[misc] # the emulator has no types
    gcs: Gcs
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self._extra: dict[str, str] = {}
        parts = urlsplit(self.path)
        query = {name: each[0] for name, each in parse_qs(parts.query).items()}
        found = PATH.fullmatch(parts.path)
        bucket, key = (found["bucket"], unquote(found["key"] or "")) if found else ("", "")
        headers = {name.lower(): value for name, value in self.headers.items()}
        kind = "other"
        if found:
            kind = "read" if found["media"] else "stat" if key else "list"
        request = Request(kind, key or query.get("prefix", ""), query, headers)
        self.gcs.requests.append(request)
        refused = self.gcs.fault(request) if self.gcs.fault else None
        with self.gcs.lock:
            if refused is not None:
                self._refuse(*refused)
            elif not self.gcs.complete or not found:
                super().do_GET()
            elif kind == "list":
                self._list(bucket, query)
            else:
                self._object(bucket, key, query, kind == "read")

    def do_POST(self) -> None:  # noqa: N802
        self._extra = {}
        with self.gcs.lock:
            super().do_POST()

    def end_headers(self) -> None:
        for name, value in self._extra.items():
            self.send_header(name, value)
        super().end_headers()

    def _object(self, bucket: str, key: str, query: dict[str, str], media: bool) -> None:
        try:
            known = self.storage.get_file_obj(bucket, key)
        except NotFound:
            self._refuse(404, {})
            return
        if query.get("generation", known["generation"]) != known["generation"]:
            self._refuse(404, {})
        elif query.get("ifGenerationMatch", known["generation"]) != known["generation"]:
            self._refuse(412, {})
        elif not media:
            super().do_GET()
        else:
            self._media(bucket, key, known)

    def _media(self, bucket: str, key: str, known: dict[str, Any]) -> None:
        packed = known.get("contentEncoding", "identity")
        self._extra = {
            "x-goog-generation": known["generation"],
            "x-goog-metageneration": known["metageneration"],
            "x-goog-stored-content-encoding": packed,
            "x-goog-stored-content-length": known["size"],
            "ETag": f'"{known["etag"]}"',
        }
        start = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0]
        if packed == "gzip":  # all of it is unpacked, whatever the range
            self._send(200, gzip.decompress(self.storage.get_file(bucket, key)), {})
        elif int(start) >= int(known["size"]):
            self._refuse(416, {"Content-Range": f"bytes */{known['size']}"})
        else:
            super().do_GET()

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix"), query.get("delimiter")
        try:
            items, prefixes = self.storage.get_file_list(bucket, prefix, delimiter)
        except NotFound:
            self._refuse(404, {})
            return
        named = [(each["name"], each) for each in items] + [(each, None) for each in prefixes]
        named.sort(key=lambda each: each[0])
        first = int(query.get("pageToken", "0"))
        end = first + min(int(query.get("maxResults", "1000")), self.gcs.page)
        page = named[first:end]
        answer: dict[str, Any] = {"kind": "storage#objects"}
        if end < len(named):
            answer["nextPageToken"] = str(end)
        if files := [each for _, each in page if each is not None]:
            answer["items"] = files
        if folders := [name for name, each in page if each is None]:
            answer["prefixes"] = folders
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, headers: dict[str, str]) -> None:
        said = {"error": {"code": status, "message": headers.pop("message", "no")}}
        self._send(status, json.dumps(said).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
