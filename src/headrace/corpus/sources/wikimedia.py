"""Wikimedia's dumps: which date "latest" is, which files belong to it, and their checksums.

    <base>/<wiki>/                              a page that links every date there is
    <base>/<wiki>/<date>/dumpstatus.json        {"jobs": {"articlesdump": {"status": "done",
                                                 "files": {name: {"size", "sha1", "md5", "url"}}}}}
    <base>/<wiki>/<date>/<wiki>-<date>-pages-articles.xml.bz2
    <base>/<wiki>/<date>/<wiki>-<date>-pages-articles1.xml-p1p41242.bz2   (large wikis, in parts)
    <base>/<wiki>/latest/<wiki>-latest-...      moves on while a dump is made: never fetched as such

A dump is taken once its job says "done": the newest one that does is "latest". Layout as described
on https://meta.wikimedia.org/wiki/Data_dumps. `HEADRACE_DUMPS_URL` names a mirror.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from headrace.corpus.sources.remote import Remotes, persistently, public_url, scheme_of
from headrace.errors import ConfigError, CorruptInputError, MissingInputError

logger = logging.getLogger(__name__)

BASE_VARIABLE = "HEADRACE_DUMPS_URL"
DEFAULT_BASE = "https://dumps.wikimedia.org"
LATEST = "latest"
MAX_DATES = 24
"""Dates looked at for a finished dump, newest first: a year of them."""

_WIKI = (
    r"[a-z][a-z0-9_]*?"
    r"(?:wiki|wiktionary|wikibooks|wikinews|wikiquote|wikisource|wikiversity|wikivoyage|wikimedia)"
)
_DATE = r"\d{8}|latest"
_KIND = r"articles|multistream|multistream-with-index"
_SHORT = re.compile(rf"(?P<wiki>{_WIKI})(?::(?P<date>{_DATE}))?(?::(?P<kind>{_KIND}))?")
_LONG = re.compile(
    rf"wikimedia://(?P<wiki>{_WIKI})(?:/(?P<date>{_DATE}))?(?:/(?P<kind>{_KIND}))?/?"
)
_URL = re.compile(
    rf"(?P<base>https?://.+?)/(?P<wiki>{_WIKI})/(?P<date>{_DATE})/"
    r"(?:(?P<name>(?P=wiki)-(?P=date)-[^/?#]+)|(?:#(?P<kind>{_KIND}))?)"
)
_DATE_LINK = re.compile(r"""href=["']?(?:[^"'> ]*/)?(\d{8})/?["'> ]""")
_JOBS = {
    "articles": "articlesdump",
    "multistream": "articlesmultistreamdump",
    "multistream-with-index": "articlesmultistreamdump",
}
_NAMES = {
    "articles": r"pages-articles\d*\.xml[^/]*\.(?:bz2|gz|xz|7z|zst)",
    "multistream": r"pages-articles-multistream\d*\.xml[^/]*\.bz2",
    "multistream-with-index": r"pages-articles-multistream(?:\d*\.xml|-index\d*\.txt)[^/]*\.bz2",
}
_CHECKSUMS = {"sha1": 40, "md5": 32}


@dataclass(frozen=True, kw_only=True)
class DumpFile:
    """One file of a dump; "" and None stand for what its status file does not tell."""

    url: str
    name: str
    checksum: str = ""
    num_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Dump:
    """A finished dump: its dated URL, and the files that were asked for."""

    url: str
    date: str
    files: tuple[DumpFile, ...]


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What a text asks for; `name` is that of one file, "" for all files of the kind."""

    base: str
    wiki: str
    date: str
    kind: str = "articles"
    name: str = ""

    @property
    def job(self) -> str:
        return _JOBS[self.kind]

    @property
    def root(self) -> str:
        return f"{self.base}/{self.wiki}/"

    def url(self, date: str, name: str) -> str:
        kind = "" if name or self.kind == "articles" else f"#{self.kind}"
        return f"{self.root}{date}/{name}{kind}"


def _parse(text: str) -> _Request | None:
    base = os.environ.get(BASE_VARIABLE, "").rstrip("/") or DEFAULT_BASE
    if match := _SHORT.fullmatch(text) or _LONG.fullmatch(text):
        return _Request(
            base=public_url(base),
            wiki=match["wiki"],
            date=match["date"] or LATEST,
            kind=match["kind"] or "articles",
        )
    if scheme_of(text) == "wikimedia":
        raise ConfigError(
            f"{text}: wikimedia://<wiki>[/latest or a date][/articles, multistream or "
            "multistream-with-index] was expected, as wikimedia://jawiki/20261101: check it"
        )
    if match := _URL.fullmatch(text):
        return _Request(
            base=public_url(match["base"]),
            wiki=match["wiki"],
            date=match["date"],
            kind=match["kind"] or "articles",
            name=match["name"] or "",
        )
    return None


def is_dump_name(text: str) -> bool:
    """Whether a text without a scheme is a wiki's name, as "enwiki" or "jawiki:20261101"."""
    return _SHORT.fullmatch(text) is not None


def dated_url(text: str) -> str:
    """The one URL of a dump, or of a file in it, that a text names by date; "" for other texts."""
    request = _parse(text)
    if request is None or request.date == LATEST:
        return ""
    return request.url(request.date, request.name)


