from __future__ import annotations

import hashlib
import random
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.artifacts import Artifact, Outcome, Store
from headrace.artifacts.sources import source_path
from headrace.corpus.sources import object_store, remote
from headrace.corpus.sources.inputs import open_download, open_input
from headrace.corpus.sources.remote import BrokenTransferError, Patience
from headrace.errors import ConfigError, HeadraceError, MissingInputError, ServerUnavailableError

CONTENT = random.Random(2).randbytes(100_000)

Put = Callable[[str, bytes], None]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PATIENCE", Patience(max_failures=3, sleep=lambda _: None))
    monkeypatch.setattr(object_store, "RANGE_BYTES", 30_000)
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def s3(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Put:
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEYOFTHETEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "TOPSECRET")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")

    def put(name: str, content: bytes) -> None:
        client.put_object(Bucket="bucket", Key=name, Body=content)

    return put


@pytest.fixture(scope="module")
def gcs_url() -> Iterator[str]:
    from gcp_storage_emulator.server import create_server

    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@pytest.fixture
def gs(gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> Put:
    import httpx

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_url)
    monkeypatch.setenv("FSSPEC_GS_TOKEN", "anon")
    httpx.post(f"{gcs_url}/storage/v1/b", json={"name": "bucket"})

    def put(name: str, content: bytes) -> None:
        httpx.post(
            f"{gcs_url}/upload/storage/v1/b/bucket/o",
            params={"uploadType": "media", "name": name},
            content=content,
        ).raise_for_status()

    return put


@pytest.fixture(params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest) -> tuple[str, Put]:
    """A URL's beginning, and how to put a file there."""
    return f"{request.param}://bucket", request.getfixturevalue(request.param)


def only_file(artifact: Artifact) -> bytes:
    (entry,) = artifact.manifest.files
    return (artifact.path / entry.name).read_bytes()


def test_an_object_is_fetched_once(store: Store, bucket: tuple[str, Put]) -> None:
    url, put = bucket
    put("code/a.json.gz", CONTENT)
    first = open_download(store, f"{url}/code/a.json.gz")
    assert [entry.name for entry in first.artifact.manifest.files] == ["a.json.gz"]
    assert only_file(first.artifact) == CONTENT
    assert open_download(store, f"{url}/code/a.json.gz").outcome is Outcome.HIT
    put("code/a.json.gz", CONTENT[::-1])
    second = open_download(store, f"{url}/code/a.json.gz").artifact
    assert second.key != first.artifact.key
    assert only_file(second) == CONTENT[::-1]
    for path in store.root.rglob("*"):
        assert not path.is_file() or b"TOPSECRET" not in path.read_bytes()


def test_blanks_in_names(store: Store, s3: Put) -> None:
    s3("a b  c.txt", b"x")
    artifact = open_download(store, "s3://bucket/a b  c.txt").artifact
    assert [entry.name for entry in artifact.manifest.files] == ["a b  c.txt"]


def test_an_empty_object(store: Store, s3: Put) -> None:
    s3("empty", b"")
    assert only_file(open_download(store, "s3://bucket/empty").artifact) == b""


def test_patterns_and_folders(store: Store, bucket: tuple[str, Put]) -> None:
    url, put = bucket
    for name in ("p/b.json.gz", "p/a.json.gz", "p/sub/c.json.gz", "p/readme.txt", "q/a.json.gz"):
        put(name, name.encode())
    folder = source_path(open_input(store, f"{url}/p/*.json.gz").artifact)
    assert sorted(path.name for path in folder.iterdir()) == ["a.json.gz", "b.json.gz"]
    folder = source_path(open_input(store, f"{url}/p/").artifact)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"a.json.gz", "b.json.gz", "readme.txt", "sub/c.json.gz"}
    with pytest.raises(MissingInputError, match="at least one file"):
        open_input(store, f"{url}/p/*.parquet")


def test_what_is_not_there(store: Store, bucket: tuple[str, Put]) -> None:
    url, put = bucket
    put("a", b"a")
    for text in (f"{url}/absent", f"{url}x/absent", f"{url}x/absent/"):
        with pytest.raises(HeadraceError) as caught:
            open_download(store, text)
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, MissingInputError), caught.value
    with pytest.raises(ConfigError, match="checksum"):
        open_download(store, f"{url}/*#md5={'0' * 32}")


def test_a_checksum_and_a_broken_read(
    store: Store, bucket: tuple[str, Put], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, put = bucket
    put("sum", CONTENT)
    asked: list[tuple[int, int]] = []
    original = object_store.ObjectStore._chunks

    def breaking(self: Any, url: str, start: int, info: Any) -> Iterator[bytes]:
        asked.append((start, info.num_bytes))
        for number, chunk in enumerate(original(self, url, start, info)):
            if number == 1 and len(asked) < 3:
                raise BrokenTransferError("the connection is gone")
            yield chunk

    monkeypatch.setattr(object_store.ObjectStore, "_chunks", breaking)
    text = f"{url}/sum#sha1={hashlib.sha1(CONTENT).hexdigest()}"
    assert only_file(open_download(store, text).artifact) == CONTENT
    assert asked == [(0, 100_000), (30_000, 100_000), (60_000, 100_000)]


def test_a_change_midway(
    store: Store, bucket: tuple[str, Put], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, put = bucket
    put("moving", CONTENT)
    original = object_store.ObjectStore._chunks
    rounds = []

    def changing(self: Any, url: str, start: int, info: Any) -> Iterator[bytes]:
        rounds.append(start)
        for chunk in original(self, url, start, info):
            yield chunk
            if len(rounds) == 1:
                put("moving", CONTENT[::-1])

    monkeypatch.setattr(object_store.ObjectStore, "_chunks", changing)
    assert only_file(open_download(store, f"{url}/moving").artifact) == CONTENT[::-1]


def test_no_credentials(
    store: Store, moto_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(MissingInputError, match="AWS_ACCESS_KEY_ID"):
        open_download(store, "s3://bucket/a")


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_package_that_is_not_installed(
    store: Store, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setitem(sys.modules, {"s3": "s3fs", "gs": "gcsfs"}[kind], None)
    with pytest.raises(ConfigError, match=rf"headrace\[{kind}\]"):
        open_download(store, f"{kind}://bucket/a")


def test_a_store_that_is_away(store: Store, s3: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ServerUnavailableError, match="cannot be reached"):
        open_download(store, "s3://bucket/a")


def test_local_files_by_url(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_bytes(CONTENT)
    artifact = open_download(store, (tmp_path / "a b.txt").as_uri()).artifact
    assert [entry.name for entry in artifact.manifest.files] == ["a b.txt"]
    assert only_file(artifact) == CONTENT
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(MissingInputError):
            open_download(store, path.as_uri())
