# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A new objective, a new selection, a new schedule
#
# Each is a frozen value of a few lines. What is trained is trained in other processes, which
# import it, so its class belongs into a file. Here the notebook writes that file; in the suite it
# would stand in `modules/`.

# %%
import os
import sys
from pathlib import Path

if not Path("experiments").is_dir():  # a notebook starts in its own folder
    os.chdir("..")
SCALE, STORE = os.environ.get("SCALE", "small"), os.environ.get("STORE", "store")
PARTS = Path(f"{STORE}-parts")
sys.path[:0] = [os.getcwd(), str(PARTS.resolve())]

# %%
PARTS.mkdir(parents=True, exist_ok=True)
(PARTS / "my_parts.py").write_text(
    '''
"""An objective, a schedule and an expert that is trained on them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.denoising import DenoisingExpert
from modules.objectives import Objective
from modules.schedules import Schedule


@dataclass(frozen=True)
class Leaning(Objective):
    """y = eps - x0 / 2: between noise prediction and the velocity of the linear path."""

    def row(self, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(t, -0.5), torch.ones_like(t)


@dataclass(frozen=True)
class Lingering(Schedule):
    """alpha = cos(pi t^2 / 2), sigma = sin(pi t^2 / 2): the cosine, slower where noise is low."""

    def angle(self, t: Tensor) -> Tensor:
        return math.pi / 2 * t**2

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(self.angle(t))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(self.angle(t))

    def dalpha(self, t: Tensor) -> Tensor:
        return -math.pi * t * torch.sin(self.angle(t))

    def dsigma(self, t: Tensor) -> Tensor:
        return math.pi * t * torch.cos(self.angle(t))

    def time(self, angle: Tensor) -> Tensor:
        return (2 / math.pi * angle).sqrt()


class LeaningExpert(DenoisingExpert):
    """The leaning objective on the lingering schedule."""

    objective, default_schedule = Leaning(), Lingering()
'''.lstrip()
)

# %% [markdown]
# An objective is the row (a, b) of y = a x0 + b eps. Together with x_t = alpha x0 + sigma eps
# that is a 2x2 system. Where its determinant vanishes a prediction tells nothing beyond x_t, and
# such an expert is refused before it is trained. A schedule's derivatives and its inverse are
# checked against alpha and sigma.

# %%
import torch
from my_parts import Leaning, LeaningExpert, Lingering

from modules.objectives import check_invertible

t = torch.linspace(0.01, 0.99, 99, dtype=torch.float64, requires_grad=True)
schedule = Lingering()
for value, slope in ((schedule.alpha, schedule.dalpha), (schedule.sigma, schedule.dsigma)):
    (numeric,) = torch.autograd.grad(value(t).sum(), t)
    assert torch.allclose(numeric, slope(t))
assert torch.allclose(schedule.time(schedule.angle(t)), t)
check_invertible(Leaning(), schedule)
Leaning().determinant(schedule, t).abs().min().item()

# %% [markdown]
# Trained as any other: `experts.expert` names it, the lab makes it. It joins the seven Flow
# Matching experts, which know nothing of it.

# %%
from dataclasses import replace

from experiments.lab import Lab
from experiments.recipes import experts
from modules.selection import Top

lab = Lab(SCALE, store=STORE, train=True)
stage = experts.expert(lab.scale, LeaningExpert, cluster=0, seed=0)
leaning = lab.made(stage).load(lab.store).eval().expert()
ensemble = lab.ensemble(Top(2))
ensemble = replace(ensemble, experts=[leaning, *ensemble.experts[1:]])

# %% [markdown]
# A selection turns probabilities p [B, K] and times t [B] into weights [B, K] that sum to 1. This
# one asks two experts while noise is high, and one after that.

# %%
from dataclasses import dataclass

from modules.selection import Selection


@dataclass(frozen=True)
class Narrowing(Selection):
    """Top-2 above t = `until`, Top-1 below."""

    until: float

    def weights(self, p, t):
        two, one = Top(2).weights(p, t), Top(1).weights(p, t)
        return torch.where((t > self.until)[:, None], two, one)


narrowing = replace(ensemble, selection=Narrowing(0.5))
asked = lab.routing(narrowing, ["the digit three"])
asked[asked["w"] > 0].groupby("t", sort=False).size()

# %%
import matplotlib.pyplot as plt

captions = ["the digit three", "the digit zero", "a handwritten eight"]
for i, picture in enumerate(lab.draw(narrowing, captions)):
    plt.subplot(1, 3, i + 1)
    plt.imshow(picture[0], cmap="gray")
    plt.title(captions[i], fontsize=7)
    plt.axis("off")
plt.show()

# %% [markdown]
# A row of a table is a score: samples for held-out captions, read by the scale's judge. In a
# table script such a row stands in `rows(scale, seed)`; `docs/extending.md` goes on from here.

# %%
from experiments.recipes import scores
from modules.denoising import FlowMatchingExpert

eight = experts.mixed(lab.scale, FlowMatchingExpert, {0: LeaningExpert}, seed=0)
router = experts.router(lab.scale, True, seed=0)
score = scores.score(lab.scale, eight, router, Top(2), seed=0)
{name: lab.made(score).read(lab.store)[name] for name in ("fid", "accuracy")}
