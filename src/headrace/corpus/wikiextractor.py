"""Backend "wikiextractor": wikitext to plain text by the program of that name, closely watched.

wikiextractor is AGPL-licensed, so it is run as a program and never imported. It has no notion of a
bad page: an exception kills its worker, after which it waits for ever or leaves pages out. So each
batch of pages is run under supervision, and when a batch fails the page at fault is searched for:
the page the program itself names as begun and not finished is tried alone, else the batch is
halved. What came out whole before a failure is kept. A page counts as bad only after it failed
alone, so load on the machine is not held against its neighbours.

Cost: 7.5 MB of XML per CPU-second; about 0.5 s to start; a bad page costs two more starts and, when
it hangs, twice `max_page_seconds`.

Templates come as a file of template pages, which the program loads at each start. It finds them by
the plain name alone, so a call that spells the namespace out ("{{Template:X}}") stays empty.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from headrace.corpus.extraction import Extraction
from headrace.corpus.pages import Page
from headrace.errors import ProcessFailedError
from headrace.processes import GuardedProcess

logger = logging.getLogger(__name__)

WIKIEXTRACTOR_COMMAND = (sys.executable, "-m", "wikiextractor.WikiExtractor")
CRASHED = "extractor_crashed"
TIMEOUT = "extractor_timeout"

_OPTIONS = ("--json", "--processes", "1", "--html-safe", "", "-b", "64M")
# Names each page as it is begun and finished: the only sign of life the program gives.
_PROGRESS_OPTION = "--debug_map_reduce"
# Up to the first quote only: a title, which is quoted, may spell anything.
_PAGE_BEGUN = re.compile(r"[^'\"]*\bPAGE_START\b[^'\"]*?\bid=(\d+)")
_PAGE_DONE = re.compile(r"[^'\"]*\bPAGE_TIMING\b[^'\"]*?\bid=(\d+)")
_LOG_LINE = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
_TRACEBACK = "Traceback (most recent call last)"
_POLL_SECONDS = 0.05
_TRACEBACK_SECONDS = 0.3
_STOP_SECONDS = 0.5
# The program says nothing while it loads templates; a slow machine's share of what was measured.
_LOAD_BYTES_PER_SECOND = 1e6
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# The program drops every page whose title begins with the name of namespace 10 ("Template method
# pattern" too). The pages given to it are articles all, so that namespace gets a name none has.
_NO_TEMPLATE_NAMESPACE = "\ue000no template namespace"
_PROBE = Page(id=1, revid=1, title="Probe", text="A plain sentence.\n", offset=0)


@dataclass
class _Run:
    texts: dict[int, str]
    failure: str = ""
    suspect: int | None = None
    tail: str = ""


def extract_texts(
    pages: Sequence[Page],
    *,
    scratch: Path,
    max_page_seconds: float,
    templates: Path | None = None,
    max_failures: int | None = None,
    command: Sequence[str] = WIKIEXTRACTOR_COMMAND,
) -> Extraction:
    """Run the extractor over `pages`; each of them ends in `texts` or in `failures`.

    Args:
        pages: with distinct ids.
        scratch: an existing directory for the program's input and output.
        max_page_seconds: longest silence before the program counts as hung, after the templates are
            loaded.
        templates: a file of `write_templates`; None leaves all templates out.
        max_failures: stop searching beyond this many bad pages; None for no limit.
        command: the program, which gets wikiextractor's arguments.

    Raises:
        ProcessFailedError: the program does not work at all.
        TooManyDropsError: more than `max_failures` pages are bad.
    """
    result = Extraction()
    runner = _Runner(scratch, max_page_seconds, command, templates)
    stack = [list(pages)] if pages else []
    is_proven = False
    while stack:
        batch = stack.pop()
        run = runner.run(batch)
        result.texts.update(run.texts)
        left = [page for page in batch if page.id not in run.texts]
        if not left:
            continue
        if not is_proven:
            runner.check_program_works()
            is_proven = True
        if len(batch) == 1:
            reason = run.failure or CRASHED
            result.fail(left[0], reason, _last_words(run.tail), max_failures=max_failures)
        else:
            stack.extend(_divide(left, run.suspect))
    return result


def _divide(left: list[Page], suspect: int | None) -> list[list[Page]]:
    """What to try next, last first: the suspect alone, or else halves."""
    alone = [page for page in left if page.id == suspect]
    if alone:
        logger.warning("page %d (%s) is under suspicion", alone[0].id, alone[0].title)
        others = [page for page in left if page.id != suspect]
        return [others, alone] if others else [alone]
    if len(left) == 1:
        return [left]
    middle = len(left) // 2
    return [left[middle:], left[:middle]]


def _last_words(tail: str) -> str:
    """The exception's line, if there is one; the log's lines hold times and pids."""
    lines = [line for line in tail.splitlines() if line.strip() and not _LOG_LINE.match(line)]
    return lines[-1].strip() if lines else ""


class _Watch:
    """Reads the program's output for signs of life and of death. Called in a reader thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: list[int] = []
        self.last_progress = time.monotonic()
        self.has_begun = False
        self.traceback_since: float | None = None

    def __call__(self, line: str) -> None:
        begun, done = _PAGE_BEGUN.match(line), _PAGE_DONE.match(line)
        with self._lock:
            if begun:
                self._begun.append(int(begun[1]))
            if done and int(done[1]) in self._begun:
                self._begun.remove(int(done[1]))
            if begun or done:
                self.last_progress, self.has_begun = time.monotonic(), True
            elif line.startswith(_TRACEBACK) and self.traceback_since is None:
                self.traceback_since = time.monotonic()

    def suspect(self) -> int | None:
        """The page that was begun and not finished, if there is exactly one."""
        with self._lock:
            return self._begun[0] if len(self._begun) == 1 else None


