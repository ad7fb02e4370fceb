"""The page as a person meets it, in a real browser; skipped where none is installed."""

import json
import shutil

import pytest

from experiments.report import __main__ as script
from tests.experiments.report.chromium import AUDIT, chromium, opened
from tests.helpers.files import ROOT

TABLE = "#table1-numbers"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


SMALL = ROOT / "results" / "small"
FEW = ("table1", "table3", "claims", "ablation-router")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of all committed results."""
    folder = shutil.copytree(SMALL, tmp_path_factory.mktemp("results") / "small")
    return script.write(folder).as_uri()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A page of few tables, which opens sooner, against one with another number."""
    results = tmp_path_factory.mktemp("results")
    folder, other = results / "small", results / "other" / "small"
    for place in (folder, other):
        (place / "figures").mkdir(parents=True)
        for path in (path for name in FEW for path in SMALL.rglob(f"{name}.*")):
            shutil.copy(path, place / path.relative_to(SMALL))
    digits = (other / "table1.csv").read_text()
    (other / "table1.csv").write_text(digits.replace("29.64,6.2285", "29.64,9.9"))
    return script.write(folder, results / "other").as_uri()


def column(page, title):
    """The first cells and the shown numbers of Table 1's column, from above."""
    return page.evaluate(
        """([table, title]) => {
          const heads = [...document.querySelectorAll(`${table} > thead tr:last-child th`)];
          const i = heads.findIndex((head) => head.textContent.includes(title));
          return [...document.querySelectorAll(`${table} > tbody > tr:not(.made)`)].map((row) =>
            row.cells[i].dataset.v ?? row.cells[i].textContent);
        }""",
        [TABLE, title],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "scheme"), [(360, "light"), (820, "light"), (1400, "light"), (1400, "dark")]
)
def test_the_page_opens_clean_at_every_width(browser, whole, width, scheme):
    """kills: an error in a script, a request that leaves the page, a page wider than its window,
    a broken picture, text too pale, what has no name, a link or an id that leads nowhere."""
    with opened(browser, whole, width, scheme) as (page, complaints):
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        page.evaluate("for (const each of document.querySelectorAll('button.more')) each.click()")
        page.evaluate("Promise.all([...document.images].map((each) => each.src && each.decode()))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(AUDIT) == []
        assert complaints == []


def test_the_audit_finds_what_is_wrong(browser):
    """kills: an audit that finds nothing, whatever the page."""
    bad = """<html><body><p style="color:#999;background:#fff">pale</p><button></button>
      <img src="x"><table><tr><th>a</th></tr></table><input><a href="#gone">away</a><h3>deep</h3>
      <i id="a"></i><i id="a"></i></body></html>"""
    page = browser.new_page()
    page.set_content(bad)
    found = "\n".join(page.evaluate(AUDIT))
    page.close()
    for said in (
        *("contrast 2.85", "button : has no name", "no alt text", "is broken", "no caption"),
        *("no scope", "has no label", "leads nowhere", "jumps", "two are called a", "no language"),
    ):
        assert said in found, (said, found)


def test_a_column_sorts_both_ways_and_says_so(browser, url):
    """kills: text sorted as text where it is numbers, rows parted from how they were made, the
    missing sorted as 0."""
    with opened(browser, url) as (page, _):
        head = page.locator(f"{TABLE} th[data-key=fid]")
        head.locator("button").click()
        numbers = [float(v) for v in column(page, "FID (digit")]
        assert numbers == sorted(numbers)
        assert head.get_attribute("aria-sort") == "ascending"
        head.locator("button").press("Enter")
        assert [float(v) for v in column(page, "FID (digit")] == numbers[::-1]
        page.locator(f"{TABLE} th.paper button").click()
        papers = column(page, "FID-50K")
        assert papers[:4] == ["22.6", "29.64", "30.6", "47.89"]
        assert {*papers[4:]} == {""}
        below = page.evaluate(
            f"""[...document.querySelectorAll('{TABLE} > tbody > tr.made')].every((row) =>
              row.id === row.previousElementSibling.id + '-made')"""
        )
        assert below


def test_differences_and_makings_are_one_click_away(browser, url):
    """kills: a toggle that shows nothing, or that does not say whether it is pressed."""
    with opened(browser, url) as (page, _):
        row = page.locator(f"{TABLE} > tbody > tr:not(.made)", has_text="Top-1").first
        assert "43.03" in row.inner_text()
        toggle = page.locator("[data-differences=table1-numbers]")
        toggle.click()
        assert toggle.get_attribute("aria-pressed") == "true"
        assert "36.80" in row.inner_text()
        assert "43.03" not in row.inner_text()
        more = row.locator("button.more")
        made = page.locator(f"#{more.get_attribute('aria-controls')}")
        assert not made.is_visible()
        more.focus()
        page.keyboard.press("Enter")
        assert made.is_visible()
        assert more.get_attribute("aria-expanded") == "true"
        assert made.locator("tbody tr").count() == 10


def test_claims_are_filtered_by_paper_verdict_and_words(browser, url):
    """kills: a filter that filters nothing, or hides what it should show."""
    with opened(browser, url) as (page, _):
        rows = page.locator("#claims-table tbody tr")
        visible = (
            "rows => rows.filter((r) => !r.hidden).map((r) => [r.dataset.paper, r.dataset.verdict])"
        )
        every = rows.evaluate_all(visible)
        page.locator("#claim-filters select[name=paper]").select_option("HDDM")
        hddm = rows.evaluate_all(visible)
        assert hddm == [each for each in every if each[0] == "HDDM"]
        page.locator("#claim-filters input[value=undecided]").uncheck()
        assert rows.evaluate_all(visible) == [each for each in hddm if each[1] != "undecided"]
        page.locator("#claim-filters input[name=words]").fill("monolith fid")
        some = rows.evaluate_all(visible)
        assert 0 < len(some) < len(hddm)
        assert page.locator("#claims-shown").inner_text() == f"{len(some)} of {len(every)} readings"
        page.locator("#claim-filters button[type=reset]").click()
        page.wait_for_function(
            f"document.getElementById('claims-shown').textContent.startsWith('{len(every)} of')"
        )


def test_what_moved_is_shown_and_the_rest_on_request(browser, url):
    """kills: a comparison that finds nothing, or shows all that did not move."""
    with opened(browser, url) as (page, _):
        rows = page.locator("#moves-table tbody tr:visible")
        assert page.locator("#move-filters input[value=WITHIN]").is_checked()
        assert "6.23" in rows.first.inner_text()
        assert rows.count() == 1
        page.locator("#move-filters input[value=SAME]").check()
        assert rows.count() > 100


def test_a_figure_is_enlarged_and_escape_returns(browser, url):
    """kills: a dialog without its picture, or one that keeps the focus."""
    with opened(browser, url) as (page, _):
        button = page.locator("button.enlarge").first
        button.focus()
        page.keyboard.press("Enter")
        dialog = page.locator("#enlarged")
        assert dialog.is_visible()
        assert dialog.locator("img").evaluate("image => image.naturalWidth") > 300
        assert dialog.locator("img").get_attribute("alt")
        page.keyboard.press("Escape")
        assert not dialog.is_visible()
        assert button.evaluate("each => each === document.activeElement")


def test_the_theme_is_chosen_and_kept(browser, url):
    """kills: a switch that changes nothing, or is forgotten."""
    with opened(browser, url) as (page, _):
        ground = "getComputedStyle(document.body).backgroundColor"
        before = page.evaluate(ground)
        page.locator("[data-theme-choice=dark]").click()
        dark = page.evaluate(ground)
        assert dark != before
        other = page.context.new_page()  # a reload may read before the browser has heard of a write
        other.goto(url)
        other.wait_for_function("localStorage.getItem('theme') === 'dark'")
        page.reload()
        assert page.evaluate(ground) == dark


def test_two_columns_are_drawn_against_each_other(browser, url):
    """kills: a library that does not unpack, a row left out of the plot, a fetch by the library."""
    with opened(browser, url) as (page, complaints):
        page.locator("#explore-form button[type=submit]").click()
        page.locator("#plot .point").first.wait_for(timeout=20000)
        assert page.locator("#plot .point").count() == 8
        assert "8 rows of table1" in page.locator("#plot-said").inner_text()
        page.locator("[data-theme-choice=dark]").click()
        page.locator("#explore-form select[name=table]").select_option("table3-numbers")
        page.locator("#explore-form button[type=submit]").click()
        page.wait_for_function(
            "document.getElementById('plot-said').textContent.includes('table3')"
        )
        assert complaints == []


def test_keys_reach_everything_and_the_focus_is_seen(browser, url):
    """kills: an outline taken away, a skip link that skips nothing, what only a mouse reaches."""
    with opened(browser, url) as (page, _):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        for _ in range(12):
            page.keyboard.press("Tab")
            style = "getComputedStyle(document.activeElement)"
            assert page.evaluate(f"{style}.outlineStyle") == "solid"
            assert float(page.evaluate(f"parseFloat({style}.outlineWidth)")) >= 2


def test_what_was_not_run_is_shown_on_request_where_it_is_most(browser, tmp_path):
    """kills: ten verdicts lost among hundreds of rows that say that nothing was run."""
    folder = shutil.copytree(ROOT / "results" / "scenes", tmp_path / "scenes")
    claims = json.loads((folder / "claims.json").read_text())
    run = [line for line in claims if line["verdict"] != "not run"]
    assert 2 * len(run) < len(claims)
    with opened(browser, script.write(folder).as_uri()) as (page, problems):
        assert page.locator("#claims-shown").inner_text() == f"{len(run)} of {len(claims)} readings"
        page.locator("#claim-filters button").click()
        page.get_by_text(f"{len(claims)} of {len(claims)} readings").wait_for()
        assert problems == []
