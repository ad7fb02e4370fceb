"""How a number is shown, and the columns that tables share, by the key of the score."""

from dataclasses import dataclass

from experiments.tables.statistics import Estimate

MISSING = "—"


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


FID = Column("fid", "FID (digit features)", 2)
KID = Column("kid", "KID (digit features)", 2)
ACCURACY = Column("accuracy", "Prompt accuracy, %", 1, factor=100)
DIVERSITY = Column("diversity", "Diversity (digit features)", 2)
SPREAD = Column("spread", "All-pairs diversity (digit features)", 2)
NEAREST = Column("nearest", "Nearest training picture (held-out = 1)", 2)
EXPERT = Column("expert_evaluations", "Expert evaluations a sample", 0, counted=True)
ROUTER = Column("router_evaluations", "Router evaluations a sample", 0, counted=True)
