"""Files that lie elsewhere: what their server tells of them, and their bytes from any offset on.

    http, https   httpx, see `corpus.sources.http_remote`
    s3, gs        fsspec, see `corpus.sources.object_store`
    file          the same way, so that a copy of a local file is made like any other download

A validator is what tells one version of a remote file from the next without reading it: an ETag, a
generation, a date of last change. Secrets (keys, signatures) stay in this process: they are taken
out of every URL that is written down.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from headrace.errors import ConfigError, CorruptInputError, ServerUnavailableError
from headrace.retries import delay_seconds

logger = logging.getLogger(__name__)

SCHEMES = ("http", "https", "s3", "gs", "file")
MAX_RETRY_AFTER_SECONDS = 120.0
GLOB_CHARACTERS = frozenset("*?[")

T = TypeVar("T")

_SECRET_PARAMETER = re.compile(
    r"(?:^|[-_])(?:sig|signature|token|credential|secret|password|passwd|apikey|api[-_]key|"
    r"accesskeyid|access[-_]key|googleaccessid)$",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_full_urls: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How broken transfers are tried again.

    Attributes:
        max_failures: tries without any progress after which it ends with an error.
        pause: seconds to wait after so many failures in a row.
        sleep: waits.
    """

    max_failures: int = 6
    pause: Callable[[int], float] = delay_seconds
    sleep: Callable[[float], None] = time.sleep

    def wait(self, num_failures: int, error: BrokenTransferError) -> None:
        """Pause before the next try; a server that names a time is obeyed within bounds."""
        seconds = self.pause(num_failures)
        if error.retry_after is not None:
            seconds = min(error.retry_after, MAX_RETRY_AFTER_SECONDS)
        logger.warning("%s; trying again in %.0f s", error, seconds)
        self.sleep(seconds)


PATIENCE = Patience()
"""What downloads go by; tests put one without pauses in its place."""


class BrokenTransferError(Exception):
    """A transfer broke in a way that may pass. Internal: callers try again or translate it."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(BrokenTransferError):
    """No connection came about at all."""


class RangeRefusedError(BrokenTransferError):
    """The server cannot go on from where the part ends."""


class RemoteChangedError(CorruptInputError):
    """The file on the server is not the one whose download began."""


@dataclass(frozen=True, kw_only=True)
class RemoteInfo:
    """What a server tells of a file.

    Attributes:
        num_bytes: its size; None where it is not told.
        validator: "<kind>:<value>", as 'etag:"abc"'; "" where it tells none.
        checksum: "<algorithm>:<hex digits>" if the server knows one.
    """

    num_bytes: int | None = None
    validator: str = ""
    checksum: str = ""

    @property
    def validator_kind(self) -> str:
        """'etag', 'last-modified', 'generation', 'mtime' or ''."""
        return self.validator.partition(":")[0]

    def may_be(self, other: RemoteInfo) -> bool:
        """Whether both can be the same version of a file, as far as they tell."""
        sizes = {self.num_bytes, other.num_bytes} - {None}
        comparable = self.validator_kind == other.validator_kind
        return len(sizes) < 2 and (not comparable or _strong(self) == _strong(other))


def _strong(info: RemoteInfo) -> str:
    return info.validator.replace("etag:W/", "etag:", 1)


@dataclass(frozen=True, kw_only=True)
class Body:
    """A file's bytes on their way.

    Attributes:
        offset: of the first byte that comes.
        info: what the server tells of the file now.
        chunks: the bytes; raises BrokenTransferError where they end too soon.
    """

    offset: int
    info: RemoteInfo
    chunks: Iterator[bytes]


class Remote(Protocol):
    """One kind of server. Methods raise BrokenTransferError for what may pass."""

    def probe(self, url: str) -> RemoteInfo:
        """What the server tells of a file, without its bytes."""

    def open(self, url: str, offset: int, known: RemoteInfo) -> AbstractContextManager[Body]:
        """The bytes from `offset` on, if the file is still the `known` one; else from 0 on."""

    def list(self, url: str) -> list[tuple[str, RemoteInfo]]:
        """URL and info of each file below a URL that ends in "/", or that matches a pattern."""

    def close(self) -> None:
        """Let go of connections."""


class Remotes:
    """The servers used by one piece of work, opened when they are first needed."""

    def __init__(self) -> None:
        self._remotes: dict[str, Remote] = {}

    def of(self, url: str) -> Remote:
        """The remote for a URL's scheme.

        Raises:
            ConfigError: the scheme is not known, or its package is not installed.
        """
        scheme = scheme_of(url)
        kind = "http" if scheme in ("http", "https") else scheme
        if kind not in self._remotes:
            self._remotes[kind] = _make_remote(kind, url)
        return self._remotes[kind]

    def close(self) -> None:
        """Close all of them."""
        for remote in self._remotes.values():
            remote.close()
        self._remotes.clear()


def _make_remote(kind: str, url: str) -> Remote:
    if kind == "http":
        from headrace.corpus.sources.http_remote import HttpRemote

        return HttpRemote()
    if kind in SCHEMES:
        from headrace.corpus.sources.object_store import ObjectStore

        return ObjectStore(kind)
    raise ConfigError(
        f"{url}: a URL of {', '.join(SCHEMES)} was expected, found '{kind}': check the URL"
    )


@contextlib.contextmanager
def open_remotes() -> Iterator[Remotes]:
    """Remotes that are closed at the end."""
    remotes = Remotes()
    try:
        yield remotes
    finally:
        remotes.close()


def persistently(attempt: Callable[[], T]) -> T:
    """Call until it succeeds; a server that cannot be reached at all is told at once.

    Raises:
        ServerUnavailableError: it cannot be reached, or fails again and again.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except UnreachableError as error:
            raise ServerUnavailableError(
                f"{error}: check the URL and the network, then run again"
            ) from None
        except BrokenTransferError as error:
            failures += 1
            if failures >= PATIENCE.max_failures:
                raise ServerUnavailableError(
                    f"{error}, {failures} times in a row: run again later"
                ) from None
            PATIENCE.wait(failures, error)


