"""Beyond the paper. Routing over t: how sure a router is, how often it turns, whom it asks.

HDDM's router reads no text: at t = 1 its answer is the clusters' share (Eq. 2), and which expert
ends a sample is decided on the way. Entropy, switches and each cluster's share of the weight along
the trajectories of Top-2, under both forms of router.
scenes: 1 min for 3 seeds on 2 cores; nothing is trained beyond Table 1's.
"""

import sys

import numpy as np

from experiments.cli.main import main
from experiments.drawing.heat import heat_map
from experiments.drawing.intervals import name_means
from experiments.drawing.panels import panels_of
from experiments.drawing.style import INK, PAGE, chart
from experiments.hddm import settings
from experiments.hddm.variants import ROUTERS
from experiments.measures.trajectories import WHOLE, Trajectories, part
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.stages.samples import Sample
from experiments.tables.columns import NOT_NEGATIVE, Column, percent
from experiments.tables.comparisons import compared, index
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from modules.denoising import FlowMatchingExpert
from modules.selection import Top

TIMES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1)
ENTROPY = Column("entropy", "Entropy, bits", 2, lies=NOT_NEGATIVE)
SWITCHED = percent("switched", "Switched since the step before, %")
SWITCHES = Column("switches", "Switches a trajectory", 2, lies=NOT_NEGATIVE)
OWN = percent("own", "Probability of the prompt's own cluster, %")
IN_USE = Column("in_use", "Experts in use", 2, lies=NOT_NEGATIVE)
USAGE = percent("usage", "Share of the weight, %")
PROMPTS = percent("prompts", "Share of the prompts, %")
EVERY = "every cluster"
FREE, AWARE = ROUTERS


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.beyond(scale)
    trained, made = experts.mixed(scale, FlowMatchingExpert, {}, seed), []
    clusters = {EVERY: None, **{f"cluster {k}": k for k in range(scale.data.clusters)}}
    for form, reads_text in ROUTERS.items():
        router = experts.router(scale, reads_text, seed)
        sample = scores.score(scale, trained, router, Top(2), seed).pictures
        assert isinstance(sample, Sample)
        measured = Trajectories(sample, TIMES)
        for name, cluster in clusters.items():
            for t in (WHOLE, *(f"{t:g}" for t in TIMES)):
                names = {"Router": form, "Of": name, "t": t}
                made.append(Row(names, measured, at=part(cluster, t)))
    return made


def tests(results: Results) -> list[str | None]:
    """The text-free router against the text-aware one, along the way and over all of it; and what
    each comes to know of the prompt's own cluster."""
    each = (WHOLE, *(f"{t:g}" for t in TIMES))
    at = {SWITCHES: (WHOLE,), SWITCHED: each[2:], ENTROPY: each, OWN: each, IN_USE: each}
    lines = [
        compared(results, column, (FREE, EVERY, t), (AWARE, EVERY, t))
        for column, times in at.items()
        for t in times
    ]
    learnt = [
        compared(results, OWN, (form, EVERY, each[-1]), (form, EVERY, each[1])) for form in ROUTERS
    ]
    return lines + learnt


def figure(results: Results) -> Chart:
    """Each cluster's share of the weight over t, a map for each form of router."""
    drawn, panels = panels_of(len(ROUTERS), width=PAGE[0] / len(ROUTERS), height=3.6)
    maps = [_usage(results, form) for form in ROUTERS]
    most = max(float(np.nanmax(each)) for each in maps)
    for axes, form, shares in zip(panels, ROUTERS, maps, strict=True):
        clusters = [f"{k}" for k in range(len(shares))]
        heat_map(axes, shares, shares / most, "{:.0f}".format, clusters, [f"{t:g}" for t in TIMES])
        axes.set_xlabel("t", fontsize=9)
        axes.set_ylabel("cluster, the largest first", fontsize=9)
        axes.set_title(f"{USAGE.title}: {form}", fontsize=9, color=INK)
    name_means(drawn, results.seeds)
    return chart(drawn)


def _usage(results: Results, form: str) -> np.ndarray:
    """The mean share [K, times] of each cluster's weight, in percent."""
    names = dict.fromkeys(row.names["Of"] for row in results.rows[0])
    means = [
        [results.mean(index(results, form, name, f"{t:g}"), USAGE).mean for t in TIMES]
        for name in names
        if name != EVERY
    ]
    return np.array(means, dtype=np.float64)


TABLE = Table(
    name="ablation-trajectories",
    title="Routing over t (beyond HDDM Eq. 2)",
    columns=[ENTROPY, SWITCHED, SWITCHES, OWN, IN_USE, USAGE, PROMPTS],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    baseline=None,
    notes=[
        "Entropy and the own cluster's probability are of the router's answer, the weight is what "
        "Top-2 makes of it; both are of the half of guidance that sees the caption. A time is that "
        "of the nearest solver step.",
        "A trajectory switches where its most probable expert is another than a step before.",
        "Experts in use: as many as would have that entropy if all had equal shares of the weight.",
        "Clusters are ordered by size, so that a seed's largest is compared with another's.",
    ],
    figures={"ablation-trajectories": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
