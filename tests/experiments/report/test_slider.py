"""The page's pictures that move, in a real browser; skipped where none is installed."""

import io
import itertools
import shutil

import numpy as np
import pytest
from PIL import Image

from experiments.report import __main__ as script
from experiments.report import strips
from experiments.report.page import moment_said, turns_said
from experiments.report.strips import Turn, View
from tests.experiments.report.chromium import AUDIT, chromium, opened
from tests.helpers.files import ROOT

SMALL = ROOT / "results" / "small"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One table of small, and everything that moves."""
    folder = tmp_path_factory.mktemp("results") / "small"
    for name in (strips.FOLDER, strips.CLIPS):
        shutil.copytree(SMALL / name, folder / name)
    for path in SMALL.glob("table1.*"):
        shutil.copy(path, folder)
    script.write(folder)
    return folder


def test_the_slider_moves_and_the_pictures_with_it(browser, folder):
    """kills: a slider that moves no picture, or to another moment's; a view that cannot be had;
    what a screen reader is told that is not what is shown; a moment marked elsewhere in a map."""
    shown = strips.denoising(folder)
    with opened(browser, (folder / script.PAGE).as_uri()) as (page, complaints):
        slider, strip = page.locator("#denoising-form input[type=range]"), page.locator(".strip")
        for view in (View.ESTIMATE, View.STATE):
            page.locator(f"#denoising-form input[value={view.value}]").check()
            slider.focus()
            page.keyboard.press("Home")
            for i in (0, 1, 2):
                told = moment_said(shown.moments[i])
                assert slider.get_attribute("aria-valuetext") == told
                assert page.locator("#denoising-when").inner_text() == told
                marked = page.locator("#strips").evaluate("e => e.style.getPropertyValue('--at')")
                assert float(marked) == pytest.approx(1 - shown.moments[i].t)
                for n in (0, 5):
                    seen = pixels(strip.nth(n).screenshot(), shown.width, shown.height)
                    file = SMALL / strips.FOLDER / f"{n}-{view.value}.webp"
                    whole = pixels(file.read_bytes(), shown.width, shown.height * 9)
                    line = whole[i * shown.height : (i + 1) * shown.height]
                    assert np.abs(seen - line).mean() < 4, (view, i, n)
                page.keyboard.press("ArrowRight")
        asked = shown.strips[5]
        assert page.locator(".routing img").first.get_attribute("hidden") is None
        assert f"{asked.name}: {asked.obeyed[3]} of 10" in page.locator("#strips").inner_text()
        assert page.evaluate(AUDIT) == []
        assert complaints == []


def test_who_leads_is_said_in_words(browser, folder):
    """kills: turns of another prompt or method, in the wrong order."""
    shown = strips.denoising(folder)
    with opened(browser, (folder / script.PAGE).as_uri()) as (page, _):
        cells = page.locator("table.words tbody tr").nth(3).locator("td").all_text_contents()
    assert cells == [turns_said(turns) for turns in shown.routed[3].routing.leaders]
    assert turns_said([Turn(1.0, 4), Turn(0.62, 1)]) == "4; 1 from t = 0.62"


def test_clips_play_until_they_are_stopped(browser, folder):
    """kills: a button that does nothing or says what is not so, frames in another order, clips that
    move though nobody asked them to, a screen reader that is told of each frame."""
    shown = strips.clips(folder)
    with opened(browser, (folder / script.PAGE).as_uri()) as (page, complaints):
        play, frame = page.locator("#clips-form button"), page.locator("#clips-form input")
        strip = page.locator("#clip-strips .strip").nth(2)
        page.wait_for_timeout(500)
        assert (frame.input_value(), play.get_attribute("aria-pressed")) == ("1", "false")
        play.click()
        assert play.get_attribute("aria-pressed") == "true"
        passed = [(page.wait_for_timeout(60), int(frame.input_value()))[1] for _ in range(20)]
        steps = [(b - a) % shown.frames for a, b in itertools.pairwise(passed)]
        assert len({*passed}) > 2
        assert max(steps) < shown.frames / 2  # never backwards
        play.click()
        stopped = frame.input_value()
        page.wait_for_timeout(500)
        assert (frame.input_value(), play.get_attribute("aria-pressed")) == (stopped, "false")
        frame.focus()
        for key, i in (("Home", 0), ("End", shown.frames - 1), ("ArrowLeft", shown.frames - 2)):
            page.keyboard.press(key)
            assert page.locator("#clips-form output").inner_text() == f"{i + 1} of {shown.frames}"
            seen = pixels(strip.screenshot(), shown.width, shown.height)
            file = (folder / strips.CLIPS / "2.webp").read_bytes()
            whole = pixels(file, shown.width, shown.height * shown.frames)
            line = whole[i * shown.height : (i + 1) * shown.height]
            assert np.abs(seen - line).mean() < 4, i
        assert page.evaluate(AUDIT) == []
        assert page.locator("#clips-form output").get_attribute("aria-live") == "off"
        assert complaints == []


def pixels(picture, width, height):
    """A picture at the middle of each of its squares, in grey."""
    image = Image.open(io.BytesIO(picture)).convert("L")
    x = ((np.arange(width) + 0.5) * image.width / width).astype(int)
    y = ((np.arange(height) + 0.5) * image.height / height).astype(int)
    return np.asarray(image).astype(float)[np.ix_(y, x)]
