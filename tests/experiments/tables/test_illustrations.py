"""Figures are drawn again where what they show has changed, and only there."""

from dataclasses import replace
from functools import partial

import pytest

from experiments.pipeline import provenance
from experiments.tables import illustrations
from experiments.tables.comparisons import RowAbsentError
from experiments.tables.results import Chart
from experiments.tables.rows import Row
from tests.helpers.stages import make
from tests.helpers.tables import TABLE, Given, fill, rows, write


@pytest.fixture
def drawing(store, tmp_path, monkeypatch):
    """A table with a figure, its numbers in a store; `draw` writes it and counts."""
    monkeypatch.setattr(provenance, "CODE", (*provenance.CODE, "tests"))
    monkeypatch.setattr(illustrations, "commit", lambda: "abc")
    monkeypatch.setattr(provenance, "commit", lambda: "abc")
    fill(store, rows, 3)
    drawn = []

    def figure(results):
        drawn.append(str(results.numbers))
        return drawn[-1].encode()

    table = replace(TABLE, figures={"picture": figure})

    def draw(table=table, **given):
        before = len(drawn)
        folder = write(store, tmp_path, table, **given)
        return len(drawn) - before, folder / "figures" / "picture.png"

    return table, draw


def test_a_figure_that_shows_the_same_is_left_as_it_is(drawing):
    """kills: figures drawn at every run, or the last one forgotten by the run after the next."""
    _, draw = drawing
    drawn, path = draw()
    written = path.stat().st_mtime_ns
    assert [drawn, draw()[0], draw()[0]] == [1, 0, 0]
    assert path.stat().st_mtime_ns == written


def test_a_chart_has_an_svg_beside_its_png_and_none_is_left_by_another(drawing, monkeypatch):
    """kills: a vector file that is not written, not made again when it is gone or damaged, or left
    beside a figure that has none now."""
    table, draw = drawing
    pixels = table.figures["picture"]

    def charted(results):
        return Chart(pixels(results), b"<svg>")

    chart = replace(table, figures={"picture": charted})
    drawn, path = draw(chart)
    vector = path.with_suffix(".svg")
    assert (drawn, vector.read_bytes(), path.read_bytes()[:1]) == (1, b"<svg>", b"[")
    assert draw(chart)[0] == 0
    vector.unlink()
    assert [draw(chart)[0], draw(chart)[0]] == [1, 0]
    vector.write_bytes(b"<sv")
    assert [draw(chart)[0], vector.read_bytes()] == [1, b"<svg>"]
    monkeypatch.setattr(illustrations, "commit", lambda: "the code without a chart")
    assert draw()[0] == 1
    assert not vector.exists()


@pytest.mark.parametrize("damage", ["unlink", "empty"])
def test_a_figure_that_is_gone_or_damaged_is_drawn_again(drawing, damage):
    """kills: a file taken for whole because the table remembers it."""
    _, draw = drawing
    _, path = draw()
    whole = path.read_bytes()
    path.unlink() if damage == "unlink" else path.write_bytes(b"")
    assert draw()[0] == 1
    assert path.read_bytes() == whole


def test_a_table_whose_json_is_damaged_is_drawn_again(drawing):
    """kills: a run that ends at what the last one left half written."""
    _, draw = drawing
    _, path = draw()
    for text in ('{"figures": ', '{"figures": [1]}', "{}"):
        (path.parents[1] / "table9.json").write_text(text)
        assert draw()[0] == 1


def test_other_rows_numbers_seeds_or_code_are_drawn(drawing, store, monkeypatch):
    """kills: a figure of old numbers, of fewer seeds, of rows under other names, or of other code
    beside a table of new ones."""
    table, draw = drawing
    _, path = draw()
    content = path.read_bytes()

    def one_changed(scale, seed):
        return [Row({"Strategy": "Alone"}, Given(99.0, 0.5)), *rows(scale, seed)[1:]]

    def renamed(scale, seed):
        return [replace(rows(scale, seed)[0], names={"Strategy": "One"}), *rows(scale, seed)[1:]]

    make(store, Given(99.0, 0.5))
    assert draw(replace(table, rows=one_changed))[0] == 1
    assert path.read_bytes() != content
    assert [draw()[0], draw(seeds=2)[0], draw()[0]] == [1, 1, 1]
    assert draw(replace(table, rows=renamed))[0] == 1
    assert draw()[0] == 1
    monkeypatch.setattr(illustrations, "commit", lambda: "abd")
    assert draw()[0] == 1


def test_an_artifact_made_again_is_drawn(drawing, store):
    """kills: a key taken for the content: another device's numbers differ in their last digits."""
    _, draw = drawing
    draw()
    store.provenance(Given(9.0, 0.5))["files"]["each.npz"] = "of other bytes"
    assert draw()[0] == 1


def test_code_that_no_commit_names_is_drawn_every_time(drawing, monkeypatch):
    """kills: a figure of a notebook, or of a tree without git, kept over an edit of its code."""
    table, draw = drawing
    wrapped = replace(table, figures={"picture": partial(table.figures["picture"])})
    assert [draw(wrapped)[0], draw(wrapped)[0]] == [1, 1]
    monkeypatch.setattr(provenance, "commit", lambda: provenance.UNKNOWN)
    assert [draw()[0], draw()[0]] == [1, 1]
    monkeypatch.setattr(provenance, "commit", lambda: "abc")
    monkeypatch.setattr(provenance, "CODE", ("modules",))
    assert [draw()[0], draw()[0]] == [1, 1]


def test_a_figure_whose_rows_are_gone_goes_too(drawing):
    """kills: the last figure standing beside a table without its rows, or remembered as drawn."""
    table, draw = drawing
    _, path = draw()

    def absent(results):
        raise RowAbsentError("the row is left out")

    draw(replace(table, figures={"picture": absent}), seeds=2)
    assert not path.exists()
    assert draw()[0] == 1
