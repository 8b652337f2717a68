"""The training loop: next-token prediction over token blocks, resumed bit for bit.

A block of seq_len tokens gives seq_len - 1 predictions: inputs block[:, :-1], labels block[:, 1:];
every label counts, end-of-document tokens too, and attention crosses documents inside a block.
What a step does follows from (weights, optimiser, generators, step) alone, all of which a
checkpoint holds; when checkpoints are taken changes nothing. On the CPU the bits also depend on
the number of threads, which is why that is a setting.

Cost of a step: about 6 x parameters x tokens floating-point operations.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedModel

from headrace.artifacts import Artifact, open_artifact
from headrace.encoding.batches import BatchSampler, BlockReader
from headrace.errors import ConfigError, MissingInputError, TrainingError
from headrace.training.checkpoints import Checkpoint, CheckpointDirectory
from headrace.training.config import PretrainingConfig
from headrace.training.export import write_final_model
from headrace.training.initialization import build_hf_config, build_model
from headrace.training.logbook import Logbook
from headrace.training.optimizers import build_optimizer
from headrace.training.protocol import Event, TrainingJob
from headrace.training.schedules import scheduled_rate

REPORT_SECONDS = 1.0
# A checkpoint is also written after so long without one, whatever save_interval says.
MAX_SECONDS_UNSAVED = 600.0

logger = logging.getLogger(__name__)


def prepare_torch(config: PretrainingConfig) -> torch.device:
    """Set threads, seeds and determinism for this process; returns the device.

    Raises:
        ConfigError: backend "cuda" without a CUDA device.
    """
    torch.set_num_threads(config.num_threads)
    torch.use_deterministic_algorithms(True, warn_only=config.backend == "cuda")
    # Filling every new tensor with NaN would cost time and prove nothing here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    random.seed(config.seed)
    np.random.seed(config.seed)
    torch.manual_seed(config.seed)
    if config.backend == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError("backend = 'cuda': torch finds no CUDA device here; use backend = 'cpu'")
    return torch.device("cuda")


def next_token_loss(model: PreTrainedModel, blocks: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of each block's tokens but the first.

    Args:
        model: a causal language model.
        blocks: int64 [batch, seq_len] on the model's device.

    Returns:
        fp32 scalar, natural logarithm per token.
    """
    logits = model(input_ids=blocks[:, :-1], use_cache=False).logits
    return functional.cross_entropy(logits.float().flatten(0, 1), blocks[:, 1:].flatten())


