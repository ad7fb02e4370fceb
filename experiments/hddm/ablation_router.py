"""Ablation: the router's text, its calibration and its noise.  HDDM §2.1, Eq. 2, §6.3, and Table
1's Full.

Question: is the missing text what makes Full collapse, or are its probabilities off? A text-free
and a text-aware router, each as trained and with a temperature fitted on other pictures: how well
each tells clusters apart over t, and what samples it leads to. And one that has learned each
cluster on the noise of its own expert of 2DDPM:6FM, as §6.3 may be read.
small: 4 min for 3 seeds on 2 cores beyond Tables 1 and 4.
"""

import itertools
import sys
from dataclasses import dataclass, replace

from datamodules.sources.source import Split
from experiments.cli.main import main
from experiments.drawing.curves import curve
from experiments.hddm import readings, settings
from experiments.hddm.variants import HETEROGENEOUS, MIXES, ROUTERS, STRATEGIES
from experiments.measures.routing import TIMES, Routed
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.tables.columns import (
    ACCURACY,
    DIVERSITY,
    FID,
    KID,
    NOT_NEGATIVE,
    ROUTER,
    Column,
    percent,
)
from experiments.tables.comparisons import compared
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from experiments.tables.sweeps import check
from modules.denoising import FlowMatchingExpert
from modules.selection import Full, Top

RAW, CALIBRATED, PER_OBJECTIVE = "as trained", "calibrated", "noised per objective"
MIXED = f"Top-2, {HETEROGENEOUS}"
"""The mix whose two objectives one router has learned its states on."""

CHOSEN = percent("router_accuracy", "Router accuracy, %")
MORE = Column("over_majority", "… less the largest cluster's share", 1, factor=100)
ERROR = percent("calibration_error", "Calibration error (ECE), %")
LOSS = Column("log_loss", "Log loss, nats", 3, lies=NOT_NEGATIVE)


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
        per_objective = [row for form in ROUTERS for row in self._noised(scale, form, seed)]
        known = scores.score(scale, trained, experts.oracle(scale), Full(), seed)
        oracle = Row(_names("oracle", "", strategy="Full"), known)
        return [*over_t, *sampled, *per_objective, oracle]

    def _noised(self, scale: ImageScale, form: str, seed: int) -> list[Row]:
        """A router whose states are noised as each cluster's own expert of the mix has them, over t
        and beside the usual one in samples of that mix, by the pipeline of this form of router."""
        trained = experts.mixed(scale, FlowMatchingExpert, MIXES[HETEROGENEOUS], seed)
        usual = experts.router(scale, ROUTERS[form], seed)
        own = replace(usual, noised_on=tuple(expert.schedule for expert in trained))
        routed = Routed(own, experts.encoded(scale, Split.HELDOUT), seed, self.times)
        made = [Row(_names(form, PER_OBJECTIVE, t=f"{t:g}"), routed, at=str(t)) for t in self.times]
        setting = readings.pipeline(scale, scores.default(scale), form, HETEROGENEOUS)
        for state, router in ((RAW, usual), (PER_OBJECTIVE, own)):
            score = scores.score(scale, trained, router, Top(2), seed, setting)
            made.append(Row(_names(form, state, strategy=MIXED), score))
        return made


def tests(results: Results) -> list[str | None]:
    """Is the missing text what makes Full collapse? Differences paired by seed."""

    def full(form: str, state: str = RAW, strategy: str = "Full") -> tuple[str, ...]:
        return form, state, "", strategy

    pairs = [(full("text-free", state), full("text-aware", state)) for state in (RAW, CALIBRATED)]
    pairs += [(full(form, CALIBRATED), full(form)) for form in ROUTERS]
    pairs += [(full(form), full(form, RAW, top)) for form in ROUTERS for top in ("Top-1", "Top-2")]
    pairs.append((full("text-aware"), full("oracle", "")))
    pairs += [(full(f, PER_OBJECTIVE, MIXED), full(f, RAW, MIXED)) for f in ROUTERS]
    return [compared(results, column, a, b) for a, b in pairs for column in (FID, ACCURACY)]


def curves(results: Results) -> Chart:
    """Accuracy, calibration error and log loss over t, with intervals."""
    by = "Router", "Probabilities"
    return curve(results.where("Strategy", ""), "t", [CHOSEN, ERROR, LOSS], by, "t (1: noise)")


TABLE = Table(
    name="ablation-router",
    title="Ablation. The router's text, its calibration and its noise (HDDM §2.1, Eq. 2, §6.3)",
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
        "Noised per objective: in training each cluster's states are on the schedule of its own "
        f"expert of {HETEROGENEOUS}, as §6.3 may be read; t is continuous. Their variance tells a "
        "DDPM expert's cluster from the others, which no state on the sampling path does. Rows "
        f"with a t are on that path. Samples of {HETEROGENEOUS}: by the paper's pipeline under the "
        "text-free router, by ours under the text-aware one.",
        "The oracle sends a prompt to the cluster of the held-out picture that it is from.",
    ],
    figures={"ablation-router": curves},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
