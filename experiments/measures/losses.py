"""What losses tell of experts: how soon one is learnt, and where in the noise it errs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context, Store
from experiments.scores.score import Drawn, Score
from experiments.stages.clusters import Encoded
from experiments.stages.experts import TrainExpert
from experiments.stages.seeds import MEASURING, run_seed
from modules.denoising import DenoisingExpert
from modules.objectives import x0_weight
from modules.text import Text

if TYPE_CHECKING:
    import pandas as pd

THIRDS = ("t in the first third", "t in the second third", "t in the last third")
GRADIENT_BATCH = 64
"""Pictures whose gradient is taken at once."""


def loss_at(curve: "pd.DataFrame", step: float) -> float:
    """The validation loss at a step, on the straight lines between validations."""
    return float(np.interp(step, curve["step"], curve["loss"]))


def reached(curve: "pd.DataFrame", loss: float) -> float | None:
    """The first step at which the straight lines between validations are down at `loss`.

    The first validation's step if it is there already, which is then late; None if never.
    """
    steps, losses = curve["step"].to_numpy(float), curve["loss"].to_numpy()
    below = np.flatnonzero(losses <= loss)
    if len(below) == 0:
        return None
    i = below[0]
    if i == 0:
        return float(steps[0])
    part = (losses[i - 1] - loss) / (losses[i - 1] - losses[i])
    return float(steps[i - 1] + part * (steps[i] - steps[i - 1]))


@dataclass(frozen=True)
class Convergence(Measurement):
    """Validation loss after fractions of the steps, and how much sooner than `scratch` it falls.

    speedup_half, speedup_final, speedup_lowest: steps in which scratch comes down to its own loss
    half-way, at the end, at its lowest, over those in which this run does, or all of them if it
    never does; reached_final is 1 if it does.  (HDDM, §3.2.2)
    """

    version: ClassVar[int] = 2

    run: TrainExpert
    scratch: TrainExpert
    fractions: tuple[float, ...]

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        ours, theirs = (stage.validated(context.store) for stage in (self.run, self.scratch))
        steps = self.scratch.optim.steps
        numbers = {f"loss_{part:g}": loss_at(ours, part * steps) for part in self.fractions}
        numbers["loss_lowest"] = float(ours["loss"].min())
        marks = {
            "half": loss_at(theirs, steps / 2),
            "final": loss_at(theirs, steps),
            "lowest": float(theirs["loss"].min()),
        }
        for name, loss in marks.items():
            our_step, their_step = reached(ours, loss), reached(theirs, loss)
            if name == "final":
                numbers["reached_final"] = float(our_step is not None)
            if their_step is not None:  # a line between validations may pass below each of them
                numbers[f"speedup_{name}"] = their_step / (steps if our_step is None else our_step)
        return numbers


@dataclass(frozen=True)
class Sampled(Measurement):
    """What is said of a run's samples, and `loss_sampled`: the last validation loss of the weights
    that drew them.  (HDDM, Fig 3)"""

    run: TrainExpert
    shown: Score | Drawn

    @property
    def label(self) -> str:
        return f"samples of {self.run.label} after {self.run.optim.steps:,} steps"

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        loss = float(self.run.validated(context.store)["loss"].iloc[-1])
        return {**self.shown.read(context.store), "loss_sampled": loss}

    def remarks(self, store: Store) -> tuple[str, ...]:
        return self.shown.remarks(store)


@dataclass(frozen=True)
class ByNoise(Measurement):
    """One expert's losses and gradients on its clusters' held-out pictures, by noise level and by
    thirds of t.

    A level is arctan(sigma / alpha) in units of pi / 2: whatever their schedules, experts are
    compared at equal signal-to-noise ratio, on the same pictures with the same eps. In float64.
    """

    expert: TrainExpert
    encoded: Encoded
    levels: tuple[float, ...]
    draws: int
    batches: int
    seed: int

    @property
    def label(self) -> str:
        return f"losses by noise level of {self.expert.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        module = self.expert.load(context.store).double().to(context.torch_device)
        data = self.encoded.load(context.store)
        own = torch.isin(data["cluster"], torch.tensor(self.expert.clusters))
        some = {key: data[key][own].double().to(context.torch_device) for key in KEYS}
        by_level = {f"{v:g}": self._level(module, some, v, i) for i, v in enumerate(self.levels)}
        norms = [self._gradient(module, some, i) for i in range(len(THIRDS))]
        shares = zip(THIRDS, norms, strict=True)
        return {**by_level, **{name: {"share": norm / sum(norms)} for name, norm in shares}}

    def _level(
        self, module: DenoisingExpert, data: dict[str, Tensor], level: float, i: int
    ) -> dict[str, float]:
        """Losses over all pictures and draws; gradients over the first pictures of each draw."""
        angle = torch.tensor(level * torch.pi / 2, dtype=torch.float64)
        t = module.schedule.time(angle)
        losses, gradients = [], []
        for j in range(self.draws):
            eps = noise_like(data["x0"], self.seed, i, j)
            with torch.no_grad():
                both = errors(module, data, t, eps)
            losses.append([both[0].item(), both[1].item()])
            first = {key: x[:GRADIENT_BATCH] for key, x in data.items()}
            own, clean = errors(module, first, t, eps[:GRADIENT_BATCH])
            gradients.append([gradient_norm(module, own), gradient_norm(module, clean)])
        (loss, x0_error), (steep, clean_steep) = np.mean(losses, 0), np.mean(gradients, 0)
        return {
            "t": float(t),
            "loss": float(loss),
            "x0_error": float(x0_error),
            "weight": float(x0_weight(module.objective, module.schedule, t)),
            "weight_by_loss": float(loss / x0_error),
            "weight_by_gradient": float(steep / clean_steep),
        }

    def _gradient(self, module: DenoisingExpert, data: dict[str, Tensor], third: int) -> float:
        """The mean norm of a batch's gradient, t uniform in a third of [0, 1], captions kept."""
        norms, x0 = [], data["x0"]
        for j in range(self.batches):
            g = torch.Generator().manual_seed(run_seed(self.seed, MEASURING, len(self.levels), j))
            chosen = torch.randint(len(x0), (GRADIENT_BATCH,), generator=g)
            t = (third + torch.rand(GRADIENT_BATCH, generator=g)).to(x0) / len(THIRDS)
            eps = torch.randn((GRADIENT_BATCH, *x0.shape[1:]), generator=g).to(x0)
            chosen = chosen.to(x0.device)
            c = Text.of(data["tokens"][chosen], data["pooled"][chosen])
            norms.append(gradient_norm(module, module.loss(x0[chosen], t, eps, c)))
        return float(np.mean(norms))


