"""Stage "exclusion": articles of a held-out set (WikiText's test and valid) taken out of a corpus.

A perplexity on WikiText is honest only of a model that has not read its test articles, and any
Wikipedia dump holds them. An article is removed

- by title: its title is that of a reference article (`references.title_key`), or is so but for a
  disambiguator ("X (film)") and it shares at least one n-gram with that article;
- by overlap: the share of its own n-grams that the reference holds, or the share of one reference
  article's n-grams that it holds, is at least `min_overlap`, and it shares at least `min_ngrams`
  (or all that there are, of shorter texts). So articles renamed, edited, extended or cut are found,
  while a common phrase removes nothing.

n = 13 words is the decontamination of GPT-3 (Brown et al. 2020, appendix C). `<unk>` stands for an
unknown word, so that no n-gram runs across it. One pass over the corpus, shard by shard in workers;
the reference's n-grams (12-20 bytes each) are in every worker's memory. See `corpus.ngrams` for the
cost of comparing.
"""

from __future__ import annotations

import functools
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from headrace.artifacts import Artifact, Build, ShardJob, ShardOutcome, ShardRecord, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.artifacts.sources import data_directory
from headrace.config import StageConfig
from headrace.corpus.dataset_card import wikipedia_card
from headrace.corpus.ngrams import MAX_NGRAM, NgramIndex, Overlap, unit_of_language
from headrace.corpus.references import (
    UNKNOWN,
    ReferenceArticle,
    base_key,
    plain_title,
    read_references,
    reference_files,
    title_key,
)
from headrace.corpus.site import SITEINFO_NAME, Site, load_site
from headrace.corpus.statistics import CorpusStatistics, DropExamples, write_statistics
from headrace.corpus.tables import write_table
from headrace.errors import CorruptInputError

REMOVED_NAME, REFERENCES_NAME = "removed.jsonl", "references.jsonl"
TITLE, OVERLAP = "title", "overlap"
_INDEX_NAME = "ngrams.npz"
_TITLES_NAME = "titles.json"
_SHARE_DIGITS = 4

logger = logging.getLogger(__name__)


class ExclusionConfig(StageConfig):
    """Settings of taking a held-out set out of a corpus."""

    by_title: bool = Field(
        default=True, description="remove articles of the same title as a reference article"
    )
    by_overlap: bool = Field(
        default=True, description="remove articles that share n-grams with a reference article"
    )
    ngram_unit: Literal["auto", "words", "characters"] = Field(
        default="auto",
        description="what n-grams are made of; auto takes characters for languages written "
        "without spaces (ja, zh, th, ...), else words",
    )
    ngram_words: int = Field(
        default=13, ge=3, le=MAX_NGRAM, description="words of an n-gram; default as for GPT-3"
    )
    ngram_characters: int = Field(
        default=32,
        ge=3,
        le=MAX_NGRAM,
        description="characters of an n-gram where they are its units; 32 of Japanese or Chinese "
        "say about as much as 13 English words",
    )
    min_overlap: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="share of an article's n-grams, or of a reference article's, from which on it "
        "is removed; unrelated articles share less than 0.01, one with any fifth of its words "
        "changed still 0.05",
    )
    min_ngrams: int = Field(
        default=13,
        ge=1,
        description="different n-grams shared with one reference article below which nothing is "
        "removed by overlap: 13 of 13 words are a run of 25 words, so a common phrase is not "
        "enough",
    )

    @model_validator(mode="after")
    def _check_ways(self) -> ExclusionConfig:
        if not self.by_title and not self.by_overlap:
            raise ValueError("by_title or by_overlap must be true: else nothing can be removed")
        return self


@dataclass(frozen=True, slots=True)
class Removal:
    """Why an article was removed.

    Attributes:
        reason: "title" or "overlap".
        reference: index of the reference article.
        reference_share: share of that article's n-grams found in this one.
        article_share: share of this article's n-grams found in any reference article.
        num_ngrams: n-grams shared with that reference article.
    """

    reason: str
    reference: int
    reference_share: float
    article_share: float
    num_ngrams: int


