"""What every training shares: the optimiser's recipe, and draws that depend on the step alone."""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from modules.text import GivenFrame, Text

if TYPE_CHECKING:
    from lightning import LightningModule as Module
    from lightning.pytorch.utilities.types import OptimizerLRScheduler
else:
    from torch.nn import Module

Batch = dict[str, Tensor]
"""x0 [B, ...], tokens [B, L, D], pooled [B, P], cluster [B], and step, the batch's own number; of
clips, if they are to begin with a given frame, its frame_feature [B, F]; where it is known, caption
[B], a number that rows of the same tokens share."""


class Times(Protocol):
    """A density of t, a frozen value. draw: t [n] in [0, 1]."""

    def draw(self, n: int, g: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class UniformTimes:
    """Every t alike.  (HDDM, Eq. 4)"""

    def draw(self, n: int, g: torch.Generator) -> Tensor:
        return torch.rand(n, generator=g)


@dataclass(frozen=True)
class LogitNormal:
    """log(t / (1 - t)) normal: the middle times, where velocities are hardest, more often.

    (Esser et al. 2024, Eq. 19; FLUX's own. Paris 2.0 does not say.)
    mean, deviation: of the normal logarithm.
    """

    mean: float = 0.0
    deviation: float = 1.0

    def draw(self, n: int, g: torch.Generator) -> Tensor:
        return torch.sigmoid(self.mean + self.deviation * torch.randn(n, generator=g))


class Precision(Enum):
    """float32 throughout, or bfloat16 autocast; weights, moments and average are float32 in both.

    HDDM trains in float16 (§6.2), which needs its gradients scaled; bfloat16 has float32's range.
    """

    SINGLE = "32-true"
    BF16 = "bf16-mixed"


class ScaledPrecision(Enum):
    """float16 autocast with scaled gradients, as HDDM trains.  (§6.2)

    Apart from Precision, whose code is in the keys of what bfloat16 made.
    """

    FP16 = "16-mixed"


AnyPrecision = Precision | ScaledPrecision


def half(precision: AnyPrecision) -> torch.dtype | None:
    """What networks are cast to; None for nothing."""
    if isinstance(precision, ScaledPrecision):
        return torch.float16
    return torch.bfloat16 if precision is Precision.BF16 else None


@dataclass(frozen=True)
class Optim:
    """AdamW with linear warm-up, then constant, or a cosine down to `final_lr` where one is given.

    Args:
        steps: optimiser steps.
        batch: samples in a batch, whatever the number of devices.
        lr: learning rate.
        warmup: steps of linear warm-up.
        final_lr: learning rate that a cosine falls to; None keeps it constant.
        weight_decay: AdamW's.
        clip: maximum gradient norm.
        ema: decay of the averaged weights; None for the last ones.
        ema_start: index of the step after which the average starts as a copy of the weights.
        accumulate: batches in an optimiser step.
        precision: of networks, in training and evaluation; weights and their average are float32.

    Raises ValueError for fewer than one step or sample, or an average that never starts.
    """

    steps: int
    batch: int
    lr: float
    warmup: int = 0
    final_lr: float | None = None
    weight_decay: float = 0.0
    clip: float | None = 1.0
    ema: float | None = None
    ema_start: int = 0
    accumulate: int = 1
    precision: AnyPrecision = Precision.SINGLE

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.ema is not None and self.ema_start >= self.steps:
            raise ValueError(f"the average starts at step {self.ema_start} of {self.steps}")

    def rate(self, step: int) -> float:
        """The learning rate's factor at an optimiser step, from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.final_lr is None:
            return 1.0
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        floor = self.final_lr / self.lr
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2

    def configure(self, weights: Iterable[nn.Parameter]) -> "OptimizerLRScheduler":
        """The optimiser and schedule of those weights, as Lightning takes them."""
        optimizer = torch.optim.AdamW(weights, self.lr, weight_decay=self.weight_decay, fused=True)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def generator(seed: int, step: int) -> torch.Generator:
    """The generator of one training step: the same after a resume as without one."""
    state = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def put_beside(x: Tensor, drawn: Tensor) -> Tensor:
    """What was drawn on the CPU, where x is; a GPU takes it from pinned memory, unwaited for."""
    return drawn.pin_memory().to(x.device, non_blocking=True) if x.is_cuda else drawn.to(x.device)


@dataclass(frozen=True)
class Posed:
    """What a network is asked in a step, and what is compared with its answer.

    x_t: [B, ...].  t: [B].  c: captions.  target: [B, ...], or a class [B].
    """

    x_t: Tensor
    t: Tensor
    c: Text
    target: Tensor


EVERY_ROW = slice(0, None, 1)
"""The rows of one device that has the whole batch."""


@functools.cache
def lightning_class(kind: type) -> type:
    """The subclass of a class of modules that is a LightningModule too."""
    import lightning

    if issubclass(kind, lightning.LightningModule):
        return kind
    about = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind, lightning.LightningModule), about)


class DiffusionModule(Module):
    """Draws t, eps and dropped captions for a batch as a function of (seed, step) alone.

    Args:
        network: what is trained: (x_t [B, ...], t [B], c) -> [B, ...].
        optim: the optimiser's recipe.
        seed: of every draw.
        text_dropout: share of rows whose caption is dropped.
        times: the density that t is drawn from.
        given_share: share of clips that are given their first frame; 0 draws nothing for it.
        rows: those of the whole batch that this device has, every `rows.step`-th. Numbers are
            drawn for the whole batch, so that the number of devices changes nothing.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """A LightningModule, of a class that configs name without importing Lightning."""
        return super().__new__(lightning_class(cls))  # type: ignore[arg-type]

    def __init__(
        self,
        network: nn.Module,
        optim: Optim,
        seed: int,
        text_dropout: float,
        times: Times = UniformTimes(),
        given_share: float = 0.0,
        rows: slice = EVERY_ROW,
    ) -> None:
        super().__init__()
        self.network, self.optim = network, optim
        self.seed, self.text_dropout = seed, text_dropout
        self.times, self.given_share, self.rows = times, given_share, rows

    def draw(self, batch: Batch) -> tuple[Tensor, Tensor, Text]:
        """(t [B] in [0, 1], eps [B, ...], c with captions dropped), drawn on the CPU."""
        x0 = batch["x0"]
        g, whole = generator(self.seed, int(batch["step"])), len(x0) * self.rows.step
        t = put_beside(x0, self.times.draw(whole, g)[self.rows]).to(x0)
        eps = put_beside(x0, torch.randn((whole, *x0.shape[1:]), generator=g)[self.rows]).to(x0)
        drop = put_beside(x0, torch.rand(whole, generator=g)[self.rows] < self.text_dropout)
        c = Text.of(batch["tokens"], batch["pooled"]).dropped(drop)
        if self.given_share:
            given = put_beside(x0, torch.rand(whole, generator=g)[self.rows] < self.given_share)
            c = replace(c, first=GivenFrame(x0[:, :, :1], batch["frame_feature"], given))
        return t, eps, c

    def pose(self, batch: Batch) -> Posed:
        """What the network is asked about a batch: a function of (seed, step) alone."""
        raise NotImplementedError

    def judged(self, y: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Of answers y [B, ...] to targets: `loss` [B], and what else is logged."""
        raise NotImplementedError

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        asked = self.pose(batch)
        judged = self.judged(self.network(asked.x_t, asked.t, asked.c), asked.target)
        means = {name: values.mean() for name, values in judged.items()}
        self.log_dict(means, prog_bar=True, sync_dist=True)
        return means["loss"]

    def configure_optimizers(self) -> "OptimizerLRScheduler":
        return self.optim.configure(self.network.parameters())
