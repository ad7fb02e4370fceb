"""Prop. 1. The weight of each noise level in an objective, in closed form and measured.  HDDM §2.4.

Claims: w_eps = (alpha / sigma)^2, w_v = 1 / sigma^2; hence velocity experts are better at high
noise and noise experts at low ("complementary specialisation").
small: 1 min for 3 seeds on 2 cores beside the experts · paper: 2 DiT-XL/2 experts of one cluster.
"""

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from datamodules.sources.source import Split
from experiments.cli.main import main
from experiments.drawing.intervals import aside, means, name_interval, whiskers
from experiments.drawing.style import COLOURS, DASHES, INK, MARKERS, chart, tidy
from experiments.hddm import settings
from experiments.measures.losses import THIRDS, ByNoise
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.tables.columns import NOT_NEGATIVE, Column, percent
from experiments.tables.comparisons import compared, index
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from experiments.tables.statistics import estimate
from experiments.tables.sweeps import check
from modules.denoising import (
    DDPMExpert,
    DenoisingExpert,
    FlowMatchingExpert,
    VExpert,
    X0Expert,
)
from modules.objectives import x0_weight
from modules.schedules import Cosine, Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOW, HIGH = ("0.05", "0.2"), ("0.8", "0.95")
DRAWS, BATCHES = 4, 8
DDPM, FM, FM_COSINE = "noise (DDPM), cosine", "velocity (FM), linear", "velocity (FM), cosine"
V_COSINE, X0_COSINE = "v, cosine", "x0, cosine"
EXPERTS: dict[str, tuple[type[DenoisingExpert], Schedule | None]] = {
    DDPM: (DDPMExpert, None),
    FM: (FlowMatchingExpert, None),
    FM_COSINE: (FlowMatchingExpert, Cosine()),
    V_COSINE: (VExpert, None),
    X0_COSINE: (X0Expert, None),
}


@dataclass(frozen=True)
class Levels:
    """levels: of noise, arctan(sigma / alpha) / (pi / 2), at which losses are compared."""

    levels: tuple[float, ...] = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)

    def __post_init__(self) -> None:
        check("levels", self.levels, 0.01, 0.99)

    def rows(self, scale: ImageScale, seed: int) -> list[Row]:
        heldout, made = experts.encoded(scale, Split.HELDOUT), []
        for name, (module, schedule) in EXPERTS.items():
            expert = settings.paired(scale, module, seed, schedule)
            measured = ByNoise(expert, heldout, self.levels, DRAWS, BATCHES, seed)
            for part in (*(f"{level:g}" for level in self.levels), *THIRDS):
                made.append(Row({"Expert": name, "Noise level": part}, measured, at=part))
        return made


def _levels(results: Results) -> tuple[float, ...]:
    """The levels that the rows were measured at."""
    measured = results.rows[0][0].measured
    assert isinstance(measured, ByNoise)
    return measured.levels


def tests(results: Results) -> list[str | None]:
    """At high noise the velocity expert errs less than the noise expert, at low noise more?"""
    lines: list[str | None] = [
        f"Measured weights differ from the closed form by {_gap(results):.1e} of it at most, over "
        "all experts, levels and seeds."
    ]
    for other in (FM, FM_COSINE, V_COSINE):
        for level in (*LOW, *HIGH):
            lines.append(compared(results, ERROR, (other, level), (DDPM, level)))
        lines.append(compared(results, SHARE, (other, THIRDS[2]), (DDPM, THIRDS[2])))
        lines.append(compared(results, SHARE, (other, THIRDS[0]), (DDPM, THIRDS[0])))
    return lines


def _gap(results: Results) -> float:
    """The largest relative difference of any measured weight from its closed form."""
    return max(
        abs(part[key] / part["weight"] - 1)
        for rows_of_seed in results.numbers
        for part in rows_of_seed
        if "weight" in part
        for key in ("weight_by_loss", "weight_by_gradient")
    )


def weights(results: Results) -> Chart:
    """w(t): lines are closed forms, points are measured by losses (o) and by gradients (x)."""
    import matplotlib.pyplot as plt

    drawn, axes = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
    t = torch.linspace(0.02, 0.98, 193, dtype=torch.float64)
    for (name, made), colour, dashes in zip(EXPERTS.items(), COLOURS, DASHES, strict=False):
        module, schedule = made
        where = module.default_schedule if schedule is None else schedule
        w = x0_weight(module.objective, where, t)
        axes.plot(t, w, color=colour, ls=dashes, lw=1.4, label=name)
        for rows_of_seed in results.numbers:
            parts = [rows_of_seed[index(results, name, f"{level:g}")] for level in _levels(results)]
            at = [part["t"] for part in parts]
            for key, marker in (("weight_by_loss", "o"), ("weight_by_gradient", "x")):
                y = [part[key] for part in parts]
                axes.plot(at, y, marker, color=colour, ms=5, mfc="none", ls="none")
    axes.set_yscale("log")
    axes.set_xlabel("t; points: measured by losses (o) and by gradients (x)", fontsize=9)
    axes.set_ylabel("weight of the squared x0 error in the loss", fontsize=9)
    tidy(axes)
    axes.legend(frameon=False, fontsize=8)
    return chart(drawn)


