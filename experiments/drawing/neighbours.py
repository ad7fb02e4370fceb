"""Samples beside the training pictures that they are nearest to, so that copies are seen."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU
from experiments.drawing.pictures import album, grid, named_scores, others_last
from experiments.drawing.sheet import Cell, PictureRow, sheet
from experiments.pipeline.store import Store
from experiments.scores.judge import Judge
from experiments.scores.score import Score
from experiments.tables.results import Results

PAIRS, SIDE = 3, 0.86
"""Samples in a line, and inches of a side at most: 128 pixels are then shown as they are, which a
fourth pair would shrink to 90."""


@runtime_checkable
class KnowsNeighbours(Protocol):
    """A judge that can show which training picture each sample is nearest to."""

    def neighbours(
        self, store: Store, images: NDArray[np.float32], device: torch.device
    ) -> NDArray[np.float32]:
        """Pictures [N, C, H, W] of the training split, for samples [N, C, H, W]."""
        ...


def sample_grid(results: Results) -> bytes:
    """The PNG of pictures.sample_grid; with the nearest training picture beside each sample, where
    the judge knows it."""
    scores = named_scores(results)
    if scores and all(isinstance(score.judge, KnowsNeighbours) for score in scores.values()):
        return _with_neighbours(scores, results.store)
    return grid(scores, results.store)


def _with_neighbours(scores: Mapping[str, Score], store: Store) -> bytes:
    """A PNG of samples of scores, by name, each beside the training picture nearest to
    it, so that copies are seen."""
    cells = {name: album(score, store).cells[:PAIRS] for name, score in scores.items()}
    near = dict[Judge, Iterator[NDArray[np.float32]]]()
    for judge in {score.judge for score in scores.values()}:  # whose pictures are read once
        assert isinstance(judge, KnowsNeighbours)
        own = [x.image for name, each in cells.items() for x in each if scores[name].judge == judge]
        near[judge] = iter(judge.neighbours(store, np.stack(own), CPU))
    lines = [
        PictureRow(name, [[x, Cell(next(near[scores[name].judge]), "nearest")] for x in each])
        for name, each in cells.items()
    ]
    return sheet(
        others_last(lines),
        side=SIDE,
        note="right of each sample: the training picture nearest to it",
    )
