"""The `headrace` command.

    headrace run PIPELINE [--config FILE] [--set KEY=VALUE ...]    run a pipeline under Prefect
    headrace plan PIPELINE [...] | status | retry RUN | report     before, during and after a run
    headrace up | doctor                                           server, UI, workers, Triton
    headrace ls | show ARTIFACT | verify [ARTIFACT] | gc           look after the artifacts
    headrace STAGE INPUT ... OUT [--set KEY=VALUE ...]             one stage alone, without Prefect

Exit codes: 0 done, 1 an error told in one line, 2 bad usage, 130 interrupted. Prefect and torch
are imported only by what needs them, so that a command answers at once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from flows import source_commands, stage_commands
from flows.stage_table import COMMANDS
from headrace import __version__, summary
from headrace.artifacts import Artifact, Runtime, Store, resolve_home
from headrace.artifacts.files import explained_os_errors
from headrace.artifacts.runtime import HOME_VARIABLE, available_cores
from headrace.errors import ConfigError, HeadraceError

if TYPE_CHECKING:
    from flows.pipelines import Pipeline

RUN_FAILED, BAD_USAGE, INTERRUPTED = 1, 2, 130

STAGE_COMMANDS = {*source_commands.NAMES, *COMMANDS}

logger = logging.getLogger("headrace")


class OneLineParser(argparse.ArgumentParser):
    """Tells bad usage in one line instead of a page."""

    def error(self, message: str) -> NoReturn:
        """Print the message and where to find help; exit 2."""
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        sys.exit(BAD_USAGE)


def build_parser(*, only_stages: bool = False) -> argparse.ArgumentParser:
    """The parser of all subcommands, or of those alone that run one stage.

    What looks after whole pipelines imports all their settings, which costs a stage's command as
    much as starting Python does: such a command does without.
    """
    parser = OneLineParser(prog="headrace", description="raw text to a served language model")
    parser.add_argument("--version", action="version", version=f"headrace {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home", metavar="DIR", help=f"default ${HOME_VARIABLE} or ./.headrace")
    common.add_argument("--quiet", action="store_true", help="warnings and errors only")
    building = argparse.ArgumentParser(add_help=False)
    building.add_argument("--workers", type=int, metavar="N", help="processes (default: all cores)")
    building.add_argument("--config", type=Path, metavar="FILE", help="settings, YAML or JSON")
    building.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="KEY=VALUE",
        help="one setting, laid over the file; may be repeated",
    )  # fmt: skip
    if not only_stages:
        _add_run_parsers(commands, common, building)
        _add_store_parsers(commands, common)
    source_commands.add_parsers(commands, common, building)
    stage_commands.add_parsers(commands, [common, building])
    return parser


def _add_run_parsers(commands: Any, common: Any, building: Any) -> None:
    """Subcommands that look after pipelines and their runs."""
    from flows import cockpit, diagnosis, planning, reporting, retrying, status
    from flows.pipelines import PIPELINES

    run = commands.add_parser("run", parents=[common, building], help="run a pipeline")
    run.add_argument("pipeline", choices=sorted(PIPELINES), metavar="PIPELINE")
    run.add_argument("--name", help="keep what it makes under this name (default: the pipeline's)")
    run.set_defaults(function=run_pipeline)
    cockpit.add_parser(commands, [common])
    diagnosis.add_parser(commands, [common])
    retrying.add_parser(commands, [common], open_store)
    planning.add_parser(commands, [common, building])
    reporting.add_parser(commands, [common])
    status.add_parser(commands, [common])


def _add_store_parsers(commands: Any, common: Any) -> None:
    """Subcommands that look after artifacts."""
    listing = commands.add_parser("ls", parents=[common], help="list finished artifacts")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(function=list_artifacts)

    show = commands.add_parser("show", parents=[common], help="manifest and lineage of an artifact")
    show.add_argument("artifact", help="path, stage name (newest), key or digest (or their start)")
    show.add_argument("--json", action="store_true")
    show.set_defaults(function=show_artifact)

    verify = commands.add_parser("verify", parents=[common], help="check artifacts on disk")
    verify.add_argument("artifact", nargs="*", help="as for show; default: all")
    verify.add_argument("--full", action="store_true", help="hash every byte")
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(function=verify_artifacts)

    gc = commands.add_parser("gc", parents=[common], help="remove what no named run needs")
    gc.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    gc.add_argument("--unfinished", action="store_true", help="interrupted builds too")
    gc.set_defaults(function=collect_garbage)


def open_store(arguments: argparse.Namespace) -> Store:
    """The store that a command works on."""
    num_workers = getattr(arguments, "workers", None)
    return Store(
        Runtime(
            home=resolve_home(arguments.home),
            num_workers=available_cores() if num_workers is None else num_workers,
        )
    )


def run_pipeline(arguments: argparse.Namespace) -> int:
    """Run a pipeline's flow in this process; prints the table of stages and the results."""
    from flows.pipelines import PIPELINES, adapt_serving
    from flows.running import run_and_tell

    pipeline: Pipeline = PIPELINES[arguments.pipeline]
    config = pipeline.load(arguments.config, arguments.settings)
    store = open_store(arguments)
    config = adapt_serving(config, store.runtime.home)
    run_and_tell(pipeline, config, store=store, name=arguments.name or pipeline.name)
    return 0


