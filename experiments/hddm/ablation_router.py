"""Ablation: the router's text and its calibration.  HDDM §2.1, Eq. 2, and Table 1's Full.

Question: is the missing text what makes Full collapse, or are its probabilities off? A text-free
and a text-aware router, each as trained and with a temperature fitted on other pictures: how well
each tells clusters apart over t, and what samples it leads to.
small: 1 min for 3 seeds on 2 cores beyond Table 1.
"""

import itertools
import sys
from dataclasses import dataclass

from datamodules.sources.source import Split
from experiments.cli.main import main
from experiments.drawing.curves import curve
from experiments.hddm import settings
from experiments.hddm.variants import ROUTERS, STRATEGIES
from experiments.measures.routing import TIMES, Routed
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.tables.columns import ACCURACY, DIVERSITY, FID, KID, ROUTER, Column
from experiments.tables.comparisons import compared
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from experiments.tables.sweeps import check
from modules.denoising import FlowMatchingExpert
from modules.selection import Full

RAW, CALIBRATED = "as trained", "calibrated"

CHOSEN = Column("router_accuracy", "Router accuracy, %", 1, factor=100)
MORE = Column("over_majority", "… less the largest cluster's share", 1, factor=100)
ERROR = Column("calibration_error", "Calibration error (ECE), %", 1, factor=100)
LOSS = Column("log_loss", "Log loss, nats", 3)


def _names(router: str, state: str, t: str = "", strategy: str = "") -> dict[str, str]:
    return {"Router": router, "Probabilities": state, "t": t, "Strategy": strategy}


@dataclass(frozen=True)
class RouterTimes:
    """times: t at which the router is asked of noised pictures."""

    times: tuple[float, ...] = TIMES

    def __post_init__(self) -> None:
        check("times", self.times, 0, 1)

    def rows(self, scale: ImageScale, seed: int) -> list[Row]:
        scale = settings.matched(scale)
        trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
        heldout = experts.encoded(scale, Split.HELDOUT)
        over_t, sampled = [], []
        for form, state in itertools.product(ROUTERS, (RAW, CALIBRATED)):
            made = experts.router if state == RAW else experts.calibrated
            router = made(scale, ROUTERS[form], seed)
            routed = Routed(router, heldout, seed, self.times)
            over_t += [Row(_names(form, state, t=f"{t:g}"), routed, at=str(t)) for t in self.times]
            for name, selection in STRATEGIES.items():
                score = scores.score(scale, trained, router, selection, seed)
                sampled.append(Row(_names(form, state, strategy=name), score))
        known = scores.score(scale, trained, experts.oracle(scale), Full(), seed)
        return [*over_t, *sampled, Row(_names("oracle", "", strategy="Full"), known)]


def tests(results: Results) -> list[str | None]:
    """Is the missing text what makes Full collapse? Differences paired by seed."""

    def full(form: str, state: str = RAW, strategy: str = "Full") -> tuple[str, ...]:
        return form, state, "", strategy

    pairs = [(full("text-free", state), full("text-aware", state)) for state in (RAW, CALIBRATED)]
    pairs += [(full(form, CALIBRATED), full(form)) for form in ROUTERS]
    pairs += [(full(form), full(form, RAW, top)) for form in ROUTERS for top in ("Top-1", "Top-2")]
    pairs.append((full("text-aware"), full("oracle", "")))
    return [compared(results, column, a, b) for a, b in pairs for column in (FID, ACCURACY)]


def curves(results: Results) -> bytes:
    """A PNG: accuracy, calibration error and log loss over t, with intervals."""
    by = "Router", "Probabilities"
    return curve(results.where("Strategy", ""), "t", [CHOSEN, ERROR, LOSS], by, "t (1: noise)")


TABLE = Table(
    name="ablation-router",
    title="Ablation. The router's text and its calibration (HDDM §2.1, Eq. 2)",
    columns=[CHOSEN, MORE, ERROR, LOSS, FID, KID, ACCURACY, DIVERSITY, ROUTER],
    rows=RouterTimes().rows,
    sweep=RouterTimes(),
    scales=SCALES,
    judge=scores.judge,
    baseline=None,
    notes=[
        "Rows with a t: noised held-out pictures under their own captions; the label is the "
        "cluster whose centroid is nearest. Rows with a strategy: samples as in Table 1.",
        "Calibrated: one temperature a router, fitted over all t on the judge's split; at a given "
        "t it may be further off than none.",
        "The oracle sends a prompt to the cluster of the held-out picture that it is from.",
    ],
    figures={"ablation-router": curves},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
