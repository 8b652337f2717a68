"""Small dumps, written by hand."""

from __future__ import annotations

import bz2
from pathlib import Path
from xml.sax.saxutils import escape

REPOSITORY = Path(__file__).parents[2]
ENGLISH_DUMP = next((REPOSITORY / "samples").glob("enwiki-*.bz2"))
SITEINFO = (
    "<siteinfo><sitename>Wikipedia</sitename><dbname>xxwiki</dbname>"
    "<base>https://xx.example.org/wiki/Main</base><namespaces>"
    '<namespace key="0" case="first-letter" /><namespace key="10">Vorlage</namespace>'
    '<namespace key="12">Hilfe</namespace>'
    "</namespaces></siteinfo>"
)


def page_xml(
    page_id: object = 1,
    title: str | None = "Title",
    text: str | None = "Some text.",
    ns: object = 0,
    extra: str = "",
    text_xml: str | None = None,
) -> str:
    parts = ["<page>"]
    if title is not None:
        parts.append(f"<title>{escape(title)}</title>")
    if ns is not None:
        parts.append(f"<ns>{ns}</ns>")
    if page_id is not None:
        parts.append(f"<id>{page_id}</id>")
    body = text_xml if text_xml is not None else f"<text>{escape(text or '')}</text>"
    parts.append(f"{extra}<revision><id>77</id>{body}</revision></page>")
    return "".join(parts)


def dump_xml(*pages: str, siteinfo: str = SITEINFO, lang: str | None = "de") -> str:
    attribute = f' xml:lang="{lang}"' if lang else ""
    root = f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"{attribute}>'
    return "\n".join([root, siteinfo, *pages, "</mediawiki>\n"])


def multistream_xml(*pages: str, pages_per_stream: int = 2) -> tuple[bytes, list[int]]:
    """A dump as Wikimedia packs it, and the byte at which the stream of each page begins."""
    head, foot = dump_xml().split("</mediawiki>")[0], "</mediawiki>\n"
    data, offsets = bz2.compress(head.encode()), []
    for first in range(0, len(pages), pages_per_stream):
        chunk = pages[first : first + pages_per_stream]
        offsets += [len(data)] * len(chunk)
        data += bz2.compress("\n".join([*chunk, ""]).encode())
    return data + bz2.compress(foot.encode()), offsets
