"""The columns of clips, and the Fréchet distance that all their judges take."""

import numpy as np
from numpy.typing import NDArray

from experiments.stages.seeds import MEASURING, run_seed
from experiments.tables.columns import NOT_NEGATIVE, Column, percent
from metrics.bootstrap import frechet_interval
from metrics.frechet import frechet_distance

#                 key        title                     digits
FVD = Column("fvd", "FVD", 2, lies=NOT_NEGATIVE)
CLIP = Column("clip", "CLIP text-video", 4)
AESTHETIC = Column("aesthetic", "Aesthetic", 4)
MOTION = Column("motion", "Motion, px/frame", 3, lies=NOT_NEGATIVE)
WARPING = Column("warping", "Warping error", 4, lies=NOT_NEGATIVE)
VISIBLE = percent("visible", "Seen by the warping error, %")
"""Pixels whose flow there and back agrees: the error is of these alone."""
BEGINS = Column("begins", "First frame, RMS error", 3, lies=NOT_NEGATIVE)
"""Between a clip's first frame, in [0, 1], and that of the held-out clip whose caption is asked."""
METRICS = (FVD, CLIP, AESTHETIC, MOTION, WARPING, VISIBLE)


def video_distance(
    features: NDArray[np.floating], heldout: NDArray[np.floating]
) -> dict[str, float]:
    """The Fréchet distance of features [N, F] and [M, F], with bootstrap ends where N >= F.

    With fewer samples a covariance has no rank, and the ends would say nothing.
    """
    if len(features) < features.shape[1]:
        return {"fvd": frechet_distance(features, heldout)}
    ends = frechet_interval(features, heldout, run_seed(0, MEASURING, 0), draws=100)
    return {"fvd": ends.value, "fvd low": ends.low, "fvd high": ends.high}
