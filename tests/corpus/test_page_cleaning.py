"""Cleaning page by page: bad and slow pages are put aside, in any thread."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest
from page_artifacts import page

from headrace.corpus.page_cleaning import clean_pages
from headrace.corpus.page_watch import OvertimeError, PageWatch
from headrace.corpus.wikitext.cleaner import CleanedPage
from headrace.corpus.wikitext.errors import PageError
from headrace.errors import TooManyDropsError

T = TypeVar("T")


def in_main(function: Callable[[], T]) -> T:
    return function()


def in_thread(function: Callable[[], T]) -> T:
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def spin() -> None:
    while True:
        pass


class Moody:
    """Does what the page's text says."""

    def clean(self, title: str, wikitext: str) -> CleanedPage:
        if wikitext == "spin":
            with contextlib.suppress(Exception):  # cleaners may be as careless
                spin()
        if wikitext == "budget":
            raise PageError("page_too_complex", "9 expansions; at most 8 are allowed")
        if wikitext == "defect":
            raise KeyError("a\nb")
        if wikitext == "memory":
            raise MemoryError
        if wikitext == "deep":
            self.clean(title, wikitext)
        if wikitext == "surrogate":
            return CleanedPage("a\ud800", ())
        return CleanedPage(wikitext.upper(), ())


@pytest.mark.parametrize("where", [in_main, in_thread])
def test_each_ill_has_its_reason_and_the_others_come_out(where: Callable[..., T]) -> None:
    texts = ["one", "spin", "budget", "two", "defect", "memory", "deep", "surrogate", "three"]
    pages = [page(number, text) for number, text in enumerate(texts)]
    found = where(lambda: clean_pages(pages, Moody(), max_page_seconds=0.3))
    assert found.texts == {0: "ONE", 3: "TWO", 8: "THREE"}
    assert {number: reason for number, (reason, _) in found.failures.items()} == {
        1: "cleaner_timeout",
        2: "page_too_complex",
        4: "cleaner_error",
        5: "cleaner_error",
        6: "cleaner_error",
        7: "cleaner_error",
    }
    words = {number: words for number, (_, words) in found.failures.items()}
    assert "KeyError" in words[4]
    assert "\n" not in words[4]
    assert "MemoryError" in words[5]
    assert "RecursionError" in words[6]
    assert "at most 8" in words[2]


def test_search_ends_when_too_many_pages_are_bad() -> None:
    pages = [page(number, "defect") for number in range(9)]
    with pytest.raises(TooManyDropsError, match="id 2"):
        clean_pages(pages, Moody(), max_page_seconds=5, max_failures=2)


def test_interrupt_of_the_user_goes_through() -> None:
    class Interrupted:
        def clean(self, title: str, wikitext: str) -> CleanedPage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clean_pages([page(1, "x")], Interrupted(), max_page_seconds=5)


def test_endless_regular_expression_is_ended() -> None:
    with PageWatch(0.1) as watch, pytest.raises(OvertimeError):
        watch.call(re.match, "(a+)+$", "a" * 50 + "b")


@pytest.mark.parametrize("where", [in_main, in_thread])
def test_result_and_errors_pass_and_nothing_is_left_behind(where: Callable[..., T]) -> None:
    num_threads = threading.active_count()
    handler = signal.getsignal(signal.SIGALRM)
    before, _ = signal.getitimer(signal.ITIMER_REAL)  # pytest's own, if any

    def work() -> int:
        with PageWatch(30.0) as watch:
            with pytest.raises(ZeroDivisionError):
                watch.call(divmod, 1, 0)
            return watch.call(max, 3, 4)

    assert where(work) == 4
    assert threading.active_count() == num_threads
    assert signal.getsignal(signal.SIGALRM) is handler
    after, _ = signal.getitimer(signal.ITIMER_REAL)
    assert after == pytest.approx(before, abs=10)


@pytest.mark.parametrize(("where", "seconds"), [(in_main, 2e-4), (in_thread, 0.06)])
def test_calls_that_end_as_their_time_does_never_hit_the_next(
    where: Callable[..., T], seconds: float
) -> None:
    """The error arrives inside its own call or not at all, whatever the moment."""

    def work() -> int:
        num_over = 0
        with PageWatch(seconds) as watch:
            for number in range(20 if where is in_thread else 2000):
                counted = iter(range(number * 7 % 9000))
                try:
                    watch.call(sum, counted)
                except OvertimeError:
                    num_over += 1
        return num_over

    where(work)


def test_timer_of_somebody_else_runs_on() -> None:
    rung: list[int] = []
    timer = signal.getitimer(signal.ITIMER_REAL)
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 50.0)
        with PageWatch(0.05) as watch, pytest.raises(OvertimeError):
            watch.call(spin)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 1.0 < left < 50.0
        assert not rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)
