"""Extraction's quality and memory: what survives of the articles, and peaks on a dump and x12."""

from __future__ import annotations

from pathlib import Path

from bench.cases import NUM_COPIES, ROOT, SAMPLE, extract_command, make_dump
from bench.measure import run_once
from bench.survival import (
    CONSTRUCTS,
    MAX_RESIDUES,
    TARGETS,
    TEMPLATES,
    Survival,
    survival_of,
)
from headrace.summary import table

MAX_GROWTH = 1.2


def survival_table(dump: Path = SAMPLE) -> tuple[str, bool]:
    """Ours beside wikiextractor's, by construct; and whether every target is reached."""
    sides = {name: survival_of(dump, backend=name) for name in ("native", "wikiextractor")}
    ours = sides["native"]
    rows, is_reached = [], ours.num_residues <= MAX_RESIDUES
    for name in (*CONSTRUCTS, "templates"):
        parts = TEMPLATES if name == "templates" else (name,)
        target = TARGETS.get(name)
        is_reached &= target is None or ours.share(*parts) >= target
        rows.append(
            [name, str(sum(ours.num_probes[part] for part in parts)),
             *(f"{side.share(*parts):.1%}" for side in sides.values()),
             f"{target:.0%}" if target else ""]
        )  # fmt: skip
    rows.append(["residues", "", *(_residues(side) for side in sides.values()), str(MAX_RESIDUES)])
    header = ["survival", "probes", "ours", "wikiextractor", "target"]
    return table(header, rows, right="probes ours wikiextractor target"), is_reached


def _residues(side: Survival) -> str:
    return str(side.num_residues)


def memory_table(directory: Path) -> tuple[str, bool]:
    """Peak memory of our command on the sample and on several copies of it, one worker."""
    peaks = []
    for num_copies in (1, NUM_COPIES):
        dump = directory / f"x{num_copies}.xml.bz2"
        make_dump(dump, num_copies)
        command = extract_command(dump, directory / f"out-{num_copies}", workers=1)
        peaks.append(run_once(command, ROOT).peak_bytes)
    growth = peaks[1] / peaks[0]
    rows = [
        [f"sample x{num}", f"{peak / 1e6:.0f}"]
        for num, peak in zip((1, NUM_COPIES), peaks, strict=True)
    ]
    rows.append(["ratio", f"{growth:.2f}"])
    return table(["peak memory", "MB"], rows, right="MB"), growth <= MAX_GROWTH
