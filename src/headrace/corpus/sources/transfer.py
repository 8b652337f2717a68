"""One file's way from its server to this disk, broken off and gone on with as often as need be.

The bytes are appended to a part file; beside it a small JSON says what they are a part of. Either
is there after a kill, so the next run asks for the rest only. Every `SYNC_BYTES` the part is forced
to the disk and its length noted: after a power cut (another boot id) only that much is trusted.

    connection breaks         -> asked for again from the part's end, after growing pauses
    file has changed          -> from its beginning
    server knows no ranges    -> from its beginning
    no progress, many times   -> error; the part stays

What counts as progress is getting further than ever before, so that this ends for any server.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from headrace.artifacts import files
from headrace.corpus.sources import remote as remotes
from headrace.corpus.sources.remote import (
    Body,
    BrokenTransferError,
    RangeRefusedError,
    Remote,
    RemoteChangedError,
    RemoteInfo,
    UnreachableError,
)
from headrace.errors import CorruptInputError, ServerUnavailableError, StoreError

logger = logging.getLogger(__name__)

SYNC_BYTES = 64 << 20

Tell = Callable[[int, int | None], None]
"""Told the bytes that are there, and how many there will be if that is known."""


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class PartFile:
    """The beginning of a file, and what it is the beginning of.

    Args:
        path: of the part; its JSON has ".json" behind the name.
        url: where it comes from.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.info = RemoteInfo()
        self.was_reached = False
        self._url = url
        self._num_synced = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self.num_bytes = self._take_over()
        # Unbuffered: what came must survive a kill.
        self._file = path.open("ab", buffering=0)
        self._file.truncate(self.num_bytes)
        self._num_synced = self.num_bytes

    def _take_over(self) -> int:
        """How much of what an earlier run left can be used."""
        note = files.read_json(_note_path(self.path))
        if not isinstance(note, dict) or note.get("url") != self._url or not self.path.exists():
            return 0
        self.info = RemoteInfo(num_bytes=note.get("num_bytes"), validator=note.get("validator", ""))
        present = self.path.stat().st_size
        is_same_boot = note.get("boot_id") == _boot_id() != ""
        return present if is_same_boot else min(present, int(note.get("num_synced", 0)))

    def restart(self, info: RemoteInfo) -> None:
        """Forget what is there; from now on it is a part of the file that `info` tells of."""
        self._file.truncate(0)
        self.num_bytes = self._num_synced = 0
        self.info = info
        self._note()

    def learn(self, info: RemoteInfo) -> None:
        """Note a size or validator that was not known so far."""
        num_bytes = self.info.num_bytes if info.num_bytes is None else info.num_bytes
        known = RemoteInfo(num_bytes=num_bytes, validator=info.validator or self.info.validator)
        if known != self.info:
            self.info = known
            self._note()

    def check_space(self) -> None:
        """Refuse to begin what cannot end.

        Raises:
            StoreError: the rest does not fit onto the disk.
        """
        if self.info.num_bytes is None:
            return
        needed = self.info.num_bytes - self.num_bytes
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise StoreError(
                f"{self._url}: {needed:,} bytes are to be fetched; only {free:,} are free below "
                f"{self.path.parent}: the disk is full: free space (`headrace gc`) or set "
                "HEADRACE_HOME elsewhere"
            )

    def write(self, chunk: bytes) -> None:
        """Append."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._file.write(rest) :]
        self.num_bytes += len(chunk)
        if self.num_bytes - self._num_synced >= SYNC_BYTES:
            self.sync()

    def sync(self) -> None:
        """Force all of it to the disk."""
        os.fsync(self._file.fileno())
        self._num_synced = self.num_bytes
        self._note()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _note(self) -> None:
        note = {
            "url": self._url,
            "validator": self.info.validator,
            "num_bytes": self.info.num_bytes,
            "num_synced": self._num_synced,
            "boot_id": _boot_id(),
        }
        files.write_json(_note_path(self.path), note)


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def remove_part(path: Path) -> None:
    """Remove a part file and its note."""
    path.unlink(missing_ok=True)
    _note_path(path).unlink(missing_ok=True)


def fetch(
    remote: Remote, url: str, path: Path, *, expected: RemoteInfo, may_change: bool, tell: Tell
) -> None:
    """Bring a whole file to `path`, going on from what is there.

    Args:
        remote: the server.
        url: the file.
        path: part file; at the end the whole file.
        expected: what the server told of the file when it was chosen.
        may_change: take the file even if it is another one by now; its checksum is proved later.
        tell: progress.

    Raises:
        RemoteChangedError: it is another one by now.
        ServerUnavailableError: it broke again and again without progress; the part stays.
        MissingInputError: the server refuses it.
        CorruptInputError: the server sends more bytes than it told.
        StoreError: there is no room for it.
    """
    part = PartFile(path, url)
    try:
        if part.num_bytes:
            logger.info("%s: goes on from byte %s", url, f"{part.num_bytes:,}")
        failures, furthest = 0, part.num_bytes
        while True:
            try:
                _fetch_rest(remote, url, part, expected, may_change, tell)
                break
            except BrokenTransferError as error:
                failures = 1 if part.num_bytes > furthest else failures + 1
                furthest = max(furthest, part.num_bytes)
                # What came is worth keeping even if this process is killed during the pause.
                part.sync()
                if isinstance(error, UnreachableError) and not part.was_reached:
                    raise ServerUnavailableError(
                        f"{error}: check the URL and the network, then run again"
                    ) from None
                if failures >= remotes.PATIENCE.max_failures:
                    raise ServerUnavailableError(
                        f"{error}, at byte {part.num_bytes:,}, {failures} times in a row without "
                        "progress: what came is kept, run again to go on"
                    ) from None
                _pause(failures, error, part)
        part.sync()
    finally:
        part.close()


def _pause(failures: int, error: BrokenTransferError, part: PartFile) -> None:
    if isinstance(error, RangeRefusedError):
        logger.warning("%s: starts anew", error)
        part.restart(RemoteInfo())
    else:
        remotes.PATIENCE.wait(failures, error)


def _fetch_rest(
    remote: Remote, url: str, part: PartFile, expected: RemoteInfo, may_change: bool, tell: Tell
) -> None:
    if part.num_bytes and not _may_go_on(part, expected, may_change):
        logger.warning("%s: the file is not the one whose part is here: starts anew", url)
        part.restart(expected)
    total = part.info.num_bytes
    if total is not None and part.num_bytes == total > 0:
        tell(part.num_bytes, total)
        return
    with remote.open(url, part.num_bytes, part.info) as body:
        part.was_reached = True
        _take_body(body, url, part, expected, may_change)
        part.check_space()
        total = part.info.num_bytes
        for chunk in body.chunks:
            part.write(chunk)
            tell(part.num_bytes, total)
    _check_size(url, part)


def _may_go_on(part: PartFile, expected: RemoteInfo, is_proved_later: bool) -> bool:
    if part.info.num_bytes is not None and part.num_bytes > part.info.num_bytes:
        return False
    # With nothing to tell versions apart by, a part of yesterday's file would be completed with
    # the rest of today's.
    has_validator = bool(part.info.validator or part.info.num_bytes is not None)
    return (has_validator or is_proved_later) and part.info.may_be(expected)


def _take_body(
    body: Body, url: str, part: PartFile, expected: RemoteInfo, may_change: bool
) -> None:
    """Decide whether what comes is the rest of the part, or a beginning."""
    if not may_change and not body.info.may_be(expected):
        raise RemoteChangedError(
            f"{url}: the file on the server changed while it was fetched (it was "
            f"{_told(expected)}, now it is {_told(body.info)}): run again to take the new one"
        )
    if part.num_bytes and not body.info.may_be(part.info):
        logger.warning(
            "%s: it changed on the server (from %s to %s): starts anew",
            url, _told(part.info), _told(body.info),
        )  # fmt: skip
        if body.offset:
            raise RangeRefusedError(f"{url}: a part of another version came")
        part.restart(body.info)
    elif part.num_bytes and body.offset == 0:
        logger.warning("%s: the server gives no ranges: starts anew", url)
        part.restart(body.info)
    elif part.num_bytes == 0:
        part.restart(body.info)
    else:
        part.learn(body.info)
    if part.info.num_bytes is None and expected.num_bytes is not None:
        part.learn(RemoteInfo(num_bytes=expected.num_bytes))


def _told(info: RemoteInfo) -> str:
    size = "of unknown size" if info.num_bytes is None else f"{info.num_bytes:,} bytes"
    return f"{size}, {info.validator}" if info.validator else size


def _check_size(url: str, part: PartFile) -> None:
    total = part.info.num_bytes
    if total is None or part.num_bytes == total:
        return
    if part.num_bytes > total:
        found = part.num_bytes
        part.restart(RemoteInfo())
        raise CorruptInputError(
            f"{url}: {total:,} bytes were told, {found:,} came: the server lies about the size: "
            "use another mirror"
        )
    raise BrokenTransferError(f"{url}: the connection ended at {part.num_bytes:,} of {total:,}")
