"""What the ablations beyond the papers go through, smoke less than the rest."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Beyond:
    """The questions that the papers leave open, as far as a scale asks them.

    Args:
        clusters: K of all these ablations but `ablation-k`; None for the scale's own.
        boundaries: the times at which experts of low noise and of high noise part.
    """

    clusters: int | None = None
    boundaries: tuple[float, ...] = (0.2, 0.5)

    def __post_init__(self) -> None:
        if not all(0 < t < 1 for t in self.boundaries):
            raise ValueError(f"study.beyond.boundaries must lie in (0, 1), not {self.boundaries}")


FEW = Beyond(clusters=2, boundaries=(0.5,))
EVERY = Beyond()
