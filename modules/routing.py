"""The router: p(k | x_t, t), or p(k | x_t, t, c) where it reads the caption.

HDDM's Eq. 2 sees no text: as t -> 1 its answer tends to the clusters' prior, whatever the prompt.
Paris 2.0's router also reads the pooled caption vector. One network serves both.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.blocks import linear, normal_linear
from modules.dit import DiT, Trunk
from modules.ensemble import Posterior
from modules.schedules import Linear, Schedule, expand
from modules.text import Text
from modules.training import EVERY_ROW, Batch, DiffusionModule, Optim, Posed


class RouterNetwork(nn.Module):
    """(x_t [B, C, H, W] or [B, C, T, H, W], t [B], c) -> logits [B, experts], off a class token.

    pooled: width of the caption vector added to tau, or None for the text-free router.
    frame_feature: width of a first frame's feature, also added to tau, or None. Where no frame is
    given, a learned vector stands in, so that one router serves both. Raises ValueError unless
    `shape.text` is None: the trunk itself never reads captions.
    """

    def __init__(
        self, shape: DiT, experts: int, pooled: int | None, frame_feature: int | None = None
    ) -> None:
        super().__init__()
        if shape.text is not None:
            raise ValueError(
                "a router reads the pooled caption, not tokens: shape.text must be None"
            )
        d = shape.size.width
        self.trunk = Trunk(shape)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.head = nn.Sequential(linear(d, d), nn.SiLU(), nn.LayerNorm(d), linear(d, experts))
        self.pooled = None if pooled is None else normal_linear(pooled, d, std=0.02)
        if pooled is not None:
            self.null = nn.Parameter(0.02 * torch.randn(pooled))
        self.frame_feature = None
        if frame_feature is not None:
            self.frame_feature = normal_linear(frame_feature, d, std=0.02)
            self.no_frame = nn.Parameter(0.02 * torch.randn(frame_feature))

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        tau = self.trunk.embed_time(t)
        if self.pooled is not None:
            if c is None:
                raise ValueError("this router reads captions; Text.null() stands for none")
            tau = tau + self.pooled(torch.where(c.keep[:, None], c.pooled, self.null))
        if self.frame_feature is not None:
            feature = self.no_frame.expand(len(x), -1)
            if c is not None and c.first is not None:
                feature = torch.where(c.first.keep[:, None], c.first.feature, feature)
            tau = tau + self.frame_feature(feature)
        h = self.trunk.embed(x)
        h = torch.cat([self.class_token.expand(len(h), -1, -1), h], dim=1)
        return self.head(self.trunk(h, tau, None)[:, 0]).to(x.dtype)


class Router(DiffusionModule):
    """Cross-entropy against the cluster a sample came from.  (HDDM, Eq. 2 and §6.3)

    All clusters are noised on one path, `schedule`; or each on its own of `noised_on`, as §6.3 may
    be read, which has a range of t for each objective. The variance of the input then leaks the
    label in training, and no path of a sampler shows it. Raises ValueError for `noised_on` that is
    not one schedule a cluster.
    """

    def __init__(
        self,
        shape: DiT,
        optim: Optim,
        experts: int,
        pooled: int | None = None,
        schedule: Schedule = Linear(),
        seed: int = 0,
        text_dropout: float = 0.1,
        frame_feature: int | None = None,
        given_share: float = 0.0,
        rows: slice = EVERY_ROW,
        noised_on: Sequence[Schedule] = (),
    ) -> None:
        if len(noised_on) not in (0, experts):
            raise ValueError(f"{len(noised_on)} schedules for {experts} clusters")
        network = RouterNetwork(shape, experts, pooled, frame_feature)
        super().__init__(network, optim, seed, text_dropout, given_share=given_share, rows=rows)
        self.schedule, self.noised_on = schedule, tuple(noised_on)

    def pose(self, batch: Batch) -> Posed:
        t, eps, c = self.draw(batch)
        x0, cluster = batch["x0"], batch["cluster"]
        x_t = self.schedule.noise(x0, eps, t)
        for schedule in {*self.noised_on} - {self.schedule}:
            own = [k for k, each in enumerate(self.noised_on) if each == schedule]
            there = torch.isin(cluster, torch.tensor(own, device=cluster.device))
            x_t = torch.where(expand(there, x_t), schedule.noise(x0, eps, t), x_t)
        return Posed(x_t, t, c, cluster)

    def judged(self, y: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The cross-entropy of logits y [B, experts] against clusters [B], and which it hits."""
        loss = F.cross_entropy(y, target, reduction="none")
        return {"loss": loss, "accuracy": (y.argmax(1) == target).float()}

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        """p(k | x_t, t, c) [B, experts].  (HDDM, Eq. 2)"""
        return self.network(x, t, c).softmax(dim=1)


class Probabilities(nn.Module):
    """p(k | x_t, t, c) [B, experts] of a network that gives logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        return self.network(x, t, c).softmax(dim=1)


class Tempered(nn.Module):
    """p^(1/T), normalised: a router calibrated by one number. T < 1 sharpens.  (Guo et al. 2017)

    Raises ValueError unless T is positive.
    """

    def __init__(self, router: nn.Module, temperature: float) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"a temperature must be positive, not {temperature}")
        self.router, self.temperature = router, temperature

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        p = self.router(x, t, c)
        return (p.log() / self.temperature).softmax(dim=1)


class Oracle(nn.Module):
    """The router that knows: p = 1 for the cluster [n] that each row of a sample set belongs to."""

    def __init__(self, cluster: Tensor, experts: int) -> None:
        super().__init__()
        self.p: Tensor
        self.register_buffer("p", F.one_hot(cluster, experts).float())

    def at(self, rows: range) -> Posterior:
        """The posterior of the given rows of the set, the same at every (x_t, t, c).

        It may be asked about all of them several times over, as both halves of guidance are.
        """
        p = self.p[rows.start : rows.stop]

        def posterior(x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
            return p.to(x.dtype).repeat(len(x) // len(p), 1)

        return posterior


class EveryNth:
    """A posterior that asks `router` at each n-th of `steps` equal steps from t = 1, and gives the
    same answer in between.

    It follows one batch along one trajectory: rows of another number are asked about at once. A
    solver that asks at t and at the next step's t counts these as two steps.
    """

    def __init__(self, router: Posterior, n: int, steps: int) -> None:
        self.router, self.n, self.steps = router, n, steps
        self.p: Tensor | None = None

    def __call__(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        """p [B, K] at x [B, ...], at one time for all, t [B]."""
        step = round((1 - float(t[0])) * self.steps)
        if self.p is None or len(self.p) != len(x) or step % self.n == 0:
            self.p = self.router(x, t, c)
        return self.p
