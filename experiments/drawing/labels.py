"""Words beside points, each in the first place about its point where it covers nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import Collection
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

Place = tuple[float, float, str, str]
PLACES: tuple[Place, ...] = (
    *((7, 0, "left", "center"), (-7, 0, "right", "center")),
    *((0, 7, "center", "bottom"), (0, -7, "center", "top")),
    *((6, 5, "left", "bottom"), (6, -5, "left", "top")),
    *((-6, 5, "right", "bottom"), (-6, -5, "right", "top")),
    *((10, 14, "left", "bottom"), (10, -14, "left", "top")),
    *((-10, 14, "right", "bottom"), (-10, -14, "right", "top")),
)
"""Offsets in points with the words' alignment, in order of liking."""


def place(axes: "Axes", texts: Sequence[tuple[str, float, float, str]]) -> None:
    """Write (words, x, y, colour) beside the points (x, y) of `axes`, all drawn already."""
    from matplotlib.transforms import Bbox

    figure = axes.figure
    figure.canvas.draw()  # settles the axes, so that data coordinates have their pixels
    points = np.array([axes.transData.transform((x, y)) for _, x, y, _ in texts])
    bars = [_extent(axes, bar).padded(1) for bar in axes.collections]
    taken = [*(Bbox([p - 4, p + 4]) for p in points), *bars]
    inside = axes.get_window_extent()
    for words, x, y, colour in texts:
        costs = []
        for where in PLACES:
            text = _write(axes, words, (x, y), where, colour)
            box = text.get_window_extent()
            costs.append(sum(_overlap(box, other) for other in taken) + _outside(box, inside))
            text.remove()
        text = _write(axes, words, (x, y), PLACES[int(np.argmin(costs))], colour)
        taken.append(text.get_window_extent())


def _write(
    axes: "Axes", words: str, point: tuple[float, float], where: Place, colour: str
) -> "Annotation":
    dx, dy, ha, va = where
    text = axes.annotate(
        words, point, (dx, dy), textcoords="offset points", ha=ha, va=va, fontsize=7.5, color=colour
    )
    text.set_in_layout(False)
    return text


def _extent(axes: "Axes", drawn: "Collection") -> "Bbox":
    """The pixels that an interval's bar spans; its own window extent leaves its data out."""

    return drawn.get_datalim(axes.transData).transformed(axes.transData)


def _overlap(a: "Bbox", b: "Bbox") -> float:
    """The area [square pixels] that two boxes share."""
    from matplotlib.transforms import Bbox

    both = Bbox.intersection(a, b)
    return 0.0 if both is None else float(both.width * both.height)


def _outside(box: "Bbox", frame: "Bbox") -> float:
    """The area of the box that lies outside the frame."""

    return float(box.width * box.height) - _overlap(box, frame)
