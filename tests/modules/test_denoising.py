"""LightningModules: losses recomputed by hand, draws as functions of (seed, step), the recipe."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from modules.blocks import AdaLN, Size
from modules.denoising import DDPMExpert, FlowMatchingExpert, VExpert, X0Expert
from modules.dit import DiT, TextShape
from modules.objectives import X0, Epsilon, V, Velocity
from modules.routing import Router
from modules.schedules import Cosine, Linear
from modules.text import GivenFrame, Text
from modules.training import Optim, generator

EXPERTS = (FlowMatchingExpert, DDPMExpert, X0Expert, VExpert)
every_expert = pytest.mark.parametrize("kind", EXPERTS)
SHAPE = DiT(Size(16, 1, 2), 4, 2, 2, text=TextShape(3, 6, 5), head_std=0.02)
OPTIM = Optim(steps=100, batch=8, lr=3e-3)


def batch(step=7, seed=0):
    g = torch.Generator().manual_seed(seed)
    return {
        "x0": torch.randn(8, 2, 4, 4, generator=g),
        "tokens": torch.randn(8, 3, 6, generator=g),
        "pooled": torch.randn(8, 5, generator=g),
        "cluster": torch.randint(3, (8,), generator=g),
        "step": torch.tensor(step),
    }


def scrambled(module):
    """Every parameter random, so that dropped captions matter from the start."""
    g = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=g)
    return module


def drawn(seed, step, x0, dropout):
    """t, eps and drop, from the generator of numpy's SeedSequence([seed, step])."""
    state = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)
    g = torch.Generator().manual_seed(int(state[0]))
    t = torch.rand(len(x0), generator=g)
    eps = torch.randn(x0.shape, generator=g)
    return t, eps, torch.rand(len(x0), generator=g) < dropout


def by_hand(kind, t, x0, eps):
    """x_t and the target of each kind, written out."""
    t = t.reshape(-1, 1, 1, 1)
    if kind is FlowMatchingExpert:
        return (1 - t) * x0 + t * eps, eps - x0
    cos, sin = torch.cos(math.pi / 2 * t), torch.sin(math.pi / 2 * t)
    targets = {DDPMExpert: eps, X0Expert: x0, VExpert: cos * eps - sin * x0}
    return cos * x0 + sin * eps, targets[kind]


@every_expert
def test_the_loss_is_a_hand_computation(kind):
    """kills: another target or schedule, a loss summed or weighted, or captions never dropped."""
    module, b = scrambled(kind(SHAPE, OPTIM, seed=5, text_dropout=0.4)), batch()
    t, eps, drop = drawn(5, 7, b["x0"], 0.4)
    assert 0 < drop.sum() < 8
    x_t, target = by_hand(kind, t, b["x0"], eps)
    y = module.network(x_t, t, Text(b["tokens"], b["pooled"], ~drop))
    expected = sum(float((y[i] - target[i]).square().mean()) for i in range(8)) / 8
    assert float(module.training_step(b, 0)) == pytest.approx(expected, rel=1e-5)
    kept = module.network(x_t, t, Text.of(b["tokens"], b["pooled"]))
    assert float((kept - target).square().mean()) != pytest.approx(expected, rel=1e-4)


def test_a_given_schedule_replaces_the_default():
    """kills: a schedule accepted and then ignored, in the loss or in what the ensemble is told."""
    module, b = scrambled(DDPMExpert(SHAPE, OPTIM, schedule=Linear(), seed=5)), batch()
    t, eps, drop = drawn(5, 7, b["x0"], 0.1)
    x_t, _ = by_hand(FlowMatchingExpert, t, b["x0"], eps)
    y = module.network(x_t, t, Text(b["tokens"], b["pooled"], ~drop))
    expected = float((y - eps).square().mean())
    assert float(module.training_step(b, 0)) == pytest.approx(expected, rel=1e-5)
    assert module.expert().schedule == Linear()


