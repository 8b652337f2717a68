"""Stage "triton_repository": a proved export laid out for a Triton server.

    models/fastertransformer/config.pbtxt      our Python backend
    models/fastertransformer/1/model.py, ft_model.py
    models/fastertransformer/1/<n>-gpu/        config.ini and weights, copied
    gpu_backend/fastertransformer/config.pbtxt for a server with NVIDIA's backend
    known_answer.json                          greedy ids that any right server must give

Only an export with its parity artifact gets here, so nothing unproved is served. The known answer
comes from the interpreter, not from the backend that it will test. Cost: one copy of the weights
(a shard a layer) and eight short forward passes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import Field

import headrace
from headrace.artifacts import Artifact, Build, ShardJob, ShardOutcome, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.artifacts.sources import data_directory
from headrace.config import StageConfig
from headrace.errors import ConfigError, ParityError
from headrace.export.checkpoint import read_json_object
from headrace.export.directory import FtDirectory
from headrace.export.held_out import Ids, random_windows
from headrace.export.interpreter import FtInterpreter
from headrace.export.model_config import MODEL_NAME, format_gpu_config, format_python_config
from headrace.export.parity import DATA_NAME as PARITY_NAME
from headrace.export.parity import DECIDED_TOLERANCES, RELATIVE_TOLERANCE, find_export_folder

MODELS_FOLDER = "models"
VERSION_FOLDER = f"{MODELS_FOLDER}/{MODEL_NAME}/1"
GPU_CONFIG_NAME = f"gpu_backend/{MODEL_NAME}/config.pbtxt"
KNOWN_ANSWER_NAME = "known_answer.json"

# Name in the repository -> our source file. They run in Triton's Python, so they are copied whole.
BACKEND_SOURCES = {"model.py": "backend_model.py", "ft_model.py": "ft_model.py"}

_KNOWN_LENGTHS = (8, 5)  # of different length, so that padding is tried too
_KNOWN_TOKENS = 4
_KNOWN_CANDIDATES = 8


class TritonRepositoryConfig(StageConfig):
    """How an export is served."""

    max_batch_size: int = Field(
        1024, ge=1, description="prompts a request; the default of NVIDIA's config"
    )
    seed: int = Field(0, ge=0, description="of the prompts of the known answer")


def write_triton_repository(
    *, ft_export: Artifact, parity: Artifact, config: TritonRepositoryConfig, out: Build
) -> None:
    """Write the model repository.

    Args:
        ft_export: what is served.
        parity: the proof of exactly this export.
        config: limits.
        out: where to.

    Raises:
        ParityError: the proof is of another export, or did not hold.
    """
    _check_proof(ft_export, parity)
    folder = find_export_folder(data_directory(ft_export))
    out.run_shards(
        [
            ShardJob(name=name, function=_copy_weights, args=(str(folder), names))
            for name, names in group_weights(folder)
        ],
        unit="files",
    )

    def write_backend(directory: Path) -> ShardOutcome:
        return _write_backend(directory, folder, config)

    def write_known_answer(directory: Path) -> ShardOutcome:
        value = known_answer(FtInterpreter(folder), config.seed)
        content = json.dumps(value, indent=1, sort_keys=True) + "\n"
        (directory / KNOWN_ANSWER_NAME).write_text(content, encoding="utf-8")
        return ShardOutcome(rows=len(value["input_ids"]))

    out.publish("backend", write_backend)
    out.publish("known-answer", write_known_answer)


def _check_proof(ft_export: Artifact, parity: Artifact) -> None:
    proved = parity.manifest.inputs.get("ft_export")
    if proved is None or proved.digest != ft_export.digest:
        found = proved.digest[:12] if proved else "no export"
        raise ParityError(
            f"{parity.path}: a proof of export {ft_export.digest[:12]} was expected, it is of "
            f"{found}: prove this export first"
        )
    if read_json_object(parity.file(PARITY_NAME)).get("passed") is not True:
        raise ParityError(f"{parity.path / PARITY_NAME}: the proof does not hold")


def group_weights(folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    """File names of an export's folder by layer; what belongs to none comes first."""
    groups: dict[int, list[str]] = {}
    for path in sorted(folder.iterdir()):
        found = re.match(r"model\.layers\.([0-9]+)\.", path.name)
        groups.setdefault(int(found[1]) if found else -1, []).append(path.name)
    total = len(groups) - 1
    return [
        ("base" if layer < 0 else f"layer-{layer:05d}-of-{total:05d}", tuple(names))
        for layer, names in sorted(groups.items())
    ]


