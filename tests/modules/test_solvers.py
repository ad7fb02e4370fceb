"""Solvers as values: the functions of `sampling`, over an ensemble or one expert's own schedule."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from modules import sampling
from modules.ensemble import CaptionKept, Ensemble, Uniform, counting
from modules.expert import Expert
from modules.guard import Guard
from modules.guidance import Guided
from modules.objectives import X0, Epsilon, Velocity
from modules.sampling import uniform
from modules.schedules import Cosine, Linear
from modules.selection import Full, Only
from modules.solvers import DDIM, Ancestral, Euler, Heun
from modules.text import Text
from tests.helpers.mixture import OBJECTIVES, PAIRS, SCHEDULES, Optimal, mixture, name, randn

DATA = mixture()
STEPS, ROWS, LATEST = 7, 5, 0.99
NOISE = randn(ROWS, 3, seed=4)


def fresh(i):
    """The noise of step i."""
    return randn(ROWS, 3, seed=100 + i)


def drawn(solver, ensemble, c=None, scale=1.0):
    return solver.draw(ensemble, c, scale, NOISE, STEPS, fresh)


def ensemble(pairs, selection=Full(), guard=Guard(t_max=LATEST)):
    """Exact experts of the mixture's components, with the exact posterior on the linear path."""
    experts = [Expert(Optimal(DATA, k, *pair), *pair) for k, pair in enumerate(pairs)]
    return Ensemble(experts, lambda x, t, c: DATA.posterior(Linear(), x, t), selection, guard=guard)


class Captioned(nn.Module):
    """A smooth answer to x, t and, where it is kept, the caption."""

    def forward(self, x, t, c):
        return torch.sin(x) + t[:, None] * (1 + c.pooled * c.keep[:, None])


def captions():
    return Text.of(randn(ROWS, 2, 3, seed=7), randn(ROWS, 3, seed=8))


def single(objective, schedule, network, guard=Guard()):
    return Ensemble([Expert(network, objective, schedule)], Uniform(1), Full(), guard=guard)


@pytest.mark.parametrize(
    ("solver", "function"), [(Euler(), sampling.euler), (Heun(), sampling.heun)], ids=name
)
def test_field_solvers_integrate_the_mixtures_velocity(solver, function):
    """kills: Euler and Heun exchanged, another grid, noise added, or one expert for the sum."""

    def velocity(x, t):
        p, each = DATA.posterior(Linear(), x, t), range(4)
        pairs = [DATA.expectation(k, Linear(), x, t) for k in each]
        return sum(p[:, k, None] * (pairs[k][1] - pairs[k][0]) for k in each)

    native = ensemble([(Velocity(), Linear())] * 4)
    expected = function(velocity, NOISE, uniform(STEPS))
    torch.testing.assert_close(drawn(solver, native), expected, rtol=1e-10, atol=1e-10)
    assert (expected - NOISE).abs().max() > 1


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("objective", OBJECTIVES, ids=name)
def test_native_solvers_walk_the_experts_own_schedule(objective, schedule):
    """kills: the ensemble's path walked for the expert's, a conversion on the way, a guard that is
    not passed on or begun above, one step's fresh noise used for all."""

    def denoise(x, t):
        return DATA.expectation(1, schedule, x, t)

    latest = LATEST if isinstance(objective, Epsilon) else 1.0  # the others are never kept back
    exact = Expert(Optimal(DATA, 1, objective, schedule), objective, schedule)
    alone = Ensemble([exact], Uniform(1), Only(0), guard=Guard(t_max=LATEST))

    grid = uniform(STEPS, start=latest)
    x = schedule.sigma(grid[0]) * NOISE
    ddim = sampling.ddim(denoise, schedule, x, grid)
    torch.testing.assert_close(drawn(DDIM(), alone), ddim, rtol=1e-6, atol=1e-6)
    ddpm = sampling.ancestral(denoise, schedule, x, grid, fresh)
    torch.testing.assert_close(drawn(Ancestral(), alone), ddpm, rtol=1e-6, atol=1e-6)
    assert (ddim - ddpm).abs().max() > 0.1


@pytest.mark.parametrize("solver", [DDIM(), Ancestral()], ids=name)
def test_a_native_sampler_refuses_more_than_one_expert(solver):
    """kills: the first expert sampled in the name of all."""
    pairs = [(Epsilon(), Cosine()), (X0(), Linear())]
    with pytest.raises(ValueError, match="one expert's schedule, not 2"):
        drawn(solver, ensemble(pairs))


def test_ddim_on_the_linear_schedule_is_euler_on_the_linear_path():
    """kills: DDIM with its coefficients at the wrong end of a step, or an Euler that converts."""
    network = Optimal(DATA, 2, Epsilon(), Linear())
    # At t = 1 the exact eps is x itself, so that the floor divides 0 and finds x0 = 0.
    alone = single(Epsilon(), Linear(), network, Guard(alpha_floor=0.01))
    ddim = drawn(DDIM(), alone)
    torch.testing.assert_close(ddim, drawn(Euler(), alone), rtol=1e-9, atol=1e-9)
    assert (ddim - drawn(Ancestral(), alone)).abs().max() > 0.1


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_guiding_the_output_is_guiding_the_field_of_an_unclipped_expert(scale):
    """kills: guidance lost in a native solver, of another scale, or without its null half."""
    c, alone = captions(), single(X0(), Linear(), Captioned())
    by_output, by_field = (drawn(solver, alone, c, scale) for solver in (DDIM(), Euler()))
    torch.testing.assert_close(by_output, by_field, rtol=1e-10, atol=1e-10)
    unguided = drawn(DDIM(), alone, c)
    assert ((by_output - unguided).abs().max() > 0.1) == (scale != 1)


