"""The central theorem: mixed experts under the exact router are the mixture's own velocity."""

import math

import pytest
import torch
from torch import nn

from modules.alignment import SameTime
from modules.ensemble import Ensemble, counting
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import Epsilon, Velocity
from modules.sampling import heun, starting_noise, uniform
from modules.schedules import Cosine, Linear
from modules.selection import Full, Switch, Threshold, Top
from modules.text import Text
from tests.helpers.mixture import (
    OBJECTIVES,
    SCHEDULES,
    Mixture,
    Optimal,
    mixture,
    name,
    randn,
    relative,
)  # fmt: skip

DATA = mixture()


def experts(shift=0, data=DATA):
    """One expert a component, every objective and every schedule once; `shift` pairs them."""
    kinds = [(OBJECTIVES[k], SCHEDULES[(k + shift) % 4]) for k in range(4)]
    return [
        Expert(Optimal(data, k, objective, schedule), objective, schedule)
        for k, (objective, schedule) in enumerate(kinds)
    ]


def router(path=Linear(), data=DATA):
    return lambda x, t, c: data.posterior(path, x, t)


def points(path=Linear(), n=400):
    """Points x_t [n, 3] of the mixture's own path at times from 0.02 to 0.98, shuffled."""
    t = torch.linspace(0.02, 0.98, n, dtype=torch.float64)
    t = t[torch.randperm(n, generator=torch.Generator().manual_seed(5))]
    return path.noise(DATA.sample(n, seed=3)[0], randn(n, 3, seed=9), t), t


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("path", [Linear(), Cosine()], ids=name)
def test_mixed_experts_are_the_mixtures_velocity(path, shift):
    """kills: any error in objectives, schedules, alignment or the sum; all 16 pairs take part."""
    x, t = points(path)
    ensemble = Ensemble(experts(shift), router(path), Full(), path)
    found, exact = ensemble(x, t, None), DATA.velocity(path, x, t)
    assert relative(found, exact) < 1e-9
    worst = (found - exact).norm(dim=1) / exact.norm(dim=1)
    assert float(worst.max()) < 1e-7


def test_the_theorem_needs_its_hypotheses():
    """kills: a test that would pass whatever the router, the selection or the alignment."""
    x, t = points()
    exact = DATA.velocity(Linear(), x, t)
    uniform_router = Ensemble(experts(), lambda x, t, c: torch.full((len(x), 4), 0.25), Full())
    for wrong in (
        Ensemble(experts(), router(), Top(1)),
        Ensemble(experts(), router(), Full(), alignment=SameTime()),
        Ensemble(experts()[::-1], router(), Full()),
        uniform_router,
    ):
        assert relative(wrong(x, t, None), exact) > 0.01


def test_identical_experts_are_the_monolith():
    """kills: weights that do not sum to 1, or rows scattered to the wrong places."""
    x, t = points()
    one = Mixture(torch.ones(1).double(), DATA.means[:1], DATA.covariances[:1])
    expert = Expert(Optimal(one, 0, Epsilon(), Cosine()), Epsilon(), Cosine())
    alone = expert.velocity(x, t)
    for selection in (Full(), Top(1), Top(3), Threshold(0.3), Switch(0.5, Top(1), Full())):
        found = Ensemble([expert] * 4, router(), selection)(x, t, None)
        torch.testing.assert_close(found, alone, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(alone, one.velocity(Linear(), x, t), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Top(1), 400),
        (Top(2), 800),
        (Top(3), 1200),
        (Full(), 1600),
        (Switch(0.5, Top(1), Top(2)), 600),
    ],
    ids=repr,
)
def test_evaluations_are_the_nonzero_weights(selection, expected):
    """kills: a dense evaluation masked afterwards, which costs K times as much."""
    x, t = points()
    ensemble = Ensemble(experts(1), router(), selection)
    with counting([e.network for e in ensemble.experts]) as evaluations:
        ensemble(x, t, None)
        assert evaluations() == expected == int((ensemble.weights(x, t) > 0).sum())
    ensemble(x, t, None)
    assert evaluations() == expected  # closed: no longer counted


@pytest.mark.parametrize(
    "selection", [Top(1), Top(2), Full(), Threshold(0.2), Switch(0.4, Top(2), Top(1))], ids=repr
)
def test_sparse_dispatch_equals_the_dense_sum(selection):
    """kills: a row given another row's x, t, c or weight."""
    x, t = points()
    c = Text.of(randn(len(x), 2, 3), randn(len(x), 3, seed=1))

    def network(k):
        return lambda x, t, c: (
            torch.sin(x + k) + t[:, None] * c.pooled + c.tokens[:, 1] * c.keep[:, None]
        )

    mixed = [Expert(network(k), OBJECTIVES[k], SCHEDULES[k]) for k in range(4)]
    c = c.dropped(torch.arange(len(x)) % 3 == 0)
    w = selection.weights(DATA.posterior(Linear(), x, t), t)
    dense = sum(w[:, k, None] * mixed[k].velocity(x, t, c) for k in range(4))
    found = Ensemble(mixed, router(), selection)(x, t, c)
    torch.testing.assert_close(found, dense, rtol=1e-12, atol=1e-12)


