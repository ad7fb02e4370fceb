"""How a number is shown, and the columns that tables share, by the key of the score."""

import math
from dataclasses import dataclass

from experiments.tables.statistics import Estimate

MISSING = "—"
Range = tuple[float, float]
ANY: Range = (-math.inf, math.inf)
NOT_NEGATIVE: Range = (0.0, math.inf)
"""Distances, errors, losses and costs. KID is none of them: its estimate is unbiased, and may fall
below 0."""


@dataclass(frozen=True)
class Column:
    """key: of the measurement.  factor: what it is shown times.  digits: after the point.

    counted: a number that is counted or computed rather than estimated, with no interval where all
    seeds agree to the digits that are shown.  lies: between what the number lies as it is measured,
    before the factor.
    """

    key: str
    title: str
    digits: int
    factor: float = 1.0
    counted: bool = False
    lies: Range = ANY

    @property
    def shown_range(self) -> Range:
        """Between what the number lies as it is shown, where its interval ends."""
        least, most = self.lies
        return self.factor * least, self.factor * most

    def show(self, estimate: Estimate) -> str:
        """mean ± half-width of the 95 % interval, where there is one."""
        if estimate.mean is None:
            return MISSING
        mean = f"{estimate.mean:z.{self.digits}f}"
        if estimate.half_width is None or (
            self.counted and not round(estimate.half_width, self.digits)
        ):
            return mean
        return f"{mean} ± {estimate.half_width:.{self.digits}f}"


def percent(key: str, title: str, digits: int = 1, counted: bool = False) -> Column:
    """A share, shown in percent."""
    return Column(key, title, digits, factor=100, counted=counted, lies=(0.0, 1.0))


def bracketed(column: Column, estimate: Estimate) -> str:
    """What the column shows; mean [low, high] where the interval ends with the number's range."""
    if not estimate.cut:
        return column.show(estimate)
    mean, low, high = (
        f"{end:z.{column.digits}f}" for end in (estimate.mean, estimate.low, estimate.high)
    )
    return f"{mean} [{low}, {high}]"


FID = Column("fid", "FID (digit features)", 2, lies=NOT_NEGATIVE)
KID = Column("kid", "KID (digit features)", 2)
ACCURACY = percent("accuracy", "Prompt accuracy, %")
DIVERSITY = Column("diversity", "Diversity (digit features)", 2, lies=NOT_NEGATIVE)
SPREAD = Column("spread", "All-pairs diversity (digit features)", 2, lies=NOT_NEGATIVE)
NEAREST = Column("nearest", "Nearest training picture (held-out = 1)", 2, lies=NOT_NEGATIVE)
EXPERT = Column(
    "expert_evaluations", "Expert evaluations a sample", 0, counted=True, lies=NOT_NEGATIVE
)
ROUTER = Column(
    "router_evaluations", "Router evaluations a sample", 0, counted=True, lies=NOT_NEGATIVE
)
