"""Inputs as users name them: a local path, a URL, or a wiki; what comes out is a source artifact.

    text -> config "download" (`resolution`) -> artifact "download" -> artifact "source"

Later stages hang on the source, so bytes are one input whether they came from this URL, a mirror or
a local path. What a text was resolved to is remembered in `<store>/.downloads.json`: a text that
can mean one thing only (a dated dump, a URL with a checksum) needs no network once it is here.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from headrace.artifacts import Artifact, Opened, Outcome, Store, files, open_artifact
from headrace.artifacts.manifest import MANIFEST_NAME
from headrace.artifacts.planning import PlannedLink, Planner
from headrace.artifacts.sources import open_source
from headrace.corpus.sources import wikimedia
from headrace.corpus.sources.downloads import DOWNLOAD, DownloadConfig
from headrace.corpus.sources.remote import RemoteChangedError, public_url, scheme_of
from headrace.corpus.sources.resolution import (
    FOLDER,
    is_remote,
    resolve,
    split_checksum,
    split_texts,
)
from headrace.errors import (
    ConfigError,
    CorruptInputError,
    IncompleteArtifactError,
    ServerUnavailableError,
)

logger = logging.getLogger(__name__)

STALE_VARIABLE = "HEADRACE_STALE_DOWNLOADS"
"""Set to 1: where a server cannot be reached, the last download of an undated URL will do."""
MEMORY_NAME = ".downloads.json"
MAX_CHANGES = 3
_TRUE = ("1", "true", "yes", "on")


def open_input(store: Store, text: str) -> Opened:
    """Give the source artifact of an input, which is downloaded first if it lies elsewhere.

    Args:
        store: where downloads and sources are kept.
        text: a local path, a directory that a download was written to, a URL (http, https, s3, gs,
            file), several URLs with blanks between them, or a wiki as "jawiki:20261101".

    Raises:
        HeadraceError: as for `open_source`, `resolve` and `write_download`.
    """
    if not text.strip():
        raise ConfigError("an input (a path, a URL, a wiki's name) was expected; the text is empty")
    if not is_remote(text):
        path = local_path(text)
        downloaded = _downloaded_at(path)
        return open_downloaded(store, downloaded) if downloaded else open_source(store, path)
    downloaded_now = open_download(store, text)
    opened = open_downloaded(store, downloaded_now.artifact)
    if downloaded_now.outcome is Outcome.HIT:
        return opened
    return replace(
        opened,
        outcome=downloaded_now.outcome,
        seconds=downloaded_now.seconds + opened.seconds,
        reason=downloaded_now.reason,
    )


def local_path(text: str) -> Path:
    """The path that a text without a remote scheme stands for: "file:///a%20b" -> "/a b"."""
    if scheme_of(text) == "file":
        return Path(unquote(urlsplit(text).path))
    return Path(text)


def _downloaded_at(path: Path) -> Artifact | None:
    """The download that a local directory holds, if it holds one."""
    if not (path.expanduser() / MANIFEST_NAME).is_file():
        return None
    try:
        artifact = open_artifact(path.expanduser().absolute())
    except IncompleteArtifactError:
        return None
    return artifact if is_download(artifact) else None


def is_download(artifact: Artifact) -> bool:
    """Whether an artifact holds files that were downloaded, which later stages take as raw ones."""
    return artifact.stage == DOWNLOAD.name


def downloaded_path(artifact: Artifact) -> Path:
    """The file of a download, or the directory that holds its files and nothing else."""
    names = [entry.name for entry in artifact.manifest.files]
    is_single = len(names) == 1 and not names[0].startswith(f"{FOLDER}/")
    return artifact.path / (names[0] if is_single else FOLDER)


def open_downloaded(store: Store, artifact: Artifact) -> Opened:
    """The source artifact of a download's bytes: the one that a local copy of them has too."""
    inside = artifact.path.is_relative_to(store.root)
    return open_source(store, downloaded_path(artifact), holder=artifact if inside else None)


