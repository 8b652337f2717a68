"""From documents to token blocks."""

from __future__ import annotations

from typing import Any

from headrace.artifacts import InputLink
from headrace.encoding.blocks import BLOCKS, BlocksConfig
from headrace.encoding.tokenizers import (
    GIVEN_TOKENIZER,
    TRAINED_TOKENIZER,
    GivenTokenizerConfig,
    TrainedTokenizerConfig,
)
from tasks.planning import stage_task
from tasks.stage import run_source, run_stage


@stage_task
def tokenizer_source(path: str) -> Any:
    """Take a tokenizer's directory in by the sha256 of its bytes."""
    return run_source(path, step="tokenizer_source")


@stage_task
def given_tokenizer(source: InputLink) -> Any:
    """Bring a given tokenizer into the form that every later stage reads."""
    return run_stage(GIVEN_TOKENIZER, GivenTokenizerConfig(), {"source": source})


@stage_task
def trained_tokenizer(splits: InputLink, config: TrainedTokenizerConfig) -> Any:
    """Train a byte-level BPE on the train split."""
    return run_stage(TRAINED_TOKENIZER, config, {"splits": splits})


@stage_task
def blocks(splits: InputLink, tokenizer: InputLink, config: BlocksConfig) -> Any:
    """Tokenise every split and cut it into blocks."""
    return run_stage(BLOCKS, config, {"splits": splits, "tokenizer": tokenizer})
