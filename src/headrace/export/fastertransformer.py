"""A FasterTransformer weight directory from an HF checkpoint of GPT-NeoX or GPT-2.

    <out>/<n>-gpu/config.ini, model.<key>.bin (whole), model.<key>.<rank>.bin (rank's piece)

Files are raw, little-endian, C order, without header, all of one type. Each tensor is read, has its
axes arranged, is checked and written before the next one is read: the peak is about three times
the largest tensor in float32. Layers are shards of the artifact, so they are written in parallel
and a damaged file costs its layer alone.

For TP = 1, and wherever NVIDIA's converters are right, files are theirs byte for byte. They differ
where those are wrong: a sequential residual with several ranks keeps its biases whole (the
runtime adds them once, after ranks are summed; NVIDIA's file holds a fraction of them), GPT-2's
`n_inner` is honoured, and an untied GPT-2 head or a tied GPT-NeoX one is written.
Source of the layout: NVIDIA/FasterTransformer df4a753, examples/pytorch/{gptneox,gpt}/utils.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardJob, ShardOutcome, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.artifacts.sources import data_directory
from headrace.config import StageConfig
from headrace.errors import ConfigError, ConversionError, StoreError
from headrace.export.checkpoint import Checkpoint, FloatArray, read_json_object
from headrace.export.config_ini import Compat, format_config_ini
from headrace.export.name_tables import TensorRule, build_name_table, check_tied_copies
from headrace.export.source_model import (
    SourceModel,
    drift_notes,
    read_source_model,
    reasons_not_servable,
)

logger = logging.getLogger(__name__)

Dtype = Literal["fp32", "fp16"]
STORED_TYPES: dict[str, np.dtype[Any]] = {"fp32": np.dtype("<f4"), "fp16": np.dtype("<f2")}
MAX_FLOAT16 = 65504.0
SERVABLE_NAME = "servable.json"


class FtExportConfig(StageConfig):
    """How the weights are written."""

    dtype: Dtype = Field(
        "fp32", description="type of every file; the runtime casts it to its compute type"
    )
    tensor_para_size: Literal[1, 2, 4, 8] = Field(
        1, description="GPUs that share each layer; ranks of the directory"
    )
    compat: Compat = Field(
        "headrace",
        description="'nvidia': config.ini holds only keys that NVIDIA's converter writes",
    )


def write_ft_export(*, model: Artifact, config: FtExportConfig, out: Build) -> None:
    """Write the `ft_export` artifact: `<n>-gpu/config.ini` and `<n>-gpu/model.*.bin`.

    Args:
        model: an HF directory (config.json, safetensors).
        config: type, ranks and keys.
        out: where to; `servable.json` beside the data says whether NVIDIA's runtime serves it.

    Raises:
        ConversionError: the model cannot be expressed, or a tensor is missing, left over, of
            another shape, not finite, or too large for fp16.
    """
    hf_dir = data_directory(model)
    _checkpoint, source = open_checkpoint(hf_dir, config.tensor_para_size)
    folder = f"{config.tensor_para_size}-gpu"
    num_files = 0
    jobs = [
        ShardJob(
            name=name,
            function=_write_shard,
            args=(str(hf_dir), folder, number, config.dtype, config.tensor_para_size),
        )
        for name, number in _shard_numbers(source)
    ]
    for record in out.run_shards(jobs, unit="files"):
        num_files += record.rows
    out.write_index(
        f"{folder}/config.ini",
        format_config_ini(
            source,
            dtype=config.dtype,
            tensor_para_size=config.tensor_para_size,
            compat=config.compat,
        ),
    )
    out.write_extra(SERVABLE_NAME, _servable(source))
    out.set_counts(num_layers=source.num_layers, num_weight_files=num_files)
    logger.info("%d weight files of %d layers", num_files, source.num_layers)


def export_directory(
    hf_dir: Path,
    out_dir: Path,
    *,
    dtype: Dtype,
    tensor_para_size: int,
    compat: Compat = "headrace",
) -> Path:
    """Write `<out_dir>/<n>-gpu` for any HF directory, without a store.

    Args:
        hf_dir: config.json and safetensors of GPT-NeoX or GPT-2.
        out_dir: made if missing; `<n>-gpu` in it must not exist or be empty.
        dtype: type of every file.
        tensor_para_size: number of ranks.
        compat: `nvidia` writes only the config.ini keys of NVIDIA's converter.

    Returns:
        The directory `<out_dir>/<n>-gpu`; config.ini is written last, so its presence means all.

    Raises:
        ConfigError: an argument is none of those allowed.
        StoreError: the directory holds files already.
        ConversionError: as for `write_ft_export`.
    """
    if dtype not in STORED_TYPES:
        raise ConfigError(f"dtype {dtype!r}: 'fp32' or 'fp16' was expected")
    if compat not in ("headrace", "nvidia"):
        raise ConfigError(f"compat {compat!r}: 'headrace' or 'nvidia' was expected")
    _checkpoint, source = open_checkpoint(hf_dir, tensor_para_size)
    target = out_dir / f"{tensor_para_size}-gpu"
    if target.is_dir() and any(target.iterdir()):
        raise StoreError(f"{target}: an empty or new directory was expected; it holds files")
    for _name, number in _shard_numbers(source):
        _write_shard(out_dir, str(hf_dir), target.name, number, dtype, tensor_para_size)
    content = format_config_ini(
        source, dtype=dtype, tensor_para_size=tensor_para_size, compat=compat
    )
    (target / "config.ini").write_bytes(content)
    return target


def open_checkpoint(hf_dir: Path, tensor_para_size: int) -> tuple[Checkpoint, SourceModel]:
    """Open a checkpoint and make sure that it can be exported, before anything is written.

    Raises:
        ConversionError: it cannot; all reasons of a kind are listed.
    """
    checkpoint = Checkpoint(hf_dir)
    model = _read_model(checkpoint)
    _check_ranks(model, tensor_para_size)
    table = build_name_table(checkpoint, model)
    check_tied_copies(checkpoint, table)
    for reason in reasons_not_servable(model):
        logger.warning("NVIDIA's FasterTransformer will not serve this export: %s", reason)
    for note in drift_notes(model):
        logger.warning("FasterTransformer export: %s", note)
    return checkpoint, model


def _read_model(checkpoint: Checkpoint) -> SourceModel:
    path = checkpoint.directory / "generation_config.json"
    return read_source_model(checkpoint.config, read_json_object(path) if path.is_file() else {})


def _check_ranks(model: SourceModel, tensor_para_size: int) -> None:
    if tensor_para_size < 1:
        raise ConfigError(f"tensor_para_size = {tensor_para_size}: at least 1 was expected")
    for what, size in (("heads", model.num_heads), ("feed-forward units", model.inter_size)):
        if size % tensor_para_size:
            raise ConversionError(
                f"tensor_para_size = {tensor_para_size}: {size} {what} cannot be shared out evenly"
            )


def _servable(model: SourceModel) -> bytes:
    reasons = reasons_not_servable(model)
    value = {"servable": not reasons, "reasons": reasons, "notes": drift_notes(model)}
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _shard_numbers(model: SourceModel) -> list[tuple[str, int]]:
    """Shard names with their layer's number; -1 is the part outside of layers."""
    total = model.num_layers
    return [("base", -1), *((f"layer-{n:05d}-of-{total:05d}", n) for n in range(total))]


