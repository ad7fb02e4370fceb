"""The papers' safeguards: where each acts, where it never does, and that all are off by default."""

import math

import pytest
import torch

from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.guard import Guard, LogisticDamping, NoDamping, StepDamping
from modules.objectives import X0, Epsilon, V, Velocity
from modules.sampling import euler, uniform
from modules.schedules import Cosine, Linear, LinearBeta
from modules.selection import Full, Only, Switch, Top
from modules.solvers import DDIM, Euler, Heun, check_asked
from tests.helpers.mixture import OBJECTIVES, PAIRS, SCHEDULES, name, randn, slope

T = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
ALL = Guard(x0_clip=0.1, alpha_floor=0.5, difference=0.1, damping=StepDamping(), t_max=0.3)


def expert(objective, schedule, x0=None):
    """A network of fixed answers: x0 if given, else anything of the right shape."""
    return Expert(lambda x, t, c: 3 * torch.sin(x) + 1 if x0 is None else x0, objective, schedule)


def test_the_damping_of_6_2_never_acts():
    """kills: the damping of §6.2 made to act, by reading 15 as 1.5 or 10 as 100."""
    for dtype in (torch.float32, torch.float64):
        t = torch.linspace(0, 1, 2001, dtype=dtype)
        assert torch.equal(LogisticDamping()(t), torch.ones_like(t))
    inner = [15 / (1 + math.exp(10 * (t - 0.85))) for t in (0.85, 1.0)]
    assert inner == pytest.approx([7.5, 2.7364], abs=1e-4)


def test_the_damping_of_6_2_is_its_formula_where_it_would_act():
    """kills: §6.2 replaced by a constant 1 (beyond t = 1.114 the printed quotient is below 1)."""
    t = torch.tensor([1.1, 1.2, 1.5], dtype=torch.float64)
    expected = [min(1.0, 15 / (1 + math.exp(10 * (value - 0.85)))) for value in t.tolist()]
    assert expected[1] < 0.5
    assert LogisticDamping()(t).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_step_damping_at_its_boundaries(dtype):
    """kills: >= for > at 0.6 or 0.85, or two of the three values exchanged.  (Eq. 31)"""
    t = torch.tensor([0, 0.599, 0.6, 0.601, 0.849, 0.85, 0.851, 1], dtype=dtype)
    expected = torch.tensor([0.96, 0.96, 0.96, 0.93, 0.93, 0.93, 0.88, 0.88], dtype=dtype)
    assert torch.equal(StepDamping()(t), expected)


def test_step_damping_averages_0_9405():
    """kills: a changed value or boundary in Eq. 31 that keeps the order of the three."""
    t = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    assert float(StepDamping()(t).mean()) == pytest.approx(0.9405, abs=1e-12)


def test_step_damping_leaves_6_percent_of_the_noise():
    """kills: a damping that does not reach the velocity, or multiplies x0 instead of it."""
    x0, noise = torch.full((3, 2), 0.7).double(), randn(3, 2)
    damped = expert(X0(), Cosine(), x0)
    guard = Guard(damping=StepDamping())
    found = euler(lambda x, t: damped.velocity(x, t, guard=guard), noise, uniform(20))
    # An expert that answers to where it is makes up for most of it: u = s(t) (x - x0) / t.
    x = noise
    for i in range(20):
        t = (20 - i) / 20
        s = 0.88 if i < 3 else 0.93 if i < 8 else 0.96
        x = x - s / 20 * (x - x0) / t
    torch.testing.assert_close(found, x, rtol=1e-9, atol=1e-10)
    straight = euler(lambda x, t: StepDamping()(t)[:, None] * (noise - x0), noise, uniform(20))
    left = (straight - x0) / (noise - x0)
    torch.testing.assert_close(left, torch.full_like(left, 0.0595), rtol=1e-9, atol=0)


