"""Figs 5, 11, 12 and 15, measured. Who is sharp?  HDDM §3.4.2, §7.2, §7.5.

Claims: homogeneous samples are softer in texture than heterogeneous ones; Full blurs sharp features
where Top-1 and Top-2 do not. Detail is the share of a picture's variance at high frequencies, which
does not ask whether the prompt is obeyed. Sets are those of the figures, by either pipeline.
small: seconds beyond the figures, whose sets it reads · paper: every expert of Table 4.
"""

import sys

from experiments.cli.main import main
from experiments.drawing.pictures import grid
from experiments.hddm import readings, settings
from experiments.hddm.readings import PIPED
from experiments.hddm.variants import HETEROGENEOUS, HOMOGENEOUS, MIXES, ROUTERS, STRATEGIES
from experiments.measures.sharpness import Sharpness
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.tables.columns import ACCURACY, FID, percent
from experiments.tables.comparisons import compared
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from modules.denoising import FlowMatchingExpert
from modules.selection import Selection, Top

DETAIL = percent("detail", "Detail, % of variance", 2)
SETS: dict[str, dict[str, Selection]] = {HOMOGENEOUS: {"Top-2": Top(2)}, HETEROGENEOUS: STRATEGIES}
REAL = ("real pictures", "", "")


def rows(scale: ImageScale, seed: int) -> list[Row]:
    table_rows = [_row(*REAL, Sharpness(scores.real(scale, seed)))]
    for form, piped in PIPED.items():
        router = experts.router(scale, ROUTERS[form], seed)
        for mix, strategies in SETS.items():
            trained = experts.mixed(scale, FlowMatchingExpert, MIXES[mix], seed)
            setting = readings.pipeline(scale, settings.conversion(scale), form, mix)
            for name, selection in strategies.items():
                score = scores.score(scale, trained, router, selection, seed, setting)
                table_rows.append(_row(piped, mix, name, Sharpness(score)))
    return table_rows


def _row(pipeline: str, mix: str, strategy: str, measured: Sharpness) -> Row:
    return Row({"Pipeline": pipeline, "Experts": mix, "Selection": strategy}, measured)


def tests(results: Results) -> list[str | None]:
    """Heterogeneous against homogeneous, Full against fewer, and both against real pictures."""
    lines = list[str | None]()
    for pipeline in PIPED.values():
        hetero, homo = ((pipeline, mix, "Top-2") for mix in (HETEROGENEOUS, HOMOGENEOUS))
        full = (pipeline, HETEROGENEOUS, "Full")
        lines.append(compared(results, DETAIL, hetero, homo))
        lines += [
            compared(results, DETAIL, full, (pipeline, HETEROGENEOUS, few))
            for few in ("Top-1", "Top-2")
        ]
        lines += [compared(results, DETAIL, each, REAL) for each in (homo, hetero, full)]
    return lines


def figure(results: Results) -> bytes:
    """A PNG of seed 0: a line a row."""
    shown = {row.name: row.measured for row in results.rows[0]}
    sets = {name: x.score for name, x in shown.items() if isinstance(x, Sharpness)}
    return grid(sets, results.store)


TABLE = Table(
    name="ablation-sharpness",
    title="Figs 5, 11, 12 and 15, measured. Fine detail (HDDM §3.4.2, §7.2, §7.5)",
    columns=[DETAIL, FID, ACCURACY],
    rows=rows,
    scales=SCALES,
    judge=scores.judge,
    notes=[
        "Detail: the share of a picture's variance at more than a quarter of a cycle a pixel, half "
        "of the highest frequency, the mean over samples. Blur lowers it, but noise raises it as "
        "texture does: the row of real training pictures says where it should lie.",
        "Conversion setting, held-out captions: the sets that the figures show where pictures are "
        f"digits. The paper's pipeline is {next(iter(PIPED.values()))}.",
        "Of colours, which Full makes inconsistent by §7.5, grey digits say nothing.",
    ],
    figures={"ablation-sharpness": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
