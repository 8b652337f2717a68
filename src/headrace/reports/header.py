"""The top of the page: which run, how it ended, what went wrong, and the figures that count."""

from __future__ import annotations

from collections.abc import Iterator

from headrace import __version__
from headrace.artifacts.provenance import git_commit
from headrace.reports import results
from headrace.reports.contents import Contents
from headrace.reports.markup import Child, Html, pairs, tag
from headrace.reports.origins import provenance_of
from headrace.reports.stages import state_mark
from headrace.reports.wording import count, data, duration, is_number, moment, number, plural, size

ADVICE = {
    "Failed": "Mend what the message names, then",
    "Crashed": "The process ended without a word (killed, out of memory, power). To go on,",
    "Cancelled": "It was stopped on request. To go on,",
}


def title_of(contents: Contents) -> str:
    """The page's title."""
    record = contents.record
    return f"{record.name} · {record.state or 'run'} · {moment(contents.started)}"


def header(contents: Contents) -> Html:
    """Which run this is, when and where it ran, and how it ended."""
    record = contents.record
    artifacts = list(contents.artifacts())
    commits = provenance_of(artifacts, "git_commit") or [git_commit() or "unknown"]
    versions = [made.get("headrace") for made in _versions(contents)]
    shown = ", ".join(dict.fromkeys(str(item) for item in versions if item)) or __version__
    ended = moment(contents.ended) if contents.ended and record.state != "Running" else ""
    day = moment(contents.started)[:11]
    facts = pairs(
        [
            ("flow run", record.flow_run_name),
            ("deployment", record.deployment),
            ("attempt", str(record.attempt) if record.attempt != 1 else ""),
            ("started", moment(contents.started) if contents.started else ""),
            ("ended", ended.removeprefix(day)),
            ("took", duration(contents.ended - contents.started) if ended else ""),
            ("host", ", ".join(provenance_of(artifacts, "host"))),
            ("headrace", [shown, _commits(commits)]),
        ]
    )
    return tag(
        "header",
        tag(
            "p", record.pipeline or "pipeline",
            [" · flow run ", tag("code", record.flow_run_id)] if record.flow_run_id else None,
            class_="pipeline",
        ),
        tag("h1", record.name, " ", state_mark(record.state or "state not recorded")),
        facts,
    )  # fmt: skip


def _versions(contents: Contents) -> Iterator[dict[str, object]]:
    for artifact in contents.artifacts():
        versions = artifact.manifest.provenance.get("versions")
        if isinstance(versions, dict):
            yield versions


def _commits(commits: list[str]) -> list[Child]:
    shown: list[Child] = []
    for commit in commits[:2]:
        changed = " with changes" if commit.endswith("-dirty") else ""
        shown.append([", commit ", tag("code", commit[:10], title=commit), changed])
    return [*shown, f" and {len(commits) - 2} more" if len(commits) > 2 else None]


def failure(contents: Contents) -> Html | None:
    """What failed, and the next move."""
    record = contents.record
    advice = ADVICE.get(record.state)
    if advice is None:
        return None
    step = contents.failed_step
    where = f" in {step.name}" if step else ""
    goes_on = "what did not finish goes on where it was"
    if step:
        goes_on = f"{step.name} goes on from its finished shards or its newest checkpoint"
    return tag(
        "section",
        tag("h2", f"{record.state}{where}"),
        tag("p", record.error, class_="error", dir="auto") if record.error else None,
        tag(
            "p", advice, " ", tag("code", f"headrace retry {record.name}"),
            f": finished stages are hits, {goes_on}.",
        ),
        class_="failure",
        id="failure",
    )  # fmt: skip


def _card(name: str, value: Child, beside: Child, kind: str = "") -> Html:
    return tag(
        "div", tag("div", name, class_="name"), tag("div", value, class_="value"),
        tag("div", beside, class_="beside"), class_=f"card figure {kind}".rstrip(),
    )  # fmt: skip


def headline(contents: Contents) -> Html | None:
    """The figures that count, a card each."""
    cards = [*_results(contents), *_totals(contents)]
    return tag("div", cards, class_="figures") if cards else None


def _results(contents: Contents) -> Iterator[Html]:
    for _, value in results.documents(contents, results.EVALUATION, dict):
        perplexity, ratio = value.get("perplexity"), value.get("ratio")
        if is_number(perplexity):
            beside: Child = "over the held-out splits"
            if is_number(ratio) and is_number(value.get("unigram_perplexity")):
                beside = [data(ratio), " of a unigram model's ", data(value["unigram_perplexity"])]
            yield _card("held-out perplexity", data(perplexity), beside)
    for step, value in results.documents(contents, results.PARITY, dict):
        figures = results.parity_figures(step, value)
        error, allowed = figures.get("max_error"), figures.get("tolerance")
        if is_number(error) and is_number(allowed):
            kind = "good" if error <= allowed else "wrong"
            beside = ["of ", data(allowed, number(allowed, 3)), " allowed"]
            yield _card("parity, max error", data(error, number(error, 3)), beside, kind)
    for _, value in results.documents(contents, results.ANSWERS, dict):
        equal, total = value.get("num_equal"), value.get("num_tokens")
        if is_number(equal) and is_number(total):
            kind = "good" if equal == total else "wrong"
            beside = ["of ", data(total), " are the checkpoint's"]
            yield _card("Triton, equal tokens", data(equal), beside, kind)


def _totals(contents: Contents) -> Iterator[Html]:
    artifacts = list(contents.artifacts())
    if artifacts:
        num_bytes = sum(item.num_bytes for item in artifacts)
        rows = sum(item.counts.get("rows", 0) for item in artifacts)
        beside: Child = [data(rows, count(rows)), f" rows in {plural(len(artifacts), 'artifact')}"]
        yield _card("on disk", data(num_bytes, size(num_bytes)), beside)
    done = contents.done
    if done:
        seconds = contents.ended - contents.started
        busy = sum(step.seconds for step in done)
        yield _card("time", data(seconds, duration(seconds)), f"{duration(busy)} in stages")
        states = {state: sum(step.state == state for step in done) for state in _states(contents)}
        words = ", ".join(f"{num} {state.lower()}" for state, num in states.items())
        yield _card("stages", data(len(done)), words)


def _states(contents: Contents) -> list[str]:
    return list(dict.fromkeys(step.state for step in contents.done))
