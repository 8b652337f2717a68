"""Commands that take data in: `headrace download URL OUT`, `headrace read-texts IN OUT`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flows.configuration import load_config
from flows.stage_commands import open_command_store, tell
from headrace.artifacts import Opened, Store

DOWNLOAD, READ_TEXTS = NAMES = ("download", "read-texts")


def add_parsers(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
    building: argparse.ArgumentParser,
) -> None:
    """Add both subcommands."""
    download = commands.add_parser(
        "download",
        parents=[common],
        help="files of a URL (http, https, s3, gs) or of a wiki's dump",
    )
    download.add_argument(
        "url", nargs="+", help="URL, pattern on an object store, or a wiki such as jawiki:20261101"
    )
    download.add_argument("out", type=Path, help="directory to be written")
    download.set_defaults(function=run_download)

    texts = commands.add_parser(
        READ_TEXTS, parents=[common, building],
        help="documents of text files, a CSV list, JSON lines, Parquet or a hub data set",
    )  # fmt: skip
    texts.add_argument("input", help="path, URL, or hf://owner/name")
    texts.add_argument("out", type=Path, help="directory to be written")
    texts.set_defaults(function=run_read_texts)


def run_download(arguments: argparse.Namespace) -> int:
    """Fetch files into the directory that the user named; run again, it goes on or is a hit."""
    from headrace.corpus.sources.inputs import download

    store = open_command_store(arguments)
    with store.reading():
        opened = download(store, " ".join(arguments.url), arguments.out)
    tell(opened, arguments.out)
    return 0


def run_read_texts(arguments: argparse.Namespace) -> int:
    """Write the documents of a corpus of texts."""
    store = open_command_store(arguments)
    with store.reading():
        opened = _read_texts(store, arguments, arguments.settings)
    tell(opened, arguments.out)
    return 0


def _read_texts(store: Store, arguments: argparse.Namespace, settings: Sequence[str]) -> Opened:
    from headrace.corpus.sources import hub
    from headrace.corpus.sources.text_lists import open_text_input
    from headrace.corpus.sources.texts import TEXTS
    from headrace.corpus.sources.texts_config import TextsConfig

    out = arguments.out.expanduser().resolve()
    if hub.is_hub(arguments.input):
        asked = load_config(hub.HubTextsConfig, arguments.config, settings)
        return store.open_or_build(
            hub.HUB_TEXTS, hub.resolve_hub(arguments.input, asked), {}, at=out
        )
    config = load_config(TextsConfig, arguments.config, settings)
    source = open_text_input(store, arguments.input, config).artifact
    return store.open_or_build(TEXTS, config, {"source": source}, at=out)
