"""Beyond the paper. An ensemble distilled into one network of an expert's size.

DDM distils eight experts into one dense model and reports an FID of 7.76 for 7.82: nothing is lost,
and one network serves. A student learns the ensemble's velocity at noised data, under a text-aware
router and Top-k; beside it stand its teacher, the monolith, one trained for as many FLOPs as
experts and student took together, and one expert alone.
scenes: not timed yet; two students and two longer monoliths beyond Table 1's experts.
"""

import sys
from collections.abc import Iterator
from dataclasses import fields, replace

from experiments.cli.main import main
from experiments.drawing.neighbours import sample_grid
from experiments.hddm import settings
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.scores.score import Score
from experiments.stages.distilled import TrainStudent
from experiments.stages.experts import TrainExpert
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, NEAREST, ROUTER
from experiments.tables.comparisons import compared
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from modules.denoising import FlowMatchingExpert
from modules.distilling import StudentExpert
from modules.selection import Top

MONOLITH, ALONE = "Monolithic", "One expert, of the largest cluster"
OWN, EQUAL = "the scale's", "as many evaluations"
STEP = 3
"""What a sample costs in training, in evaluations: the backward pass costs two forward ones."""


def student(scale: ImageScale, k: int, seed: int) -> TrainStudent:
    """One network of all data, with the monolith's recipe, taught by Top-k of the experts."""
    plain = experts.monolith(scale, StudentExpert, seed)
    own = {field.name: getattr(plain, field.name) for field in fields(plain)}
    teachers = tuple(experts.mixed(scale, FlowMatchingExpert, {}, seed))
    router = experts.router(scale, True, seed)
    return TrainStudent(**own, teachers=teachers, router=router, selection=Top(k))


def longer(scale: ImageScale, k: int, seed: int) -> TrainExpert:
    """A monolith trained for what the experts, the student of Top-k and its teachers' answers cost.

    Experts together and student take as many samples as the monolith each; of each of the student's
    the teachers are k evaluations.
    """
    plain = experts.monolith(scale, FlowMatchingExpert, seed)
    steps = plain.optim.steps * (STEP + STEP + k) // STEP
    return replace(plain, optim=replace(plain.optim, steps=steps))


def of_student(k: int) -> str:
    return f"Student of Top-{k}"


def as_student(k: int) -> str:
    return f"{MONOLITH}, as many FLOPs as experts and student of Top-{k}"


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.beyond(scale)
    named = {
        MONOLITH: experts.monolith(scale, FlowMatchingExpert, seed),
        ALONE: experts.expert(scale, FlowMatchingExpert, 0, seed),
    }
    for k in scale.study.beyond.distilled:
        named |= {as_student(k): longer(scale, k, seed), of_student(k): student(scale, k, seed)}
    made = [_row(name, OWN, scores.alone(scale, x, seed)) for name, x in named.items()]
    return made + [row for k in scale.study.beyond.distilled for row in _teacher(scale, k, seed)]


def _teacher(scale: ImageScale, k: int, seed: int) -> Iterator[Row]:
    """The ensemble at the scale's steps, and at those that cost what one network's do."""
    trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
    router, steps = experts.router(scale, True, seed), scale.draw.steps
    for drawn, n in {OWN: steps, EQUAL: max(1, steps // k)}.items():
        if drawn == OWN or n != steps:
            how = scores.setting(scale, n, scale.draw.guidance)
            score = scores.score(scale, trained, router, Top(k), seed, how)
            yield _row(f"Ensemble, Top-{k}", drawn, score)


def _row(model: str, steps: str, score: Score) -> Row:
    return Row({"Model": model, "Solver steps": steps}, score)


def tests(results: Results) -> list[str | None]:
    """Every student against its teacher, at as many steps and at as many evaluations, and against
    the monoliths and the expert alone."""
    lines, rows = list[str | None](), [tuple(row.names.values()) for row in results.rows[0]]
    for k in results.scale.study.beyond.distilled:
        others = [(f"Ensemble, Top-{k}", OWN), (f"Ensemble, Top-{k}", EQUAL)]
        others += [(as_student(k), OWN), (MONOLITH, OWN), (ALONE, OWN)]
        for column in (FID, ACCURACY, DIVERSITY):
            for other in others:
                if other in rows:
                    lines.append(compared(results, column, (of_student(k), OWN), other))
    return lines


TABLE = Table(
    name="distill",
    title="An ensemble distilled into one network (beyond HDDM; DDM)",
    columns=[FID, KID, ACCURACY, DIVERSITY, NEAREST, EXPERT, ROUTER],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    notes=[
        "All networks are alike. The student has the monolith's recipe and data, the ensemble's "
        "velocity for its target, and no router when it samples.",
        "FLOPs: a sample in training counts three evaluations, and a teacher's answer one for each "
        "expert that it asks. The router is counted on neither side.",
        "One expert is asked every prompt, most of them of clusters that it never saw.",
    ],
    figures={"distill": sample_grid},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
