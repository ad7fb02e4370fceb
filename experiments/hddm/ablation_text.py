"""Ablation: is the missing text what breaks an ensemble, and when?  HDDM §2.1, Eq. 2, and Table 1.

Scenes are clustered so that a caption tells 0, 1, 2 or 3 bits of its cluster, at random, and by
features. In each case experts are asked by a text-free router, a text-aware one and the oracle.
Prediction, stated before the first run: the text-free router loses prompts in proportion to
I(caption; cluster), and loses nothing where that is zero.
scenes: about 4 hours for 5 seeds on 2 cores; the experts and two routers of five partitions beyond
Table 1's.
"""

import itertools
import sys
from typing import TYPE_CHECKING

import numpy as np

from experiments.cli.main import main
from experiments.drawing.intervals import means, name_interval, whiskers
from experiments.drawing.style import COLOURS, FAINT, INK, MARKERS, chart, tidy
from experiments.hddm import settings
from experiments.hddm import text_losses as losses
from experiments.hddm.text_losses import AWARE, FREE, INFORMATION, PARTITIONS
from experiments.hddm.variants import ROUTERS, STRATEGIES
from experiments.measures.information import CaptionInformation, Informed
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.recipes.scale import turned
from experiments.tables.columns import (
    ACCURACY,
    DIVERSITY,
    EXPERT,
    FID,
    KID,
    NEAREST,
    Column,
)
from experiments.tables.comparisons import compared
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from experiments.tables.statistics import estimate
from modules.denoising import FlowMatchingExpert
from modules.selection import Top

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST = next(iter(PARTITIONS))
ASIDE, NEARLY = 0.05, 0.5
"""Bits: between the points of two strategies, and below which two partitions share a name's place.
"""


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.scenes(scale)
    monolith = experts.monolith(scale, FlowMatchingExpert, seed)
    alone, real = scores.alone(scale, monolith, seed), scores.real(scale, seed)
    made = [Row(_names("", "Monolithic"), alone), Row(_names("", "Real pictures"), real)]
    for name, partition in PARTITIONS.items():
        made += _of_partition(name, turned(scale, {"data.partition": partition}), seed)
    return made


def _of_partition(name: str, scale: ImageScale, seed: int) -> list[Row]:
    trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
    told = CaptionInformation(experts.shards(scale).clusters)
    made = []
    for form, reads_text in ROUTERS.items():
        router = experts.router(scale, reads_text, seed)
        for strategy, selection in STRATEGIES.items():
            score = scores.score(scale, trained, router, selection, seed)
            made.append(Row(_names(name, strategy, form), Informed(score, told)))
    known = scores.score(scale, trained, experts.oracle(scale), Top(1), seed)
    return [*made, Row(_names(name, "Top-1", "oracle"), Informed(known, told))]


def _names(partition: str, strategy: str, router: str = "") -> dict[str, str]:
    return {"Clusters": partition, "Router": router, "Strategy": strategy}


def tests(results: Results) -> list[str | None]:
    """Does the text-free router lose in proportion to what captions tell, and else nothing? Does
    Full collapse, and is text all that an ensemble lacks?"""
    lines: list[str | None] = []
    for strategy, column in itertools.product(STRATEGIES, (ACCURACY, FID)):
        lines.append(losses.straight(results, strategy, column))
    for strategy in STRATEGIES:
        lines += losses.bit_by_bit(results, strategy)
    for name in PARTITIONS:
        for each in STRATEGIES:
            lines.append(compared(results, ACCURACY, (name, FREE, each), (name, AWARE, each)))
        for form in ROUTERS:
            lines.append(compared(results, FID, (name, form, "Full"), (name, form, "Top-1")))
        for each in STRATEGIES:
            lines.append(compared(results, ACCURACY, (name, AWARE, each), ("", "", "Monolithic")))
    return lines


def figure(results: Results) -> Chart:
    """What the text-free router loses, against what captions tell of clusters, and the lines whose
    slopes the tests have."""
    import matplotlib.pyplot as plt

    drawn, panels = plt.subplots(1, 2, figsize=(7.2, 3.9), layout="constrained")
    for axes, column in zip(panels, (ACCURACY, FID), strict=True):
        column = results.shown(column)
        for n, strategy in enumerate(STRATEGIES):
            _points(axes, results, strategy, column, n)
        axes.axhline(0, color=FAINT, lw=0.8)
        axes.set_xlabel(INFORMATION.title, fontsize=9)
        axes.set_title(f"{column.title}: {FREE} less {AWARE}", fontsize=9, color=INK, pad=10)
        tidy(axes)
        _name_partitions(axes, results)
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    name_interval(drawn, results.seeds, AWARE)
    return chart(drawn)


def _points(axes: "Axes", results: Results, strategy: str, column: Column, n: int) -> None:
    """A strategy's loss in every partition, with its intervals, a little aside of the others':
    hollow where clusters are of features, which nobody has stated."""
    for name, partition in PARTITIONS.items():
        lost = [estimate(losses.loss(results, name, strategy, column))]
        axes.errorbar(
            [float(np.mean(losses.bits(results, name))) + ASIDE * (n - 1)], means(lost),
            yerr=whiskers(lost), fmt=MARKERS[n], color=COLOURS[n], ms=5, capsize=2, elinewidth=0.9,
            mfc=COLOURS[n] if partition else "white", label=strategy if name == FIRST else None,
        )  # fmt: skip
    slope, rest = losses.trend(results, strategy, column)
    ends = np.array([0, max(max(losses.bits(results, name)) for name in PARTITIONS)])
    if slope.mean is not None and rest.mean is not None:
        line = slope.mean * ends + rest.mean
        axes.plot(ends, line, color=COLOURS[n], lw=0.8, alpha=0.5, zorder=0)


def _name_partitions(axes: "Axes", results: Results) -> None:
    """The partitions' names above the bits that captions tell of them, one below the other where
    these are nearly the same."""
    at = {name: float(np.mean(losses.bits(results, name))) for name in PARTITIONS}
    groups: list[list[str]] = []
    for name in sorted(at, key=lambda name: at[name]):
        if groups and at[name] - at[groups[-1][-1]] < NEARLY:
            groups[-1].append(name)
        else:
            groups.append([name])
    ticks = [float(np.mean([at[name] for name in names])) for names in groups]
    shown = {name: name if stated else f"{name} (hollow)" for name, stated in PARTITIONS.items()}
    labels = ["\n".join(shown[name] for name in names) for names in groups]
    above = axes.secondary_xaxis("top")
    above.set_xticks(ticks, labels, fontsize=7, color=FAINT)
    above.tick_params(length=0, pad=2)
    above.spines["top"].set_visible(False)


TABLE = Table(
    name="ablation-text",
    title="Ablation. The router's text, by what captions tell of clusters (HDDM §2.1, Table 1)",
    columns=[INFORMATION, FID, KID, ACCURACY, DIVERSITY, NEAREST, EXPERT],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    baseline=None,
    notes=[
        "Captions name shape, colour and size. Half of colour: clusters by the colour in two "
        "groups and the texture in four; most of colour: by four groups and two. The bits are "
        "counted on the training split, their bias corrected; hundreds of scenes are too few.",
        "The monolith is one for all partitions, which share their pictures, captions and prompts; "
        "the experts of every partition see together as many samples as it does.",
        "The oracle sends a prompt to the cluster of the held-out picture that it is from.",
        "Intervals below are not adjusted for their number. The lines bit by bit were added when "
        "the losses were seen to bend; the others were written before the first run.",
    ],
    figures={"ablation-text": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