def _write_shard(
    directory: Path, hf_dir: str, folder: str, layer: int, dtype: str, tensor_para_size: int
) -> ShardOutcome:
    """Write the files of one layer (or of the base, -1); rows = number of files."""
    checkpoint = Checkpoint(Path(hf_dir))
    model = _read_model(checkpoint)
    table = build_name_table(checkpoint, model)
    rules = table.base if layer < 0 else table.layers[layer]
    writer = _TensorWriter(directory / folder, model, STORED_TYPES[dtype], tensor_para_size)
    for rule in rules:
        writer.write(rule, checkpoint.read(rule.source))
    if layer >= 0 and model.parallel_residual:
        writer.write_bias_sum(f"layers.{layer}")
    return ShardOutcome(rows=writer.num_files, counts={"weight_files": writer.num_files})


class _TensorWriter:
    """Writes tensors by their rules; remembers row biases for the sum file."""

    def __init__(
        self, directory: Path, model: SourceModel, stored_type: np.dtype[Any], num_ranks: int
    ) -> None:
        self.num_files = 0
        self._directory = directory
        self._model = model
        self._stored_type = stored_type
        self._num_ranks = num_ranks
        self._row_biases: dict[str, np.ndarray[Any, Any]] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, rule: TensorRule, values: FloatArray) -> None:
        """Write all files of one tensor.

        Raises:
            ConversionError: it holds values that the stored type cannot.
        """
        if rule.is_row_bias and self._model.parallel_residual:
            # Each rank adds the sum file before ranks are summed, so a rank holds its share.
            values = values / np.float32(self._num_ranks)
        arranged = rule.arrange(values, self._model)
        stored = self._convert(rule.source, arranged)
        if rule.is_row_bias:
            self._row_biases[rule.key] = stored
        if rule.split_axis is None:
            self._save(f"model.{rule.key}.bin", stored)
            return
        for rank, piece in enumerate(np.split(stored, self._num_ranks, axis=rule.split_axis)):
            self._save(f"model.{rule.key}.{rank}.bin", piece)

    def write_bias_sum(self, layer_key: str) -> None:
        """Write the one bias that a parallel residual adds, summed in the stored type."""
        attention = self._row_biases[f"{layer_key}.attention.dense.bias"]
        mlp = self._row_biases[f"{layer_key}.mlp.dense_4h_to_h.bias"]
        # Both are rounded before the sum is: that is how NVIDIA's files come about.
        with np.errstate(over="ignore"):
            total = attention + mlp
        if not np.isfinite(total).all():
            raise ConversionError(
                f"{layer_key}: the sum of its two output biases overflows fp16: export it as fp32"
            )
        self._save(f"model.{layer_key}.mlp.attention.bias.sum.bin", total)

    def _convert(self, source: str, values: FloatArray) -> np.ndarray[Any, Any]:
        num_bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        if num_bad:
            raise ConversionError(
                f"tensor {source}: {num_bad} of {values.size} values are not finite: the "
                "checkpoint is damaged, or its training diverged"
            )
        if self._stored_type.itemsize == 2:
            largest = float(np.max(np.abs(values), initial=0.0))
            if largest > MAX_FLOAT16:
                raise ConversionError(
                    f"tensor {source}: its largest value is {largest:.6g}, fp16 ends at "
                    f"{MAX_FLOAT16:.0f}: export it as fp32"
                )
        return np.ascontiguousarray(values, dtype=self._stored_type)

    def _save(self, name: str, values: np.ndarray[Any, Any]) -> None:
        np.ascontiguousarray(values).tofile(self._directory / name)
        self.num_files += 1


def _volume(config: FtExportConfig, inputs: Inputs) -> float:
    return inputs["model"].num_bytes * STORED_TYPES[config.dtype].itemsize


def _known_counts(
    _config: FtExportConfig, _inputs: Inputs, _scaled: Mapping[str, float]
) -> dict[str, None]:
    # Files a layer: their number does not follow from the model's bytes.
    return dict.fromkeys(("rows", "num_layers", "num_weight_files", "weight_files"))


FT_EXPORT = Stage(
    name="ft_export",
    version=1,
    format="headrace.ft_export/1",
    packages=(),
    write=write_ft_export,
    measure=Measure(volume=_volume, counts=_known_counts, start_seconds=0.4),
)
