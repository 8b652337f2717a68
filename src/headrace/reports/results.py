"""The sections on what came out: perplexity, samples, parity, Triton's answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.reports.charts import bar
from headrace.reports.contents import Contents, Step
from headrace.reports.markup import Child, Html, details, table, tag
from headrace.reports.wording import count, data, is_number, number, plural

EVALUATION, SAMPLES, PARITY, ANSWERS = (
    "evaluation.json", "samples.json", "parity.json", "answers.json",
)  # fmt: skip
EXACT_PARITY = "parity_figures.json"
MAX_TEXT = 4000
MAX_SAMPLES = 40
NUM_SHOWN, MAX_ANSWERS = 3, 100
MAX_IDS = 64

EVALUATION_COLUMNS = {
    "num_tokens": "tokens",
    "num_bytes": "bytes",
    "loss": "loss, nats a token",
    "perplexity": "perplexity",
    "unigram_perplexity": "unigram's",
    "ratio": "ratio",
    "bits_per_token": "bits a token",
    "bits_per_byte": "bits a byte",
}
PROTOCOL = (
    "Every held-out block is scored once; in a block each token but the first is predicted from "
    "those before it. A loss is the mean over the predicted tokens, perplexity is exp(loss). The "
    "unigram model knows only how often each token occurs in the train split (one added to each "
    "count) and is scored on the same tokens; ratio is perplexity over its perplexity."
)
PARITY_MEANINGS = {
    "max_error": "largest difference of a logit between the exported files alone and the source "
    "model rounded to their type",
    "tolerance": "what is allowed: 1e-4 x max(1, the largest logit)",
    "max_abs_logit": "the largest logit of the source model",
    "num_positions": "positions compared",
    "num_decided": "positions whose two best logits differ by more than ten times the tolerance",
    "num_equal": "of these, greedy tokens that are the same",
    "greedy_tokens_differing": "decided positions whose greedy token is another",
    "drift_fp32": "largest difference from the unrounded fp32 model; reported, not judged",
    "drift_runtime": "largest difference from what NVIDIA's kernels would compute; reported",
    "weight_data_type": "type of the exported weights",
    "tensor_para_size": "number of GPUs that the export is cut for",
}


def documents(contents: Contents, name: str, kind: type) -> Iterator[tuple[Step, Any]]:
    """Each opened step's value in the file `name`, where it is there and of its kind."""
    for step in contents.holding(name):
        value = step.read(name)
        if isinstance(value, kind) and value:
            yield step, value


def _each(contents: Contents, name: str, kind: type, show: Any) -> Html | None:
    """A part for each step with such a file; one that is damaged says so."""
    parts: list[Html] = []
    several = len(contents.holding(name)) > 1
    for step in contents.holding(name):
        value = step.read(name)
        if several:
            parts.append(tag("h3", step.name))
        if isinstance(value, kind) and value:
            parts.append(show(step, value))
        else:
            parts.append(tag("p", f"{step.name}: its {name} is gone or damaged.", class_="muted"))
    return tag("div", parts) if parts else None


def evaluation(contents: Contents) -> Html | None:
    """Perplexity of each split."""
    return _each(contents, EVALUATION, dict, _evaluation)


def _evaluation(step: Step, value: Mapping[str, Any]) -> Html:
    splits = value.get("splits")
    named = dict(splits) if isinstance(splits, dict) else {}
    lines = {**named, "all" if named else step.name: value}
    lines = {name: line for name, line in lines.items() if isinstance(line, Mapping)}
    used = {key for line in lines.values() for key, figure in line.items() if is_number(figure)}
    others = sorted(used - EVALUATION_COLUMNS.keys() - {"unigram_loss"})
    columns = [key for key in EVALUATION_COLUMNS if key in used] + others
    rows = [
        [tag("th", name, scope="row"), *(data(line[key]) if key in line else "" for key in columns)]
        for name, line in lines.items()
    ]
    header = ["split", *(EVALUATION_COLUMNS.get(key, key.replace("_", " ")) for key in columns)]
    shown = table(header, rows, right=range(1, len(header)), of="perplexity")
    is_ours = step.artifact is not None and step.artifact.format == "headrace.evaluation/1"
    return tag("div", shown, tag("p", PROTOCOL, class_="muted") if is_ours else None)


def bounded(text: object) -> str:
    """A text of any length in the page's measure."""
    whole = str(text)
    left = len(whole) - MAX_TEXT
    return whole if left <= 0 else f"{whole[:MAX_TEXT]} … ({count(left)} more characters)"


def _continuation(kind: str, prompt: object, text: object) -> Html:
    return tag(
        "div", tag("div", kind, class_="kind"),
        tag("p", tag("span", bounded(prompt), class_="prompt"), bounded(text), class_="text",
            dir="auto"),
    )  # fmt: skip


