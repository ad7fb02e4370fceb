"""Beyond the paper. What sampling can be spared: the router at each step, guidance at all times.

Top-2 of Table 1's experts at the guidance of Table 4, under both forms of router: the router asked
at each n-th step, its answer kept in between, and guidance up to a time, or from one on
(Kynkäänniemi et al. 2024). small: 6 min for 3 seeds on 2 cores beside the experts; scenes: 8 min.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.cli.main import main
from experiments.drawing.forest import by_cost
from experiments.hddm import settings
from experiments.hddm.variants import ROUTERS
from experiments.measures.costed import Costed
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.stages.setting import Setting
from experiments.tables.columns import (
    ACCURACY,
    DIVERSITY,
    EXPERT,
    FID,
    NOT_NEGATIVE,
    ROUTER,
    Column,
)
from experiments.tables.comparisons import compared, index
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from experiments.tables.sweeps import check
from modules.denoising import FlowMatchingExpert
from modules.guidance import Within
from modules.selection import Top

MEGAFLOPS = Column("megaflops", "MFLOPs a sample", 0, counted=True, lies=NOT_NEGATIVE)
PLAIN, UNGUIDED = "nothing spared", "no guidance"


@dataclass(frozen=True)
class Savings:
    """every: steps between two answers of the router.  latest, earliest: the last and the first
    time t at which there is guidance."""

    every: tuple[int, ...] = (2, 5, 25)
    latest: tuple[float, ...] = (0.9, 0.7, 0.5)
    earliest: tuple[float, ...] = (0.1, 0.3, 0.5)

    def __post_init__(self) -> None:
        check("every", self.every, 1, 10_000)
        check("latest", self.latest, 0, 1)
        check("earliest", self.earliest, 0, 1)

    def settings(self, plain: Setting) -> Iterator[tuple[str, Setting]]:
        """Every setting by the name of its row, made of the one that spares nothing."""
        yield PLAIN, plain
        for n in self.every:
            yield f"router every {n} steps", replace(plain, router_every=n)
        scale = plain.guidance
        assert not isinstance(scale, Within)
        for t in self.latest:
            yield f"guidance at t <= {t:g}", replace(plain, guidance=Within(scale, high=t))
        for t in self.earliest:
            yield f"guidance at t >= {t:g}", replace(plain, guidance=Within(scale, low=t))
        yield UNGUIDED, replace(plain, guidance=1.0)

    def rows(self, scale: ImageScale, seed: int) -> list[Row]:
        scale = settings.matched(scale)
        trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
        made = []
        for form, reads_text in ROUTERS.items():
            router = experts.router(scale, reads_text, seed)
            for name, how in self.settings(settings.aligned(scale)):
                score = scores.score(scale, trained, router, Top(2), seed, how)
                made.append(Row({"Spared": name, "Router": form}, Costed(score)))
        return made


def tests(results: Results) -> list[str | None]:
    """Every row against the one that spares nothing, for either router."""
    names = dict.fromkeys(row.names["Spared"] for row in results.rows[0])
    return [
        compared(results, column, (name, form), (PLAIN, form))
        for form in ROUTERS
        for column in (FID, ACCURACY)
        for name in names
        if name != PLAIN
    ]


def figure(results: Results) -> Chart:
    """FID against what is spared, each seed's less that of the row that spares nothing. A router
    that is asked once, at t = 1, is so far off that nothing else would be seen."""
    often = [row.names["Spared"] for row in results.rows[0] if not _asks_once(row.measured)]
    shown = results.where("Spared", *often)
    plain = {form: index(shown, PLAIN, form) for form in ROUTERS}
    return by_cost(shown, MEGAFLOPS, FID, "Router", plain)


def _asks_once(measured: object) -> bool:
    assert isinstance(measured, Costed)
    how = measured.samples.setting
    return how.router_every >= how.steps


TABLE = Table(
    name="ablation-sampling",
    title="What sampling can be spared",
    columns=[FID, ACCURACY, DIVERSITY, EXPERT, ROUTER, MEGAFLOPS],
    rows=Savings().rows,
    sweep=Savings(),
    scales=SCALES,
    judge=scores.judge,
    baseline=None,
    notes=[
        "Top-2 of eight FM experts, at the guidance and steps of Table 4's aligned rows. Where a "
        "sample is not guided, there is no second half to evaluate.",
        "Between two answers of the router weights rest on that for an earlier state, and are made "
        "of it anew at each step.",
        "MFLOPs are of the networks' evaluations as they were counted, each as if nothing of a "
        "caption was kept between steps.",
        settings.UNADJUSTED,
    ],
    figures={"ablation-sampling": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
