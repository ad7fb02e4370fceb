"""What the router goes by: text or image.  Paris 2.0 §3.2.

Its target is the cluster a clip came from, and it reads the clip's caption: the caption may be all
that it reads. Not tested in the paper; here caption, state or both are another clip's.
small: 1 min for 3 seeds on 2 cores beside Table 1's router · paper: a DiT-B router.
"""

import sys

from experiments.cli.main import main
from experiments.drawing.profiles import profiles
from experiments.measures.evidence import TIMES, Evidence, Shown
from experiments.recipes import experts, scores
from experiments.recipes.video import VIDEO_SCALES, VideoScale
from experiments.tables.columns import NOT_NEGATIVE, Column, percent
from experiments.tables.comparisons import compared
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row

ACCURACY = percent("accuracy", "Accuracy, %, mean over t")
ENTROPY = Column("entropy", "Cross-entropy, nats", 3, lies=NOT_NEGATIVE)
AT = tuple(percent(f"accuracy {t:g}", f"at t = {t:g}") for t in TIMES)


def rows(scale: VideoScale, seed: int) -> list[Row]:
    data = experts.corpus(scale, scale.data.source)
    measured = Evidence(experts.router(scale, True, seed), data, seed)
    return [Row({"Shown": shown.value}, measured, at=shown.value) for shown in Shown]


def tests(results: Results) -> list[str | None]:
    """What each kind of evidence is worth."""
    intact = (Shown.ALL.value,)
    others = (Shown.STATE, Shown.CAPTION, Shown.SILENT, Shown.FIRST)
    return [compared(results, ACCURACY, (shown.value,), intact) for shown in others]


def figure(results: Results) -> Chart:
    return profiles(results, AT, TIMES, "t (1: noise)", "accuracy, %")


TABLE = Table(
    name="paris2-router",
    title="What the video router goes by (Paris 2.0 §3.2)",
    columns=[ACCURACY, ENTROPY, *AT],
    rows=rows,
    scales=VIDEO_SCALES,
    judge=scores.judge,
    baseline=None,
    tests=tests,
    notes=[
        "Another's: of a held-out clip drawn at random. Right is the cluster of the clip whose "
        "caption or state is shown truly; where both are another's, chance is left.",
        "t = 0 is the clean clip, t = 1 noise alone. At small a caption names the motion, which "
        "tells the clusters apart; at paper clusters are found in the first frames' features, so "
        "that a frame's feature all but names the cluster.",
    ],
    figures={"paris2-router": figure},
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
