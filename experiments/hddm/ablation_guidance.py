"""Beyond the paper. Guidance of an ensemble: how its halves are routed, how much of it, and when.

Classifier-free guidance asks a router twice: with the caption and without. The null half goes by
itself to whom its own posterior names, or together with the other to whom the caption names. The
paper guides by 7.5 and by 6 and says neither which, nor what other scales do (§3.1, §3.3.1).
scenes: 18 min for 3 seeds on 2 cores; nothing is trained beyond Table 1's.
"""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import replace

from experiments.cli.main import main
from experiments.drawing.curves import curve
from experiments.hddm import settings
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.scores.scenes import VARIATION
from experiments.scores.score import Score
from experiments.stages.setting import Setting
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, NEAREST, ROUTER
from experiments.tables.comparisons import compared, row_names
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from modules.denoising import FlowMatchingExpert
from modules.guidance import Within
from modules.selection import Top

MONOLITH, FREE, APART, TOGETHER = (
    "Monolithic",
    "Top-2, text-free",
    "Top-2, text-aware, halves apart",
    "Top-2, text-aware, halves together",
)
ALWAYS = "all"


def parts(edges: tuple[float, ...]) -> Iterator[tuple[str, float, float]]:
    """The intervals of t that edges part [0, 1] into, with their names."""
    for low, high in itertools.pairwise((0.0, *edges, 1.0)):
        yield f"{low:g} to {high:g}", low, high


def plans(scale: ImageScale) -> Iterator[tuple[str, str, Setting]]:
    """Scale, times and setting of every row of a model: each scale at all times, then the scales
    that are given in a part of the times alone."""
    beyond, steps = scale.study.beyond, scale.draw.steps
    plain = replace(scores.default(scale), guidance=1.0)
    for guidance in beyond.guidances:
        yield f"{guidance:g}", ALWAYS, replace(plain, steps=steps, guidance=guidance)
    for guidance in beyond.partly:
        for name, low, high in parts(beyond.edges):
            yield f"{guidance:g}", name, replace(plain, guidance=Within(guidance, low, high))


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.beyond(scale)
    return [
        Row({"Model": model, "Guidance": guidance, "At t": times}, score)
        for model in (MONOLITH, FREE, APART, TOGETHER)
        for guidance, times, setting in plans(scale)
        if (score := _score(scale, model, seed, setting)) is not None
    ]


def _score(scale: ImageScale, model: str, seed: int, setting: Setting) -> Score | None:
    """None where halves together are those apart: without guidance there is one alone."""
    if model == MONOLITH:
        monolith = experts.monolith(scale, FlowMatchingExpert, seed)
        return scores.alone(scale, monolith, seed, setting)
    if model == TOGETHER:
        if setting.guidance == 1:
            return None
        setting = replace(setting, null_by_caption=True)
    trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
    router = experts.router(scale, model != FREE, seed)
    return scores.score(scale, trained, router, Top(2), seed, setting)


def tests(results: Results) -> list[str | None]:
    """Halves together against apart at every scale, every scale against none, and guidance in a
    part of the times against all of them."""
    lines, names = list[str | None](), row_names(results)
    for column in (FID, ACCURACY, VARIATION):
        for model, guidance, times in names:
            here = (model, guidance, times)
            if model == TOGETHER:
                lines.append(compared(results, column, here, (APART, guidance, times)))
            elif times != ALWAYS:
                lines.append(compared(results, column, here, (model, guidance, ALWAYS)))
            elif guidance != "1":
                lines.append(compared(results, column, here, (model, "1", ALWAYS)))
    return lines


def figure(results: Results) -> Chart:
    shown = results.where("At t", ALWAYS)
    return curve(shown, "Guidance", [FID, ACCURACY, VARIATION], "Model", "scale of guidance")


TABLE = Table(
    name="ablation-guidance",
    title="Guidance of an ensemble: its halves, its scale, its times (beyond HDDM §3.1)",
    columns=[FID, KID, ACCURACY, DIVERSITY, NEAREST, EXPERT, ROUTER],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    baseline=None,
    notes=[
        "Apart: a text-aware router sees no caption in the null half, as the network sees none. "
        "Together: it sees the caption in both. A text-free router sees the same in both, so that "
        "its halves are together as they are.",
        "Guidance at a part of the times has no null half to evaluate at the others "
        "(Kynkäänniemi et al. 2024).",
        "The unsaid factors have a known distribution: diversity is wrong above it as below.",
    ],
    figures={"ablation-guidance": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
