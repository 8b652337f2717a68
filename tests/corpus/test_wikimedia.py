from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.artifacts import Outcome, Store
from headrace.artifacts.sources import source_path
from headrace.corpus.sources import remote
from headrace.corpus.sources.inputs import open_download, open_input
from headrace.corpus.sources.remote import Patience
from headrace.corpus.sources.wikimedia import BASE_VARIABLE, dated_url, is_dump_name
from headrace.errors import CorruptInputError, MissingInputError, ServerUnavailableError
from tests.corpus.web_server import WebServer, web_server

PART_NAMES = (
    "pages-articles1.xml-p1p41242.bz2",
    "pages-articles2.xml-p41243p151573.bz2",
    "pages-articles10.xml-p151574p311329.bz2",
)


class Mirror:
    """A mirror of dumps below `/mirror` of a test's server."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        self.base = f"{server.url}/mirror"
        self.dates: dict[str, list[str]] = {}

    def add(self, wiki: str, date: str, jobs: dict[str, tuple[str, dict[str, bytes]]]) -> None:
        told: dict[str, Any] = {}
        for job, (status, files) in jobs.items():
            about = {}
            for name, content in files.items():
                full = f"{wiki}-{date}-{name}"
                self.server.serve(f"/mirror/{wiki}/{date}/{full}", content)
                about[full] = {
                    "size": len(content),
                    "url": f"/{wiki}/{date}/{full}",
                    "sha1": hashlib.sha1(content).hexdigest(),
                    "md5": hashlib.md5(content).hexdigest(),
                }
            told[job] = {"status": status, "updated": "2026-11-02 10:00:00", "files": about}
        status_file = json.dumps({"jobs": told, "version": "0.8"}).encode()
        self.server.serve(f"/mirror/{wiki}/{date}/dumpstatus.json", status_file)
        self.list(wiki, date)

    def list(self, wiki: str, date: str) -> None:
        self.dates.setdefault(wiki, []).append(date)
        links = "".join(f'<a href="{found}/">{found}/</a>\n' for found in self.dates[wiki])
        page = f'<a href="../">../</a>\n{links}<a href="latest/">latest/</a>'.encode()
        self.server.serve(f"/mirror/{wiki}/", page, chunked=True, etag="")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as found:
        yield found


@pytest.fixture
def mirror(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """Three dates of jawiki, the newest of which is being made; a larger wiki in parts."""
    monkeypatch.setattr(remote, "PATIENCE", Patience(sleep=lambda _: None))
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    found = Mirror(server)
    monkeypatch.setenv(BASE_VARIABLE, found.base + "/")
    for date, status in (("20261020", "done"), ("20261101", "done"), ("20261120", "in-progress")):
        found.add(
            "jawiki",
            date,
            {
                "articlesdump": (status, {"pages-articles.xml.bz2": f"articles {date}".encode()}),
                "articlesmultistreamdump": (
                    "done" if date == "20261020" else "waiting",
                    {
                        "pages-articles-multistream.xml.bz2": b"streams",
                        "pages-articles-multistream-index.txt.bz2": b"index",
                    },
                ),
            },
        )
    found.add(
        "enwiki",
        "20261101",
        {
            "articlesdump": ("done", {name: name.encode() for name in PART_NAMES}),
            "articlesdumprecombine": ("done", {"pages-articles.xml.bz2": b"all in one"}),
            "metacurrentdump": ("done", {"pages-meta-current.xml.bz2": b"more"}),
        },
    )
    return found


def content_of(store: Store, text: str) -> bytes:
    return source_path(open_input(store, text).artifact).read_bytes()


@pytest.mark.parametrize(
    "text", ["jawiki", "jawiki:latest", "wikimedia://jawiki", "wikimedia://jawiki/latest/articles",
             "{base}/jawiki/latest/", "{base}/jawiki/latest/jawiki-latest-pages-articles.xml.bz2"],
)  # fmt: skip
def test_latest_is_the_newest_finished_dump(
    store: Store, mirror: Mirror, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        opened = open_download(store, text.format(base=mirror.base))
    (file,) = opened.artifact.manifest.config["files"]
    assert file["url"] == f"{mirror.base}/jawiki/20261101/jawiki-20261101-pages-articles.xml.bz2"
    assert file["checksum"] == "sha1:" + hashlib.sha1(b"articles 20261101").hexdigest()
    assert "/20261101/" in opened.artifact.manifest.config["url"]
    assert "20261101" in caplog.text
    assert content_of(store, text.format(base=mirror.base)) == b"articles 20261101"


def test_all_ways_to_name_it_are_one_source(store: Store, mirror: Mirror) -> None:
    first = open_input(store, "jawiki").artifact
    for text in ("jawiki:20261101", "wikimedia://jawiki/20261101", f"{mirror.base}/jawiki/latest/"):
        opened = open_input(store, text)
        assert (opened.outcome, opened.artifact.digest) == (Outcome.HIT, first.digest)


def test_a_date_of_ones_own(store: Store, mirror: Mirror) -> None:
    assert content_of(store, "jawiki:20261020") == b"articles 20261020"
    url = f"{mirror.base}/jawiki/20261020/jawiki-20261020-pages-articles.xml.bz2"
    assert content_of(store, url) == b"articles 20261020"


def test_a_dated_dump_needs_no_network_once_it_is_there(store: Store, mirror: Mirror) -> None:
    digest = open_input(store, "jawiki").artifact.digest
    mirror.server.files.clear()
    for text in ("jawiki:20261101", f"{mirror.base}/jawiki/20261101/"):
        assert open_input(store, text).artifact.digest == digest
    with pytest.raises(MissingInputError):
        open_input(store, "jawiki")


def test_a_host_that_is_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASE_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(ServerUnavailableError, match=r"refuses|reached"):
        open_input(store, "jawiki")


def test_all_parts_are_fetched(store: Store, mirror: Mirror) -> None:
    opened = open_download(store, "enwiki")
    urls = [file["url"] for file in opened.artifact.manifest.config["files"]]
    assert urls == [f"{mirror.base}/enwiki/20261101/enwiki-20261101-{name}" for name in PART_NAMES]
    folder = source_path(open_input(store, "enwiki").artifact)
    assert {path.read_text() for path in folder.iterdir()} == set(PART_NAMES)
    whole = f"{mirror.base}/enwiki/latest/enwiki-latest-pages-articles.xml.bz2"
    assert content_of(store, whole) == b"all in one"


def test_the_index_comes_with_a_multistream_dump_when_asked(store: Store, mirror: Mirror) -> None:
    assert content_of(store, "jawiki:latest:multistream") == b"streams"
    folder = source_path(
        open_input(store, "wikimedia://jawiki/latest/multistream-with-index").artifact
    )
    assert {path.read_bytes() for path in folder.iterdir()} == {b"streams", b"index"}
    # Kinds of one date are not taken for each other.
    assert content_of(store, "jawiki:20261020:multistream") == b"streams"
    assert content_of(store, "jawiki:20261020") == b"articles 20261020"


def test_the_checksum_is_proved(store: Store, mirror: Mirror) -> None:
    path = "/mirror/jawiki/20261101/jawiki-20261101-pages-articles.xml.bz2"
    mirror.server.serve(path, b"articles 20261102")
    with pytest.raises(CorruptInputError, match="sha1"):
        open_input(store, "jawiki")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("xxwiki", "xxwiki"),
        ("jawiki:20261120", "in-progress"),
        ("jawiki:20200101", "no dump of"),
        ("enwiki:20261101:multistream", "not listed"),
        ("enwiki:latest:multistream", "none has the job"),
        ("{base}/jawiki/20261101/jawiki-20261101-absent.xml.bz2", "404"),
        ("{base}/jawiki/latest/jawiki-latest-absent.xml.bz2", "404"),
    ],
)
def test_what_is_not_there(store: Store, mirror: Mirror, text: str, words: str) -> None:
    with pytest.raises(MissingInputError, match=words) as caught:
        open_input(store, text.format(base=mirror.base))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"jobs": 1}', b'{"jobs": {"a": 1}}',
                                     b'{"jobs": {"articlesdump": {"files": []}}}'])  # fmt: skip
def test_a_broken_status_file(store: Store, mirror: Mirror, content: bytes) -> None:
    mirror.server.serve("/mirror/jawiki/20261101/dumpstatus.json", content)
    with pytest.raises(CorruptInputError, match="status file"):
        open_input(store, "jawiki:20261101")
    assert content_of(store, "jawiki") == b"articles 20261020"


def test_names_from_outside_are_not_trusted(store: Store, mirror: Mirror) -> None:
    files = {
        name: {"size": 1, "sha1": "xyz", "url": "http://elsewhere/"}
        for name in ("../../evil.bz2", "jawiki-20261101-../x-pages-articles.xml.bz2",
                     "otherwiki-20261101-pages-articles.xml.bz2")
    }  # fmt: skip
    status = {"jobs": {"articlesdump": {"status": "done", "files": files}}}
    mirror.server.serve("/mirror/jawiki/20261101/dumpstatus.json", json.dumps(status).encode())
    assert content_of(store, "jawiki") == b"articles 20261020"


def test_a_status_file_without_checksums(store: Store, mirror: Mirror) -> None:
    name = "jawiki-20261101-pages-articles.xml.bz2"
    status = {"jobs": {"articlesdump": {"status": "done", "files": {name: {}}}}}
    mirror.server.serve("/mirror/jawiki/20261101/dumpstatus.json", json.dumps(status).encode())
    opened = open_download(store, "jawiki")
    assert opened.artifact.manifest.config["files"][0]["validator"].startswith("etag:")


def test_a_mirror_that_keeps_no_dates(
    store: Store, mirror: Mirror, caplog: pytest.LogCaptureFixture
) -> None:
    mirror.server.serve("/mirror/dewiki/latest/dewiki-latest-pages-articles.xml.bz2", b"plain")
    with caplog.at_level(logging.WARNING):
        url = f"{mirror.base}/dewiki/latest/dewiki-latest-pages-articles.xml.bz2"
        assert content_of(store, url) == b"plain"
    assert "plain file" in caplog.text


@pytest.mark.parametrize("text", ["enwiki", "zh_min_nanwiki", "jawiktionary:20261101",
                                  "simplewiki:latest:multistream"])  # fmt: skip
def test_names_of_wikis(text: str) -> None:
    assert is_dump_name(text)


@pytest.mark.parametrize("text", ["wiki.xml", "data/enwiki", "EnWiki", "enwiki:2026", "articles"])
def test_other_texts(text: str) -> None:
    assert not is_dump_name(text)
    assert dated_url(text) == ""
