"""Fig 15 and beyond. Which experts are asked: quality against evaluations.  HDDM §7.5, Table 1.

Claims: Top-2 has the best FID, Full the worst; small ensembles (2-3) beat larger ones. Beside Top-k
for every k stand DDM's other selections (McAllister et al. 2025, arXiv 2501.05450): thresholds,
nuclei, an expert drawn by its probability; and the oracle cluster, under both forms of router.
small: 8 min for 3 seeds on 2 cores beside the experts · paper: 8 DiT-XL/2 experts.
"""

import sys
from dataclasses import dataclass

from experiments.cli.main import main
from experiments.drawing.forest import by_cost
from experiments.hddm import settings
from experiments.hddm.variants import ROUTERS
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, NEAREST, ROUTER
from experiments.tables.comparisons import compared, index
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from experiments.tables.sweeps import check
from modules.denoising import FlowMatchingExpert
from modules.selection import Full, Nucleus, Selection, Stochastic, Threshold, Top


@dataclass(frozen=True)
class Selections:
    """counts: k of Top-k, every one below the number of experts if None.  thresholds, masses: of
    the probabilities that a threshold asks for and that a nucleus holds.  draws: experts that are
    drawn by these probabilities, anew at each step."""

    counts: tuple[int, ...] | None = None
    thresholds: tuple[float, ...] = (0.05, 0.1, 0.3)
    masses: tuple[float, ...] = (0.5, 0.9)
    draws: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        check("thresholds", self.thresholds, 0, 1)
        check("masses", self.masses, 0, 1)
        check("draws", self.draws, 1, 1000)

    def named(self, experts: int) -> dict[str, Selection]:
        """Every selection over so many experts, by the name of its row."""
        counts = tuple(range(1, experts)) if self.counts is None else self.counts
        if counts:
            check("counts", counts, 1, experts)
        named: dict[str, Selection] = {f"Top-{k}": Top(k) for k in counts}
        named["Full"] = Full()
        named |= {f"threshold {tau:g}": Threshold(tau) for tau in self.thresholds}
        named |= {f"nucleus {mass:g}": Nucleus(mass) for mass in self.masses}
        return named | {f"Sample-{n}": Stochastic(n) for n in self.draws}

    def rows(self, scale: ImageScale, seed: int) -> list[Row]:
        scale = settings.matched(scale)
        trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
        monolith = experts.monolith(scale, FlowMatchingExpert, seed)
        oracle = scores.score(scale, trained, experts.oracle(scale), Top(1), seed)
        made = [
            Row({"Selection": "Monolithic", "Router": ""}, scores.alone(scale, monolith, seed)),
            Row({"Selection": "oracle cluster", "Router": ""}, oracle),
        ]
        for form, reads_text in ROUTERS.items():
            router = experts.router(scale, reads_text, seed)
            for name, selection in self.named(scale.data.clusters).items():
                score = scores.score(scale, trained, router, selection, seed)
                made.append(Row({"Selection": name, "Router": form}, score))
        return made


def tests(results: Results) -> list[str | None]:
    """Top-2 against its neighbours, the full ensemble and the oracle, and one drawn expert against
    the two that it stands between, for either router."""
    lines = list[str | None]()
    for form in ROUTERS:
        top_2 = ("Top-2", form)
        lines += [
            compared(results, FID, top_2, (name, form)) for name in ("Top-1", "Top-3", "Full")
        ]
        lines.append(compared(results, FID, top_2, ("oracle cluster", "")))
        for name in ("Top-1", "Full"):
            lines.append(compared(results, FID, ("Sample-1", form), (name, form)))
    return lines


def figure(results: Results) -> Chart:
    """FID against what it costs, each seed's less that of Top-2 by the same router."""
    top_2 = {form: index(results, "Top-2", form) for form in ROUTERS}
    return by_cost(results, EXPERT, FID, "Router", top_2)


TABLE = Table(
    name="ablation-selection",
    title="Fig 15. Which experts are asked (HDDM §7.5)",
    columns=[FID, ACCURACY, DIVERSITY, NEAREST, EXPERT, ROUTER],
    rows=Selections().rows,
    sweep=Selections(),
    scales=SCALES,
    judge=scores.judge,
    notes=[
        "Top-8 is Full: all eight experts with the router's probabilities. A threshold asks the "
        "experts at least as probable as it, a nucleus the fewest that hold its mass together. "
        "Sample-1 asks one expert at each step, drawn by its probability: Full on average, at one "
        "evaluation for all of its.",
        "The experts and the setting are Table 1's, all FM; Fig 15 has CFG 6 and 75 steps.",
        "The oracle asks the expert of the cluster that the prompt's own held-out picture is "
        "nearest to: it knows what no router can.",
    ],
    figures={"ablation-selection": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
