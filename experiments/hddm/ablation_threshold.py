"""Fig 4. The threshold between an FM expert at high noise and a DDPM expert at low.  HDDM §3.3.3.

Claims: a threshold of 0.2 has the best FID, 0.5 the highest diversity, 0.7 is bad in both (blog).
Both experts share the cosine schedule, as in the paper; on different schedules the literal and the
corrected conversion part, so these are here too.
small: 4 min for 3 seeds on 2 cores beside the experts · paper: 2 DiT-XL/2 experts of one cluster.
"""

import sys
from dataclasses import dataclass

from experiments.cli.main import main
from experiments.drawing.curves import curve
from experiments.hddm import readings, settings
from experiments.recipes import scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, SPREAD
from experiments.tables.comparisons import compared
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from experiments.tables.sweeps import check
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.schedules import Cosine
from modules.selection import Only, Switch

PAPER_COLUMN = "FID-1K (paper)"
PAPER = {0.2: 38.28}
"""Printed; the paper's other points are in a figure without numbers."""
PRINTED = "same, §8.3.4"
"""The reading of the row whose number it is."""


@dataclass(frozen=True)
class Thresholds:
    """thresholds: the times t above which FM is asked, and DDPM below."""

    thresholds: tuple[float, ...] = tuple(round(0.1 * i, 1) for i in range(1, 10))

    def __post_init__(self) -> None:
        check("thresholds", self.thresholds, 0, 1)

    def rows(self, scale: ImageScale, seed: int) -> list[Row]:
        scale = settings.thresholds(scale)
        fm = settings.paired(scale, FlowMatchingExpert, seed)
        fm_cosine = settings.paired(scale, FlowMatchingExpert, seed, Cosine())
        ddpm = settings.paired(scale, DDPMExpert, seed)
        made = []
        for name, setting in readings.crossed(scale, "same").items():
            early = fm_cosine if setting.path == Cosine() else fm
            for tau in self.thresholds:
                switch = Switch(tau, early=Only(0), late=Only(1))
                score = settings.pair_score(scale, [early, ddpm], switch, seed, setting)
                known = tau in PAPER and name == PRINTED
                paper = {PAPER_COLUMN: PAPER[tau]} if known else {}
                made.append(Row({"Schedules": name, "Threshold": f"{tau:g}"}, score, paper))
        return made


def tests(results: Results) -> list[str | None]:
    """What the paper says of 0.2, 0.5 and 0.7; where no prompt is asked twice, and FID is of few
    pictures, in KID too, with both ends of the sweep and what the schedules change."""
    few = not results.measures(DIVERSITY)
    quality = [FID, KID] if few else [FID]
    wanted = [*((way, 0.2, 0.5) for way in quality), (SPREAD, 0.5, 0.2)]
    wanted += [(way, 0.7, 0.2) for way in quality]
    if few:
        wanted += [(way, 0.1, 0.2) for way in quality]
        wanted += [(way, 0.9, 0.5) for way in (*quality, SPREAD, ACCURACY)]
    names = readings.crossed(results.scale, "same")
    lines = [
        compared(results, way, (name, f"{a:g}"), (name, f"{b:g}"))
        for name in names
        for way, a, b in wanted
    ]
    for name in names if few else ():
        own = name.replace("same", "different")
        if own != name:
            lines += [compared(results, way, (own, "0.2"), (name, "0.2")) for way in quality]
    return lines


def figure(results: Results) -> Chart:
    """What each threshold changes, seed by seed, against the paper's own reading half way; KID
    where no prompt is asked twice."""
    paper = [i for i, row in enumerate(results.rows[0]) if row.names["Schedules"] == PRINTED]
    half_way = min(
        paper, key=lambda i: abs(float(results.rows[0][i].names["Threshold"]) - 0.5), default=None
    )
    columns = [FID, SPREAD, DIVERSITY if results.measures(DIVERSITY) else KID]
    return curve(results, "Threshold", columns, "Schedules", "threshold t", less=half_way)


TABLE = Table(
    name="ablation-threshold",
    title="Fig 4. The threshold between the FM and the DDPM expert (HDDM §3.3.3)",
    columns=[FID, KID, SPREAD, DIVERSITY, ACCURACY, EXPERT],
    rows=Thresholds().rows,
    sweep=Thresholds(),
    scales=SCALES,
    judge=scores.judge,
    baseline=None,
    paper=[PAPER_COLUMN],
    notes=[
        "Above the threshold the FM expert is asked, below it the DDPM expert, converted.",
        "Same: both experts trained on the cosine schedule, which is also the path. Different: FM "
        "on the linear schedule and path. §8.3.4 is the paper's guards and damping, at equal time; "
        "corrected matches the signal-to-noise ratio and damps nothing.",
        "Of the paper's figure only the FID at 0.2 is printed.",
    ],
    figures={"ablation-threshold": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
