"""Every deployment can be registered and started as it stands: entrypoint, parameters, schedule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import is_valid_schema, validate
from pydantic import BaseModel

from flows.pipelines import PIPELINES
from flows.registration import POOLS, PREFECT_FILE
from headrace.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
FILE = yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = FILE["deployments"]
PARAMETER_FILES = sorted((ROOT / "deployments" / "parameters").glob("*.yaml"))
each_deployment = pytest.mark.parametrize(
    "deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"]
)


def flow_of(deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Flow[Any, Any]:
    monkeypatch.chdir(ROOT)
    return load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)


def leaves(model: type[BaseModel], where: str = "") -> list[tuple[str, Any]]:
    """Every field of a model and of the models below it, with its dotted name."""
    found = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += leaves(inner, f"{where}{name}.")
        else:
            found.append((f"{where}{name}", field))
    return found


def test_the_file_holds_no_key_that_prefect_would_pass_over() -> None:
    # Prefect ignores what it does not know: a misspelt key would go unnoticed.
    known = set(PrefectYamlModel.model_fields) | {"definitions"}
    assert set(FILE) <= known
    schedule_keys = set(DeploymentScheduleCreate.model_fields) | {"cron", "interval", "timezone"}
    for deployment in DEPLOYMENTS:
        assert set(deployment) <= set(DeploymentConfig.model_fields)
        assert set(deployment["work_pool"]) == {"name", "work_queue_name", "job_variables"}
        for schedule in deployment["schedules"]:
            assert set(schedule) <= schedule_keys
    PrefectYamlModel.model_validate({k: v for k, v in FILE.items() if k != "definitions"})


def test_every_pipeline_has_the_three_sizes() -> None:
    found = {(item["flow_name"], item["name"]) for item in DEPLOYMENTS}
    assert found >= {(name, size) for name in PIPELINES for size in ("demo", "small", "article")}
    assert len(found) == len(DEPLOYMENTS)


@each_deployment
def test_entrypoint_and_parameters(
    deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = flow_of(deployment, monkeypatch)
    assert flow.name == deployment["flow_name"]
    # What the engine checks when the run starts ...
    flow.validate_parameters(deployment["parameters"])
    # ... and what the server checks when the deployment is registered or its form is sent.
    plain = parameter_schema(flow).model_dump()
    is_valid_schema(plain)
    assert validate(deployment["parameters"], plain, raise_on_error=True) == []
    assert deployment["enforce_parameter_schema"] is True


@each_deployment
def test_a_misspelt_or_impossible_parameter_is_refused(
    deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = flow_of(deployment, monkeypatch)
    config = deployment["parameters"]["config"]
    for wrong in ({"tokeniser": {}}, {"training": {"learning_rate": -1.0}}, {"blocks": {"seq": 1}}):
        with pytest.raises(Exception, match=r"tokeniser|learning_rate|seq"):
            flow.validate_parameters({"config": config | wrong})


@each_deployment
def test_parameters_are_those_of_the_parameter_file(deployment: dict[str, Any]) -> None:
    name = f"{deployment['flow_name']}.{deployment['name']}.yaml"
    model = PIPELINES[deployment["flow_name"]].config
    (path,) = [path for path in PARAMETER_FILES if path.name == name]
    from_file = model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert model.model_validate(deployment["parameters"]["config"]) == from_file


def test_every_parameter_file_belongs_to_a_deployment() -> None:
    names = {f"{item['flow_name']}.{item['name']}.yaml" for item in DEPLOYMENTS}
    assert {path.name for path in PARAMETER_FILES} == names


@each_deployment
def test_it_runs_where_it_belongs_and_only_when_asked(deployment: dict[str, Any]) -> None:
    backend = deployment["parameters"]["config"]["training"].get("backend", "cpu")
    assert deployment["work_pool"]["name"] == {"cpu": "cpu", "cuda": "gpu"}[backend]
    assert deployment["work_pool"]["name"] in POOLS
    assert deployment["concurrency_limit"]["limit"] == 1
    assert deployment["tags"]
    assert deployment["schedules"]
    assert all(item["active"] is False and item["slug"] for item in deployment["schedules"])


def test_one_gpu_takes_one_run() -> None:
    assert POOLS["gpu"] == 1


def test_nothing_names_a_machine() -> None:
    text = PREFECT_FILE.read_text(encoding="utf-8")
    (step,) = FILE["pull"]
    ((name, inputs),) = step.items()
    assert name == "prefect.deployments.steps.set_working_directory"
    assert inputs == {"directory": "{{ $HEADRACE_PROJECT }}"}
    # No absolute path, no address.
    assert re.findall(r"(?<![\w.<])/(?:home|work|root|usr|opt|mnt|data|tmp)\b", text) == []
    assert re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", text) == []


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_the_form_explains_every_field(name: str) -> None:
    fields = leaves(PIPELINES[name].config)
    assert len(fields) > 40
    assert [where for where, field in fields if not field.description] == []


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_the_form_bounds_every_number(name: str) -> None:
    unbounded = [
        where
        for where, field in leaves(PIPELINES[name].config)
        if field.annotation in (int, float) and not field.metadata
    ]
    assert unbounded == []


def test_an_unknown_setting_is_told_with_those_there_are() -> None:
    pipeline = PIPELINES["pretrain_wikipedia"]
    with pytest.raises(ConfigError, match="tokenizer"):
        pipeline.check({"dump": "x", "tokeniser": {}}, source="a test")
