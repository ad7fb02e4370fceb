"""Routers over K clusters for ensembles that have several experts of each: who of them is asked.

Experts stand in groups of K, one of each cluster: expert j K + k is the j-th of cluster k. Those
that are not asked have probability 0, and are not evaluated.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modules.selection import EDGE
from modules.text import Text


def parted(p: Tensor, which: Tensor, groups: int) -> Tensor:
    """p [B, K] as [B, groups K], each cluster's probability in the group `which` [B, K] of it."""
    k = torch.arange(p.shape[1], device=p.device)
    spread = p.new_zeros(len(p), groups * p.shape[1])
    return spread.scatter_(1, which * p.shape[1] + k, p)


class ByTime(nn.Module):
    """p(k | x_t, t, c) for experts of ranges of t: the j-th group is trained on the j-th range.

    boundaries: times between ranges, rising; a boundary itself belongs to the range below it.
    """

    def __init__(self, router: nn.Module, boundaries: Sequence[float]) -> None:
        super().__init__()
        self.router, self.boundaries = router, tuple(boundaries)

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        """p [B, (boundaries + 1) K] at x [B, ...], t [B]."""
        p = self.router(x, t, c)
        edges = t.new_tensor(self.boundaries) + EDGE
        group = (t[:, None] > edges).sum(1)
        return parted(p, group[:, None].expand(p.shape), len(self.boundaries) + 1)


class ByCluster(nn.Module):
    """p(k | x_t, t, c) for clusters that have an expert of each of several kinds, one in use.

    kinds: the kind [K] that is in use, by cluster.
    """

    def __init__(self, router: nn.Module, kinds: Sequence[int], groups: int) -> None:
        super().__init__()
        self.router, self.groups = router, groups
        self.kinds: Tensor
        self.register_buffer("kinds", torch.tensor(kinds))

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        """p [B, groups K] at x [B, ...], t [B]."""
        p = self.router(x, t, c)
        return parted(p, self.kinds.expand(p.shape), self.groups)
