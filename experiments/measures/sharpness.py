"""Measurement of sharpness: how much of samples is fine detail, beside their score."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context
from experiments.scores.score import Score
from metrics.detail import detail


@dataclass(frozen=True)
class Sharpness(Measurement):
    """detail: the mean share of a picture's variance at high frequencies. And the score's."""

    score: Score

    @property
    def label(self) -> str:
        return f"sharpness of {self.score.pictures.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        store = context.store
        batches = self.score.pictures.pictures(store, context.torch_device)
        shares = np.concatenate([detail(batch) for batch in batches])
        return {**self.score.read(store), "detail": float(shares.mean())}
