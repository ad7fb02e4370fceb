"""A headless Chromium, where the machine has one: nothing is downloaded."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
AUDIT = (Path(__file__).parent / "audit.js").read_text()
"""What a person without a mouse, sight or contrast would stumble on."""


@contextmanager
def chromium():
    """The browser; the test is skipped where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser, url, width=1400, scheme="light"):
    """The page at an address, and what it complained of or asked of others: a list that grows."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url[:200]))
    page.goto(url)
    complaints[:] = [text for text in complaints if text != url and not text.startswith("data:")]
    yield page, complaints
    context.close()
