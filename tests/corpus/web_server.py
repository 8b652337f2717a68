"""A web server of the test's own process that does what real ones do on bad days."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """How one file is served.

    Attributes:
        content: its bytes.
        etag: "" for none, None for one made from the bytes.
        last_modified: header's value; "" for none.
        ranges: whether Range is understood.
        if_range: whether If-Range is.
        breaks: for each GET in turn, the number of body bytes after which the connection is cut;
            None for an undisturbed one, which all further ones are.
        statuses: for each request in turn, a status to answer with and headers; then it is served.
        told_size: Content-Length to tell instead of the true one.
        chunked: no Content-Length.
        encoding: Content-Encoding to tell.
        redirect: where to send everybody.
        on_get: called before each GET with its number from 0.
        hang_at: number of bytes after which the first GET sends no more and stays open.
    """

    content: bytes = b""
    etag: str | None = None
    last_modified: str = ""
    ranges: bool = True
    if_range: bool = True
    breaks: list[int | None] = field(default_factory=list)
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    told_size: int | None = None
    chunked: bool = False
    head: bool = True
    encoding: str = ""
    redirect: str = ""
    on_get: Callable[[int], None] | None = None
    hang_at: int | None = None
    num_gets: int = 0
    num_heads: int = 0
    num_body_bytes: int = 0
    ranges_asked: list[str] = field(default_factory=list)
    headers_seen: list[dict[str, str]] = field(default_factory=list)

    def tag(self) -> str:
        if self.etag is not None:
            return self.etag
        return f'"{hashlib.md5(self.content).hexdigest()}"'


class WebServer:
    """Serves `files` by path on a free port of the loopback."""

    def __init__(self) -> None:
        self.files: dict[str, Behaviour] = {}
        self.released = threading.Event()
        owner = self

        class Handler(_Handler):
            server_owner = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self, path: str, content: bytes = b"", **behaviour: object) -> Behaviour:
        self.files[path] = Behaviour(content=content, **behaviour)  # type: ignore[arg-type]
        return self.files[path]

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_owner: WebServer

    def log_message(self, *_: object) -> None:
        return

    def _start(self) -> Behaviour | None:
        file = self.server_owner.files.get(self.path)
        if file is None:
            self._empty(404)
            return None
        file.headers_seen.append(dict(self.headers))
        if file.redirect:
            self._empty(302, {"Location": file.redirect})
            return None
        if file.statuses:
            self._empty(*file.statuses.pop(0))
            return None
        return file

    def _empty(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        file = self._start()
        if file is None:
            return
        file.num_heads += 1
        if not file.head:
            self._empty(405)
            return
        self.send_response(200)
        self._describe(file, len(file.content))

    def _describe(self, file: Behaviour, size: int) -> None:
        if file.tag():
            self.send_header("ETag", file.tag())
        if file.last_modified:
            self.send_header("Last-Modified", file.last_modified)
        if file.encoding:
            self.send_header("Content-Encoding", file.encoding)
        if file.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header(
                "Content-Length", str(size if file.told_size is None else file.told_size)
            )
        self.end_headers()

    def do_GET(self) -> None:
        file = self._start()
        if file is None:
            return
        if file.on_get is not None:
            file.on_get(file.num_gets)
        cut = file.breaks[file.num_gets] if file.num_gets < len(file.breaks) else None
        hang = file.hang_at if file.num_gets == 0 else None
        file.num_gets += 1
        start = self._range_start(file)
        if start is None:
            return
        body = file.content[start:]
        if start:
            self.send_response(206)
            end, size = len(file.content) - 1, len(file.content)
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        else:
            self.send_response(200)
        self._describe(file, len(body))
        self._send(file, body if cut is None else body[:cut], is_cut=cut is not None, hang=hang)

    def _range_start(self, file: Behaviour) -> int | None:
        asked = self.headers.get("Range", "")
        file.ranges_asked.append(asked)
        match = re.fullmatch(r"bytes=(\d+)-", asked)
        guard = self.headers.get("If-Range")
        is_stale = file.if_range and guard and guard not in (file.tag(), file.last_modified)
        if match is None or not file.ranges or is_stale:
            return 0
        start = int(match[1])
        if start >= len(file.content):
            self._empty(416, {"Content-Range": f"bytes */{len(file.content)}"})
            return None
        return start

    def _send(self, file: Behaviour, body: bytes, *, is_cut: bool, hang: int | None) -> None:
        with suppress(OSError):
            part = body if hang is None else body[:hang]
            for at in range(0, len(part), 4096):
                piece = part[at : at + 4096]
                if file.chunked:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                else:
                    self.wfile.write(piece)
                file.num_body_bytes += len(piece)
            if file.chunked and not is_cut:
                self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
            if hang is not None:
                self.server_owner.released.wait(60)
        if is_cut or hang is not None or file.told_size is not None:
            self.close_connection = True


@contextmanager
def web_server() -> Iterator[WebServer]:
    server = WebServer()
    try:
        yield server
    finally:
        server.close()
