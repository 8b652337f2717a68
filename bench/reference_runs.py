"""Writes `reference_runs.json`: what stages took on a quiet machine, for plans in a new home.

    python -m bench.reference_runs --machine "two cores of ..." HOME ... > FILE

Each HOME holds finished artifacts of one run or more; two runs of differing size let a plan tell a
stage's start from its rate. Paths and hosts are not taken over.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from headrace.artifacts import Runtime, Store
from headrace.artifacts.estimates import Reference, Sample, load_samples


def gather(homes: list[Path], machine: str) -> Reference:
    """All samples of some homes, by stage; raw inputs are left out, since plans hash them."""
    samples: dict[str, list[Sample]] = {}
    for home in homes:
        store = Store(Runtime(home=home.resolve()))
        for stage in sorted(path.name for path in store.root.glob("*/") if path.name != "source"):
            samples.setdefault(stage, []).extend(load_samples(store, stage))
    return Reference(machine=machine, samples=samples)


def main() -> None:
    """Print the samples of the homes named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("homes", nargs="+", type=Path, metavar="HOME")
    parser.add_argument("--machine", required=True, help="on what they were measured, in words")
    arguments = parser.parse_args()
    reference = gather(arguments.homes, arguments.machine)
    json.dump(reference.to_json(), sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
