"""Stage "hub_texts": a data set of the Hugging Face hub, streamed into documents.

    "hf://owner/name" -> config with the commit that its revision is now (one request)
    config -> rows, streamed by `datasets`, nothing of them kept on disk but the documents

Shards are cut by bytes of text, in the order of the stream. A run that was broken off streams from
the beginning again and skips the rows of finished shards. Cost: the network; one row in memory.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import Field

from headrace.artifacts import Build, Opened, Quarantined, ShardOutcome, ShardRecord, Stage, Store
from headrace.artifacts.measures import Measure, one
from headrace.config import StageConfig
from headrace.corpus.sources.text_records import TextRecord, make_record
from headrace.corpus.sources.texts import DocumentShard, finish_texts
from headrace.corpus.sources.texts_config import TextsConfig
from headrace.errors import (
    ConfigError,
    CorruptInputError,
    HeadraceError,
    MissingInputError,
    ServerUnavailableError,
)

logger = logging.getLogger(__name__)

SCHEME = "hf"
TEXT_KEYS = ("text", "content")
_URL = re.compile(
    r"hf://(?:datasets/)?(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?:#(?P<name>[^#]+))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubTextsConfig(StageConfig):
    """Settings of reading a data set of the hub."""

    dataset: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$", description="its id, as 'codeparrot/codeparrot-clean'"
    )
    name: str = Field(default="", description="its configuration; '' for the default one")
    split: str = Field(default="train", min_length=1, description="which split of it")
    revision: str = Field(
        default="", description="commit; resolving fills it in, so that it is part of the identity"
    )
    texts: TextsConfig = Field(
        default_factory=TextsConfig,
        description="columns, language and limits as for the stage texts; shard_bytes counts bytes "
        "of text here",
    )


def is_hub(text: str) -> bool:
    """Whether an input's text names a data set of the hub."""
    return text.startswith(f"{SCHEME}://")


def resolve_hub(text: str, config: HubTextsConfig | None = None) -> HubTextsConfig:
    """Settings for "hf://owner/name[@revision][#configuration]", with the commit it is now.

    Args:
        text: the data set.
        config: further settings; its dataset, name and revision are replaced by what `text` says.

    Raises:
        ConfigError: it is no such text, or `datasets` is not installed.
        MissingInputError: the hub has no such data set, or refuses it.
        ServerUnavailableError: the hub cannot be reached.
    """
    match = _URL.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{text}: hf://owner/name[@revision][#configuration] was expected: check it"
        )
    given = {"dataset": match["id"], "revision": match["revision"] or ""}
    given |= {"name": match["name"]} if match["name"] else {}
    base = config.model_dump() if config else {}
    found = HubTextsConfig.model_validate(base | given)
    if _COMMIT.fullmatch(found.revision):
        return found
    hub = _import("huggingface_hub")
    with _translated(found):
        info = hub.HfApi().dataset_info(found.dataset, revision=found.revision or None, timeout=30)
    commit = str(info.sha or found.revision)
    logger.info("%s: taken is commit %s", text, commit[:12])
    return found.model_copy(update={"revision": commit})


def open_hub(store: Store, text: str, config: HubTextsConfig | None = None) -> Opened:
    """Give the documents of a data set of the hub.

    Raises:
        HeadraceError: as for `resolve_hub` and `write_hub_texts`.
    """
    return store.open_or_build(HUB_TEXTS, resolve_hub(text, config), {})


def write_hub_texts(*, config: HubTextsConfig, out: Build) -> None:
    """Stream a data set and write its documents.

    Args:
        config: which, and what of it.
        out: receives `documents-00000.parquet`... as the stage texts writes them, `siteinfo.json`.

    Raises:
        MissingInputError: the hub has no such data set, configuration or split.
        ServerUnavailableError: the hub cannot be reached.
        CorruptInputError: there is no text in it.
        TooManyDropsError: too many rows are bad.
    """
    rows = _stream(config)
    records: list[ShardRecord] = []
    num_in = 0
    while True:
        name = f"documents-{len(records):05d}"
        finished = out.finished(name)
        if finished is not None:
            with _translated(config):
                _skip(rows, finished.counts["records_in"])
        else:
            with _translated(config):
                first = next(rows, None)
            if first is None:
                break
            write = partial(
                _write_shard, rows=rows, first=first, name=name, first_id=num_in, config=config
            )
            finished = out.publish(name, write)
        records.append(finished)
        num_in += finished.counts["records_in"]
        out.progress(num_in, None, "documents", f"{len(records)} shards")
    if not any(record.rows for record in records):
        raise CorruptInputError(
            f"hf://{config.dataset}: at least one document with text was expected; none of "
            f"{num_in} rows has any: set split, name or text_column"
        )
    finish_texts(out, records, num_in, config.texts, f"hf://{config.dataset}")


