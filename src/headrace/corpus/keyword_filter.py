"""Stage "filter": the documents of a corpus that hold given keywords, all their columns kept.

Input are JSON lines (plain, gzip, zstd) or Parquet in any columns, such as codeparrot's (repo_name,
path, copies, size, content, license). One job reads one file (a large plain file in parts), so
what comes out depends on the input alone. Decompression is what the work costs: lines without a
keyword are never parsed (`part_filter`), and matching runs at memory's speed (`keywords`).

With `max_documents` each split keeps that many of its matches, those with the smallest seeded hash
of (file, position): a choice that neither workers nor cuts change. The matches wait in the scratch
directory until all are known, so memory holds 16 bytes a match.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from headrace.artifacts import Artifact, Build, ShardJob, ShardRecord, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.artifacts.sources import SOURCE, data_directory
from headrace.config import StageConfig
from headrace.corpus.keywords import KeywordRule, KeywordScanner
from headrace.corpus.records import (
    Column,
    Kind,
    Part,
    arrow_schema,
    find_parts,
    infer_columns,
    text_column_of,
)
from headrace.corpus.site import SITEINFO_NAME
from headrace.corpus.statistics import DatasetCard, write_statistics
from headrace.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from headrace.corpus.part_filter import PartJob

logger = logging.getLogger(__name__)

MAX_KEYWORDS = 10_000


class KeywordFilterConfig(StageConfig):
    """Settings of the keyword filter."""

    keywords: tuple[str, ...] = Field(
        default=(),
        max_length=MAX_KEYWORDS,
        description="what is looked for; the Hugging Face course takes pandas, sklearn, matplotlib "
        "and seaborn",
    )
    keywords_by_language: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="keywords for one language alone, beside those for all: a name such as "
        "'python' is compared with language_column, one with a dot such as '.py' with the suffix "
        "of path_column; upper and lower case are the same",
    )
    match: Literal["any", "all"] = Field(
        default="any", description="keep what has any of the keywords, or only what has all"
    )
    case_sensitive: bool = Field(
        default=True, description="false compares with str.casefold: 'Pandas' is 'pandas'"
    )
    whole_word: bool = Field(
        default=False,
        description="true asks for no word character (Python's \\w) beside a keyword's word "
        "character: 'pandas' is not in 'geopandas'",
    )
    text_column: str | None = Field(
        default=None, min_length=1, description="column searched; null: content, else text"
    )
    language_column: str | None = Field(
        default=None, min_length=1, description="column with each document's language, if any"
    )
    path_column: str = Field(
        default="path", min_length=1, description="column with each document's file name"
    )
    columns: dict[str, Kind] = Field(
        default_factory=dict,
        description="kinds of columns of JSON lines that are not to be taken from the first lines "
        "of the files: string (numbers become text), int64, double, bool, json (any value, as "
        "JSON text)",
    )
    max_documents: int | dict[str, int] | None = Field(
        default=None,
        description="documents kept at most, for rehearsals: of each split, or by split's name "
        "such as {train: 50000, valid: 500}; null keeps all",
    )
    seed: int = Field(default=0, ge=0, description="of the choice that max_documents makes")
    validate_lines: bool = Field(
        default=False,
        description="true parses every line of JSON, so that damage inside lines without keywords "
        "is found too; takes about twice the time",
    )
    part_bytes: int = Field(
        default=256 << 20,
        ge=1,
        description="bytes of a plain file that one job reads; 256 MiB take a second",
    )
    max_document_bytes: int = Field(
        default=64 << 20,
        ge=1,
        le=1 << 30,
        description="longest line of JSON or text of a Parquet row, in bytes; no source file of "
        "code is near 64 MiB, so what is longer is damage",
    )
    max_quarantined_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of all records that may be malformed before the stage fails; a single "
        "one is always let pass unless this is 0",
    )

    @field_validator("keywords", mode="before")
    @classmethod
    def _one_keyword(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("keywords_by_language")
    @classmethod
    def _folded_names(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        folded: dict[str, tuple[str, ...]] = {}
        for name, keywords in value.items():
            if not name.strip() or not keywords:
                raise ValueError(f"'{name}': a language's name and its keywords were expected")
            folded[name.casefold()] = (*folded.get(name.casefold(), ()), *keywords)
        return folded

    @field_validator("max_documents")
    @classmethod
    def _positive(cls, value: int | dict[str, int] | None) -> int | dict[str, int] | None:
        numbers = value.values() if isinstance(value, dict) else [1 if value is None else value]
        if any(number < 1 for number in numbers):
            raise ValueError("at least 1 document was expected; null keeps all")
        return value

    @model_validator(mode="after")
    def _has_keywords(self) -> KeywordFilterConfig:
        words = [*self.keywords, *(w for more in self.keywords_by_language.values() for w in more)]
        if not words:
            raise ValueError(
                "at least one keyword was expected (keywords, --keyword); there is none"
            )
        for word in words:
            if not word.strip():
                raise ValueError(f"the keyword {word!r} is blank: every text would have it")
            if not word.isascii() and word.encode(errors="replace").decode() != word:
                raise ValueError(f"the keyword {word!r} has half a character (a lone surrogate)")
        named = [name for name in self.keywords_by_language if not name.startswith(".")]
        if named and not self.language_column:
            raise ValueError(
                f"keywords_by_language names '{named[0]}', but no language_column is set: set it, "
                "or give a file's suffix such as '.py'"
            )
        return self

    def scanner(self) -> KeywordScanner:
        """What finds the documents."""
        words = tuple(dict.fromkeys(self.keywords))
        rule = KeywordRule(words, self.match, self.case_sensitive, self.whole_word)
        return KeywordScanner(rule, self.keywords_by_language)


def write_keyword_filter(*, source: Artifact, config: KeywordFilterConfig, out: Build) -> None:
    """Write the documents that have the keywords.

    Args:
        source: raw JSON lines or Parquet, a file or a directory (with folders train, valid and test
            at will); or an artifact of documents.
        config: settings.
        out: receives `documents-00000-of-0000N.parquet`, one per part of the input, all columns
            kept, in the folders of the splits if the source has some; as extras the statistics
            and a dataset card. Dropped are "no_keyword" and "not_sampled".

    Raises:
        ConfigError: a column is missing or differs between files, or nothing has the keywords.
        CorruptInputError: a file is damaged, or no JSON lines or Parquet.
        TooManyDropsError: too many records are malformed.
    """
    from headrace.corpus.pages import quarantine_limit

    path = data_directory(source)
    parts = find_parts(path, config.part_bytes, _artifact_files(source))
    jobs = _plan(parts, config)
    if config.max_documents is None:
        records = out.run_shards(_shard_jobs(jobs), unit="documents")
    else:
        from headrace.corpus.sampling import run_sampled

        limits = _limits(config.max_documents, parts)
        records = run_sampled(out, _shard_jobs(jobs), jobs, limits, config.seed)
    num_in = sum(record.counts["records_in"] for record in records)
    out.drop_limit(quarantine_limit(config.max_quarantined_fraction, num_in))
    _tell_pass_rate(records, jobs)
    if not any(record.counts["num_matches"] for record in records) and _is_sound(records):
        raise ConfigError(
            f"{path}: at least one document with the keywords was expected; none of {num_in} has "
            f"{config.match} of {', '.join(config.keywords[:9]) or 'them'}: check the keywords "
            f"and text_column ('{jobs[0].text_column}' was searched)"
        )
    if source.stage != SOURCE.name and (path / SITEINFO_NAME).is_file():
        out.write_index(SITEINFO_NAME, (path / SITEINFO_NAME).read_bytes())
    write_statistics(out, records, _card(jobs[0], parts))


def _is_sound(records: Sequence[ShardRecord]) -> bool:
    """Whether some record is none of the bad ones, which have an error of their own."""
    num_bad = sum(sum(record.quarantined.values()) for record in records)
    return num_bad < sum(record.counts["records_in"] for record in records)


def _artifact_files(source: Artifact) -> list[Path] | None:
    """The data files of an artifact; None for a raw source, whose files are found by suffix.

    Raises:
        ConfigError: the artifact holds no documents.
    """
    if source.stage == SOURCE.name:
        return None
    found = source.files("*.parquet") or source.files("*.jsonl")
    if not found:
        raise ConfigError(
            f"{source.path}: an artifact with Parquet files or JSON lines was expected; "
            f"'{source.stage}' has none"
        )
    return found


def _plan(parts: Sequence[Part], config: KeywordFilterConfig) -> list[PartJob]:
    """One job per part, all with one schema."""
    from headrace.corpus.part_filter import PartJob

    json_parts = [part for part in parts if not part.is_parquet]
    columns = tuple(infer_columns(json_parts, config.columns)) if json_parts else ()
    schema = _common_schema(parts, columns)
    where = parts[0].path if len(parts) == 1 else parts[0].path.parent
    text_column = text_column_of(schema.names, config.text_column, str(where))
    _check_columns(schema, text_column, config, str(where))
    numbers: dict[str, int] = {}
    totals = {split: sum(part.split == split for part in parts) for part in parts
              for split in (part.split,)}  # fmt: skip
    jobs = []
    for part in parts:
        number = numbers.get(part.split, 0)
        numbers[part.split] = number + 1
        folder = f"{part.split}/" if part.split else ""
        jobs.append(
            PartJob(
                part=part,
                name=f"{folder}documents-{number:05d}-of-{totals[part.split]:05d}",
                columns=columns,
                schema=schema,
                text_column=text_column,
                scanner=config.scanner(),
                language_column=config.language_column,
                path_column=config.path_column,
                max_document_bytes=config.max_document_bytes,
                validate=config.validate_lines,
                with_positions=config.max_documents is not None,
            )
        )
    return jobs


def _shard_jobs(jobs: Sequence[PartJob]) -> list[ShardJob]:
    from headrace.corpus.part_filter import filter_part

    return [ShardJob(name=job.name, function=filter_part, args=(job,)) for job in jobs]


def _common_schema(parts: Sequence[Part], columns: Sequence[Column]) -> pa.Schema:
    """The columns of all files together, in the order they appear.

    Raises:
        ConfigError: two files differ in the type of a column.
        CorruptInputError: a Parquet file is damaged.
    """
    import pyarrow as pa

    from headrace.corpus.document_files import read_schema

    known = arrow_schema(columns)
    for part in parts:
        if not part.is_parquet:
            continue
        found = read_schema(part.path)
        try:
            known = pa.unify_schemas([known, found])
        except pa.ArrowException as error:
            raise ConfigError(
                f"{part.path}: columns as in the other files were expected: {error}: convert the "
                "files to one schema"
            ) from None
    return known


def _check_columns(
    schema: pa.Schema, text_column: str, config: KeywordFilterConfig, where: str
) -> None:
    import pyarrow as pa

    wanted = {text_column: "text_column"}
    if config.language_column:
        wanted[config.language_column] = "language_column"
    if any(name.startswith(".") for name in config.keywords_by_language):
        wanted[config.path_column] = "path_column"
    for name, setting in wanted.items():
        if name not in schema.names:
            raise ConfigError(
                f"{where}: a column '{name}' was expected; there is {', '.join(schema.names)}: "
                f"set {setting}"
            )
        if schema.field(name).type != pa.string():
            raise ConfigError(
                f"{where}: texts were expected in column '{name}'; it is "
                f"{schema.field(name).type}: set {setting}"
            )


def _limits(max_documents: int | Mapping[str, int], parts: Sequence[Part]) -> dict[str, int]:
    """Documents kept at most, by split; a split that is not named keeps all."""
    splits = {part.split for part in parts}
    if isinstance(max_documents, int):
        return dict.fromkeys(splits, max_documents)
    for name in max_documents:
        if name not in splits:
            found = (
                ", ".join(sorted(filter(None, splits))) or "none (no folders train, valid, test)"
            )
            raise ConfigError(
                f"max_documents names the split '{name}'; the source has {found}: name one of "
                "these, or give one number"
            )
    return dict(max_documents)


def _tell_pass_rate(records: Sequence[ShardRecord], jobs: Sequence[PartJob]) -> None:
    """Say what the course says: "3.26% of data after filtering"."""
    splits = list(dict.fromkeys(job.part.split for job in jobs))
    for split in (splits if len(splits) > 1 else []) + [None]:
        chosen = [
            record
            for record, job in zip(records, jobs, strict=True)
            if split in (None, job.part.split)
        ]
        num_in = sum(record.counts["records_in"] for record in chosen)
        num_matches = sum(record.counts["num_matches"] for record in chosen)
        rate = num_matches / num_in if num_in else 0.0
        what = f"{split}: " if split else ""
        logger.info(
            "%s%.2f%% of data after filtering (%d of %d documents)",
            what, 100 * rate, num_matches, num_in,
        )  # fmt: skip


def _card(job: PartJob, parts: Sequence[Part]) -> DatasetCard:
    has_licences = "license" in job.schema.names
    words = [word for word in job.scanner.common.keywords[:20]]
    return DatasetCard(
        title="Documents with keywords",
        licence="other" if has_licences else "unknown",
        source=f"{len({part.name for part in parts})} files such as {parts[0].name}; manifest.json "
        "has their sha256",
        description=f"Documents whose {job.text_column} has {job.scanner.common.match} of: "
        f"{', '.join(words) or 'keywords of their language'}.",
        attribution="The licence is each file's own, in the column license."
        if has_licences
        else "",
    )


def _source_bytes(_config: KeywordFilterConfig, inputs: Inputs) -> float:
    size = inputs["source"]
    return size.counts.get("num_bytes", size.num_bytes)


KEYWORD_FILTER = Stage(
    name="filter",
    version=1,
    format="headrace.filter/1",
    packages=("pyarrow", "polars", "orjson"),
    write=write_keyword_filter,
    measure=Measure(work=_source_bytes, volume=_source_bytes, start_seconds=0.4),
)
