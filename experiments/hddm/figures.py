"""Figs 1, 2 and 5-15: pictures of the sets that the tables score, and the two pipelines.

At small every set is one that a table has already drawn, for held-out prompts; a source that can
show them gets the paper's own prompts (`prompts.py`). Fig 4 is ablation-threshold's curve, Fig 3
ablation-init's. Pictures are those of seed 0; the paper's pipeline comes first, ours beside it.
small: 4 min for 3 seeds on 2 cores beside the experts · paper: every expert of the tables.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from experiments.cli.main import main
from experiments.drawing.pictures import ACROSS, Album, album, beside, mosaic
from experiments.drawing.sheet import CaptionPlace, PictureRow, sheet
from experiments.hddm import readings, schematics, settings
from experiments.hddm.prompts import CAPTIONS, can_show, places
from experiments.hddm.readings import CORRECTED, LATE, PIPED
from experiments.hddm.variants import HETEROGENEOUS, HOMOGENEOUS, MIXES, ROUTERS, STRATEGIES
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.scores.score import Drawn, Score
from experiments.stages.experts import TrainExpert
from experiments.stages.prompts import Given
from experiments.stages.routers import Routing
from experiments.stages.samples import Sample
from experiments.stages.setting import Setting
from experiments.tables.columns import ACCURACY, EXPERT, ROUTER
from experiments.tables.comparisons import index
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.schedules import Cosine, Linear
from modules.selection import Only, Selection, Switch, Top

THRESHOLDS = ("0.3", "0.5", "0.7")
ORDERS = {"DDPM→FM": (Only(1), Only(0)), "FM→DDPM": (Only(0), Only(1))}
ONE, OWN = "one schedule", "own schedules"
ORDERINGS = ((ONE, LATE), (OWN, LATE), (OWN, CORRECTED))
"""Of Fig 13: the paper's is the first."""
SWITCH = ("FM→DDPM", "0.5")
"""The deterministic router of §3.3.1, which Fig 14 shows."""
NAMES = ("Set", "Selection or schedules", "Router or reading")
WORDS = {HOMOGENEOUS: "Homogeneous (8FM)", HETEROGENEOUS: "Heterogeneous (2DDPM:6FM)"}
WHOSE = {"text-free": "the paper's", "text-aware": "ours"}
SPOKEN = {form: f"{WHOSE[form]}: {named}" for form, named in PIPED.items()}
"""What its pictures are called."""


def rows(scale: ImageScale, seed: int) -> list[Row]:
    return [*_ensembles(scale, seed), *_pairs(scale, seed)]


def _ensembles(scale: ImageScale, seed: int) -> list[Row]:
    """Three mixtures of eight experts by either pipeline, then the other strategies on one."""
    table_rows = []
    for form in PIPED:
        router = experts.router(scale, ROUTERS[form], seed)
        for mix, others in MIXES.items():
            trained = experts.mixed(scale, FlowMatchingExpert, others, seed)
            setting = readings.pipeline(scale, settings.conversion(scale), form, mix)
            strategies = STRATEGIES if mix == HETEROGENEOUS else {"Top-2": Top(2)}
            for name, selection in strategies.items():
                names = (mix, name, PIPED[form])
                table_rows.append(_row(scale, names, trained, router, selection, seed, setting))
    return table_rows


def _pairs(scale: ImageScale, seed: int) -> list[Row]:
    """An FM and a DDPM expert of the same data, in both orders, at every threshold."""
    ddpm = settings.paired(scale, DDPMExpert, seed)
    table_rows = []
    for schedules, reading in (*ORDERINGS, (ONE, CORRECTED)):
        path = Cosine() if schedules == ONE else Linear()
        fm = settings.paired(scale, FlowMatchingExpert, seed, path)
        setting = replace(settings.conversion(scale), path=path)
        setting = readings.primary(scale, setting)[reading]
        for order, (early, late) in ORDERS.items():
            for tau in THRESHOLDS:
                if (schedules, reading) in ORDERINGS or (order, tau) == SWITCH:
                    names = (f"{order} at {tau}", schedules, reading)
                    selection = Switch(float(tau), early, late)
                    inside = scale.study.pair
                    table_rows.append(
                        _row(scale, names, [fm, ddpm], None, selection, seed, setting, inside)
                    )
    return table_rows


def _row(
    scale: ImageScale,
    names: tuple[str, str, str],
    trained: Sequence[TrainExpert],
    router: Routing | None,
    selection: Selection,
    seed: int,
    setting: Setting,
    clusters: tuple[int, ...] | None = None,
) -> Row:
    """Held-out captions, scored, where pictures can show no others; else the paper's prompts.
    clusters: those that the experts know, if not all."""
    measured: Score | Drawn
    if can_show(scale.data.source):
        asked, batch = Given(CAPTIONS), scale.draw.batch
        measured = Drawn(Sample(tuple(trained), router, selection, asked, batch, seed, setting))
    else:
        measured = scores.score(scale, trained, router, selection, seed, setting, clusters=clusters)
    return Row(dict(zip(NAMES, names, strict=True)), measured)


def _album(results: Results, *names: str) -> Album:
    """The set of seed 0 that has these names."""
    measured = results.rows[0][index(results, *names)].measured
    assert isinstance(measured, Score | Drawn)
    return album(measured, results.store)


def _piped(results: Results, mix: str) -> dict[str, Album]:
    """The set of a mixture by either pipeline, the paper's first."""
    return {SPOKEN[form]: _album(results, mix, "Top-2", named) for form, named in PIPED.items()}


