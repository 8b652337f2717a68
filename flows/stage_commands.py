"""Every stage alone, from the command line, without Prefect: `headrace extract PAGES OUT`.

OUT becomes an artifact directory: data files that others open directly, and a manifest. An input
is an artifact directory, the name of one in the store, or a raw file or directory of the user's.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.configuration import load_config
from headrace import summary
from headrace.artifacts import Artifact, Runtime, Stage, Store, open_artifact, resolve_home
from headrace.artifacts.manifest import MANIFEST_NAME
from headrace.artifacts.runtime import available_cores
from headrace.artifacts.sources import SOURCE, open_source
from headrace.errors import MissingInputError


@dataclass(frozen=True, kw_only=True)
class StageCommand:
    """One stage as a command.

    Attributes:
        name: the subcommand.
        help: one line.
        module: where the stage and its config are; imported when the command runs.
        stage: name of the Stage constant in it.
        config: name of its config class, in the same module.
        inputs: names of its inputs, in the order of the command line.
        after: a command whose stage runs first if the (only) input is a raw file.
    """

    name: str
    help: str
    module: str
    stage: str
    config: str
    inputs: tuple[str, ...]
    after: str | None = None


COMMANDS = {
    command.name: command
    for command in (
        StageCommand(
            name="read-dump", help="pages of a Wikimedia dump",
            module="headrace.corpus.pages", stage="PAGES", config="PagesConfig",
            inputs=("source",),
        ),
        StageCommand(
            name="extract", help="plain text of the pages (or of a dump)",
            module="headrace.corpus.articles", stage="ARTICLES", config="ArticlesConfig",
            inputs=("pages",), after="read-dump",
        ),
        StageCommand(
            name="split-sentences", help="one sentence a line",
            module="headrace.corpus.sentences", stage="SENTENCES", config="SentencesConfig",
            inputs=("articles",),
        ),
        StageCommand(
            name="split", help="train, valid and test by document",
            module="headrace.corpus.splits", stage="SPLITS", config="SplitsConfig",
            inputs=("sentences",),
        ),
        StageCommand(
            name="train-tokenizer", help="byte-level BPE from the train split",
            module="headrace.encoding.tokenizers", stage="TRAINED_TOKENIZER",
            config="TrainedTokenizerConfig",
            inputs=("splits",),
        ),
        StageCommand(
            name="encode", help="token blocks of every split",
            module="headrace.encoding.blocks", stage="BLOCKS", config="BlocksConfig",
            inputs=("splits", "tokenizer"),
        ),
        StageCommand(
            name="pretrain", help="a language model from scratch",
            module="headrace.training.pretraining", stage="PRETRAINING",
            config="PretrainingConfig", inputs=("blocks", "tokenizer"),
        ),
        StageCommand(
            name="evaluate", help="perplexity on the held-out splits",
            module="headrace.evaluation.perplexity", stage="EVALUATION",
            config="EvaluationConfig", inputs=("model", "blocks"),
        ),
        StageCommand(
            name="generate", help="text from prompts",
            module="headrace.evaluation.generation", stage="SAMPLES", config="SamplesConfig",
            inputs=("model",),
        ),
        StageCommand(
            name="export", help="FasterTransformer files of a model (any HF directory)",
            module="headrace.export.fastertransformer", stage="FT_EXPORT",
            config="FtExportConfig", inputs=("model",),
        ),
        StageCommand(
            name="check-parity", help="prove an export against its model",
            module="headrace.export.parity", stage="PARITY", config="ParityConfig",
            inputs=("model", "ft_export", "blocks"),
        ),
        StageCommand(
            name="make-repository", help="Triton model repository of a proved export",
            module="headrace.export.triton_repository", stage="TRITON_REPOSITORY",
            config="TritonRepositoryConfig", inputs=("ft_export", "parity"),
        ),
        StageCommand(
            name="ask", help="a real Triton server's greedy tokens against the checkpoint's",
            module="headrace.serving.answers", stage="ANSWERS", config="AnswersConfig",
            inputs=("repository", "model", "blocks"),
        ),
    )
}  # fmt: skip


def add_parsers(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    parents: Sequence[argparse.ArgumentParser],
) -> None:
    """Add one subcommand for each stage."""
    for command in COMMANDS.values():
        parser = commands.add_parser(command.name, parents=list(parents), help=command.help)
        for name in command.inputs:
            parser.add_argument(name, help="artifact directory, name in the store, or raw input")
        parser.add_argument("out", type=Path, help="directory to be written")
        parser.set_defaults(function=run_stage_command)


def _load(command: StageCommand) -> tuple[Stage, Any]:
    module = importlib.import_module(command.module)
    return getattr(module, command.stage), getattr(module, command.config)


def resolve_input(store: Store, text: str) -> Artifact:
    """The artifact that the user means: a directory of one, one in the store, or a raw input.

    Raises:
        MissingInputError: it is none of these.
    """
    path = Path(text).expanduser()
    if (path / MANIFEST_NAME).is_file():
        return open_artifact(path.resolve())
    if path.exists():
        return open_source(store, path).artifact
    try:
        return store.find(text)
    except MissingInputError:
        raise MissingInputError(
            f"{text}: an artifact directory, the name of an artifact in the store or a raw file "
            "was expected; there is none: check the path, or see `headrace ls`"
        ) from None


def run_stage_command(arguments: argparse.Namespace) -> int:
    """Build one stage's artifact in the directory that the user named."""
    command = COMMANDS[arguments.command]
    stage, config_class = _load(command)
    config = load_config(config_class, arguments.config, arguments.settings)
    home = resolve_home(arguments.home)
    store = Store(Runtime(home=home, num_workers=arguments.workers or available_cores()))
    with store.reading():
        inputs = {name: resolve_input(store, getattr(arguments, name)) for name in command.inputs}
        first = inputs[command.inputs[0]]
        if command.after and first.stage == SOURCE.name:
            earlier = COMMANDS[command.after]
            stage_before, config_before = _load(earlier)
            opened = store.open_or_build(stage_before, config_before(), {earlier.inputs[0]: first})
            inputs[command.inputs[0]] = opened.artifact
        opened = store.open_or_build(stage, config, inputs, at=arguments.out.expanduser().resolve())
    sys.stdout.write(f"{opened.outcome.value} in {opened.seconds:.1f} s: {arguments.out}\n")
    sys.stdout.write(summary.artifact_table([opened.artifact]))
    return 0
