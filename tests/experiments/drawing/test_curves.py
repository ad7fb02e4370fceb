"""Curves and scatters: what is drawn where, against numbers typed by hand."""

import math
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from experiments.drawing import curves
from experiments.drawing.labels import place
from experiments.pipeline.stage import Measurement
from experiments.recipes.images import SCALES
from experiments.tables.columns import Column
from experiments.tables.results import Results
from experiments.tables.rows import Row
from tests.helpers.stages import make
from tests.helpers.tables import TABLE

T_2 = 4.302652729911275  # Student's t at 0.975 with 2 degrees of freedom, from a printed table
FID, HITS, COST = Column("fid", "FID", 2), Column("hits", "Hits, %", 1, 100), Column("n", "Cost", 0)


@dataclass(frozen=True)
class Typed(Measurement):
    """Numbers typed by hand; None is left out."""

    fid: float | None
    hits: float | None = 0.5
    n: float = 1.0

    def measure(self, folder, context):
        found = {"fid": self.fid, "hits": self.hits, "n": self.n}
        return {name: value for name, value in found.items() if value is not None}


def results(store, named):
    """Three seeds of rows (names, fid, hits, n), the FID of a seed being fid - 1, fid, fid + 1."""

    def rows(scale, seed):
        found = []
        for names, fid, hits, n in named:
            measured = Typed(None if fid is None else fid + seed - 1, hits, n)
            found.append(Row(names, measured))
        return found

    for seed in range(3):
        for row in rows(None, seed):
            make(store, row.measured)
    table = replace(TABLE, columns=[FID, HITS], rows=rows, baseline=None, paper=[])
    return Results(table, "small", SCALES["small"], 3, store)


@pytest.fixture
def figure(monkeypatch):
    """What is drawn, rather than its PNG: a function of a drawing function and its arguments."""
    kept = []
    monkeypatch.setattr(curves, "chart", lambda figure: kept.append(figure) or b"")

    def draw(function, *arguments):
        function(*arguments)
        return kept[-1]

    yield draw
    plt.close("all")


def names(x, line="a"):
    return {"Line": line, "x": x}


def lines(axes):
    """{label: (x, y)} of the lines of a panel that have points with markers."""
    drawn = [line for line in axes.get_lines() if line.get_marker() not in ("None", "_", "|")]
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in drawn}


def test_points_stand_at_their_numbers_in_order_and_gaps_stay_open(store, figure):
    """kills: x sorted as text, a factor forgotten, a missing value drawn as 0 or bridged, a row in
    another's line."""
    named = [
        (names("10"), 4.0, 0.1, 1.0),
        (names("9"), 3.0, 0.2, 1.0),
        (names("1e1", "b"), 7.0, 0.3, 1.0),
        (names("9.5"), None, 0.4, 1.0),
    ]
    drawn = figure(curves.curve, results(store, named), "x", [FID, HITS], "Line", "x [unit]")
    fid, hits = drawn.axes
    near = 0.02 * (10 - 9)  # a line stands that share of all x aside of another at most
    x, y = lines(fid)["b"]
    assert (x, y) == (pytest.approx([10.0], abs=near), [7.0])
    x, y = lines(fid)["a"]
    assert x == pytest.approx([9.0, 9.5, 10.0], abs=near)
    assert x[2] != lines(fid)["b"][0][0]
    assert (y[0], y[2]) == (3.0, 4.0)
    assert math.isnan(y[1])
    np.testing.assert_allclose(lines(hits)["a"][1], [20, 40, 10])
    assert [axes.get_title() for axes in drawn.axes] == ["FID", "Hits, %"]
    assert fid.get_xlabel() == "x [unit]"
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["a", "b"]


def whisker_ends(axes):
    """The (low, high) of every upright whisker of a panel."""
    segments = [segment for bars in axes.collections for segment in bars.get_segments()]
    return [[low, high] for (a, low), (b, high) in segments if a == b]


def test_whiskers_end_where_students_interval_does(store, figure):
    """kills: a standard error or deviation drawn for the 95 % interval, a half of it."""
    named = [(names("1"), 3.0, 0.5, 1.0), (names("2"), 8.0, 0.5, 1.0)]
    axes = figure(curves.curve, results(store, named), "x", [FID], None, "x").axes[0]
    half = T_2 / math.sqrt(3)  # the values are m - 1, m, m + 1, of deviation 1
    np.testing.assert_allclose(whisker_ends(axes), [[3 - half, 3 + half], [8 - half, 8 + half]])


def test_whiskers_end_where_the_numbers_range_does(store, figure):
    """kills: a negative distance, and one that is cut where nothing bounds it."""
    named = [(names("1"), 1.0, 0.5, 1.0)]
    axes = figure(curves.curve, results(store, named), "x", [FID], None, "x").axes[0]
    half = T_2 / math.sqrt(3)
    assert half > 1
    np.testing.assert_allclose(whisker_ends(axes), [[0, 1 + half]])