def list_artifacts(arguments: argparse.Namespace) -> int:
    """Print a line for each finished artifact."""
    artifacts = list(open_store(arguments).artifacts())
    if arguments.json:
        rows = [_row(artifact) for artifact in artifacts]
        sys.stdout.write(json.dumps(rows, indent=1, sort_keys=True) + "\n")
        return 0
    sys.stdout.write(summary.artifact_table(artifacts))
    return 0


def _row(artifact: Artifact) -> dict[str, Any]:
    return {
        "stage": artifact.stage,
        "key": artifact.key,
        "digest": artifact.digest,
        "format": artifact.format,
        "rows": artifact.counts.get("rows", 0),
        "bytes": artifact.num_bytes,
        "path": str(artifact.path),
        "finished": artifact.manifest.provenance.get("finished"),
    }


def show_artifact(arguments: argparse.Namespace) -> int:
    """Print an artifact's manifest and its lineage down to the raw bytes."""
    store = open_store(arguments)
    artifact = store.find(arguments.artifact)
    if arguments.json:
        value = {
            "path": str(artifact.path),
            "manifest": artifact.manifest.to_json(),
            "lineage": summary.lineage_json(store, artifact),
        }
        sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n")
        return 0
    sys.stdout.write(summary.describe(store, artifact))
    return 0


def verify_artifacts(arguments: argparse.Namespace) -> int:
    """Check artifacts; exit code 1 if any is damaged."""
    from headrace.artifacts import verification

    store = open_store(arguments)
    chosen = [store.find(text) for text in arguments.artifact] or list(store.artifacts())
    rows, num_damaged = [], 0
    for artifact in chosen:
        damages = verification.find_damage(artifact, full=arguments.full)
        strays = verification.find_strays(artifact)
        num_damaged += bool(damages)
        problems = [{"file": item.name, "problem": item.problem} for item in damages]
        rows.append(_row(artifact) | {"damaged": problems, "strays": strays})
    unfinished = [] if arguments.artifact else [str(path) for path in store.unfinished()]
    if arguments.json:
        value = {"artifacts": rows, "unfinished": unfinished, "full": arguments.full}
        sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n")
    else:
        sys.stdout.write(summary.verification_text(rows, unfinished, full=arguments.full))
    return RUN_FAILED if num_damaged else 0


def collect_garbage(arguments: argparse.Namespace) -> int:
    """Remove, or only list, what no named run reaches."""
    from headrace.artifacts.collection import collect, find_garbage

    store = open_store(arguments)
    work = find_garbage if arguments.dry_run else collect
    garbage = work(store, with_unfinished=arguments.unfinished)
    for item in garbage:
        sys.stdout.write(f"{item.num_bytes:>15,}  {item.path}  ({item.reason})\n")
    total = sum(item.num_bytes for item in garbage)
    verb = "would be removed" if arguments.dry_run else "removed"
    sys.stdout.write(f"{len(garbage)} artifacts, {total:,} bytes {verb}\n")
    return 0


def set_up_logging(quiet: bool) -> None:
    """Log lines of ours to standard error, with the time, without a library's chatter."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `headrace` command."""
    words = sys.argv[1:] if argv is None else list(argv)
    is_stage = bool(words) and words[0] in STAGE_COMMANDS
    arguments = build_parser(only_stages=is_stage).parse_args(words)
    set_up_logging(arguments.quiet)
    try:
        if getattr(arguments, "workers", None) is not None and arguments.workers < 1:
            raise ConfigError(f"--workers {arguments.workers}: at least 1 is needed")
        with explained_os_errors(resolve_home(arguments.home)):
            return int(arguments.function(arguments))
    except HeadraceError as error:
        message = " ".join(str(error).split())
        sys.stderr.write(f"headrace: {type(error).__name__}: {message}\n")
        return RUN_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("headrace: interrupted; what is finished stays: run again to go on\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`headrace ls | head`): nothing to tell anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
