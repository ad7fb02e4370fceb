"""What the ablations beyond the papers go through, smoke less than the rest."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Beyond:
    """The questions that the papers leave open, as far as a scale asks them.

    Args:
        clusters: K of all these ablations but `ablation-k`; None for the scale's own.
        boundaries: the times at which experts of low noise and of high noise part; whole batches
            divide at 0.25, the nearest to HDDM's threshold of 0.2 (§3.3.3).
        guidances: scales of guidance; the first is none.
        partly, edges: the scales that are tried in a part of the times alone, and the t that part
            them.
        evaluations: of the field, that solvers may take for a sample.
        counts: K of `ablation-k`, beside the one expert that is the monolith.
        distilled: k of the teachers' Top-k.
        drawn: sets of DDPM clusters that are drawn at random.
        brief: share of the steps after which objectives are compared.
    """

    clusters: int | None = None
    boundaries: tuple[float, ...] = (0.25, 0.5)
    guidances: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
    partly: tuple[float, ...] = (4.0,)
    edges: tuple[float, ...] = (0.3, 0.7)
    evaluations: tuple[int, ...] = (5, 10, 25, 50, 100)
    counts: tuple[int, ...] = (2, 4, 8, 16)
    distilled: tuple[int, ...] = (1, 2)
    drawn: int = 16
    brief: float = 0.25

    def __post_init__(self) -> None:
        for name in ("boundaries", "edges"):
            times = getattr(self, name)
            if not all(0 < t < 1 for t in times) or [*times] != sorted({*times}):
                raise ValueError(f"study.beyond.{name} must rise within (0, 1), not {times}")
        for name in ("guidances", "partly", "evaluations", "counts", "distilled"):
            numbers = getattr(self, name)
            if len({*numbers}) < len(numbers) or not all(n > 0 for n in numbers):
                raise ValueError(f"study.beyond.{name} must be different and positive: {numbers}")
        if not 0 < self.brief <= 1 or self.drawn < 0:
            raise ValueError(f"study.beyond.brief = {self.brief} must lie in (0, 1], drawn from 0")


FEW = Beyond(2, (0.5,), (1.0, 2.0), (2.0,), (0.5,), (3,), counts=(2,), distilled=(1,))
EVERY = Beyond()
