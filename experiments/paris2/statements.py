"""What Paris 2.0 says of video: the ensemble, schedules set by hand, what experts learn."""

from experiments.tables.claim import Claim, Expected, Test, above, below
from experiments.tables.contrasts import Gap, Names

MONOLITH: Names = ("Monolithic", "")
STRATEGIES = ("Top-1", "Top-2", "Full")
SINGLE = ("A alone", "B alone")
CLUSTERS = ("0", "1", "2")
CLIP, AESTHETIC, SHARED = "clip|prompt", "aesthetic|legible", "clip|digit"
"""The published number, or what stands in its place where no downloaded network judges; SHARED:
what experts of other clusters were trained on too."""


def _ensemble(key: str, *, lower: bool) -> tuple[Test, ...]:
    """Every K, which the paper does not state, against the monolith."""
    compare = below if lower else above
    return tuple(compare(k, "paris2-table1", key, ("DDM", k), MONOLITH) for k in STRATEGIES)


def _alternating(key: str, *, lower: bool) -> tuple[Test, ...]:
    """Against either expert alone."""
    compare = below if lower else above
    return tuple(
        compare(f"against {one}", "paris2-switching", key, ("Alternate",), (one,)) for one in SINGLE
    )


def _own(k: str) -> tuple[Names, Names]:
    return ("Expert", k, "own"), ("Expert", k, "others")


VIDEO = (
    Claim("Paris 2.0 §4.2, Table 1", "Three experts have a lower FVD than a monolith of equal "
          "FLOPs and data.", "279.01 against 561.04", _ensemble("fvd", lower=True)),
    Claim("Paris 2.0 §4.2, Table 1", "… and a higher CLIP text-video similarity.",
          "0.2178 against 0.2032", _ensemble(CLIP, lower=False)),
    Claim("Paris 2.0 §4.2, Table 1", "… and a higher aesthetic score.",
          "3.9036 against 3.7950", _ensemble(AESTHETIC, lower=False)),
    Claim("Paris 2.0 §4.1", "Sparse routing does better than the full ensemble.",
          why="a router that reads captions which name the cluster leaves nothing to mix"),
    Claim("Paris 2.0 §4.3, Fig 5", "Alternating two experts beats either in CLIP, aesthetic score "
          "and warping error at once.", "",
          (*_alternating(CLIP, lower=False), *_alternating(AESTHETIC, lower=False),
           *_alternating("warping", lower=True))),
    Claim("Paris 2.0 §4.3, Fig 5", "A then B and B then A differ: one expert prefers high noise, "
          "the other low.", why="no direction is stated; the difference and its interval are in "
          "paris2-switching"),
    Claim("Paris 2.0 §4.3", "24 of 40 prompts prefer a switching schedule to the best expert.",
          "24 of 40", why="a count of prompts, not of seeds: its sign test, with the choice of the "
          "best of several allowed for, is in paris2-switching"),
    Claim("Paris 2.0 §4.3", "An expert does better on its own cluster's prompts.",
          "0.2175 against 0.1781",
          tuple(above(f"expert {k}", "paris2-specialization", SHARED, *_own(k)) for k in CLUSTERS)),
    Claim("Paris 2.0 §4.3", "… by more than the prompts' own difference, the monolith's gap.", "",
          tuple(Test(f"expert {k}", "paris2-specialization", SHARED,
                     Gap(*_own(k), ("Monolith", k, "own"), ("Monolith", k, "others")),
                     Expected.ABOVE) for k in CLUSTERS)),
    Claim("Paris 2.0 §3.1", "One router serves text-to-video and image-to-video.",
          why="no router of one of them alone is trained beside it"),
)  # fmt: skip
