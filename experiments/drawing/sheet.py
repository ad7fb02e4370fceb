"""A sheet of pictures that fits a printed page: lines of groups, with names, heads and captions.

The page decides how large pictures are, and never how large letters are. Columns are as far apart
as the widest word of their captions needs, so that none is broken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.drawing.style import FAINT, INK, PAGE, page, picture, png
from experiments.drawing.words import inches, widest, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRAMED = "red: the judge reads another class than the caption names"
CAPTION, NAME, HEAD = 7.0, 8.0, 9.0
"""Points of a caption's letters, of a name's and of a head's."""
LEADING = 1.25 / 72
"""Inches from one line to the next, for each point of its letters."""
NARROW, BETWEEN, APART = 0.06, 0.3, 0.1
"""Inches between pictures, between groups of them, and between captions."""
NAMES, WORD = 1.25, 0.8
"""Inches of a line of a name, and of the widest word of a caption that is not broken."""
STEP, LEAST = 0.02, 0.2
"""Inches by which pictures shrink until they fit, and their least side."""


@dataclass(frozen=True)
class Cell:
    """image: [C, H, W] in [-1, 1].  wrong: whether it gets a red frame."""

    image: NDArray[np.float32]
    caption: str
    wrong: bool = False


@dataclass(frozen=True)
class PictureRow:
    """Pictures side by side, in groups, behind their name.  captioned: where captions stand below
    every picture, whether they do below these."""

    name: str
    groups: Sequence[Sequence[Cell]]
    captioned: bool = True

    @property
    def words(self) -> list[str]:
        """The captions of all its pictures."""
        return [cell.caption for group in self.groups for cell in group]


class CaptionPlace(Enum):
    """Where captions stand: above the first line for all of them and above each line that has
    others, below every picture, nowhere."""

    ABOVE = "above"
    BELOW = "below"
    NONE = "none"


@dataclass(frozen=True)
class Layout:
    """Where things stand, in inches.  columns: the left edges of each group's pictures.  pitches:
    from one picture of a group to the next.  heads: where the rules under the heads are.  tops: of
    each line's pictures."""

    side: float
    columns: Sequence[Sequence[float]]
    pitches: Sequence[float]
    heads: float
    tops: Sequence[float]
    width: float
    height: float

    def placed(self, line: PictureRow) -> list[tuple[Cell, float, float]]:
        """A line's pictures, their left edges and their pitches."""
        every = zip(line.groups, self.columns, self.pitches, strict=True)
        return [
            (cell, x, pitch)
            for group, places, pitch in every
            for cell, x in zip(group, places, strict=False)
        ]


@dataclass(frozen=True)
class Sheet:
    """What is to be shown: `sheet`'s arguments."""

    lines: Sequence[PictureRow]
    heads: Sequence[str]
    captions: CaptionPlace
    note: str

    def laid_out(self, side: float) -> Layout:
        """As it stands with pictures of this side."""
        groups = list(zip(*(line.groups for line in self.lines), strict=True))
        named = [inches(part, NAME) for line in self.lines for part in self.name(line)]
        x = 0.1 + max(named) if named else 0.0
        columns, pitches = list[list[float]](), list[float]()
        for group in groups:
            pitch = max(side + NARROW, self._word(group) + APART)
            columns.append([x + i * pitch for i in range(max(map(len, group)))])
            pitches.append(pitch)
            x += len(columns[-1]) * pitch + BETWEEN - NARROW
        spans = [
            pitch * len(places) - NARROW for places, pitch in zip(columns, pitches, strict=True)
        ]
        rows = [
            len(wrapped(*each, HEAD)) for each in zip(self.heads, spans, strict=bool(self.heads))
        ]
        y, tops = 0.05 + (0.1 + LEADING * HEAD * max(rows) if any(rows) else 0.0), list[float]()
        under = y - 0.05
        for line in self.lines:
            y += 0.06 + self._captions(line, pitches) if self.above(line) else 0.0
            high = max(side, LEADING * NAME * len(self.name(line)))
            tops.append(y + (high - side) / 2)
            below = self.captions is CaptionPlace.BELOW and line.captioned
            y += high + NARROW + (0.12 + self._captions(line, pitches) if below else 0.0)
        width = x - BETWEEN + NARROW
        y += 0.06 + LEADING * CAPTION * len(self.words(width))
        return Layout(side, columns, pitches, under, tops, width, y)

    def fitted(self, side: float) -> Layout:
        """With pictures as large as a page has room for, and no larger than `side`."""
        plan = self.laid_out(side)
        while (plan.width > PAGE[0] or plan.height > PAGE[1]) and side - STEP >= LEAST:
            side -= STEP
            plan = self.laid_out(side)
        return plan

    def words(self, width: float) -> list[str]:
        """The lines below all: the note, and what a red frame means where there is one."""
        cells = (cell for line in self.lines for group in line.groups for cell in group)
        framed = [FRAMED] if any(cell.wrong for cell in cells) else []
        said = [*filter(None, self.note.split("\n")), *framed]
        return [part for line in said for part in wrapped(line, width, CAPTION)]

    def name(self, line: PictureRow) -> list[str]:
        """The lines of a line's name."""
        return wrapped(line.name, NAMES, NAME)

    def above(self, line: PictureRow) -> bool:
        """Whether a line's captions stand above it."""
        first = self.lines[0]
        own = line is first or line.words != first.words
        return self.captions is CaptionPlace.ABOVE and own

    def _word(self, group: Sequence[Sequence[Cell]]) -> float:
        """Inches of the widest word of the captions that a group shows, if it is not too wide."""
        if self.captions is CaptionPlace.NONE:
            return 0.0
        below = self.captions is CaptionPlace.BELOW
        shown = [x for x, y in zip(group, self.lines, strict=True) if below or self.above(y)]
        words = [widest(cell.caption, CAPTION) for cells in shown for cell in cells]
        return min(WORD, max(words, default=0.0))

    def _captions(self, line: PictureRow, pitches: Sequence[float]) -> float:
        """Inches that the longest caption of a line takes."""
        most = max(
            len(wrapped(cell.caption, pitch - APART, CAPTION))
            for group, pitch in zip(line.groups, pitches, strict=True)
            for cell in group
        )
        return LEADING * CAPTION * most