@pytest.mark.parametrize(("schedule", "bound"), [(Linear(), 0.99), (Cosine(), 0.993634)], ids=name)
def test_the_floor_binds_above_its_time_alone(schedule, bound):
    """kills: a floor that adds to alpha, that binds at 0.1, or that floors another objective.

    (Eq. 29)
    """
    x, y = randn(2, 3), randn(2, 3, seed=1)
    t = torch.tensor([bound - 1e-5, bound + 1e-5], dtype=torch.float64)
    free, _ = Epsilon().recover(schedule, y, x, t)
    floored, eps = Epsilon().recover(schedule, y, x, t, Guard.paper_6_2())
    assert torch.equal(floored[0], free[0])
    torch.testing.assert_close(floored[1], (x - schedule.sigma(t)[:, None] * y)[1] / 0.01)
    assert not torch.equal(floored[1], free[1])
    assert torch.equal(eps, y)
    for objective in OBJECTIVES:
        if not isinstance(objective, Epsilon):
            unguarded = objective.recover(schedule, y, x, t)
            guarded = objective.recover(schedule, y, x, t, Guard(alpha_floor=0.01))
            torch.testing.assert_close(guarded, unguarded, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_50_steps_the_floor_touches_the_first_alone(dtype):
    """kills: |alpha| floored (in float32 cos(pi / 2) is negative), or the floor compared to t."""
    t = uniform(50)[:-1].to(dtype)
    x, y = torch.ones(50, 1, dtype=dtype), torch.full((50, 1), 0.5, dtype=dtype)
    free, _ = Epsilon().recover(Cosine(), y, x, t)
    floored, _ = Epsilon().recover(Cosine(), y, x, t, Guard.paper_6_2())
    assert (free != floored)[:, 0].nonzero()[:, 0].tolist() == [0]
    assert float(floored[0, 0]) == pytest.approx(0.5 / 0.01, rel=1e-5)


@pytest.mark.parametrize(
    ("guard", "limit"),
    [(Guard.paper_6_2(), 20), (Guard.paper_8_3_4(), 20), (Guard.paper_8_3_4(5.0), 5)],
)
def test_x0_is_clipped_at_the_papers_values(guard, limit):
    """kills: 20 and 5 exchanged, one side left unclipped, or eps recomputed from the clipped x0."""
    values = torch.tensor([[-50.0, -limit - 1e-3, -limit, 0.5, limit, limit + 1e-3, 50.0]]).double()
    x_t, t = randn(1, 7), torch.tensor([0.5], dtype=torch.float64)
    x0, eps = expert(X0(), Cosine(), values).denoise(x_t, t, guard=guard)
    assert x0.tolist() == [[-limit, -limit, -limit, 0.5, limit, limit, limit]]
    _, free_eps = expert(X0(), Cosine(), values).denoise(x_t, t)
    assert torch.equal(eps, free_eps)


def test_the_two_papers_guards_differ_as_printed():
    """kills: Eq. 30's difference or Eq. 31's damping in the preset of §6.2, and the reverse."""
    assert Guard.paper_6_2() == Guard(20.0, 0.01, None, LogisticDamping(), None)
    assert Guard.paper_8_3_4() == Guard(20.0, 0.01, 1e-4, StepDamping(), None)


def test_a_native_velocity_expert_is_never_touched():
    """kills: a guard applied before the native case is recognised."""
    x = randn(len(T), 3)
    for schedule in SCHEDULES:
        native = expert(Velocity(), schedule)
        found = native.velocity(x, T, path=schedule, guard=ALL)
        assert torch.equal(found, native.network(x, T, None))


@pytest.mark.parametrize(
    ("objective", "schedule", "path"),
    [(Velocity(), Cosine(), Linear()), (Epsilon(), Linear(), Linear())],
    ids=name,
)
def test_a_converted_expert_is_guarded(objective, schedule, path):
    """kills: native recognised by objective alone, or by schedule alone."""
    x, t = randn(5, 3), torch.linspace(0.1, 0.25, 5, dtype=torch.float64)
    converted, guard = expert(objective, schedule), Guard(damping=StepDamping())
    free = converted.velocity(x, t, path=path)
    damped = converted.velocity(x, t, path=path, guard=guard)
    torch.testing.assert_close(damped, 0.96 * free)


@pytest.mark.parametrize(("objective", "schedule"), PAIRS, ids=name)
def test_the_default_guard_does_nothing(objective, schedule):
    """kills: a clip, floor, difference, damping or cut-off that is on by default."""
    x = 40 * randn(len(T), 3)
    a, b = objective.row(schedule, T)
    system = [torch.stack([schedule.alpha(T), schedule.sigma(T)], -1), torch.stack([a, b], -1)]
    y = 3 * torch.sin(x) + 1
    solved = torch.linalg.solve(torch.stack(system, 1), torch.stack([x, y], 1))
    dalpha, dsigma = slope(schedule.alpha, T), slope(schedule.sigma, T)
    expected = dalpha[:, None] * solved[:, 0] + dsigma[:, None] * solved[:, 1]
    found = expert(objective, schedule).velocity(x, T, path=schedule, guard=Guard())
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(NoDamping()(T), torch.ones_like(T))


def test_t_max_asks_no_later_and_leaves_at_the_paths_own_time():
    """kills: t_max ignored, or the path's derivatives and damping taken at the cut time too."""
    asked = []

    def network(x, t, c):
        asked.append(t)
        return x

    t = torch.tensor([0.2, 0.6, 1.0], dtype=torch.float64)
    x = randn(3, 2)
    guard = Guard(t_max=0.6)
    found = Expert(network, Epsilon(), Cosine()).velocity(x, t, path=Cosine(), guard=guard)
    assert asked[0].tolist() == [0.2, 0.6, 0.6]
    cut = math.pi / 2 * t.clamp(max=0.6)[:, None]
    x0 = x * (1 - torch.sin(cut)) / torch.cos(cut)
    at = math.pi / 2 * t[:, None]
    expected = math.pi / 2 * (torch.cos(at) * x - torch.sin(at) * x0)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("objective", [X0(), V(), Velocity()])
def test_t_max_is_for_experts_that_lose_the_data(objective):
    """kills: an expert whose inverse is regular at t = 1 asked at another time than the point's."""
    asked = []

    def network(x, t, c):
        asked.append(t)
        return x

    t = torch.tensor([0.2, 0.6, 1.0], dtype=torch.float64)
    Expert(network, objective, Cosine()).velocity(randn(3, 2), t, guard=Guard(t_max=0.6))
    assert asked[0].tolist() == pytest.approx((2 / math.pi * torch.atan2(t, 1 - t)).tolist())


def test_t_min_keeps_an_x0_expert_finite_at_the_data():
    """kills: t_min ignored, or NaN returned: X0 cannot tell the noise at t = 0."""
    t, x = torch.zeros(3, dtype=torch.float64), randn(3, 2)
    expert_of_half = Expert(lambda x, t, c: x / 2, X0(), Linear())
    with pytest.raises(ValueError, match="cannot be inverted"):
        expert_of_half.velocity(x, t)
    found = expert_of_half.velocity(x, t, guard=Guard(t_min=0.01))
    torch.testing.assert_close(found, (x - 0.99 * x / 2) / 0.01 - x / 2)


@pytest.mark.parametrize("schedule", [Linear(), Cosine()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_alone_is_refused_to_an_epsilon_expert(schedule, dtype):
    """kills: the first step of every grid dividing by alpha = 0, or by cosine's rounded -4e-8."""
    t, x = torch.ones(3, dtype=dtype), randn(3, 2).to(dtype)
    half = Expert(lambda x, t, c: x / 2, Epsilon(), schedule)
    with pytest.raises(ValueError, match="t_max"):
        half.velocity(x, t)
    for guard in (Guard(t_max=0.99), Guard(alpha_floor=0.01)):
        assert half.velocity(x, t, guard=guard).abs().max() < 200
        assert half.denoise(x, t, guard=guard)[0].isfinite().all()


def asked_at(objective, solver, guard=Guard(), selection=Full(), path=Linear(), schedule=Cosine()):
    """Check an FM expert beside one of this objective, ten steps, without evaluating either."""
    both = [expert(Velocity(), Linear()), expert(objective, schedule)]
    check_asked(Ensemble(both, None, selection, path, guard=guard), solver, 10)


def test_an_expert_is_refused_where_it_would_be_asked_alone():
    """kills: a guard that does not help its objective taken for one that does; Heun
    asking at the data; an expert refused at times at which the selection never asks it."""
    asked_at(Epsilon(), Euler(), Guard(t_max=0.95))
    asked_at(Epsilon(), Euler(), Guard(alpha_floor=0.01))
    asked_at(Epsilon(), Euler(), selection=Switch(0.5, early=Only(0), late=Only(1)))
    asked_at(X0(), Euler())
    asked_at(X0(), Heun())
    for objective, solver, changes, t in [
        (Epsilon(), Euler(), {}, 1),
        (Epsilon(), Euler(), {"guard": Guard(t_min=0.01)}, 1),
        (Epsilon(), Euler(), {"selection": Switch(0.5, early=Top(1), late=Only(0))}, 1),
        (Epsilon(), Heun(), {"guard": Guard(t_min=0.01)}, 1),
        (Epsilon(), DDIM(), {"path": LinearBeta()}, 1),
    ]:
        with pytest.raises(ValueError, match=f"cannot be inverted at t = {t}, .*give Guard a"):
            asked_at(objective, solver, **changes)
    asked_at(Epsilon(), Euler(), path=LinearBeta())  # a path that ends before noise alone
