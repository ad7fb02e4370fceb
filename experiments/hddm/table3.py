"""Table 3. Sampling quality of native, converted and combined experts of one cluster.  HDDM §3.3.

Claims: conversion improves on native DDPM; combining experts raises diversity and worsens FID; the
same schedule for both is marginally better. The paper states neither its DDPM sampler nor which of
two dampings its conversion has (§6.2, §8.3.4): every reading is a row.
small: 8 min for 3 seeds on 2 cores beside the experts · paper: 4 DiT-XL/2 experts of one cluster.
"""

import sys
from dataclasses import replace

from experiments.cli.main import main
from experiments.drawing.differences import among, differences
from experiments.hddm import readings, settings
from experiments.hddm.readings import CORRECTED, EARLY, LATE, READINGS
from experiments.recipes import scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.scores.score import Score
from experiments.stages.experts import TrainExpert
from experiments.stages.setting import Setting
from experiments.tables.columns import ACCURACY, EXPERT, FID, SPREAD
from experiments.tables.comparisons import compared
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.schedules import Cosine, NicholDhariwal
from modules.selection import Only, Switch

COLUMNS = ["LPIPS (paper)", "FID-5K (paper)", "CLIP (paper)"]
PAPER = {
    "Native DDPM": (0.787, 27.04, 0.316),
    "FM": (0.752, 20.23, 0.324),
    "DDPM→FM": (0.761, 25.61, 0.319),
    "Combined, same schedule": (0.782, 32.67, 0.312),
    "Combined, different schedules": (0.777, 33.29, 0.312),
}
NATIVE, CONVERTED = "Native DDPM", "DDPM→FM"
IMPROVED = "trained on Nichol and Dhariwal's cosine"
"""§6.2's reference for its cosine; Eqs. 26-27 are another curve."""
EARLY_FM = Switch(0.5, early=Only(0), late=Only(1))
"""FM for t > 0.5, DDPM below: the deterministic router of §3.3.1, of experts (FM, DDPM)."""


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.conversions(scale)
    fm = settings.paired(scale, FlowMatchingExpert, seed)
    ddpm = settings.paired(scale, DDPMExpert, seed)
    fm_cosine = settings.paired(scale, FlowMatchingExpert, seed, Cosine())
    setting = settings.conversion(scale)
    table_rows = [_alone("FM", "", scale, fm, seed, setting)]
    for name, hows in (
        (NATIVE, _native(scale, setting)),
        (CONVERTED, _converted(scale, setting)),
    ):
        table_rows += [_alone(name, how, scale, ddpm, seed, each) for how, each in hows.items()]
    improved = settings.paired(scale, DDPMExpert, seed, NicholDhariwal())
    for name, how, each in (
        (NATIVE, "DDIM", readings.native(scale, setting)["DDIM"]),
        (CONVERTED, CORRECTED, readings.corrected(setting)),
    ):
        table_rows.append(_alone(name, f"{how}, {IMPROVED}", scale, improved, seed, each))
    for name, early, path in (
        ("Combined, same schedule", fm_cosine, replace(setting, path=Cosine())),
        ("Combined, different schedules", fm, setting),
    ):
        for how, each in readings.primary(scale, path).items():
            score = settings.pair_score(scale, [early, ddpm], EARLY_FM, seed, each)
            table_rows.append(_row(name, how, score))
    return table_rows


def _native(scale: ImageScale, setting: Setting) -> dict[str, Setting]:
    """DDPM's samplers, and the two of the corrected row's beginning at other numbers of steps."""
    each = readings.native(scale, setting)
    return {
        **each,
        **readings.by_steps("DDIM", each["DDIM"]),
        **readings.by_steps("ancestral", each["ancestral"]),
    }


def _converted(scale: ImageScale, setting: Setting) -> dict[str, Setting]:
    """Every reading of the conversion, and the corrected one at other numbers of steps."""
    right = readings.corrected(setting)
    return {
        **readings.literal(scale, setting),
        CORRECTED: right,
        **readings.halves(scale, setting),
        **readings.guards(scale, setting),
        **readings.further(scale, setting),
        **readings.by_steps(CORRECTED, right),
    }


def _alone(
    name: str, how: str, scale: ImageScale, expert: TrainExpert, seed: int, setting: Setting
) -> Row:
    return _row(name, how, settings.pair_score(scale, [expert], Only(0), seed, setting))