def _skip(rows: Iterator[Any], number: int) -> None:
    for _ in islice(rows, number):
        pass


def _write_shard(
    directory: Path,
    *,
    rows: Iterator[Mapping[str, Any]],
    first: Mapping[str, Any],
    name: str,
    first_id: int,
    config: HubTextsConfig,
) -> ShardOutcome:
    settings = config.texts
    has_classes = bool(settings.class_column)
    with DocumentShard(directory / f"{name}.parquet", settings, has_classes) as found:
        num_bytes = 0
        with _translated(config):
            for values in chain([first], rows):
                number = first_id + found.num_in
                record = _record(values, number, config)
                found.add(number, record)
                size = len(record.text.encode()) if isinstance(record, TextRecord) else 0
                num_bytes += size
                if num_bytes >= settings.shard_bytes:
                    break
    return found.outcome()


def _record(
    values: Mapping[str, Any], number: int, config: HubTextsConfig
) -> TextRecord | Quarantined:
    source = f"hf://{config.dataset}"
    key = config.texts.text_column or next((key for key in TEXT_KEYS if key in values), "")
    if key not in values:
        wanted = f"'{key}'" if key else "'text' or 'content'"
        raise CorruptInputError(
            f"{source}, row {number}: a column {wanted} was expected; it has "
            f"{', '.join(values)}: set text_column"
        )
    text = values[key]
    if not isinstance(text, str):
        reason = "null_text" if text is None else "text_not_a_string"
        excerpt = f"row {number}: {text!r}"
        return Quarantined(source=source, offset=number, reason=reason, excerpt=excerpt)
    return make_record(values, text, source=source, offset=number, config=config.texts)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            f"hf:// needs the package {name}, which is not installed: pip install 'headrace[hub]'"
        ) from None


def _stream(config: HubTextsConfig) -> Iterator[Mapping[str, Any]]:
    datasets = _import("datasets")
    if Path(config.dataset).exists():
        raise ConfigError(
            f"hf://{config.dataset}: a directory of that name lies here, which `datasets` would "
            "take instead of the hub's: start the command elsewhere"
        )
    with _translated(config):
        found = datasets.load_dataset(
            config.dataset,
            config.name or None,
            split=config.split,
            revision=config.revision or None,
            streaming=True,
        )
        return iter(found)


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


@contextlib.contextmanager
def _translated(config: HubTextsConfig) -> Iterator[None]:
    """Turn what the hub's packages raise into our own kinds, by name."""
    where = f"hf://{config.dataset}"
    try:
        yield
    except HeadraceError:
        raise
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        words = " ".join(str(error).split())[:300]
        if names & {"OfflineModeIsEnabled", "LocalEntryNotFoundError"}:
            raise ServerUnavailableError(
                f"{where}: the hub is switched off (HF_HUB_OFFLINE): unset that variable, or name "
                "local files"
            ) from None
        if names & {"GatedRepoError", "RepositoryNotFoundError", "RevisionNotFoundError",
                    "DatasetNotFoundError"} or _status(error) in (401, 403, 404):  # fmt: skip
            raise MissingInputError(
                f"{where}: the hub has no such data set or revision, or shows it to others only: "
                f"check the name, or set HF_TOKEN ({words})"
            ) from None
        if names & {"ConnectionError", "ConnectError", "TransportError", "HfHubHTTPError",
                    "TimeoutError", "ClientConnectorError"}:  # fmt: skip
            raise ServerUnavailableError(
                f"{where}: the hub cannot be reached: check the network ({words})"
            ) from None
        if isinstance(error, ValueError | FileNotFoundError):
            if "LocalEntryNotFoundError" in words:
                raise ServerUnavailableError(
                    f"{where}: the hub cannot be reached: check the network"
                ) from None
            raise MissingInputError(
                f"{where}: the configuration, the split or a file of it is not there ({words})"
            ) from None
        raise


HUB_TEXTS = Stage(
    name="hub_texts",
    version=1,
    format="headrace.texts/1",
    packages=("pyarrow",),
    write=write_hub_texts,
    measure=Measure(work=one, volume=one),
)
