"""The stage "model": torchrun below its guardian, from blocks to an artifact others can open."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from headrace.artifacts import Outcome, Runtime, Store, open_artifact
from headrace.errors import TrainingError, TrainingStoppedError, WorkerLostError
from headrace.training.launch import run_training_job
from headrace.training.loop import TrainingRun
from headrace.training.pretraining import PRETRAINING, PretrainingConfig
from tests.training.conftest import copied_artifact


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(Runtime(home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, blocks_dir, tokenizer_dir):
    home = tmp_path_factory.mktemp("inputs")
    return {
        "blocks": open_artifact(blocks_dir),
        "tokenizer": copied_artifact(home, "tokenizer", tokenizer_dir),
    }


@pytest.fixture(scope="module")
def trained(store, inputs):
    opened = store.open_or_build(PRETRAINING, tiny(), inputs)
    assert opened.outcome is Outcome.BUILT
    return opened.artifact


def tiny(**changes):
    values = {
        "model": {"preset": "tiny"},
        "num_steps": 30,
        "micro_batch_size": 4,
        "learning_rate": 3e-3,
        "eval_interval": 10,
        "num_eval_batches": 2,
        "save_interval": 5,
    }
    return PretrainingConfig.model_validate(values | changes)


def training_processes(job):
    """Pid and command line of each process of a job's training, the guardian included."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "headrace.training.worker" in command and str(job.workdir) in command:
            found.append((int(entry.name), command))
    return found


def signal_worker(job, number):
    for pid, command in training_processes(job):
        if "torch.distributed.run" not in command:
            os.kill(pid, number)


def listening_ports():
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add((fields[1], fields[9]))
    return found


def open_sockets(pids):
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(link)
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    return inodes


def test_data_files_are_model_and_tokenizer_and_nothing_else(trained, inputs):
    names = {path.relative_to(trained.path).as_posix() for path in trained.files()}
    tokenizer_files = {path.name for path in inputs["tokenizer"].files()}
    assert names == tokenizer_files | {"config.json", "generation_config.json", "model.safetensors"}
    assert trained.extra("loss.png").read_bytes().startswith(b"\x89PNG")
    assert trained.extra("training_log.jsonl").exists()
    assert list((trained.path / "tensorboard").iterdir())
    for name in ("config.json", "generation_config.json"):
        assert "/" not in (trained.path / name).read_text()


def test_model_and_tokenizer_open_offline(trained, inputs):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(trained.path, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(trained.path, local_files_only=True)
    given = AutoTokenizer.from_pretrained(inputs["tokenizer"].path, local_files_only=True)
    text = "the river turns slowly under the old stone bridge."
    assert tokenizer(text)["input_ids"] == given(text)["input_ids"]
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.eos_token_id == tokenizer.eos_token_id


def test_second_run_hits_and_damage_trains_to_the_same_digest(store, inputs, trained):
    assert store.open_or_build(PRETRAINING, tiny(), inputs).outcome is Outcome.HIT
    (trained.path / "model.safetensors").write_bytes(b"x")
    healed = store.open_or_build(PRETRAINING, tiny(), inputs)
    assert healed.outcome is Outcome.HEALED
    assert healed.artifact.digest == trained.digest


def test_failed_training_says_why_in_one_line(store, inputs):
    config = tiny(learning_rate=1e38, warmup_fraction=0.0, schedule="constant")
    with pytest.raises(TrainingError, match="step 2: a finite") as caught:
        store.open_or_build(PRETRAINING, config, inputs)
    assert "\n" not in str(caught.value)


def test_worker_listens_on_no_port_and_its_death_is_a_process_error(make_job):
    job = make_job(num_steps=100_000)
    ports = []

    def look_and_kill(event):
        if event["event"] == "progress":
            pids = [pid for pid, _ in training_processes(job)]
            assert len(pids) >= 2
            inodes = open_sockets(pids)
            ports.extend(port for port, inode in listening_ports() if inode in inodes)
            signal_worker(job, signal.SIGKILL)

    with pytest.raises(WorkerLostError, match="run again"):
        run_training_job(job, grace=3.0, on_event=look_and_kill)
    assert ports == []


def test_worker_asked_to_stop_saves_and_says_so(make_job):
    job = make_job(num_steps=100_000)

    def stop_worker(event):
        if event["event"] == "progress":
            signal_worker(job, signal.SIGTERM)

    with pytest.raises(TrainingStoppedError, match="run again"):
        run_training_job(job, grace=3.0, on_event=stop_worker)
    assert list(job.checkpoints.glob("step-*/manifest.json"))


RUN_STAGE = """
    import sys
    from headrace.training.protocol import TrainingJob
    from headrace.training.launch import run_training_job
    from pathlib import Path
    job = TrainingJob.read(Path(sys.argv[1]))
    run_training_job(job, grace=3.0, on_event=lambda event: print(event["event"], flush=True))
"""


def start_launcher(job):
    job_file = job.workdir / "given.json"
    job.write(job_file)
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN_STAGE), str(job_file)],
        stdout=subprocess.PIPE,
        text=True,
    )


def left_after(job, seconds):
    """What still runs of a job, looked at until nothing does or the time is over."""
    end = time.monotonic() + seconds
    while training_processes(job) and time.monotonic() < end:
        time.sleep(0.1)
    return training_processes(job)


def test_kill_of_the_launching_process_leaves_a_checkpoint_and_nobody(make_job):
    whole, killed = make_job("whole", num_steps=150), make_job("killed", num_steps=150)
    TrainingRun(whole, lambda event: None).run(lambda: False)
    with start_launcher(killed) as launcher:
        for line in launcher.stdout:
            if line.strip() == "saved":
                break
        launcher.kill()
        launcher.wait()
    assert left_after(killed, 5.0) == []
    saved = sorted(path.name for path in killed.checkpoints.glob("step-*"))
    assert saved
    assert not killed.final_model.exists()
    run_training_job(killed, grace=3.0, on_event=lambda event: None)
    for name in ("model.safetensors", "config.json"):
        one, two = (
            hashlib.sha256((job.final_model / name).read_bytes()) for job in (whole, killed)
        )
        assert one.hexdigest() == two.hexdigest()
