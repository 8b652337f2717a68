"""Stage "sentences": each paragraph of a document cut into sentences, one a line.

The rules are in `corpus.sentence_rules`, the inputs in `corpus.document_inputs`. Columns are read
and written as Arrow arrays, a few hundred rows at a time; only the texts become Python strings.
JSON lines are read twice, the first time to find their columns and types. Cost: 2.4 microseconds a
sentence on English, of which sentencex takes half; memory does not grow with the input.

Nothing but white space is lost: the sentences of a document, joined, hold all its other characters
in their order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardJob, ShardOutcome, ShardRecord, Stage
from headrace.artifacts.measures import Measure
from headrace.config import StageConfig
from headrace.corpus import sentence_rules
from headrace.corpus.columns import TextColumn, small_integer_column
from headrace.corpus.document_files import DocumentWriter
from headrace.corpus.document_inputs import DocumentInput, open_documents
from headrace.corpus.document_tables import (
    TEXT,
    ParquetDocuments,
    iter_json_tables,
    merge_kinds,
    scan_json,
)
from headrace.corpus.json_records import JsonRecords, Segment
from headrace.corpus.languages import UNKNOWN_LANGUAGE, normalise_language
from headrace.corpus.pages import quarantine_limit
from headrace.corpus.punkt import PACKAGES
from headrace.corpus.scratch_shards import run_scratch_shards
from headrace.corpus.sentence_rules import (
    Document,
    SeparatorName,
    SplitterName,
    moved_offsets,
    plain_line_ends,
    split_line,
    split_text,
)
from headrace.corpus.site import SITEINFO_NAME, Site
from headrace.errors import CorruptInputError
from headrace.plots import draw_histogram

REPORT_NAME = "report.json"
PLOT_NAME = "lengths.png"
NUM_SENTENCES = "num_sentences"
SECTIONS = "sections"
"""Column of articles: a list of {level, title, start}, start being an offset in the text."""
WINDOW_CHARACTERS = sentence_rules.WINDOW_CHARACTERS
_SCAN_NAME = "fields.json"


class SplittingConfig(StageConfig):
    """What both forms of split documents are made with."""

    splitter: SplitterName = Field(
        default="sentencex",
        description="whose rules: sentencex (about 300 languages), or NLTK's Punkt with its "
        "punkt_tab models (19 languages; a twentieth of the speed)",
    )
    language: str | None = Field(
        default=None,
        min_length=1,
        description="language code of the rules where a document does not name its own; None "
        "takes the dump's language, or general rules where there is none",
    )
    language_column: str = Field(
        default="language",
        min_length=1,
        description="column or key with a document's own language code, where there is one",
    )
    text_column: str = Field(
        default=TEXT, min_length=1, description="column or key with a document's text"
    )
    max_quarantined_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the records that may be bad (no text, invalid JSON or UTF-8) before "
        "the stage fails; a single one is always let pass unless this is 0",
    )


class SentencesConfig(SplittingConfig):
    """Settings of sentence splitting."""

    paragraph_separator: SeparatorName = Field(
        default="blank_line",
        description="what stands between paragraphs: a blank line, or nothing but the line's end",
    )


def split_paragraph(paragraph: str, language: str) -> list[str]:
    """Cut one paragraph into sentences with sentencex.

    Args:
        paragraph: any text; line ends inside it count as spaces.
        language: language code; unknown ones get the general rules.

    Returns:
        Sentences without white space around them; none is empty.
    """
    text = plain_line_ends(paragraph).replace("\n", " ")
    return split_line(text, language, WINDOW_CHARACTERS)


def split_document(text: str, language: str, config: SentencesConfig) -> Document:
    """Cut a text (a paragraph a line) into sentences, one a line, none with space around it."""
    document = split_text(
        plain_line_ends(text),
        language,
        splitter=config.splitter,
        separator=config.paragraph_separator,
        window=WINDOW_CHARACTERS,
    )
    if config.splitter == "punkt":
        # Punkt keeps what a paragraph begins with.
        stripped = "\n".join(map(str.strip, document.text.split("\n")))
        return Document(text=stripped, num_sentences=document.num_sentences)
    return document


def split_table(table: pa.Table, language: str, config: SentencesConfig) -> tuple[pa.Table, int]:
    """Split the documents of a table.

    Args:
        table: with a column "text" (string, no nulls).
        language: of documents that do not name their own.
        config: settings.

    Returns:
        The documents that have any text, with their sentences as the text and a column
        num_sentences (int32) at the end; and the number of all sentences.
    """
    texts = table[TEXT].to_pylist()
    found = [
        split_document(text, code, config)
        for text, code in zip(texts, document_languages(table, language, config), strict=True)
    ]
    numbers = small_integer_column(document.num_sentences for document in found)
    split_texts = TextColumn.of(document.text for document in found)
    table = table.set_column(table.schema.get_field_index(TEXT), TEXT, split_texts)
    if SECTIONS in table.column_names:
        index = table.schema.get_field_index(SECTIONS)
        sections = _moved_sections(table.column(index), texts, found)
        table = table.set_column(index, SECTIONS, sections)
    if NUM_SENTENCES in table.column_names:
        table = table.drop_columns([NUM_SENTENCES])
    table = table.append_column(NUM_SENTENCES, numbers)
    num_sentences = sum(document.num_sentences for document in found)
    if not all(document.num_sentences for document in found):
        table = table.filter(pa.array([document.num_sentences > 0 for document in found]))
    return table, num_sentences


def _moved_sections(
    column: pa.ChunkedArray, texts: Sequence[str], found: Sequence[Document]
) -> pa.Array:
    """The sections of articles, their starts being offsets in the split texts."""
    rows = column.to_pylist()
    for sections, text, document in zip(rows, texts, found, strict=True):
        starts = [section["start"] for section in sections or ()]
        moved = moved_offsets(text, document.text, starts)
        for section, start in zip(sections or (), moved, strict=True):
            section["start"] = start
    return pa.array(rows, type=column.type)


def document_languages(table: pa.Table, default: str, config: SplittingConfig) -> Iterable[str]:
    """The language code of each row: its own where it names one, else the default."""
    name = config.language_column
    if name not in table.column_names:
        return [default] * len(table)
    return [document_language(value, default) for value in table[name].to_pylist()]


def document_language(value: object, default: str) -> str:
    """A document's language code from its own value, if that is a text that is not blank."""
    return normalise_language(value if isinstance(value, str) else None, default)


