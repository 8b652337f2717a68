"""Training ends with the same bytes however often it is interrupted."""

import hashlib
import json
import math
import random
import signal
import subprocess
import sys

import pytest
import torch

from headrace.errors import ConfigError, TrainingError
from headrace.training.logbook import read_log
from headrace.training.loop import TrainingRun, next_token_loss
from headrace.training.protocol import EXIT_STOPPED


@pytest.fixture(autouse=True)
def _restore_torch():
    """TrainingRun sets process-wide switches, as its own process may."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def digests(directory):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.iterdir())
    }


def train(job, *, stop_at=None):
    """Train in this process; stop after `stop_at` steps of this call."""
    events = []
    run = TrainingRun(job, events.append)
    finished = run.run(lambda: stop_at is not None and run.step >= stop_at)
    return finished, events


def without_speed(records):
    return [{k: v for k, v in record.items() if k != "tokens_per_second"} for record in records]


@pytest.fixture
def undisturbed(make_job):
    job = make_job("undisturbed")
    assert train(job)[0]
    return job


def test_training_lowers_the_loss_and_writes_everything(undisturbed):
    log = read_log(undisturbed.log)
    losses = [record["loss"] for record in log if "loss" in record]
    assert len(losses) == 60
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert [record["step"] for record in log if "valid_loss" in record] == [20, 40, 60]
    assert list(undisturbed.tensorboard.iterdir())
    assert set(digests(undisturbed.final_model)) == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
    }


def test_stops_on_request_and_resumes_to_the_same_bytes(undisturbed, make_job):
    job = make_job("stopped")
    for stop_at in (3, 20, 21, 43):
        finished, events = train(job, stop_at=stop_at)
        assert not finished
        assert events[-1] == {"event": "stopped", "step": stop_at}
    assert train(job)[0]
    assert digests(job.final_model) == digests(undisturbed.final_model)
    # The log too is that of one run: an evaluation given up on is made up for.
    assert without_speed(read_log(job.log)) == without_speed(read_log(undisturbed.log))


def test_sigkill_and_sigterm_at_random_steps_end_with_the_same_bytes(
    undisturbed, make_job, start_worker
):
    job = make_job("killed", num_steps=60)
    steps = random.Random()
    kills = [("saved", steps.randint(1, 20)), ("saved", steps.randint(21, 45))]
    for kind, at_step in kills:
        assert start_worker(job).kill_after(kind, at_step, signal.SIGKILL) == -signal.SIGKILL
    terminated = start_worker(job)
    assert terminated.kill_after("started", 0, signal.SIGTERM) == EXIT_STOPPED
    assert terminated.events[-1]["event"] == "stopped"
    assert start_worker(job).finish() == 0
    assert digests(job.final_model) == digests(undisturbed.final_model), kills


def test_damaged_newest_checkpoint_costs_only_its_steps(undisturbed, make_job, caplog):
    job = make_job("damaged")
    train(job, stop_at=32)
    newest = job.checkpoints / "step-00000032"
    weights = newest / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x80
    weights.write_bytes(bytes(content))
    finished, events = train(job)
    assert finished
    assert events[0]["step"] == 30
    assert str(newest) in caplog.text
    assert digests(job.final_model) == digests(undisturbed.final_model)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"architecture": "gpt2", "preset": "tiny", "dropout": 0.2}},
        {"model": {"preset": "tiny", "dropout": 0.1, "parallel_residual": True}, "dtype": "bf16"},
    ],
    ids=["gpt2-dropout", "neox-bf16"],
)
def test_random_draws_and_bf16_resume_exactly_too(make_job, changes):
    whole, parted = (make_job(name, num_steps=12, **changes) for name in ("whole", "parted"))
    assert train(whole)[0]
    train(parted, stop_at=7)
    random.random(), torch.rand(3)  # what happens between the two runs must not matter
    assert train(parted)[0]
    assert digests(parted.final_model) == digests(whole.final_model)


def test_save_interval_does_not_change_the_bytes(make_job):
    one, two = make_job("one", num_steps=10), make_job("two", num_steps=10, save_interval=3)
    assert train(one)[0]
    assert train(two)[0]
    assert digests(one.final_model) == digests(two.final_model)


def test_accumulation_sums_to_the_large_batch(make_job):
    large = make_job("large", num_steps=4, micro_batch_size=8, gradient_accumulation_steps=1)
    small = make_job("small", num_steps=4, micro_batch_size=2, gradient_accumulation_steps=4)
    losses = []
    for job in (large, small):
        train(job)
        losses.append([record["loss"] for record in read_log(job.log) if "loss" in record])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_loss_is_the_one_hugging_face_computes(make_job):
    run = TrainingRun(make_job(), lambda event: None)
    blocks = torch.from_numpy(run.train_blocks.gather(torch.arange(4).numpy()))
    run.model.train(False)
    with torch.no_grad():
        expected = run.model(input_ids=blocks, labels=blocks).loss
        assert float(next_token_loss(run.model, blocks)) == pytest.approx(float(expected), rel=1e-6)


def test_non_finite_loss_stops_at_once_and_names_step_and_checkpoint(make_job):
    job = make_job(learning_rate=1e38, warmup_fraction=0.0, schedule="constant", save_interval=1)
    with pytest.raises(TrainingError, match=r"step 2: a finite .*step-00000001"):
        train(job)
    for record in read_log(job.log):
        assert math.isfinite(record["loss"])


def test_cuda_without_a_device_is_a_config_error(make_job):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(ConfigError, match="cuda"):
        TrainingRun(make_job(backend="cuda"), lambda event: None)


def test_config_modules_import_nothing_heavy():
    code = (
        "import sys, json, headrace.training.pretraining, headrace.evaluation.perplexity, "
        "headrace.evaluation.generation;"
        "print(json.dumps([name for name in ('torch', 'transformers', 'datasets', 'matplotlib', "
        "'tensorboard', 'prefect') if name in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
