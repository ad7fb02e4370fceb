"""The page of a results folder as text: all that the files say, and nothing from elsewhere."""

import csv
import json
import re
from html.parser import HTMLParser

import pytest

from experiments.pipeline.files import StoreError
from experiments.report import __main__ as script
from experiments.report import captions, contents, page
from tests.helpers.files import ROOT

SMALL = ROOT / "results" / "small"
NUMBER = re.compile(r"-?[\d.]+(e[+-]?\d+)?").fullmatch


class Tags(HTMLParser):
    """Every tag with its attributes, and the text outside styles and scripts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.inside = [], "", ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("style", "script"):
            self.text += data


@pytest.fixture(scope="module")
def small():
    return contents.read(SMALL)


@pytest.fixture(scope="module")
def html(small):
    return page.rendered(small)


@pytest.fixture(scope="module")
def tags(html):
    return Tags(html)


def test_every_number_of_every_csv_is_in_the_page(tags):
    """kills: a table, row or column left out; a number rounded where it is kept whole."""
    kept = {float(v) for _, a in tags.tags for n, v in a.items() if n[:5] == "data-" and NUMBER(v)}
    for path in sorted(SMALL.glob("*.csv")):
        lines = [*csv.DictReader(path.read_text().splitlines())]
        names = json.loads(path.with_suffix(".json").read_text())["rows"][0]["names"]
        for line in lines:
            seeds = float(line.pop("n seeds"))
            numbers = {float(v) for title, v in line.items() if title not in names and v}
            assert numbers <= kept, path.name
            assert f"n = {seeds:.0f}" in tags.text


def test_every_claim_is_there_with_its_verdict(tags, small):
    """kills: a reading left out, or shown with another's verdict."""
    records = json.loads((SMALL / "claims.json").read_text())
    rows = [a for tag, a in tags.tags if tag == "tr" and "data-verdict" in a]
    assert [a["data-verdict"] for a in rows] == [r["verdict"] for r in records]
    assert all(r["claim"] in tags.text for r in records)
    drawn = [a for tag, a in tags.tags if tag == "svg"]
    assert len(drawn) == sum(r["half_width"] is not None and bool(r["margin"]) for r in records)


def test_every_figure_is_there_once_with_its_caption(tags):
    """kills: a picture left out or shown under two tables, or one that is not described."""
    shown = [a for tag, a in tags.tags if tag == "img" and "data-figure" in a]
    assert sorted(a["data-figure"] for a in shown) == sorted(
        path.stem for path in (SMALL / "figures").glob("*.png")
    )
    assert all(a["alt"] == captions.CAPTIONS[a["data-figure"]] for a in shown)


def test_every_figure_that_a_table_draws_has_a_caption_and_that_owner():
    """kills: a new figure without words, a caption of a figure that is gone, a wrong owner."""
    from experiments.hddm.__main__ import TABLES
    from experiments.paris2.__main__ import TABLES as VIDEO

    tables = (*TABLES, *VIDEO)
    drawn = {figure: table.name for table in tables for figure in table.figures}
    assert drawn.keys() == captions.CAPTIONS.keys()
    names = [table.name for table in tables]
    assert {figure: captions.owner(figure, names) for figure in drawn} == drawn


def test_nothing_is_fetched_and_the_page_is_small(html, tags):
    """kills: a script, style, font or picture from elsewhere; pictures embedded as they are."""
    for tag, attributes in tags.tags:
        for name in ("src", "href", "action", "srcset"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, value[:80])
    own = re.sub(r'<script type="text/plain".*?</script>', "", html, flags=re.DOTALL)
    assert not re.search(r"https?://|@import|url\(", own)
    assert "default-src 'none'" in html
    assert "connect-src 'none'" in html
    assert len(html.encode()) < page.MOST_BYTES


def test_the_papers_number_stands_apart(tags):
    """kills: a paper's number among ours, or without the mark that sets it apart."""
    cells = [a for tag, a in tags.tags if tag == "td" and a.get("data-v") == "29.64"]
    assert cells
    assert all("paper" in a["class"] for a in cells)


def test_what_a_row_was_made_of_is_in_the_page(tags, small):
    """kills: a key of one seed left out; seconds or machines of a table that are not shown."""
    for table in small.tables:
        keys = {key for row in table.rows for key in row.keys}
        assert all(key in tags.text for key in keys)
        assert all(machine in tags.text for machine in table.detail["machines"])
        assert all(commit in tags.text for commit in table.detail["commits"])


def test_names_are_escaped(tmp_path, small):
    """kills: a template that trusts what stands in a file."""
    for path in SMALL.glob("table1.*"):
        text = path.read_text().replace("text-free", "<img src=x>")
        (tmp_path / path.name).write_text(text)
    html = page.rendered(contents.read(tmp_path))
    assert "<img src=x>" not in html
    assert "&lt;img src=x&gt;" in html


def test_the_command_writes_the_page_or_says_in_one_line_what_is_wrong(tmp_path, capsys):
    """kills: a traceback for an empty or damaged folder; a page written of half of a table."""
    assert script.main(["--results", str(tmp_path)]) == 1
    assert "holds no tables" in capsys.readouterr().err
    (tmp_path / "small").mkdir()
    for path in SMALL.glob("table1.*"):
        (tmp_path / "small" / path.name).write_bytes(path.read_bytes())
    assert script.main(["--results", str(tmp_path)]) == 0
    written = tmp_path / "small" / "index.html"
    assert capsys.readouterr().out.strip() == str(written)
    lines = (tmp_path / "small" / "table1.csv").read_text().splitlines()
    (tmp_path / "small" / "table1.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(StoreError, match="table1"):
        script.write(tmp_path / "small")
    assert script.main(["--results", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_two_scales_are_not_compared(small):
    """kills: FIDs of digits held against those of scenes, number by number."""
    with pytest.raises(StoreError, match=r"is of scale small, .* of scenes"):
        script.against(small, ROOT / "results" / "scenes")
    assert script.against(small, ROOT / "results").numbers
