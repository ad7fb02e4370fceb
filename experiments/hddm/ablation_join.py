"""Ablation: an expert joins or leaves, and no router is trained again.  HDDM, limitation (iv).

Rules that need no training of a router, by Bayes' rule over what each owner can give alone: a head
against a public reference, the denoising error, the captions on the card. Each against the router
that was trained again.
small: 6 min for 3 seeds on 2 cores beyond Table 1.
"""

import sys
from dataclasses import replace

from datamodules.sources.source import Split
from experiments.cli.main import main
from experiments.drawing.pictures import grid
from experiments.hddm import settings
from experiments.measures.routing import Routed, Served
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.stages.corpus import Shards
from experiments.stages.joining import Added, Card, Removed, Rule, TrainHead
from experiments.stages.routers import Routing
from experiments.tables.columns import (
    ACCURACY,
    DIVERSITY,
    EXPERT,
    FID,
    NOT_NEGATIVE,
    ROUTER,
    Column,
    percent,
)
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from experiments.tables.statistics import Estimate
from modules.denoising import FlowMatchingExpert
from modules.selection import Top

MOVED = 0
"""The cluster whose expert leaves or joins: the largest."""
SELECTION = Top(2)
LEVELS = 2
TRAINED = "trained"
ALL, LEFT, CAME = "all eight", "one removed", "one added later"
RULES = "heads", "denoising error", "card text", "card text, denoising error"


def _heads(scale: ImageScale, clusters: tuple[int, ...], seed: int) -> tuple[TrainHead, ...]:
    """One head an expert; all K together see about as many pictures as the router does."""
    router = experts.router(scale, True, seed)
    optim = replace(
        router.optim,
        steps=max(1, router.optim.steps // 2),  # a batch has as many public pictures again
        batch=max(1, router.optim.batch // scale.data.clusters),
    )
    public = experts.encoded(scale, Split.JUDGE)
    return tuple(
        TrainHead(
            shards=Shards.of(router.shards),
            cluster=k,
            public=public,
            schedule=router.schedule,
            network=router.network,
            optim=optim,
            text_dropout=router.text_dropout,
            seed=seed,
        )
        for k in clusters
    )


def _rules(scale: ImageScale, clusters: tuple[int, ...], seed: int) -> dict[str, Rule]:
    """Each rule over the experts of the given clusters: who leaves takes along what it gave."""
    trained = tuple(experts.expert(scale, FlowMatchingExpert, k, seed) for k in clusters)
    cards = tuple(Card(expert) for expert in trained)
    rules = (
        Rule(cards, heads=_heads(scale, clusters, seed)),
        Rule(cards, experts=trained, levels=LEVELS),
        Rule(cards, captions=True),
        Rule(cards, captions=True, experts=trained, levels=LEVELS),
    )
    return dict(zip(RULES, rules, strict=True))


def _cases(scale: ImageScale, seed: int) -> dict[str, dict[str, Routing]]:
    """Routers by case and name; the first of a case is the one trained for it."""
    every, gone = tuple(range(scale.data.clusters)), (MOVED,)
    others = tuple(k for k in every if k != MOVED)
    trained, rules = experts.router(scale, True, seed), _rules(scale, every, seed)
    of_others = replace(trained, clusters=others)
    left: dict[str, Routing] = {
        TRAINED: Removed(of_others, gone),
        "trained before, masked": Removed(trained, gone),
        **_rules(scale, others, seed),
    }
    came = {f"trained before, {name}": Added(of_others, r, gone) for name, r in rules.items()}
    return {ALL: {TRAINED: trained, **rules}, LEFT: left, CAME: {TRAINED: trained, **came}}


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.matched(scale)
    trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
    heldout, table_rows = experts.encoded(scale, Split.HELDOUT), []
    for case, routers in _cases(scale, seed).items():
        for name, router in routers.items():
            score = scores.score(scale, trained, router, SELECTION, seed)
            removed = (MOVED,) if case == LEFT else ()
            served = Served(score, Routed(router, heldout, seed, draws=1, removed=removed), MOVED)
            table_rows.append(Row({"Experts": case, "Router": name}, served))
    return table_rows


def tests(results: Results) -> list[str]:
    """Every router of a case less the one trained for it, paired by seed."""
    lines, first = [], 0
    for i, row in enumerate(results.rows[0]):
        if row.names["Router"] == TRAINED:
            first = i
            continue
        cells = [
            f"{results.shown(column).title} {column.show(difference)}{_mark(difference)}"
            for column in (FID, ACCURACY, LOSS)
            for difference in [results.difference(i, first, column)]
        ]
        names = f"{row.names['Experts']}: {row.names['Router']}"
        lines.append(f"{names}, less the router trained for it: {'; '.join(cells)}.")
    return [*lines, "\\* The 95 % interval leaves 0 out."]


def _mark(difference: Estimate) -> str:
    low, high = difference.low, difference.high
    return "\\*" if low is not None and high is not None and (low > 0 or high < 0) else ""


def pictures(results: Results) -> bytes:
    """A PNG: samples of every row, the same prompts and noise down each column."""
    scores = {
        row.name: row.measured.score for row in results.rows[0] if isinstance(row.measured, Served)
    }
    return grid(scores, results.store)


LOSS = Column("log_loss", "Router log loss, nats", 3, lies=NOT_NEGATIVE)

TABLE = Table(
    name="ablation-join",
    title="Ablation. Experts that join or leave without training a router (HDDM, limitation iv)",
    columns=[
        FID,
        ACCURACY,
        percent("accuracy_inside", "… of the moved cluster's prompts"),
        percent("accuracy_outside", "… of all other prompts"),
        DIVERSITY,
        percent("router_accuracy", "Router accuracy, %"),
        LOSS,
        EXPERT,
        ROUTER,
    ],
    rows=rows,
    scales=SCALES,
    judge=scores.judge,
    baseline=None,
    notes=[
        f"Top-2 throughout. The expert that leaves or joins is that of cluster {MOVED}, the "
        "largest. A prompt belongs to the cluster of the held-out picture it is the caption of.",
        "Router accuracy and log loss: noised held-out pictures, averaged over six times; where an "
        "expert is gone, without the pictures of its cluster.",
        "Heads: one for each expert, its own pictures against a public reference (the judge's "
        "split). Denoising error: the bound of VDM at two levels, without the caption; after card "
        "text the experts are asked under it. Card text: a kernel density over a card's captions.",
        "One added later: the router that was trained without the newcomer divides what the rule "
        "leaves to the old experts.",
        "Router evaluations count whatever network a rule asks: an expert, a head or a router.",
    ],
    figures={"ablation-join": pictures},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