class Excluder:
    """Decides on articles.

    Args:
        titles: titles of the reference articles, as they stand there.
        index: their n-grams, in the same order.
        config: settings.
    """

    def __init__(self, titles: Sequence[str], index: NgramIndex, config: ExclusionConfig) -> None:
        self._index = index
        self._config = config
        self._by_title: dict[str, int] = {}
        self._by_base: dict[str, list[int]] = {}
        for number, title in enumerate(titles):
            key = title_key(title)
            if key and UNKNOWN not in title:
                self._by_title.setdefault(key, number)
                self._by_base.setdefault(base_key(key), []).append(number)

    @classmethod
    def of_articles(
        cls, articles: Sequence[ReferenceArticle], config: ExclusionConfig, language: str
    ) -> Excluder:
        """The excluder of reference articles, for a corpus of a language."""
        return cls(
            [article.title for article in articles], _build(articles, config, language), config
        )

    def judge(self, titles: Sequence[str], texts: Sequence[str]) -> list[Removal | None]:
        """Why each article is to be removed; None for one that stays."""
        overlaps = self._index.overlaps(texts)
        return [self._judge(*pair) for pair in zip(titles, overlaps, strict=True)]

    def _judge(self, title: str, overlap: Overlap) -> Removal | None:
        if self._config.by_title:
            reference = self._find_title(title_key(title), overlap)
            if reference is not None:
                return self._removal(TITLE, reference, overlap)
        if self._config.by_overlap and overlap.by_reference:
            # The reference article that shares most; the first of equals.
            reference = max(overlap.by_reference, key=lambda n: (overlap.by_reference[n], -n))
            if self._is_too_close(reference, overlap):
                return self._removal(OVERLAP, reference, overlap)
        return None

    def _find_title(self, key: str, overlap: Overlap) -> int | None:
        if key in self._by_title:
            return self._by_title[key]
        alike = self._by_base.get(base_key(key), [])
        return next((number for number in alike if overlap.by_reference.get(number)), None)

    def _is_too_close(self, reference: int, overlap: Overlap) -> bool:
        config, num_shared = self._config, overlap.by_reference[reference]
        num_reference = int(self._index.num_ngrams[reference])
        enough = min(config.min_ngrams, num_reference, overlap.num_ngrams)
        share = max(num_shared / num_reference, overlap.share)
        return num_shared >= enough and share >= config.min_overlap

    def _removal(self, reason: str, reference: int, overlap: Overlap) -> Removal:
        num_reference = int(self._index.num_ngrams[reference])
        num_shared = overlap.by_reference.get(reference, 0)
        return Removal(
            reason=reason,
            reference=reference,
            reference_share=num_shared / num_reference if num_reference else 0.0,
            article_share=overlap.share,
            num_ngrams=num_shared,
        )


def _build(
    articles: Sequence[ReferenceArticle], config: ExclusionConfig, language: str
) -> NgramIndex:
    unit = unit_of_language(language) if config.ngram_unit == "auto" else config.ngram_unit
    ngram = config.ngram_words if unit == "words" else config.ngram_characters
    return NgramIndex.build((article.text for article in articles), ngram=ngram, unit=unit)


@dataclass(frozen=True)
class _Job:
    """Everything one shard's job needs, in any process."""

    path: str
    name: str
    workdir: str
    site: Site
    config: ExclusionConfig


@functools.lru_cache(maxsize=1)
def _load_excluder(workdir: str, config: ExclusionConfig) -> Excluder:
    titles = json.loads((Path(workdir) / _TITLES_NAME).read_bytes())
    return Excluder(titles, NgramIndex.load(Path(workdir) / _INDEX_NAME), config)


def _write_shard(directory: Path, job: _Job) -> ShardOutcome:
    table = pq.read_table(job.path)
    titles = [title or "" for title in table["title"].to_pylist()]
    texts = [text or "" for text in table["text"].to_pylist()]
    found = _load_excluder(job.workdir, job.config).judge(titles, texts)
    kept = table.filter(pa.array([removal is None for removal in found], type=pa.bool_()))
    write_table(directory / f"{job.name}.parquet", kept)
    statistics, examples = CorpusStatistics(), DropExamples()
    statistics.add_column(kept["text"], job.site.lang)
    removed: list[dict[str, Any]] = []
    for number, removal in enumerate(found):
        if removal is not None:
            page_id = table["id"][number].as_py()
            removed.append({"id": page_id, "title": titles[number], **asdict(removal)})
            examples.add(f"excluded_{removal.reason}", title=titles[number], id=page_id)
    dropped = Counter(f"excluded_{item['reason']}" for item in removed)
    return ShardOutcome(
        rows=len(kept),
        counts={"records_in": len(table), "records_out": len(kept)} | statistics.counts(),
        dropped=dict(sorted(dropped.items())),
        carry={"removed": removed, **examples.to_carry()},
    )


