"""How many experts should be DDPM, and which.  HDDM §5, limitation (i).

The paper has 0, 1 and 2 of 8, on clusters 0 and 3, and asks for the rest. Here all of 0 … 8, added
in the paper's order and then by cluster, and each cluster alone.
small: 5 min for 3 seeds on 2 cores beside the experts · paper: 8 FM + 8 DDPM DiT-XL/2 experts.
"""

import sys
from dataclasses import dataclass

from experiments.cli.main import main
from experiments.drawing.curves import curve
from experiments.hddm import readings, settings
from experiments.hddm.variants import DDPM_CLUSTERS
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, NEAREST
from experiments.tables.comparisons import compared
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from experiments.tables.sweeps import check
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.selection import Top


def order(scale: ImageScale) -> list[int]:
    """Clusters in the order in which they turn to DDPM: the paper's, then by falling size."""
    return [*DDPM_CLUSTERS, *(k for k in range(scale.data.clusters) if k not in DDPM_CLUSTERS)]


@dataclass(frozen=True)
class Counts:
    """counts: how many experts of the nested sets are DDPM; from none to all if None."""

    counts: tuple[int, ...] | None = None

    def rows(self, scale: ImageScale, seed: int) -> list[Row]:
        k = scale.data.clusters
        counts = tuple(range(k + 1)) if self.counts is None else self.counts
        check("counts", counts, 0, k)
        nested = [tuple(order(scale)[:m]) for m in counts]
        single = [(cluster,) for cluster in range(k) if (cluster,) not in nested]
        return [_row(scale, clusters, seed) for clusters in (*nested, *single)]


def _row(scale: ImageScale, ddpm: tuple[int, ...], seed: int) -> Row:
    trained = experts.mixed(scale, FlowMatchingExpert, dict.fromkeys(ddpm, DDPMExpert), seed)
    setting = readings.corrected(settings.aligned(scale))
    score = scores.score(scale, trained, experts.router(scale, True, seed), Top(2), seed, setting)
    where = ", ".join(map(str, sorted(ddpm)))
    nested = ddpm == tuple(order(scale)[: len(ddpm)])
    names = {"DDPM experts": f"{len(ddpm)}", "of clusters": where}
    return Row({"Set": "nested" if nested else "one by one", **names}, score)


def tests(results: Results) -> list[str | None]:
    """Every number of DDPM experts against none."""
    none = ("nested", "0", "")
    counts = range(1, results.scale.data.clusters + 1)
    lines = [compared(results, FID, ("nested", f"{m}"), none) for m in counts]
    return lines + [compared(results, DIVERSITY, ("nested", f"{m}"), none) for m in counts]


def figure(results: Results) -> Chart:
    """What nested sets change, seed by seed, against none, where none is among them."""
    nested = results.where("Set", "nested")
    counts = [row.names["DDPM experts"] for row in nested.rows[0]]
    none = counts.index("0") if "0" in counts else None
    columns = [FID, DIVERSITY, ACCURACY]
    return curve(nested, "DDPM experts", columns, None, "DDPM experts", less=none)


TABLE = Table(
    name="ablation-ratio",
    title="DDPM experts among eight (HDDM §5, limitation i)",
    columns=[FID, DIVERSITY, ACCURACY, NEAREST, EXPERT],
    rows=Counts().rows,
    sweep=Counts(),
    scales=SCALES,
    judge=scores.judge,
    notes=[
        "Top-2 under a text-aware router, at the aligned setting of Table 4, corrected conversion. "
        "Nested sets start with the paper's clusters 0 and 3; cluster numbers fall with size.",
    ],
    figures={"ablation-ratio": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
