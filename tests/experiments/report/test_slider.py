"""The page's slider in a real browser; skipped where none is installed."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from experiments.report import __main__ as script
from experiments.report import strips
from experiments.report.page import moment_said
from experiments.report.strips import View
from tests.experiments.report.chromium import AUDIT, chromium, opened
from tests.helpers.files import ROOT

SMALL = ROOT / "results" / "small"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def test_the_slider_moves_and_the_pictures_with_it(browser, tmp_path):
    """kills: a slider that moves no picture, or to another moment's; a view that cannot be had;
    what a screen reader is told that is not what is shown."""
    folder = tmp_path / "small"
    shutil.copytree(SMALL / strips.FOLDER, folder / strips.FOLDER)
    for path in SMALL.glob("table1.*"):
        shutil.copy(path, folder)
    shown = strips.read(folder)
    with opened(browser, script.write(folder).as_uri()) as (page, complaints):
        slider, strip = page.locator("#denoising-form input[type=range]"), page.locator(".strip")
        for view in View:
            page.locator(f"#denoising-form input[value={view.value}]").check()
            slider.focus()
            page.keyboard.press("Home")
            for i in (0, 1, 2):
                told = moment_said(shown.moments[i])
                assert slider.get_attribute("aria-valuetext") == told
                assert page.locator("#denoising-when").inner_text() == told
                for n in (0, 5):
                    seen = pixels(strip.nth(n).screenshot(), shown.width, shown.height)
                    file = SMALL / strips.FOLDER / f"{n}-{view.value}.webp"
                    whole = pixels(file.read_bytes(), shown.width, shown.height * 9)
                    line = whole[i * shown.height : (i + 1) * shown.height]
                    assert np.abs(seen - line).mean() < 4, (view, i, n)
                page.keyboard.press("ArrowRight")
        asked = shown.strips[5]
        assert f"{asked.name}: {asked.obeyed[3]} of 10" in page.locator("#strips").inner_text()
        assert page.evaluate(AUDIT) == []
        assert complaints == []


def pixels(picture, width, height):
    """A picture at the middle of each of its squares, in grey."""
    image = Image.open(io.BytesIO(picture)).convert("L")
    x = ((np.arange(width) + 0.5) * image.width / width).astype(int)
    y = ((np.arange(height) + 0.5) * image.height / height).astype(int)
    return np.asarray(image).astype(float)[np.ix_(y, x)]
