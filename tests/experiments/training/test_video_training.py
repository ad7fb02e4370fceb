"""Experts of video trained at smoke: killed, on two devices, and begun with the stage before."""

import multiprocessing
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from experiments.paris2 import later
from experiments.pipeline.hardware import Hardware, Strategy
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.training import distributed
from modules.denoising import FlowMatchingExpert
from modules.mmdit import MMDiTNetwork, MMSize
from modules.weights.flux import WIDENED
from tests.helpers.stages import killed_at, make

SMOKE = VIDEO_SCALES["smoke"]
SCALE = turned(
    SMOKE,
    {
        "expert.size": MMSize(8, 1, 1, 1),
        "train.steps": 20,
        "train.warmup": 2,
        "train.ema_start": 6,
        "expert.text_dropout": 0.5,
    },
)
"""Checkpoints after every fourth step."""


def expert(scale=SCALE):
    return experts.mixed(scale, FlowMatchingExpert, {}, 0)[1]


def weights(folder):
    return load_file(folder / "weights.safetensors")


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """An expert and its later stage, trained without a break."""
    store = Store(tmp_path_factory.mktemp("straight"))
    make(store, later.later(SCALE, expert()))
    return store


@pytest.mark.parametrize("which", ["first", "later"])
def test_killed_and_resumed_to_the_same_bits(straight, store, monkeypatch, which):
    """kills: clips or noise drawn from a running state, given frames or null captions forgotten,
    the earlier stage's weights copied again over those of the checkpoint."""
    stage, at = expert(), 14
    if which == "later":
        make(store, stage)
        stage, at = later.later(SCALE, stage), 5
    killed_at(store, stage, FlowMatchingExpert, "pose", at)
    steps, draw = [], FlowMatchingExpert.draw
    monkeypatch.setattr(
        FlowMatchingExpert, "draw", lambda self, b: (steps.append(int(b["step"])), draw(self, b))[1]
    )
    ours = make(store, stage)
    every = stage.optim.steps // 5
    assert steps == list(range(at // every * every, stage.optim.steps))
    theirs = straight.path(stage)
    for name in ("weights.safetensors", "log.csv"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_a_later_stage_begins_with_the_one_before(straight):
    """kills: weights drawn anew, those before averaging, columns of a first frame that are drawn,
    a stage that forgets densities or captions, or gives no frames."""
    first = expert()
    stage = later.later(SCALE, first)
    before = weights(straight.path(first))
    begun = stage.begun(straight).network.state_dict()
    width = stage.network.width
    for name, x in before.items():
        own = begun[name]
        if name.endswith(WIDENED):
            assert not own[:, width:].any()
            own = own[:, :width]
        assert torch.equal(own, x), name
    assert begun.keys() == before.keys()
    assert (stage.start.source, stage.clusters) == (first, (1,))
    assert (stage.given_share, stage.times) == (
        SCALE.study.later[0].given_share,
        SCALE.expert.times,
    )
    built = stage.build()
    assert (built.given_share, built.times) == (stage.given_share, stage.times)
    assert stage.network == replace(first.network, first=True)
    after = weights(straight.path(stage))
    grown = next(x for name, x in after.items() if name.endswith(WIDENED))
    assert grown[:, width:].any()


def test_a_chain_of_stages_is_walked_in_order():
    """kills: the last stage begun with the first, a batch that is not a cluster's share."""
    one = SCALE.study.later[0]
    chain = (replace(one, given_share=0.0, steps=4), replace(one, steps=6, batch=24))
    third = later.later(turned(SCALE, {"study.later": chain}), expert())
    second = third.start.source
    assert second.start.source == expert()
    assert [s.optim.steps for s in (second, third)] == [4, 6]
    assert [s.optim.batch for s in (second, third)] == [4, 8]
    assert [s.network.first for s in (second, third)] == [False, True]
    assert later.later(turned(SCALE, {"study.later": ()}), expert()) == expert()
    whole = later.later(
        turned(SCALE, {"study.later": chain}), experts.monolith(SCALE, FlowMatchingExpert, 0)
    )
    assert whole.optim.batch == 24


def test_the_null_caption_is_the_encoders(straight):
    """kills: zeros in place of the empty string, or another null in the average of the weights."""
    found = weights(straight.path(expert()))
    tokens, pooled = SCALE.data.text.encode([""])
    assert torch.equal(found["null_t5"], torch.from_numpy(tokens[0]))
    assert torch.equal(found["null_clip"], torch.from_numpy(pooled[0]))


def test_a_null_that_says_something_reaches_the_network(store, monkeypatch):
    """kills: a null that is set where the encoder's is zero anyway."""
    stage = expert()
    kind = type(stage.shards.text)
    real = kind.encode
    monkeypatch.setattr(kind, "encode", lambda self, c, *_: [x + 1 for x in real(self, c)])
    network = stage.begun(store).network
    assert isinstance(network, MMDiTNetwork)
    assert (network.null_t5 == 1).all()
    assert (network.null_clip == 1).all()


def test_the_loss_is_the_mean_square_of_the_velocity(straight):
    """kills: x0 - eps for eps - x0, frames left out, a network that is asked about x0."""
    stage = expert()
    module = stage.build()
    loader = stage.shards.loader(straight, stage.clusters, stage.optim, module.seed)
    batch = loader.batch_of(0)
    t, eps, _ = module.draw(batch)
    asked = []

    class Zero(nn.Module):
        def forward(self, x, t, c):
            asked.append(x)
            return torch.zeros_like(x)

    module.network = Zero()
    module.log = lambda *_, **__: None
    loss = module.training_step(batch, 0)
    assert float(loss) == pytest.approx(float((eps - batch["x0"]).square().mean()), rel=1e-6)
    s = t.view(-1, 1, 1, 1, 1)
    torch.testing.assert_close(asked[0], (1 - s) * batch["x0"] + s * eps)


def test_the_router_sees_frames_in_training(straight):
    """kills: a router whose share of first frames stays on the stage."""
    stage = experts.router(SCALE, True, 0)
    module = stage.build()
    assert module.given_share == SCALE.router.given_share > 0
    batch = stage.shards.loader(straight, stage.clusters, stage.optim, 0).batch_of(0)
    c = module.draw(batch)[2]
    assert 0 < int(c.first.keep.sum()) < len(c.first.keep)
    assert batch["frame_feature"].shape[1] == SCALE.router.frame_feature
    assert module.network.trunk.shape.frames == 3


class Double(FlowMatchingExpert):
    """In float64, in which two orders of a sum agree so closely that nothing else can hide."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.network.double()

    def draw(self, batch):
        t, eps, c = super().draw(batch)
        first = c.first and replace(c.first, latent=c.first.latent.double())
        text = replace(c, tokens=c.tokens.double(), pooled=c.pooled.double(), first=first)
        return t.double(), eps.double(), text

    def noised(self, x0, t, eps, c):
        return super().noised(x0.double(), t, eps, c)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [Strategy.DDP, Strategy.FSDP], ids=["ddp", "fsdp"])
def test_two_devices_train_what_one_does(tmp_path, monkeypatch, strategy):
    """kills: the same clips on both devices, half a batch, given frames of other rows, blocks of
    an MM-DiT that are not divided or not gathered again."""
    monkeypatch.setattr(distributed, "Process", multiprocessing.get_context("fork").Process)
    stage = replace(expert(), module=Double, given_share=0.5)
    stage = replace(stage, network=replace(stage.network, first=True))
    stage = replace(stage, optim=replace(stage.optim, steps=6, ema_start=2, clip=0.05))
    found = []
    for name, hardware in (("one", Hardware()), ("two", Hardware(2, strategy))):
        store = Store(tmp_path / name)
        for item in stage.inputs():
            make(store, item)
        found.append(weights(store.make(stage, Context(store, device="cpu", hardware=hardware))))
    one, two = found
    assert {k: (x.shape, x.dtype) for k, x in one.items()} == {
        k: (x.shape, x.dtype) for k, x in two.items()
    }
    assert max(float((one[k] - two[k]).abs().max()) for k in one) < 1e-7
