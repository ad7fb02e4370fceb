"""The margins of HDDM's claims that print no effect of their own, most from one that is printed."""

from experiments.tables.verdicts import Margin, half


def _borrowed(other: Margin, whose: str) -> Margin:
    """Another claim's margin, for a claim that prints no number."""
    return Margin(other.share, f"half of the paper's {2 * other.share:.1%} {whose}; none printed")


FID = _borrowed(half(22.60 - 29.64, 29.64), "of Top-2 over the monolith")
"""The abstract's own finding is what the paper itself calls a better FID."""
DIVERSITY = _borrowed(half(0.777 - 0.752, 0.752), "of combined experts over FM, in LPIPS")
"""The smaller of two that §3.3.2 calls a gain in diversity."""
PROMPTS = Margin(0.01, "one prompt in a hundred of those obeyed: no loss is printed as allowed")
ERRORS = Margin(0.1, "a tenth of the noise expert's error: no number or picture says how much")
LOSS = Margin(0.05, "a twentieth of scratch's loss: Fig 3 prints no scale to read half from")
DETAIL = Margin(0.05, "a twentieth of the other set's detail: pictures alone, no number")
MAJORITY = Margin(0.05, "five pictures in a hundred more: no accuracy is printed")