class TrainingRun:
    """One run of a job in this process, from its newest checkpoint (or the beginning) on.

    Args:
        job: what to train on what.
        report: is told events (see `protocol`).

    Raises:
        ConfigError: the config cannot work with these inputs or on this machine.
    """

    def __init__(self, job: TrainingJob, report: Callable[[Event], None]) -> None:
        self.job = job
        self.config = config = job.config
        self._report = report
        self.device = prepare_torch(config)
        blocks = open_artifact(job.blocks)
        self.train_blocks = BlockReader(blocks, "train")
        if len(self.train_blocks) == 0:
            raise ConfigError(f"{job.blocks}: the train split has no block: use more text")
        self.valid_blocks = _open_valid(blocks) if config.num_eval_batches else None
        self.sampler = BatchSampler(len(self.train_blocks), config.batch_size, config.seed)
        self.hf_config = self._build_hf_config()
        self.model = build_model(
            self.hf_config, num_layers=config.model.size.num_layers, seed=config.seed
        )
        self.model.to(self.device)  # type: ignore[arg-type]
        self.optimizer = build_optimizer(self.model, config)
        self.checkpoints = CheckpointDirectory(
            job.checkpoints, identity=job.identity, num_kept=config.keep_checkpoints
        )
        self.step = 0
        self._saved_step = 0

    def _build_hf_config(self) -> Any:
        tokenizer = AutoTokenizer.from_pretrained(self.job.tokenizer, local_files_only=True)
        if tokenizer.eos_token_id is None:
            raise ConfigError(f"{self.job.tokenizer}: the tokenizer has no end-of-text token")
        bos_id = tokenizer.bos_token_id
        return build_hf_config(
            self.config.model,
            vocab_size=len(tokenizer),
            seq_len=self.train_blocks.seq_len,
            bos_id=tokenizer.eos_token_id if bos_id is None else bos_id,
            eos_id=tokenizer.eos_token_id,
        )

    @property
    def tokens_per_step(self) -> int:
        """Predicted tokens in one optimiser step."""
        return self.config.batch_size * int(self.train_blocks.seq_len - 1)

    def run(self, should_stop: Callable[[], bool]) -> bool:
        """Train to the end, or until asked to stop; a checkpoint is written in both cases.

        Args:
            should_stop: looked at after every step and every evaluation batch.

        Returns:
            True when all steps are done and the final model is written.

        Raises:
            TrainingError: the loss or the gradient is not finite.
        """
        self._restore()
        with Logbook(self.job.log, self.job.tensorboard, step=self.step) as logbook:
            last_report = last_save = time.monotonic()
            self._evaluate_if_due(logbook, should_stop)
            while self.step < self.config.num_steps and not should_stop():
                values = self._train_step()
                logbook.write(self.step, values)
                now = time.monotonic()
                if now - last_report >= REPORT_SECONDS or self.step == self.config.num_steps:
                    last_report = now
                    self._tell("progress", num_steps=self.config.num_steps, **values)
                self._evaluate_if_due(logbook, should_stop)
                if self._save_is_due() or now - last_save > MAX_SECONDS_UNSAVED:
                    self._save(logbook)
                    last_save = time.monotonic()
            self._save(logbook)
        if self.step < self.config.num_steps:
            self._tell("stopped")
            return False
        write_final_model(self.model, self.job.final_model)
        self._tell("finished")
        return True

    def _tell(self, event: str, **values: Any) -> None:
        self._report({"event": event, "step": self.step, **values})

    def _autocast(self) -> torch.autocast:
        enabled = self.config.dtype == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _gather(self, reader: BlockReader, indices: np.ndarray[Any, Any]) -> torch.Tensor:
        return torch.from_numpy(reader.gather(indices)).to(self.device)

    def _train_step(self) -> dict[str, float]:
        """One optimiser step; returns what is logged of it."""
        start = time.monotonic()
        config = self.config
        self.model.train()
        rate = scheduled_rate(config, self.step + 1)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        indices = self.sampler.batch(self.step * config.batch_size)
        total_loss = 0.0
        for micro in np.split(indices, config.gradient_accumulation_steps):
            with self._autocast():
                loss = next_token_loss(self.model, self._gather(self.train_blocks, micro))
            scaled = loss / config.gradient_accumulation_steps
            scaled.backward()  # type: ignore[no-untyped-call]
            total_loss += scaled.item()
        limit = config.clip_norm or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit))
        self._check_finite(loss=total_loss, grad_norm=norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        speed = self.tokens_per_step / max(time.monotonic() - start, 1e-9)
        return {
            "loss": total_loss,
            "learning_rate": rate,
            "grad_norm": norm,
            "tokens_per_second": round(speed, 1),
        }

    def _check_finite(self, **values: float) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                last = self.checkpoints.newest()
                where = f"the last good checkpoint is {last.path}" if last else "none was saved yet"
                raise TrainingError(
                    f"step {self.step + 1}: a finite {name} was expected, it is {value}; {where}: "
                    "lower learning_rate or lengthen warmup_fraction"
                )

    def _evaluate_if_due(self, logbook: Logbook, should_stop: Callable[[], bool]) -> None:
        """Look at the valid split; given up when asked to stop, then done after the resume."""
        due = self.step > 0 and (
            self.step % self.config.eval_interval == 0 or self.step == self.config.num_steps
        )
        if not due or self.step in logbook.evaluated_steps or self.valid_blocks is None:
            return
        batch = self.config.micro_batch_size
        num_blocks = min(len(self.valid_blocks), self.config.num_eval_batches * batch)
        total, num_tokens = 0.0, 0
        self.model.train(False)
        for first in range(0, num_blocks, batch):
            if should_stop():
                return
            indices = np.arange(first, min(first + batch, num_blocks))
            with torch.no_grad(), self._autocast():
                loss = next_token_loss(self.model, self._gather(self.valid_blocks, indices))
            # Weighted by tokens: the last batch may be smaller.
            count = len(indices) * (self.valid_blocks.seq_len - 1)
            total += loss.item() * count
            num_tokens += count
        values = {
            "valid_loss": total / num_tokens,
            "valid_perplexity": math.exp(min(total / num_tokens, 20.0)),
        }
        logbook.write(self.step, values)
        self._tell("evaluated", num_tokens=num_tokens, **values)

    def _save_is_due(self) -> bool:
        return self.step % self.config.save_interval == 0

    def _save(self, logbook: Logbook) -> None:
        """Write a checkpoint of this step, unless there is one."""
        if self.step == self._saved_step:
            return
        start = time.monotonic()
        logbook.flush()
        tensors = {
            "model": _parameters(self.model),
            "optimizer": self._optimizer_tensors(),
            "random": _random_tensors(self.device),
        }
        state = {
            "consumed_samples": self.step * self.config.batch_size,
            "python_random": random.getstate(),
        }
        path = self.checkpoints.save(self.step, tensors, state)
        self._saved_step = self.step
        self._tell("saved", name=path.name, seconds=round(time.monotonic() - start, 3))

    def _optimizer_tensors(self) -> dict[str, torch.Tensor]:
        return {
            f"{name}.{key}": value
            for name, parameter in self.model.named_parameters()
            for key, value in self.optimizer.state[parameter].items()
        }

    def _restore(self) -> None:
        """Take up the newest whole checkpoint."""
        checkpoint = self.checkpoints.newest()
        if checkpoint is not None:
            self._load(checkpoint)
        num_parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self._tell(
            "started",
            num_steps=self.config.num_steps,
            num_parameters=num_parameters,
            checkpoint=checkpoint.path.name if checkpoint else None,
        )

    def _load(self, checkpoint: Checkpoint) -> None:
        weights = checkpoint.tensors("model")
        moments = checkpoint.tensors("optimizer")
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(weights[name])
                # Cloned: tensors of a mapped file keep its alignment and its descriptor.
                self.optimizer.state[parameter] = {
                    key: moments[f"{name}.{key}"].clone().to(self.device)
                    for key in ("step", "exp_avg", "exp_avg_sq")
                }
        _set_random(checkpoint.tensors("random"), checkpoint.state)
        self.step = self._saved_step = checkpoint.step


def _open_valid(blocks: Artifact) -> BlockReader | None:
    """The valid split; None where there is no text in it, and nothing to look at."""
    try:
        reader = BlockReader(blocks, "valid")
    except MissingInputError:
        return None
    return reader if len(reader) else None


def _parameters(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters by name, tied ones once; our architectures keep no other state in buffers."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _random_tensors(device: torch.device) -> dict[str, torch.Tensor]:
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    tensors = {
        "torch": torch.get_rng_state(),
        "numpy_keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "numpy_position": torch.tensor([position, has_gauss]),
        "numpy_gauss": torch.tensor([gauss], dtype=torch.float64),
    }
    if device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(device)
    return tensors


def _set_random(tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"])
    keys = tensors["numpy_keys"].numpy().astype(np.uint32)
    position, has_gauss = (int(value) for value in tensors["numpy_position"])
    gauss = float(tensors["numpy_gauss"][0])
    np.random.set_state(("MT19937", keys, position, has_gauss, gauss))
    version, internal, gauss_next = state["python_random"]
    random.setstate((version, tuple(internal), gauss_next))
