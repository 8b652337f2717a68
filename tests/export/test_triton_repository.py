"""The model repository: what lies where, and that Triton can read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.artifacts import Artifact, Store
from headrace.errors import ParityError
from headrace.export.fastertransformer import FT_EXPORT, FtExportConfig, export_directory
from headrace.export.interpreter import FtInterpreter, greedy_tokens
from headrace.export.model_config import INPUTS
from headrace.export.parity import PARITY, ParityConfig
from headrace.export.triton_repository import (
    TRITON_REPOSITORY,
    TritonRepositoryConfig,
    backend_source,
    known_answer,
)
from headrace.serving.client import OPTIONAL_INPUTS
from tests.export.models import MAKERS, raw_artifact

GetModel = Callable[[str], Path]


def build(store: Store, model_dir: Path, **options: Any) -> dict[str, Artifact]:
    model = raw_artifact(store, model_dir)
    export = store.open_or_build(FT_EXPORT, FtExportConfig(**options), {"model": model}).artifact
    inputs = {"model": model, "ft_export": export}
    parity = store.open_or_build(PARITY, ParityConfig(num_prompts=1), inputs).artifact
    inputs = {"ft_export": export, "parity": parity}
    repository = store.open_or_build(TRITON_REPOSITORY, TritonRepositoryConfig(), inputs).artifact
    return {**inputs, "repository": repository}


def parse(path: Path) -> Any:
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


@pytest.mark.parametrize(
    ("name", "dtype", "ranks"),
    [("neox-parallel-rotary-0.25", "fp32", 1), ("gpt2", "fp16", 2)],
)
def test_both_configs_parse_and_declare_the_same(
    hf_model: GetModel, store: Store, name: str, dtype: str, ranks: int
) -> None:
    built = build(store, hf_model(name), dtype=dtype, tensor_para_size=ranks)
    root = built["repository"].path
    ours = parse(root / "models/fastertransformer/config.pbtxt")
    gpu = parse(root / "gpu_backend/fastertransformer/config.pbtxt")
    assert (ours.name, ours.backend, gpu.name, gpu.backend) == (
        "fastertransformer", "python", "fastertransformer", "fastertransformer",
    )  # fmt: skip
    assert ours.parameters["model_checkpoint_path"].string_value == f"{ranks}-gpu"
    assert gpu.parameters["tensor_para_size"].string_value == str(ranks)
    assert gpu.parameters["data_type"].string_value == dtype
    is_gpt = name == "gpt2"
    assert gpu.parameters["model_type"].string_value == ("GPT" if is_gpt else "GPT-NeoX")
    tensors = {item.name: item for item in gpu.input}
    assert all(tensors[item.name] == item for item in ours.input)
    assert len(ours.input) == 20
    assert len(gpu.input) == (24 if is_gpt else 20)
    assert [item.name for item in ours.input if not item.optional] == [
        "input_ids", "input_lengths", "request_output_len",
    ]  # fmt: skip
    assert list(gpu.output)[:4] == list(ours.output)
    assert [group.kind for group in gpu.instance_group] == [2]  # KIND_CPU: its backend's demand


def test_client_knows_every_declared_option() -> None:
    declared = {item.name: item.type for item in INPUTS if item.is_scalar and item.optional}
    assert declared == {name: kind for name, (kind, _) in OPTIONAL_INPUTS.items()}


def test_repository_holds_the_export_and_the_backend(hf_model: GetModel, store: Store) -> None:
    built = build(store, hf_model("neox-sequential-rotary-1.0"))
    repository, export = built["repository"], built["ft_export"]
    folder = repository.path / "models/fastertransformer/1/1-gpu"
    exported = export.files("1-gpu/*")
    assert {path.name for path in folder.iterdir()} == {path.name for path in exported}
    for path in exported:
        copy = folder / path.name
        assert copy.read_bytes() == path.read_bytes()
        assert copy.stat().st_ino != path.stat().st_ino
    for name, source in (("model.py", "backend_model.py"), ("ft_model.py", "ft_model.py")):
        copied = repository.file(f"models/fastertransformer/1/{name}")
        assert copied.read_bytes() == backend_source(source).read_bytes()


def test_only_this_exports_proof_counts(hf_model: GetModel, store: Store) -> None:
    first = build(store, hf_model("gpt2"))
    second = build(store, hf_model("gpt2-odd"))
    mixed = {"ft_export": first["ft_export"], "parity": second["parity"]}
    with pytest.raises(ParityError, match="proof"):
        store.open_or_build(TRITON_REPOSITORY, TritonRepositoryConfig(), mixed)


@pytest.mark.parametrize("name", list(MAKERS))
def test_known_answer_is_the_greedy_continuation(
    hf_model: GetModel, tmp_path: Path, name: str
) -> None:
    folder = export_directory(hf_model(name), tmp_path, dtype="fp32", tensor_para_size=1)
    interpreter = FtInterpreter(folder)
    value = known_answer(interpreter, seed=0)
    lengths = {len(answer) for answer in value["output_ids"]}
    assert len(lengths) == 1
    assert len({len(prompt) for prompt in value["input_ids"]}) == 2
    for prompt, answer in zip(value["input_ids"], value["output_ids"], strict=True):
        assert greedy_tokens(interpreter, prompt, len(answer)) == answer
    assert json.loads(json.dumps(value)) == known_answer(interpreter, seed=0)