def _row(name: str, how: str, score: Score) -> Row:
    paper = dict(zip(COLUMNS, PAPER[name], strict=True)) if how in ("", *readings.OWN) else {}
    return Row({"Sampling": name, "Reading": how}, score, paper)


def tests(results: Results) -> list[str | None]:
    """The converted row against the literal ones, and what the paper says of the others."""
    right, literal = (CONVERTED, CORRECTED), (EARLY, LATE)
    lines = [compared(results, FID, right, (CONVERTED, how)) for how in literal]
    lines += [
        compared(results, FID, (CONVERTED, a), (CONVERTED, b)) for a, b in readings.ONE_BY_ONE
    ]
    lines += [
        compared(results, FID, (CONVERTED, how), (CONVERTED, base))
        for hows, base in ((readings.ALONE, readings.UNALIGNED), (readings.WITHOUT, LATE))
        for how in hows
        if readings.DIFFERENCES not in how  # the base's own numbers but for rounding
    ]
    lines += [compared(results, FID, right, (NATIVE, sampler)) for sampler in ("DDIM", "ancestral")]
    for how in (*readings.WHOLE, *readings.GUIDED, *readings.INDEXED):
        base = how.rpartition(", ")[0]
        lines.append(compared(results, FID, (CONVERTED, how), (CONVERTED, base)))
    lines += [
        compared(results, FID, (name, f"{how}, {readings.COUNTS[-1]} steps"), (name, how))
        for name, how in ((NATIVE, "DDIM"), (NATIVE, "ancestral"), right)
    ]
    for how in READINGS:
        same, different = (
            f"Combined, {which}" for which in ("same schedule", "different schedules")
        )
        lines.append(compared(results, FID, (same, how), (different, how)))
        lines.append(compared(results, SPREAD, (different, how), ("FM", "")))
    return lines


def figure(results: Results) -> bytes:
    """FM's samples, and how those of native, converted and combined sampling differ from them."""
    named = [("FM",), *((NATIVE, how) for how in ("DDIM", "ancestral"))]
    named += [(CONVERTED, how) for how in READINGS]
    named += [(f"Combined, {which}",) for which in ("same schedule", "different schedules")]
    return differences(results, among(*named))


TABLE = Table(
    name="table3",
    title="Table 3. Native, converted and combined experts of one cluster (HDDM §3.3)",
    columns=[SPREAD, FID, ACCURACY, EXPERT],
    rows=rows,
    scales=SCALES,
    judge=scores.judge,
    paper=COLUMNS,
    notes=[
        "The paper's LPIPS stands beside the mean distance of all pairs of samples, its CLIP score "
        "beside the share of prompts that the judge reads in the picture.",
        "A reading of the conversion is literal (equal time, the guards of §6.2 or of §8.3.4, the "
        "derivatives of the path unless it says the expert's) or corrected (equal signal-to-noise "
        f"ratio; the DDPM expert asked at t <= {readings.LAST:g} of its own schedule, and nothing "
        "else). Two rows change one of these at a time. The paper's number stands beside each.",
        "Guards of §8.3.4 one by one, at equal time: each alone, against the row with t <= "
        f"{readings.LAST:g} and nothing else, and each left out, against the whole. Without the "
        f"floor Eq. 5 divides by 0 at t = 1: those rows ask at t <= {readings.LAST:g}. With it the "
        "expert is asked at every t: the floor alone differs from its base in the latest time "
        "too, beyond which alone it binds. The differences are those of the path, on the linear "
        "one the derivatives but for rounding: these rows equal their bases and aren't compared.",
        "Further readings: path's inverse takes Eq. 8 whole, with the path's alpha and sigma in "
        "Eq. 5; clipped after guidance has Eq. 28 clamp the guided x0; whole indices round the "
        "expert's time to one of 1000 (Eq. 21). What each errs by where the truth is known: "
        "ablation-readings.",
        f"Native samplers begin at t = {readings.LAST:g}, with noise of that level, unless the row "
        f"says t = {readings.STANDARD:g}, where a sampler of 1000 times begins. Ancestral "
        "samples of an exact expert come short of the data's deviation, on N(0, 1) by 17 % in 10 "
        "steps, 4 % in 50, 1 % in 300.",
        "On one schedule for both, with DDPM at t <= 0.5 alone, §6.2 guards nothing: that row is "
        "the corrected one.",
        "At `paper` the samples are asked for captions of the one data cluster and compared with "
        "its own held-out pictures. At `small` that cluster is the whole training split: an eighth "
        "of it leaves too few held-out pictures to score.",
    ],
    figures={"table3": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
