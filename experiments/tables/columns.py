"""How a number is shown, and the columns that tables share, by the key of the score."""

import math
from dataclasses import dataclass

from experiments.tables.statistics import Estimate

MISSING = "—"
SHARES = (
    *("accuracy", "accuracy_inside", "accuracy_outside", "router_accuracy", "calibration_error"),
    *("share", "reached_final", "retrieved", "copies", "prompt", "digit", "moves", "legible"),
    *("confidence", "visible", "detail"),
)
"""Keys of numbers between 0 and 1."""
NEVER_NEGATIVE = (
    *("fid", "fd_dinov2", "fvd", "diversity", "spread", "nearest", "log_loss", "entropy", "angle"),
    *("velocity_error", "x0_error", "selected_error", "unselected_error", "warping", "motion"),
    *("sensitivity", "refinement", "cluster_distance", "begins", "variation", "milliseconds"),
)
"""Keys of distances, errors and costs. KID is none of them: its estimate is unbiased, and may fall
below 0."""


@dataclass(frozen=True)
class Column:
    """key: of the measurement.  factor: what it is shown times.  digits: after the point.

    counted: a number that is counted or computed rather than estimated, with no interval where all
    seeds agree to the digits that are shown.
    """

    key: str
    title: str
    digits: int
    factor: float = 1.0
    counted: bool = False

    def show(self, estimate: Estimate) -> str:
        """mean ± half-width of the 95 % interval, where there is one."""
        if estimate.mean is None:
            return MISSING
        mean = f"{estimate.mean:.{self.digits}f}"
        if estimate.half_width is None or (
            self.counted and not round(estimate.half_width, self.digits)
        ):
            return mean
        return f"{mean} ± {estimate.half_width:.{self.digits}f}"


def span(column: Column) -> tuple[float, float]:
    """Between what a number lies, as it is shown; of `accuracy 0.5`, what accuracy does."""
    stem = column.key.split(" ")[0]
    least = 0.0 if stem in (*SHARES, *NEVER_NEGATIVE) else -math.inf
    return least, column.factor if stem in SHARES else math.inf


def bracketed(column: Column, estimate: Estimate) -> str:
    """What the column shows; mean [low, high] where the interval ends with the number's range."""
    if not estimate.cut:
        return column.show(estimate)
    mean, low, high = (
        f"{end:.{column.digits}f}" for end in (estimate.mean, estimate.low, estimate.high)
    )
    return f"{mean} [{low}, {high}]"


FID = Column("fid", "FID (digit features)", 2)
KID = Column("kid", "KID (digit features)", 2)
ACCURACY = Column("accuracy", "Prompt accuracy, %", 1, factor=100)
DIVERSITY = Column("diversity", "Diversity (digit features)", 2)
SPREAD = Column("spread", "All-pairs diversity (digit features)", 2)
NEAREST = Column("nearest", "Nearest training picture (held-out = 1)", 2)
EXPERT = Column("expert_evaluations", "Expert evaluations a sample", 0, counted=True)
ROUTER = Column("router_evaluations", "Router evaluations a sample", 0, counted=True)
