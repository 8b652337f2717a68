"""Stage "download": files of a URL, as they are, below their base names.

A config of this stage is already resolved (`corpus.sources.resolution`): each file has its
checksum, or else the validator and size that its server tells. They are part of the download's
identity: an unchanged file is a hit, a changed one is another artifact. `corpus.sources.inputs`
opens downloads.

Cost: the network, one pass over the bytes for the checksum and one for the store's sha256.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import partial
from pathlib import Path

from pydantic import Field, field_validator

from headrace.artifacts import Build, ShardOutcome, Stage
from headrace.artifacts.measures import Inputs, Measure, Resumption
from headrace.config import StageConfig
from headrace.corpus.sources.remote import RemoteInfo, Remotes, open_remotes
from headrace.corpus.sources.transfer import Tell, fetch, remove_part
from headrace.errors import CorruptInputError

HEX_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64}
"""Checksums that are understood, and their length."""


class RemoteFile(StageConfig):
    """One file as it was when it was chosen."""

    url: str = Field(description="where it lies; never with user names, passwords or signatures")
    name: str = Field(min_length=1, description="path below the artifact")
    checksum: str = Field(
        default="",
        description='"<md5, sha1 or sha256>:<hex digits>" that its bytes must have; "" for none',
    )
    validator: str = Field(
        default="",
        description="what the server tells its versions apart by (ETag, date, generation); left "
        "out where a checksum is given",
    )
    num_bytes: int | None = Field(default=None, ge=0, description="its size in bytes, if told")

    @field_validator("checksum")
    @classmethod
    def _check_checksum(cls, value: str) -> str:
        algorithm, _, digits = value.partition(":")
        if value and (
            len(digits) != HEX_DIGITS.get(algorithm, -1) or not re.fullmatch("[0-9a-f]+", digits)
        ):
            raise ValueError("md5:, sha1: or sha256: and 32, 40 or 64 hex digits are needed")
        return value


class DownloadConfig(StageConfig):
    """A resolved URL: what exactly is to be fetched."""

    url: str = Field(description="what was asked for, dated")
    files: tuple[RemoteFile, ...] = Field(min_length=1, description="the files, in order")

    @field_validator("files")
    @classmethod
    def _check_names(cls, value: tuple[RemoteFile, ...]) -> tuple[RemoteFile, ...]:
        names = [file.name for file in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two files would have the name {twice[0]}: fetch them one by one")
        for name in names:
            if any(part in ("", ".", "..") for part in name.split("/")):
                raise ValueError(f"{name!r} is no name of a file below a directory")
        return value


def write_download(*, config: DownloadConfig, out: Build) -> None:
    """Fetch every file, one after the other.

    Args:
        config: what to fetch.
        out: receives the file under its base name, or several in `files/`, each its own shard.

    Raises:
        RemoteChangedError: a file is another one on the server by now.
        CorruptInputError: a file's checksum or size is wrong.
        MissingInputError: a server refuses a file.
        ServerUnavailableError: a server cannot be reached, or breaks off again and again.
    """
    sizes = [file.num_bytes for file in config.files]
    total = sum(size for size in sizes if size is not None) if None not in sizes else None
    done = 0
    with open_remotes() as remotes:
        for number, file in enumerate(config.files):
            part = out.workdir / f"{number:05d}.part"
            tell = _teller(out, done, total, number, len(config.files))
            write = partial(_fetch_file, file=file, remotes=remotes, part=part, tell=tell)
            record = out.publish(f"file-{number:05d}", write)
            remove_part(part)
            done += record.files[0].bytes
            out.progress(done, total, "bytes", f"{number + 1} of {len(config.files)} files")


def _teller(out: Build, before: int, total: int | None, number: int, num_files: int) -> Tell:
    def tell(done: int, size: int | None) -> None:
        whole = size if num_files == 1 and total is None else total
        # The last byte is told once the file is proved and published.
        if whole is None or before + done < whole:
            out.progress(before + done, whole, "bytes", f"{number} of {num_files} files")

    return tell


def _fetch_file(
    directory: Path, *, file: RemoteFile, remotes: Remotes, part: Path, tell: Tell
) -> ShardOutcome:
    expected = RemoteInfo(num_bytes=file.num_bytes, validator=file.validator)
    fetch(
        remotes.of(file.url),
        file.url,
        part,
        expected=expected,
        may_change=bool(file.checksum) and not file.validator,
        tell=tell,
    )
    _check_part(file, part)
    target = directory / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # A second name, not a new one: a kill before the shard is published costs no download.
        os.link(part, target)
    except OSError:
        part.replace(target)
    return ShardOutcome(rows=1, counts={"num_bytes": target.stat().st_size})


def _check_part(file: RemoteFile, part: Path) -> None:
    if not file.checksum:
        return
    algorithm, _, expected = file.checksum.partition(":")
    found = _hash_file(part, algorithm)
    if found != expected:
        remove_part(part)
        raise CorruptInputError(
            f"{file.url}: {algorithm} {expected} was expected, the bytes that came have {found}: "
            "they were thrown away; check the checksum, then run again or use another mirror"
        )


def _hash_file(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _work(config: DownloadConfig, _inputs: Inputs) -> float:
    sizes = [file.num_bytes for file in config.files]
    if None in sizes:
        raise KeyError("num_bytes")
    return float(sum(size or 0 for size in sizes))


def _resumption(scratch: Path, config: DownloadConfig) -> Resumption | None:
    """What part files an interrupted download left."""
    there = sum(path.stat().st_size for path in scratch.glob("*.part"))
    total = sum(file.num_bytes or 0 for file in config.files)
    if not there or not total:
        return None
    return Resumption(share=min(there / total, 1.0), words=f"goes on from byte {there:,}")


DOWNLOAD = Stage(
    name="download",
    version=1,
    format="headrace.download/1",
    packages=(),
    write=write_download,
    measure=Measure(work=_work, volume=_work, start_seconds=0.2, resumption=_resumption),
)
