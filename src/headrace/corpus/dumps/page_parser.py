"""MediaWiki's XML export, parsed as a stream of pages.

expat is fed with chunks and calls back; only the elements that are needed have their text kept, so
memory is bounded by one page (`max_page_bytes`) whatever the dump's size. About 200 MB/s a core.

Nothing is trusted: a document type (and with it every entity bomb) is refused, as are elements
nested deeper than any export nests them and single markup tokens of absurd size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from headrace.errors import CorruptInputError

MAX_DEPTH = 64
MAX_FIELD_CHARACTERS = 1 << 16
MAX_TOKEN_BYTES = 64 << 20
TEXT_BUFFER_BYTES = 1 << 20
MAX_KNOWN_ELEMENTS = 1000

_NO_ELEMENT = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]
_XML_LANG = "http://www.w3.org/XML/1998/namespace|lang"
_PAGE = "mediawiki/page"
_REVISION = "mediawiki/page/revision"
_TEXT = "mediawiki/page/revision/text"
_REDIRECT = "mediawiki/page/redirect"
_SITEINFO = "mediawiki/siteinfo/"
_NAMESPACE = "mediawiki/siteinfo/namespaces/namespace"
_PAGE_FIELDS = {
    f"{_PAGE}/title": "title",
    f"{_PAGE}/ns": "namespace",
    f"{_PAGE}/id": "page_id",
    f"{_REVISION}/id": "revision_id",
    f"{_REVISION}/model": "model",
}
_SITEINFO_FIELDS = {f"{_SITEINFO}{name}": name for name in ("sitename", "dbname", "base")}
_CAPTURED = {_TEXT, _NAMESPACE, *_PAGE_FIELDS, *_SITEINFO_FIELDS}


@dataclass(slots=True)
class RawPage:
    """One `<page>` as it stands in the dump, unjudged; None where an element is absent.

    Attributes:
        offset: byte offset of `<page>` in the decompressed (UTF-16: re-encoded) stream.
        redirect: title that the page redirects to; "" where exports before 0.8 do not name it.
        text: wikitext of the last revision in the file; "" when it was longer than allowed.
        utf8: the same in UTF-8.
        num_text_bytes: length of that text in UTF-8; a lower bound if it was too long to keep.
        is_text_deleted: the revision's text was suppressed (`<text deleted="deleted"/>`).
        problem: why the page cannot be understood, in words; "" if it can.
    """

    offset: int
    title: str | None = None
    namespace: str | None = None
    page_id: str | None = None
    revision_id: str | None = None
    model: str | None = None
    redirect: str | None = None
    text: str | None = None
    utf8: bytes = b""
    num_text_bytes: int = 0
    is_text_too_large: bool = False
    is_text_deleted: bool = False
    problem: str = ""


@dataclass(slots=True)
class SiteHeader:
    """What the dump says about the wiki; "" where it does not.

    Attributes:
        lang: `xml:lang` of the root element.
        namespaces: namespace number -> its local name.
    """

    lang: str = ""
    sitename: str = ""
    dbname: str = ""
    base: str = ""
    namespaces: dict[int, str] = field(default_factory=dict)


class PageParser:
    """Push parser: chunks in, finished pages out.

    Args:
        path: the dump, for messages.
        encoding: overrides the document's own declaration; None lets expat find out.
        max_page_bytes: longest text of a page that is kept, in UTF-8 bytes.

    Attributes:
        header: what stood before the first page so far.
        lacks_end: the document ended without `</mediawiki>`.
        first_page_offset: where the first page begins; None before it is seen.
    """

    def __init__(self, path: Path, *, encoding: str | None, max_page_bytes: int) -> None:
        self.header = SiteHeader()
        self.lacks_end = False
        self.first_page_offset: int | None = None
        self._may_lack_end = False
        self._num_pages = 0
        self._path = path
        self._max_page_bytes = max_page_bytes
        self._num_fed = 0
        self._num_skipped = 0
        self._children: dict[tuple[str, str], str] = {}
        self._finished: list[RawPage] = []
        self._paths: list[str] = []
        self._page: RawPage | None = None
        self._captured: list[str] | None = None
        self._num_captured = 0
        self._max_captured = 0
        self._namespace_key = ""
        parser = expat.ParserCreate(encoding, "|")
        parser.buffer_text = True
        parser.buffer_size = TEXT_BUFFER_BYTES
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser = parser

    def feed(self, chunk: bytes) -> list[RawPage]:
        """Parse on; returns the pages that ended in `chunk`.

        Raises:
            CorruptInputError: it is no MediaWiki export, or not well-formed, or hostile.
        """
        return self._parse(chunk, is_final=False)

    def skip_to(self, offset: int) -> None:
        """Go on at byte `offset` of the document, where a page begins.

        Called where what was fed ends right before the first page.
        """
        self.first_page_offset = self._num_fed
        self._num_skipped = offset - self._num_fed
        self._num_pages = 1

    def close(self, *, may_lack_end: bool) -> list[RawPage]:
        """Tell that the stream is at its end; returns what ended with it.

        Args:
            may_lack_end: accept that `</mediawiki>` is missing after a whole page, as in excerpts
                made by cutting off a dump; `lacks_end` then tells that it was so.

        Raises:
            CorruptInputError: the document is not complete.
        """
        self._may_lack_end = may_lack_end
        return self._parse(b"", is_final=True)

    def _parse(self, chunk: bytes, *, is_final: bool) -> list[RawPage]:
        self._num_fed += len(chunk)
        try:
            self._parser.Parse(chunk, is_final)
        except expat.ExpatError as error:
            is_cut = error.code == _NO_ELEMENT and self._paths == ["mediawiki"]
            if not (is_final and is_cut and self._may_lack_end and self._num_pages):
                raise self._explain(error) from None
            self.lacks_end = True
        # expat holds an unfinished token in memory until its end is seen.
        if self._num_fed - self._parser.CurrentByteIndex > MAX_TOKEN_BYTES:
            self._refuse(
                f"markup of at most {MAX_TOKEN_BYTES} bytes was expected; one piece is longer"
            )
        finished, self._finished = self._finished, []
        return finished

    def _explain(self, error: expat.ExpatError) -> CorruptInputError:
        offset = self._num_skipped + self._parser.ErrorByteIndex
        reason = expat.ErrorString(error.code)
        if not self._paths and not self._num_pages:
            found = f"it is not XML ({reason})"
        elif self._paths:
            found = f"{reason}, inside <{self._paths[-1].rpartition('/')[2]}>; truncated or damaged"
        else:
            found = reason
        return self._error(offset, f"a well-formed MediaWiki XML export was expected; {found}")

    def _refuse(self, problem: str) -> NoReturn:
        raise self._error(self._num_skipped + self._parser.CurrentByteIndex, problem)

    def _error(self, offset: int, problem: str) -> CorruptInputError:
        return CorruptInputError(
            f"{self._path}, byte {offset} of the decompressed text: {problem}; download or export "
            "the dump again"
        )

    def _refuse_doctype(self, *_: object) -> None:
        self._refuse(
            "a MediaWiki XML export was expected, which has no DOCTYPE; document types and "
            "entities are not read"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._paths[-1] if self._paths else ""
        path = self._children.get((parent, name)) or self._enter(parent, name)
        if not parent:
            self._start_root(path, attributes)
        if len(self._paths) >= MAX_DEPTH:
            self._refuse(f"elements nested at most {MAX_DEPTH} deep were expected; there are more")
        if self._captured is not None and self._page is not None:
            outer, _, inner = path.rpartition("/")
            self._page.problem = f"an element <{inner}> inside <{outer.rpartition('/')[2]}>"
        self._paths.append(path)
        if path == _PAGE:
            offset = self._num_skipped + self._parser.CurrentByteIndex
            self._page = RawPage(offset=offset)
            if self.first_page_offset is None:
                self.first_page_offset = offset
        elif self._page is not None:
            self._start_in_page(path, attributes)
        if path in _CAPTURED:
            if path == _NAMESPACE:
                self._namespace_key = attributes.get("key", "")
            self._capture(self._max_page_bytes if path == _TEXT else MAX_FIELD_CHARACTERS)

    def _enter(self, parent: str, name: str) -> str:
        local = name.rpartition("|")[2]
        path = f"{parent}/{local}" if parent else local
        if len(self._children) < MAX_KNOWN_ELEMENTS:
            self._children[parent, name] = path
        return path

    def _start_root(self, local: str, attributes: dict[str, str]) -> None:
        if local != "mediawiki":
            self._refuse(
                f"a MediaWiki XML export (root element <mediawiki>) was expected; the root is "
                f"<{local[:60]}>"
            )
        self.header.lang = attributes.get(_XML_LANG, "").strip()

    def _start_in_page(self, path: str, attributes: dict[str, str]) -> None:
        assert self._page is not None
        page = self._page
        if path == _REDIRECT:
            page.redirect = attributes.get("title", "")
        elif path == _REVISION:
            # Of several revisions the last one in the file counts.
            page.revision_id = page.model = page.text = None
            page.utf8 = b""
            page.num_text_bytes = 0
            page.is_text_too_large = page.is_text_deleted = False
        elif path == _TEXT:
            page.is_text_deleted = "deleted" in attributes

    def _capture(self, max_characters: int) -> None:
        self._captured = []
        self._num_captured = 0
        self._max_captured = max_characters
        self._parser.CharacterDataHandler = self._characters

    def _characters(self, data: str) -> None:
        assert self._captured is not None
        self._num_captured += len(data)
        if self._num_captured <= self._max_captured:
            self._captured.append(data)
        elif self._captured:
            self._captured.clear()

    def _end(self, _name: str) -> None:
        path = self._paths.pop()
        if path in _CAPTURED and self._captured is not None:
            text = "".join(self._captured)
            self._parser.CharacterDataHandler = None
            self._captured = None
            self._keep(path, text)
        elif path == _PAGE and self._page is not None:
            self._finished.append(self._page)
            self._num_pages += 1
            self._page = None

    def _keep(self, path: str, text: str) -> None:
        is_whole = self._num_captured <= self._max_captured
        if path in _SITEINFO_FIELDS:
            setattr(self.header, _SITEINFO_FIELDS[path], text.strip())
        elif path == _NAMESPACE:
            if self._namespace_key.lstrip("-").isdecimal():
                self.header.namespaces[int(self._namespace_key)] = text.strip()
        elif self._page is not None and path == _TEXT:
            self._keep_text(self._page, text, is_whole)
        elif self._page is not None:
            name = _PAGE_FIELDS[path]
            if not is_whole:
                self._page.problem = f"its {name} is longer than {MAX_FIELD_CHARACTERS} characters"
            setattr(self._page, name, text.strip())

    def _keep_text(self, page: RawPage, text: str, is_whole: bool) -> None:
        utf8 = text.encode("utf-8")
        page.num_text_bytes = len(utf8) if is_whole else self._num_captured
        page.is_text_too_large = not is_whole or len(utf8) > self._max_page_bytes
        page.text, page.utf8 = ("", b"") if page.is_text_too_large else (text, utf8)
