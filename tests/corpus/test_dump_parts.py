"""Dumps of several files, and multistream dumps with an index."""

from __future__ import annotations

import bz2
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from dump_building import SITEINFO, dump_xml, multistream_xml, page_xml

from headrace.artifacts import Artifact, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.dumps.dump_parts import find_dump_parts
from headrace.corpus.pages import PAGES, DumpReader, Page, PagesConfig
from headrace.errors import ConfigError, CorruptInputError, HeadraceError

NAME = "xxwiki-20261101-pages-articles"


@pytest.fixture
def read(tmp_path: Path, store: Store) -> Callable[..., Artifact]:
    def run(files: dict[str, bytes | str], **settings: object) -> Artifact:
        folder = tmp_path / "folder"
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        source = open_source(store, folder).artifact
        return store.open_or_build(PAGES, PagesConfig(**settings), {"source": source}).artifact

    return run


def ids(artifact: Artifact) -> list[int]:
    import pyarrow.parquet as pq

    paths = artifact.files("pages-*.parquet")
    return [number for path in paths for number in pq.read_table(path)["id"].to_pylist()]


def part(first: int, last: int, *pages: str) -> dict[str, bytes]:
    name = f"{NAME}{first % 97}.xml-p{first}p{last}.bz2"
    return {name: bz2.compress(dump_xml(*pages).encode())}


def test_parts_are_one_dump_in_the_order_of_their_pages(read: Callable[..., Artifact]) -> None:
    files = (
        part(100, 2000, page_xml(100), page_xml(1500))
        | part(11, 99, page_xml(11), page_xml(100, "again", text="no"))
        | part(1, 10, page_xml(1), page_xml(10, "Vorlage:X", ns=10))
    )
    artifact = read(files | {f"{NAME}-rss.xml": "<rss/>", "sha1sums.txt": "x"}, shard_bytes=1)
    assert ids(artifact) == [1, 11, 100, 1500]
    assert artifact.dropped == {"duplicate_id": 1}
    assert artifact.counts["num_templates"] == 1


def test_offsets_count_through_all_parts_and_reading_goes_on_in_any(tmp_path: Path) -> None:
    texts = [dump_xml(page_xml(n), page_xml(n + 1)) for n in (1, 3, 5)]
    for number, text in enumerate(texts):
        (tmp_path / f"dump{number}.xml").write_text(text)
    parts = find_dump_parts(tmp_path)
    reader, pages, marks = DumpReader(parts, PagesConfig()), [], []
    for item, _ in reader.read():
        assert isinstance(item, Page)
        assert "".join(texts)[item.offset :].startswith("<page>")
        pages.append(item)
        marks.append(reader.position)
    assert [page.id for page in pages] == [1, 2, 3, 4, 5, 6]
    for number, mark in enumerate(marks):
        again = DumpReader(parts, PagesConfig())
        assert [item for item, _ in again.read(mark)] == pages[number:]
        assert again.site == reader.site


def test_bad_page_is_told_with_its_file_and_the_place_in_it(read: Callable[..., Artifact]) -> None:
    artifact = read(part(1, 9, page_xml(1)) | part(10, 19, page_xml(10), page_xml("x")))
    line = json.loads((artifact.path / "quarantine/pages-00000.jsonl").read_text())
    assert line["source"] == f"{NAME}10.xml-p10p19.bz2"
    text = dump_xml(page_xml(10), page_xml("x"))
    assert text[line["offset"] :].startswith("<page><title>Title</title><ns>0</ns><id>x</id>")


def test_missing_part_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, data in (part(1, 10) | part(21, 30)).items():
        (tmp_path / name).write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert len(find_dump_parts(tmp_path)) == 2
    assert "11 to 20" in caplog.text


OTHER = dump_xml(page_xml(9), siteinfo=SITEINFO.replace("xxwiki", "yywiki"))
REFUSED = {
    "no dump": {"notes.txt": "x", "dump.7z": "x"},
    "two dumps": {"xxwiki-20261101.xml": dump_xml(), "xxwiki-20261201.xml": dump_xml()},
    "whole beside parts": part(1, 9, page_xml(1)) | {f"{NAME}.xml": dump_xml(page_xml(1))},
    "two wikis": {"dump1.xml": dump_xml(page_xml(1)), "dump2.xml": OTHER},
    "damaged part": {"dump1.xml": dump_xml(page_xml(1)), "dump2.xml": dump_xml()[:-9]},
    "stray indexes": part(1, 9, page_xml(1))
    | {f"a-multistream-index{n}.txt": "1:1:a" for n in (1, 2)},
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_one_dump_is_refused(kind: str, read: Callable[..., Artifact]) -> None:
    with pytest.raises(HeadraceError) as caught:
        read(REFUSED[kind])
    assert isinstance(caught.value, ConfigError | CorruptInputError)
    assert "\n" not in str(caught.value)
    assert "folder" in str(caught.value)


MULTISTREAM = f"{NAME}-multistream.xml.bz2"
INDEX = f"{NAME}-multistream-index.txt.bz2"
PAGES_XML = [page_xml(n, f"Title: {n}", f"Text {n} " * 50) for n in range(1, 10)]
DATA, OFFSETS = multistream_xml(*PAGES_XML)
LINES = [f"{offset}:{n}:Title: {n}" for n, offset in enumerate(OFFSETS, 1)]


def test_multistream_dump_with_its_index(read: Callable[..., Artifact]) -> None:
    index = bz2.compress(("\n".join(LINES) + "\n").encode())
    assert ids(read({MULTISTREAM: DATA, INDEX: index})) == list(range(1, 10))


WRONG_INDEXES = {
    "of another dump": [f"{offset + 3}:{n}:T" for n, offset in enumerate(OFFSETS, 1)],
    "of other pages": [line.replace(":9:", ":10:") for line in LINES],
    "beyond the end": [*LINES, f"{len(DATA) + 1}:10:T"],
    "lacks pages": LINES[:-4] + LINES[-3:],
    "goes back": LINES[::-1],
    "no index": ["a", "b"],
    "no title": ["600:1:"],
    "nothing": [],
}


@pytest.mark.parametrize("kind", WRONG_INDEXES)
def test_index_that_does_not_fit_is_refused(kind: str, read: Callable[..., Artifact]) -> None:
    with pytest.raises(CorruptInputError) as caught:
        read({MULTISTREAM: DATA, INDEX[:-4]: "\n".join(WRONG_INDEXES[kind])})
    assert INDEX[:-4] in str(caught.value)