def _copy_weights(directory: Path, folder: str, names: tuple[str, ...]) -> ShardOutcome:
    target = directory / VERSION_FOLDER / Path(folder).name
    target.mkdir(parents=True)
    for name in names:
        # A copy, no hard link: damage to one artifact must not be damage to both.
        shutil.copyfile(Path(folder) / name, target / name)
    return ShardOutcome(rows=len(names))


def _write_backend(directory: Path, folder: Path, config: TritonRepositoryConfig) -> ShardOutcome:
    """The Python backend's sources and both configurations."""
    version = directory / VERSION_FOLDER
    version.mkdir(parents=True)
    for name, source in BACKEND_SOURCES.items():
        shutil.copyfile(backend_source(source), version / name)
    exported = FtDirectory(folder)
    python_config = format_python_config(folder=folder.name, max_batch_size=config.max_batch_size)
    gpu_config = format_gpu_config(
        family=exported.section,
        folder=folder.name,
        num_ranks=exported.num_ranks,
        dtype=exported.text("weight_data_type", "fp32"),
        max_batch_size=config.max_batch_size,
    )
    (version.parent / "config.pbtxt").write_text(python_config, encoding="utf-8")
    gpu_path = directory / GPU_CONFIG_NAME
    gpu_path.parent.mkdir(parents=True)
    gpu_path.write_text(gpu_config, encoding="utf-8")
    return ShardOutcome(rows=len(BACKEND_SOURCES) + 2)


def backend_source(name: str) -> Path:
    """Path of a source file of the Python backend in this package."""
    return Path(headrace.__file__).parent / "serving" / name


def known_answer(interpreter: FtInterpreter, seed: int) -> dict[str, list[list[int]]]:
    """A question with its answer: `input_ids` and, for each, the greedy `output_ids`.

    Of eight random prompts a length the one with the most varied answer is taken among those whose
    every token is clearly the best and which do not end early; a server that sums in another order
    must give the same.

    Returns:
        Lists of token ids; all answers have the same length.
    """
    questions, answers = [], []
    for length in _KNOWN_LENGTHS:
        prompts = random_windows(
            num_windows=_KNOWN_CANDIDATES,
            length=length,
            vocab_size=interpreter.vocab_size,
            seed=seed + length,
        )
        prompt, answer = _clearest(interpreter, prompts)
        questions.append(prompt)
        answers.append(answer)
    num_tokens = min(len(answer) for answer in answers)
    return {
        "input_ids": questions,
        "output_ids": [answer[:num_tokens] for answer in answers],
    }


def _clearest(interpreter: FtInterpreter, prompts: Ids) -> tuple[list[int], list[int]]:
    """The prompt whose greedy continuation is beyond doubt, and that continuation."""
    length = prompts.shape[1]
    if interpreter.files.section == "gpt":
        limit = interpreter.files.size("max_pos_seq_len")
        if limit < length + _KNOWN_TOKENS:
            raise ConfigError(
                f"{interpreter.files.path}: {limit} positions: at least "
                f"{length + _KNOWN_TOKENS} are needed to serve it"
            )
    ids, margins = prompts, []
    for _ in range(_KNOWN_TOKENS):
        scores = interpreter.project(interpreter.final_hidden(ids)[:, -1])
        best = np.partition(scores, -2, axis=-1)[:, -2:]
        unit = RELATIVE_TOLERANCE * np.maximum(1.0, np.abs(scores).max(axis=-1))
        margins.append((best[:, 1] - best[:, 0]) / (DECIDED_TOLERANCES * unit))
        ids = np.concatenate([ids, scores.argmax(axis=-1)[:, None]], axis=1)
    smallest = np.min(margins, axis=0)
    ended = (ids[:, length:] == interpreter.files.size("end_id")).any(axis=1)
    clear = np.flatnonzero((smallest > 1.0) & ~ended)
    if len(clear):
        # The most varied answer says most: one repeated token could come from a broken model too.
        row = max(clear.tolist(), key=lambda row: (len(set(ids[row, length:].tolist())), -row))
        num_tokens = _KNOWN_TOKENS
    else:
        # A model without clear opinions: ask it for the one token that it is surest of.
        row, num_tokens = int(np.argmax(margins[0])), 1
    return prompts[row].tolist(), ids[row, length : length + num_tokens].tolist()


def _known_counts(
    _config: TritonRepositoryConfig, _inputs: Inputs, _scaled: Mapping[str, float]
) -> dict[str, None]:
    return {"rows": None}


TRITON_REPOSITORY = Stage(
    name="triton_repository",
    version=1,
    format="headrace.triton_repository/1",
    packages=(),
    write=write_triton_repository,
    measure=Measure(counts=_known_counts, start_seconds=0.6),
)
