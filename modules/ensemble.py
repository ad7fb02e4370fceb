"""K experts as one velocity field: u = sum_k w_k u_k.  (HDDM, Eq. 1)"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from modules.alignment import Alignment, MatchSNR
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import OFF
from modules.schedules import Linear, Schedule, expand
from modules.selection import Selection
from modules.text import Text

TOLERANCE = 1e-2
"""How far the probabilities of a router in half precision may sum from 1."""
Posterior = Callable[[Tensor, Tensor, Text | None], Tensor]
"""(x_t [B, ...], t [B], c) -> p(k | x_t, t, c) [B, K]"""


class Uniform(nn.Module):
    """p = 1 / K everywhere: the posterior where a selection needs no router."""

    def __init__(self, experts: int) -> None:
        super().__init__()
        self.experts = experts

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        return x.new_full((len(x), self.experts), 1 / self.experts)


@dataclass(frozen=True)
class CaptionKept:
    """A router that reads the caption in both halves of guidance, dropped or not."""

    router: Posterior

    def __call__(self, x: Tensor, t: Tensor, c: Text | None) -> Tensor:
        """p [B, K] at x [B, ...], t [B]."""
        kept = None if c is None else replace(Text.of(c.tokens, c.pooled), first=c.first)
        return self.router(x, t, kept)


@dataclass(frozen=True)
class Ensemble:
    """The field (x, t, c) -> u of experts under a router and a selection.

    An expert sees only the rows in which its weight is positive, so Top(1) costs one evaluation
    a sample however many experts there are. Images and video alike: x is [B, ...].
    Raises ValueError if the router knows another number of experts, or if its answer is no
    distribution over them.
    """

    experts: Sequence[Expert]
    router: Posterior
    selection: Selection
    path: Schedule = Linear()
    alignment: Alignment = MatchSNR()
    guard: Guard = OFF

    def weights(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        """w [B, K] at x [B, ...], t [B]."""
        return self.selection.weights(distribution(self.router(x, t, c), t), t)

    def __call__(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        w = self.weights(x, t, c)
        if w.shape[1] != len(self.experts):
            raise ValueError(f"weights for {w.shape[1]} experts, but there are {len(self.experts)}")
        expert_of, rows = w.T.nonzero().unbind(1)  # sorted by expert, so that each is asked once
        asked = torch.bincount(expert_of, minlength=len(self.experts)).tolist()
        weight, x_rows, t_rows = w[rows, expert_of], x[rows], t[rows]
        c_rows = None if c is None else c[rows]
        u, end = torch.zeros_like(x), 0
        for expert, count in zip(self.experts, asked, strict=True):
            if count == 0:
                continue
            own, end = slice(end, end + count), end + count
            c_own = None if c_rows is None else c_rows[own]
            u_k = expert.velocity(
                x_rows[own], t_rows[own], c_own, self.path, self.alignment, self.guard
            )
            u.index_add_(0, rows[own], expand(weight[own], u_k) * u_k)
        return u


def distribution(p: Tensor, t: Tensor) -> Tensor:
    """A router's answer p [B, K] at t [B], in float32 at least: weights of bfloat16 sum to 0.998.

    Raises ValueError unless each row is a distribution, which no selection could tell: one of NaN
    asks no expert, and leaves the sample where it was.
    """
    p = p if p.dtype == torch.float64 else p.float()
    right = (p >= 0).all(1) & ((p.sum(1) - 1).abs() < TOLERANCE)  # false of NaN
    if not right.all():
        row = int((~right).nonzero()[0])
        said = ", ".join(f"{x:.3g}" for x in p[row].tolist())
        raise ValueError(f"the router's answer at t = {float(t[row]):g} is no distribution: {said}")
    return p


@contextmanager
def counting(networks: Sequence[nn.Module]) -> Iterator[Callable[[], int]]:
    """Counts the rows that pass through `networks` while open, at the networks themselves.

    Yields a function of no arguments: the number of single-sample evaluations so far.
    """
    rows = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal rows
        rows += len(output)

    hooks = [network.register_forward_hook(count) for network in dict.fromkeys(networks)]
    try:
        yield lambda: rows
    finally:
        for hook in hooks:
            hook.remove()
