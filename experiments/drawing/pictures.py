"""Samples as sheets of pictures: of a table's rows, as a mosaic, or side by side.

What is compared stands on one prompt and one noise. A red frame is a picture in which the judge
reads another class than the caption names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.drawing.sheet import CaptionPlace, Cell, PictureRow, sheet
from experiments.pipeline.store import Store
from experiments.scores.score import Drawn, Score
from experiments.tables.results import Results

MOST = 400
"""Pictures of a set that are looked at, where a judge tells which class they show."""
ACROSS = 8
"""Pictures in a line, each of another class where there are any: more would be too small."""
SPREAD = 5
"""Neighbours in a list are alike, as are faces among emoji: of so many one is looked at."""


@dataclass(frozen=True)
class Album:
    """Pictures of a sample set, and the classes [n] that the prompts name: the first MOST, or of
    sets without classes every SPREAD-th of the first."""

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
    step = max(1, min(SPREAD, len(captions) // ACROSS)) if few else 1
    kept = slice(0, step * ACROSS if few else MOST, step)
    images = shown.pictures.images(store, kept.stop)[kept]
    captions, labels = captions[kept], labels[kept]
    wrong = shown.judge.wrong(store, images, labels) if isinstance(shown, Score) else None
    frames = [False] * len(images) if wrong is None else map(bool, wrong)
    cells = [Cell(*each) for each in zip(images, captions, frames, strict=True)]
    return Album(cells, labels, wrong is not None)


def sample_grid(results: Results) -> bytes:
    """A PNG of seed 0: a line a row, a column for the first held-out caption of each class, or for
    spread captions where there are no classes; real pictures of captions of their own last."""
    return grid(named_scores(results), results.store)


def named_scores(results: Results) -> dict[str, Score]:
    """The scores of seed 0, by the names of their rows."""
    return {row.name: row.measured for row in results.rows[0] if isinstance(row.measured, Score)}


def grid(scores: Mapping[str, Score], store: Store) -> bytes:
    """The PNG of `sample_grid` for any scores, by the name to stand before their line."""
    lines = []
    for name, score in scores.items():
        drawn = album(score, store)
        classes = len(np.unique(drawn.labels))  # a scene's label numbers the whole scene
        rows = drawn.by_class()
        if classes > 1:  # of many classes those that lie evenly among all
            rows = rows[: classes : max(1, classes // ACROSS)]
        lines.append(PictureRow(name, [drawn[rows[:ACROSS]]]))
    return sheet(others_last(lines))


def others_last(lines: Sequence[PictureRow]) -> list[PictureRow]:
    """The lines, and behind them those that show other captions than the first."""
    return sorted(lines, key=lambda line: line.words != lines[0].words)


def mosaic(albums: Mapping[str, Album], rows: Sequence[int], across: int) -> bytes:
    """A PNG of the same rows of several albums: of each line of prompts the pictures of every
    album, one below the other, and the captions, which all of them share, below the last."""
    *others, last = albums
    lines = [
        PictureRow("", [pictures[rows[i : i + across]]], captioned=name == last)
        for i in range(0, len(rows), across)
        for name, pictures in albums.items()
    ]
    order = "of the lines above a caption, from the top: " if others else ""
    return sheet(lines, (), CaptionPlace.BELOW, note=order + "; ".join(albums))


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
