from __future__ import annotations

from pathlib import Path

import pytest

from headrace.artifacts.runs import RunRecord, find_run
from headrace.errors import MissingInputError


def make_run(home: Path, name: str, flow_run_id: str, flow_run_name: str) -> None:
    record = RunRecord(home=home, name=name, pipeline="p", config={})
    record.begin(flow_run_id=flow_run_id, flow_run_name=flow_run_name, deployment="", attempt=1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("one", "one"), ("wise-falcon", "one"), ("abcd1111-0000", "one"), ("abcd2", "two"),
        ("abc", None), ("../runs/one", None), ("nobody", None), ("", None),
    ],
)  # fmt: skip
def test_a_run_is_found_by_name_flow_run_and_id(
    tmp_path: Path, text: str, wanted: str | None
) -> None:
    make_run(tmp_path, "one", "abcd1111-0000", "wise-falcon")
    make_run(tmp_path, "two", "abcd2222-0000", "grey-heron")
    found = find_run(tmp_path, text)
    assert (found.name if found else None) == wanted


def test_a_start_of_two_ids_is_told(tmp_path: Path) -> None:
    make_run(tmp_path, "one", "abcd1111-0000", "wise-falcon")
    make_run(tmp_path, "two", "abcd2222-0000", "grey-heron")
    with pytest.raises(MissingInputError, match="one, two"):
        find_run(tmp_path, "abcd")
