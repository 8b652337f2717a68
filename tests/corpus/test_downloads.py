from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.artifacts import Artifact, Outcome, Runtime, Store
from headrace.artifacts.collection import find_garbage
from headrace.artifacts.lineage import trace
from headrace.artifacts.planning import Planner
from headrace.artifacts.plans import Action
from headrace.artifacts.runs import RunRecord
from headrace.artifacts.sources import open_source, source_path
from headrace.corpus.sources import remote, transfer
from headrace.corpus.sources.inputs import (
    STALE_VARIABLE,
    download,
    open_download,
    open_input,
    plan_input,
)
from headrace.corpus.sources.remote import Patience
from headrace.errors import (
    ConfigError,
    CorruptInputError,
    HeadraceError,
    MissingInputError,
    ServerUnavailableError,
    StoreError,
)
from tests.corpus.web_server import WebServer, web_server

CONTENT = random.Random(1).randbytes(300_000)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as found:
        yield found


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made; none is."""
    made: list[float] = []
    monkeypatch.setattr(remote, "PATIENCE", Patience(sleep=made.append))
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    return made


def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def only_file(artifact: Artifact) -> bytes:
    (entry,) = artifact.manifest.files
    return (artifact.path / entry.name).read_bytes()


def test_a_file_is_fetched_once_under_its_name(store: Store, server: WebServer) -> None:
    file = server.serve("/a/b%20c.jsonl.gz", CONTENT)
    url = f"{server.url}/a/b%20c.jsonl.gz"
    first = open_download(store, url)
    assert first.outcome is Outcome.BUILT
    assert [entry.name for entry in first.artifact.manifest.files] == ["b c.jsonl.gz"]
    assert only_file(first.artifact) == CONTENT
    assert first.artifact.counts["num_bytes"] == len(CONTENT)
    assert not (first.artifact.path / ".work").exists()
    again = open_download(store, url)
    assert again.outcome is Outcome.HIT
    assert file.num_gets == 1
    assert all(seen["Accept-Encoding"] == "identity" for seen in file.headers_seen)


def test_a_changed_file_is_another_artifact(store: Store, server: WebServer) -> None:
    url = f"{server.url}/f"
    server.serve("/f", b"one")
    before = open_download(store, url).artifact
    server.serve("/f", b"two")
    after = open_download(store, url).artifact
    assert after.key != before.key
    assert only_file(after) == b"two"


def test_the_date_tells_versions_apart_where_there_is_no_etag(
    store: Store, server: WebServer
) -> None:
    url = f"{server.url}/f"
    date = "Sat, 01 Nov 2026 10:00:00 GMT"
    server.serve("/f", b"one", etag="", last_modified=date)
    open_download(store, url)
    assert open_download(store, url).outcome is Outcome.HIT
    server.serve("/f", b"two", etag="", last_modified=date.replace("10", "11"))
    assert only_file(open_download(store, url).artifact) == b"two"


@pytest.mark.parametrize("size", [0, 1, 65_536])
@pytest.mark.parametrize("chunked", [False, True])
def test_sizes_and_unknown_sizes(store: Store, server: WebServer, size: int, chunked: bool) -> None:
    server.serve("/f", CONTENT[:size], chunked=chunked)
    assert only_file(open_download(store, f"{server.url}/f").artifact) == CONTENT[:size]


def test_a_server_without_head(store: Store, server: WebServer) -> None:
    server.serve("/f", CONTENT, head=False)
    assert only_file(open_download(store, f"{server.url}/f").artifact) == CONTENT


def test_broken_connections_are_gone_on_with(
    store: Store, server: WebServer, pauses: list[float]
) -> None:
    file = server.serve("/f", CONTENT, breaks=[100_000, 0, 0, 50_000])
    artifact = open_download(store, f"{server.url}/f").artifact
    assert only_file(artifact) == CONTENT
    assert file.num_body_bytes == len(CONTENT)
    assert file.ranges_asked == ["", *["bytes=100000-"] * 3, "bytes=150000-"]
    # They grow while nothing comes, and begin anew once something came.
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses[3] < pauses[2]


@given(breaks=st.lists(st.one_of(st.none(), st.integers(0, 3000)), max_size=8))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_breaks_give_the_same_bytes(tmp_path: Path, breaks: list[int | None]) -> None:
    content = CONTENT[:5000]
    with web_server() as server:
        path = tmp_path / hashlib.md5(repr(breaks).encode()).hexdigest()
        store = Store(Runtime(home=path))
        server.serve("/f", content, breaks=[*breaks[:5], None], chunked=len(breaks) % 2 == 1)
        assert only_file(open_download(store, f"{server.url}/f").artifact) == content


def test_a_server_without_ranges_begins_anew(store: Store, server: WebServer) -> None:
    file = server.serve("/f", CONTENT, ranges=False, breaks=[100_000, 200_000])
    assert only_file(open_download(store, f"{server.url}/f").artifact) == CONTENT
    assert file.num_body_bytes == len(CONTENT) + 300_000


def test_it_ends_where_a_server_always_breaks(
    store: Store, server: WebServer, pauses: list[float]
) -> None:
    server.serve("/f", CONTENT, ranges=False, breaks=[1000] * 100)
    with pytest.raises(ServerUnavailableError, match="without progress"):
        open_download(store, f"{server.url}/f")
    assert 3 <= len(pauses) <= 10


def test_a_change_midway_starts_anew(
    store: Store, server: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    file = server.serve("/f", CONTENT, breaks=[100_000])
    changed = CONTENT[::-1]

    def change(number: int) -> None:
        if number == 1:
            file.content = changed

    file.on_get = change
    with caplog.at_level(logging.WARNING):
        artifact = open_download(store, f"{server.url}/f").artifact
    assert only_file(artifact) == changed
    assert "changed" in caplog.text
    assert hashlib.md5(changed).hexdigest() in str(artifact.manifest.config)
    assert open_download(store, f"{server.url}/f").outcome is Outcome.HIT


@pytest.mark.parametrize("if_range", [True, False])
def test_a_change_midway_with_a_known_checksum(
    store: Store, server: WebServer, if_range: bool
) -> None:
    right = CONTENT[::-1]
    file = server.serve("/f", CONTENT, breaks=[100_000], if_range=if_range)

    def change(number: int) -> None:
        if number == 1:
            file.content = right

    file.on_get = change
    url = f"{server.url}/f#sha256={sha256(right)}"
    assert only_file(open_download(store, url).artifact) == right


def test_a_file_that_never_stays_the_same(store: Store, server: WebServer) -> None:
    file = server.serve("/f", CONTENT)

    def change(number: int) -> None:
        file.etag = f'"{number}"'

    file.on_get = change
    with pytest.raises(CorruptInputError, match="3 times"):
        open_download(store, f"{server.url}/f")


def test_less_than_told_is_a_break(store: Store, server: WebServer) -> None:
    server.serve("/f", CONTENT[:1000], told_size=2000)
    with pytest.raises((ServerUnavailableError, CorruptInputError)):
        open_download(store, f"{server.url}/f")
    assert list(store.artifacts()) == []


def test_a_size_that_is_told_otherwise_is_a_change(store: Store, server: WebServer) -> None:
    file = server.serve("/f", CONTENT, etag='"same"')

    def change(number: int) -> None:
        file.content = CONTENT[:1000]

    file.on_get = change
    assert only_file(open_download(store, f"{server.url}/f").artifact) == CONTENT[:1000]


def test_retry_after_is_honoured_within_bounds(
    store: Store, server: WebServer, pauses: list[float]
) -> None:
    busy = [(503, {"Retry-After": "7"}), (429, {"Retry-After": "999999"}), (500, {})]
    server.serve("/f", CONTENT, statuses=busy)
    assert only_file(open_download(store, f"{server.url}/f").artifact) == CONTENT
    assert pauses[0] == 7
    assert 7 < pauses[1] <= 300


def test_a_server_that_stays_busy(store: Store, server: WebServer) -> None:
    server.serve("/f", CONTENT, statuses=[(503, {"Retry-After": "soon"})] * 99)
    with pytest.raises(ServerUnavailableError, match="503"):
        open_download(store, f"{server.url}/f")


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "no such file"), (410, "gone"), (401, "credentials"), (403, "refused"),
     (416, "range"), (418, "418")],
)  # fmt: skip
def test_refusals_are_told_at_once(
    store: Store, server: WebServer, pauses: list[float], status: int, words: str
) -> None:
    server.serve("/f", CONTENT, statuses=[(status, {})] * 9)
    with pytest.raises(MissingInputError, match=words) as caught:
        open_download(store, f"{server.url}/f")
    assert "\n" not in str(caught.value)
    assert pauses == []


def test_a_range_beyond_the_end_begins_anew(store: Store, server: WebServer) -> None:
    file = server.serve("/f", CONTENT, breaks=[100_000], chunked=True, etag="")
    file.statuses = []

    def shrink(number: int) -> None:
        if number == 1:
            file.content = CONTENT[:500]

    file.on_get = shrink
    url = f"{server.url}/f#md5={hashlib.md5(CONTENT[:500]).hexdigest()}"
    assert only_file(open_download(store, url).artifact) == CONTENT[:500]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{closed}/f", "refuses the connection"),
        ("http://127.0.0.1:{closed}/f#md5=" + "0" * 32, "refuses the connection"),
        ("http://no-such-host.invalid/f", "resolved|reached"),
        ("https://{host}/f", "safe connection|reached"),
    ],
)
def test_no_connection_is_told_at_once(
    store: Store, server: WebServer, pauses: list[float], url: str, words: str
) -> None:
    url = url.format(closed=closed_port(), host=server.url.removeprefix("http://"))
    with pytest.raises(HeadraceError, match=words) as caught:
        open_download(store, url)
    assert "\n" not in str(caught.value)
    assert pauses == []


def test_redirects(store: Store, server: WebServer) -> None:
    server.serve("/f", CONTENT)
    server.serve("/moved/g", redirect=f"{server.url}/f")
    artifact = open_download(store, f"{server.url}/moved/g").artifact
    assert [entry.name for entry in artifact.manifest.files] == ["g"]
    assert only_file(artifact) == CONTENT
    server.serve("/a", redirect="/b")
    server.serve("/b", redirect="/a")
    server.serve("/c", redirect="ftp://127.0.0.1/x")
    for path in ("/a", "/c"):
        with pytest.raises(MissingInputError):
            open_download(store, server.url + path)


def test_content_encoding(store: Store, server: WebServer) -> None:
    server.serve("/f.txt", CONTENT, encoding="gzip")
    with pytest.raises(CorruptInputError, match="gzip"):
        open_download(store, f"{server.url}/f.txt")
    server.serve("/f.json.gz", CONTENT, encoding="gzip")
    assert only_file(open_download(store, f"{server.url}/f.json.gz").artifact) == CONTENT


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_checksums(store: Store, server: WebServer, algorithm: str) -> None:
    digits = hashlib.new(algorithm, CONTENT).hexdigest()
    url = f"{server.url}/f#{algorithm}={digits.upper()}"
    server.serve("/f", b"other bytes")
    with pytest.raises(CorruptInputError) as caught:
        open_download(store, url)
    assert digits in str(caught.value)
    assert hashlib.new(algorithm, b"other bytes").hexdigest() in str(caught.value)
    assert list(store.root.rglob("*.part")) == []
    server.serve("/f", CONTENT)
    artifact = open_download(store, url).artifact
    assert only_file(artifact) == CONTENT
    server.files.clear()  # known by its checksum, it needs no network any more
    assert open_download(store, url).outcome is Outcome.HIT


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user:secret@host/f", "netrc"),
        ("http://host/", "file's name"),
        ("http://host", "file's name"),
        ("http:///f", "host"),
        ("http://host:port/f", "valid"),
        ("ftp://host/f", "http, https, s3, gs"),
        ("http://host/f#sha1=abc", "40 hex digits"),
        ("wikimedia://nothing", "wikimedia://<wiki>"),
        ("", "empty"),
    ],
)
def test_texts_that_are_no_url(store: Store, url: str, words: str) -> None:
    with pytest.raises((ConfigError, MissingInputError, StoreError)) as caught:
        open_input(store, url)
    assert "secret" not in str(caught.value)
    assert words in str(caught.value)


def test_secrets_are_written_nowhere(store: Store, server: WebServer) -> None:
    query = "?versionId=3&X-Amz-Signature=TOPSECRET&X-Amz-Security-Token=TOPSECRET"
    server.serve(f"/f{query}", CONTENT)
    opened = open_input(store, f"{server.url}/f{query}")
    assert source_path(opened.artifact).read_bytes() == CONTENT
    for path in store.root.rglob("*"):
        assert not path.is_file() or b"TOPSECRET" not in path.read_bytes()
    assert "versionId=3" in (store.find("download").path / "manifest.json").read_text()


def test_no_room_is_told_before_it_begins(
    store: Store, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.serve("/f", CONTENT)
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(transfer.shutil, "disk_usage", lambda _: usage(10, 9, 1))
        with pytest.raises(StoreError, match="disk is full"):
            open_download(store, f"{server.url}/f")
    assert only_file(open_download(store, f"{server.url}/f").artifact) == CONTENT


def test_a_disk_that_fills_up(
    store: Store, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.serve("/f", CONTENT)

    def full(_part: object, _chunk: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(transfer.PartFile, "write", full)
        with pytest.raises(StoreError, match="disk is full"):
            open_download(store, f"{server.url}/f")


CHILD = """
import sys
from pathlib import Path
from headrace.artifacts import Runtime, Store
from headrace.corpus.sources.inputs import open_download
open_download(Store(Runtime(home=Path(sys.argv[1]))), sys.argv[2])
"""


def test_kill_in_the_middle_and_again(tmp_path: Path, store: Store, server: WebServer) -> None:
    file = server.serve("/f", CONTENT, hang_at=180_000)
    url = f"{server.url}/f"
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store.runtime.home), url], stdin=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while sum(path.stat().st_size for path in store.root.rglob("*.part")) < 180_000:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    server.released.set()
    assert [item.stage for item in store.artifacts()] == []
    artifact = open_download(store, url).artifact
    assert only_file(artifact) == CONTENT
    assert file.num_body_bytes == len(CONTENT)
    assert file.ranges_asked[1] == "bytes=180000-"
    undisturbed = open_download(Store(Runtime(home=tmp_path / "other")), url).artifact
    assert (undisturbed.digest, undisturbed.key) == (artifact.digest, artifact.key)


def leave_part(store: Store, server: WebServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A download given up after 100,000 bytes; returns its note."""
    server.serve("/f", CONTENT, breaks=[100_000, *[0] * 50])
    with pytest.raises(ServerUnavailableError, match="kept"):
        open_download(store, f"{server.url}/f")
    (note,) = store.root.rglob("*.part.json")
    return note