def samples(contents: Contents) -> Html | None:
    """What the model wrote."""
    return _each(contents, SAMPLES, list, _samples)


def _samples(_step: Step, value: Sequence[Any]) -> Html:
    cards = []
    for item in [item for item in value if isinstance(item, Mapping)][:MAX_SAMPLES]:
        kinds = [key for key in ("greedy", "sampled") if key in item]
        kinds += sorted(set(item) - {"prompt", "greedy", "sampled"})
        texts = [_continuation(kind, item.get("prompt", ""), item[kind]) for kind in kinds]
        cards.append(tag("div", tag("div", texts, class_="pair"), class_="card"))
    more = len(value) - len(cards)
    return tag("div", cards, tag("p", f"{count(more)} more in {SAMPLES}.") if more else None)


def parity(contents: Contents) -> Html | None:
    """The proof of an export or a conversion."""
    return _each(contents, PARITY, dict, _parity)


def parity_figures(step: Step, value: Mapping[str, Any]) -> dict[str, Any]:
    """The rounded figures with the exact ones laid over them."""
    exact = step.read(EXACT_PARITY)
    return {**value, **(exact if isinstance(exact, dict) else {})}


def _parity(step: Step, value: Mapping[str, Any]) -> Html:
    figures = parity_figures(step, value)
    error, allowed = figures.get("max_error"), figures.get("tolerance")
    passed = figures.get("passed")
    verdict = None
    if is_number(error) and is_number(allowed) and allowed > 0:
        share = error / allowed
        verdict = tag(
            "div",
            tag("p", _mark(passed), f" The error is {share:.2%} of what is allowed."),
            bar(share, "completed" if share <= 1 else "failed"),
            class_="card verdict",
        )
    names = [name for name in PARITY_MEANINGS if name in figures]
    names += sorted(set(figures) - set(names) - {"passed"})
    rows = [
        [
            tag("th", name, scope="row"),
            data(figures[name]),
            tag("td", PARITY_MEANINGS.get(name, ""), class_="meaning"),
        ]
        for name in names
    ]
    shown = table(("figure", "value", "what it is"), rows, right=(1,), of="parity figures")
    return tag("div", verdict, shown)


def _mark(passed: object) -> Html:
    if passed is None:
        return tag("span", "not judged", class_="state unknown")
    good = passed is True
    return tag("span", "passed" if good else "failed", class_=f"state {_kind(good)}")


def _kind(good: bool) -> str:
    return "completed" if good else "failed"


def answers(contents: Contents) -> Html | None:
    """What a real server answered."""
    return _each(contents, ANSWERS, dict, _answers)


def _answers(_step: Step, value: Mapping[str, Any]) -> Html:
    equal, total = value.get("num_equal"), value.get("num_tokens")
    parts: list[Child] = []
    if is_number(equal) and is_number(total) and total:
        parts.append(
            tag(
                "div",
                tag(
                    "p", _agreement(equal == total), " ", data(equal), " of ", data(total),
                    " greedy tokens are the checkpoint's, over ", data(value.get("num_prompts")),
                    " prompts.",
                ),
                bar(equal / total, _kind(equal == total)),
                class_="card verdict",
            )
        )  # fmt: skip
    found = value.get("answers")
    given = [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
    cards = [_answer(item) for item in given[:MAX_ANSWERS]]
    parts += cards[:NUM_SHOWN]
    if len(cards) > NUM_SHOWN:
        parts.append(details(plural(len(cards) - NUM_SHOWN, "further answer"), cards[NUM_SHOWN:]))
    more = len(given) - len(cards)
    if more > 0:
        parts.append(tag("p", f"{count(more)} more in {ANSWERS}.", class_="muted"))
    return tag("div", parts)


def _agreement(good: bool) -> Html:
    return tag("span", "equal" if good else "different", class_=f"state {_kind(good)}")


def _answer(item: Mapping[str, Any]) -> Html:
    """One answer as text where there is any, and as ids."""
    tokens = item.get("tokens")
    ids = tokens if isinstance(tokens, list) else []
    prompt = item.get("prompt")
    shown = " ".join(str(token) for token in ids[:MAX_IDS]) + (" …" if len(ids) > MAX_IDS else "")
    text = None
    if "text" in item:
        text = _continuation("Triton", item.get("prompt_text", ""), item["text"])
    num_prompt = len(prompt) if isinstance(prompt, list) else 0
    title = f"{plural(len(ids), 'token')} after {number(num_prompt)}"
    listed = tag("p", shown, class_="ids")
    return tag("div", text, details(title, listed) if text else [title, listed], class_="card")
