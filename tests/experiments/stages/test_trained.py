"""An expert's card says what its weights are: nothing else is needed to use them."""

import json

import numpy as np
import pytest

from experiments.hddm import settings
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.blocks import Size
from modules.denoising import DDPMExpert, FlowMatchingExpert, VExpert
from modules.schedules import LinearBeta
from tests.helpers.stages import make

SMOKE = turned(
    SCALES["smoke"],
    {
        "expert.size": Size(8, 1, 2),
        "data.clusters": 3,
        "study.pair": (0, 2),
        "train.batch": 6,
        "train.steps": 3,
        "study.pair_batch": 4,
    },
)
SHARDS = experts.shards(SMOKE)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store that holds the shards."""
    store = Store(tmp_path_factory.mktemp("cards"))
    make(store, SHARDS)
    return store


def card(store, stage):
    return json.loads((make(store, stage) / "card.json").read_text())


def counted(store, clusters):
    assignment = np.load(store.path(SHARDS.clusters) / "assignment.npy")
    return int(np.isin(assignment, clusters).sum())


@pytest.mark.parametrize(
    ("stage", "objective", "schedule", "clusters"),
    [
        (experts.expert(SMOKE, FlowMatchingExpert, 1, 0), "Velocity", "Linear", [1]),
        (experts.expert(SMOKE, DDPMExpert, 2, 0), "Epsilon", "Cosine", [2]),
        (experts.monolith(SMOKE, VExpert, 0), "V", "Cosine", [0, 1, 2]),
        (settings.paired(SMOKE, DDPMExpert, 0, LinearBeta()), "Epsilon", "LinearBeta", [0, 2]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_card_says_what_was_trained_on_what(store, stage, objective, schedule, clusters):
    """kills: a class's default schedule for the one given, the samples of another cluster, or a
    card without one of the values that make weights usable."""
    found = card(store, stage)
    assert found["objective"] == {"is": objective}
    assert found["schedule"]["is"] == schedule
    assert found["clusters"] == clusters
    assert found["samples"] == counted(store, clusters) > 0
    network = found["network"]
    assert network["size"] == {"is": "Size", "width": 8, "depth": 1, "heads": 2}
    assert (network["image"], network["channels"], network["patch"]) == (8, 1, SMOKE.expert.patch)


def test_a_schedules_own_numbers_are_on_the_card(store):
    """kills: a schedule's name without its values."""
    short = settings.paired(SMOKE, DDPMExpert, 0, LinearBeta(1e-3, 0.05, 60))
    found = card(store, short)["schedule"]
    assert (found["first"], found["last"], found["steps"]) == (1e-3, 0.05, 60)


def test_the_experts_cards_share_out_the_pictures(store):
    """kills: samples counted by shard, or a picture told to two experts."""
    samples = [
        card(store, experts.expert(SMOKE, FlowMatchingExpert, k, 0))["samples"] for k in range(3)
    ]
    assert sum(samples) == SMOKE.data.source.train
    assert samples == sorted(samples, reverse=True)


def test_the_card_is_guarded_like_the_weights(store):
    """kills: a card outside the provenance's checksums, which could be edited unseen."""
    stage = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
    make(store, stage)
    assert {"card.json", "weights.safetensors"} <= store.provenance(stage)["files"].keys()
    assert store.file(stage, "card.json").is_file()
