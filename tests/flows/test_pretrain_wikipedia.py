"""The whole pipeline, shrunk, through the real command, server and Triton."""

from __future__ import annotations

import bz2
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.artifacts.lineage import raw_inputs, trace
from headrace.artifacts.verification import find_damage
from tests.flows.conftest import ROOT, SAMPLE, STAGES, Pipeline, lend_database, lend_triton
from tests.harness.killing import states

AFTER_TRAINING = {
    "model", "evaluation", "samples", "ft_export", "parity", "triton_repository", "answers",
}  # fmt: skip

# Whole pipelines: a loaded machine may take several times the usual minute.
pytestmark = pytest.mark.timeout(1500)


def test_results_are_printed(finished: Pipeline) -> None:
    for words in ("perplexity", "unigram", "parity", "Triton", "greedy tokens", "sample"):
        assert words in finished.output


def test_triton_gave_the_checkpoints_greedy_tokens(finished: Pipeline) -> None:
    answers = json.loads(finished.store.find("answers").file("answers.json").read_text())
    assert answers["num_equal"] == answers["num_tokens"] == 8 * 16


def test_others_open_the_outputs_offline(finished: Pipeline) -> None:
    import datasets
    from transformers import AutoModelForCausalLM, AutoTokenizer

    store = finished.store
    blocks = datasets.load_from_disk(str(store.find("blocks").path))
    assert set(blocks) == {"train", "valid", "test"}
    assert len(blocks["train"][0]["input_ids"]) == 64
    model_path = store.find("model").path
    tokenizer = AutoTokenizer.from_pretrained(model_path, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(model_path, local_files_only=True)
    ids = tokenizer("The history of", return_tensors="pt")
    assert model(**ids).logits.shape[-1] >= len(tokenizer)


def test_lineage_leads_from_the_answers_to_the_dump(finished: Pipeline) -> None:
    tree = trace(finished.store, finished.store.find("answers"))
    raw = [item for _, node in tree.walk() if node.artifact for item in raw_inputs(node.artifact)]
    assert {item["path"] for item in raw} == {str(SAMPLE)}


def test_a_second_run_hits_everywhere_and_starts_no_server(finished: Pipeline) -> None:
    before = finished.digests()
    log = finished.home / "prefect" / "server.log"
    assert finished.run() == dict.fromkeys(STAGES, "Cached")
    assert finished.digests() == before
    assert log.exists()
    assert "Triton is ready" not in finished.output


def test_an_exclusion_that_changes_no_document_changes_nothing_after_it(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    before = pipeline.digests()
    held_out = tmp_path / "wiki.test.tokens"
    held_out.write_text(" \n = Unheard Of = \n \n Nothing of this kind is in the sample . \n \n")
    seen = pipeline.run(f"excluded_texts={held_out}")
    assert pipeline.code == 0, pipeline.output[-3000:]
    new = {"held_out_source", "exclusion", "sentences"}
    assert {stage for stage, state in seen.items() if state == "Completed"} == new
    exclusion = pipeline.store.find("exclusion")
    assert exclusion.counts["num_references_found"] == 0
    assert pipeline.digests().items() >= before.items()


@pytest.mark.parametrize("how", ["flip", "delete"])
def test_one_damaged_shard_is_rebuilt_alone(pipeline: Pipeline, how: str) -> None:
    before = pipeline.digests()
    artifact = pipeline.store.find("articles")
    shards = artifact.files("articles-*.parquet")
    assert len(shards) > 2
    others = {path: path.stat().st_mtime_ns for path in shards if path != shards[1]}
    if how == "flip":
        content = bytearray(shards[1].read_bytes())
        content[len(content) // 2] ^= 1
        shards[1].write_bytes(content)
    else:
        shards[1].unlink()
    assert [item.name for item in find_damage(artifact, full=True)] == [shards[1].name]
    seen = pipeline.run()
    assert seen == dict.fromkeys(STAGES, "Cached") | {"articles": "Healed"}, pipeline.output
    assert pipeline.digests() == before
    assert {path: path.stat().st_mtime_ns for path in others} == others


def test_another_learning_rate_keeps_everything_before_training(pipeline: Pipeline) -> None:
    seen = pipeline.run("training.learning_rate=1e-3")
    assert pipeline.code == 0, pipeline.output[-3000:]
    # A sample, an evaluation and so on of another model are new, whatever they say.
    assert {stage for stage, state in seen.items() if state == "Completed"} == AFTER_TRAINING
    assert "config.learning_rate" in pipeline.output


def test_one_worker_gives_the_digests_of_two(finished: Pipeline, tmp_path: Path) -> None:
    alone = Pipeline(tmp_path / "home")
    lend_triton(alone.home)
    alone.run(workers=1)
    assert alone.code == 0, alone.output[-3000:]
    assert alone.digests() == finished.digests()


def truncated() -> bytes:
    return SAMPLE.read_bytes()[:-5000]


def foreign_tail() -> bytes:
    return SAMPLE.read_bytes() + b"tail"


def no_pages() -> bytes:
    text = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="en"></mediawiki>'
    return bz2.compress(text.encode())


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (truncated, "truncated"),
        (foreign_tail, "foreign"),
        (no_pages, "article"),
        (lambda: b"", "empty"),
        (lambda: b"{}", "XML"),
    ],
    ids=["truncated", "tail", "no-pages", "empty", "json"],
)
def test_a_bad_dump_is_one_clear_error(
    finished: Pipeline, tmp_path: Path, content: object, word: str
) -> None:
    assert callable(content)
    dump = tmp_path / "dump.xml.bz2"
    dump.write_bytes(content())
    bad = Pipeline(tmp_path / "home")
    lend_database(bad.home, finished)
    bad.run(dump=dump)
    assert bad.code == 1
    errors = [line for line in bad.output.splitlines() if line.startswith("headrace: ")]
    assert len(errors) == 1
    assert word in errors[0]
    assert str(dump) in errors[0]
    assert "Traceback" not in bad.output
    assert [artifact.stage for artifact in bad.store.artifacts()] == ["source"]


def test_the_utf16_dump_of_one_article_is_refused_at_the_split(
    finished: Pipeline, tmp_path: Path, shared: Path
) -> None:
    bad = Pipeline(tmp_path / "home")
    lend_database(bad.home, finished)
    bad.run(dump=shared / "data/dumps/bgwiki-latest-pages-articles-shortened.xml.bz2")
    assert bad.code == 1
    errors = [line for line in bad.output.splitlines() if line.startswith("headrace: ")]
    assert len(errors) == 1
    assert "ConfigError" in errors[0]
    stages = {artifact.stage for artifact in bad.store.artifacts()}
    assert stages == {"source", "pages", "articles", "sentences"}


def test_the_flow_file_runs_as_a_script(finished: Pipeline) -> None:
    script = [sys.executable, str(ROOT / "flows" / "pretrain_wikipedia.py")]
    command = [*script, *finished.command()[finished.command().index("pretrain_wikipedia") + 1 :]]
    environment = os.environ | {"HEADRACE_HOME": str(finished.home)}
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        environment.pop(name, None)
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    assert states(done.stdout) == dict.fromkeys(STAGES, "Cached")
