"""Beyond the paper. How many experts? K = 1 to 16, at equal training and at equal inference.

The paper has 8 (§3.1). DDM found 16 worse than 8, where all are asked and where one is (FID on
ImageNet, 15.43 against 10.52, and 12.51 against 9.84). However many they are, experts see together
as many samples as the monolith, and a router comes on top; asked at every solver step, more also
cost more to draw from.
scenes: 2 h for 3 seeds on 2 cores, Table 1's stages among them, other work beside.
"""

import sys
from collections.abc import Callable, Iterator

from experiments.cli.main import main
from experiments.drawing.curves import curve
from experiments.hddm import settings
from experiments.hddm.variants import ROUTERS
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.recipes.scale import turned
from experiments.scores.scenes import VARIATION
from experiments.scores.score import Score
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
from experiments.tables.comparisons import (
    Rising,
    compared,
    index,
    interaction,
    row_names,
    said_by_doubling,
)
from experiments.tables.contrasts import Names
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row, joined
from modules.denoising import FlowMatchingExpert
from modules.selection import Full, Selection, Top

STEPS, EVALUATIONS, FEW = "as many solver steps", "as many evaluations", "Full's few steps"
MONOLITH, REAL = "Monolithic", "Real pictures"
FREE, AWARE = ROUTERS
FEWEST = 5
"""Solver steps of Full of the most experts, where evaluations are kept equal: so many for each of
them is what every other row spends."""


def strategies(k: int) -> dict[str, tuple[Selection, int]]:
    """The selections of k experts, each with how many it asks. Of two, Top-2 is Full."""
    named: dict[str, tuple[Selection, int]] = {"Top-1": (Top(1), 1)}
    if k > 2:
        named["Top-2"] = (Top(2), 2)
    return named | {"Full": (Full(), k)}


