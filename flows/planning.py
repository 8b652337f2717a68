"""`headrace plan PIPELINE`: what a run would do, why, how long it takes and whether it fits.

The flow itself is called dry: nothing runs, no server is started, and nothing is written but the
remembered hashes of raw inputs. Prefect is imported, since flows are its objects.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from flows.pipelines import PIPELINES, Pipeline, adapt_serving
from headrace.artifacts import Runtime, Store, resolve_home
from headrace.artifacts.runtime import available_cores
from headrace.plan_views import plan_text


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    parents: Sequence[argparse.ArgumentParser],
) -> None:
    """Add the `plan` subcommand."""
    plan = commands.add_parser("plan", parents=list(parents), help="what a run would do, and why")
    plan.add_argument("pipeline", choices=sorted(PIPELINES), metavar="PIPELINE")
    plan.add_argument("--json", action="store_true")
    plan.set_defaults(function=show_plan)


def show_plan(arguments: argparse.Namespace) -> int:
    """Print the plan; exit code 0 whatever it says."""
    pipeline: Pipeline = PIPELINES[arguments.pipeline]
    config = pipeline.load(arguments.config, arguments.settings)
    num_workers = arguments.workers or available_cores()
    store = Store(Runtime(home=resolve_home(arguments.home), num_workers=num_workers))
    config = adapt_serving(config, store.runtime.home)
    plan = make_plan(pipeline, config, store)
    text = json.dumps(plan.to_json(), indent=1) + "\n" if arguments.json else plan_text(plan)
    sys.stdout.write(text)
    return 0


def make_plan(pipeline: Pipeline, config: Any, store: Store) -> Any:
    """Plan a pipeline with checked settings."""
    from tasks.planning import plan_pipeline

    flow = getattr(importlib.import_module(pipeline.module), pipeline.function)
    return plan_pipeline(flow, config, store)
