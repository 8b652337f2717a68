"""Files in object stores (s3, gs) and on local disks, through fsspec.

They are read in ranges of `RANGE_BYTES`. What the store tells of the file (ETag, generation, time)
is asked for again after the last range: if it is the same, no range came from another version.
Credentials and endpoints are the environment's business: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL,
GOOGLE_APPLICATION_CREDENTIALS, STORAGE_EMULATOR_HOST, FSSPEC_S3_ANON and their like.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from headrace.corpus.sources.remote import (
    Body,
    BrokenTransferError,
    RemoteChangedError,
    RemoteInfo,
    UnreachableError,
)
from headrace.errors import ConfigError, HeadraceError, MissingInputError

RANGE_BYTES = 8 << 20

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=true for a public "
    "bucket",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or FSSPEC_GS_TOKEN=anon for a public bucket",
    "file": "check the file's owner",
}
_MISSING_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError",
                        "CredentialRetrievalError", "RefreshError")  # fmt: skip
_NO_CONNECTION = ("EndpointConnectionError", "ClientConnectorError", "ConnectTimeoutError",
                  "ClientConnectorDNSError", "ProxyConnectionError")  # fmt: skip


class ObjectStore:
    """One store behind fsspec.

    Args:
        kind: "s3", "gs" or "file".
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        if kind in _PACKAGES:
            try:
                importlib.import_module(_PACKAGES[kind])
            except ImportError:
                raise ConfigError(
                    f"{kind}:// needs the package {_PACKAGES[kind]}, which is not installed: "
                    f"pip install 'headrace[{kind}]'"
                ) from None
        fsspec = importlib.import_module("fsspec")
        with _translated(f"{kind}://", kind):
            # Listings change and sessions are closed here: nothing may be shared or remembered.
            options = {} if kind == "file" else {"use_listings_cache": False}
            self._files = fsspec.filesystem(kind, skip_instance_cache=True, **options)

    def close(self) -> None:
        """Close the session, if there is one."""
        asyn = importlib.import_module("fsspec.asyn")
        session = getattr(self._files, "_s3", None) or getattr(self._files, "_session", None)
        if session is None:
            return
        leave = session.__aexit__ if self._kind == "s3" else None
        with contextlib.suppress(Exception):
            if leave is not None:
                asyn.sync(self._files.loop, leave, None, None, None, timeout=5)
            else:
                asyn.sync(self._files.loop, session.close, timeout=5)

    def _path(self, url: str) -> str:
        """A file's URL is escaped, an object's key is not."""
        return unquote(urlsplit(url).path) if self._kind == "file" else url

    def probe(self, url: str) -> RemoteInfo:
        """See `Remote`."""
        with _translated(url, self._kind):
            found = self._files.info(self._path(url))
        if found.get("type") == "directory":
            raise MissingInputError(
                f"{url}: a file was expected, it is a directory: end the URL in '/' to take all "
                "files below it"
            )
        return _info_of(found)

    def list(self, url: str) -> list[tuple[str, RemoteInfo]]:
        """See `Remote`."""
        with _translated(url, self._kind):
            if url.endswith("/"):
                found = self._files.find(url, detail=True)
            else:
                found = self._files.glob(url, detail=True)
        return [
            (f"{self._kind}://{path.lstrip('/')}", _info_of(entry))
            for path, entry in sorted(found.items())
            # A "directory" of a store is an empty object with a slash at its end.
            if entry.get("type") == "file" and not path.endswith("/")
        ]

    @contextlib.contextmanager
    def open(self, url: str, offset: int, known: RemoteInfo) -> Iterator[Body]:
        """See `Remote`."""
        info = self.probe(url)
        start = offset if info.may_be(known) else 0
        yield Body(offset=start, info=info, chunks=self._chunks(url, start, info))

    def _chunks(self, url: str, start: int, info: RemoteInfo) -> Iterator[bytes]:
        end = info.num_bytes or 0
        while start < end:
            stop = min(start + RANGE_BYTES, end)
            with _translated(url, self._kind):
                chunk: bytes = self._files.cat_file(self._path(url), start=start, end=stop)
            if len(chunk) != stop - start:
                raise BrokenTransferError(
                    f"{url}: bytes {start} to {stop} were asked for, {len(chunk)} bytes came"
                )
            start = stop
            yield chunk
        if not self.probe(url).may_be(info):
            raise RemoteChangedError(
                f"{url}: the object changed while it was fetched: run again to take the new one"
            )


def _info_of(entry: Mapping[str, Any]) -> RemoteInfo:
    size = entry.get("size")
    checksum = ""
    if md5 := entry.get("md5Hash"):
        with contextlib.suppress(binascii.Error, ValueError):
            checksum = f"md5:{base64.b64decode(md5, validate=True).hex()}"
    if generation := entry.get("generation"):
        validator = f"generation:{generation}"
    elif etag := entry.get("ETag") or entry.get("etag"):
        validator = f"etag:{etag}"
    elif "mtime" in entry:
        validator = f"mtime:{entry['mtime']!r}"
    else:
        validator = ""
    num_bytes = int(size) if size is not None else None
    return RemoteInfo(num_bytes=num_bytes, validator=validator, checksum=checksum)


@contextlib.contextmanager
def _translated(url: str, kind: str) -> Iterator[None]:
    """Turn what the stores' packages raise, each in its own way, into our own few kinds."""
    try:
        yield
    except HeadraceError:
        raise
    except FileNotFoundError:
        raise MissingInputError(f"{url}: there is no such file or bucket: check the URL") from None
    except PermissionError as error:
        raise MissingInputError(
            f"{url}: access is refused ({_short(error)}): {_CREDENTIALS[kind]}"
        ) from None
    except (MemoryError, BrokenTransferError):
        raise
    except Exception as error:  # noqa: BLE001 (each store's package has its own tree of errors)
        raise _explain(url, kind, error) from None


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _explain(url: str, kind: str, error: Exception) -> Exception:
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & set(_MISSING_CREDENTIALS):
        return MissingInputError(f"{url}: no credentials were found: {_CREDENTIALS[kind]}")
    if names & set(_NO_CONNECTION):
        return UnreachableError(f"{url}: the store cannot be reached ({_short(error)})")
    if kind == "file" and isinstance(error, IsADirectoryError | ValueError):
        return MissingInputError(f"{url}: a readable file was expected ({_short(error)})")
    if isinstance(error, ValueError | TypeError):
        return ConfigError(f"{url}: the store does not take it ({_short(error)}): check the URL")
    status = getattr(error, "code", None) or getattr(error, "status", None)
    if status in (401, 403):
        return MissingInputError(f"{url}: access is refused ({status}): {_CREDENTIALS[kind]}")
    return BrokenTransferError(f"{url}: the store failed ({_short(error)})")