def affordable(scale: ImageScale, asked: int) -> int:
    """Solver steps of so many evaluations each that cost what Full's `FEWEST` steps do."""
    return max(1, FEWEST * max(scale.study.beyond.counts) // asked)


def drawn(scale: ImageScale, asked: int) -> dict[str, int]:
    """Solver steps, by what is kept equal: the scale's own, and those that cost as much."""
    return {STEPS: scale.draw.steps, EVALUATIONS: affordable(scale, asked)}


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.scenes(scale)
    monolith = experts.monolith(scale, FlowMatchingExpert, seed)
    counts = scale.study.beyond.counts
    alone = [*drawn(scale, 1).items(), *((FEW, affordable(scale, k)) for k in counts)]
    made = []
    for equal, steps in alone:
        how = scores.setting(scale, steps, scale.draw.guidance)
        name = f"{MONOLITH}, {steps} steps" if equal == FEW else MONOLITH
        made.append(_row(equal, "", name, 1, scores.alone(scale, monolith, seed, how)))
    for k in counts:
        made += _of_count(turned(scale, {"data.clusters": k}), seed)
    names = {"Drawn with": "", "Router": "", "Strategy": REAL, "Experts": ""}
    return [*made, Row(names, scores.real(scale, seed))]


def _of_count(scale: ImageScale, seed: int) -> Iterator[Row]:
    """The rows of one number of experts."""
    k = scale.data.clusters
    trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
    for form, reads_text in ROUTERS.items():
        router = experts.router(scale, reads_text, seed)
        for name, (selection, asked) in strategies(k).items():
            for equal, steps in drawn(scale, asked).items():
                how = scores.setting(scale, steps, scale.draw.guidance)
                score = scores.score(scale, trained, router, selection, seed, how)
                yield _row(equal, form, name, k, score)


def _row(equal: str, router: str, strategy: str, k: int, score: Score) -> Row:
    names = {"Drawn with": equal, "Router": router, "Strategy": strategy, "Experts": f"{k}"}
    return Row(names, score)


def tests(results: Results) -> list[str | None]:
    """What each doubling of K does, and with which router more; every row against the monolith at
    its own budget; all asked against one, each K against half of it; what few steps do to Full, and
    whether more than to the monolith."""
    lines = list[str | None]()
    for column in (FID, KID, ACCURACY, VARIATION):
        lines += [line for line in _along(results, column) if line is not None]
        for here in row_names(results):
            for other, also in _others(results, here):
                if column in (FID, ACCURACY, *also):
                    lines.append(compared(results, column, here, other))
        lines += _of_few_steps(results, column)
    return lines


def _of_few_steps(results: Results, column: Column) -> Iterator[str | None]:
    """What so few steps do to Full of the most experts, less what they do to the monolith."""
    most = max(results.scale.study.beyond.counts)
    few = f"{MONOLITH}, {affordable(results.scale, most)} steps"
    alone = (FEW, "", few, "1"), (STEPS, "", MONOLITH, "1")
    for router in (FREE, AWARE):
        full = (EVALUATIONS, router, "Full", f"{most}"), (STEPS, router, "Full", f"{most}")
        yield interaction(results, column, full, alone)


def _others(results: Results, here: Names) -> Iterator[tuple[Names, tuple[Column, ...]]]:
    """The rows that one is compared with, and in which columns beside FID and prompts."""
    equal, router, strategy, k = here
    if equal == FEW:
        yield (STEPS, "", MONOLITH, "1"), (KID, VARIATION)
    if equal not in (STEPS, EVALUATIONS) or strategy == MONOLITH:
        return
    yield (equal, "", MONOLITH, "1"), (VARIATION,) if equal == STEPS else ()
    if equal == EVALUATIONS:
        if strategy == "Full":
            steps = affordable(results.scale, int(k))
            yield (FEW, "", f"{MONOLITH}, {steps} steps", "1"), ()
            yield (STEPS, router, strategy, k), (KID, VARIATION)
        return
    half = f"{int(k) // 2}"
    same = "Full" if (strategy, half) == ("Top-2", "2") else strategy
    if (equal, router, same, half) in row_names(results):
        yield (equal, router, same, half), ()
    if strategy == "Full":
        yield (equal, router, "Top-1", k), ()


def _along(results: Results, column: Column) -> Iterator[str | None]:
    """What each doubling of K does to a strategy under each router, and the slope under the first
    router less that under the other. Of two experts Top-2 is Full."""
    groups = dict[Names, dict[int, int]]()
    for i, (equal, router, strategy, k) in enumerate(row_names(results)):
        if equal in (STEPS, EVALUATIONS) and strategy != MONOLITH:
            groups.setdefault((equal, router, strategy), {})[int(k)] = i
            if (strategy, k) == ("Full", "2"):
                groups.setdefault((equal, router, "Top-2"), {})[2] = i
    risings = {
        group: Rising(joined(group), (*rows.values(),), (*rows,)) for group, rows in groups.items()
    }
    for (equal, router, strategy), rising in risings.items():
        yield said_by_doubling(results, column, rising)
        other = risings.get((equal, AWARE, strategy))
        if router == FREE and other is not None:
            yield said_by_doubling(results, column, rising, other)


def _over_k(equal: str, router: str) -> Callable[[Results], Chart]:
    """What K experts with a router have above the monolith at the same budget, against K."""

    def figure(results: Results) -> Chart:
        shown = results.where("Drawn with", equal, "").where("Router", router, "")
        monolith = index(shown, equal, "", MONOLITH)
        panels = [FID, ACCURACY, VARIATION]
        return curve(shown, "Experts", panels, "Strategy", "experts", less=monolith, doubling=True)

    return figure


TABLE = Table(
    name="ablation-k",
    title="How many experts (beyond HDDM §3.1)",
    columns=[FID, KID, ACCURACY, DIVERSITY, NEAREST, EXPERT, ROUTER],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    notes=[
        "Whatever K, the experts see together as many samples in training as the monolith, each in "
        "as many steps: a Kth of them, whatever its cluster's size, in a batch of a Kth at the "
        "learning rate that goes with it. The networks are alike, so that parameters grow with K. "
        "One expert is the monolith. The router, which the monolith has not, comes on top in "
        "training and in sampling, and is not counted among evaluations.",
        f"As many evaluations: what Full of the most experts takes in {FEWEST} solver steps; the "
        "fewer experts a strategy asks, the more steps it has. What so few steps "
        f"cost by themselves is the monolith's at {FEW}. At K = 2 Top-2 is Full.",
        "Each K has clusters and routers of its own.",
        settings.UNADJUSTED,
    ],
    baseline=None,
    figures={
        f"ablation-k{budget}{form}": _over_k(equal, router)
        for budget, equal in (("", STEPS), ("-evaluations", EVALUATIONS))
        for form, router in (("", AWARE), ("-text-free", FREE))
    },
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
