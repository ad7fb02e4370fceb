"""Sheets of pictures: lines of groups of samples, with names, headings and captions.

What is compared stands on one prompt and one noise. A red frame is a picture in which the judge
reads another class than the caption names.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.drawing.style import FAINT, INK, page, picture, png
from experiments.pipeline.store import Store
from experiments.scores.score import Drawn, Score
from experiments.tables.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRAMED = "red: the judge reads another class than the caption names"
MOST = 400
"""Pictures of a set that are looked at, where a judge tells which class they show."""
ACROSS = 10
"""Pictures in a line where the data have no classes."""
FONT = 7.0
LEADING = FONT * 1.25 / 72
"""Inches from one line of a caption to the next."""
NARROW, BETWEEN = 0.06, 0.3
"""Inches between pictures, and between groups of them."""


@dataclass(frozen=True)
class Cell:
    """image: [C, H, W] in [-1, 1].  wrong: whether it gets a red frame."""

    image: NDArray[np.float32]
    caption: str
    wrong: bool = False


@dataclass(frozen=True)
class PictureRow:
    """Pictures side by side, in groups, behind their name."""

    name: str
    groups: Sequence[Sequence[Cell]]


class CaptionPlace(Enum):
    """Where captions stand: above the first line for all of them, below every picture, nowhere."""

    ABOVE = "above"
    BELOW = "below"
    NONE = "none"


@dataclass(frozen=True)
class Album:
    """The first MOST pictures of a sample set, and the classes [n] that the prompts name."""

    cells: Sequence[Cell]
    labels: NDArray[np.int64]
    judged: bool

    def __getitem__(self, rows: Sequence[int]) -> list[Cell]:
        return [self.cells[i] for i in rows]

    def by_class(self) -> list[int]:
        """Every row, class after class and round again: the first of each class come first."""
        rounds = np.zeros(len(self.labels), dtype=np.int64)
        for k in np.unique(self.labels):
            there = self.labels == k
            rounds[there] = np.arange(there.sum())
        return [int(i) for i in np.lexsort((self.labels, rounds))]


def album(shown: Score | Drawn, store: Store) -> Album:
    """The pictures behind a measurement, read by its judge if it has one."""
    captions, labels = shown.pictures.prompts(store)
    few = isinstance(shown, Score) and not shown.judge.classifies
    first = ACROSS if few else MOST
    images = shown.pictures.images(store, first)
    captions, labels = captions[:first], labels[:first]
    wrong = shown.judge.wrong(store, images, labels) if isinstance(shown, Score) else None
    frames = [False] * len(images) if wrong is None else map(bool, wrong)
    cells = [Cell(*each) for each in zip(images, captions, frames, strict=True)]
    return Album(cells, labels, wrong is not None)


def sample_grid(results: Results) -> bytes:
    """A PNG of seed 0: a line a row, a column for the first held-out caption of each class, or for
    the first captions where there are no classes."""
    return grid(named_scores(results), results.store)


def named_scores(results: Results) -> dict[str, Score]:
    """The scores of seed 0, by the names of their rows."""
    return {
        ", ".join(value for value in row.names.values() if value): row.measured
        for row in results.rows[0]
        if isinstance(row.measured, Score)
    }


def grid(scores: Mapping[str, Score], store: Store) -> bytes:
    """The PNG of `sample_grid` for any scores, by the name to stand before their line."""
    lines = []
    for name, score in scores.items():
        drawn = album(score, store)
        classes = len(np.unique(drawn.labels))  # a scene's label numbers the whole scene
        rows = drawn.by_class()[: classes if 1 < classes <= ACROSS else ACROSS]
        lines.append(PictureRow(name, [drawn[rows]]))
    return sheet(lines)


def mosaic(albums: Mapping[str, Album], rows: Sequence[int], across: int) -> bytes:
    """A PNG of the same rows of several albums, one below the other, each over its caption."""
    lines = [
        PictureRow("" if i else name, [pictures[rows[i : i + across]]])
        for name, pictures in albums.items()
        for i in range(0, len(rows), across)
    ]
    return sheet(lines, (), CaptionPlace.BELOW)


def beside(
    panels: Mapping[str, Mapping[str, Album]], rows: Sequence[int], across: int, side: float
) -> bytes:
    """A PNG of the same rows of several albums, each picture over its caption: panels one below the
    other behind their names, the albums of each side by side under theirs, which are the first
    panel's."""
    lines = [
        PictureRow(
            "" if i else name, [pictures[rows[i : i + across]] for pictures in sides.values()]
        )
        for name, sides in panels.items()
        for i in range(0, len(rows), across)
    ]
    heads = next(iter(panels.values()))
    return sheet(lines, list(heads), CaptionPlace.BELOW, side)


