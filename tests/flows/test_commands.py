"""The command line as users meet it: what it prints, where, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.commands import main
from headrace.artifacts import Store
from headrace.artifacts.manifest import open_artifact
from headrace.artifacts.runs import RunRecord
from headrace.artifacts.sources import open_source
from tests.artifacts.stages import LETTERS, LettersConfig

PAGES = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="en">
<siteinfo><sitename>Wikipedia</sitename><dbname>enwiki</dbname>
<base>https://en.wikipedia.org/wiki/Main_Page</base></siteinfo>
{pages}
</mediawiki>
"""
PAGE = """<page><title>{title}</title><ns>0</ns><id>{id}</id>
<revision><id>{id}0</id><text xml:space="preserve">{text}</text></revision></page>"""


@pytest.fixture
def home(store: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_HOME", str(store.runtime.home))
    return store.runtime.home


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    texts = [
        f"'''Page {n}''' is the [[number]] {n}. It comes after {n - 1}.\n" for n in range(1, 9)
    ]
    pages = [PAGE.format(title=f"Page {n}", id=n, text=text) for n, text in enumerate(texts, 1)]
    path = tmp_path / "dump.xml"
    path.write_text(PAGES.format(pages="\n".join(pages)))
    return path


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["run"], ["run", "no_pipeline"], ["ls", "--nonsense"], ["extract", "x"]],
    ids=" ".join,
)
def test_bad_usage_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "pretrain_wikipedia", "--set", "dump=/absent.xml"],
        ["run", "pretrain_wikipedia", "--set", "dump=/absent.xml", "--set", "nonsense=1"],
        ["run", "pretrain_wikipedia", "--config", "/absent.yaml"],
        ["run", "pretrain_wikipedia", "--workers", "0", "--set", "dump=x"],
        ["show", "nothing"],
        ["verify", "nothing"],
        ["extract", "/absent.xml", "out"],
        ["extract", "/etc/hostname", "out", "--home", "/etc/hostname/home"],
        [
            "run",
            "pretrain_wikipedia",
            "--set",
            "dump=/etc/hostname",
            "--set",
            "serve=false",
            "--home",
            "/etc/hostname",
        ],
    ],
    ids=["dump", "key", "config", "workers", "show", "verify", "extract", "home", "run-home"],
)
def test_errors_are_one_line(
    arguments: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("headrace: ")


def test_ls_show_and_verify(
    store: Store, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw"
    raw.write_text("raw")
    source = open_source(store, raw).artifact
    artifact = store.open_or_build(LETTERS, LettersConfig(), {"raw": source}).artifact

    assert main(["ls", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {row["stage"] for row in listed} == {"letters", "source"}

    assert main(["show", "letters", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["manifest"]["digest"] == artifact.digest
    assert shown["lineage"]["inputs"][0]["raw"][0]["path"] == str(raw)

    assert main(["show", "letters"]) == 0
    assert str(raw) in capsys.readouterr().out

    assert main(["verify", "--full", "--json"]) == 0
    assert all(not row["damaged"] for row in json.loads(capsys.readouterr().out)["artifacts"])
    (artifact.path / "letters-00001.txt").write_text("??????")
    assert main(["verify", "--full"]) == 1
    assert "letters-00001.txt" in capsys.readouterr().out


def test_gc_tells_first_and_removes_then(
    store: Store, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = store.open_or_build(LETTERS, LettersConfig(), {})
    garbage = store.open_or_build(LETTERS, LettersConfig(text="z"), {}).artifact
    RunRecord(home=home, name="r", pipeline="p", config={}).note("letters", kept)
    assert main(["gc", "--dry-run"]) == 0
    assert str(garbage.path) in capsys.readouterr().out
    assert garbage.path.exists()
    assert main(["gc"]) == 0
    assert not garbage.path.exists()
    assert kept.artifact.path.exists()


def test_a_stage_alone_writes_an_artifact_directory(
    home: Path, dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "articles"
    assert main(["extract", str(dump), str(out), "--workers", "1"]) == 0
    artifact = open_artifact(out)
    assert artifact.counts["records_out"] == 8
    assert artifact.manifest.inputs["pages"].stage == "pages"
    import pyarrow.parquet as pq

    table = pq.read_table(artifact.files("articles-*.parquet")[0])
    assert table["title"].to_pylist()[0] == "Page 1"
    assert main(["split-sentences", str(out), str(tmp_path / "sentences")]) == 0
    assert main(["extract", str(dump), str(out), "--workers", "1"]) == 0
    assert "Cached" in capsys.readouterr().out


def test_an_output_that_holds_other_files_is_refused(
    home: Path, dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["read-dump", str(dump), str(tmp_path)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert dump.exists()
