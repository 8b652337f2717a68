"""The pages stage: shards, drops, resumption."""

from __future__ import annotations

import bz2
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dump_building import ENGLISH_DUMP, dump_xml, multistream_xml, page_xml

from headrace.artifacts import Artifact, ShardOutcome, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.dumps.page_shards import PageShard
from headrace.corpus.pages import PAGES, PagesConfig, SeenIds
from headrace.corpus.tables import TEMPLATES_SCHEMA
from headrace.errors import ConfigError, CorruptInputError, TooManyDropsError


@pytest.fixture
def write(tmp_path: Path, store: Store) -> Callable[..., Artifact]:
    def run(*pages: str, **settings: object) -> Artifact:
        path = tmp_path / "dump.xml"
        path.write_text(dump_xml(*pages), encoding="utf-8")
        source = open_source(store, path).artifact
        return store.open_or_build(PAGES, PagesConfig(**settings), {"source": source}).artifact

    return run


def rows(artifact: Artifact) -> list[list[int]]:
    return [pq.read_table(path)["id"].to_pylist() for path in artifact.files("pages-*.parquet")]


def test_shards_are_cut_by_bytes_of_text_and_late_drops_are_counted(
    write: Callable[..., Artifact],
) -> None:
    pages = [page_xml(number, text="x" * 40) for number in range(1, 6)]
    artifact = write(*pages, page_xml(9, ns=4), page_xml(8, ns=4), shard_bytes=80)
    assert rows(artifact) == [[1, 2], [3, 4], [5]]
    assert artifact.counts["records_in"] == 7
    assert artifact.counts["rows"] == 5
    assert artifact.dropped == {"namespace_4": 2}


def test_schema_and_site(write: Callable[..., Artifact]) -> None:
    artifact = write(page_xml(5, "A", "b"))
    table = pq.read_table(artifact.file("pages-00000.parquet"))
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("id", "int64"), ("revid", "int64"), ("title", "string"), ("text", "string"),
        ("offset", "int64"),
    ]  # fmt: skip
    assert table.schema.metadata is None
    assert json.loads(artifact.file("siteinfo.json").read_bytes()) == {
        "base": "https://xx.example.org/wiki/Main",
        "dbname": "xxwiki",
        "lang": "de",
        "namespaces": {"0": "", "10": "Vorlage", "12": "Hilfe"},
        "sitename": "Wikipedia",
    }


def test_bad_pages_go_to_quarantine_and_the_rest_goes_on(write: Callable[..., Artifact]) -> None:
    artifact = write(page_xml(1), page_xml(None, "Broken"), page_xml(3))
    assert rows(artifact) == [[1, 3]]
    assert artifact.quarantined == {"malformed_page": 1}
    line = json.loads((artifact.path / "quarantine/pages-00000.jsonl").read_text())
    assert line["reason"] == "malformed_page"
    assert line["offset"] > 0
    assert "Broken" in line["excerpt"]


def test_too_many_bad_pages_fail_the_stage(write: Callable[..., Artifact]) -> None:
    with pytest.raises(TooManyDropsError):
        write(page_xml(1), page_xml(None), page_xml(None), page_xml(4))
    with pytest.raises(TooManyDropsError):
        write(page_xml(1), page_xml(None), max_quarantined_fraction=0)


def test_dump_without_an_article_is_refused_with_what_it_holds(
    write: Callable[..., Artifact],
) -> None:
    with pytest.raises(CorruptInputError, match="namespace_4 1") as caught:
        write(page_xml(1, ns=4), page_xml(2, extra="<redirect/>"))
    assert "redirect 1" in str(caught.value)
    with pytest.raises(CorruptInputError):
        write()


def test_directory_is_no_dump(tmp_path: Path, store: Store) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("x")
    source = open_source(store, tmp_path / "folder").artifact
    with pytest.raises(ConfigError, match="directory"):
        store.open_or_build(PAGES, PagesConfig(), {"source": source})


