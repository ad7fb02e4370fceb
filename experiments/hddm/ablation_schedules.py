"""Fig 14. The same schedule for both experts against each its own.  HDDM §7.4.

Claims: different schedules look better (§7.4), the same schedule has the better FID (Table 3), and
an FM expert suffers from the cosine schedule while a DDPM expert benefits (§7.4). The experts alone
are here for the last.
small: 2 min for 3 seeds on 2 cores beside the experts · paper: 4 DiT-XL/2 experts of one cluster.
"""

import sys
from dataclasses import replace

from experiments.cli.main import main
from experiments.drawing.differences import differences
from experiments.hddm import readings, settings
from experiments.hddm.readings import CORRECTED, LATE, READINGS
from experiments.recipes import scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.scores.score import Score
from experiments.stages.experts import TrainExpert
from experiments.stages.setting import Setting
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, SPREAD
from experiments.tables.comparisons import compared
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from modules.denoising import DDPMExpert, DenoisingExpert, FlowMatchingExpert
from modules.schedules import Cosine, Linear, Schedule
from modules.selection import Full, Only, Selection, Switch

MIXTURES: dict[str, Selection] = {
    "FM→DDPM at 0.5": Switch(0.5, early=Only(0), late=Only(1)),
    "average": Full(),
}
"""Of experts (FM, DDPM): the deterministic router of §3.3.1, and both at all times."""
PATHS: dict[str, Schedule] = {"linear": Linear(), "cosine": Cosine()}


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.conversions(scale)
    table_rows = _alone(scale, "FM", FlowMatchingExpert, seed)
    table_rows += _alone(scale, "DDPM", DDPMExpert, seed)
    ddpm = settings.paired(scale, DDPMExpert, seed)
    for trained_on, schedule in PATHS.items():
        fm = settings.paired(scale, FlowMatchingExpert, seed, schedule)
        setting = replace(settings.conversion(scale), path=schedule)
        for how, each in readings.primary(scale, setting).items():
            table_rows += _mixtures(scale, [fm, ddpm], trained_on, how, each, seed)
    return table_rows


def _alone(scale: ImageScale, name: str, module: type[DenoisingExpert], seed: int) -> list[Row]:
    """An expert trained on either schedule, sampled on its own path and on the other."""
    table_rows = []
    for trained_on, schedule in PATHS.items():
        expert = settings.paired(scale, module, seed, schedule)
        for path_name, path in PATHS.items():
            setting = readings.corrected(replace(settings.conversion(scale), path=path))
            score = settings.pair_score(scale, [expert], Only(0), seed, setting)
            table_rows.append(_row(f"{name} alone", trained_on, path_name, CORRECTED, score))
    return table_rows


def _mixtures(
    scale: ImageScale, trained: list[TrainExpert], fm_on: str, how: str, setting: Setting, seed: int
) -> list[Row]:
    return [
        _row(name, fm_on, fm_on, how, settings.pair_score(scale, trained, selection, seed, setting))
        for name, selection in MIXTURES.items()
    ]


def _row(name: str, trained_on: str, path: str, how: str, score: Score) -> Row:
    return Row({"Sampling": name, "Trained on": trained_on, "Path": path, "Reading": how}, score)


def tests(results: Results) -> list[str | None]:
    """An expert alone, cosine less linear; different less same for every mixture and reading."""
    lines = [
        compared(results, FID, (alone, "cosine", "cosine"), (alone, "linear", "linear"))
        for alone in ("FM alone", "DDPM alone")
    ]
    for name in MIXTURES:
        for how in READINGS:
            different, same = ((name, on, on, how) for on in PATHS)
            lines += [compared(results, column, different, same) for column in (FID, SPREAD)]
    return lines


def figure(results: Results) -> bytes:
    """Experts alone on their own path, and the mixtures by the paper's reading and by ours."""

    def shows(sampling: str, trained_on: str, path: str, how: str) -> bool:
        return trained_on == path and how in (LATE, CORRECTED)

    return differences(results, shows)


TABLE = Table(
    name="ablation-schedules",
    title="Fig 14. Different schedules against the same (HDDM §7.4)",
    columns=[FID, SPREAD, DIVERSITY, ACCURACY, EXPERT],
    rows=rows,
    scales=SCALES,
    judge=scores.judge,
    baseline=None,
    notes=[
        "In a mixture it is FM that was trained on what is named, and DDPM on the cosine schedule: "
        "linear is the paper's different schedules, cosine its same schedule. "
        "Alone on the other path, an expert is converted at equal signal-to-noise ratio.",
        "The paper compares pictures, and FID in Table 3.",
    ],
    figures={"ablation-schedules": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
