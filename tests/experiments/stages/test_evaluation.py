"""Samples and scores through real stages at smoke: what is drawn, counted, compared and remade."""

import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from datamodules.sources.source import Split
from experiments.pipeline import build
from experiments.pipeline.files import StoreError
from experiments.pipeline.launch import local
from experiments.pipeline.launch.local import Local
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.scores.real import Real
from experiments.stages.seeds import SAMPLING, run_seed
from metrics.diversity import nearest
from modules.blocks import Size
from modules.codec import encode
from modules.denoising import DDPMExpert, DenoisingExpert, FlowMatchingExpert
from modules.guard import Guard
from modules.objectives import X0, Objective
from modules.sampling import euler, starting_noise, uniform
from modules.schedules import Linear, NicholDhariwal
from modules.selection import Alternate, Full, Only, Stochastic, Switch
from modules.text import Text
from modules.training import Precision
from tests.helpers.stages import make, serial

SMOKE = turned(
    SCALES["smoke"],
    {
        "expert.size": Size(8, 1, 2),
        "router.size": Size(8, 1, 2),
        "train.steps": 3,
        "router.train.steps": 3,
        "draw.samples": 8,
    },
)
DEFAULT = scores.default(SMOKE)


LINEAR = Linear()


@dataclass(frozen=True)
class Half(Objective):
    """Half of x0 and half of eps."""

    def row(self, schedule, t):
        return torch.full_like(t, 0.5), torch.full_like(t, 0.5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with two experts of one seed and the router, and the experts."""
    store = Store(tmp_path_factory.mktemp("trained"))
    two = [experts.expert(SMOKE, FlowMatchingExpert, k, 0) for k in range(2)]
    for stage in two:
        make(store, stage)
    return store, two


def sample(experts, selection, setting=DEFAULT, **changes):
    drawn = scores.score(SMOKE, experts, None, selection, 0, setting).pictures
    return replace(drawn, **changes)


def drawn(store, stage):
    make(store, stage)
    return stage.images(store)


def test_samples_are_the_experts_own_euler_path(trained):
    """kills: another expert, noise, caption, guidance or number of steps than the config says."""
    store, experts = trained
    stage = sample(experts, Only(1), batch=3)
    make(store, stage)
    captions, _ = stage.prompts(store)
    tokens, pooled = map(torch.from_numpy, experts[0].shards.text.encode(captions))
    seeds = [run_seed(0, SAMPLING, i) for i in range(8)]
    network = experts[1].load(store).network
    with torch.no_grad():
        x = euler(
            lambda x, t: network(x, t, Text.of(tokens, pooled)),
            starting_noise(seeds, (1, 8, 8)),
            uniform(SMOKE.draw.steps),
        )
    np.testing.assert_allclose(drawn(store, stage), x.clamp(-1, 1).numpy(), atol=1e-5)
    assert stage.evaluations(store) == {"expert_evaluations": 3.0, "router_evaluations": 0.0}


def test_a_schedule_of_experts_needs_no_router(trained):
    """kills: the selection dropped where there is no router, the first expert standing for all."""
    store, experts = trained
    first, second = (drawn(store, sample(experts, Only(k))) for k in (0, 1))
    switched = drawn(store, sample(experts, Switch(0.5, early=Only(1), late=Only(0))))
    turns = drawn(store, sample(experts, Alternate((Only(0), Only(1)), SMOKE.draw.steps)))
    both = sample(experts, Full())
    kinds = [first, second, switched, turns, drawn(store, both)]
    assert all(np.abs(a - b).max() > 1e-4 for i, a in enumerate(kinds) for b in kinds[:i])
    assert both.evaluations(store)["expert_evaluations"] == 2 * SMOKE.draw.steps


def test_random_selections_depend_on_no_batch(trained):
    """kills: a selection that draws from the global generator, seeds that are a batch's, not the
    row's, or not handed on."""
    store, experts = trained
    whole = drawn(store, sample(experts, Stochastic(), batch=8))
    torch.manual_seed(5)
    parts = drawn(store, sample(experts, Stochastic(), batch=1))
    np.testing.assert_allclose(whole, parts, atol=1e-5)
    firm = [drawn(store, sample(experts, Only(k), batch=8)) for k in range(2)]
    assert all((np.abs(whole - one).max(axis=(1, 2, 3)) > 1e-4).sum() >= 4 for one in firm)
    other = drawn(store, sample(experts, Stochastic(), batch=8, seed=1))
    assert np.abs(whole - other).max() > 1e-2


def test_bfloat16_draws_nearly_the_same(trained):
    """kills: a precision that is not used, or mixtures and steps that lose their float32."""
    store, experts = trained
    mixed = replace(DEFAULT, precision=Precision.BF16)
    one, other = (
        drawn(store, sample(experts, Full(), setting=setting)) for setting in (DEFAULT, mixed)
    )
    assert one.dtype == other.dtype == np.float32
    assert 0 < np.abs(one - other).mean() < 0.03


def test_an_objective_without_inverse_is_refused_as_a_stage():
    """kills: an expert that trains for its whole time and is refused when it is sampled."""
    stage = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
    half = type("HalfExpert", (DenoisingExpert,), {"objective": Half(), "default_schedule": LINEAR})
    with pytest.raises(ValueError, match=r"Half.* t = 0.5, where its row .* = \(0.5, 0.5\)"):
        replace(stage, module=half)
    with pytest.raises(ValueError, match=r"t = 0\.5"):
        half(stage.network, stage.optim)


def test_a_single_converted_expert_is_guarded(trained):
    """kills: guard and alignment in the key but not in the field of a single expert."""
    store, _ = trained
    expert = experts.expert(SMOKE, DDPMExpert, 0, 0)
    make(store, expert)
    with pytest.raises(ValueError, match=r"t = 1, .* give Guard a t_max"):
        sample([expert], Only(0))  # before anything is made
    loose, tight = (
        drawn(store, sample([expert], Only(0), setting=replace(DEFAULT, guard=guard)))
        for guard in (Guard(t_max=0.99, x0_clip=20.0), Guard(t_max=0.99, x0_clip=0.1))
    )
    assert np.abs(loose - tight).max() > 0.1


def test_damaged_samples_are_named(trained):
    """kills: zipfile's or numpy's own error, which names no file."""
    store, experts = trained
    stage = sample(experts, Only(0), seed=5)
    make(store, stage)
    path = store.path(stage) / "00000.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StoreError, match=r"00000\.npz"):
        stage.images(store)


def test_a_changed_byte_of_weights_is_noticed(trained):
    """kills: weights of the right shapes loaded whatever they hold, and wrong numbers published."""
    store, experts = trained
    stage = replace(experts[0], seed=7)
    make(store, stage)
    path = store.path(stage) / "weights.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(StoreError, match=r"weights\.safetensors is damaged"):
        stage.load(store)
    path.write_bytes(whole)
    stage.load(store)


def test_real_pictures_show_what_the_prompts_name(trained):
    """kills: unmatched classes, held-out pictures, or a picture repeated while others are left."""
    store, _ = trained
    real = Real(experts.shards(SMOKE), 32, 0)
    images = drawn(store, real)
    _, named = real.prompts(store)
    train = SMOKE.data.source.read(Split.TRAIN)
    for label in np.unique(named):
        there = {x.tobytes() for x in train.images[train.labels == label]}
        shown = [x.tobytes() for x in images[named == label]]
        assert set(shown) <= there
        assert len(set(shown)) == min(len(shown), len(there))
    assert not np.array_equal(images, drawn(store, replace(real, seed=1)))


def test_nearest_is_the_median_distance():
    """kills: a mean, a squared distance, the two sets exchanged, or the axis of the minimum."""
    a, b = np.array([[0.0, 0], [3, 4], [9, 0]]), np.array([[0.0, 0], [9, 12]])
    assert nearest(a, b) == 5.0
    assert nearest(b, a) == pytest.approx((0 + 10) / 2)


def test_the_key_covers_what_a_class_decides(monkeypatch):
    """kills: an expert's objective or schedule outside its key."""
    keys = {experts.expert(SMOKE, DDPMExpert, 0, 0).key}
    monkeypatch.setattr(DDPMExpert, "objective", X0())
    keys.add(experts.expert(SMOKE, DDPMExpert, 0, 0).key)
    monkeypatch.setattr(DDPMExpert, "default_schedule", NicholDhariwal())
    keys.add(experts.expert(SMOKE, DDPMExpert, 0, 0).key)
    assert len(keys) == 3
    assert encode(DDPMExpert)["objective"] == encode(X0())


def test_a_deleted_ancestor_is_made_again(store, monkeypatch):
    """kills: a complete artifact hiding that what it cites is gone."""
    monkeypatch.setattr(local, "map", serial)
    data = experts.shards(SMOKE)
    context = Context(store)
    build.ensure([data], context, Local())
    made = (store.path(data) / "provenance.json").stat().st_mtime_ns
    shutil.rmtree(store.path(data.clusters.encoded))
    build.ensure([data], context, Local())
    assert store.has(data.clusters.encoded)
    assert (store.path(data) / "provenance.json").stat().st_mtime_ns == made
