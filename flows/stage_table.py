"""The table of commands that run one stage: what they are called, take and write."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.artifacts import Stage


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A flag of a command that stands for a setting.

    Attributes:
        name: as on the command line, "--keyword".
        key: the setting.
        help: one line.
        repeats: may be given several times; the setting is a list.
        value: what the setting becomes; None takes the flag's argument.
    """

    name: str
    key: str
    help: str
    repeats: bool = False
    value: Any = None

    @property
    def dest(self) -> str:
        """Where argparse keeps it."""
        return f"flag_{self.key}"


@dataclass(frozen=True, kw_only=True)
class StageName:
    """Where a stage and its config are; imported when a command needs them.

    Attributes:
        module: of both.
        stage: name of the Stage constant in it.
        config: name of its config class.
    """

    module: str
    stage: str
    config: str

    def load(self) -> tuple[Stage, Any]:
        """The stage and its config class."""
        module = importlib.import_module(self.module)
        return getattr(module, self.stage), getattr(module, self.config)


@dataclass(frozen=True, kw_only=True)
class OutputFormat:
    """Another form of a command's output, written by a stage of its own.

    Attributes:
        stage: that stage.
        settings: what the choice of the format sets in its config.
        source: the stage's input that takes the command's own artifact; None if the stage stands
            in the place of the command's own and takes its inputs, flags and settings.
    """

    stage: StageName
    settings: Mapping[str, Any]
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class StageCommand:
    """One stage as a command.

    Attributes:
        name: the subcommand.
        help: one line.
        stage: what it runs.
        inputs: names of its inputs, in the order of the command line.
        after: a command whose stage runs first if the (only) input is a raw file.
        flags: settings that have a flag of their own.
        formats: what `--format` offers beside the stage's own Parquet.
    """

    name: str
    help: str
    stage: StageName
    inputs: tuple[str, ...]
    after: str | None = None
    flags: tuple[Flag, ...] = ()
    formats: Mapping[str, OutputFormat] = field(default_factory=dict)


def _stage(module: str, stage: str, config: str) -> StageName:
    return StageName(module=f"headrace.{module}", stage=stage, config=config)


OWN_FORMAT = "parquet"
_ARTICLE_FILES = _stage("corpus.article_files", "ARTICLE_FILES", "ArticleFilesConfig")
_PRESPLIT = _stage("corpus.presplit", "PRESPLIT", "PresplitConfig")

COMMANDS = {
    command.name: command
    for command in (
        StageCommand(
            name="read-dump", help="pages of a Wikimedia dump",
            stage=_stage("corpus.pages", "PAGES", "PagesConfig"),
            inputs=("source",),
        ),
        StageCommand(
            name="extract", help="plain text of the pages (or of a dump)",
            stage=_stage("corpus.articles", "ARTICLES", "ArticlesConfig"),
            inputs=("pages",), after="read-dump",
            flags=(
                Flag(name="--backend", key="backend", help="native (default) or wikiextractor"),
                Flag(name="--keep", key="keep", help="kept besides, such as lists,tables"),
                Flag(name="--drop", key="drop", help="left out, such as headings"),
            ),
            formats={
                name: OutputFormat(
                    stage=_ARTICLE_FILES, settings={"format": name}, source="articles"
                )
                for name in ("jsonl", "wikiextractor")
            },
        ),
        StageCommand(
            name="split-sentences", help="one sentence a line",
            stage=_stage("corpus.sentences", "SENTENCES", "SentencesConfig"),
            inputs=("articles",),
            flags=(
                Flag(name="--language", key="language", help="language of texts that tell none"),
                Flag(name="--splitter", key="splitter", help="sentencex (default) or punkt"),
            ),
            formats={"presplit": OutputFormat(stage=_PRESPLIT, settings={})},
        ),
        StageCommand(
            name="filter", help="documents with keywords, out of JSON lines or Parquet",
            stage=_stage("corpus.keyword_filter", "KEYWORD_FILTER", "KeywordFilterConfig"),
            inputs=("source",),
            flags=(
                Flag(name="--keyword", key="keywords", help="one keyword", repeats=True),
                Flag(name="--all", key="match", help="all keywords, not any", value="all"),
                Flag(name="--max-documents", key="max_documents", help="a seeded choice of N"),
            ),
        ),
        StageCommand(
            name="deduplicate", help="the first of equal documents",
            stage=_stage("corpus.deduplication", "EXACT_DEDUPLICATION", "ExactDeduplicationConfig"),
            inputs=("documents",),
        ),
        StageCommand(
            name="deduplicate-near", help="the first of nearly equal documents",
            stage=_stage("corpus.deduplication", "NEAR_DEDUPLICATION", "NearDeduplicationConfig"),
            inputs=("documents",),
        ),
        StageCommand(
            name="exclude", help="articles without those of a test set",
            stage=_stage("corpus.exclusion", "EXCLUSION", "ExclusionConfig"),
            inputs=("articles", "reference"),
        ),
        StageCommand(
            name="split", help="train, valid and test by document",
            stage=_stage("corpus.splits", "SPLITS", "SplitsConfig"),
            inputs=("sentences",),
        ),
        StageCommand(
            name="train-tokenizer", help="byte-level BPE from the train split",
            stage=_stage("encoding.tokenizers", "TRAINED_TOKENIZER", "TrainedTokenizerConfig"),
            inputs=("splits",),
        ),
        StageCommand(
            name="encode", help="token blocks of every split",
            stage=_stage("encoding.blocks", "BLOCKS", "BlocksConfig"),
            inputs=("splits", "tokenizer"),
        ),
        StageCommand(
            name="pretrain", help="a language model from scratch",
            stage=_stage("training.pretraining", "PRETRAINING", "PretrainingConfig"),
            inputs=("blocks", "tokenizer"),
        ),
        StageCommand(
            name="evaluate", help="perplexity on the held-out splits",
            stage=_stage("evaluation.perplexity", "EVALUATION", "EvaluationConfig"),
            inputs=("model", "blocks"),
        ),
        StageCommand(
            name="generate", help="text from prompts",
            stage=_stage("evaluation.generation", "SAMPLES", "SamplesConfig"),
            inputs=("model",),
        ),
        StageCommand(
            name="export", help="FasterTransformer files of a model (any HF directory)",
            stage=_stage("export.fastertransformer", "FT_EXPORT", "FtExportConfig"),
            inputs=("model",),
        ),
        StageCommand(
            name="check-parity", help="prove an export against its model",
            stage=_stage("export.parity", "PARITY", "ParityConfig"),
            inputs=("model", "ft_export", "blocks"),
        ),
        StageCommand(
            name="make-repository", help="Triton model repository of a proved export",
            stage=_stage("export.triton_repository", "TRITON_REPOSITORY", "TritonRepositoryConfig"),
            inputs=("ft_export", "parity"),
        ),
        StageCommand(
            name="ask", help="a real Triton server's greedy tokens against the checkpoint's",
            stage=_stage("serving.answers", "ANSWERS", "AnswersConfig"),
            inputs=("repository", "model", "blocks"),
        ),
    )
}  # fmt: skip
