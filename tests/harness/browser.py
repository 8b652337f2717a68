"""Headless Chromium on Prefect's pages, as a person uses them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")


def browser_path() -> str:
    """The system's browser; without one the test is skipped, but never in CI."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    if os.environ.get("CI"):
        pytest.fail("no Chromium here: `make browser` installs it")
    pytest.skip("needs Chromium: `make browser` installs it")


@contextmanager
def open_page(*, width: int = 1400, height: int = 1000) -> Iterator[Any]:
    """A page of a fresh browser; requests to anything but the loopback address are refused."""
    from playwright.sync_api import sync_playwright

    path = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.foreign = []

        def route(route: Any) -> None:
            url = route.request.url
            if url.startswith(("http://127.0.0.1:", "data:", "blob:", "file:")):
                route.continue_()
            else:
                page.foreign.append(url)
                route.abort()

        page.route("**/*", route)
        try:
            yield page
        finally:
            context.close()
            browser.close()


def keep_picture(page: Any, name: str) -> Path:
    """Save what the page shows, for people to look at; see $HEADRACE_TEST_PICTURES."""
    folder = Path(os.environ.get("HEADRACE_TEST_PICTURES", ".pytest_cache/pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=str(path))
    return path