def sheet(
    lines: Sequence[PictureRow],
    heads: Sequence[str] = (),
    captions: CaptionPlace = CaptionPlace.ABOVE,
    side: float = 0.68,
    note: str = "",
) -> bytes:
    """A PNG of lines of pictures `side` inches wide, each group as wide as its widest.

    heads: what stands above each group; an empty one leaves its place empty.  note: what stands
    below, with what a red frame means where there is one.
    """
    groups = zip(*(line.groups for line in lines), strict=True)
    starts, width = _across([max(map(len, group)) for group in groups], side)
    letters = int(side * 72 / (0.56 * FONT))  # an average letter is 0.56 of its height wide
    bottom = sum(side + NARROW + _below(line, captions, letters) for line in lines)
    top = (0.3 if any(heads) else 0.0) + _above(lines, captions, letters)
    figure, axes = page(width, top + bottom + 0.25)
    for head, places in zip(heads, starts, strict=bool(heads)):
        _head(axes, head, places[0], places[-1] + side)
    y = top
    if captions is CaptionPlace.ABOVE:
        for cell, x in _placed(lines[0], starts):
            _write(axes, cell.caption, x + side / 2, y - 0.04, letters, "bottom")
    for line in lines:
        axes.text(
            -0.1,
            y + side / 2,
            textwrap.fill(line.name, 26),
            ha="right",
            va="center",
            fontsize=8,
            color=INK,
        )
        for cell, x in _placed(line, starts):
            picture(axes, cell.image, x, y, side)
            _frame(axes, x, y, side, cell.wrong)
            if captions is CaptionPlace.BELOW:
                _write(axes, cell.caption, x + side / 2, y + side + 0.04, letters, "top")
        y += side + NARROW + _below(line, captions, letters)
    words = "\n".join(filter(None, (note, FRAMED if _framed(lines) else "")))
    axes.text(width, y + 0.02, words, ha="right", va="top", fontsize=7, color=FAINT)
    return png(figure)


def _framed(lines: Sequence[PictureRow]) -> bool:
    """Whether any picture has a red frame."""
    return any(cell.wrong for line in lines for group in line.groups for cell in group)


def _across(groups: Sequence[int], side: float) -> tuple[list[list[float]], float]:
    """The left edges of the pictures of each group, and the width of them all, in inches."""
    starts, x = [], 0.0
    for count in groups:
        starts.append([x + i * (side + NARROW) for i in range(count)])
        x = starts[-1][-1] + side + BETWEEN
    return starts, x - BETWEEN


def _placed(line: PictureRow, starts: Sequence[Sequence[float]]) -> list[tuple[Cell, float]]:
    pairs = zip(line.groups, starts, strict=True)
    return [(cell, x) for group, places in pairs for cell, x in zip(group, places, strict=False)]


def _tallest(line: PictureRow, letters: int) -> float:
    """Inches that the longest caption of a line takes."""
    cells = [cell for group in line.groups for cell in group]
    return LEADING * max(len(textwrap.wrap(cell.caption, letters)) for cell in cells)


def _below(line: PictureRow, captions: CaptionPlace, letters: int) -> float:
    return 0.12 + _tallest(line, letters) if captions is CaptionPlace.BELOW else 0.0


def _above(lines: Sequence[PictureRow], captions: CaptionPlace, letters: int) -> float:
    return 0.06 + _tallest(lines[0], letters) if captions is CaptionPlace.ABOVE else 0.0


def _head(axes: "Axes", words: str, left: float, right: float) -> None:
    if words:
        middle = (left + right) / 2
        axes.text(middle, 0.16, words, ha="center", va="bottom", fontsize=9, color=INK)
        axes.plot([left, right], [0.2, 0.2], color=FAINT, linewidth=0.8)


def _write(axes: "Axes", words: str, x: float, y: float, letters: int, va: str) -> None:
    filled = textwrap.fill(words, letters)
    axes.text(
        x, y, filled, ha="center", va=va, fontsize=FONT, color=INK, linespacing=1.05, clip_on=False
    )


def _frame(axes: "Axes", x: float, y: float, side: float, wrong: bool) -> None:
    from matplotlib.patches import Rectangle

    colour, width = ("red", 2.0) if wrong else ("#cccccc", 0.6)
    axes.add_patch(
        Rectangle((x, y), side, side, fill=False, edgecolor=colour, linewidth=width, clip_on=False)
    )
