"""Beyond the paper. Which clusters should be DDPM?  HDDM §5, limitation (i).

The paper chose clusters 0 and 3 by what they show. A rule that looks at no scored picture: train
both objectives briefly on each cluster, and give it the one that errs less on pictures that were
set apart. Beside it none, all, the paper's two, each one alone and sets drawn at random: its regret
is what it loses to the best of all these.
scenes: 40 min for 3 seeds on 2 busy cores; eight DDPM experts, and sixteen of a quarter's training,
beyond Table 1's.
"""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from datamodules.sources.source import Split
from experiments.cli.main import main
from experiments.drawing.forest import Mark, forest
from experiments.hddm import readings, settings
from experiments.hddm.variants import DDPM_CLUSTERS
from experiments.measures.assignment import Assigned, ByObjective, ErrorOf
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.scores.score import Score
from experiments.stages.experts import TrainExpert
from experiments.stages.routers import Routing
from experiments.stages.samples import Sample
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, NEAREST
from experiments.tables.comparisons import compared, index, verdict
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from experiments.tables.statistics import Estimate, estimate
from modules.denoising import DDPMExpert, DenoisingExpert, FlowMatchingExpert
from modules.selection import Top

NONE, ALL, PAPER, ONE, DRAWN = "none", "all", "the paper's", "one", "drawn"
RULES = {f"least error of {judged.value}": judged for judged in ErrorOf}
CHOICES = {
    DRAWN: "drawn at random",
    NONE: "none (all FM)",
    ALL: "all (no FM)",
    PAPER: "the paper's",
}
"""What its figure calls the sets."""
DRAWS = 2
Clusters = tuple[int, ...]


def fixed(scale: ImageScale, seed: int) -> dict[Clusters, str]:
    """Every set of DDPM clusters that is tried whatever is measured, and what it is."""
    k = scale.data.clusters
    named: dict[Clusters, str] = {(): NONE, tuple(range(k)): ALL}
    if max(DDPM_CLUSTERS) < k:
        named[DDPM_CLUSTERS] = PAPER
    named |= {(cluster,): ONE for cluster in range(k)}
    every = itertools.chain.from_iterable(
        itertools.combinations(range(k), size) for size in range(2, k)
    )
    others = [clusters for clusters in every if clusters not in named]
    order = np.random.default_rng([seed, k]).permutation(len(others))
    return named | {others[i]: DRAWN for i in order[: scale.study.beyond.drawn]}


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.beyond(scale)
    router, drawn, made = experts.router(scale, True, seed), itertools.count(1), list[Row]()
    for clusters, name in fixed(scale, seed).items():
        mixed = dict.fromkeys(clusters, DDPMExpert)
        trained = experts.mixed(scale, FlowMatchingExpert, mixed, seed)
        number = f"{next(drawn)}" if name == DRAWN else f"{clusters[0]}" if name == ONE else ""
        made.append(_row(name, number, _score(scale, trained, router, seed)))
    return [*made, *_by_rule(scale, seed)]


def _by_rule(scale: ImageScale, seed: int) -> Iterator[Row]:
    """Both kinds of expert are there; a router leads to those that a rule has chosen."""
    both = [
        stage
        for module in (FlowMatchingExpert, DDPMExpert)
        for stage in experts.mixed(scale, module, {}, seed)
    ]
    for name, judged in RULES.items():
        router = Assigned(experts.router(scale, True, seed), _errors(scale, seed), judged)
        yield _row(name, "", _score(scale, both, router, seed))


def _errors(scale: ImageScale, seed: int) -> ByObjective:
    fm, ddpm = (tuple(brief(scale, kind, seed)) for kind in (FlowMatchingExpert, DDPMExpert))
    return ByObjective(fm, ddpm, experts.encoded(scale, Split.JUDGE), DRAWS, seed)


def brief(scale: ImageScale, kind: type[DenoisingExpert], seed: int) -> Iterator[TrainExpert]:
    """An expert of every cluster, of the recipe's share of steps."""
    share = scale.study.beyond.brief
    for stage in experts.mixed(scale, kind, {}, seed):
        steps = max(1, round(share * stage.optim.steps))
        yield replace(stage, optim=experts.shortened(stage.optim, steps))


