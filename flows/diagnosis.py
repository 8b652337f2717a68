"""`headrace doctor`: what is wrong here, in words, with the fix. Imports no Prefect."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.artifacts import resolve_home

if TYPE_CHECKING:
    from headrace.diagnosis.findings import Finding

NAME_WIDTH, STATE_WIDTH = 16, 8
TEXT_WIDTH = 110


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the `doctor` command."""
    doctor = commands.add_parser(
        "doctor", parents=parents, help="look for what is wrong with this machine or home"
    )
    doctor.add_argument("--no-start", action="store_true", help="do not start Triton to ask it")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(function=examine)


def examine(arguments: argparse.Namespace) -> int:
    """Run all checks and tell each as it ends; exit code 1 if there is a problem."""
    from headrace.diagnosis.examination import all_checks
    from headrace.diagnosis.findings import run_checks

    checks = all_checks(
        resolve_home(arguments.home),
        os.environ,
        directories=[Path.cwd(), Path(__file__).parent],
        with_start=not arguments.no_start,
    )
    findings = []
    for finding in run_checks(checks):
        findings.append(finding)
        if not arguments.json:
            sys.stdout.write(as_text(finding))
            sys.stdout.flush()
    num_problems = sum(finding.state == "problem" for finding in findings)
    num_warnings = sum(finding.state == "warning" for finding in findings)
    if arguments.json:
        rows = [asdict(finding) for finding in findings]
        value = {"findings": rows, "problems": num_problems, "warnings": num_warnings}
        sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n")
    else:
        sys.stdout.write(
            f"{_number(num_problems, 'problem')}, {_number(num_warnings, 'warning')}\n"
        )
    return 1 if num_problems else 0


def as_text(finding: Finding) -> str:
    """One finding as lines for a terminal, its fix below it."""
    start = f"{finding.state:<{STATE_WIDTH}} {finding.name:<{NAME_WIDTH}} "
    indent = " " * (STATE_WIDTH + NAME_WIDTH + 2)
    lines = textwrap.wrap(
        finding.what, TEXT_WIDTH, initial_indent=start, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    if finding.fix:
        # In one line, however long: a command that is cut in two cannot be copied.
        lines.append(f"{indent}fix: {finding.fix}")
    return "\n".join(lines) + "\n"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
