"""Beyond the paper. An ensemble distilled into one network of an expert's size.

DDM distils eight experts into one dense model and reports an FID of 7.76 for 7.82: nothing is lost,
and one network serves. A student learns the ensemble's velocity at noised data, under a text-aware
router and Top-k; beside it stand its teacher, the monolith, one trained for as many FLOPs as
experts and student took together, and one expert alone.
scenes: 72 min for 3 seeds on 2 busy cores; two students and two longer monoliths beyond Table 1's
experts.
"""

import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial

from experiments.cli.main import main
from experiments.drawing.forest import Mark, forest
from experiments.drawing.neighbours import sample_grid
from experiments.hddm import settings
from experiments.recipes import experts, scores
from experiments.recipes.beyond import EVERY
from experiments.recipes.images import ImageScale
from experiments.scores.apart import apart, beside
from experiments.scores.scenes import VARIATION
from experiments.scores.score import Score
from experiments.stages.distilled import TrainStudent
from experiments.stages.experts import TrainExpert
from experiments.tables.columns import (
    ACCURACY,
    DIVERSITY,
    EXPERT,
    FID,
    KID,
    NEAREST,
    ROUTER,
    Column,
)
from experiments.tables.comparisons import compared, index, of_differences, verdict
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from modules.denoising import FlowMatchingExpert
from modules.distilling import StudentExpert
from modules.selection import Top

MONOLITH, ALONE = "Monolithic", "One expert, of the largest cluster"
REAL = "Real pictures"
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


def ensemble(k: int) -> str:
    return f"Ensemble, Top-{k}"


def taught_by(k: int) -> str:
    return f"Top-{k}'s samples"


def as_student(k: int) -> str:
    return f"{MONOLITH}, as many FLOPs as experts and student of Top-{k}"


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.beyond(scale)
    trained = {
        MONOLITH: experts.monolith(scale, FlowMatchingExpert, seed),
        ALONE: experts.expert(scale, FlowMatchingExpert, 0, seed),
    }
    for k in scale.study.beyond.distilled:
        trained |= {as_student(k): longer(scale, k, seed), of_student(k): student(scale, k, seed)}
    drawn = {(name, OWN): scores.alone(scale, x, seed) for name, x in trained.items()}
    for k in scale.study.beyond.distilled:
        drawn |= _teacher(scale, k, seed)
    near = {taught_by(k): drawn[ensemble(k), OWN] for k in scale.study.beyond.distilled}
    return [
        *(_row(*names, beside(score, near)) for names, score in drawn.items()),
        _row(REAL, "", scores.real(scale, seed)),
    ]


def _teacher(scale: ImageScale, k: int, seed: int) -> dict[tuple[str, str], Score]:
    """The ensemble at the scale's steps, and at those that cost what one network's do."""
    trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
    router, steps = experts.router(scale, True, seed), scale.draw.steps
    made = {}
    for drawn, n in {OWN: steps, EQUAL: max(1, steps // k)}.items():
        if drawn == OWN or n != steps:
            how = scores.setting(scale, n, scale.draw.guidance)
            made[ensemble(k), drawn] = scores.score(scale, trained, router, Top(k), seed, how)
    return made


def _row(model: str, steps: str, score: Score) -> Row:
    return Row({"Model": model, "Solver steps": steps}, score)


def tests(results: Results) -> list[str | None]:
    """Every student against its teacher, at as many steps and at as many evaluations, against the
    monoliths, the expert alone and the other student; teachers and longer training against the
    monolith; and whether a student's samples lie nearer to its teacher's than others' do."""
    taught = results.scale.study.beyond.distilled
    lines, students = list[str | None](), [of_student(k) for k in taught]
    for column in (FID, ACCURACY, VARIATION):
        pairs = [((a, OWN), (b, OWN)) for a, b in itertools.pairwise(students)]
        for k in taught:
            student, teacher = (of_student(k), OWN), (ensemble(k), OWN)
            monoliths = [(as_student(k), OWN), (MONOLITH, OWN)]
            others = [teacher, *monoliths, (ALONE, OWN), *([(ensemble(k), EQUAL)] if k > 1 else ())]
            pairs += [(student, other) for other in others]
            pairs += [(teacher, other) for other in monoliths] + [(monoliths[0], monoliths[1])]
        lines += [compared(results, column, a, b) for a, b in pairs]
    for k, column in zip(taught, nearness(taught), strict=True):
        others = [(as_student(k), OWN), (MONOLITH, OWN)]
        others += [(named(j), OWN) for j in taught if j != k for named in (of_student, ensemble)]
        lines += [compared(results, column, (of_student(k), OWN), other) for other in others]
    return [*lines, *map(partial(_own_teacher, results), itertools.pairwise(taught))]


def _own_teacher(results: Results, both: tuple[int, int]) -> str:
    """One line: whether each of two students is the nearer one to its own teacher. A set of blander
    samples is nearer to every other; that cancels here."""
    rows = [index(results, of_student(k), OWN) for k in both]
    gap = of_differences(*(results.values(row, near) for near in nearness(both) for row in rows))
    first, second = both
    return (
        f"RMS distance, {of_student(first)} less {of_student(second)}, to {taught_by(first)} less "
        f"to {taught_by(second)}: {apart('').show(gap)} (n = {gap.n}): {verdict(gap)}."
    )


def nearness(taught: Sequence[int]) -> list[Column]:
    """How far samples lie from those of each teacher, from the same noise."""
    return [apart(taught_by(k)) for k in taught]


def figure_of(column: Column) -> Callable[[Results], Chart]:
    """What every model has above the monolith, paired by seed."""

    def figure(results: Results) -> Chart:
        base, shown = index(results, MONOLITH, OWN), results.shown(column)
        marks = [
            Mark(row.name.replace(f", {OWN}", ""), results.difference(i, base, shown))
            for i, row in enumerate(results.rows[0])
            if row.names["Model"] not in (MONOLITH, ALONE, REAL)
        ]
        return forest({"": marks}, shown.title, results.seeds, less=MONOLITH)

    return figure


TABLE = Table(
    name="distill",
    title="An ensemble distilled into one network (beyond HDDM; DDM)",
    columns=[*nearness(EVERY.distilled), FID, KID, ACCURACY, DIVERSITY, NEAREST, EXPERT, ROUTER],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    notes=[
        "All networks are alike. The student has the monolith's recipe and data, the ensemble's "
        "velocity for its target, and no router when it samples.",
        "FLOPs: a sample in training counts three evaluations, and a teacher's answer one for each "
        "expert that it asks. The router's are not counted, of which the monolith has none: they "
        "are the student's in excess.",
        "Distances are between samples of the same noise and prompt. A student whose samples lie "
        "no nearer to its teacher's than a monolith's do has not learnt what that knows.",
        "One expert is asked every prompt, most of them of clusters that it never saw.",
        settings.UNADJUSTED,
    ],
    figures={
        "distill": sample_grid,
        "distill-fid": figure_of(FID),
        "distill-variation": figure_of(VARIATION),
    },
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