def download(store: Store, text: str, out: Path) -> Opened:
    """Fetch what a text names into a directory of the user's; run again, it goes on or is a hit.

    Args:
        store: remembers what texts were resolved to.
        text: as for `open_input`.
        out: receives the file, or several in `files/`, and `manifest.json`.

    Raises:
        HeadraceError: as for `resolve` and `write_download`.
        StoreError: `out` holds something else.
    """
    return open_download(store, text, at=out.expanduser().absolute())


def open_download(store: Store, text: str, *, at: Path | None = None) -> Opened:
    """Give the download artifact of a text, from the store or by fetching.

    Raises:
        HeadraceError: as for `resolve` and `write_download`.
    """
    last = ""
    for _ in range(MAX_CHANGES):
        config = resolve_here(store, text)
        try:
            opened = store.open_or_build(DOWNLOAD, config, {}, at=at)
        except RemoteChangedError as error:
            last = str(error)
            logger.warning("%s; it is taken anew", last)
            continue
        _remember(store, text, config)
        return opened
    raise CorruptInputError(
        f"{last}; so it was {MAX_CHANGES} times: wait until the file is written, or give its "
        "checksum (#sha256=...)"
    )


def resolve_here(store: Store, text: str) -> DownloadConfig:
    """What a text means; without the network where that is remembered for good.

    Raises:
        HeadraceError: as for `resolve`.
    """
    known = _recall(store, text)
    if known is not None and _is_fixed(text):
        return known
    try:
        return resolve(text)
    except ServerUnavailableError as error:
        if known is None:
            raise
        if os.environ.get(STALE_VARIABLE, "").lower() not in _TRUE:
            raise ServerUnavailableError(
                f"{error}; an earlier download of it is there: {STALE_VARIABLE}=1 takes that one"
            ) from None
        logger.warning("%s; the last download of it is taken: %s", error, known.url)
        return known


def _is_fixed(text: str) -> bool:
    """Whether every part of a text can mean one thing only, whenever it is asked for."""
    return all(split_checksum(part)[1] or wikimedia.dated_url(part) for part in split_texts(text))


def _written(text: str) -> str:
    """A text as it may be written down; the same for all ways to name a dated dump."""
    return " ".join(
        wikimedia.dated_url(part)
        or (public_url(part) if scheme_of(part) in ("http", "https") else part)
        for part in split_texts(text)
    )


def _recall(store: Store, text: str) -> DownloadConfig | None:
    memory = files.read_json(store.root / MEMORY_NAME)
    values = memory.get(_written(text)) if isinstance(memory, dict) else None
    try:
        return DownloadConfig.model_validate(values) if values is not None else None
    except ValidationError:
        return None


def _remember(store: Store, text: str, config: DownloadConfig) -> None:
    path = store.root / MEMORY_NAME
    memory = files.read_json(path)
    memory = memory if isinstance(memory, dict) else {}
    value = config.model_dump(mode="json")
    # "Latest" has a date by now, under which it may be asked for later.
    texts = {_written(text), wikimedia.dated_url(config.url)} - {""}
    if any(memory.get(key) != value for key in texts):
        files.write_json(path, memory | dict.fromkeys(texts, value))


def plan_input(planner: Planner, store: Store, text: str, step: str) -> PlannedLink:
    """Plan the step that takes an input in; a URL is resolved, but not fetched.

    Args:
        planner: notes the steps.
        store: which the run would use.
        text: as for `open_input`.
        step: the step's name in the run; the download before it is called "<step>.download".

    Raises:
        HeadraceError: as for `resolve` and `Planner.plan_source`.
    """
    if not is_remote(text):
        path = local_path(text)
        downloaded = _downloaded_at(path)
        return planner.plan_source(downloaded_path(downloaded) if downloaded else path, step)
    config = resolve_here(store, text)
    link = planner.plan_stage(DOWNLOAD, config, {}, f"{step}.download")
    if not link.digest:
        return link
    key = store.key_of(DOWNLOAD, config, {})
    return planner.plan_source(
        downloaded_path(open_artifact(store.path_of(DOWNLOAD.name, key))), step
    )
