"""Which way a number is better, by the key of its column.

A column that is not here has no good direction. Diversity also rises where prompts are ignored, the
distance to training pictures where samples are noise, and what is spent is a price, not a quality.
"""

from enum import Enum


class Better(Enum):
    """The arrow that a column's title carries."""

    LOWER = "↓"
    HIGHER = "↑"

    @property
    def words(self) -> str:
        return f"{self.name.lower()} is better"


_LOWER = (
    *("fid", "kid", "fd_dinov2", "fvd", "velocity_error", "x0_error", "selected_error", "warping"),
    *("log_loss", "entropy", "calibration_error", "begins", "loss_lowest", "copies", "variation"),
    *("fine_ratio", "coarse_ratio", "variation_shape", "variation_colour", "variation_size"),
    *("variation_place", "variation_texture"),
)
_HIGHER = (
    *("accuracy", "accuracy_inside", "accuracy_outside", "router_accuracy", "over_majority"),
    *("clip", "aesthetic", "prompt", "digit", "moves", "confidence", "legible"),
    *("retrieved", "said", "shape", "colour", "size", "place", "texture"),
    *("speedup_half", "speedup_final", "speedup_lowest", "reached_final"),
)
_DIRECTIONS = {**dict.fromkeys(_LOWER, Better.LOWER), **dict.fromkeys(_HIGHER, Better.HIGHER)}


def better(key: str) -> Better | None:
    """The good direction of a column; of `accuracy 0.5`, which is one of several at times t, that
    of `accuracy`."""
    return _DIRECTIONS.get(key, _DIRECTIONS.get(key.split(" ")[0]))
