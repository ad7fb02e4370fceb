"""Curves, and rows below each other: what is drawn where, against numbers typed by hand."""

import math
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from experiments.drawing import curves, forest
from experiments.pipeline.stage import Measurement
from experiments.recipes.images import SCALES
from experiments.tables.columns import NOT_NEGATIVE, Column, percent
from experiments.tables.results import Results
from experiments.tables.rows import Row
from tests.helpers.stages import make
from tests.helpers.tables import TABLE

T_2 = 4.302652729911275  # Student's t at 0.975 with 2 degrees of freedom, from a printed table
FID, HITS = Column("fid", "FID", 2, lies=NOT_NEGATIVE), percent("hits", "Hits, %")
COST = Column("n", "Cost", 0)


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
    for drawing in (curves, forest):
        monkeypatch.setattr(drawing, "chart", lambda figure: kept.append(figure) or b"")

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


def test_each_doubling_is_as_wide(store, figure):
    """kills: 2 and 4 drawn upon each other beside 16, places named by their logarithms."""
    made = results(store, [(names(f"{k}"), 3.0, 0.5, 1) for k in (16, 2, 8, 4)])
    axes = figure(curves.curve, made, "x", [FID], "Line", "experts", None, True).axes[0]
    ((x, _),) = lines(axes).values()
    np.testing.assert_allclose(np.diff(x), np.diff(x)[0])
    ticks = dict(
        zip([t.get_text() for t in axes.get_xticklabels()], axes.get_xticks(), strict=True)
    )
    assert [*ticks] == ["2", "4", "8", "16"]
    np.testing.assert_allclose([*ticks.values()], x)


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


def test_rows_below_each_other_stand_by_cost_under_their_group(store, figure):
    """kills: rows in the table's order, a name beside another's number, a row in another group's
    panel, one of no group missing from any, a spread that seeds share drawn for a difference's."""
    named = [
        ({"Selection": "Top-2", "Router": "free"}, 4.0, 0.5, 50.0),
        ({"Selection": "Top-1", "Router": "free"}, 5.0, 0.5, 25.0),
        ({"Selection": "Top-1", "Router": "aware"}, 3.0, 0.5, 25.0),
        ({"Selection": "Real", "Router": ""}, 1.0, 0.5, 0.0),
        ({"Selection": "Alone", "Router": ""}, 6.0, 0.5, 30.0),
        ({"Selection": "none", "Router": "aware"}, None, 0.5, 25.0),
    ]
    less = {"free": 0, "aware": 2}
    drawn = figure(forest.by_cost, results(store, named), COST, FID, "Router", less)
    free, aware, *costs = drawn.axes
    wanted = {
        free: {"Real": (-3.0, "0"), "Top-1": (1.0, "25"), "Alone": (2.0, "30"), "Top-2": (0, "50")},
        aware: {"Real": (-2.0, "0"), "Top-1": (0.0, "25"), "Alone": (3.0, "30")},
    }
    for (axes, rows), beside in zip(wanted.items(), costs, strict=True):
        names_of, costs_of = (
            [label.get_text() for label in each.get_yticklabels()] for each in (axes, beside)
        )
        spots = [(bars[0].get_ydata()[0], bars[0].get_xdata()[0]) for bars in axes.containers]
        found = zip(names_of, spots, costs_of, strict=True)
        assert [(name, y, x, cost) for name, (y, x), cost in found] == [
            (name, y, *each) for y, (name, each) in enumerate(rows.items())
        ]
        assert axes.get_ylim() == beside.get_ylim()
        assert axes.yaxis_inverted()
        ends = [bar.get_segments()[0][:, 0] for bar in axes.collections]
        np.testing.assert_allclose(ends, [[x, x] for x, _ in rows.values()])
    assert [free.get_title(), aware.get_title()] == ["free", "aware"]
    hues = [[to_hex(bars[0].get_color()) for bars in axes.containers] for axes in (free, aware)]
    assert hues[0][0] == hues[0][2] == hues[1][0] == hues[1][2]
    assert len({hues[0][1], hues[1][1], hues[0][0]}) == 3
    assert "difference to Top-1, aware or to Top-2, free, paired by seed" in drawn.get_supxlabel()


def test_a_figure_is_the_same_bytes_every_time(store):
    """kills: a date, a version or a random number in a PNG or an SVG."""
    found = results(store, [(names("1"), 3.0, 0.5, 25.0), (names("2"), 8.0, 0.5, 50.0)])
    curve = [curves.curve(found, "x", [FID], None, "x") for _ in range(2)]
    rows = [forest.by_cost(found, COST, FID, "Line", {"a": 0}) for _ in range(2)]
    assert curve[0] == curve[1]
    assert rows[0] == rows[1]
    for drawn in (curve[0], rows[0]):
        assert drawn.png.startswith(b"\x89PNG")
        assert b"Software" not in drawn.png
        assert b"<svg" in drawn.svg[:1000]
        assert b"date" not in drawn.svg
        assert b"atplotlib v" not in drawn.svg
