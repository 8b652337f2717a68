"""As much of the Hugging Face hub as streaming one data set of files at the top takes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "b" * 40
DATASET = "owner/name"
API = f"/api/datasets/{DATASET}"


def entry(name: str, content: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(content), "oid": "c" * 40}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]]
    asked: ClassVar[list[str]]

    def log_message(self, *_: object) -> None:
        return

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.asked.append(path)
        match = re.fullmatch(rf"/datasets/{DATASET}/resolve/{COMMIT}/(.+)", path)
        if path in (API, f"{API}/revision/{COMMIT}", f"{API}/revision/main"):
            siblings = [{"rfilename": name} for name in self.files]
            about = {"private": False, "tags": [], "downloads": 0, "likes": 0}
            self.json(about | {"id": DATASET, "sha": COMMIT, "siblings": siblings})
        elif path == f"{API}/tree/{COMMIT}":
            self.json([entry(*item) for item in self.files.items()])
        elif path == f"{API}/paths-info/{COMMIT}":
            is_json = body.startswith(b"{")
            wanted = json.loads(body)["paths"] if is_json else parse_qs(body.decode())["paths"]
            self.json([entry(*item) for item in self.files.items() if item[0] in wanted])
        elif match:
            self.file(match[1])
        else:
            missing = "EntryNotFound" if path.startswith(f"{API}/tree/") else "RepoNotFound"
            self.answer(404, X_Error_Code=missing)

    def json(self, value: object) -> None:
        self.answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def file(self, name: str) -> None:
        content = self.files.get(name)
        if content is None:
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            return
        about = {"ETag": f'"{"c" * 40}"', "X_Repo_Commit": COMMIT, "Accept_Ranges": "bytes"}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            self.answer(200, content, **about)
            return
        start, size = int(match[1]), len(content)
        end = min(int(match[2] or size), size - 1)
        told = f"bytes {start}-{end}/{size}"
        self.answer(206, content[start : end + 1], Content_Range=told, **about)

    do_GET = do_HEAD = do_POST = handle_any


@contextmanager
def hub_server(files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve `files`; gives the hub's URL, and the paths asked for so far."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"files": files, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
