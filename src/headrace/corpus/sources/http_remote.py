"""Files on web servers: httpx, streamed, with Range and If-Range.

Proxies and certificates are taken from the environment, as httpx does. Bytes are taken as they come
over the wire (no content encoding is asked for, none is undone), so a `.gz` stays one and a range
means what it says.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx

import headrace
from headrace.corpus.sources.remote import (
    Body,
    BrokenTransferError,
    RangeRefusedError,
    RemoteInfo,
    UnreachableError,
    base_name,
    full_url,
)
from headrace.errors import ConfigError, CorruptInputError, MissingInputError

CONNECT_SECONDS = 15.0
STALL_SECONDS = 60.0
"""Silence after which a connection counts as broken."""

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
# Servers that know no HEAD, and addresses that were signed for GET alone.
_NO_HEAD = frozenset((400, 403, 405, 501))
_PASSING = frozenset((408, 425, 429))
_GZIP_NAMES = (".gz", ".tgz")


class HttpRemote:
    """Web servers, behind one pool of connections."""

    def __init__(self) -> None:
        try:
            self._client = httpx.Client(
                follow_redirects=True,
                timeout=httpx.Timeout(STALL_SECONDS, connect=CONNECT_SECONDS),
                headers={
                    "Accept-Encoding": "identity",
                    "User-Agent": f"headrace/{headrace.__version__}",
                },
            )
        except (ImportError, OSError, ValueError) as error:
            raise ConfigError(
                "the proxy or certificate settings of the environment (HTTPS_PROXY, "
                f"SSL_CERT_FILE, ...) cannot be used: {error}"
            ) from None

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def probe(self, url: str) -> RemoteInfo:
        """See `Remote`."""
        with _translated(url):
            response = self._client.head(full_url(url))
            if response.status_code in _NO_HEAD:
                with self._client.stream("GET", full_url(url)) as response:
                    pass
        _check_status(url, response)
        return _info_of(response)

    def read_small(self, url: str, max_bytes: int = 64 << 20) -> bytes:
        """A small file at once: a status file, a directory's page."""
        content = bytearray()
        with self.open(url, 0, RemoteInfo()) as body:
            for chunk in body.chunks:
                content += chunk
                if len(content) > max_bytes:
                    raise CorruptInputError(
                        f"{url}: at most {max_bytes} bytes were expected; there are more"
                    )
        return bytes(content)

    @contextlib.contextmanager
    def open(self, url: str, offset: int, known: RemoteInfo) -> Iterator[Body]:
        """See `Remote`."""
        headers = {}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if guard := _if_range(known):
                headers["If-Range"] = guard
        with (
            _translated(url),
            self._client.stream("GET", full_url(url), headers=headers) as response,
        ):
            if offset and response.status_code == 416:
                yield _nothing_left(url, offset, response)
                return
            _check_status(url, response)
            _check_encoding(url, response)
            start = _start_of(url, response)
            if start not in (0, offset):
                raise RangeRefusedError(
                    f"{url}: bytes from {offset} on were asked for; the server sends {start}"
                )
            yield Body(offset=start, info=_info_of(response), chunks=response.iter_raw())

    def list(self, url: str) -> list[tuple[str, RemoteInfo]]:
        """Web servers have no listing that could be relied on."""
        raise ConfigError(f"{url}: a web server lists no files: give a list of URLs")


def _if_range(known: RemoteInfo) -> str:
    kind, _, value = known.validator.partition(":")
    is_weak = kind == "etag" and value.startswith("W/")
    return value if kind in ("etag", "last-modified") and not is_weak else ""


def _nothing_left(url: str, offset: int, response: httpx.Response) -> Body:
    """Range not satisfiable: the part is the whole file, or more than it."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match and match[3] == str(offset):
        known = RemoteInfo(num_bytes=offset, validator=_validator_of(response))
        return Body(offset=offset, info=known, chunks=iter(()))
    raise RangeRefusedError(f"{url}: the server has nothing from byte {offset} on (status 416)")


def _start_of(url: str, response: httpx.Response) -> int:
    if response.status_code != 206:
        return 0
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or match[1] is None:
        raise RangeRefusedError(f"{url}: the server sends a part without saying which")
    return int(match[1])


def _validator_of(response: httpx.Response) -> str:
    if etag := response.headers.get("ETag"):
        return f"etag:{etag}"
    if date := response.headers.get("Last-Modified"):
        return f"last-modified:{date}"
    return ""


def _info_of(response: httpx.Response) -> RemoteInfo:
    size = response.headers.get("Content-Length", "")
    if response.status_code == 206:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        size = match[3] if match else ""
    elif "Transfer-Encoding" in response.headers:
        size = ""
    return RemoteInfo(
        num_bytes=int(size) if size.isdecimal() else None, validator=_validator_of(response)
    )


def _check_encoding(url: str, response: httpx.Response) -> None:
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    # Many servers label a stored .gz this way; its bytes on the wire are the file's own.
    is_label = encoding in ("gzip", "x-gzip") and base_name(url).endswith(_GZIP_NAMES)
    if encoding not in ("", "identity") and not is_label:
        raise CorruptInputError(
            f"{url}: the file's own bytes were asked for; the server sends them with content "
            f"encoding '{encoding}': use another mirror"
        )


def _check_status(url: str, response: httpx.Response) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    told = f"{url}: the server says {status} {response.reason_phrase}".rstrip()
    if status in _PASSING or status >= 500:
        raise BrokenTransferError(told, retry_after=_retry_after(response))
    advice = {
        401: "access needs credentials: put them into ~/.netrc",
        403: "access is refused: check your rights, or whether a signed URL has expired",
        404: "there is no such file: check the URL",
        410: "the file is gone: check the URL",
        416: "it cannot give the range that was asked for: use another mirror",
    }
    raise MissingInputError(f"{told}: {advice.get(status, 'no file came: check the URL')}")


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn what httpx raises into our own few kinds."""
    host = httpx.URL(url).host
    try:
        yield
    except httpx.TooManyRedirects:
        raise MissingInputError(
            f"{url}: the server redirects in a circle, or too often: check the URL"
        ) from None
    except httpx.UnsupportedProtocol as error:
        raise MissingInputError(
            f"{url}: it leads to an address of no known kind ({error})"
        ) from None
    except httpx.ConnectTimeout:
        raise UnreachableError(f"{url}: {host} does not answer") from None
    except httpx.ConnectError as error:
        raise _explain_connection(url, host, error) from None
    except httpx.ProxyError as error:
        raise UnreachableError(f"{url}: the proxy does not let it through ({error})") from None
    except httpx.RequestError as error:
        what = str(error) or type(error).__name__
        raise BrokenTransferError(f"{url}: the connection broke ({what})") from None


def _explain_connection(url: str, host: str, error: httpx.ConnectError) -> Exception:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return MissingInputError(
                f"{url}: no safe connection to {host} ({cause.reason or cause}): check its "
                "certificate, or set SSL_CERT_FILE to the authority that signed it"
            )
        if isinstance(cause, socket.gaierror):
            return UnreachableError(f"{url}: the host name {host} cannot be resolved")
        if isinstance(cause, ConnectionRefusedError):
            return UnreachableError(f"{url}: {host} refuses the connection")
    return UnreachableError(f"{url}: {host} cannot be reached ({error})")
