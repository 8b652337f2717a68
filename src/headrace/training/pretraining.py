"""Stage "model": a language model trained from scratch on token blocks.

Data files are a Hugging Face directory (config.json, generation_config.json, model.safetensors and
the tokenizer's files); training_log.jsonl, loss.png and TensorBoard's event files lie beside them
as extras. Checkpoints live in the artifact's scratch directory until it is finished. Interrupted
training goes on from its newest whole checkpoint and ends with the same bytes; a damaged finished
model is trained again as a whole.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage, files
from headrace.artifacts.fingerprint import sha256_of
from headrace.models.presets import num_parameters
from headrace.plots import draw_losses
from headrace.training.config import PretrainingConfig
from headrace.training.launch import grace_seconds, run_training_job
from headrace.training.logbook import read_log
from headrace.training.protocol import Event, TrainingJob

__all__ = ["PRETRAINING", "PretrainingConfig", "write_model"]

SHARD = "model"
LOG = "training_log.jsonl"
TENSORBOARD = "tensorboard"

logger = logging.getLogger(__name__)


def write_model(
    *, blocks: Artifact, tokenizer: Artifact, config: PretrainingConfig, out: Build
) -> None:
    """Train a model and publish it.

    Args:
        blocks: token blocks with splits `train` and `valid`.
        tokenizer: the tokenizer whose ids the blocks hold.
        config: model, optimiser, schedule, device.
        out: the artifact under construction.

    Raises:
        ConfigError: no training block, or no such device.
        TrainingError: the loss is not finite.
        TrainingStoppedError: stopped from outside after saving; run again to resume.
        ProcessFailedError: the training processes ended with another error.
    """
    if out.finished(SHARD) is None:
        job = TrainingJob(
            config=config,
            blocks=blocks.path,
            tokenizer=tokenizer.path,
            workdir=out.workdir,
            identity=_identity(blocks, tokenizer, config),
        )
        _train(job, out)
        out.publish(SHARD, lambda directory: _collect(job, tokenizer, directory))
    _write_extras(out)


def _identity(blocks: Artifact, tokenizer: Artifact, config: PretrainingConfig) -> str:
    return sha256_of([blocks.digest, tokenizer.digest, config.model_dump(mode="json")])


def _train(job: TrainingJob, out: Build) -> None:
    # An upper bound will do: the vocabulary is not known without opening the tokenizer.
    size = num_parameters(job.config.model, vocab_size=65_536, seq_len=2048)
    out.progress(0, job.config.num_steps, "steps", "starting")
    run_training_job(
        job,
        grace=grace_seconds(size),
        pass_fds=(out.lock_fd,),
        on_event=lambda event: _show(event, job.config.num_steps, out),
    )


def _show(event: Event, num_steps: int, out: Build) -> None:
    kind = event["event"]
    if kind == "started":
        origin = event["checkpoint"] or "the beginning"
        logger.info("training %s parameters from %s", f"{event['num_parameters']:,}", origin)
        out.progress(event["step"], num_steps, "steps", f"from {origin}")
    elif kind == "progress":
        detail = f"loss {event['loss']:.3f}, {event['tokens_per_second']:,.0f} tokens/s"
        out.progress(event["step"], num_steps, "steps", detail)
    elif kind == "evaluated":
        logger.info(
            "step %d: valid loss %.4f, perplexity %.1f",
            event["step"],
            event["valid_loss"],
            event["valid_perplexity"],
        )
    elif kind == "saved":
        logger.info("checkpoint %s saved in %.2f s", event["name"], event["seconds"])


def _collect(job: TrainingJob, tokenizer: Artifact, directory: Path) -> ShardOutcome:
    """Put the final model and the tokenizer's files into one directory."""
    for source in files.walk_files(job.final_model):
        shutil.copyfile(source, directory / source.name)
    for source in tokenizer.files():
        shutil.copyfile(source, directory / source.name)
    num_samples = job.config.num_steps * job.config.batch_size
    return ShardOutcome(
        rows=1, counts={"num_steps": job.config.num_steps, "num_blocks": num_samples}
    )


def _write_extras(out: Build) -> None:
    """Add the reports; the scratch directory holds them until the artifact is finished."""
    for path in files.walk_files(out.workdir / TENSORBOARD):
        out.write_extra(f"{TENSORBOARD}/{path.name}", path.read_bytes())
    log = out.workdir / LOG
    if log.exists():
        out.write_extra(LOG, log.read_bytes())
        out.write_extra("loss.png", draw_losses(read_log(log)))


PRETRAINING = Stage(
    name="model",
    version=1,
    format="headrace.model/1",
    packages=("torch", "transformers", "safetensors"),
    write=write_model,
)
