"""The router: p(k | x_t, t), or p(k | x_t, t, c) where it reads the caption.

HDDM's Eq. 2 sees no text: as t -> 1 its answer tends to the clusters' prior, whatever the prompt.
Paris 2.0's router also reads the pooled caption vector. One network serves both.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.blocks import linear, normal_linear
from modules.dit import DiT, Trunk
from modules.ensemble import Posterior
from modules.schedules import Linear, Schedule
from modules.text import Text
from modules.training import Batch, DiffusionModule, Optim


class RouterNetwork(nn.Module):
    """(x_t [B, C, H, W] or [B, C, T, H, W], t [B], c) -> logits [B, experts], off a class token.

    pooled: width of the caption vector added to tau, or None for the text-free router. look: the
    same of the feature of a first frame, in whose place stands a learned vector where none is
    given, so that one router serves both. The trunk itself never reads captions: `shape.text` must
    be None, else ValueError.
    """

    def __init__(
        self, shape: DiT, experts: int, pooled: int | None, look: int | None = None
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
        self.look = None if look is None else normal_linear(look, d, std=0.02)
        if look is not None:
            self.unseen = nn.Parameter(0.02 * torch.randn(look))

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        tau = self.trunk.embed_time(t)
        if self.pooled is not None:
            if c is None:
                raise ValueError("this router reads captions; Text.null() stands for none")
            tau = tau + self.pooled(torch.where(c.keep[:, None], c.pooled, self.null))
        if self.look is not None:
            seen = self.unseen.expand(len(x), -1)
            if c is not None and c.first is not None:
                seen = torch.where(c.first.keep[:, None], c.first.feature, seen)
            tau = tau + self.look(seen)
        h = self.trunk.embed(x)
        h = torch.cat([self.class_token.expand(len(h), -1, -1), h], dim=1)
        return self.head(self.trunk(h, tau, None)[:, 0]).to(x.dtype)


class Router(DiffusionModule):
    """Cross-entropy against the cluster a sample came from.  (HDDM, Eq. 2 and §6.3)

    All clusters are noised on one path: noising a DDPM expert's data on its own schedule, as §6.3
    may be read, would leak the label through the variance of the input.
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
        look: int | None = None,
    ) -> None:
        super().__init__(RouterNetwork(shape, experts, pooled, look), optim, seed, text_dropout)
        self.schedule = schedule

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        t, eps, c = self.draw(batch)
        logits = self.network(self.schedule.noise(batch["x0"], eps, t), t, c)
        loss = F.cross_entropy(logits, batch["cluster"])
        hits = (logits.argmax(1) == batch["cluster"]).float().mean()
        self.log_dict({"loss": loss, "accuracy": hits}, prog_bar=True, sync_dist=True)
        return loss

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
        """The posterior of the given rows of the set, whatever is asked of them."""
        p = self.p[rows.start : rows.stop]

        def posterior(x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
            return p.to(x.dtype)

        return posterior
