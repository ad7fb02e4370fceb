"""Image-to-video: experts begun with Table 1's, given the first frame or not.  Paris 2.0 §3.1.

The paper says that one router serves text-to-video and image-to-video, and prints no number. Here
one network is asked both ways, from the same captions and the same noise.
small: 8 min for 3 seeds on 2 cores beside Table 1's experts · paper: Stages 2 and 3 of the card.
"""

import sys

from experiments.cli.main import main
from experiments.drawing.clips import sheet
from experiments.paris2 import later
from experiments.recipes import experts, scores
from experiments.recipes.video import VIDEO_SCALES, VideoScale
from experiments.scores.clips import BEGINS, METRICS
from experiments.stages.experts import TrainExpert
from experiments.stages.routers import Routing
from experiments.tables.columns import EXPERT, ROUTER
from experiments.tables.comparisons import compared
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from modules.denoising import FlowMatchingExpert
from modules.selection import Only, Selection, Top

GIVEN = {"caption": False, "caption and first frame": True}


def rows(scale: VideoScale, seed: int) -> list[Row]:
    if not (scale.study.later and scale.study.later[-1].given_share):
        raise ValueError(
            "study.later is without a stage that is given first frames: nothing to compare"
        )
    monolith = [later.later(scale, experts.monolith(scale, FlowMatchingExpert, seed))]
    trained = [
        later.later(scale, expert) for expert in experts.mixed(scale, FlowMatchingExpert, {}, seed)
    ]
    scale = later.last(scale)
    router = experts.router(scale, True, seed)
    ways: dict[str, tuple[list[TrainExpert], Routing | None, Selection]] = {
        "Monolithic": (monolith, None, Only(0)),
        "DDM, Top-1": (trained, router, Top(1)),
        "DDM, Top-2": (trained, router, Top(2)),
    }
    return [
        Row(
            {"Model": name, "Given": given},
            scores.score(scale, drawn_by, routed_by, selection, seed, first=first),
        )
        for given, first in GIVEN.items()
        for name, (drawn_by, routed_by, selection) in ways.items()
    ]


def tests(results: Results) -> list[str | None]:
    """What a first frame is worth to each model."""
    lines = list[str | None]()
    for name in dict.fromkeys(row.names["Model"] for row in results.rows[0]):
        without, given = ((name, way) for way in GIVEN)
        lines += [compared(results, c, given, without) for c in (BEGINS, METRICS[0])]
    return lines


TABLE = Table(
    name="paris2-i2v",
    title="Clips from a caption, or from a caption and a first frame (Paris 2.0 §3.1)",
    columns=[BEGINS, *METRICS, EXPERT, ROUTER],
    rows=rows,
    scales=VIDEO_SCALES,
    judge=scores.judge,
    baseline=None,
    tests=tests,
    notes=[
        "Experts and monolith are Table 1's, trained on with the first frame given for half of "
        "the clips; the router is Table 1's, and reads the frame's feature where it is given. "
        "First frames are those of held-out clips, whose captions are asked.",
        "First frame: between what a clip begins with and the held-out clip's own beginning. From "
        "the caption alone no model can know it. These clips are among those that FVD compares "
        "with: part of what a frame is worth in FVD is that it is one of theirs.",
    ],
    figures={"paris2-i2v": sheet},
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
