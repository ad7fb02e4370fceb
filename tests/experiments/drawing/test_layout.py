"""Charts on a page: nothing overlaps, every axis is named, all fits and can be told apart.

They are drawn of the committed numbers of `small`.
"""

import json
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from experiments.drawing.style import COLOURS, DASHES, MARKERS, PAGE
from experiments.hddm import (
    ablation_ratio,
    ablation_router,
    ablation_selection,
    ablation_threshold,
    ablation_weights,
)
from experiments.paris2 import router, switching, table1
from experiments.tables.results import Results
from tests.helpers.files import ROOT

CHARTS = {
    "ablation-ratio": ablation_ratio.TABLE,
    "ablation-router": ablation_router.TABLE,
    "ablation-selection": ablation_selection.TABLE,
    "ablation-threshold": ablation_threshold.TABLE,
    "ablation-weights-errors": ablation_weights.TABLE,
    "paris2-router": router.TABLE,
    "paris2-switching": switching.TABLE,
    "paris2-fig2": table1.TABLE,
}


class Committed(Results):
    """A table's results as its .json has them; a row that it lacks has no numbers."""

    def __init__(self, table):
        found = json.loads((ROOT / "results" / "small" / f"{table.name}.json").read_text())
        scale = table.scales["small"]
        self.table, self.scale, self.seeds = table, scale, found["seeds"]
        self.judge, self.rows = table.judge(scale), table.by_seed(scale, self.seeds)
        self.scale_name, self.changed, self.lacking = "small", {}, []
        known = {tuple(row["names"].values()): row["values"] for row in found["rows"]}
        self.numbers = [
            [self._of(known.get((*row.names.values(),), {}), seed) for row in rows]
            for seed, rows in enumerate(self.rows)
        ]

    def _of(self, values, seed):
        return {key: each[seed] for key, each in values.items() if each[seed] is not None}


@pytest.fixture(params=CHARTS)
def figure(request, monkeypatch):
    """A chart, drawn."""
    kept, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (kept.append(self), save(self, *a, **k))[1]
    )
    table = CHARTS[request.param]
    results = Committed(table)
    table.figures[request.param](results)
    FigureCanvasAgg(kept[-1]).draw()
    kept[-1].seeds = results.seeds
    return kept[-1]


def ticks(axis):
    """The words at an axis's ticks that are within its view, on either side."""
    low, high = sorted(axis.get_view_interval())
    every = axis.get_major_ticks() + axis.get_minor_ticks()
    there = [tick for tick in every if low <= tick.get_loc() <= high]
    return [label for tick in there for label in (tick.label1, tick.label2)]


def words(figure):
    """Every text of a chart that is seen."""
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    texts += [figure._supxlabel] if figure._supxlabel else []
    for axes in figure.axes:
        if axes.axison:
            texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
            texts += [*ticks(axes.xaxis), *ticks(axes.yaxis)]
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def shared(a, b):
    """The square pixels that two boxes share."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(width, 0) * max(height, 0)


def test_no_words_overlap_and_all_fit_a_page(figure):
    """kills: titles run together, tick labels over each other, a legend over a title, a chart that
    is wider or taller than a page."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in words(figure)]
    turned = {text.get_text() for text in words(figure) if text.get_rotation() % 90}
    over = [
        (a, b)
        for (a, box), (b, other) in combinations(boxes, 2)
        if shared(box, other) > 2 and not {a, b} <= turned  # slanted words have wider boxes
    ]
    assert not over
    size = figure.get_size_inches()
    assert size[0] <= PAGE[0]
    assert size[1] <= PAGE[1]


def test_words_are_large_enough_and_every_axis_has_a_name(figure):
    """kills: type below 7 points on the page, an axis without a name or a unit."""
    assert min(text.get_fontsize() for text in words(figure)) >= 7
    for axes in figure.axes:
        if axes.axison:
            assert axes.get_ylabel() or axes.get_title()
            named = [label.get_text().lstrip("-\N{MINUS SIGN}") for label in ticks(axes.xaxis)]
            assert axes.get_xlabel() or not any(name[:1].isdigit() for name in named)


def test_n_and_interval_are_said(figure):
    """kills: whiskers that do not say what they are."""
    assert "95 % interval" in figure.get_supxlabel()
    assert f"n = {figure.seeds} seeds" in figure.get_supxlabel()


SEEN = {  # Machado, Oliveira and Fernandes (2009), severity 1: linear RGB as each sees it
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
LEAST = 10.0
"""In CIELAB, of which a difference of about 2.3 is just seen side by side."""


def lab(linear):
    """CIELAB under D65 of linear RGB."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(linear, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", SEEN)
def test_the_colours_are_told_apart_by_every_eye(eye):
    """kills: a red beside a green of its lightness, a colour that white paper swallows."""
    srgb = np.array([to_rgb(colour) for colour in (*COLOURS, "white")])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = [lab(np.array(SEEN[eye]) @ each) for each in linear]
    apart = {(i, j): np.linalg.norm(seen[i] - seen[j]) for i, j in combinations(range(8), 2)}
    assert min(apart.values()) >= LEAST, min(apart, key=apart.get)


def test_lines_of_a_chart_differ_in_more_than_colour():
    """kills: lines that a grey print makes one."""
    assert len({*zip(MARKERS, DASHES, strict=True)}) == len(COLOURS) == len(MARKERS)
