"""Starts a training job below torchrun, supervised, and turns its end into a result or an error.

    this process -> guardian -> torchrun -> worker

Whatever happens to this process, the guardian ends the rest: SIGTERM makes the worker save a
checkpoint. torchrun meets itself through a file, so no port is opened (a single node needs none).
Cost: about 1.5 s for torchrun beside the worker's own imports.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import headrace
from headrace import errors
from headrace.artifacts import files
from headrace.errors import ProcessFailedError, TrainingError, TrainingStoppedError
from headrace.memory import LossWatch
from headrace.processes import GRACE_SECONDS, GuardedProcess
from headrace.training.config import PretrainingConfig
from headrace.training.protocol import Event, TrainingJob, decode_event

WORKER = "headrace.training.worker"
POLL_SECONDS = 0.2
# Model and optimiser state, fp32, on a slow disk: what a last checkpoint may take.
CHECKPOINT_BYTES_PER_PARAMETER = 12
SLOW_DISK_BYTES_PER_SECOND = 200e6
NOT_NOTABLE = ("torch/distributed/elastic", "torch/distributed/run.py")

logger = logging.getLogger(__name__)


def grace_seconds(num_parameters: int) -> float:
    """Time from SIGTERM to SIGKILL in which a worker can save its checkpoint."""
    size = CHECKPOINT_BYTES_PER_PARAMETER * num_parameters
    return max(GRACE_SECONDS, size / SLOW_DISK_BYTES_PER_SECOND)


def launch_command(job_file: Path, rendezvous: Path, config: PretrainingConfig) -> list[str]:
    """The command line of torchrun for a job."""
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes=1",
        f"--nproc-per-node={config.world_size}",
        "--rdzv-backend=c10d",
        "--rdzv-conf=store_type=file",
        f"--rdzv-endpoint={rendezvous}",
        f"--rdzv-id={rendezvous.name}",
        "--local-addr=127.0.0.1",
        f"--log-dir={rendezvous.parent}",
        "-m",
        WORKER,
        str(job_file),
    ]


def worker_environment(config: PretrainingConfig) -> dict[str, str]:
    """The environment of torchrun and its worker: ours, with all that bears on bits fixed."""
    environment = dict(os.environ)
    package_root = str(Path(headrace.__file__).resolve().parents[1])
    inherited = environment.get("PYTHONPATH")
    environment |= {
        "PYTHONPATH": os.pathsep.join([package_root, inherited] if inherited else [package_root]),
        # A user's folder called `triton` or `types` must not be imported in a library's place.
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(config.num_threads),
        "OMP_DYNAMIC": "FALSE",
        "MKL_DYNAMIC": "FALSE",
        # Threads that wait for each other spin briefly: on shared cores the default's long spin
        # made a step up to three times slower, on idle ones this costs nothing measurable.
        "GOMP_SPINCOUNT": "3000",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # With it off and a file as meeting point, torchrun listens on no port at all.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }
    if config.backend == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return environment


def run_training_job(
    job: TrainingJob,
    *,
    grace: float,
    pass_fds: tuple[int, ...] = (),
    on_event: Callable[[Event], None],
) -> None:
    """Train in child processes until the final model is written.

    Args:
        job: the run; goes on from its newest whole checkpoint.
        grace: seconds from SIGTERM to SIGKILL when it is stopped.
        pass_fds: descriptors that live as long as the training processes.
        on_event: called in this thread with each event of the worker.

    Raises:
        TrainingStoppedError: it was stopped from outside after saving a checkpoint.
        TrainingError: training cannot go on (a non-finite loss, for example).
        ConfigError: the config cannot work with these inputs.
        WorkerLostError: a process was killed.
        OutOfMemoryError: the system killed it for want of memory.
        ProcessFailedError: the processes ended with any other error.
    """
    scratch = job.workdir / "launch"
    files.remove_tree(scratch)
    scratch.mkdir(parents=True)
    job_file = scratch / "job.json"
    job.write(job_file)
    losses = LossWatch()
    lines: queue.Queue[str] = queue.Queue()
    last: Event = {"event": "none"}
    with GuardedProcess(
        launch_command(job_file, scratch / f"meeting-{uuid.uuid4().hex}", job.config),
        env=worker_environment(job.config),
        on_line=lines.put,
        log_path=job.workdir / "launch.log",
        grace_seconds=grace,
        pass_fds=pass_fds,
        name="training",
    ) as process:
        code: int | None = None
        while code is None or not lines.empty():
            # Looked at before the wait: what was put in before the end is then all read.
            code = _ended(process) if code is None else code
            last = _take_line(lines, on_event) or last
    _check_end(last, code, process.tail(30), losses)


def _ended(process: GuardedProcess) -> int | None:
    # wait(), unlike poll(), returns only after the last line was read.
    return None if process.poll() is None else process.wait(10.0)


def _take_line(lines: queue.Queue[str], on_event: Callable[[Event], None]) -> Event | None:
    """Handle one line of output, if there is one; returns the event in it."""
    try:
        line = lines.get(timeout=POLL_SECONDS)
    except queue.Empty:
        return None
    event = decode_event(line)
    if event is None:
        if line.strip() and not any(part in line for part in NOT_NOTABLE):
            logger.info("%s", line)
        return None
    on_event(event)
    return event


def _check_end(last: Event, code: int, tail: str, losses: LossWatch) -> None:
    """Raise the error that the worker's last event and the exit code call for."""
    kind = last["event"]
    if kind == "finished" and code == 0:
        return
    if kind == "stopped":
        raise TrainingStoppedError(
            f"training was stopped on request after step {last['step']}, its checkpoint is saved: "
            "run again to resume"
        )
    if kind == "failed":
        found = getattr(errors, last["kind"], TrainingError)
        raise found(last["message"])
    logger.error("training ended with code %d:\n%s", code, tail)
    if code == 128 + signal.SIGKILL or "SIGKILL" in tail:
        raise losses.explain(
            f"a training process was killed after event {last}, its checkpoints are kept",
            remedy="lower training.micro_batch_size (and raise gradient_accumulation_steps)",
        )
    raise ProcessFailedError(
        f"training ended with code {code} after event {last}; its checkpoints are kept: run again "
        f"to resume; its output ends in: {' | '.join(tail.splitlines()[-8:])}"
    )