def _own(pictures: Album, figure: int) -> list[int]:
    """The rows of an album that a figure shows; no two figures share one."""
    order = pictures.by_class()
    return [order[i % len(order)] for i in places(figure)]


def _mosaic(figure: int, mix: str, results: Results) -> bytes:
    albums = _piped(results, mix)
    return mosaic(albums, _own(next(iter(albums.values())), figure), across=10)


def _gallery(figure: int, mix: str, results: Results) -> bytes:
    sides = {f"{mix}, {name}": pictures for name, pictures in _piped(results, mix).items()}
    rows = _own(next(iter(sides.values())), figure)
    return beside({"": sides}, rows, across=4, side=1.0)


def _beside(figure: int, mixes: tuple[str, str], across: int, results: Results) -> bytes:
    each = {WORDS[mix]: _piped(results, mix) for mix in mixes}
    panels = {x: {words: piped[x] for words, piped in each.items()} for x in SPOKEN.values()}
    rows = _own(each[WORDS[mixes[0]]][SPOKEN["text-free"]], figure)
    return beside(panels, rows, across, side=3.4 / across if across > 2 else 1.15)


def _orderings(results: Results) -> bytes:
    lines = []
    for schedules, reading in ORDERINGS:
        for order in ORDERS:
            albums = [
                _album(results, f"{order} at {tau}", schedules, reading) for tau in THRESHOLDS
            ]
            groups = [pictures[_own(pictures, 13)] for pictures in albums]
            lines.append(PictureRow(f"{order}, {schedules}, {reading}", groups))
    heads = [f"switched at t = {tau}" for tau in THRESHOLDS]
    return sheet(lines, heads, CaptionPlace.NONE, side=0.5)


def _schedules(results: Results) -> bytes:
    lines = []
    for reading in (LATE, CORRECTED):
        albums = [_album(results, " at ".join(SWITCH), which, reading) for which in (OWN, ONE)]
        lines.append(PictureRow(reading, [pictures[_own(pictures, 14)] for pictures in albums]))
    heads = ["Different schedules: FM linear, DDPM cosine", "Same schedule: both cosine"]
    return sheet(lines, heads, CaptionPlace.ABOVE, side=0.66)


def _strategies(results: Results) -> bytes:
    lines = []
    for form, named in PIPED.items():
        for strategy in STRATEGIES:
            pictures = _album(results, HETEROGENEOUS, strategy, named)
            own = [pictures[_own(pictures, 15)[:ACROSS]]]
            lines.append(PictureRow(f"{strategy}; {SPOKEN[form]}", own))
    return sheet(lines)


def _inference(results: Results) -> bytes:
    row = index(results, HETEROGENEOUS, "Top-2", PIPED["text-aware"])
    measured = results.rows[0][row].measured
    assert isinstance(measured, Score | Drawn)
    assert isinstance(measured.pictures, Sample)
    return schematics.inference(measured.pictures, results.store)


def _training(results: Results) -> bytes:
    trained = experts.mixed(results.scale, FlowMatchingExpert, MIXES[HETEROGENEOUS], 0)
    router = experts.router(results.scale, True, 0)
    return schematics.training(trained, router, results.store)


FIGURES: dict[str, Callable[[Results], bytes]] = {
    "fig01": functools.partial(_mosaic, 1, HETEROGENEOUS),
    "fig02": _inference,
    "fig05": functools.partial(_beside, 5, (HOMOGENEOUS, HETEROGENEOUS), 4),
    "fig06": _training,
    "fig07": functools.partial(_gallery, 7, "2DDPM:6FM"),
    "fig08": functools.partial(_gallery, 8, "1DDPM:7FM"),
    "fig09": functools.partial(_gallery, 9, "8FM"),
    "fig10": functools.partial(_gallery, 10, "2DDPM:6FM"),
    "fig11": functools.partial(_beside, 11, (HETEROGENEOUS, HOMOGENEOUS), 4),
    "fig12": functools.partial(_beside, 12, (HETEROGENEOUS, HOMOGENEOUS), 2),
    "fig13": _orderings,
    "fig14": _schedules,
    "fig15": _strategies,
}

TABLE = Table(
    name="figures",
    title="Figs 1, 2 and 5-15. The sets of pictures that they show (HDDM §3.4.2, §7)",
    columns=[ACCURACY, EXPERT, ROUTER],
    rows=rows,
    scales=SCALES,
    judge=scores.judge,
    baseline=None,
    notes=[
        "Pictures are those of seed 0, in `figures/fig01.png` to `fig15.png`. The same place of a "
        "figure's columns has the same prompt and noise.",
        "Figs 1, 5, 7 and 10-12 show 2DDPM:6FM, 5, 11 and 12 beside 8FM; Fig 8 shows 1DDPM:7FM and "
        "Fig 9 8FM: §7.1 names the three, and of the four galleries only Fig 7 says which it is.",
        "Fig 13 has the paper's reading first, one schedule and the guards of §8.3.4, then each "
        "expert on its own schedule, literal and corrected.",
        f"Figs 1, 5, 7-12 and 15 show the paper's pipeline first ({PIPED['text-free']}: its router "
        f"reads no text), and ours for the same prompts and noise ({PIPED['text-aware']}). 8FM "
        "converts nothing. Figs 2 and 6 are drawn of ours.",
        "Digits cannot show the paper's prompts: the pictures are for held-out captions.",
        "Fig 4 is ablation-threshold's curve, Fig 3 is ablation-init's.",
    ],
    figures=FIGURES,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
