"""Tiny real inputs for training: a byte-level tokenizer and blocks of 32 tokens."""

import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from headrace.artifacts import Artifact, NoConfig, Runtime, ShardOutcome, Stage, Store
from headrace.models.presets import ModelConfig
from headrace.training.config import PretrainingConfig
from headrace.training.launch import worker_environment
from headrace.training.protocol import TrainingJob, decode_event

SEQ_LEN = 32
WORDS = ["the", "a", "river", "mill", "wheel", "water", "turns", "slowly", "under", "old", "bridge"]


def _documents(num_documents: int) -> list[str]:
    words = random.Random(3)
    return [
        " ".join(words.choices(WORDS, weights=range(len(WORDS), 0, -1), k=60))
        for _ in range(num_documents)
    ]


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory) -> Path:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("tokenizer")
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        _documents(20), vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    )
    wrapped.save_pretrained(path)
    return path


def copied_artifact(home: Path, name: str, source: Path) -> Artifact:
    """An artifact whose data files are a copy of a directory."""

    def copy(directory: Path) -> ShardOutcome:
        shutil.copytree(source, directory, dirs_exist_ok=True)
        return ShardOutcome(rows=1)

    def write(*, config, out) -> None:
        out.publish(name, copy)

    stage = Stage(name=name, version=1, format=f"test.{name}/1", packages=(), write=write)
    return Store(Runtime(home=home)).open_or_build(stage, NoConfig(), {}).artifact


@pytest.fixture(scope="session")
def blocks_dir(tmp_path_factory, tokenizer_dir) -> Path:
    """An artifact of token blocks, written by Hugging Face's own writer."""
    import datasets
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_dir / "tokenizer.json"))
    end = tokenizer.token_to_id("<|endoftext|>")
    ids = [i for text in _documents(90) for i in [*tokenizer.encode(text).ids, end]]
    rows = [ids[i : i + SEQ_LEN] for i in range(0, len(ids) - SEQ_LEN + 1, SEQ_LEN)]
    features = datasets.Features(
        {"input_ids": datasets.List(datasets.Value("uint16"), length=SEQ_LEN)}
    )
    cuts = {"train": rows[24:], "valid": rows[:16], "test": rows[16:24]}
    path = tmp_path_factory.mktemp("written_blocks")
    datasets.DatasetDict(
        {
            name: datasets.Dataset.from_dict({"input_ids": part}, features=features)
            for name, part in cuts.items()
        }
    ).save_to_disk(path)
    return copied_artifact(tmp_path_factory.mktemp("inputs"), "blocks", path).path


def tiny_config(**changes) -> PretrainingConfig:
    values = {
        "model": ModelConfig(preset="tiny"),
        "num_steps": 60,
        "micro_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "learning_rate": 3e-3,
        "warmup_fraction": 0.1,
        "eval_interval": 20,
        "num_eval_batches": 2,
        "save_interval": 5,
    }
    return PretrainingConfig(**(values | changes))


@pytest.fixture
def make_job(tmp_path, tokenizer_dir, blocks_dir):
    """make_job(name, **changes of the config) -> TrainingJob with its own work directory."""

    def make(name: str = "work", **changes) -> TrainingJob:
        workdir = tmp_path / name
        workdir.mkdir()
        return TrainingJob(
            config=tiny_config(**changes),
            blocks=blocks_dir,
            tokenizer=tokenizer_dir,
            workdir=workdir,
            identity="test",
        )

    return make


@dataclass
class Worker:
    """A worker process whose events can be waited for."""

    process: subprocess.Popen
    events: list = field(default_factory=list)
    lines: list = field(default_factory=list)

    def kill_after(self, kind: str, at_step: int, number: signal.Signals) -> int:
        """Send a signal at the first event of a kind at or behind a step; returns the code."""
        self._watch(lambda event: event["event"] == kind and event["step"] >= at_step, number)
        return self.process.wait(60)

    def finish(self) -> int:
        self._watch(lambda event: False, signal.SIGTERM)
        return self.process.wait(60)

    def _watch(self, reached, number):
        for line in self.process.stdout:
            event = decode_event(line.rstrip("\n"))
            if event is None:
                self.lines.append(line)
                continue
            self.events.append(event)
            if reached(event):
                self.process.send_signal(number)


@pytest.fixture
def start_worker():
    """start_worker(job) -> Worker, killed at the end of the test if it still runs."""
    started = []

    def start(job: TrainingJob) -> Worker:
        job_file = job.workdir / "job.json"
        job.write(job_file)
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace.training.worker", str(job_file)],
            env=worker_environment(job.config),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return Worker(process)

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
