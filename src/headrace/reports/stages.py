"""The sections on stages: their table, when they ran, what they dropped, what they drew."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from headrace.artifacts import Outcome
from headrace.artifacts.shards import QUARANTINE
from headrace.reports.charts import Span, bar, histogram, timeline
from headrace.reports.contents import Contents, Step, outcome_class, read_lines
from headrace.reports.markup import Child, Html, details, table, tag
from headrace.reports.wording import count, data, duration, is_number, plural, short, size

MAX_PICTURE_BYTES = 200_000
MAX_BINS = 40
NUM_EXCERPTS = 5
MAX_EXAMPLES = 60
MAX_TITLE = 300
STATISTICS = "statistics.json"
DRAWN_HERE = {
    "loss.png": ("training_log.jsonl",),
    "lengths.png": ("report.json", STATISTICS),
}
"""Pictures that the page draws itself, sharper, where the figures behind them are there."""


def state_mark(state: str) -> Html:
    """A state in its colour."""
    return tag("span", state, class_=f"state {outcome_class(state)}")


def stage_table(contents: Contents) -> Html | None:
    """Every step: how it came about, how long it took, what it holds."""
    if not contents.steps:
        return None
    longest = max((step.seconds for step in contents.steps), default=0.0)
    header = ["step", "state", "took", "", "rows", "bytes", "dropped", "digest", "why"]
    rows = [_row(contents, step, longest) for step in contents.steps]
    if all(step.is_done and not (step.reason or _since(step)) for step in contents.steps):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return table(header, rows, right=(2, 4, 5), of="stages")


def _row(contents: Contents, step: Step, longest: float) -> list[Child]:
    name = tag("th", step.name, scope="row")
    mark = tag("td", state_mark(step.state))
    share = step.seconds / longest if longest else 0.0
    seconds: list[Child] = [
        tag("td", data(step.seconds, duration(step.seconds)), class_="right"),
        tag("td", bar(share, outcome_class(step.state)), class_="meter"),
    ]
    if not step.is_done:
        note = "an earlier run's artifact is kept" if step.link else ""
        if step.has_run:
            return [name, mark, *seconds, tag("td", contents.record.error, class_="why", colspan=5)]
        return [name, mark, tag("td", note, class_="why", colspan=7)]
    digest = short(step.link.digest) if step.link else ""
    why = tag("td", step.reason.replace(" -> ", " \N{RIGHTWARDS ARROW} "), class_="why")
    if not step.reason:
        why = tag("td", _since(step), class_="why nowrap")
    if step.artifact is None:
        gone = tag("td", "no longer in the store, or damaged", class_="muted", colspan="3")
        return [name, mark, *seconds, gone, digest, why]
    rows = step.artifact.counts.get("rows", 0)
    num_bytes = step.artifact.num_bytes
    figures = [data(rows, count(rows)), data(num_bytes, size(num_bytes))]
    return [name, mark, *seconds, *figures, _reasons(step), digest, why]


def _since(step: Step) -> str:
    """When and in what time a hit was made: what it saved."""
    if step.state != Outcome.HIT.value or step.artifact is None:
        return ""
    made = step.artifact.manifest.provenance
    seconds, finished = made.get("seconds"), str(made.get("finished", ""))[:10]
    return f"made {finished} in {duration(seconds)}" if is_number(seconds) else "unchanged"


def _reasons(step: Step) -> Html:
    lines = [
        tag("div", reason, " ", data(num), class_="bad" if kind == "failed" else None)
        for reason, (num, kind) in _lost(step).items()
    ]
    return tag("td", lines or "-", class_="reasons")


def stage_times(contents: Contents) -> Html | None:
    """Which step ran when."""
    ran = (step for step in contents.steps if step.has_run)
    done = sorted(ran, key=lambda step: step.started)
    if len(done) < 2:
        return None
    start = min(contents.started, done[0].started)
    end = max(step.noted for step in done)
    spans = [
        Span(
            label=step.name,
            start=step.started - start,
            end=step.noted - start,
            kind=outcome_class(step.state),
            text=duration(step.seconds),
        )
        for step in done
    ]
    drawing = timeline(spans, title="steps over time", seconds=end - start)
    states = sorted({step.state for step in done})
    key = tag("p", [state_mark(state) for state in states], class_="key")
    box = tag("div", drawing, class_="scroll", tabindex="0", role="region", aria_label="times")
    return tag("div", key, box, class_="card")


def drops(contents: Contents) -> Html | None:
    """What went into each step and did not come out, by reason."""
    counted = [step for step in contents.done if step.artifact and _records_in(step)]
    if not counted:
        return None
    lossy = [step for step in counted if _lost(step)]
    whole = [f"{step.name} ({count(_records_in(step))})" for step in counted if not _lost(step)]
    cards = [tag("div", _drops_of(step), class_="card") for step in lossy]
    words = f"Every record came out of: {', '.join(whole)}." if whole else None
    return tag(
        "div", tag("div", cards, class_="columns") if cards else None,
        tag("p", words, class_="muted") if words else None,
    )  # fmt: skip


def _records_in(step: Step) -> int:
    return step.artifact.counts.get("records_in", 0) if step.artifact else 0


def _lost(step: Step) -> dict[str, tuple[int, str]]:
    """Number and kind by reason, most first."""
    if step.artifact is None:
        return {}
    lost = {reason: (num, "dropped") for reason, num in step.artifact.dropped.items()}
    bad = {reason: (num, "failed") for reason, num in step.artifact.quarantined.items()}
    return dict(sorted((lost | bad).items(), key=lambda item: -item[1][0]))


def _drops_of(step: Step) -> Iterator[Child]:
    assert step.artifact is not None
    records = _records_in(step)
    lost = _lost(step)
    kept = step.artifact.counts.get("records_out", records - sum(num for num, _ in lost.values()))
    yield tag("h3", step.name)
    yield tag("p", data(records), " in, ", data(kept), " out", class_="muted")
    lines = [
        ("kept", kept, "completed"),
        *((name, num, kind) for name, (num, kind) in lost.items()),
    ]
    yield share_bars(lines, of=records)
    yield _examples(step)
    yield _quarantine(step)


def share_bars(lines: Iterable[tuple[str, int, str]], *, of: int) -> Html:
    """Numbers as bars: (name, number, colour) a line, with its share of so many."""
    rows = [
        tag(
            "tr", tag("th", name, scope="row"),
            tag("td", bar(num / of, kind), class_="wide"),
            tag("td", data(num), class_="right"),
            tag("td", f"{num / of:.1%}", class_="right muted"),
        )
        for name, num, kind in lines
    ]  # fmt: skip
    return tag("table", tag("tbody", rows), class_="bars")


def _examples(step: Step) -> Html | None:
    """A few of the records that were dropped on purpose, the first of each reason."""
    value = step.read(STATISTICS) if step.has_file(STATISTICS) else None
    reasons = value.get("drop_examples") if isinstance(value, dict) else None
    rows = [
        [reason, tag("td", str(item.get("title", ""))[:MAX_TITLE], class_="excerpt", dir="auto"),
         str(item.get("id", ""))[:MAX_TITLE], str(item.get("offset", ""))[:MAX_TITLE]]
        for reason, items in (reasons.items() if isinstance(reasons, dict) else ())
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict)
    ]  # fmt: skip
    if not rows:
        return None
    head = ("reason", "title", "id", "offset")
    return details("Examples of what was dropped", table(head, rows[:MAX_EXAMPLES], of="examples"))


def _quarantine(step: Step) -> Html | None:
    """The first records that were put aside, as they lie in the quarantine."""
    if step.artifact is None or not step.artifact.quarantined:
        return None
    found: list[dict[str, object]] = []
    for entry in step.artifact.manifest.extras:
        if entry.name.startswith(f"{QUARANTINE}/") and len(found) < NUM_EXCERPTS:
            path = step.artifact.path / entry.name
            found += read_lines(path, NUM_EXCERPTS - len(found))
    rows = [
        [value.get("reason"), value.get("source"), value.get("offset"),
         tag("td", str(value.get("excerpt"))[:300], class_="excerpt")]
        for value in found
    ]  # fmt: skip
    where = tag("p", "All of them: ", tag("code", f"{step.artifact.path}/{QUARANTINE}"))
    head = ("reason", "source", "offset", "how it begins")
    title = f"The first {plural(len(rows), 'record')} put aside"
    return details(title, table(head, rows, of="records put aside"), where) if rows else where


def pictures(contents: Contents) -> Html | None:
    """Histograms that stages report, and the plots that they left beside their data."""
    cards = [card for step in contents.done for card in _pictures_of(step)]
    return tag("div", cards, class_="charts") if cards else None


def _pictures_of(step: Step) -> Iterator[Html]:
    report = step.read("report.json") if step.has_file("report.json") else None
    for name, bins in report.items() if isinstance(report, dict) else ():
        pairs = _bins(bins)
        if pairs:
            what = str(name).removeprefix("num_").replace("_", " ")
            drawing = histogram(pairs, title=f"{step.name}: {what}", what=what, of="records")
            yield _figure(drawing, f"{what.capitalize()} a record (stage {step.name})")
    if step.artifact is None:
        return
    for entry in step.artifact.manifest.extras:
        is_drawn = any(step.has_file(other) for other in DRAWN_HERE.get(entry.name, ()))
        if not entry.name.endswith(".png") or is_drawn:
            continue
        picture = _embedded(step, entry.name)
        if picture is not None:
            yield _figure(picture, f"{step.name}: {entry.name}")


def _figure(picture: Html, caption: str) -> Html:
    return tag("figure", tag("figcaption", caption), picture, class_="card")


def _bins(value: object) -> list[tuple[float, float]]:
    """Pairs of (bound, number), if that is what a report holds; else nothing."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_BINS:
        return []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2 or not all(map(is_number, pair)):
            return []
        if not all(0 <= item < 1e15 for item in pair):
            return []
    return [(float(bound), float(num)) for bound, num in value]


def _embedded(step: Step, name: str) -> Html | None:
    assert step.artifact is not None
    path = step.artifact.path / name
    try:
        if path.stat().st_size > MAX_PICTURE_BYTES:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    if not content.startswith(b"\x89PNG"):
        return None
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return tag("img", src=source, alt=f"{step.name}: {name}", loading="lazy")
