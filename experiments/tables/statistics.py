"""Means with intervals over training seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean over n values with its 95 % half-width; no half-width for n = 1, nothing for n = 0.

    least, most: what the quantity itself cannot leave, where its interval ends. What is cut off
    cannot hold the mean that is sought, so that the coverage stays what it was.
    """

    mean: float | None
    half_width: float | None
    n: int
    least: float = -math.inf
    most: float = math.inf

    @property
    def low(self) -> float | None:
        if self.mean is None or self.half_width is None:
            return None
        return max(self.mean - self.half_width, min(self.least, self.mean))

    @property
    def high(self) -> float | None:
        if self.mean is None or self.half_width is None:
            return None
        return min(self.mean + self.half_width, max(self.most, self.mean))

    @property
    def cut(self) -> bool:
        """Whether the interval ends where the range does, and no more about its mean."""
        half = self.half_width
        if self.mean is None or half is None or self.low is None or self.high is None:
            return False
        return self.low > self.mean - half or self.high < self.mean + half

    def within(self, least: float, most: float = math.inf) -> "Estimate":
        """The same of a quantity between these two."""
        return replace(self, least=least, most=most)


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
