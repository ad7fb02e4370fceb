"""Which experts are asked, and with what weight: (p, t) -> w.

p [B, K] are the router's probabilities and t [B] the times; w [B, K] sums to 1 over K, and a zero
means that the expert is not evaluated. A switching schedule is a value like any other, and so is a
random draw: a function of the row's seed and of t, whatever the batch.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

EDGE = 1e-6
"""A grid time meant to equal a boundary may be rounded to its other side by less than this."""


class Selection(ABC):
    """The rule by which an ensemble weighs its experts."""

    @abstractmethod
    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        """w [B, K], each row summing to 1, of probabilities p [B, K] at times t [B]."""

    def seeded(self, seeds: Sequence[int]) -> "Selection":
        """The selection for rows of these seeds [B], which matter to what draws at random alone."""
        return self


def _keep(p: Tensor, kept: Tensor) -> Tensor:
    """p restricted to the kept entries and renormalised. The row's maximum is always kept."""
    w = torch.where(kept, p, torch.zeros_like(p))
    return w / w.sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class Top(Selection):
    """The k most probable experts, renormalised.  (HDDM, §3.1)

    Raises ValueError if k is not between 1 and the number of experts.
    """

    k: int

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        if not 1 <= self.k <= p.shape[1]:
            raise ValueError(f"Top({self.k}) needs 1 <= k <= {p.shape[1]}, the number of experts")
        chosen = p.topk(self.k, dim=1).indices
        return _keep(p, torch.zeros_like(p, dtype=torch.bool).scatter_(1, chosen, True))


@dataclass(frozen=True)
class Full(Selection):
    """Every expert with the router's probability: the sum of HDDM's Eq. 1 as it stands."""

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        return p


@dataclass(frozen=True)
class Threshold(Selection):
    """The experts with p >= tau, renormalised; the most probable one where none reaches tau."""

    tau: float

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        most_probable = torch.zeros_like(p, dtype=torch.bool).scatter_(1, p.argmax(1, True), True)
        return _keep(p, (p >= self.tau) | most_probable)


@dataclass(frozen=True)
class Nucleus(Selection):
    """The fewest most probable experts that reach `mass` together, renormalised.

    Holtzman et al. 2020, over experts. Raises ValueError unless 0 < mass <= 1.
    """

    mass: float

    def __post_init__(self) -> None:
        if not 0 < self.mass <= 1:
            raise ValueError(f"Nucleus({self.mass}) needs a mass in (0, 1]")

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        sorted_p, order = p.sort(dim=1, descending=True)
        before = sorted_p.cumsum(dim=1) - sorted_p  # what the more probable ones hold together
        kept = torch.zeros_like(p, dtype=torch.bool).scatter_(1, order, before < self.mass)
        return _keep(p, kept)


@dataclass(frozen=True)
class Stochastic(Selection):
    """`draws` experts drawn with replacement from p, each with weight 1 / draws: w is p on average.

    A draw depends on p, the row's seed and t: no batch size, device or process changes it, and both
    halves of guidance ask the same experts where a router gives both the same p.  seeds: one a row,
    as `seeded` gives them, for rows that may come several times over; none for each row's own
    number. Raises ValueError for fewer draws than one, or a number of rows that is no multiple of
    the seeds'.
    """

    draws: int = 1
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise ValueError(f"Stochastic({self.draws}) needs at least one draw")

    def seeded(self, seeds: Sequence[int]) -> Selection:
        return replace(self, seeds=tuple(seeds))

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        seeds = self.seeds or tuple(range(len(p)))
        if len(p) % max(len(seeds), 1):
            raise ValueError(f"{len(seeds)} seeds for {len(p)} rows")
        seeds *= len(p) // max(len(seeds), 1)
        chances = [
            [random.Random(f"{seed} {time!r} {i}").random() for i in range(self.draws)]
            for seed, time in zip(seeds, t.tolist(), strict=True)
        ]
        cumulative = p.double().cumsum(dim=1)
        at = torch.tensor(chances, dtype=torch.float64, device=p.device) * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, at, right=True).clamp(max=p.shape[1] - 1)
        ones = torch.full(drawn.shape, 1 / self.draws, dtype=p.dtype, device=p.device)
        return torch.zeros_like(p).scatter_add_(1, drawn, ones)


@dataclass(frozen=True)
class Only(Selection):
    """Expert k alone, whatever the router says.

    Raises ValueError if k is not between 0 and the number of experts less 1.
    """

    k: int

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        if not 0 <= self.k < p.shape[1]:
            raise ValueError(f"Only({self.k}) names no expert: there are {p.shape[1]}")
        w = torch.zeros_like(p)
        w[:, self.k] = 1
        return w


@dataclass(frozen=True)
class Switch(Selection):
    """`early` while t > at (high noise), `late` once t <= at.  (HDDM, §3.3.3)"""

    at: float
    early: Selection
    late: Selection

    def seeded(self, seeds: Sequence[int]) -> Selection:
        return replace(self, early=self.early.seeded(seeds), late=self.late.seeded(seeds))

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        is_early = (t > self.at + EDGE).unsqueeze(1)
        return torch.where(is_early, self.early.weights(p, t), self.late.weights(p, t))


@dataclass(frozen=True)
class Alternate(Selection):
    """The given selections in turn, one per solver step of a uniform grid of `steps` from t = 1."""

    turns: tuple[Selection, ...]
    steps: int

    def seeded(self, seeds: Sequence[int]) -> Selection:
        return replace(self, turns=tuple(turn.seeded(seeds) for turn in self.turns))

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        # A step's own time is (steps - i) / steps: rounding recovers i from float32 times.
        turn = torch.round((1 - t) * self.steps).long() % len(self.turns)
        each = torch.stack([selection.weights(p, t) for selection in self.turns])  # [turns, B, K]
        return each[turn, torch.arange(len(p), device=p.device)]