@pytest.mark.parametrize(("objective", "schedule"), PAIRS, ids=name)
def test_guidance_passes_through_every_conversion(objective, schedule):
    """kills: a conversion that is not affine in the prediction."""
    x, t, c = NOISE, torch.linspace(0.05, 0.95, ROWS, dtype=torch.float64), captions()
    expert = Expert(Captioned(), objective, schedule)
    inside = Expert(Guided(expert.network, 3.0), objective, schedule).velocity(x, t, c)
    outside = Guided(expert.velocity, 3.0)(x, t, c)
    torch.testing.assert_close(inside, outside, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("solver", "asked"),
    [(Euler(), STEPS), (Heun(), 2 * STEPS - 1), (DDIM(), STEPS), (Ancestral(), STEPS)],
    ids=name,
)
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_evaluations_of_a_solver(solver, asked, scale):
    """kills: a null half that is asked for nothing at scale 1, or an evaluation too many."""
    network = Captioned()
    with counting([network]) as count:
        drawn(solver, single(Velocity(), Linear(), network), captions(), scale)
    assert count() == ROWS * asked * (1 if scale == 1 else 2)


@pytest.mark.parametrize("solver", [Euler(), Heun(), DDIM(), Ancestral()], ids=name)
def test_guidance_without_captions_is_refused(solver):
    """kills: guidance that silently does nothing."""
    native = single(Velocity(), Linear(), Optimal(DATA, 0, Velocity(), Linear()))
    with pytest.raises(ValueError, match="needs captions"):
        drawn(solver, native, None, 2.0)


class Posterior:
    """A router of two whose answer leans on the caption, where one is kept."""

    def __call__(self, x, t, c):
        lean = 3 * (c.pooled[:, 0] * c.keep)
        return torch.stack([lean, -lean], 1).softmax(1)


def stepped(ensemble, scale):
    """The velocity of one whole Euler step from NOISE."""
    return NOISE - Euler().draw(ensemble, captions(), scale, NOISE, 1, fresh)


def test_a_guided_clip_acts_after_guidance():
    """kills: each half clamped and then guided beyond the clamp; guidance lost; the scale applied
    twice. At t = 1 of the linear path u = x - x0, with x0 the clamped guided prediction."""
    c, ones = captions(), torch.ones(ROWS, dtype=torch.float64)
    network, clip, scale = Captioned(), 0.9, 4.0
    y, null = network(NOISE, ones, c), network(NOISE, ones, c.null())
    after = (null + scale * (y - null)).clamp(-clip, clip)
    before = null.clamp(-clip, clip) + scale * (y.clamp(-clip, clip) - null.clamp(-clip, clip))
    for guided, x0 in ((True, after), (False, before)):
        alone = single(X0(), Cosine(), network, Guard(clip, clip_guided=guided))
        torch.testing.assert_close(stepped(alone, scale), NOISE - x0)
    assert (after - before).abs().max() > 0.1


def test_an_expert_guided_by_itself_has_one_weight_in_both_halves():
    """kills: the null half of a text-aware router mixed by other weights than the caption's, where
    experts are guided or the router is told the caption; a caption told where it is dropped."""
    ones, c, scale = torch.ones(ROWS, dtype=torch.float64), captions(), 3.0
    experts = [Expert(Captioned(), X0(), Linear()), Expert(lambda x, t, c: x / 2, X0(), Linear())]
    by_hand = [[e.velocity(NOISE, ones, half) for e in experts] for half in (c, c.null())]
    p, p_null = (Posterior()(NOISE, ones, half) for half in (c, c.null()))

    def mixed(halves, weights):
        u, null = (
            sum(w[:, k, None] * half[k] for k in range(2))
            for half, w in zip(halves, weights, strict=True)
        )
        return null + scale * (u - null)

    own = Ensemble(experts, Posterior(), Full())
    torch.testing.assert_close(stepped(own, scale), mixed(by_hand, (p, p_null)))
    one_weight = mixed(by_hand, (p, p))
    for field in (
        replace(own, router=CaptionKept(Posterior())),
        replace(own, guard=Guard(clip_guided=True)),
    ):
        torch.testing.assert_close(stepped(field, scale), one_weight)
    assert (one_weight - mixed(by_hand, (p, p_null))).abs().max() > 0.1


def test_a_router_without_captions_is_asked_as_it_is():
    """kills: a caption made up for an ensemble that has none."""
    seen = []
    CaptionKept(lambda x, t, c: seen.append(c))(NOISE, NOISE[:, 0], None)
    assert seen == [None]