def _read_tables(
    shard: Sequence[Segment], kinds: Mapping[str, str] | None, config: SplittingConfig
) -> tuple[ParquetDocuments | JsonRecords, Iterable[pa.Table]]:
    if kinds is None:
        documents = ParquetDocuments(shard[0], config.text_column)
        return documents, documents
    records = JsonRecords(shard, config.text_column)
    return records, iter_json_tables(records, kinds, config.text_column)


def _write_shard(
    directory: Path,
    shard: Sequence[Segment],
    name: str,
    kinds: Mapping[str, str] | None,
    language: str,
    config: SentencesConfig,
) -> ShardOutcome:
    source, tables = _read_tables(shard, kinds, config)
    num_sentences = num_good = 0
    with DocumentWriter(directory / f"{name}.parquet") as writer:
        for table in tables:
            num_good += len(table)
            split, num = split_table(table, language, config)
            writer.write(split)
            num_sentences += num
    num_empty = num_good - writer.num_rows
    return ShardOutcome(
        rows=writer.num_rows,
        counts={
            "records_in": source.num_in,
            "records_out": writer.num_rows,
            NUM_SENTENCES: num_sentences,
        },
        dropped={"empty_document": num_empty} if num_empty else {},
        quarantined=source.quarantined,
    )


def _scan_shard(directory: Path, shard: Sequence[Segment], name: str, text: str) -> ShardOutcome:
    records = JsonRecords(shard, text)
    kinds = scan_json(records)
    (directory / name).mkdir(parents=True)
    (directory / name / _SCAN_NAME).write_text(json.dumps(kinds))
    return ShardOutcome(rows=records.num_in, carry=kinds)


def _find_kinds(
    documents: DocumentInput, config: SentencesConfig, out: Build
) -> dict[str, str] | None:
    """The kind of each JSON key over all shards; None for Parquet, which has a schema."""
    if documents.is_parquet:
        return None
    jobs = []
    for number, shard in enumerate(documents.shards):
        name = f"scan-{number:05d}"
        args = (shard, name, config.text_column)
        jobs.append(ShardJob(name=name, function=_scan_shard, args=args))
    _, records = run_scratch_shards(out, "sentences-scan", jobs, "records")
    return merge_kinds(record.carry for record in records)


