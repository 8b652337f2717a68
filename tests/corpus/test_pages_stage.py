"""The pages stage: shards, drops, resumption."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dump_building import ENGLISH_DUMP, dump_xml, page_xml

from headrace.artifacts import Artifact, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.pages import PAGES, PagesConfig, SeenIds
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
    return [pq.read_table(path)["id"].to_pylist() for path in artifact.files("*.parquet")]


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
    assert len(artifact.files("*.parquet")) == 6

    second = make_store(home="b")
    source = open_source(second, ENGLISH_DUMP).artifact
    from headrace.corpus import pages as module

    original, calls = module.write_rows, []

    def fail_at_third(*args: object) -> None:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        original(*args)

    monkeypatch.setattr(module, "write_rows", fail_at_third)
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