@pytest.mark.parametrize("pooled", [None, 5])
def test_the_routers_loss_is_a_hand_computation(pooled):
    """kills: the router trained on clean data, at another time, or against another label."""
    shape = DiT(Size(16, 1, 2), 4, 2, 2, AdaLN.ZERO, None)
    module = scrambled(Router(shape, OPTIM, 3, pooled, seed=2, text_dropout=0.4))
    b = batch(step=11)
    t, eps, drop = drawn(2, 11, b["x0"], 0.4)
    x_t, _ = by_hand(FlowMatchingExpert, t, b["x0"], eps)
    c = Text(b["tokens"], b["pooled"], ~drop)
    logits = module.network(x_t, t, c).double()
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    expected = -sum(math.log(float(p[i, b["cluster"][i]])) for i in range(8)) / 8
    assert float(module.training_step(b, 0)) == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(module(x_t, t, c).double(), p, rtol=1e-5, atol=1e-6)


def test_a_router_may_learn_each_cluster_on_its_own_noise():
    """kills: one cluster's schedule for another's or for all, noise or times drawn anew. (§6.3)"""
    shape, schedules = (
        DiT(Size(16, 1, 2), 4, 2, 2, AdaLN.ZERO, None),
        (Cosine(), Linear(), Cosine()),
    )
    usual = Router(shape, OPTIM, 3, seed=2)
    own = Router(shape, OPTIM, 3, seed=2, noised_on=schedules)
    b = batch(step=11)
    asked, before = own.pose(b), usual.pose(b)
    t, eps, _ = drawn(2, 11, b["x0"], 0.1)
    on = {Linear(): by_hand(FlowMatchingExpert, t, b["x0"], eps)[0]}
    on[Cosine()] = by_hand(DDPMExpert, t, b["x0"], eps)[0]
    for i, k in enumerate(b["cluster"].tolist()):
        torch.testing.assert_close(asked.x_t[i], on[schedules[k]][i])
        torch.testing.assert_close(before.x_t[i], on[Linear()][i])
    assert torch.equal(asked.t, before.t)
    assert {*b["cluster"].tolist()} == {0, 1, 2}
    with pytest.raises(ValueError, match="2 schedules for 3 clusters"):
        Router(shape, OPTIM, 3, noised_on=schedules[:2])


@pytest.mark.parametrize(
    ("kind", "objective", "schedule"),
    [
        (FlowMatchingExpert, Velocity(), Linear()),
        (DDPMExpert, Epsilon(), Cosine()),
        (X0Expert, X0(), Cosine()),
        (VExpert, V(), Cosine()),
    ],
)
def test_an_expert_says_what_it_was_trained_on(kind, objective, schedule):
    """kills: an expert that leaves training under another objective or schedule than it had."""
    module = kind(SHAPE, OPTIM)
    expert = module.expert()
    assert (expert.network, expert.objective, expert.schedule) == (
        module.network, objective, schedule,
    )  # fmt: skip


def test_draws_depend_on_seed_and_step_only():
    """kills: global random state, the module's history or its weights entering a draw."""
    torch.manual_seed(0)
    first = FlowMatchingExpert(SHAPE, OPTIM, seed=3)
    for step in range(5):
        first.training_step(batch(step), step)
    torch.manual_seed(99)
    resumed = DDPMExpert(SHAPE, OPTIM, seed=3)
    ours, theirs = first.draw(batch(5)), resumed.draw(batch(5, seed=8))
    for a, b in ((ours[0], theirs[0]), (ours[1], theirs[1]), (ours[2].keep, theirs[2].keep)):
        assert torch.equal(a, b)


def test_every_seed_and_step_draws_anew():
    """kills: seed + step, or seed * step, as a state: (1, 2), (2, 1) and (0, 3) would collide."""
    states = {
        tuple(torch.rand(3, generator=generator(seed, step)).tolist())
        for seed in range(6)
        for step in range(50)
    }
    assert len(states) == 300