def check_losses(
    out: Build, records: Sequence[ShardRecord], *, where: str, max_fraction: float
) -> None:
    """Fail if too many records are bad, or if none is left.

    Args:
        out: the build whose shards they are.
        records: all its shards.
        where: the input, for the message.
        max_fraction: share of bad records that is let pass.

    Raises:
        TooManyDropsError: too many are bad.
        CorruptInputError: no document has any text.
    """
    num_in = sum(record.counts["records_in"] for record in records)
    out.drop_limit(quarantine_limit(max_fraction, num_in))
    out.counts()
    if not any(record.rows for record in records):
        raise CorruptInputError(
            f"{where}: at least one document with text was expected; there is none among {num_in}: "
            "look at the input"
        )


def length_report(paths: Sequence[Path]) -> dict[str, list[list[int]]]:
    """How long documents are.

    Args:
        paths: shards of documents.

    Returns:
        "num_sentences": pairs of (upper bound, documents with at most that many sentences and more
        than half of it), bounds being powers of two.
    """
    found: Counter[int] = Counter()
    for path in paths:
        # `pq.read_table` would import pyarrow.dataset, and that pandas.
        with pq.ParquetFile(path) as file:
            column = file.read(columns=[NUM_SENTENCES])[NUM_SENTENCES]
        for item in column.value_counts().to_pylist():
            found[1 << (item["values"] - 1).bit_length()] += item["counts"]
    return {NUM_SENTENCES: [[bound, found[bound]] for bound in sorted(found)]}


def write_sentences(*, articles: Artifact, config: SentencesConfig, out: Build) -> None:
    """Write each document as one sentence a line.

    Args:
        articles: output of the articles stage, any artifact with `documents-*.parquet` and a column
            of texts, or raw Parquet files or JSON lines (see `corpus.document_inputs`).
        config: settings.
        out: receives `documents-00000-of-0000N.parquet` (all columns of the input, the text's
            called "text", and num_sentences int32), one per Parquet file or 64 MiB of JSON lines,
            and `siteinfo.json`; as extras, `report.json` and, where somebody looks on (drawing
            takes 0.5 s), `lengths.png`, a histogram of lengths. Documents without text are dropped
            as "empty_document"; a record that is bad JSON or UTF-8, or whose text is missing, null
            or no text, is quarantined.

    Raises:
        CorruptInputError: no document has any text, or an input file is damaged or has no texts.
        TooManyDropsError: too many records are bad.
        ConfigError: the splitter has no rules for the language.
    """
    documents = open_documents(articles)
    language = documents.language(config.language, config.splitter)
    kinds = _find_kinds(documents, config, out)
    jobs = []
    for number, shard in enumerate(documents.shards):
        name = f"documents-{number:05d}-of-{len(documents.shards):05d}"
        args = (shard, name, kinds, language, config)
        jobs.append(ShardJob(name=name, function=_write_shard, args=args))
    records = out.run_shards(jobs, unit="documents")
    check_losses(out, records, where=documents.where, max_fraction=config.max_quarantined_fraction)
    out.write_index(SITEINFO_NAME, _site(documents.site, config).to_json())
    report = length_report([out.path / entry.name for item in records for entry in item.files])
    out.write_extra(REPORT_NAME, json.dumps(report, indent=1).encode())
    if out.runtime.on_plot is not None:
        plot = draw_histogram(report[NUM_SENTENCES], what="sentences", of="documents")
        out.write_extra(PLOT_NAME, plot)


def _site(site: Site, config: SentencesConfig) -> Site:
    """The site, with the chosen language where it has none of its own."""
    if site.lang != UNKNOWN_LANGUAGE or not config.language:
        return site
    return Site(lang=normalise_language(config.language))


SENTENCES = Stage(
    name="sentences",
    version=2,
    format="headrace.sentences/1",
    packages=("sentencex", "pyarrow", *PACKAGES),
    write=write_sentences,
    measure=Measure(start_seconds=0.5),
)
