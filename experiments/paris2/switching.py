"""Fig 5. Two experts under schedules set by hand, no router.  Paris 2.0 §4.3.

Claims: alternating beats either expert in all metrics; A then B is not B then A; 24 of 40 prompts
prefer a schedule to the best single expert, which for one schedule alone would be p = 0.27.
small: 5 min for 3 seeds on 2 cores beside Table 1's experts · paper: two of its experts.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from experiments.cli.main import main
from experiments.drawing.bars import bars
from experiments.recipes import experts, scores
from experiments.recipes.video import VIDEO_SCALES, VideoScale
from experiments.scores.clips import AESTHETIC, CLIP, MOTION, WARPING
from experiments.scores.score import Score
from experiments.stages.prompts import InClusters
from experiments.tables.columns import EXPERT
from experiments.tables.comparisons import compared, index
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from metrics.wins import Wins, best_of
from modules.denoising import FlowMatchingExpert
from modules.selection import Alternate, Only, Selection, Switch

A, B = 0, 1
"""The experts whose schedules are set, by cluster; whose clusters' prompts are asked in turn."""
SINGLE = ("A alone", "B alone")
BETWEEN = ("A then B", "B then A", "Alternate")


def schedules(scale: VideoScale) -> dict[str, Selection]:
    """By name; A is the first of the two experts."""
    a, b = Only(0), Only(1)
    both = (Switch(0.5, a, b), Switch(0.5, b, a), Alternate((a, b), scale.draw.steps))
    return dict(zip((*SINGLE, *BETWEEN), (a, b, *both), strict=True))


def rows(scale: VideoScale, seed: int) -> list[Row]:
    trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
    pair, asked = [trained[A], trained[B]], InClusters((A, B), scale.study.prompts)
    table_rows = []
    for name, selection in schedules(scale).items():
        score = scores.score(scale, pair, None, selection, seed, asked=asked)
        table_rows.append(Row({"Schedule": name}, score))
    return table_rows


def tests(results: Results) -> list[str | None]:
    """Wins by prompt against the better of the two experts, by whose cluster the prompt is of, and
    against the prompt's own expert; the two orders compared."""
    key = scores.judge(results.scale).preferred
    each = {name: _each(results, name, key.key) for name in (*SINGLE, *BETWEEN)}
    best, other = sorted(SINGLE, key=lambda name: -each[name].mean())
    tried = [each[name] for name in BETWEEN]
    turns = np.arange(len(tried[0])) % len(SINGLE)  # whose cluster a prompt is of
    own = np.where(turns == 0, each[SINGLE[0]], each[SINGLE[1]])
    sides = [turns == side for side in (SINGLE.index(best), SINGLE.index(other))]
    lines = [
        f"Prompt by prompt, {key.title} averaged over {results.seeds} seeds; {best} is the better "
        "expert on all prompts:"
    ]
    for base, base_name in ((each[best], best), (own, "the expert of the prompt's cluster")):
        best_of_tried = best_of(np.array(tried), base, seed=0)
        for i, name in enumerate(BETWEEN):
            wins = Wins.of(each[name], base)
            half = [int((each[name] > base)[side].sum()) for side in sides]
            lines.append(
                f"{name} against {base_name}: {wins.won} of {len(base)} prompts won, {half[0]} of "
                f"{best[0]}'s cluster and {half[1]} of {other[0]}'s; sign test p = {wins.p:.2g}, "
                f"sign flips as one of {len(BETWEEN)} tried p = {best_of_tried.corrected[i]:.2g}."
            )
    plain = Wins.of(each[other], each[best])
    lines.append(f"{other} against {best}: {plain.won} of {len(own)} prompts won.")
    return lines + [compared(results, c, ("A then B",), ("B then A",)) for c in (CLIP, WARPING)]


def _each(results: Results, name: str, key: str) -> NDArray[np.float64]:
    """A schedule's number for every prompt, averaged over training seeds."""
    by_seed = []
    for rows in results.rows:
        measured = rows[index(results, name)].measured
        assert isinstance(measured, Score)
        by_seed.append(measured.each(results.store)[key])
    return np.mean(by_seed, axis=0)


def figure(results: Results) -> Chart:
    return bars(results, [CLIP, AESTHETIC, WARPING])


TABLE = Table(
    name="paris2-switching",
    title="Fig 5. Manual schedules over two experts (Paris 2.0 §4.3)",
    columns=[CLIP, AESTHETIC, WARPING, MOTION, EXPERT],
    rows=rows,
    scales=VIDEO_SCALES,
    judge=scores.judge,
    notes=[
        "A is the expert of the first cluster, B that of the second; prompts are held-out captions "
        "of these two clusters in turn. A schedule of two halves switches at t = 0.5. The paper "
        "prints no values, and names neither clusters nor prompts.",
        "Neither expert has seen the other's cluster: against one expert any schedule wins "
        "prompts of the other cluster by what they are about, as the other expert alone does, and "
        "a count near half of them says nothing of schedules. Against the prompt's own expert it "
        "does.",
        "p as one of several tried allows for the best of them having been looked for.",
    ],
    figures={"paris2-switching": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
