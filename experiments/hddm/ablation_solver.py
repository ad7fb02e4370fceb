"""Beyond the paper. Solvers by the evaluations that they take: first order, second, multistep.

The paper has Euler's steps, 50 or 75 of them, and does not say what its native DDPM sampler is. An
ensemble's field is integrated by Euler, Heun, DPM-Solver++ (2M) and UniPC; one network alone also
by DDIM and by DDPM's own sampler. Evaluations are counted at the networks, as they are.
scenes: not timed yet; a DDPM monolith is trained beyond Table 1's experts.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from experiments.cli.main import main
from experiments.drawing.curves import curve
from experiments.hddm import readings, settings
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.scores.score import Score
from experiments.stages.setting import Setting
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, ROUTER
from experiments.tables.comparisons import compared
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.multistep import DPMSolver, UniPC
from modules.selection import Top
from modules.solvers import DDIM, Ancestral, Euler, Heun, Solver

ENSEMBLE, FM, DDPM = "Top-2 of FM experts", "FM monolith", "DDPM monolith"
EULER = "Euler"


@dataclass(frozen=True)
class Stepping:
    """A solver, and the most steps that so many evaluations pay for."""

    solver: Solver
    steps: Callable[[int], int] = int


def heun_steps(evaluations: int) -> int:
    """Two a step but the last."""
    return (evaluations + 1) // 2


OF_FIELDS = {
    EULER: Stepping(Euler()),
    "Heun": Stepping(Heun(), heun_steps),
    "DPM-Solver++ (2M)": Stepping(DPMSolver()),
    "UniPC": Stepping(UniPC()),
}
RULES = {
    ENSEMBLE: OF_FIELDS,
    FM: {**OF_FIELDS, "ancestral": Stepping(Ancestral())},
    DDPM: {**OF_FIELDS, "DDIM": Stepping(DDIM()), "ancestral": Stepping(Ancestral())},
}


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.beyond(scale)
    return [
        Row({"Model": model, "Solver": solver, "Evaluations": f"{n}"}, score)
        for model in RULES
        for solver, n, setting in plans(scale, model)
        for score in [_score(scale, model, seed, setting)]
    ]


def plans(scale: ImageScale, model: str) -> Iterator[tuple[str, int, Setting]]:
    """Every solver at every number of evaluations that it may take for a sample of a model."""
    plain = scores.default(scale)
    plain = readings.corrected(plain) if model == DDPM else plain
    for name, rule in RULES[model].items():
        for n in scale.study.beyond.evaluations:
            yield name, n, replace(plain, solver=rule.solver, steps=rule.steps(n))


def _score(scale: ImageScale, model: str, seed: int, setting: Setting) -> Score:
    if model == ENSEMBLE:
        trained, router = (
            experts.mixed(scale, FlowMatchingExpert, {}, seed),
            experts.router(scale, True, seed),
        )
        return scores.score(scale, trained, router, Top(2), seed, setting)
    module = FlowMatchingExpert if model == FM else DDPMExpert
    return scores.alone(scale, experts.monolith(scale, module, seed), seed, setting)


def tests(results: Results) -> list[str | None]:
    """Every solver against Euler at as many evaluations."""
    return [
        compared(results, column, (model, solver, n), (model, EULER, n))
        for column in (FID, ACCURACY)
        for model, solver, n in (tuple(row.names.values()) for row in results.rows[0])
        if solver != EULER
    ]


def figure_of(model: str) -> Callable[[Results], Chart]:
    """Quality against evaluations, a line a solver."""

    def figure(results: Results) -> Chart:
        shown = results.where("Model", model)
        return curve(shown, "Evaluations", [FID, ACCURACY], "Solver", "evaluations a sample")

    return figure


TABLE = Table(
    name="ablation-solver",
    title="Solvers, by evaluations (beyond HDDM §2.3)",
    columns=[FID, KID, ACCURACY, DIVERSITY, EXPERT, ROUTER],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    baseline=None,
    notes=[
        "Evaluations: of the field, at most; Heun takes an odd number. Expert evaluations are "
        "counted: Top-2 asks two experts for one of the field, and guidance asks two halves.",
        "A native sampler walks the schedule of one network, so that an ensemble has none. On the "
        "linear schedule DDIM is Euler, and is left out.",
        f"The DDPM monolith is converted at equal signal-to-noise ratio and, native or not, asked "
        f"at t <= {readings.LAST:g} of its own schedule.",
        "DPM-Solver++ and UniPC are diffusers' schedulers, of second order, over the velocity.",
    ],
    figures={
        "ablation-solver-ensemble": figure_of(ENSEMBLE),
        "ablation-solver-fm": figure_of(FM),
        "ablation-solver-ddpm": figure_of(DDPM),
    },
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
