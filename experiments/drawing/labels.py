"""Words beside points, each in the first place about its point where it covers nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import Collection
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

NEAR, FAR = 7.0, (7.0, 14.0, 22.0, 32.0, 44.0, 58.0)
"""Points from a point to its words; from beyond NEAR a thin line leads to them."""
TURNS = (0, 12, 6, 18, 3, 21, 9, 15, 1, 23, 11, 13, 5, 19, 7, 17)
"""Directions in which words may stand, in 24ths of a turn from the right, in order of liking."""
CROSSED = 60.0
"""What a leading line through other words costs, in square pixels of overlap; words that stand
nearer to another point than to their own cost twice that."""


@dataclass(frozen=True)
class LabelPlace:
    """Words' offset from their point, in points, and how they are aligned there."""

    dx: float
    dy: float
    ha: str
    va: str

    @property
    def distance(self) -> float:
        return math.hypot(self.dx, self.dy)

    def box(self, spot: np.ndarray, size: np.ndarray, unit: float) -> "Bbox":
        """The pixels of words of a size [2], beside the pixel `spot`.  unit: pixels a point."""
        from matplotlib.transforms import Bbox

        corner = spot + unit * np.array([self.dx, self.dy])
        corner = corner - size * [SHARE[self.ha], SHARE[self.va]]
        return Bbox([corner, corner + size])


SHARE = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
"""How much of the words lies before the place that they are aligned to."""


def _place(turn: int, distance: float) -> LabelPlace:
    x, y = (f(turn * math.pi / 12) for f in (math.cos, math.sin))
    ha = "center" if abs(x) < 0.3 else "left" if x > 0 else "right"
    va = "center" if abs(y) < 0.3 else "bottom" if y > 0 else "top"
    return LabelPlace(distance * x, distance * y, ha, va)


PLACES = tuple(_place(turn, distance) for distance in FAR for turn in TURNS)


def place(axes: "Axes", texts: Sequence[tuple[str, float, float, str]]) -> None:
    """Write (words, x, y, colour) beside the points (x, y) of `axes`, all drawn already."""
    from matplotlib.transforms import Bbox

    figure = axes.figure
    figure.canvas.draw()  # settles the axes, so that data coordinates have their pixels
    spots = [np.array(axes.transData.transform((x, y))) for _, x, y, _ in texts]
    bars = [_extent(axes, bar).padded(1) for bar in axes.collections]
    taken = [*(Bbox([p - 4, p + 4]) for p in spots), *bars]
    words_of, inside, unit = list["Bbox"](), axes.get_window_extent(), figure.dpi / 72
    for (words, x, y, colour), spot in zip(texts, spots, strict=True):
        first = _write(axes, words, (x, y), PLACES[0], colour)
        size = np.array([first.get_window_extent().width, first.get_window_extent().height])
        first.remove()
        costs = []
        for where in PLACES:
            box = where.box(spot, size, unit).padded(1)
            cost = sum(_overlap(box, other) for other in taken) + 4 * _outside(box, inside)
            through = sum(_crosses(spot, _middle(box), other) for other in words_of)
            strange = any(_gap(box, other) < _gap(box, spot) for other in spots)
            costs.append(cost + CROSSED * (through + 2 * strange) + where.distance)
        best = PLACES[int(np.argmin(costs))]
        _write(axes, words, (x, y), best, colour)
        taken.append(best.box(spot, size, unit))
        words_of.append(taken[-1])


def _write(
    axes: "Axes", words: str, point: tuple[float, float], where: LabelPlace, colour: str
) -> "Annotation":
    leading = {"arrowstyle": "-", "color": colour, "lw": 0.5, "shrinkA": 0, "shrinkB": 2}
    text = axes.annotate(
        words,
        point,
        (where.dx, where.dy),
        textcoords="offset points",
        ha=where.ha,
        va=where.va,
        fontsize=7,
        color=colour,
        arrowprops=leading if where.distance > NEAR + 1 else None,
    )
    text.set_in_layout(False)
    return text


def _middle(box: "Bbox") -> np.ndarray:
    return np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])


def _gap(box: "Bbox", spot: np.ndarray) -> float:
    """Pixels from a spot to the nearest edge of a box; 0 inside."""
    x = max(box.x0 - spot[0], 0.0, spot[0] - box.x1)
    y = max(box.y0 - spot[1], 0.0, spot[1] - box.y1)
    return math.hypot(x, y)


def _crosses(start: np.ndarray, end: np.ndarray, box: "Bbox") -> bool:
    """Whether the line between two pixels meets a box."""
    steps = start + np.linspace(0, 1, 24)[:, None] * (end - start)
    x, y = steps.T
    return bool(((x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)).any())


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
