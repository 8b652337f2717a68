"""What a run made and how an artifact came to be, as text for a terminal.

Everything shown is read from run records and artifacts, so it can be shown again at any time.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.artifacts import Artifact, Store
from headrace.artifacts.lineage import LineageNode, find_link, raw_inputs, trace
from headrace.artifacts.runs import StepRecord, load_run
from headrace.counts import describe_texts, plain_counts, read_text_counts
from headrace.figures import TRITON, Sample, read_figures, read_samples
from headrace.markdown import visible

SAMPLE_CHARACTERS = 400
DIGEST_DIGITS = 16


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, right: str = "") -> str:
    """Rows in aligned columns; columns whose header is named in `right` go to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *texts]) for i in range(len(header))]
    to_right = set(right.split())
    lines = []
    for row in [list(header), ["-" * width for width in widths], *texts]:
        cells = [
            cell.rjust(width) if name in to_right else cell.ljust(width)
            for cell, width, name in zip(row, widths, header, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _steps(store: Store, run_name: str, since: float) -> dict[str, tuple[StepRecord, Artifact]]:
    run = load_run(store.runtime.home, run_name)
    found = {}
    for name, step in (run.steps if run else {}).items():
        artifact = find_link(store, step.link)
        if step.noted >= since and artifact is not None:
            found[name] = (step, artifact)
    return found


def _drops(artifact: Artifact) -> str:
    reasons = {**artifact.dropped, **{f"bad:{k}": n for k, n in artifact.quarantined.items()}}
    return ", ".join(f"{reason} {num:,}" for reason, num in reasons.items()) or "-"


def stage_table(store: Store, run_name: str, *, since: float = 0.0) -> str:
    """State, seconds, rows, bytes and drops of each stage of a run, as far as it came."""
    rows = [
        [name, step.outcome, f"{step.seconds:.1f}", f"{item.counts.get('rows', 0):,}",
         f"{item.num_bytes:,}", item.digest[:DIGEST_DIGITS], _drops(item)]
        for name, (step, item) in _steps(store, run_name, since).items()
    ]  # fmt: skip
    header = ["stage", "state", "seconds", "rows", "bytes", "digest", "dropped"]
    return "\n" + table(header, rows, right="seconds rows bytes") if rows else ""


def results(store: Store, run_name: str) -> str:
    """Perplexity, a sample, the parity error and Triton's answers of a finished run."""
    found = {name: artifact for name, (_, artifact) in _steps(store, run_name, 0.0).items()}
    figures = [figure for item in found.values() for figure in read_figures(item)[:1]]
    samples = [sample for item in found.values() for sample in read_samples(item)[:1]]
    parts = [f"{item.label:<20} {item.value}, {item.note}\n" for item in figures]
    parts[1:1] = [_sample(sample) for sample in samples]
    if all(figure.label != TRITON for figure in figures):
        parts.append(f"{TRITON:<20} not asked\n")
    return "\n" + "".join(parts)


def _sample(sample: Sample) -> str:
    text = " ".join(visible(sample.sampled).split())[:SAMPLE_CHARACTERS]
    lines = textwrap.wrap(text, width=78) or [""]
    return f"{'sample':<20} {sample.prompt!r} ->\n" + textwrap.indent(
        "\n".join(lines) + "\n", " " * 21
    )


def artifact_table(artifacts: Sequence[Artifact]) -> str:
    """A line for each artifact."""
    rows = [
        [item.stage, item.key[:12], item.digest[:DIGEST_DIGITS], f"{item.counts.get('rows', 0):,}",
         f"{item.num_bytes:,}", str(item.manifest.provenance.get("finished", ""))[:19]]
        for item in artifacts
    ]  # fmt: skip
    header = ["stage", "key", "digest", "rows", "bytes", "finished (UTC)"]
    return table(header, rows, right="rows bytes")


def describe(store: Store, artifact: Artifact) -> str:
    """An artifact's manifest and lineage for a reader."""
    manifest, texts = artifact.manifest, read_text_counts(artifact.counts)
    counts = plain_counts(artifact.counts)
    lines = [f"{name:<11} {value}" for name, value in [
        ("stage", f"{manifest.stage} (version {manifest.version})"),
        ("format", manifest.format), ("key", manifest.key), ("digest", manifest.digest),
        ("path", artifact.path),
        ("bytes", f"{artifact.num_bytes:,} in {len(manifest.files)} files"),
        *[("count", f"{name} = {count:,}") for name, count in counts.items()],
        *(describe_texts(texts) if texts else []),
        *[("package", f"{name} {version}") for name, version in manifest.packages.items()],
        *[("config", f"{name} = {value}") for name, value in manifest.config.items()],
        *[("made", f"{name}: {value}") for name, value in manifest.provenance.items()
          if name in ("started", "seconds", "host", "git_commit", "versions")],
    ]]  # fmt: skip
    return "\n".join(lines) + "\n\nlineage\n" + lineage_text(store, artifact)


def lineage_text(store: Store, artifact: Artifact) -> str:
    """One line an artifact, indented by its distance, down to the sha256 of the raw bytes."""
    lines = []
    for depth, node in trace(store, artifact).walk():
        role = f"{node.role}: " if node.role else ""
        gone = "" if node.artifact else "  (no longer in the store)"
        lines.append(
            f"{'  ' * depth}{role}{node.link.stage} {node.link.key[:12]} "
            f"digest {node.link.digest[:DIGEST_DIGITS]}{gone}"
        )
        for raw in raw_inputs(node.artifact) if node.artifact else []:
            lines.append(
                f"{'  ' * (depth + 1)}{raw['path']} ({raw['bytes']:,} bytes) sha256 {raw['sha256']}"
            )
    return "\n".join(lines) + "\n"


def lineage_json(store: Store, artifact: Artifact) -> dict[str, Any]:
    """The lineage as nested plain values."""

    def plain(node: LineageNode) -> dict[str, Any]:
        return {
            "role": node.role,
            **vars(node.link),
            "in_store": node.artifact is not None,
            "raw": raw_inputs(node.artifact) if node.artifact else [],
            "inputs": [plain(below) for below in node.inputs],
        }

    return plain(trace(store, artifact))


def verification_text(
    rows: Sequence[Mapping[str, Any]], unfinished: Sequence[str], *, full: bool
) -> str:
    """What `verify` found, a line for each problem and one in all."""
    lines = []
    for row in rows:
        for problem in row["damaged"]:
            lines.append(f"DAMAGED  {row['path']}/{problem['file']}: {problem['problem']}")
        lines += [f"stray    {row['path']}/{name}: not in the manifest" for name in row["strays"]]
    lines += [f"unfinished  {path}: run its pipeline again, or `headrace gc --unfinished`"
              for path in unfinished]  # fmt: skip
    num_damaged = sum(bool(row["damaged"]) for row in rows)
    how = "every byte hashed" if full else "sizes and times; --full hashes every byte"
    lines.append(f"{len(rows)} artifacts checked ({how}), {num_damaged} damaged")
    return "\n".join(lines) + "\n"
