"""What exactly a URL or a wiki's name means now: dated, with checksums or validators.

Asks servers (one HEAD a file, a status file for a dump, a listing for an object store's pattern),
but fetches nothing. Nothing secret gets into the result.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from headrace.artifacts.manifest import MANIFEST_NAME
from headrace.corpus.sources import wikimedia
from headrace.corpus.sources.downloads import HEX_DIGITS, DownloadConfig, RemoteFile
from headrace.corpus.sources.remote import (
    SCHEMES,
    RemoteInfo,
    Remotes,
    base_name,
    has_pattern,
    open_remotes,
    persistently,
    public_url,
    scheme_of,
)
from headrace.errors import ConfigError, MissingInputError

logger = logging.getLogger(__name__)

FOLDER = "files"
"""Below it lie the files of a download of several."""
_BETWEEN_URLS = re.compile(r"\s+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_CHECKSUM = re.compile(r"#(md5|sha1|sha256)[=:]([0-9A-Fa-f]+)$")


def is_remote(text: str) -> bool:
    """Whether an input's text names something to be downloaded: a URL, or a wiki (`jawiki`)."""
    scheme = scheme_of(text.strip())
    if scheme:
        return scheme != "file"
    return wikimedia.is_dump_name(text) and not Path(text).exists()


def resolve(text: str) -> DownloadConfig:
    """Find out what exactly a text means now; asks the server, but fetches nothing.

    Args:
        text: a URL, several with blanks between them, or a wiki's name; "#sha1=..." (md5, sha256)
            behind a URL tells its checksum.

    Raises:
        ConfigError: it is no URL that can be fetched, or two files would have one name.
        MissingInputError: the server refuses it, or has no such file.
        ServerUnavailableError: the server cannot be reached.
    """
    texts = split_texts(text)
    with open_remotes() as remotes:
        if len(texts) == 1:
            return _resolve_one(texts[0], remotes)
        found = [_resolve_one(part, remotes) for part in texts]
    if not found:
        raise ConfigError("a URL was expected; the text is empty")
    urls = " ".join(config.url for config in found)
    several = [file for config in found for file in config.files]
    return _make_config(urls, [(file, base_name(file.url)) for file in several])


def _make_config(url: str, named: Sequence[tuple[RemoteFile, str]]) -> DownloadConfig:
    """Give each file its place: alone at the top, or with others in a folder."""
    if not named:
        raise MissingInputError(f"{url}: at least one file was expected; there is none")
    folder = f"{FOLDER}/" if len(named) > 1 or has_pattern(url) else ""
    placed = [file.model_copy(update={"name": folder + _safe(name)}) for file, name in named]
    try:
        return DownloadConfig(url=url, files=tuple(placed))
    except ValueError as error:
        detail = str(error).partition("Value error, ")[2].partition(" [")[0] or str(error)
        raise ConfigError(f"{url}: {detail}") from None


def _safe(name: str) -> str:
    """A name that is neither hidden nor one of the store's own."""
    parts = ["%2E" + part[1:] if part.startswith(".") else part for part in name.split("/")]
    if parts[0] == MANIFEST_NAME:
        parts[0] = f"%{ord(MANIFEST_NAME[0]):02X}{MANIFEST_NAME[1:]}"
    return "/".join(parts)


def _resolve_one(text: str, remotes: Remotes) -> DownloadConfig:
    url, checksum = split_checksum(text)
    dump = wikimedia.resolve_dump(url if checksum else text, remotes)
    if dump is not None and not (checksum and len(dump.files) > 1):
        logger.info("%s: taken is %s", text, dump.url)
        return _dump_config(dump, checksum, remotes)
    if scheme_of(url) not in SCHEMES:
        raise ConfigError(
            f"{text}: a URL of {', '.join(SCHEMES)} or the name of a wiki (enwiki, "
            "jawiki:20261101) was expected: check it"
        )
    url = public_url(url)
    if has_pattern(url):
        return _resolve_listing(url, checksum, remotes)
    name = base_name(url)
    return _make_config(url, [(_probed(url, checksum, remotes), name)])


def _dump_config(dump: wikimedia.Dump, checksum: str, remotes: Remotes) -> DownloadConfig:
    named = []
    for file in dump.files:
        known = checksum or file.checksum
        if known:
            found = RemoteFile(
                url=file.url, name=file.name, checksum=known, num_bytes=file.num_bytes
            )
        else:
            found = _probed(file.url, "", remotes)
        named.append((found, file.name))
    return _make_config(dump.url, named)


def _resolve_listing(url: str, checksum: str, remotes: Remotes) -> DownloadConfig:
    if checksum:
        raise ConfigError(f"{url}: one checksum cannot hold for several files: leave it out")
    base = re.split(r"[*?\[]", url, maxsplit=1)[0].rpartition("/")[0] + "/"
    remote = remotes.of(url)
    found = persistently(lambda: remote.list(url))
    named = [
        (_remote_file(item, info), item.removeprefix(base) or base_name(item))
        for item, info in found
    ]
    return _make_config(url, named)


def _probed(url: str, checksum: str, remotes: Remotes) -> RemoteFile:
    if checksum:
        # The bytes are known by it: nothing has to be asked, and mirrors may tell other dates.
        return RemoteFile(url=url, name=base_name(url), checksum=checksum)
    remote = remotes.of(url)
    return _remote_file(url, persistently(lambda: remote.probe(url)))


def _remote_file(url: str, info: RemoteInfo) -> RemoteFile:
    if not info.validator and not info.checksum:
        size = (
            "its size alone tells whether it changed"
            if info.num_bytes is not None
            else ("whether it changed cannot be told")
        )
        logger.warning(
            "%s: the server gives neither ETag nor date: %s; a checksum (#sha256=...) would", url,
            size,
        )  # fmt: skip
    return RemoteFile(
        url=url,
        name=base_name(url),
        checksum=info.checksum,
        validator=info.validator,
        num_bytes=info.num_bytes,
    )


def split_texts(text: str) -> list[str]:
    """The URLs in a text with blanks between them; a blank inside a URL is a part of it."""
    return [part for part in _BETWEEN_URLS.split(text.strip()) if part]


def split_checksum(text: str) -> tuple[str, str]:
    """A URL and the checksum behind it: "u#sha1=AB.." -> ("u", "sha1:ab..").

    Raises:
        ConfigError: the checksum has not the length that its algorithm gives.
    """
    match = _CHECKSUM.search(text)
    if match is None:
        return (text.partition("#")[0], "") if scheme_of(text).startswith("http") else (text, "")
    algorithm, digits = match[1], match[2].lower()
    if len(digits) != HEX_DIGITS[algorithm]:
        raise ConfigError(
            f"{text}: {HEX_DIGITS[algorithm]} hex digits of {algorithm} were expected, found "
            f"{len(digits)}: check the checksum"
        )
    return text[: match.start()], f"{algorithm}:{digits}"