def test_an_expert_without_weight_is_never_asked():
    """kills: an evaluation on an empty batch, or one made before its weight is read."""

    class Absent(nn.Module):
        def forward(self, x, t, c=None):
            raise AssertionError("an expert of weight zero was asked")

    x, t = points()
    present = experts()
    present[1] = Expert(Absent(), Epsilon(), Cosine())

    def never_one(x, t, c):
        p = DATA.posterior(Linear(), x, t) * torch.tensor([1.0, 0, 1, 1])
        return p / p.sum(1, keepdim=True)

    assert Ensemble(present, never_one, Full())(x, t, None).isfinite().all()
    with pytest.raises(AssertionError, match="weight zero"):
        Ensemble(present, router(), Full())(x, t, None)


def test_a_router_of_another_number_of_experts_is_refused():
    """kills: dropping the weights of experts that are not there."""
    x, t = points(n=4)
    with pytest.raises(ValueError, match="weights for 4 experts, but there are 3"):
        Ensemble(experts()[:3], router(), Full())(x, t)


@pytest.mark.parametrize(
    "p",
    [[math.nan, 0.5], [math.inf, 0.0], [0.0, 0.0], [0.7, 0.7], [1.5, -0.5], [-math.inf, 1.0]],
    ids=str,
)
def test_an_answer_that_is_no_distribution_is_refused(p):
    """kills: a NaN that asks no expert and leaves the noise as it is, weights that sum to 1.4."""
    rows = torch.tensor([[0.5, 0.5], p])
    ensemble = Ensemble(experts()[:2], lambda x, t, c: rows, Full())
    with pytest.raises(ValueError, match=r"router's answer at t = 0\.25 is no distribution"):
        ensemble.weights(randn(2, 3), torch.tensor([0.5, 0.25]))


def test_weights_of_a_router_in_half_precision_sum_to_one():
    """kills: probabilities selected and renormalised in bfloat16, where they sum to 0.998."""
    p = torch.linspace(1, 2, 8).softmax(0).bfloat16()[None]
    w = Ensemble([], lambda x, t, c: p, Top(5)).weights(randn(1, 3), torch.ones(1))
    assert w.dtype == torch.float32
    assert float(w.sum()) == pytest.approx(1, abs=1e-6)


def test_a_shared_network_is_counted_once():
    """kills: one hook for each expert that holds the same network."""
    network = nn.Linear(3, 3)
    with counting([network, network]) as count:
        network(torch.zeros(7, 3))
        assert count() == 7


def test_images_and_videos_are_dispatched_alike():
    """kills: weights broadcast over the last axis instead of the batch."""
    x, t = randn(6, 2, 3, 4, 4), torch.linspace(0.1, 0.9, 6, dtype=torch.float64)
    p = randn(6, 3, seed=2).softmax(1)
    networks = [lambda x, t, c, k=k: x * (k + 1) for k in range(3)]
    velocity = [Expert(network, Velocity(), Linear()) for network in networks]
    found = Ensemble(velocity, lambda x, t, c: p, Full())(x, t, None)
    expected = torch.einsum("bk,k,b...->b...", p, torch.arange(1.0, 4).double(), x)
    torch.testing.assert_close(found, expected)


def test_the_guard_and_alignment_reach_the_experts():
    """kills: an ensemble that keeps its guard or alignment to itself."""
    x, t = points()
    mixed, clip = experts(), Guard(x0_clip=0.5)
    own = SameTime(own_derivatives=True)
    found = Ensemble(mixed, router(), Full(), Linear(), own, clip)(x, t, None)
    p = DATA.posterior(Linear(), x, t)
    each = [e.velocity(x, t, None, Linear(), own, clip) for e in mixed]
    torch.testing.assert_close(found, sum(p[:, k, None] * each[k] for k in range(4)))
    assert relative(found, Ensemble(mixed, router(), Full(), alignment=own)(x, t, None)) > 0.01


@pytest.mark.parametrize("shift", [0, 2])
def test_mixed_experts_transport_noise_to_the_mixture(shift):
    """kills: a field integrated in the wrong direction, or right pointwise but not along a path."""
    ensemble = Ensemble(experts(shift), router(), Full(), guard=Guard(t_max=0.99))
    n, end = 3000, 0.01
    noise = starting_noise(range(n), (3,)).double()
    x = heun(lambda x, t: ensemble(x, t, None), noise, uniform(40, end=end))
    t = torch.full((n,), end, dtype=torch.float64)
    k = DATA.posterior(Linear(), x, t).argmax(1)
    for j in range(4):
        weight, mine = float(DATA.weights[j]), x[k == j] / (1 - end)
        deviation = (weight * (1 - weight) / n) ** 0.5
        assert len(mine) / n == pytest.approx(weight, abs=4 * deviation)
        spread = torch.linalg.eigvalsh(DATA.covariances[j]).max().sqrt()
        assert (mine.mean(0) - DATA.means[j]).norm() < 6 * spread / len(mine) ** 0.5
        assert relative(torch.cov(mine.T), DATA.covariances[j]) < 0.3
