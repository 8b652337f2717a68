"""What becomes of each page of a dump: an article, a template, or left out for a reason."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from headrace.config import StageConfig
from headrace.corpus.dumps.page_parser import RawPage, SiteHeader
from headrace.corpus.dumps.redirects import bare_title, redirect_target

WIKITEXT = "wikitext"
TEMPLATE_NAMESPACE = 10
_MAX_INT64 = (1 << 63) - 1


class PagesConfig(StageConfig):
    """Settings of reading a dump."""

    language: str | None = Field(
        default=None,
        min_length=1,
        description="language code of the wiki; None takes xml:lang of the dump's root element",
    )
    shard_bytes: int = Field(
        default=4 << 20,
        ge=1,
        le=1 << 30,
        description="UTF-8 bytes of text after which a new shard begins; 4 MiB are about 1 s of "
        "extraction, and what reading and each worker hold in memory is a few times that",
    )
    max_page_bytes: int = Field(
        default=16 << 20,
        ge=1,
        le=1 << 30,
        description="longest page text kept, in UTF-8 bytes; MediaWiki's own limit is 2 MiB "
        "($wgMaxArticleSize), so what is longer than 16 MiB is damage",
    )
    max_quarantined_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of all pages that may be malformed or too large before the stage "
        "fails; a single one is always let pass unless this is 0",
    )


@dataclass(frozen=True, slots=True)
class Page:
    """An article's source.

    Attributes:
        id: page id.
        revid: revision id; 0 if the dump has none.
        title: without namespace.
        text: wikitext.
        offset: byte offset of `<page>` in the decompressed stream.
    """

    id: int
    revid: int
    title: str
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class TemplatePage:
    """A template's source, or another name for it.

    Attributes:
        title: without namespace.
        text: wikitext, with what is meant for its own page (`<noinclude>`) still in it.
        redirect: title, without namespace, of the template that this one stands for; else "".
        offset: byte offset of `<page>` in the decompressed stream.
    """

    title: str
    text: str
    redirect: str
    offset: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A page that is not kept.

    Attributes:
        reason: short name, counted.
        offset: byte offset of `<page>` in the decompressed stream.
        excerpt: title and id, and what is wrong.
        is_bad: True for damage (quarantined), False for what is left out on purpose (dropped).
    """

    reason: str
    offset: int
    excerpt: str = ""
    is_bad: bool = False


def judge_page(
    raw: RawPage, header: SiteHeader, *, max_page_bytes: int
) -> Page | TemplatePage | Rejected:
    """Decide on one page of the dump; duplicates are the reader's business.

    Kept is what has an id and a title and wikitext, and is an article (namespace 0, no redirect)
    or a template (namespace 10, redirects too: they are a template's other names).

    Returns:
        The page, or the reason against it: quarantined "malformed_page" or "page_too_large";
        dropped "namespace_<n>", "redirect", "deleted_text", "not_wikitext" or "empty_text".
    """
    page_id, revid = _parse_id(raw.page_id), _parse_id(raw.revision_id or "0")
    namespace = _namespace_of(raw, header)
    problem = raw.problem
    if page_id is None or revid is None or namespace is None or not raw.title:
        problem = problem or "an integer id, an integer namespace and a title were expected"
    if problem or page_id is None or revid is None or not raw.title:
        return _bad("malformed_page", raw, problem)
    is_template = namespace == TEMPLATE_NAMESPACE
    if namespace != 0 and not is_template:
        return Rejected(f"namespace_{namespace}", raw.offset)
    target = raw.redirect or redirect_target(raw.text or "")
    if target is None and raw.redirect is not None:
        target = ""
    if target is not None and not is_template:
        return Rejected("redirect", raw.offset)
    rejected = _judge_text(raw, max_page_bytes=max_page_bytes)
    if rejected is not None and not (is_template and target):
        return rejected
    text = raw.text or ""
    if is_template:
        names = _template_names(raw.title, header)
        title, redirect = bare_title(raw.title, names), bare_title(target or "", names)
        return TemplatePage(title=title, text=text, redirect=redirect, offset=raw.offset)
    return Page(id=page_id, revid=revid, title=raw.title, text=text, offset=raw.offset)


def _judge_text(raw: RawPage, *, max_page_bytes: int) -> Rejected | None:
    if raw.is_text_too_large:
        found = f"at least {raw.num_text_bytes} bytes, more than {max_page_bytes}"
        return _bad("page_too_large", raw, found)
    if raw.is_text_deleted:
        return Rejected("deleted_text", raw.offset)
    if (raw.model or WIKITEXT) != WIKITEXT:
        return Rejected("not_wikitext", raw.offset)
    if raw.text is None or not raw.text.strip():
        return Rejected("empty_text", raw.offset)
    return None


def _template_names(title: str, header: SiteHeader) -> set[str]:
    """Names of the template namespace; one whose name no header tells is in every title."""
    local = header.namespaces.get(TEMPLATE_NAMESPACE) or title.partition(":")[0]
    return {"template", local.replace("_", " ").lower()}


def _bad(reason: str, raw: RawPage, problem: str) -> Rejected:
    excerpt = f"title {raw.title!r}, id {raw.page_id!r}: {problem}"
    return Rejected(reason, raw.offset, excerpt=excerpt, is_bad=True)


def _parse_id(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 19:
        return None
    value = int(text)
    return value if value <= _MAX_INT64 else None


def _namespace_of(raw: RawPage, header: SiteHeader) -> int | None:
    """The page's namespace number; None if what is there is no number.

    Exports before 0.6 have no <ns>: there the title's prefix decides.
    """
    if raw.namespace is None:
        prefix, colon, _ = (raw.title or "").partition(":")
        names = {name: number for number, name in header.namespaces.items() if name}
        return names.get(prefix, 0) if colon else 0
    digits = raw.namespace.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < 10
    return int(raw.namespace) if is_number else None
