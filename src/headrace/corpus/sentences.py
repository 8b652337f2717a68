"""Stage "sentences": each paragraph of an article cut into sentences, one a line.

sentencex (Wikimedia, Rust, rules for about 300 languages) cuts at 500k sentences/s. Its time grows
with the square of a paragraph's length where there are many quotes, so a paragraph is cut through a
moving window of `WINDOW_CHARACTERS`: all sentences of a window but the last are taken, the next
window begins with the last; where a window holds one sentence only it is doubled. That is linear
for any text (10^6 characters without a single terminator, or of quotes only, take under 5 s).

Nothing but white space is lost: the sentences of a paragraph, joined, hold all its other characters
in their order.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
import sentencex
from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardJob, ShardOutcome, Stage
from headrace.artifacts.measures import Measure
from headrace.config import StageConfig
from headrace.corpus.site import SITEINFO_NAME, load_site
from headrace.corpus.tables import DOCUMENTS_SCHEMA, iter_rows, write_rows
from headrace.errors import CorruptInputError
from headrace.plots import draw_histogram

REPORT_NAME = "report.json"
PLOT_NAME = "lengths.png"
WINDOW_CHARACTERS = 8192
# All that str.splitlines takes for a line's end: "one sentence a line" must hold for any reader.
_LINE_ENDS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


class SentencesConfig(StageConfig):
    """Settings of sentence splitting."""

    language: str | None = Field(
        default=None,
        min_length=1,
        description="language code of the rules; None takes the dump's language",
    )
    paragraph_separator: Literal["blank_line", "none"] = Field(
        default="blank_line",
        description="what stands between paragraphs: a blank line, or nothing but the line's end",
    )


@dataclass(frozen=True, slots=True)
class Document:
    """A text unit of training.

    Attributes:
        text: one sentence a line.
        num_sentences: sentences in it; 0 if it has no text.
    """

    text: str
    num_sentences: int


def split_paragraph(paragraph: str, language: str) -> list[str]:
    """Cut one paragraph into sentences.

    Args:
        paragraph: any text; line ends inside it count as spaces.
        language: language code; unknown ones get the general rules.

    Returns:
        Sentences without white space around them; none is empty.
    """
    text = _LINE_ENDS.sub(" ", paragraph)
    sentences: list[str] = []
    start, size = 0, WINDOW_CHARACTERS
    while start < len(text):
        pieces: list[str] = list(sentencex.segment(language, text[start : start + size]))
        if start + size >= len(text):
            sentences.extend(pieces)
            break
        if len(pieces) < 2:
            size *= 2
            continue
        # The window's end may have cut the last one short: it opens the next window.
        sentences.extend(pieces[:-1])
        start += sum(map(len, pieces[:-1]))
        size = WINDOW_CHARACTERS
    return [sentence for piece in sentences if (sentence := piece.strip())]


def split_document(text: str, language: str, config: SentencesConfig) -> Document:
    """Cut an article's text (a paragraph a line) into sentences, one a line."""
    separator = "\n\n" if config.paragraph_separator == "blank_line" else "\n"
    paragraphs: list[str] = []
    num_sentences = 0
    for line in text.split("\n"):
        sentences = split_paragraph(line, language)
        if sentences:
            paragraphs.append("\n".join(sentences))
            num_sentences += len(sentences)
    return Document(text=separator.join(paragraphs), num_sentences=num_sentences)


def _write_shard(
    directory: Path, path: str, name: str, language: str, config: SentencesConfig
) -> ShardOutcome:
    rows: list[dict[str, Any]] = []
    num_in = num_sentences = 0
    for row in iter_rows(Path(path)):
        num_in += 1
        document = split_document(row["text"], language, config)
        if document.num_sentences:
            row["text"], row["num_sentences"] = document.text, document.num_sentences
            rows.append(row)
            num_sentences += document.num_sentences
    write_rows(directory / f"{name}.parquet", rows, DOCUMENTS_SCHEMA)
    num_empty = num_in - len(rows)
    return ShardOutcome(
        rows=len(rows),
        counts={"records_in": num_in, "records_out": len(rows), "num_sentences": num_sentences},
        dropped={"empty_document": num_empty} if num_empty else {},
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
        for number in pq.read_table(path, columns=["num_sentences"])["num_sentences"].to_pylist():
            found[1 << (number - 1).bit_length()] += 1
    return {"num_sentences": [[bound, found[bound]] for bound in sorted(found)]}


def write_sentences(*, articles: Artifact, config: SentencesConfig, out: Build) -> None:
    """Write each article as a document of one sentence a line.

    Args:
        articles: output of the articles stage.
        config: settings.
        out: receives `documents-00000-of-0000N.parquet` (columns of the articles, and
            num_sentences int32), one per shard of articles, and `siteinfo.json`; as an extra,
            `report.json` and `lengths.png`, a histogram of lengths. Documents without text are
            dropped as "empty_document".

    Raises:
        CorruptInputError: no article has any text.
    """
    site = load_site(articles)
    language = config.language or site.lang
    shards = articles.files("articles-*.parquet")
    jobs = []
    for number, path in enumerate(shards):
        name = f"documents-{number:05d}-of-{len(shards):05d}"
        args = (str(path), name, language, config)
        jobs.append(ShardJob(name=name, function=_write_shard, args=args))
    records = out.run_shards(jobs, unit="documents")
    if not any(record.rows for record in records):
        raise CorruptInputError(f"{articles.path}: at least one article with text was expected")
    out.write_index(SITEINFO_NAME, site.to_json())
    report = length_report([out.path / entry.name for item in records for entry in item.files])
    out.write_extra(REPORT_NAME, json.dumps(report, indent=1).encode())
    plot = draw_histogram(report["num_sentences"], what="sentences", of="documents")
    out.write_extra(PLOT_NAME, plot)


SENTENCES = Stage(
    name="sentences",
    version=1,
    format="headrace.sentences/1",
    packages=("sentencex", "pyarrow"),
    write=write_sentences,
    measure=Measure(start_seconds=0.5),
)
