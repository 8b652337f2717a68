"""Run measurements and print them as a table; `--json FILE` keeps every sample.

python -m bench.run [CASE ...] [--runs N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench import cases, code_corpus, sentences
from bench.cases import ROOT, clean
from bench.extraction import memory_table, survival_table
from bench.measure import Result, measure
from headrace.summary import table

CASES = (*cases.CASES, *sentences.CASES, *code_corpus.CASES)
TABLES = {"survival": lambda _: survival_table(), "memory": memory_table}
HEADER = [
    "case",
    "side",
    "wall_s",
    "cpu_s",
    "MB/s",
    "MB/cpu_s",
    "peak_MB",
    "wall_x",
    "cpu_x",
    "outputs",
]


def rows(result: Result) -> list[list[str]]:
    """Two rows of the table: ours, with the ratios, and the peer's."""
    lines = []
    for side in ("ours", "peer"):
        wall = result.median(side, "wall_seconds")
        ratios = [
            f"{statistics.median(result.ratios(figure)):.2f}" if side == "ours" else "1.00"
            for figure in ("wall_seconds", "cpu_seconds")
        ]
        cpu = result.median(side, "cpu_seconds")
        peak = result.median(side, "peak_bytes") / 1e6
        lines.append(
            [result.case.name, side, f"{wall:.2f}", f"{cpu:.2f}",
             f"{result.megabytes / wall:.1f}", f"{result.megabytes / cpu:.1f}", f"{peak:.0f}",
             *ratios, result.comparison if side == "ours" else result.case.peer]
        )  # fmt: skip
    return lines


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="ours against peers, in turn")
    names = [*(case.name for case in CASES), *TABLES]
    parser.add_argument("case", nargs="*", help=", ".join(names))
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each side")
    parser.add_argument("--json", type=Path, help="write every sample here")
    arguments = parser.parse_args()
    chosen = [case for case in CASES if not arguments.case or case.name in arguments.case]
    results = []
    for case in chosen:
        directory = Path(tempfile.mkdtemp(prefix=f"headrace-bench-{case.name}-"))
        try:
            results.append(measure(case, directory, num_runs=arguments.runs, cwd=ROOT))
        finally:
            clean(directory)
    lines = [line for result in results for line in rows(result)]
    machine = platform.processor() or platform.machine()
    sys.stdout.write(
        f"{machine}, Python {platform.python_version()}, medians of {arguments.runs} runs in turn\n"
    )
    sys.stdout.write(table(HEADER, lines, right=" ".join(HEADER[2:9])))
    if arguments.json:
        value = [
            {"case": item.case.name, "peer": item.case.peer, "comparison": item.comparison,
             "megabytes": item.megabytes,
             "samples": {side: [asdict(s) for s in found] for side, found in item.samples.items()}}
            for item in results
        ]  # fmt: skip
        arguments.json.write_text(json.dumps(value, indent=1))
    is_good = all(item.comparison.startswith("equal") for item in results)
    for name, make_table in TABLES.items():
        if not arguments.case or name in arguments.case:
            with tempfile.TemporaryDirectory(prefix=f"headrace-bench-{name}-") as directory:
                text, is_reached = make_table(Path(directory))
            sys.stdout.write("\n" + text)
            is_good &= is_reached
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
