"""Stage "presplit": all documents as one file of loose JSON, their texts one sentence a line.

What Megatron's `presplit_sentences_json.py` is meant to give: for each document its text is cut at
line ends, each line into sentences, and all sentences are joined by single line ends; every other
key stays, in its order; a document is one line of JSON in ASCII. That script's shell loop reads the
first directory of a `wikiextractor --json` tree only and writes each file over the one before; here
all files of all directories come one after the other.

Parts of about 64 MiB are made in parallel and joined at the end by copying: memory does not grow
with the input, the disk holds the texts twice for that while.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardJob, ShardOutcome, ShardRecord, Stage
from headrace.artifacts.measures import Measure
from headrace.corpus.document_inputs import open_documents
from headrace.corpus.document_tables import TEXT, ParquetDocuments
from headrace.corpus.json_records import JsonRecords, Segment
from headrace.corpus.punkt import PACKAGES
from headrace.corpus.scratch_shards import iter_quarantined, run_scratch_shards
from headrace.corpus.sentence_rules import SeparatorName, split_text
from headrace.corpus.sentences import (
    NUM_SENTENCES,
    SplittingConfig,
    check_losses,
    document_language,
)

DOCUMENTS_NAME = "documents.json"
_TEXT_IDS = ("id", "revid")
_PART_NAME = "part.json"
_COPY_BYTES = 1 << 20


class PresplitConfig(SplittingConfig):
    """Settings of the one file of split documents."""

    paragraph_separator: SeparatorName = Field(
        default="none",
        description="what stands between paragraphs: nothing but the line's end, as the script "
        "has it, or a blank line",
    )


def split_record(
    record: dict[str, Any], text_key: str, language: str, config: PresplitConfig
) -> int:
    """Split the text of a record in place; returns the number of its sentences."""
    document = split_text(
        record[text_key],
        document_language(record.get(config.language_column), language),
        splitter=config.splitter,
        separator=config.paragraph_separator,
    )
    record[text_key] = document.text
    return document.num_sentences


def _plain(value: object) -> object:
    """A JSON value for what Arrow has and JSON has not."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _parquet_records(documents: ParquetDocuments) -> Iterator[dict[str, Any]]:
    """Rows as wikiextractor writes them: ids are text, the text has its own name."""
    for table in documents:
        for row in table.to_pylist():
            for key in _TEXT_IDS:
                if isinstance(row.get(key), int):
                    row[key] = str(row[key])
            if documents.text_column == TEXT:
                yield row
            else:
                yield {documents.text_column if key == TEXT else key: row[key] for key in row}


def _write_part(
    directory: Path,
    shard: Sequence[Segment],
    name: str,
    is_parquet: bool,
    language: str,
    config: PresplitConfig,
) -> ShardOutcome:
    source: ParquetDocuments | JsonRecords
    records: Iterator[dict[str, Any]]
    if is_parquet:
        source = ParquetDocuments(shard[0], config.text_column)
        records = _parquet_records(source)
    else:
        source = JsonRecords(shard, config.text_column, is_exact=True)
        records = (record for record, _ in source)
    encode: Callable[[Any], str] = json.JSONEncoder(default=_plain).encode
    path = directory / name / _PART_NAME
    path.parent.mkdir(parents=True)
    num_rows = num_sentences = 0
    with path.open("w", encoding="ascii", newline="\n", buffering=_COPY_BYTES) as file:
        for record in records:
            num_sentences += split_record(record, config.text_column, language, config)
            file.write(encode(record) + "\n")
            num_rows += 1
    return ShardOutcome(
        rows=num_rows,
        counts={
            "records_in": source.num_in, "records_out": num_rows, NUM_SENTENCES: num_sentences
        },
        quarantined=source.quarantined,
    )  # fmt: skip


def _join(directory: Path, inner: Build, parts: Sequence[ShardRecord]) -> ShardOutcome:
    with (directory / DOCUMENTS_NAME).open("wb") as joined:
        for part in parts:
            for entry in part.files:
                with (inner.path / entry.name).open("rb") as file:
                    shutil.copyfileobj(file, joined, _COPY_BYTES)
    names = ("records_in", "records_out", NUM_SENTENCES)
    return ShardOutcome(
        rows=sum(part.rows for part in parts),
        counts={name: sum(part.counts[name] for part in parts) for name in names},
        quarantined=list(iter_quarantined(inner, parts)),
    )


def write_presplit(*, articles: Artifact, config: PresplitConfig, out: Build) -> None:
    """Write all documents as loose JSON, one sentence a line in their texts.

    Args:
        articles: as for the sentences stage: articles, documents, or raw Parquet or JSON lines.
        config: settings.
        out: receives `documents.json`. A row of Parquet becomes an object of its columns, `id` and
            `revid` as text like wikiextractor's. Documents without text are kept; a record that is
            bad JSON or UTF-8, or whose text is missing, null or no text, is quarantined.

    Raises:
        CorruptInputError: there is no document, or an input file is damaged or has no texts.
        TooManyDropsError: too many records are bad.
        ConfigError: the splitter has no rules for the language.
    """
    documents = open_documents(articles)
    language = documents.language(config.language, config.splitter)
    jobs = []
    for number, shard in enumerate(documents.shards):
        name = f"part-{number:05d}"
        args = (shard, name, documents.is_parquet, language, config)
        jobs.append(ShardJob(name=name, function=_write_part, args=args))

    def join(directory: Path) -> ShardOutcome:
        inner, parts = run_scratch_shards(out, "presplit-parts", jobs, "documents")
        return _join(directory, inner, parts)

    record = out.publish("documents", join)
    check_losses(out, [record], where=documents.where, max_fraction=config.max_quarantined_fraction)


PRESPLIT = Stage(
    name="presplit",
    version=1,
    format="headrace.presplit/1",
    packages=("sentencex", "pyarrow", *PACKAGES),
    write=write_presplit,
    measure=Measure(start_seconds=0.5),
)