def x0_errors(results: Results) -> Chart:
    """The x0 error over the noise level, and as a multiple of the DDPM expert's, by seed."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter

    drawn, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.6), layout="constrained")
    for i, name in enumerate(EXPERTS):
        ours, base = _by_seed(results, name), _by_seed(results, DDPM)  # [seeds, levels]
        _band(left, _levels(results), ours, i, name)
        _band(right, _levels(results), ours / base, i, name)
    left.set_title("mean squared x0 error", fontsize=9, color=INK)
    right.set_title("the same, times the DDPM expert's", fontsize=9, color=INK)
    for axes in (left, right):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(FuncFormatter(_round))
        axes.set_xlabel("noise level, arctan(sigma / alpha) / (pi / 2)", fontsize=9)
        tidy(axes)
    handles, labels = left.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    name_interval(drawn, results.seeds)
    return chart(drawn)


def _round(value: float, _: int) -> str:
    """Twos and fives between the powers of ten, and no others: their words would overlap."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def _by_seed(results: Results, name: str) -> np.ndarray:
    at = [index(results, name, f"{level:g}") for level in _levels(results)]
    return np.array([[rows_of_seed[i]["x0_error"] for i in at] for rows_of_seed in results.numbers])


def _band(axes: "Axes", levels: tuple[float, ...], values: np.ndarray, i: int, name: str) -> None:
    """Means over seeds with their 95 % intervals."""
    points = [estimate(list(column)).within(0, math.inf) for column in values.T]
    axes.errorbar(
        aside(levels, i, len(EXPERTS), max(levels) - min(levels)),
        means(points),
        yerr=whiskers(points),
        color=COLOURS[i],
        ls=DASHES[i],
        marker=MARKERS[i],
        ms=4,
        lw=1.3,
        elinewidth=0.9,
        capsize=2,
        label=name,
    )


ERROR = Column("x0_error", "x0 error, thousandths", 3, factor=1000, lies=NOT_NEGATIVE)
SHARE = percent("share", "Share of gradient norm, %")

TABLE = Table(
    name="ablation-weights",
    title="Prop. 1. Weights by noise level, checked on trained experts (HDDM §2.4)",
    columns=[
        Column("t", "t", 3, counted=True),
        Column("weight", "w, closed form", 4, counted=True, lies=NOT_NEGATIVE),
        Column("weight_by_loss", "w, by losses", 4, lies=NOT_NEGATIVE),
        Column("weight_by_gradient", "w, by gradients", 4, lies=NOT_NEGATIVE),
        Column("loss", "Loss", 4, lies=NOT_NEGATIVE),
        ERROR,
        SHARE,
    ],
    rows=Levels().rows,
    sweep=Levels(),
    scales=SCALES,
    judge=scores.judge,
    baseline=None,
    notes=[
        "Noise level: arctan(sigma / alpha) / (pi / 2), which is t on the cosine schedule. At one "
        "level all experts see the same pictures with the same eps at the same signal-to-noise "
        "ratio; held-out pictures of all clusters, with their captions.",
        "w by losses: the loss over the mean squared x0 error of the same predictions. w by "
        "gradients: the norm of the loss's gradient in all parameters over that of the x0 error's. "
        "Both are the closed form whatever is learned: they check the code, and are no finding.",
        "Share of gradient norm: of the mean norm of a batch's gradient, t being drawn in each "
        "third of [0, 1]. It is the expert's own t: on the linear schedule thirds lie a little "
        "elsewhere.",
        "The closed form says w_v >= w_eps at every t, with equality at t = 0 alone: nothing in it "
        "makes a velocity expert worse at low noise. That is asked of the x0 errors below.",
        "Velocity on the cosine schedule is v times pi / 2; both are trained, at a loss (pi / 2)^2 "
        "apart, which Adam's steps do not see but the clipping of the gradient does.",
    ],
    figures={"ablation-weights": weights, "ablation-weights-errors": x0_errors},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