def resolve_dump(text: str, remotes: Remotes) -> Dump | None:
    """The files that a wiki's name or a URL below a dump's directory stands for.

    Args:
        text: as "enwiki", "jawiki:20261101:multistream", "wikimedia://jawiki/latest", or the URL of
            a dump's directory or of a file in it.
        remotes: servers.

    Returns:
        None for any other text, and for a file of which no status file tells.

    Raises:
        MissingInputError: there is no such wiki, date or file, or its dump is not finished.
        CorruptInputError: the status file of a dump that was named is none.
        ServerUnavailableError: the server cannot be reached.
    """
    request = _parse(text)
    if request is None:
        return None
    if request.date == LATEST:
        return _resolve_latest(request, remotes)
    status = _read_status(request, request.date, remotes)
    if status is None:
        if request.name:
            return None
        raise MissingInputError(
            f"{request.root}{request.date}/: no dumpstatus.json is there, so there is no dump of "
            "that date: check the wiki and the date"
        )
    files = _find_files(request, request.date, status)
    if files:
        return _dump(request, request.date, files)
    if request.name:
        return None
    state = _state_of(status, request.job)
    raise MissingInputError(
        f"{request.root}{request.date}/: a finished dump was expected; its job {request.job} is "
        f"'{state}': take another date, or 'latest' for the newest finished one"
    )


def _resolve_latest(request: _Request, remotes: Remotes) -> Dump | None:
    dates = _list_dates(request, remotes)
    skipped: list[str] = []
    for date in dates[:MAX_DATES]:
        try:
            status = _read_status(request, date, remotes)
        except CorruptInputError as error:
            logger.warning("%s; this date is passed over", error)
            continue
        files = _find_files(request, date, status) if status is not None else ()
        if files:
            passed = f" ({', '.join(skipped)} not finished)" if skipped else ""
            logger.info("%s: the latest finished dump is that of %s%s", request.wiki, date, passed)
            return _dump(request, date, files)
        skipped.append(date)
    if request.name:
        logger.warning(
            "%s: no dated dump there tells of %s: it is taken as a plain file",
            request.root, request.name,
        )  # fmt: skip
        return None
    raise MissingInputError(
        f"{request.root}: a finished dump was expected; of {len(dates)} dates listed there none "
        f"has the job {request.job} done: check the wiki's name, or use another mirror"
    )


def _dump(request: _Request, date: str, files: tuple[DumpFile, ...]) -> Dump:
    name = files[0].name if request.name else ""
    return Dump(url=request.url(date, name), date=date, files=files)


def _get(url: str, remotes: Remotes) -> bytes:
    from headrace.corpus.sources.http_remote import HttpRemote

    remote = remotes.of(url)
    if not isinstance(remote, HttpRemote):
        raise ConfigError(f"{url}: dumps are fetched by http or https: check {BASE_VARIABLE}")
    return persistently(lambda: remote.read_small(url))


def _list_dates(request: _Request, remotes: Remotes) -> list[str]:
    """Dates of a wiki's dumps, newest first."""
    try:
        page = _get(request.root, remotes).decode("utf-8", errors="replace")
    except MissingInputError:
        if request.name:
            return []
        raise MissingInputError(
            f"{request.root}: a wiki's list of dumps was expected; there is none: check the name "
            f"'{request.wiki}' (as enwiki, jawiktionary)"
        ) from None
    return sorted(set(_DATE_LINK.findall(page)), reverse=True)


def _read_status(request: _Request, date: str, remotes: Remotes) -> Mapping[str, Any] | None:
    """The jobs of a dump by name; None where there is no status file."""
    url = f"{request.root}{date}/dumpstatus.json"
    try:
        content = _get(url, remotes)
    except MissingInputError:
        return None
    try:
        jobs = json.loads(content)["jobs"]
        if not all(isinstance(job.get("files", {}), dict) for job in jobs.values()):
            raise TypeError("files of a job are no object")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptInputError(
            f"{url}: a status file with jobs was expected; {error!r}: try again, or use another "
            "mirror"
        ) from None
    return cast("Mapping[str, Any]", jobs)


def _state_of(jobs: Mapping[str, Any], job: str) -> str:
    return str(jobs[job].get("status", "unknown")) if job in jobs else "not listed"


def _find_files(request: _Request, date: str, jobs: Mapping[str, Any]) -> tuple[DumpFile, ...]:
    """The files asked for, in the order of their parts; () while their job is not done."""
    if request.name:
        wanted = request.name.replace(f"-{request.date}-", f"-{date}-", 1)
        names = {
            name: about
            for job in jobs.values()
            if job.get("status") == "done"
            for name, about in job.get("files", {}).items()
            if name == wanted
        }
    elif _state_of(jobs, request.job) == "done":
        pattern = re.compile(re.escape(f"{request.wiki}-{date}-") + _NAMES[request.kind])
        listed = jobs[request.job].get("files", {})
        names = {name: about for name, about in listed.items() if pattern.fullmatch(name)}
    else:
        names = {}
    return tuple(
        _file_of(f"{request.root}{date}/{name}", name, names[name])
        for name in sorted(names, key=_by_number)
    )


def _by_number(name: str) -> list[tuple[int, str]]:
    """Part 2 comes before part 10."""
    return [(int(run), "") if run.isdigit() else (0, run) for run in re.split(r"(\d+)", name)]


def _file_of(url: str, name: str, about: object) -> DumpFile:
    known = about if isinstance(about, dict) else {}
    checksum = ""
    for algorithm, num_digits in _CHECKSUMS.items():
        digits = str(known.get(algorithm, "")).lower()
        if re.fullmatch(f"[0-9a-f]{{{num_digits}}}", digits):
            checksum = f"{algorithm}:{digits}"
            break
    size = known.get("size")
    return DumpFile(
        url=url, name=name, checksum=checksum, num_bytes=size if type(size) is int else None
    )