def write_exclusion(
    *, articles: Artifact, reference: Artifact, config: ExclusionConfig, out: Build
) -> None:
    """Write the corpus without the articles of a held-out set.

    Args:
        articles: output of the articles stage.
        reference: the raw file or directory with the held-out set (see `corpus.references`).
        config: settings.
        out: receives `articles-00000-of-0000N.parquet`, columns as they came in, one per shard of
            articles; `removed.jsonl`, a line an article removed (id, title, reason, reference,
            reference_number, overlap, reference_share, article_share, num_ngrams);
            `references.jsonl`, a line a reference article (number, title, num_ngrams,
            num_removed); `siteinfo.json`; and the extras of `write_statistics`.

    Raises:
        CorruptInputError: the reference holds no article, or no article of the corpus is left.
    """
    site = load_site(articles)
    found = _read_all(data_directory(reference))
    index = _build(found, config, site.lang)
    index.save(out.workdir / _INDEX_NAME)
    (out.workdir / _TITLES_NAME).write_text(json.dumps([article.title for article in found]))
    shards = articles.files("articles-*.parquet")
    jobs = []
    for number, path in enumerate(shards):
        name = f"articles-{number:05d}-of-{len(shards):05d}"
        job = _Job(str(path), name, str(out.workdir), site, config)
        jobs.append(ShardJob(name=name, function=_write_shard, args=(job,)))
    records = out.run_shards(jobs, unit="articles")
    if not any(record.rows for record in records):
        raise CorruptInputError(
            f"{articles.path}: at least one article besides the reference's {len(found)} was "
            "expected; none is left: give a larger corpus, or another reference"
        )
    _tell_references(records, found, index, out)
    out.write_index(SITEINFO_NAME, site.to_json())
    description = (
        "Articles as plain text, without those of a held-out set: removed.jsonl lists what was "
        "removed and why."
    )
    write_statistics(out, records, wikipedia_card(site, description))


def _read_all(path: Path) -> list[ReferenceArticle]:
    """The different reference articles of all files.

    Raises:
        CorruptInputError: there is none.
    """
    by_file = {file: read_references(file) for file in reference_files(path)}
    titled = {file for file, some in by_file.items() if any(item.title for item in some)}
    for file in by_file.keys() - titled:
        # Beside files of articles it is a note or a licence; alone it is taken for one article.
        what = "it is not looked at" if titled else "its text is one article"
        logger.warning("%s: no line ' = Title = ' in it; %s", file, what)
    used = [some for file, some in by_file.items() if file in titled or not titled]
    found = list(dict.fromkeys(article for some in used for article in some))
    if not found:
        raise CorruptInputError(
            f"{path}: reference articles were expected, each with a line ' = Title = '; there is "
            "no text in it: name WikiText's test and valid files"
        )
    return found


def _tell_references(
    records: Sequence[ShardRecord],
    references: Sequence[ReferenceArticle],
    index: NgramIndex,
    out: Build,
) -> None:
    """Write the list of what was removed and of what was looked for."""
    removed = [item for record in records for item in record.carry["removed"]]
    out.write_index(REMOVED_NAME, _json_lines([_removed_line(i, references) for i in removed]))
    numbers = Counter(item["reference"] for item in removed)
    lines = [
        {"number": number + 1, "title": plain_title(article.title),
         "num_ngrams": int(index.num_ngrams[number]), "num_removed": numbers[number]}
        for number, article in enumerate(references)
    ]  # fmt: skip
    out.write_index(REFERENCES_NAME, _json_lines(lines))
    untitled = sum(not item.title or UNKNOWN in item.title for item in references)
    out.set_counts(
        num_references=len(references),
        num_references_found=len(numbers),
        num_references_untitled=untitled,
    )
    if not numbers:
        logger.warning(
            "exclusion: none of the %d reference articles was found in the corpus; nothing was "
            "removed: is it of the same wiki and language?",
            len(references),
        )
    else:
        logger.info(
            "exclusion: %d articles removed; %d of %d reference articles were found",
            len(removed), len(numbers), len(references),
        )  # fmt: skip


def _removed_line(
    item: Mapping[str, Any], references: Sequence[ReferenceArticle]
) -> dict[str, Any]:
    shares = {key: round(item[key], _SHARE_DIGITS) for key in ("reference_share", "article_share")}
    return {
        "id": item["id"],
        "title": item["title"],
        "reason": item["reason"],
        "reference": plain_title(references[item["reference"]].title),
        "reference_number": item["reference"] + 1,
        "overlap": max(shares.values()),
        **shares,
        "num_ngrams": item["num_ngrams"],
    }


def _json_lines(values: Sequence[Mapping[str, Any]]) -> bytes:
    lines = (json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    return "".join(lines).encode(errors="backslashreplace")


def _article_bytes(_config: ExclusionConfig, inputs: Inputs) -> float:
    return inputs["articles"].num_bytes


EXCLUSION = Stage(
    name="exclusion",
    version=1,
    format="headrace.articles/1",
    packages=("pyarrow",),
    write=write_exclusion,
    measure=Measure(work=_article_bytes, volume=_article_bytes, start_seconds=0.8),
)
"""Its format is that of the articles stage, so that the sentences stage takes either."""
