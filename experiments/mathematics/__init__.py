"""Every statement of HDDM that is mathematics or arithmetic, checked exactly: `checks()`.

No training, no sampling, no data: closed forms in float64, parameter counts of networks on the
meta device, and arithmetic on numbers as the paper prints them.
"""

from experiments.mathematics import architecture, conversion, printed, stability, weighting
from experiments.mathematics.check import Check

__all__ = ["Check", "checks"]


def checks() -> list[Check]:
    """All checks, in the paper's order of subjects; a few seconds."""
    parts = (conversion, weighting, architecture, stability, printed)
    return [check() for part in parts for check in part.CHECKS]