class _Runner:
    """Runs the program on one batch after another in a scratch directory."""

    def __init__(
        self,
        scratch: Path,
        max_page_seconds: float,
        command: Sequence[str],
        templates: Path | None,
    ) -> None:
        self._scratch = scratch
        self._max_page_seconds = max_page_seconds
        self._command = tuple(command)
        self._template_options: tuple[str, ...] = ("--no-templates",)
        self._load_seconds = 0.0
        if templates is not None:
            self._template_options = ("--templates", str(templates.resolve()))
            self._load_seconds = templates.stat().st_size / _LOAD_BYTES_PER_SECOND
        self._num_runs = 0

    def run(self, pages: Sequence[Page]) -> _Run:
        """One supervised run; whatever whole articles it leaves are read.

        Raises:
            ProcessFailedError: the program gave what it was not asked for.
        """
        self._num_runs += 1
        directory = self._scratch / f"run-{self._num_runs}"
        output = directory / "text"
        output.mkdir(parents=True)
        dump = directory / "pages.xml"
        _write_dump(dump, pages)
        watch = _Watch()
        options = (*_OPTIONS, *self._template_options, _PROGRESS_OPTION)
        command = [*self._command, str(dump), "-o", str(output), *options]
        # Titles in its messages must not depend on the locale.
        environment = {**os.environ, "PYTHONUTF8": "1"}
        with GuardedProcess(
            command, env=environment, cwd=directory, on_line=watch, name="wikiextractor"
        ) as process:
            failure = self._supervise(process, watch)
            tail = process.tail(12)
        texts = _read_texts(output, {page.id for page in pages}, is_whole=not failure)
        shutil.rmtree(directory)
        return _Run(texts=texts, failure=failure, suspect=watch.suspect(), tail=tail)

    def _supervise(self, process: GuardedProcess, watch: _Watch) -> str:
        """Wait for the end; "" if it came by itself without error, else the kind of failure."""
        while True:
            try:
                code = process.wait(_POLL_SECONDS)
            except TimeoutError:
                pass
            else:
                return CRASHED if code or watch.traceback_since is not None else ""
            now = time.monotonic()
            since = watch.traceback_since
            if since is not None and now - since > _TRACEBACK_SECONDS:
                process.stop(_STOP_SECONDS)
                return CRASHED
            patience = self._max_page_seconds + (0.0 if watch.has_begun else self._load_seconds)
            if now - watch.last_progress > patience:
                process.stop(_STOP_SECONDS)
                return TIMEOUT

    def check_program_works(self) -> None:
        """Try the program on a page that cannot fail.

        Raises:
            ProcessFailedError: it fails all the same, so no page is to blame.
        """
        run = self.run([_PROBE])
        if _PROBE.id not in run.texts:
            last = " | ".join(run.tail.splitlines()[-3:])
            raise ProcessFailedError(
                f"wikiextractor: the program was expected to extract a one-line page; it gave "
                f"nothing ({run.failure or 'no output'}): {last}: check that wikiextractor>=3.1 is "
                "installed in this environment"
            )


def write_templates(path: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write template pages as the program's `--templates` option reads them.

    Args:
        path: the file.
        rows: title without namespace, wikitext, and title of the target, "" for no redirect.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for title, text, redirect in rows:
            # Of redirects the program knows the words of three languages only.
            body = f"#REDIRECT [[{_NO_TEMPLATE_NAMESPACE}:{redirect}]]" if redirect else text
            file.write(
                f"<page>\n<title>{_NO_TEMPLATE_NAMESPACE}:{_clean(title)}</title>\n<ns>10</ns>\n"
                f"<text>{_clean(body)}</text>\n</page>\n"
            )


def _write_dump(path: Path, pages: Sequence[Page]) -> None:
    """Write the least XML dump that the program reads (it goes by lines and knows no XML)."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(
            "<mediawiki>\n<siteinfo>\n<base>https://wiki.invalid/wiki/Main</base>\n<namespaces>\n"
            f'<namespace key="10">{_NO_TEMPLATE_NAMESPACE}</namespace>\n'
            "</namespaces>\n</siteinfo>\n"
        )
        for page in pages:
            file.write(
                f"<page>\n<title>{_clean(page.title)}</title>\n<ns>0</ns>\n<id>{page.id}</id>\n"
                f"<revision>\n<id>{page.revid}</id>\n<text>{_clean(page.text)}</text>\n"
                "</revision>\n</page>\n"
            )
        file.write("</mediawiki>\n")


def _clean(text: str) -> str:
    return escape(_FORBIDDEN.sub("", text), quote=False)


def _read_texts(output: Path, asked: set[int], *, is_whole: bool) -> dict[int, str]:
    """Read the articles below `output`; after a failure a line may be cut off.

    Raises:
        ProcessFailedError: a line is no article, or of a page that was not given.
    """
    texts: dict[int, str] = {}
    for path in sorted(item for item in output.rglob("*") if item.is_file()):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    article: Mapping[str, str] = json.loads(line)
                    page_id, text = int(article["id"]), article["text"]
                except (ValueError, KeyError, TypeError) as error:
                    if not is_whole:
                        break
                    raise ProcessFailedError(
                        f"wikiextractor: {path.name}, line {number}: a JSON article with id and "
                        f"text was expected; {error}: check the program's version"
                    ) from None
                if page_id not in asked:
                    raise ProcessFailedError(
                        f"wikiextractor: {path.name}, line {number}: it gave page {page_id}, which "
                        "it was not given: check the program's version"
                    )
                texts[page_id] = text
    return texts