def scheme_of(text: str) -> str:
    """The scheme before "://", in small letters; "" where there is none."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else ""


def has_pattern(url: str) -> bool:
    """Whether an object store's URL means several files."""
    is_store = scheme_of(url) in ("s3", "gs")
    return is_store and (url.endswith("/") or bool(GLOB_CHARACTERS & set(url)))


def public_url(url: str) -> str:
    """`url` as it may be written down: signatures are left out, and kept for `full_url`.

    Raises:
        ConfigError: it is no URL, or holds a user name or password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"{_without_query(url)}: this is no valid URL ({error})") from None
    if parts.scheme.lower() in ("http", "https") and not parts.hostname:
        raise ConfigError(f"{_without_query(url)}: a URL with a host was expected: check it")
    if "@" in parts.netloc:
        raise ConfigError(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}: the URL holds a user "
            "name or password, which would be written into manifests: put it into ~/.netrc, or "
            "into the environment of your object store"
        )
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [pair for pair in pairs if not _SECRET_PARAMETER.search(pair[0])]
    if len(kept) == len(pairs):
        return url
    public = urlunsplit(parts._replace(query=urlencode(kept)))
    _full_urls[public] = url
    return public


def _without_query(url: str) -> str:
    return url.partition("?")[0].rpartition("@")[2]


def full_url(public: str) -> str:
    """The URL to ask for: with the signatures that `public_url` left out in this process."""
    return _full_urls.get(public, public)


def base_name(url: str) -> str:
    """Name under which a URL's file is kept.

    Raises:
        ConfigError: the URL names no file.
    """
    # In an object's key "?", "#" and "%" are characters like any other.
    is_web = scheme_of(url) in ("http", "https", "file")
    path = unquote(urlsplit(url).path) if is_web else url.partition("://")[2].partition("/")[2]
    if scheme_of(url) in ("http", "https"):
        path = unquote(urlsplit(url).path.rpartition("/")[2]).replace("/", "_")
    name = path.rpartition("/")[2]
    if not name or name in (".", ".."):
        raise ConfigError(
            f"{url}: a URL that ends in a file's name was expected: name the file, or give a list "
            "of URLs"
        )
    return name