KEYS = ("x0", "tokens", "pooled")


def noise_like(x0: Tensor, seed: int, *who: int) -> Tensor:
    """Standard normal noise of x0's shape, drawn on the CPU from (seed, who)."""
    g = torch.Generator().manual_seed(run_seed(seed, MEASURING, *who))
    return torch.randn(x0.shape, generator=g).to(x0)


def errors(
    module: DenoisingExpert, data: dict[str, Tensor], t: Tensor, eps: Tensor
) -> tuple[Tensor, Tensor]:
    """Of one prediction at one time t []: the objective's loss, and its mean squared x0 error."""
    x0, schedule, objective = data["x0"], module.schedule, module.objective
    times = t.to(x0.device).expand(len(x0))
    x_t = schedule.noise(x0, eps, times)
    y = module.network(x_t, times, Text.of(data["tokens"], data["pooled"]))
    clean, _ = objective.recover(schedule, y, x_t, times)
    own = (y - objective.target(schedule, x0, eps, times)).square().mean()
    return own, (clean - x0).square().mean()


def gradient_norm(module: DenoisingExpert, loss: Tensor) -> float:
    """The norm of a loss's gradient in all parameters together."""
    weights: Sequence[Tensor] = list(module.network.parameters())
    gradients = torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True)
    return float(torch.stack([x.square().sum() for x in gradients if x is not None]).sum().sqrt())