def sheet(
    lines: Sequence[PictureRow],
    heads: Sequence[str] = (),
    captions: CaptionPlace = CaptionPlace.ABOVE,
    side: float = 0.68,
    note: str = "",
) -> bytes:
    """A PNG of lines of pictures at most `side` inches wide, each group as wide as its widest.

    heads: what stands above each group; an empty one leaves its place empty.  note: what stands
    below, with what a red frame means where there is one.
    """
    shown = Sheet(lines, heads, captions, note)
    plan = shown.fitted(side)
    figure, axes = page(plan.width, plan.height)
    for head, places, pitch in zip(heads, plan.columns, plan.pitches, strict=bool(heads)):
        _head(axes, head, places[0], places[-1] + pitch - NARROW, plan.heads)
    for line, top in zip(lines, plan.tops, strict=True):
        _line(axes, plan, shown, line, top)
    below = shown.words(plan.width)
    bottom = plan.height - LEADING * CAPTION * len(below)
    axes.text(
        plan.width, bottom, "\n".join(below), ha="right", va="top", fontsize=CAPTION, color=FAINT
    )
    return png(figure)


def _line(axes: "Axes", plan: Layout, shown: Sheet, line: PictureRow, top: float) -> None:
    """Pictures in the middle of their columns, behind their name, with their captions."""
    middle, side = top + plan.side / 2, plan.side
    name, left = "\n".join(shown.name(line)), plan.columns[0][0] - 0.1
    axes.text(left, middle, name, ha="right", va="center", fontsize=NAME, color=INK)
    above = shown.above(line)
    below = shown.captions is CaptionPlace.BELOW and line.captioned
    for cell, x, pitch in plan.placed(line):
        centre = x + (pitch - NARROW) / 2
        picture(axes, cell.image, centre - side / 2, top, side)
        _frame(axes, centre - side / 2, top, side, cell.wrong)
        if above or below:
            y, va = (top - 0.04, "bottom") if above else (top + side + 0.04, "top")
            words = "\n".join(wrapped(cell.caption, pitch - APART, CAPTION))
            axes.text(
                centre,
                y,
                words,
                ha="center",
                va=va,
                fontsize=CAPTION,
                color=INK,
                linespacing=1.05,
                clip_on=False,
            )


def _head(axes: "Axes", words: str, left: float, right: float, under: float) -> None:
    """Words over a rule at `under`, from left to right."""
    if words:
        lines, middle = "\n".join(wrapped(words, right - left, HEAD)), (left + right) / 2
        axes.text(middle, under - 0.04, lines, ha="center", va="bottom", fontsize=HEAD, color=INK)
        axes.plot([left, right], [under, under], color=FAINT, linewidth=0.8)


def _frame(axes: "Axes", x: float, y: float, side: float, wrong: bool) -> None:
    from matplotlib.patches import Rectangle

    colour, width = ("red", 2.0) if wrong else ("#cccccc", 0.6)
    axes.add_patch(
        Rectangle((x, y), side, side, fill=False, edgecolor=colour, linewidth=width, clip_on=False)
    )
