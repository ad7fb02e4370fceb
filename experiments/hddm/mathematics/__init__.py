"""Every statement of HDDM that is mathematics or arithmetic, checked exactly: `checks()`.

No training, no sampling, no data: closed forms in float64, parameter counts of networks on the
meta device, and arithmetic on numbers as the paper prints them.
"""

from experiments.hddm.mathematics.architecture import CHECKS as ARCHITECTURE
from experiments.hddm.mathematics.check import Check
from experiments.hddm.mathematics.conversion import CHECKS as CONVERSION
from experiments.hddm.mathematics.printed import CHECKS as PRINTED
from experiments.hddm.mathematics.stability import CHECKS as STABILITY
from experiments.hddm.mathematics.weighting import CHECKS as WEIGHTING

__all__ = ["Check", "checks"]


def checks() -> list[Check]:
    """All checks, in the paper's order of subjects; a few seconds."""
    parts = (*CONVERSION, *WEIGHTING, *ARCHITECTURE, *STABILITY, *PRINTED)
    return [check() for check in parts]
