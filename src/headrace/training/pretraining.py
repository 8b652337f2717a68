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
from collections.abc import Mapping
from pathlib import Path

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage, files
from headrace.artifacts.fingerprint import sha256_of
from headrace.artifacts.measures import Inputs, Measure, Resumption
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
# In floating-point operations at the speed of two CPU cores (9e10 a second): what a pass costs for
# each layer whatever its size, and a checkpoint whatever its size and for each parameter.
PASS_OVERHEAD = 1e9
SAVE_OVERHEAD = 2e9
SAVE_PER_PARAMETER = 2600.0

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
    out.show_plot("loss", lambda: _draw_log(job.log))
    run_training_job(
        job,
        grace=grace_seconds(size),
        pass_fds=(out.lock_fd,),
        on_event=lambda event: _show(event, job.config.num_steps, out),
    )


def _draw_log(log: Path) -> bytes:
    records = read_log(log)
    return draw_losses(records) if records else b""


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


def _parameters(config: PretrainingConfig, inputs: Inputs) -> float:
    counts = inputs["blocks"].counts
    return num_parameters(
        config.model, vocab_size=round(counts["vocab_size"]), seq_len=round(counts["seq_len"])
    )


def _work(config: PretrainingConfig, inputs: Inputs) -> float:
    """Floating-point operations, and what small steps and checkpoints cost besides, as such."""
    parameters = _parameters(config, inputs)
    tokens = config.micro_batch_size * inputs["blocks"].counts["seq_len"]
    one_pass = 2.0 * parameters * tokens
    overhead = PASS_OVERHEAD * config.model.size.num_layers
    num_passes = config.num_steps * config.gradient_accumulation_steps
    num_looks = config.num_eval_batches * (config.num_steps // config.eval_interval + 1)
    num_saves = config.num_steps // config.save_interval + 1
    return (
        num_passes * (3.0 * one_pass + overhead)
        + num_looks * (one_pass + overhead / 3.0)
        + num_saves * (SAVE_OVERHEAD + SAVE_PER_PARAMETER * parameters)
    )


def _known_counts(
    config: PretrainingConfig, _inputs: Inputs, _scaled: Mapping[str, float]
) -> dict[str, float]:
    num_blocks = config.num_steps * config.batch_size
    return {"rows": 1, "num_steps": config.num_steps, "num_blocks": num_blocks}


def _backend(config: PretrainingConfig) -> str:
    return config.backend


def _resumption(scratch: Path, config: PretrainingConfig) -> Resumption | None:
    """The newest checkpoint that was finished; training itself checks whether it is whole."""
    steps = [int(path.parent.name.removeprefix("step-"))
             for path in scratch.glob("checkpoints/step-*/manifest.json")]  # fmt: skip
    if not steps:
        return None
    words = f"goes on from the checkpoint of step {max(steps)} of {config.num_steps}"
    return Resumption(share=max(steps) / config.num_steps, words=words)


PRETRAINING = Stage(
    name="model",
    version=1,
    format="headrace.model/1",
    packages=("torch", "transformers", "safetensors"),
    write=write_model,
    measure=Measure(
        work=_work,
        volume=_parameters,
        counts=_known_counts,
        start_seconds=9.0,
        kind=_backend,
        resumption=_resumption,
    ),
)
