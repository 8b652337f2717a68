"""The command `headrace report`."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from flows import reporting
from headrace.artifacts import Store
from headrace.errors import MissingInputError
from tests.reports.runs import Page, begin, build_whole


def command(store: Store, *arguments: str) -> int:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home")
    parser = argparse.ArgumentParser()
    reporting.add_parser(parser.add_subparsers(), [common])
    parsed = parser.parse_args(["report", "--home", str(store.runtime.home), *arguments])
    return int(parsed.function(parsed))


def test_the_newest_run_is_reported_unless_one_is_named(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    record = build_whole(store)
    begin(store, "older", started=record.started - 100)
    assert command(store) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.parent == store.runtime.home / "reports" / record.name
    assert Page(path.read_text(encoding="utf-8")).sections()[0] == "stages"
    assert command(store, "older") == 0
    assert Path(capsys.readouterr().out.strip()).parent.name == "older"


def test_a_report_goes_where_the_user_wants_it(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_whole(store)
    assert command(store, "--out", str(tmp_path / "new" / "page.html")) == 0
    assert Path(capsys.readouterr().out.strip()) == tmp_path / "new" / "page.html"
    assert command(store, "nightly", "--out", str(tmp_path)) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.parent == tmp_path
    assert path.read_bytes().startswith(b"<!doctype html>")
    assert not (store.runtime.home / "reports").exists()


def test_an_unknown_run_is_told_with_those_there_are(store: Store) -> None:
    with pytest.raises(MissingInputError, match="none yet"):
        command(store)
    begin(store, "nightly")
    with pytest.raises(MissingInputError, match="nightly"):
        command(store, "weekly")