def test_draws_have_their_distributions():
    """kills: normal times, t over half its range, or a dropout of keep for drop."""
    module = FlowMatchingExpert(SHAPE, OPTIM, text_dropout=0.1)
    n = 4000
    b = {"x0": torch.zeros(n, 2), "tokens": torch.zeros(n, 1, 1), "pooled": torch.zeros(n, 1)}
    t, eps, c = module.draw(b | {"step": torch.tensor(0)})
    uniform = torch.arange(n) / n
    assert float((t.sort().values - uniform).abs().max()) < 1.95 / n**0.5  # Kolmogorov, 0.1 %
    assert float(eps.var()) == pytest.approx(1, abs=0.06)
    assert float(c.keep.float().mean()) == pytest.approx(0.9, abs=0.02)


def test_warm_up_then_constant():
    """kills: a first step of rate zero, or a warm-up one step too long."""
    rate = Optim(steps=10, batch=1, lr=1.0, warmup=4).rate
    assert [rate(i) for i in range(7)] == [0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert Optim(steps=10, batch=1, lr=1.0).rate(0) == 1


def test_cosine_annealing_ends_at_the_final_rate():
    """kills: a cosine that counts the warm-up, ends at zero, or climbs again after the end."""
    optim = Optim(steps=110, batch=1, lr=5e-5, warmup=10, final_lr=5e-7)
    assert optim.rate(9) == 1
    for step, share in ((10, 1.0), (35, (2 + 2**0.5) / 4), (60, 0.5), (110, 0.0), (500, 0.0)):
        assert 5e-5 * optim.rate(step) == pytest.approx(5e-7 + (5e-5 - 5e-7) * share, rel=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"ema": 0.999, "ema_start": 10}, "average starts"),
    ],
)
def test_an_impossible_recipe_is_refused(changes, message):
    """kills: an average that never starts, which would hand back untrained weights."""
    with pytest.raises(ValueError, match=message):
        Optim(**({"steps": 10, "batch": 1, "lr": 1e-3} | changes))


@pytest.mark.parametrize("kind", [*EXPERTS, Router])
def test_a_few_steps_reduce_the_loss(kind):
    """kills: parameters left out of the optimiser, a detached loss, or a rate never applied."""
    torch.manual_seed(0)
    if kind is Router:
        module = Router(DiT(Size(16, 1, 2), 4, 2, 2, AdaLN.ZERO, None), OPTIM, experts=3)
    else:
        module = kind(SHAPE, OPTIM)
    configured = module.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    losses = []
    for _ in range(60):  # one batch over and over: it can be learnt by heart
        loss = module.training_step(batch(), 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    tuned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert tuned == {id(p) for p in module.network.parameters()}


def test_the_optimiser_is_as_configured():
    """kills: weight decay at AdamW's default 0.01, or the warm-up counted in epochs."""
    optim = Optim(steps=10, batch=1, lr=2e-3, warmup=4, weight_decay=0.0)
    configured = FlowMatchingExpert(SHAPE, optim).configure_optimizers()
    group = configured["optimizer"].param_groups[0]
    assert (group["lr"], group["weight_decay"], group["betas"]) == (5e-4, 0.0, (0.9, 0.999))
    assert configured["lr_scheduler"]["interval"] == "step"


def test_captions_with_first_frames_are_not_joined():
    """kills: first frames that are dropped without a word."""
    plain = Text.of(torch.zeros(2, 3, 4), torch.zeros(2, 5))
    frames = GivenFrame(torch.zeros(2, 1, 1, 2, 2), torch.zeros(2, 3), torch.ones(2).bool())
    joined = Text.joined([plain, plain])
    assert joined.tokens.shape == (4, 3, 4)
    with pytest.raises(ValueError, match="first frames"):
        Text.joined([plain, replace(plain, first=frames)])
