"""Small runs for the report's tests: real artifacts in a real store, and a reader of pages."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pydantic import Field

from headrace.artifacts import Artifact, Build, Quarantined, ShardOutcome, Stage, Store
from headrace.artifacts.runs import RunRecord
from headrace.config import StageConfig

GEOMETRY = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height"}
VOID = {"br", "hr", "img", "link", "meta"}
EVALUATION = {
    "loss": 5.16479, "perplexity": 175.001, "unigram_loss": 6.80417, "unigram_perplexity": 901.6,
    "ratio": 0.194101, "bits_per_token": 7.45122, "bits_per_byte": 2.26792, "num_tokens": 41529,
    "num_bytes": 136443,
    "splits": {"test": {"perplexity": 208.262, "num_tokens": 5715, "loss": 5.33879}},
}  # fmt: skip
SAMPLES = [{"prompt": "The history of", "greedy": " the city", "sampled": " Plinian Pades"}]
PARITY = {
    "passed": True, "max_error": 1e-05, "tolerance": 0.00137, "num_positions": 640,
    "greedy_tokens_differing": 0, "weight_data_type": "fp32",
}  # fmt: skip
PARITY_FIGURES = {"max_error": 8.58306884765625e-06, "tolerance": 0.001374102020263672}
ANSWERS = {
    "num_prompts": 1, "num_tokens": 3, "num_equal": 3, "prompt_tokens": 2,
    "answers": [
        {"prompt": [5, 6], "tokens": [261, 585, 700], "prompt_text": "Algeria", "text": " is"}
    ],
}  # fmt: skip


class FilesConfig(StageConfig):
    """What a fake stage leaves: file contents as latin-1 text, and its counts."""

    files: dict[str, str] = Field(default_factory=lambda: {"data.txt": "x"})
    extras: dict[str, str] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    dropped: dict[str, int] = Field(default_factory=dict)
    bad: tuple[tuple[str, str], ...] = ()
    fails: bool = False


def write_files(*, config: FilesConfig, out: Build, **_inputs: Artifact) -> None:
    def write(directory: Path) -> ShardOutcome:
        for name, content in config.files.items():
            (directory / name).write_bytes(content.encode("latin-1"))
        return ShardOutcome(
            rows=config.counts.get("records_out", 1),
            counts=config.counts,
            dropped=config.dropped,
            quarantined=[
                Quarantined(source="dump.bz2", offset=7, reason=reason, excerpt=excerpt)
                for reason, excerpt in config.bad
            ],
        )

    out.publish("data", write)
    for name, content in config.extras.items():
        out.write_extra(name, content.encode("latin-1"))
    if config.fails:
        raise ValueError("it fails")


def stage(name: str) -> Stage:
    return Stage(
        name=name, version=1, format=f"headrace.{name}/1", packages=("pydantic",),
        write=write_files,
    )  # fmt: skip


def as_json(value: object) -> str:
    """JSON in ASCII, so that anything that JSON can hold gets through."""
    return json.dumps(value)


def begin(store: Store, name: str = "nightly", **values: Any) -> RunRecord:
    record = RunRecord(
        home=store.runtime.home, name=name, pipeline="pretrain_wikipedia", config={"serve": True}
    )
    record.begin(flow_run_id="0d2b", flow_run_name="quick-otter", deployment="", attempt=1)
    for key, value in values.items():
        setattr(record, key, value)
    record.save()
    return record


def add(
    store: Store,
    record: RunRecord,
    step: str,
    config: FilesConfig | None = None,
    inputs: Mapping[str, Artifact] | None = None,
) -> Artifact:
    opened = store.open_or_build(stage(step), config or FilesConfig(), inputs or {})
    record.note(step, opened)
    return opened.artifact


def log_lines(num_steps: int) -> str:
    lines = []
    for step in range(1, num_steps + 1):
        values = {"loss": 8.0 / step, "learning_rate": 1e-3 / step, "grad_norm": 1.0 + step % 3}
        lines.append(as_json({"step": step, **values, "tokens_per_second": 900.0 + step % 7}))
        if step % 10 == 0:
            lines.append(as_json({"step": step, "valid_loss": 8.5 / step, "valid_perplexity": 9.0}))
    return "\n".join(lines) + "\n"


def build_whole(store: Store) -> RunRecord:
    """A run with everything that a report can show."""
    record = begin(store)
    counts, bad = {"records_in": 206, "records_out": 105}, (("malformed_page", "<page>"),) * 2
    config = FilesConfig(counts=counts, dropped={"redirect": 99}, bad=bad)
    pages = add(store, record, "pages", config)
    lengths = as_json({"num_sentences": [[1, 2], [2, 5], [1024, 6]]})
    counts = {"records_in": 105, "records_out": 105}
    config = FilesConfig(extras={"report.json": lengths}, counts=counts)
    sentences = add(store, record, "sentences", config, {"pages": pages})
    extras = {"training_log.jsonl": log_lines(30), "loss.png": "\x89PNG drawn"}
    model = add(store, record, "model", FilesConfig(extras=extras), {"sentences": sentences})
    for name, value, beside in (
        ("evaluation", EVALUATION, {}),
        ("samples", SAMPLES, {}),
        ("parity", PARITY, {"parity_figures.json": as_json(PARITY_FIGURES)}),
        ("answers", ANSWERS, {}),
    ):
        config = FilesConfig(files={f"{name}.json": as_json(value)}, extras=beside)
        add(store, record, name, config, {"model": model})
    record.end("Completed")
    return record


def check_svg(text: str) -> None:
    """The drawing is XML, and each of its coordinates a finite number."""
    root = ElementTree.fromstring(text)
    for element in root.iter():
        for name, value in element.attrib.items():
            numbers = [value] if name in GEOMETRY else []
            if name in ("d", "viewBox"):
                numbers = re.findall(r"[^\sML,]+", value)
            assert all(math.isfinite(float(number)) for number in numbers), (name, value)


def check_drawings(page: str) -> int:
    """Every drawing of a page holds; returns how many there are."""
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    for drawing in drawings:
        check_svg(drawing)
    return len(drawings)


class Page(HTMLParser):
    """A parsed page: elements with their attributes, text by element, faults in its nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.faults: list[str] = []
        self.figures: list[float] = []
        self.texts: dict[str, str] = {}
        self.text = ""
        self._open: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{name}> is left open" for name, _ in self._open]

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if len(attributes) != len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        self.elements.append((tag, attributes))
        if tag == "data":
            self.figures.append(float(attributes["value"] or "nan"))
        if tag not in VOID:
            self._open.append((tag, attributes.get("id") or ""))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.faults.append(f"</{tag}> closes nothing, open are {self._open[-3:]}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if any(name == "style" for name, _ in self._open):
            self.texts["style"] = self.texts.get("style", "") + data
            return
        self.text += data
        for _, identity in self._open:
            if identity:
                self.texts[identity] = self.texts.get(identity, "") + data

    def sections(self) -> list[str]:
        return [attributes["id"] or "" for name, attributes in self.elements
                if name == "section" and "id" in attributes]  # fmt: skip

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def long_ago() -> float:
    return time.time() - 86_400
