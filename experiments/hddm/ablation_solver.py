"""Beyond the paper. Solvers by the evaluations that they take: first order, second, multistep.

The paper has Euler's steps, 50 or 75 of them, and does not say what its native DDPM sampler is. An
ensemble's field is integrated by Euler, Heun, DPM-Solver++ (2M) and UniPC; one network alone also
by DDIM and by DDPM's own sampler. How far each ends from Heun's solution of far smaller steps, from
the same noise, is measured: FID tells what that matters.
scenes: about an hour for 3 seeds on 2 busy cores; a DDPM monolith is trained beyond Table 1's
experts.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from experiments.cli.main import main
from experiments.drawing.curves import curve
from experiments.hddm import readings, settings
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.scores.apart import apart, beside
from experiments.scores.score import Score
from experiments.stages.setting import Setting
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, ROUTER, Column
from experiments.tables.comparisons import compared, interaction, row_names
from experiments.tables.contrasts import Names
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.multistep import DPMSolver, UniPC
from modules.schedules import Cosine
from modules.selection import Top
from modules.solvers import DDIM, Ancestral, Euler, Heun, Solver

ENSEMBLE, FM, DDPM = "Top-2 of FM experts", "FM monolith", "DDPM monolith"
REAL, EULER, HEUN, DPM, UNIPC = "Real pictures", "Euler", "Heun", "DPM-Solver++ (2M)", "UniPC"
FINER = 4
"""Of what is taken for the solution: so many times the most evaluations of any row."""
ANCESTRAL, SOLUTION = "ancestral", "the solution"
APART = apart(SOLUTION)
LEFT = float(Cosine().alpha(torch.tensor(readings.LAST)))
"""Of the picture in the state at which DDIM and DDPM's own sampler begin."""


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
    HEUN: Stepping(Heun(), heun_steps),
    DPM: Stepping(DPMSolver()),
    UNIPC: Stepping(UniPC()),
}
RULES = {
    ENSEMBLE: OF_FIELDS,
    FM: {**OF_FIELDS, ANCESTRAL: Stepping(Ancestral())},
    DDPM: {**OF_FIELDS, "DDIM": Stepping(DDIM()), ANCESTRAL: Stepping(Ancestral())},
}


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.beyond(scale)
    return [
        *(row for model in RULES for row in _of_model(scale, model, seed)),
        Row(_names(REAL, "", ""), scores.real(scale, seed)),
    ]


def _of_model(scale: ImageScale, model: str, seed: int) -> Iterator[Row]:
    """Every solver of one field; what draws at random has no solution to be near to."""
    solution = {SOLUTION: _score(scale, model, seed, solved(scale, model))}
    for solver, n, setting in plans(scale, model):
        score = _score(scale, model, seed, setting)
        drawing = isinstance(setting.solver, Ancestral)
        yield Row(_names(model, solver, f"{n}"), score if drawing else beside(score, solution))


def _names(model: str, solver: str, evaluations: str) -> dict[str, str]:
    return {"Model": model, "Solver": solver, "Evaluations": evaluations}


def solved(scale: ImageScale, model: str) -> Setting:
    """The setting of what is taken for the solution."""
    steps = heun_steps(FINER * max(scale.study.beyond.evaluations))
    return replace(_plain(scale, model), solver=Heun(), steps=steps)


def _plain(scale: ImageScale, model: str) -> Setting:
    plain = scores.default(scale)
    return readings.corrected(plain) if model == DDPM else plain


def plans(scale: ImageScale, model: str) -> Iterator[tuple[str, int, Setting]]:
    """Every solver at every number of evaluations that it may take for a sample of a model."""
    for name, rule in RULES[model].items():
        for n in scale.study.beyond.evaluations:
            yield name, n, replace(_plain(scale, model), solver=rule.solver, steps=rule.steps(n))


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
    """Every solver against Euler at as many evaluations; of distances the multistep rules against
    each other and Heun, and whether an ensemble's field, which changes its experts on the way,
    gives a solver as much as one's; of FID all against the same and Euler at the most."""
    names = [row for row in row_names(results) if row[0] != REAL]
    most = f"{max(results.scale.study.beyond.evaluations)}"
    lines = list[str | None]()
    for column in (APART, FID, ACCURACY):
        for here in names:
            model, solver, n = here
            if column == APART and solver == ANCESTRAL:
                continue
            lines += [compared(results, column, here, x) for x in _others(column, here, most)]
            if model == ENSEMBLE and solver != EULER and column == APART:
                pairs = [((whose, solver, n), (whose, EULER, n)) for whose in (ENSEMBLE, FM)]
                lines.append(interaction(results, column, *pairs))
    return lines


def _others(column: Column, here: Names, most: str) -> Iterator[Names]:
    """The rows that one is compared with in a column.  most: evaluations of any row."""
    model, solver, n = here
    if solver != EULER:
        yield model, EULER, n
    if solver in (HEUN, UNIPC) and column == APART:
        yield model, DPM, n
    if column == FID and n != most:
        yield from dict.fromkeys([(model, solver, most), (model, EULER, most)])


def figure_of(model: str) -> Callable[[Results], Chart]:
    """Distance to the solution and quality against evaluations, a line a solver."""

    def figure(results: Results) -> Chart:
        shown, panels = results.where("Model", model), [APART, FID, ACCURACY]
        return curve(shown, "Evaluations", panels, "Solver", "evaluations of the field", None, True)

    return figure


TABLE = Table(
    name="ablation-solver",
    title="Solvers, by evaluations (beyond HDDM §2.3)",
    columns=[APART, FID, KID, ACCURACY, DIVERSITY, EXPERT, ROUTER],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    baseline=None,
    notes=[
        "Evaluations: of the field, at most; Heun takes an odd number. Expert evaluations are "
        "counted: Top-2 asks two experts for one of the field, and guidance asks two halves.",
        f"The solution is Heun's, of {FINER} times the most evaluations, from the same noise; what "
        "draws noise on the way has none.",
        "A native sampler walks the schedule of one network, so that an ensemble has none. On the "
        "linear schedule DDIM is Euler, and is left out. DDIM and DDPM's own sampler begin at "
        f"t = {readings.LAST:g} of their schedule, with noise alone where {LEFT:.0%} of the "
        "picture is left, and step evenly in its time: what parts them from Euler is this too.",
        f"The DDPM monolith is converted at equal signal-to-noise ratio and, native or not, asked "
        f"at t <= {readings.LAST:g} of its own schedule.",
        "DPM-Solver++ and UniPC are diffusers' schedulers, of second order in x0, which they read "
        "from the velocity, with even steps in t.",
        settings.UNADJUSTED,
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