def test_after_a_power_cut_only_what_was_synced_counts(
    store: Store, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = leave_part(store, server, monkeypatch)
    told = json.loads(note.read_text()) | {"boot_id": "another", "num_synced": 60_000}
    note.write_text(json.dumps(told))
    file = server.serve("/f", CONTENT)
    assert only_file(open_download(store, f"{server.url}/f").artifact) == CONTENT
    assert file.ranges_asked == ["bytes=60000-"]


@pytest.mark.parametrize("damage", ["{", "{}", '{"url": "another"}'])
def test_a_part_without_a_good_note_is_not_used(
    store: Store, server: WebServer, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    leave_part(store, server, monkeypatch).write_text(damage)
    file = server.serve("/f", CONTENT)
    assert only_file(open_download(store, f"{server.url}/f").artifact) == CONTENT
    assert file.ranges_asked == [""]


def test_a_file_changed_between_runs_starts_anew(
    store: Store, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_part(store, server, monkeypatch)
    file = server.serve("/f", CONTENT[::-1])
    assert only_file(open_download(store, f"{server.url}/f").artifact) == CONTENT[::-1]
    assert file.ranges_asked == [""]


def test_damage_is_healed_by_fetching_again(store: Store, server: WebServer) -> None:
    server.serve("/f", CONTENT)
    artifact = open_download(store, f"{server.url}/f").artifact
    (artifact.path / "f").write_bytes(b"damaged")
    healed = open_download(store, f"{server.url}/f")
    assert healed.outcome is Outcome.HEALED
    assert only_file(healed.artifact) == CONTENT


def test_several_urls_are_a_directory(store: Store, server: WebServer) -> None:
    for number in range(3):
        server.serve(f"/{number}.jsonl", b"%d" % number)
    text = " ".join(f"{server.url}/{number}.jsonl" for number in range(3))
    server.files["/2.jsonl"].statuses = [(200, {})]  # an empty answer to the HEAD is another file
    server.files["/2.jsonl"].statuses = []
    opened = open_input(store, text)
    folder = source_path(opened.artifact)
    assert sorted(path.name for path in folder.iterdir()) == ["0.jsonl", "1.jsonl", "2.jsonl"]
    with pytest.raises(ConfigError, match="one by one"):
        open_input(store, f"{server.url}/0.jsonl {server.url}/0.jsonl")


def test_the_files_of_several_are_shards_of_their_own(store: Store, server: WebServer) -> None:
    first = server.serve("/a", CONTENT)
    second = server.serve("/b", CONTENT[:5000], breaks=[1000, *[0] * 99])
    text = f"{server.url}/a {server.url}/b"
    with pytest.raises(ServerUnavailableError):
        open_download(store, text)
    second.breaks = []
    open_download(store, text)
    assert (first.num_body_bytes, second.num_body_bytes) == (len(CONTENT), 5000)


def test_reserved_names_do_no_harm(store: Store, server: WebServer) -> None:
    server.serve("/manifest.json", b"{}")
    server.serve("/.hidden", b"x")
    for name in ("manifest.json", ".hidden"):
        artifact = open_download(store, f"{server.url}/{name}").artifact
        assert store.find(artifact.key).digest == artifact.digest
        assert open_input(store, f"{server.url}/{name}").artifact.counts["rows"] == 1


def test_a_url_and_a_path_are_one_source(store: Store, server: WebServer, tmp_path: Path) -> None:
    server.serve("/f.bz2", CONTENT)
    by_url = open_input(store, f"{server.url}/f.bz2")
    assert by_url.outcome is Outcome.BUILT
    copy = tmp_path / "copy"
    copy.write_bytes(CONTENT)
    for text in (str(copy), copy.as_uri()):
        by_path = open_input(store, text)
        assert by_path.outcome is Outcome.HIT
        assert by_path.artifact.digest == by_url.artifact.digest
        assert source_path(by_path.artifact) == copy
    assert open_input(store, f"{server.url}/f.bz2").outcome is Outcome.HIT


def test_a_run_keeps_the_download_of_its_source(
    store: Store, server: WebServer, tmp_path: Path
) -> None:
    server.serve("/f", CONTENT)
    source = open_input(store, f"{server.url}/f")
    run = RunRecord(home=store.runtime.home, name="main", pipeline="p", config={})
    run.note("source", source)
    assert find_garbage(store) == []
    walked = [node.link.stage for _, node in trace(store, source.artifact).walk()]
    assert walked == ["source", "download"]
    (tmp_path / "copy").write_bytes(CONTENT)
    open_source(store, tmp_path / "copy")  # now its bytes lie elsewhere
    assert [item.path.parent.name for item in find_garbage(store)] == ["download"]


def test_a_host_that_is_away(
    store: Store, server: WebServer, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with web_server() as passing:
        passing.serve("/f", CONTENT)
        url = f"{passing.url}/f"
        digest = open_input(store, url).artifact.digest
    with pytest.raises(ServerUnavailableError, match=STALE_VARIABLE):
        open_input(store, url)
    monkeypatch.setenv(STALE_VARIABLE, "1")
    with caplog.at_level(logging.WARNING):
        assert open_input(store, url).artifact.digest == digest
    assert "last download" in caplog.text
    with pytest.raises(ServerUnavailableError, match="refuses"):
        open_input(store, url + "2")


def test_download_into_a_directory(store: Store, server: WebServer, tmp_path: Path) -> None:
    server.serve("/f.jsonl", CONTENT)
    out = tmp_path / "out"
    url = f"{server.url}/f.jsonl"
    assert download(store, url, out).outcome is Outcome.BUILT
    assert (out / "f.jsonl").read_bytes() == CONTENT
    assert (out / "manifest.json").is_file()
    assert download(store, url, out).outcome is Outcome.HIT
    source = open_input(store, str(out))
    assert source_path(source.artifact) == out / "f.jsonl"
    server.serve("/f.jsonl", b"new")
    with pytest.raises(StoreError, match="another"):
        download(store, url, out)
    local = tmp_path / "local"
    assert download(store, (out / "f.jsonl").as_uri(), local).outcome is Outcome.BUILT
    assert (local / "f.jsonl").read_bytes() == CONTENT


def test_progress_is_told_in_bytes(tmp_path: Path, server: WebServer) -> None:
    told = []
    store = Store(Runtime(home=tmp_path / "home", on_progress=told.append))
    server.serve("/f", CONTENT)
    open_download(store, f"{server.url}/f")
    assert (told[-1].done, told[-1].total, told[-1].unit) == (300_000, 300_000, "bytes")
    assert len(told) >= 2


def test_plans(store: Store, server: WebServer) -> None:
    file = server.serve("/f", CONTENT)
    planner = Planner(store)
    assert plan_input(planner, store, f"{server.url}/f", "source").digest == ""
    assert [step.action for step in planner.plan("p").steps] == [Action.RUN]
    assert file.num_gets == 0
    digest = open_input(store, f"{server.url}/f").artifact.digest
    planner = Planner(store)
    assert plan_input(planner, store, f"{server.url}/f", "source").digest == digest
    assert [step.action for step in planner.plan("p").steps] == [Action.HIT, Action.HIT]