def test_interrupted_or_damaged_run_ends_in_the_same_bytes(
    make_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = PagesConfig(shard_bytes=1 << 20)
    first = make_store(home="a")
    source = open_source(first, ENGLISH_DUMP).artifact
    artifact = first.open_or_build(PAGES, config, {"source": source}).artifact
    assert len(artifact.files("pages-*.parquet")) == 6

    second = make_store(home="b")
    source = open_source(second, ENGLISH_DUMP).artifact
    original, calls = PageShard.write, []

    def fail_at_third(shard: PageShard, *args: object, **named: object) -> ShardOutcome:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(shard, *args, **named)

    monkeypatch.setattr(PageShard, "write", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        second.open_or_build(PAGES, config, {"source": source})
    again = second.open_or_build(PAGES, config, {"source": source}).artifact
    assert len(calls) == 3 + 4, "the two finished shards are not written again"
    assert again.digest == artifact.digest

    path = again.file("pages-00002.parquet")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    healed = second.open_or_build(PAGES, config, {"source": source}).artifact
    assert len(calls) == 3 + 4 + 1
    assert healed.digest == artifact.digest


def test_seen_ids_agree_with_a_set() -> None:
    seen, known = SeenIds(), set()
    for page_id in [1, 2, 2, 4095, 4096, 4097, 1, 2**62, 2**62, 0, 4096]:
        assert seen.add(page_id) == (page_id not in known)
        known.add(page_id)


def test_templates_are_kept_beside_the_articles_and_all_counts_add_up(
    write: Callable[..., Artifact],
) -> None:
    templates = [page_xml(20 + n, f"Vorlage:T{n}", "x" * 30, ns=10) for n in range(5)]
    redirect = page_xml(30, "Vorlage:R", "#REDIRECT [[Vorlage:T0]]", ns=10)
    artifact = write(
        page_xml(1), *templates, redirect, page_xml(1), page_xml(None), page_xml(2), shard_bytes=60
    )
    paths = artifact.files("templates-*.parquet")
    found = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert [(row["title"], row["redirect"]) for row in found] == [
        *((f"T{n}", "") for n in range(5)), ("R", "T0"),
    ]  # fmt: skip
    assert pq.read_schema(paths[0]).equals(TEMPLATES_SCHEMA)
    assert len(paths) == 3
    counts = artifact.counts
    assert (counts["records_in"], counts["rows"], counts["num_templates"]) == (10, 2, 6)
    left_out = sum(artifact.dropped.values()) + sum(artifact.quarantined.values())
    assert counts["records_in"] == counts["rows"] + counts["num_templates"] + left_out
    assert [number for shard in rows(artifact) for number in shard] == [1, 2]


def test_without_templates_there_is_one_empty_shard_of_them(write: Callable[..., Artifact]) -> None:
    artifact = write(page_xml(1), page_xml(2), shard_bytes=1)
    (path,) = artifact.files("templates-*.parquet")
    assert pq.read_table(path).num_rows == 0


def test_text_comes_out_of_parquet_as_it_went_in(write: Callable[..., Artifact]) -> None:
    texts = ["ж日😀\n" * 9, "plain", " a &amp; <b> "]
    artifact = write(*(page_xml(n, f"Ж{n}", text) for n, text in enumerate(texts)))
    table = pq.read_table(artifact.file("pages-00000.parquet"))
    table.validate(full=True)
    assert table["text"].to_pylist() == texts
    assert table["title"].to_pylist() == ["Ж0", "Ж1", "Ж2"]


@pytest.mark.parametrize("packed", ["bz2", "multistream"])
def test_any_number_of_workers_gives_the_same_bytes(
    packed: str, make_store: Callable[..., Store], tmp_path: Path
) -> None:
    path = ENGLISH_DUMP
    if packed == "multistream":
        text = bz2.decompress(ENGLISH_DUMP.read_bytes()).decode()
        first = text.index("<page>")
        pages = [piece + "</page>" for piece in text[first:].split("</page>")[:-1]]
        path = tmp_path / "dump.bz2"
        path.write_bytes(multistream_xml(*pages, pages_per_stream=20)[0])
    digests = set()
    for num_workers in (1, 2, 3):
        store = make_store(num_workers, home=f"home{num_workers}")
        source = open_source(store, path).artifact
        digests.add(store.open_or_build(PAGES, PagesConfig(), {"source": source}).artifact.digest)
    assert len(digests) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from headrace.artifacts import Runtime, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.dumps.dump_reader import DumpReader
from headrace.corpus.pages import PAGES, PagesConfig
from headrace.corpus.dumps.page_shards import PageShard

original, finished, limit = PageShard.add_page, [], int(sys.argv[3])

def add_page(shard, page, utf8):
    original(shard, page, utf8)
    finished.append(page)
    if len(finished) == limit:
        os.kill(os.getpid(), signal.SIGKILL)

PageShard.add_page = add_page
store = Store(Runtime(home=Path(sys.argv[1]), num_workers=2))
source = open_source(store, Path(sys.argv[2])).artifact
store.open_or_build(PAGES, PagesConfig(shard_bytes=1 << 20), {"source": source})
"""


@pytest.mark.parametrize("num_pages", [20, 70])
def test_killed_in_the_middle_only_missing_shards_are_written_again(
    num_pages: int,
    make_store: Callable[..., Store],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, home = PagesConfig(shard_bytes=1 << 20), tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(home), str(ENGLISH_DUMP), str(num_pages)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run(command, check=False, capture_output=True, env=environment)
    assert process.returncode == -signal.SIGKILL, process.stderr
    finished = {path.stem for path in home.rglob(".records/*.json")}
    assert finished

    written = []
    original = PageShard.write

    def write(shard: PageShard, *args: object, **named: object) -> ShardOutcome:
        written.append(named["number"])
        return original(shard, *args, **named)

    monkeypatch.setattr(PageShard, "write", write)
    store = make_store(home="killed")
    source = open_source(store, ENGLISH_DUMP).artifact
    artifact = store.open_or_build(PAGES, config, {"source": source}).artifact
    names = [path.stem for path in artifact.files("pages-*.parquet")]
    assert [names[number] for number in written] == sorted(set(names) - finished)

    whole = make_store(home="whole")
    source = open_source(whole, ENGLISH_DUMP).artifact
    expected = whole.open_or_build(PAGES, config, {"source": source}).artifact
    assert artifact.digest == expected.digest


PEAK = """
import resource, sys
from pathlib import Path
from headrace.artifacts import Runtime, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.pages import PAGES, PagesConfig

store = Store(Runtime(home=Path(sys.argv[1]), num_workers=2))
source = open_source(store, Path(sys.argv[2])).artifact
artifact = store.open_or_build(PAGES, PagesConfig(), {"source": source}).artifact
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, artifact.quarantined)
"""


def peak_kib(path: Path, home: Path) -> tuple[int, str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PEAK, str(home), str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    peak, _, quarantined = output.stdout.partition(" ")
    return int(peak), quarantined.strip()


def test_memory_is_flat_whatever_the_size_of_a_page_or_of_the_dump(tmp_path: Path) -> None:
    text = bz2.decompress(ENGLISH_DUMP.read_bytes())
    first, last = text.index(b"<page>"), text.rindex(b"</page>") + len(b"</page>")
    pages = [text[first:last].replace(b"<id>", b"<id>%d" % n) for n in range(1, 5)]
    huge = page_xml(5).split("Some text.")
    packer = bz2.BZ2Compressor()
    with (tmp_path / "huge").open("wb") as file:
        file.write(packer.compress(text[:first] + pages[0] + huge[0].encode()))
        for _ in range(200):
            file.write(packer.compress(b"x" * 1_000_000))
        file.write(packer.compress(huge[1].encode() + text[last:]))
        file.write(packer.flush())
    (tmp_path / "four").write_bytes(bz2.compress(text[:first] + b"".join(pages) + text[last:]))
    one, _ = peak_kib(ENGLISH_DUMP, tmp_path / "a")
    four, _ = peak_kib(tmp_path / "four", tmp_path / "b")
    with_huge, quarantined = peak_kib(tmp_path / "huge", tmp_path / "c")
    assert quarantined == "{'page_too_large': 1}"
    assert max(four, with_huge) < 1.2 * one
