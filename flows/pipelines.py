"""The pipelines' settings, and where each pipeline's flow is found. Imports no Prefect."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flows.configuration import load_config
from headrace.config import parse_config
from headrace.corpus.articles import ArticlesConfig
from headrace.corpus.exclusion import ExclusionConfig
from headrace.corpus.pages import PagesConfig
from headrace.corpus.sentences import SentencesConfig
from headrace.corpus.sources.inputs import local_path
from headrace.corpus.sources.resolution import is_remote
from headrace.corpus.splits import SplitsConfig
from headrace.encoding.blocks import BlocksConfig
from headrace.encoding.tokenizers import TrainedTokenizerConfig
from headrace.errors import MissingInputError
from headrace.evaluation.generation import SamplesConfig
from headrace.evaluation.perplexity import EvaluationConfig
from headrace.export.fastertransformer import FtExportConfig
from headrace.export.parity import ParityConfig
from headrace.export.triton_repository import TritonRepositoryConfig
from headrace.serving.answers import AnswersConfig
from headrace.training.config import PretrainingConfig

logger = logging.getLogger("headrace")


class PretrainWikipediaConfig(BaseModel):
    """Everything that `pretrain_wikipedia` takes: the raw inputs, and each stage's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dump: str = Field(
        description="a Wikimedia pages-articles dump (.xml, .bz2 or .gz): a path, a URL (http, "
        "https, s3, gs), or a wiki such as jawiki or jawiki:20261101"
    )
    tokenizer_path: str | None = Field(
        None, description="directory of a tokenizer to use; null trains one on the train split"
    )
    excluded_texts: str | None = Field(
        None,
        description="held-out texts, such as WikiText's test and valid files, whose articles are "
        "taken out of the corpus; null takes none out",
    )
    serve: bool = Field(True, description="ask a real Triton server; false ends at the repository")
    pages: PagesConfig = PagesConfig()
    articles: ArticlesConfig = ArticlesConfig()
    exclusion: ExclusionConfig = ExclusionConfig()
    sentences: SentencesConfig = SentencesConfig()
    splits: SplitsConfig = SplitsConfig()
    tokenizer: TrainedTokenizerConfig = TrainedTokenizerConfig()
    blocks: BlocksConfig = BlocksConfig()
    training: PretrainingConfig = PretrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    samples: SamplesConfig = SamplesConfig()
    export: FtExportConfig = FtExportConfig()
    parity: ParityConfig = ParityConfig()
    repository: TritonRepositoryConfig = TritonRepositoryConfig()
    answers: AnswersConfig = AnswersConfig()

    def raw_inputs(self) -> list[str]:
        """Paths or URLs of the raw inputs; paths must be there before the run begins."""
        given = (self.dump, self.excluded_texts, self.tokenizer_path)
        return [path for path in given if path]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline that `headrace run` knows.

    Attributes:
        name: as on the command line.
        module: module of its flow.
        function: the flow's name in it.
        config: model of its settings.
    """

    name: str
    module: str
    function: str
    config: type[PretrainWikipediaConfig]

    def load(self, path: Path | None, settings: Sequence[str]) -> PretrainWikipediaConfig:
        """The checked settings; raw inputs are looked for now, not minutes into the run.

        Raises:
            ConfigError: a setting is wrong.
            MissingInputError: the file with settings or a raw input is not there.
        """
        return self._with_inputs(load_config(self.config, path, settings))

    def check(self, values: Mapping[str, Any], *, source: str) -> PretrainWikipediaConfig:
        """The checked settings from plain values, such as a run's record holds; see `load`."""
        return self._with_inputs(parse_config(self.config, values, source=source))

    @staticmethod
    def _with_inputs(config: PretrainWikipediaConfig) -> PretrainWikipediaConfig:
        for raw in config.raw_inputs():
            if not is_remote(raw) and not local_path(raw).expanduser().exists():
                raise MissingInputError(
                    f"{raw}: an input file was expected; there is none: check the path (relative "
                    "paths count from the current directory)"
                )
        return config


PIPELINES = {
    "pretrain_wikipedia": Pipeline(
        name="pretrain_wikipedia",
        module="flows.pretrain_wikipedia",
        function="pretrain_wikipedia",
        config=PretrainWikipediaConfig,
    )
}


def adapt_serving(config: PretrainWikipediaConfig, home: Path) -> PretrainWikipediaConfig:
    """End at the repository where no Triton exists for the platform; warn where it is missing."""
    from headrace.serving.installation import find_triton, unsupported_reason

    if not config.serve:
        return config
    reason = unsupported_reason()
    if reason:
        logger.warning("%s: the pipeline ends at the parity gate and the repository", reason)
        return config.model_copy(update={"serve": False})
    if find_triton(home) is None:
        logger.warning(
            "no Triton server is unpacked in %s: the last stage will need one; `make setup` gets "
            "it, --set serve=false does without",
            home,
        )
    return config
