"""Every stage alone, from the command line, without Prefect: `headrace extract PAGES OUT`.

OUT becomes an artifact directory: data files that others open directly, and a manifest. An input
is an artifact directory, the name of one in the store, or a raw file or directory of the user's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.configuration import load_config
from flows.stage_table import COMMANDS, OWN_FORMAT, Flag, OutputFormat, StageCommand, StageName
from headrace import summary
from headrace.artifacts import Artifact, Opened, Runtime, Stage, Store, open_artifact, resolve_home
from headrace.artifacts.manifest import MANIFEST_NAME
from headrace.artifacts.runtime import available_cores
from headrace.artifacts.sources import SOURCE
from headrace.corpus.sources.inputs import is_download, local_path, open_downloaded, open_input
from headrace.corpus.sources.resolution import is_remote
from headrace.errors import MissingInputError


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
        for flag in command.flags:
            _add_flag(parser, flag)
        if command.formats:
            choices = [OWN_FORMAT, *command.formats]
            parser.add_argument(
                "--format", choices=choices, default=OWN_FORMAT, help="form of what is written"
            )
        parser.set_defaults(function=run_stage_command)


def _add_flag(parser: argparse.ArgumentParser, flag: Flag) -> None:
    if flag.value is not None:
        parser.add_argument(
            flag.name, dest=flag.dest, action="store_const", const=flag.value, help=flag.help
        )
    else:
        action = "append" if flag.repeats else "store"
        metavar = flag.name.lstrip("-").upper().replace("-", "_")
        parser.add_argument(
            flag.name, dest=flag.dest, action=action, metavar=metavar, help=flag.help
        )


def resolve_input(store: Store, text: str) -> Artifact:
    """The artifact that the user means: a directory of one, one in the store, or a raw input.

    A raw input may lie elsewhere (a URL, a wiki's dump); what was downloaded counts as raw.

    Raises:
        MissingInputError: it is none of these.
    """
    path = local_path(text).expanduser()
    if (path / MANIFEST_NAME).is_file():
        artifact = open_artifact(path.resolve())
        return open_downloaded(store, artifact).artifact if is_download(artifact) else artifact
    if is_remote(text) or path.exists():
        return open_input(store, text).artifact
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
    store = open_command_store(arguments)
    output_format = command.formats.get(getattr(arguments, "format", OWN_FORMAT))
    with store.reading():
        opened = _build(store, command, output_format, arguments)
    tell(opened, arguments.out)
    return 0


def open_command_store(arguments: argparse.Namespace) -> Store:
    """The store that a stage's command works on."""
    num_workers = getattr(arguments, "workers", None) or available_cores()
    return Store(Runtime(home=resolve_home(arguments.home), num_workers=num_workers))


def tell(opened: Opened, out: Path) -> None:
    """Print what became of a command's artifact."""
    sys.stdout.write(f"{opened.outcome.value} in {opened.seconds:.1f} s: {out}\n")
    sys.stdout.write(summary.artifact_table([opened.artifact]))


def _build(
    store: Store,
    command: StageCommand,
    output_format: OutputFormat | None,
    arguments: argparse.Namespace,
) -> Opened:
    """Run the stages that the command stands for; the last one writes where the user said."""
    out = arguments.out.expanduser().resolve()
    inputs = _inputs(store, command, arguments)
    if output_format is None:
        stage, config = _configured(command, command.stage, arguments, {})
        return store.open_or_build(stage, config, inputs, at=out)
    if output_format.source is None:
        stage, config = _configured(command, output_format.stage, arguments, output_format.settings)
        return store.open_or_build(stage, config, inputs, at=out)
    stage, config = _configured(command, command.stage, arguments, {})
    first = store.open_or_build(stage, config, inputs)
    stage, config_class = output_format.stage.load()
    config = config_class(**output_format.settings)
    return store.open_or_build(stage, config, {output_format.source: first.artifact}, at=out)


def _configured(
    command: StageCommand,
    name: StageName,
    arguments: argparse.Namespace,
    settings: Mapping[str, Any],
) -> tuple[Stage, Any]:
    """A stage with the settings that the user's file, flags and `--set` give it."""
    flags = {
        flag.key: value
        for flag in command.flags
        if (value := getattr(arguments, flag.dest)) is not None
    }
    stage, config_class = name.load()
    flags |= settings
    return stage, load_config(config_class, arguments.config, arguments.settings, flags)


def _inputs(
    store: Store, command: StageCommand, arguments: argparse.Namespace
) -> dict[str, Artifact]:
    """The command's inputs; a raw one goes through the stage that reads it first."""
    inputs = {name: resolve_input(store, getattr(arguments, name)) for name in command.inputs}
    first = inputs[command.inputs[0]]
    if command.after and first.stage == SOURCE.name:
        earlier = COMMANDS[command.after]
        stage, config_class = earlier.stage.load()
        opened = store.open_or_build(stage, config_class(), {earlier.inputs[0]: first})
        inputs[command.inputs[0]] = opened.artifact
    return inputs
