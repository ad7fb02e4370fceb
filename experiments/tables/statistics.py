"""Means with intervals over training seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean over n values with its 95 % half-width; no half-width for n = 1, nothing for n = 0."""

    mean: float | None
    half_width: float | None
    n: int

    @property
    def low(self) -> float | None:
        return None if self.mean is None or self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        return None if self.mean is None or self.half_width is None else self.mean + self.half_width


def estimate(values: Sequence[float]) -> Estimate:
    """Student's 95 % interval of the mean of independent values."""
    from scipy.special import stdtrit  # scipy.stats, which has it too, takes a second to import

    n = len(values)
    if n == 0:
        return Estimate(None, None, 0)
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, 1)
    spread = float(np.std(values, ddof=1)) / math.sqrt(n)
    return Estimate(mean, float(stdtrit(n - 1, 0.975)) * spread, n)
