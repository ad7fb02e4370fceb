"""Beyond the paper. How many experts? K = 1 to 16, at equal training and at equal inference.

The paper has 8 (§3.1). DDM found 16 worse than 8, where all are asked and where one is (FID on
ImageNet, 15.43 against 10.52, and 12.51 against 9.84). However many they are, experts see together
as many samples as the monolith; asked at every solver step, more also cost more to draw from.
scenes: not timed yet; experts and two routers of three K beyond Table 1's.
"""

import sys
from collections.abc import Iterator

from experiments.cli.main import main
from experiments.drawing.curves import curve
from experiments.hddm import settings
from experiments.hddm.variants import ROUTERS
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.recipes.scale import turned
from experiments.scores.score import Score
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, NEAREST, ROUTER
from experiments.tables.comparisons import compared
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from modules.denoising import FlowMatchingExpert
from modules.selection import Full, Selection, Top

STEPS, EVALUATIONS = "as many solver steps", "as many evaluations"
MONOLITH = "Monolithic"
BUDGET = 3
"""Evaluations for each step of the scale, where they are kept equal. No strategy asks three, so
that each has rows of both kinds."""


def strategies(k: int) -> dict[str, tuple[Selection, int]]:
    """The selections of k experts, each with how many it asks. Of two, Top-2 is Full."""
    named: dict[str, tuple[Selection, int]] = {"Top-1": (Top(1), 1)}
    if k > 2:
        named["Top-2"] = (Top(2), 2)
    return named | {"Full": (Full(), k)}


def drawn(scale: ImageScale, asked: int) -> dict[str, int]:
    """Solver steps, by what is kept equal: the scale's own, and those that `BUDGET` pays for."""
    steps = scale.draw.steps
    return {STEPS: steps, EVALUATIONS: max(1, BUDGET * steps // asked)}


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.scenes(scale)
    monolith = experts.monolith(scale, FlowMatchingExpert, seed)
    made = []
    for equal, steps in drawn(scale, 1).items():
        how = scores.setting(scale, steps, scale.draw.guidance)
        score = scores.alone(scale, monolith, seed, how)
        made.append(_row(equal, "", MONOLITH, 1, score))
    for k in scale.study.beyond.counts:
        made += _of_count(turned(scale, {"data.clusters": k}), seed)
    return made


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
    """Every K against the monolith, and against half as many experts of the same strategy."""
    lines, rows = list[str | None](), [tuple(row.names.values()) for row in results.rows[0]]
    for column in (FID, ACCURACY):
        for equal, router, strategy, k in rows:
            if strategy == MONOLITH:
                continue
            here, half = (equal, router, strategy, k), (equal, router, strategy, f"{int(k) // 2}")
            lines.append(compared(results, column, here, (equal, "", MONOLITH, "1")))
            if half in rows:
                lines.append(compared(results, column, here, half))
    return lines


def figure(results: Results) -> Chart:
    """As many solver steps: quality against K, a line for each strategy and router."""
    return _over_k(results, STEPS)


def figure_of_evaluations(results: Results) -> Chart:
    """The same, of as many evaluations."""
    return _over_k(results, EVALUATIONS)


def _over_k(results: Results, equal: str) -> Chart:
    shown = results.where("Drawn with", equal)
    return curve(shown, "Experts", [FID, ACCURACY], ("Router", "Strategy"), "experts")


TABLE = Table(
    name="ablation-k",
    title="How many experts (beyond HDDM §3.1)",
    columns=[FID, KID, ACCURACY, DIVERSITY, NEAREST, EXPERT, ROUTER],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    notes=[
        "Whatever K, the experts see together as many samples in training as the monolith, each a "
        "Kth in a batch of a Kth; the networks are alike. One expert is the monolith.",
        f"As many evaluations: {BUDGET} for each of the scale's steps, at most, so that a strategy "
        f"that asks one has {BUDGET} times the steps, and one that asks 16 a fifth of them. The "
        "router's own are not among them. At K = 2 Top-2 is Full.",
        "Each K has clusters and routers of its own.",
    ],
    figures={"ablation-k": figure, "ablation-k-evaluations": figure_of_evaluations},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
