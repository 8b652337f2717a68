"""What dumps may look like, and what is said of those that are none."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from dump_building import ENGLISH_DUMP, dump_xml, page_xml

from headrace.corpus.dumps.dump import DumpStream
from headrace.corpus.pages import DumpReader, Page, PagesConfig, Rejected, TemplatePage
from headrace.errors import ConfigError, CorruptInputError

PAGES = [page_xml(n, f"Title {n}", f"Text {n} ж日\n\nmore") for n in range(1, 6)]
XML = dump_xml(*PAGES)


def read(path: Path, **settings: object) -> tuple[list[Page], Counter[str]]:
    pages, reasons = [], Counter()
    for item in DumpReader(path, PagesConfig(**settings)):
        if isinstance(item, Page):
            pages.append(item)
        else:
            reasons[item.reason] += 1
    return pages, reasons


def read_xml(tmp_path: Path, xml: str, **settings: object) -> tuple[list[Page], Counter[str]]:
    path = tmp_path / "dump.xml"
    path.write_text(xml, encoding="utf-8")
    return read(path, **settings)


def multistream(data: bytes, num_streams: int) -> bytes:
    step = -(-len(data) // num_streams)
    return b"".join(bz2.compress(data[i : i + step]) for i in range(0, len(data), step))


def multimember(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half], mtime=0) + gzip.compress(data[half:], mtime=0)


UTF8 = XML.encode()
DECLARED = '<?xml version="1.0" encoding="utf-16"?>\n' + XML
CONTAINERS = {
    "plain": UTF8,
    "mark": b"\xef\xbb\xbf" + UTF8,
    "declared": b'<?xml version="1.0" encoding="UTF-8"?>\n' + UTF8,
    "bz2": bz2.compress(UTF8),
    "multistream": multistream(UTF8, 7),
    "empty streams": bz2.compress(b"") + multistream(UTF8, 3) + bz2.compress(b""),
    "gzip": gzip.compress(UTF8, mtime=0),
    "members": multimember(UTF8),
    "zstd": zstandard.compress(UTF8),
    "zstd frames": zstandard.compress(UTF8[:999]) + zstandard.compress(UTF8[999:]),
    "padded gzip": gzip.compress(UTF8, mtime=0) + bytes(700_000),
    "utf-16 le": b"\xff\xfe" + XML.encode("utf-16-le"),
    "utf-16 be": b"\xfe\xff" + XML.encode("utf-16-be"),
    "utf-16 declared": b"\xff\xfe" + DECLARED.encode("utf-16-le"),
    "utf-16 without mark": DECLARED.encode("utf-16-be"),
    "utf-16 bz2": bz2.compress(b"\xff\xfe" + XML.encode("utf-16-le")),
}


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("name", ["dump.xml", "dump.xml.gz", "dump"])
def test_reading_any_container_under_any_name_gives_the_same_pages(
    kind: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(CONTAINERS[kind])
    pages, reasons = read(path)
    assert [(page.id, page.revid, page.title) for page in pages] == [
        (number, 77, f"Title {number}") for number in range(1, 6)
    ]
    assert pages[2].text == "Text 3 ж日\n\nmore"
    assert not reasons


@pytest.mark.parametrize("kind", ["plain", "mark", "multistream", "utf-16 le", "utf-16 bz2"])
def test_offsets_point_at_the_page_in_the_decompressed_utf8_stream(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "dump"
    path.write_bytes(CONTAINERS[kind])
    decompressed = b"".join(DumpStream(path))
    for page in read(path)[0]:
        there = decompressed[page.offset :]
        assert there.startswith(b"<page>")
        assert there.index(f"<id>{page.id}</id>".encode()) < there.index(b"</page>")


def test_decompression_gives_bounded_chunks_whatever_the_ratio(tmp_path: Path) -> None:
    size = 60_000_000
    for data in (bz2.compress(bytes(size)), gzip.compress(bytes(size))):
        path = tmp_path / "bomb"
        path.write_bytes(data)
        lengths = [len(chunk) for chunk in DumpStream(path)]
        assert sum(lengths) == size
        assert max(lengths) <= 3 << 20


def crc_broken(data: bytes) -> bytes:
    packed = bytearray(gzip.compress(data, mtime=0))
    packed[-6] ^= 0xFF
    return bytes(packed)


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]


BZ2 = bz2.compress(UTF8)
BAD = {
    "empty": b"",
    "empty gzip": gzip.compress(b""),
    "empty bz2": bz2.compress(b""),
    "truncated bz2": BZ2[:-9],
    "bz2 magic only": BZ2[:4],
    "truncated multistream": multistream(UTF8, 4)[:-20],
    "multistream cut inside a magic": multistream(UTF8, 4) + b"BZ",
    "bz2 with garbage behind": BZ2 + b"garbage",
    "damaged bz2": flipped(BZ2, 60),
    "truncated gzip": gzip.compress(UTF8)[:-3],
    "gzip with wrong crc": crc_broken(UTF8),
    "gzip with garbage behind": gzip.compress(UTF8) + b"\0\0tail",
    "truncated zstd": zstandard.compress(UTF8)[:-9],
    "zstd with garbage behind": zstandard.compress(UTF8) + b"garbage",
    "damaged zstd": flipped(zstandard.ZstdCompressor(write_checksum=True).compress(UTF8), 60),
    "zlib without header": zlib.compress(UTF8),
    "xz": b"\xfd7zXZ\x00" + UTF8,
    "7z": b"7z\xbc\xaf\x27\x1c" + UTF8,
    "zip": b"PK\x03\x04" + UTF8,
    "truncated xml": UTF8[:-40],
    "xml cut in text": UTF8[: len(UTF8) // 2],
    "xml cut between pages": UTF8.replace(b"</mediawiki>\n", b""),
    "xml cut in text, whole bz2": bz2.compress(UTF8[: len(UTF8) // 2]),
    "siteinfo only, no end, whole bz2": bz2.compress(UTF8[: UTF8.index(b"<page>")]),
    "truncated utf-16": ("\ufeff" + XML).encode("utf-16-le")[:-31],
    "utf-16 with odd length": ("\ufeff" + XML).encode("utf-16-le") + b"\x0a",
    "utf-16 with lone surrogate": b"\xff\xfe" + XML.encode("utf-16-le").replace(b"T\0", b"\0\xd8"),
    "utf-32": XML.encode("utf-32"),
    "invalid utf-8": UTF8.replace(b"Text 2", b"Text \xff"),
    "two documents": UTF8 + UTF8,
    "json": b'{"title": "a page"}',
    "words": b"hello",
    "html": b"<!DOCTYPE html><html><body></body></html>",
    "xhtml": b"<html><body/></html>",
    "zeros": bytes(5000),
    "entity bomb": b'<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + UTF8,
    "unknown entity": UTF8.replace(b"Text 2", b"&nbsp;"),
    "unclosed tag": UTF8.replace(b"</revision>", b"", 1),
    "deep": dump_xml("<a>" * 10_000 + "</a>" * 10_000).encode(),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_dump_gives_one_clear_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "some.xml"
    path.write_bytes(BAD[kind])
    with pytest.raises(CorruptInputError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert "byte " in message


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_real_dump_cut_anywhere_is_noticed(cut: int, tmp_path: Path) -> None:
    data = ENGLISH_DUMP.read_bytes()
    path = tmp_path / "cut.bz2"
    # Cuts near the end decode the most, so only a few of them.
    path.write_bytes(data[: cut * 997] if cut < 38 else data[:-cut])
    with pytest.raises(CorruptInputError):
        read(path)


def test_an_excerpt_without_end_tag_is_taken_if_its_container_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "excerpt"
    for pack in (bz2.compress, gzip.compress):
        path.write_bytes(pack(UTF8.replace(b"</mediawiki>\n", b"")))
        assert len(read(path)[0]) == 5


def test_markup_token_of_absurd_size_is_refused_before_it_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.corpus.dumps.page_parser.MAX_TOKEN_BYTES", 1 << 20)
    stream = io.BytesIO()
    with gzip.open(stream, "wb") as file:
        file.write(dump_xml().split("</mediawiki>")[0].encode() + b"<!--")
        file.write(b"x" * (8 << 20))
    path = tmp_path / "dump.gz"
    path.write_bytes(stream.getvalue())
    with pytest.raises(CorruptInputError, match="longer"):
        read(path)


REJECTED = {
    "namespace": (page_xml(2, ns=1), "namespace_1", False),
    "module": (page_xml(2, ns=828), "namespace_828", False),
    "negative namespace": (page_xml(2, ns=-2), "namespace_-2", False),
    "namespace by prefix": (page_xml(2, "Hilfe:X", ns=None), "namespace_12", False),
    "deleted template": (
        page_xml(2, "Vorlage:X", ns=10, text_xml='<text deleted="deleted" />'),
        "deleted_text", False,
    ),
    "style sheet": (
        page_xml(2, "Vorlage:s", ns=10, text_xml="<model>sanitized-css</model><text>.a</text>"),
        "not_wikitext", False,
    ),
    "redirect by local text": (page_xml(2, text="#WEITERLEITUNG [[X]]"), "redirect", False),
    "redirect": (page_xml(2, extra='<redirect title="X" />'), "redirect", False),
    "redirect by text": (page_xml(2, text=" #Redirect [[X]]"), "redirect", False),
    "deleted": (page_xml(2, text_xml='<text deleted="deleted" />'), "deleted_text", False),
    "empty": (page_xml(2, text=""), "empty_text", False),
    "self-closed": (page_xml(2, text_xml='<text bytes="0" />'), "empty_text", False),
    "blank": (page_xml(2, text=" \n\t "), "empty_text", False),
    "no text": (page_xml(2, text_xml=""), "empty_text", False),
    "other model": (
        page_xml(2, text_xml="<model>wikibase-item</model><text>{}</text>"), "not_wikitext", False
    ),
    "duplicate": (page_xml(1, "Again"), "duplicate_id", False),
    "no id": (page_xml(None), "malformed_page", True),
    "odd id": (page_xml("x1"), "malformed_page", True),
    "negative id": (page_xml(-4), "malformed_page", True),
    "huge id": (page_xml(10**19), "malformed_page", True),
    "arabic digits": (page_xml("٣"), "malformed_page", True),
    "no title": (page_xml(2, None), "malformed_page", True),
    "empty title": (page_xml(2, ""), "malformed_page", True),
    "long title": (page_xml(2, "t" * 70_000), "malformed_page", True),
    "odd namespace": (page_xml(2, ns="main"), "malformed_page", True),
    "markup in text": (page_xml(2, text_xml="<text>a <b>c</b></text>"), "malformed_page", True),
    "too large": (page_xml(2, text="ж" * 600), "page_too_large", True),
    "far too large": (page_xml(2, text="x" * 3_000_000), "page_too_large", True),
}  # fmt: skip


@pytest.mark.parametrize("kind", REJECTED)
def test_what_is_no_article_is_rejected_with_its_reason(kind: str, tmp_path: Path) -> None:
    xml, reason, is_bad = REJECTED[kind]
    path = tmp_path / "dump.xml"
    path.write_text(dump_xml(page_xml(1), xml, page_xml(3)), encoding="utf-8")
    items = list(DumpReader(path, PagesConfig(max_page_bytes=1000)))
    assert [getattr(item, "id", None) for item in items] == [1, None, 3]
    rejected = items[1]
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.is_bad) == (reason, is_bad)


def test_page_of_exactly_the_largest_size_is_kept(tmp_path: Path) -> None:
    pages, _ = read_xml(tmp_path, dump_xml(page_xml(1, text="ж" * 500)), max_page_bytes=1000)
    assert len(pages) == 1


def test_of_several_revisions_the_last_counts(tmp_path: Path) -> None:
    first = "<revision><id>1</id><text deleted='deleted'/></revision>"
    second = f"<revision><id>2</id><text>{'x' * 5000}</text></revision>"
    pages, _ = read_xml(
        tmp_path, dump_xml(page_xml(1, text="last", extra=first + second)), max_page_bytes=100
    )
    assert [(page.revid, page.text) for page in pages] == [(77, "last")]


def test_only_the_main_slot_is_the_text(tmp_path: Path) -> None:
    slot = "<content><role>meta</role><text>other slot</text></content>"
    pages, _ = read_xml(tmp_path, dump_xml(page_xml(1, text_xml=f"<text>main</text>{slot}")))
    assert pages[0].text == "main"


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Kill Bill: Volume 1", "a &lt;ref&gt; & <b> ]]>"),
        ('"Quotes" & <angles>', "\ttabs\n  spaces  \n"),
        ("Zażółć 日本 😀", "emoji 👩‍👩‍👧 and \u200f right"),
    ],
)
def test_titles_and_texts_come_out_as_they_are(title: str, text: str, tmp_path: Path) -> None:
    pages, _ = read_xml(tmp_path, dump_xml(page_xml(1, title, text)))
    assert (pages[0].title, pages[0].text) == (title, text)


@pytest.mark.parametrize("root", ["<mediawiki>", '<mediawiki xmlns="http://x/export-0.3/">'])
def test_language_comes_from_the_config_where_the_dump_is_silent(root: str, tmp_path: Path) -> None:
    path = tmp_path / "dump.xml"
    path.write_text(f"{root}{page_xml()}</mediawiki>")
    reader = DumpReader(path, PagesConfig(language="fr"))
    assert len(list(reader)) == 1
    assert reader.site.lang == "fr"
    silent = DumpReader(path, PagesConfig())
    list(silent)
    with pytest.raises(ConfigError, match="language"):
        _ = silent.site


def test_prefixed_elements_are_read(tmp_path: Path) -> None:
    xml = dump_xml(page_xml()).replace("</", "</m:")
    xml = xml.replace("xmlns=", "xmlns:m=").replace("<", "<m:").replace("<m:/m:", "</m:")
    assert len(read_xml(tmp_path, xml)[0]) == 1


def test_real_english_dump_has_its_known_pages() -> None:
    pages, reasons = read(ENGLISH_DUMP)
    assert len(pages) == 106
    assert reasons == {"redirect": 99, "namespace_4": 1}
    assert (pages[0].id, pages[0].title) == (12, "Anarchism")


SHARED = Path(__file__).parents[3] / "shared" / "data" / "dumps"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the dumps beside the project are not here")
@pytest.mark.parametrize(
    ("pattern", "num_pages", "lang"),
    [("bgwiki*", 1, "bg"), ("jawiki*", 204, "ja"), ("*table*", 5, "en")],
)
def test_other_real_dumps(pattern: str, num_pages: int, lang: str) -> None:
    reader = DumpReader(next(SHARED.glob(pattern)), PagesConfig())
    assert sum(isinstance(item, Page) for item in reader) == num_pages
    assert reader.site.lang == lang


def test_site_describes_the_wiki(tmp_path: Path) -> None:
    path = tmp_path / "dump.xml"
    path.write_text(XML)
    reader = DumpReader(path, PagesConfig())
    list(reader)
    assert reader.site.article_url(5) == "https://xx.example.org/wiki?curid=5"
    assert (reader.site.dbname, reader.site.lang) == ("xxwiki", "de")


TEMPLATES = {
    "plain": (page_xml(2, "Vorlage:Foo bar", "{{{1}}}", ns=10), ("Foo bar", "{{{1}}}", "")),
    "canonical prefix": (page_xml(2, "Template:Foo", "x", ns=10), ("Foo", "x", "")),
    "underscores": (page_xml(2, "vorlage:Foo_bar", "x", ns=10), ("Foo bar", "x", "")),
    "by prefix alone": (page_xml(2, "Vorlage:X:Y", "x", ns=None), ("X:Y", "x", "")),
    "subpage": (page_xml(2, "Vorlage:A/doc", "x", ns=10), ("A/doc", "x", "")),
    "redirect": (
        page_xml(2, "Vorlage:A", "#REDIRECT [[x]]", 10, extra='<redirect title="Vorlage:B c" />'),
        ("A", "#REDIRECT [[x]]", "B c"),
    ),
    "redirect by text": (
        page_xml(2, "Vorlage:A", "#REDIRECT [[Template:B_c#top|d]]", 10),
        ("A", "#REDIRECT [[Template:B_c#top|d]]", "B c"),
    ),
    "local redirect by text": (
        page_xml(2, "Vorlage:A", " #weiterleitung: [[:vorlage:B]]", 10, extra="<redirect />"),
        ("A", " #weiterleitung: [[:vorlage:B]]", "B"),
    ),
    "redirect elsewhere": (
        page_xml(2, "Vorlage:A", "x", 10, extra='<redirect title="Hilfe:B" />'),
        ("A", "x", "Hilfe:B"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEMPLATES)
def test_templates_are_kept_under_the_name_they_are_called_by(kind: str, tmp_path: Path) -> None:
    xml, expected = TEMPLATES[kind]
    path = tmp_path / "dump.xml"
    path.write_text(dump_xml(page_xml(1), xml, page_xml(3)), encoding="utf-8")
    _, template, _ = DumpReader(path, PagesConfig())
    assert isinstance(template, TemplatePage)
    assert (template.title, template.text, template.redirect) == expected


def test_template_namespace_without_a_known_name(tmp_path: Path) -> None:
    path = tmp_path / "dump.xml"
    extra = '<redirect title="Modèle:B" />'
    path.write_text(dump_xml(page_xml(1, "Modèle:A", "x", 10, extra=extra), siteinfo=""))
    (template,) = DumpReader(path, PagesConfig())
    assert isinstance(template, TemplatePage)
    assert (template.title, template.redirect) == ("A", "B")


@pytest.mark.parametrize("kind", CONTAINERS)
def test_reading_goes_on_from_any_page(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(CONTAINERS[kind])
    reader, whole, marks = DumpReader(path, PagesConfig()), [], []
    for item, _ in reader.read():
        whole.append(item)
        marks.append(reader.position)
    for number, mark in enumerate(marks):
        again = DumpReader(path, PagesConfig())
        assert [item for item, _ in again.read(mark)] == whole[number:]
        # How far before the page decompression may begin differs; the place itself does not.
        assert again.position.to_list()[:4] == marks[-1].to_list()[:4]
        assert again.site == reader.site


def test_going_on_in_prefixed_xml_and_after_damage(tmp_path: Path) -> None:
    path = tmp_path / "dump.xml"
    xml = XML.replace("</", "</m:").replace("xmlns=", "xmlns:m=").replace("<", "<m:")
    path.write_text(xml.replace("<m:/m:", "</m:"))
    reader = DumpReader(path, PagesConfig())
    marks = [reader.position for _ in reader.read()]
    assert len(list(DumpReader(path, PagesConfig()).read(marks[3]))) == 2
    path.write_text(path.read_text().replace("</m:mediawiki>", "</m:page>"))
    with pytest.raises(CorruptInputError, match="byte") as whole:
        list(DumpReader(path, PagesConfig()))
    with pytest.raises(CorruptInputError) as rest:
        list(DumpReader(path, PagesConfig()).read(marks[3]))
    assert str(whole.value) == str(rest.value), "offsets count from the beginning all the same"