def test_a_difference_is_paired_by_seed_and_may_be_negative(store, figure):
    """kills: the spread that seeds share drawn for that of a difference; a difference cut at 0; the
    reference itself away from 0."""
    named = [(names("1"), 3.0, 0.5, 1.0), (names("2"), 8.0, 0.5, 1.0)]
    drawn = figure(curves.curve, results(store, named), "x", [FID], None, "x", 1)
    assert lines(drawn.axes[0])["_line"][1] == [-5.0, 0.0]
    np.testing.assert_allclose(whisker_ends(drawn.axes[0]), [[-5, -5], [0, 0]])
    assert "difference to a, 2, paired by seed, n = 3" in drawn.get_supxlabel()


def test_rows_without_a_number_are_level_and_those_that_share_one_are_not_joined(store, figure):
    """kills: a baseline dropped or put at x = 0, an infinite x, a line between two points of one x
    as if it were a function."""
    named = [
        (names("1"), 3.0, 0.5, 1.0),
        (names("1"), 5.0, 0.5, 1.0),
        (names("2", "b"), 5.0, 0.5, 1.0),
        (names("3", "b"), 6.0, 0.5, 1.0),
        (names("FM alone", ""), 9.0, 0.5, 1.0),
        (names("inf", ""), 10.0, 0.5, 1.0),
    ]
    axes = figure(curves.curve, results(store, named), "x", [FID], "Line", "x").axes[0]
    widths = {line.get_label(): line.get_linewidth() for line in axes.get_lines()}
    assert widths["a"] == 0 < widths["b"]
    level = {line.get_label(): line.get_ydata() for line in axes.get_lines()[-2:]}
    assert level == {"FM alone": [9.0, 9.0], "inf": [10.0, 10.0]}


def test_a_scatter_parts_groups_names_points_and_levels_what_cost_nothing(store, figure):
    """kills: log of zero, a row's name lost, a colour a point, the axes swapped, a row in another
    group's panel, one of no group missing from any."""
    named = [
        ({"Selection": "Top-1", "Router": "free"}, 5.0, 0.5, 25.0),
        ({"Selection": "Top-2", "Router": "free"}, 4.0, 0.5, 50.0),
        ({"Selection": "Top-1", "Router": "aware"}, 3.0, 0.5, 25.0),
        ({"Selection": "Real", "Router": ""}, 1.0, 0.5, 0.0),
        ({"Selection": "Alone", "Router": ""}, 6.0, 0.5, 30.0),
        ({"Selection": "none", "Router": "aware"}, None, 0.5, 25.0),
    ]
    free, aware = figure(curves.scatter, results(store, named), COST, FID, "Router").axes
    assert [free.get_title(), aware.get_title()] == ["free", "aware"]
    points = [
        {
            (bar[0].get_xdata()[0], bar[0].get_ydata()[0]): to_hex(bar[0].get_color())
            for bar in axes.containers
        }
        for axes in (free, aware)
    ]
    assert [set(found) for found in points] == [{(25, 5), (50, 4), (30, 6)}, {(25, 3), (30, 6)}]
    assert points[0][25, 5] == points[0][50, 4] != points[1][25, 3]
    assert points[0][30, 6] == points[1][30, 6] not in (points[0][25, 5], points[1][25, 3])
    texts = {(text.get_text(), *text.xy) for text in free.texts}
    assert texts == {("Top-1", 25.0, 5.0), ("Top-2", 50.0, 4.0), ("Alone", 30.0, 6.0)}
    for axes in (free, aware):
        assert [line.get_ydata() for line in axes.get_lines() if line.is_dashed()] == [[1.0, 1.0]]


def test_words_beside_crowded_points_cover_neither_words_nor_points():
    """kills: every label in its first place, whatever stands there."""
    figure, axes = plt.subplots()
    spots = [(i * 0.05, 0.5 + 0.001 * i) for i in range(6)]
    axes.plot(*zip(*spots, strict=True), "o")
    axes.set_xlim(-0.5, 1)
    axes.set_ylim(0, 1)
    place(axes, [(f"Top-{i}", x, y, "black") for i, (x, y) in enumerate(spots)])
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 6
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])
        assert not any(a.contains(*axes.transData.transform(spot)) for spot in spots)
    plt.close(figure)


def test_a_figure_is_the_same_bytes_every_time(store):
    """kills: a date, a version or a random number in a PNG or an SVG."""
    found = results(store, [(names("1"), 3.0, 0.5, 25.0), (names("2"), 8.0, 0.5, 50.0)])
    curve = [curves.curve(found, "x", [FID], None, "x") for _ in range(2)]
    scatter = [curves.scatter(found, COST, FID, "Line") for _ in range(2)]
    assert curve[0] == curve[1]
    assert scatter[0] == scatter[1]
    for drawn in (curve[0], scatter[0]):
        assert drawn.png.startswith(b"\x89PNG")
        assert b"Software" not in drawn.png
        assert b"<svg" in drawn.svg[:1000]
        assert b"date" not in drawn.svg
        assert b"atplotlib v" not in drawn.svg