def _score(scale: ImageScale, trained: list[TrainExpert], router: Routing, seed: int) -> Score:
    setting = readings.corrected(settings.aligned(scale))
    return scores.score(scale, trained, router, Top(2), seed, setting)


def _row(which: str, number: str, score: Score) -> Row:
    return Row({"DDPM experts": which, "No.": number}, score)


def regret(results: Results, values: list[float]) -> Estimate:
    """What a choice's FID by seed is above that of the best fixed set of each seed."""
    return estimate([a - b for a, b in zip(values, best(results), strict=True)])


def best(results: Results) -> list[float]:
    """The least FID by seed among the sets that no rule chose."""
    tried = [i for i, row in enumerate(results.rows[0]) if row.names["DDPM experts"] not in RULES]
    return np.min([_fid(results, i) for i in tried], axis=0).tolist()


def _fid(results: Results, row: int) -> list[float]:
    """By seed; NaN where it is missing."""
    return [np.nan if value is None else value for value in results.values(row, FID)]


def _by_choice(results: Results) -> Iterator[tuple[str, list[float]]]:
    """FID by seed of every way to choose; of drawn sets their mean, which is a random one's."""
    for name in (*RULES, NONE, ALL, PAPER, DRAWN):
        rows = [i for i, r in enumerate(results.rows[0]) if r.names["DDPM experts"] == name]
        if rows:
            yield name, np.mean([_fid(results, i) for i in rows], axis=0).tolist()


def tests(results: Results) -> list[str | None]:
    """Regrets, what the rules chose, and the rules against the fixed sets."""
    lines, shown = list[str | None](), results.shown(FID)
    for name, values in _by_choice(results):
        lost = regret(results, values)
        lines.append(
            f"Regret in {shown.title}, {name}: {shown.show(lost)} (n = {lost.n}): {verdict(lost)}."
        )
    for name in RULES:
        chosen = [_chosen(results, name, seed) for seed in range(results.seeds)]
        lines.append(f"DDPM by the {name}, by seed: {'; '.join(chosen)}.")
        there = {row.names["DDPM experts"] for row in results.rows[0]}
        others = [other for other in (NONE, ALL, PAPER) if other in there]
        lines += [compared(results, FID, (name,), (other,)) for other in others]
    return lines


def figure(results: Results) -> Chart:
    """The regret of every way to choose; only a rule's can fall below 0, as its own sets are not
    among those that the least is found of."""
    marks, shown = list[Mark](), results.shown(FID)
    for name, values in _by_choice(results):
        lost = regret(results, values)
        fixed = name not in RULES
        marks.append(Mark(CHOICES.get(name, name), lost.within(0) if fixed else lost, plain=fixed))
    title = f"regret in {shown.title}: above the least of all fixed sets, seed by seed"
    return forest({"": marks}, title, results.seeds)


def _chosen(results: Results, name: str, seed: int) -> str:
    """The clusters that a rule made DDPM."""
    score = results.rows[seed][index(results, name)].measured
    assert isinstance(score, Score)
    assert isinstance(score.pictures, Sample)
    assert isinstance(score.pictures.router, Assigned)
    choice = score.pictures.router.choice(results.store)
    return ", ".join(f"{k}" for k, kind in enumerate(choice) if kind) or "none"


TABLE = Table(
    name="ablation-assignment",
    title="Which clusters should be DDPM (beyond HDDM §5, limitation i)",
    columns=[FID, KID, ACCURACY, DIVERSITY, NEAREST, EXPERT],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    notes=[
        "Top-2 under a text-aware router, at the aligned setting, DDPM experts converted at equal "
        "signal-to-noise ratio. Sets are drawn anew for each seed, whose clusters are others.",
        "A rule trains both objectives on each cluster for a share of the steps, and asks both "
        "about pictures of the judge's split, which no expert is trained on and no table scores: "
        "for the error of x0, averaged over noise levels, or of the velocity on the linear path. "
        "At high noise an error of eps is many times as large in x0, which the first rule counts.",
        "Regret: FID less the least of all fixed sets, seed by seed. The least is found by the "
        "pictures that it is scored on, so that every regret is a little too large, and the same "
        "amount for each.",
    ],
    figures={"ablation-assignment": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
