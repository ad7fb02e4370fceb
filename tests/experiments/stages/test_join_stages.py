"""The stages of joining at smoke: what they read, and measurements whose answers are known."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules.sources.source import Split
from experiments.hddm import ablation_join
from experiments.measures.routing import MEAN, TIMES, Routed, Served, averaged
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.stages.experts import TrainExpert
from experiments.stages.joining import Added, Card, Removed, Rule
from metrics.embedded import classify
from modules.denoising import FlowMatchingExpert
from modules.routing import RouterNetwork
from tests.helpers.stages import make

pytestmark = pytest.mark.slow
SCALE = SCALES["smoke"]


@pytest.fixture
def data(store):
    """The store with smoke's shards and encoded splits."""
    splits = (experts.encoded(SCALE, split) for split in (Split.HELDOUT, Split.JUDGE))
    for stage in (experts.shards(SCALE), *splits):
        make(store, stage)
    return store


def expert(k):
    return experts.expert(SCALE, FlowMatchingExpert, k, 0)


def rule(store, clusters=range(8), **evidence):
    cards = tuple(Card(expert(k)) for k in clusters)
    found = Rule(cards, **evidence)
    for stage in (*cards, found):
        make(store, stage)
    return found


def sizes(store):
    assignment = np.load(store.path(experts.shards(SCALE).clusters) / "assignment.npy")
    return np.bincount(assignment, minlength=8)


def test_cards_and_heads_read_their_own_cluster_alone(data):
    """kills: a card or head made from another owner's pictures."""
    folder = data.path(experts.shards(SCALE))
    for k in range(8):
        if k != 2:
            shutil.rmtree(folder / f"cluster-{k:02d}")
    card, (head,) = Card(expert(2)), ablation_join._heads(SCALE, (2,), 0)
    make(data, card)
    make(data, head)
    pooled, counts = card.load(data)
    assert counts.sum() == sizes(data)[2]
    assert len(pooled.unique(dim=0)) == len(pooled)
    assert isinstance(head.load(data), RouterNetwork)


def test_a_rule_without_evidence_is_the_prior_at_every_time(data):
    """kills: sizes of other cards, an average over the wrong parts, labels of another split."""
    routed = Routed(rule(data), experts.encoded(SCALE, Split.HELDOUT), seed=0)
    make(data, routed)
    found = routed.read(data)
    prior = sizes(data) / sizes(data).sum()
    cluster = experts.encoded(SCALE, Split.HELDOUT).load(data)["cluster"].numpy()
    hits = (cluster == prior.argmax()).mean()
    wanted = {
        "router_accuracy": hits,
        "over_majority": hits - np.bincount(cluster).max() / len(cluster),
        "calibration_error": abs(hits - prior.max()),
        "log_loss": -np.log(prior[cluster]).mean(),
    }
    assert list(found) == [*map(str, TIMES), MEAN]
    for part in found.values():
        assert part == pytest.approx(wanted, rel=1e-5)


def test_a_removed_expert_gets_nothing_and_its_pictures_are_left_out(data):
    """kills: pictures that no expert is there for counted as mistakes, or the wrong place empty."""
    gone = rule(data, clusters=range(1, 8))
    stages = gone, Removed(rule(data), (0,))
    for stage in stages:
        make(data, stage)
        routed = Routed(stage, experts.encoded(SCALE, Split.HELDOUT), 0, (0.5,), removed=(0,))
        make(data, routed)
        cluster = experts.encoded(SCALE, Split.HELDOUT).load(data)["cluster"].numpy()
        left = sizes(data)[1:] / sizes(data)[1:].sum()
        wanted = -np.log(left[cluster[cluster > 0] - 1]).mean()
        assert routed.read(data)[MEAN]["log_loss"] == pytest.approx(wanted, rel=1e-5)


def test_a_newcomer_takes_the_share_that_the_rule_gives(data):
    """kills: the rule and the router exchanged."""
    whole, old = rule(data), rule(data, clusters=range(1, 8))
    stage = Added(old, whole, (0,))
    make(data, stage)
    p = stage.load(data)(torch.zeros(1, 1, 8, 8), torch.ones(1), None)
    prior = torch.tensor(sizes(data) / sizes(data).sum()).float()
    torch.testing.assert_close(p[0], prior)


def test_prompt_accuracy_divides_between_the_clusters(data):
    """kills: prompts taken for another row's cluster, or inside and outside exchanged."""
    score = scores.real(SCALE, 0)
    routed = Routed(rule(data), experts.encoded(SCALE, Split.HELDOUT), 0)
    for stage in (score.pictures, score.judge, score, routed):
        make(data, stage)
    cluster = routed.pictures.load(data)["cluster"].numpy()
    _, seen = classify(score.judge.load(data), score.pictures.images(data))
    for k in range(8):
        hits = {True: [], False: []}
        named = score.pictures.prompts(data)[1]
        for i, (digit, wanted) in enumerate(zip(seen, named, strict=True)):
            hits[bool(cluster[i % len(cluster)] == k)].append(digit == wanted)
        served = Served(score, routed, k)
        make(data, served)
        found = served.read(data)
        inside = pytest.approx(np.mean(hits[True])) if hits[True] else None
        assert found["accuracy_inside"] == inside
        assert found["accuracy_outside"] == pytest.approx(np.mean(hits[False]))
        assert found["log_loss"] == routed.read(data)[MEAN]["log_loss"]


def test_a_number_that_a_part_lacks_has_no_mean():
    """kills: a missing number counted as 0, or left out of a mean in silence."""
    parts = {"a": {"x": 1.0, "y": None}, "b": {"x": 4.0, "y": 2.0}}
    assert averaged(parts) == {"x": 2.5, "y": None}


def test_who_left_takes_along_all_it_gave():
    """kills: a rule that goes on asking an expert, head or card that is gone."""
    cases = ablation_join._cases(SCALE, 0)
    for name in ablation_join.RULES:
        left = cases[ablation_join.LEFT][name]
        owners = [card.expert for card in left.cards] + list(left.experts)
        assert all(0 not in owner.clusters for owner in owners if isinstance(owner, TrainExpert))
        assert all(head.cluster != 0 for head in left.heads)
        assert cases[ablation_join.CAME][f"trained before, {name}"].router.clusters[0] == 1
    everyone = cases[ablation_join.ALL][ablation_join.TRAINED]
    assert replace(everyone, clusters=tuple(range(1, 8))) == (
        cases[ablation_join.LEFT][ablation_join.TRAINED].router
    )
