"""Objectives: inverses, the velocity they stand for, and Proposition 1 measured."""

from dataclasses import dataclass

import pytest
import torch

from modules.objectives import (
    X0,
    Epsilon,
    Objective,
    V,
    Velocity,
    check_invertible,
    singular_times,
    velocity,
    x0_weight,
)
from modules.schedules import Cosine, Linear, LinearBeta, NicholDhariwal, Schedule, derivatives
from tests.helpers.mixture import OBJECTIVES, PAIRS, SCHEDULES, name, predict, randn, slope

every_pair = pytest.mark.parametrize(("objective", "schedule"), PAIRS, ids=name)
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
PRESERVING = [Cosine(), NicholDhariwal(), LinearBeta()]
T = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)


def draw(schedule: Schedule):
    x0, eps = 3 * randn(len(T), 5), randn(len(T), 5, seed=1)
    return x0, eps, schedule.noise(x0, eps, T)


@every_pair
def test_target_then_recover_returns_x0_and_eps(objective, schedule):
    """kills: a sign or an exchanged entry in Cramer's rule or in a special-cased recover."""
    x0, eps, x_t = draw(schedule)
    y = objective.target(schedule, x0, eps, T)
    found = objective.recover(schedule, y, x_t, T)
    torch.testing.assert_close(found, (x0, eps), rtol=1e-10, atol=1e-11)


@every_pair
def test_recover_solves_the_linear_system(objective, schedule):
    """kills: a recover that is right only for y on the data's own line (y arbitrary here)."""
    a, b = objective.row(schedule, T)
    alpha, sigma = schedule.alpha(T), schedule.sigma(T)
    system = torch.stack([torch.stack([alpha, sigma], -1), torch.stack([a, b], -1)], 1)
    x_t, y = randn(len(T), 5, seed=2), randn(len(T), 5, seed=3)
    solved = torch.linalg.solve(system, torch.stack([x_t, y], 1))  # [B, 2, 5]
    found = torch.stack(objective.recover(schedule, y, x_t, T), 1)
    torch.testing.assert_close(found, solved, rtol=1e-9, atol=1e-10)
    determinant = objective.determinant(schedule, T)
    torch.testing.assert_close(determinant, torch.linalg.det(system), rtol=1e-11, atol=1e-14)


@every_pair
def test_target_is_the_named_quantity(objective, schedule):
    """kills: rows exchanged between objectives, or V with its sign reversed."""
    x0, eps, _ = draw(schedule)
    expected = predict(objective, schedule, T, x0, eps)
    found = objective.target(schedule, x0, eps, T)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@every_schedule
def test_velocity_is_the_paths_time_derivative(schedule):
    """kills: alpha' and sigma' exchanged in Eq. 7, or the sampling direction's sign taken."""
    x0, eps, _ = draw(schedule)
    columns = [
        slope(lambda t, j=j: schedule.noise(x0, eps, t)[:, j], T) for j in range(x0.shape[1])
    ]
    expected = torch.stack(columns, 1)
    torch.testing.assert_close(velocity(schedule, x0, eps, T), expected, rtol=1e-10, atol=1e-11)


def test_linear_velocity_is_eps_minus_x0():
    """kills: x0 - eps, the noise-to-data convention.  (Eqs. 4 and 8)"""
    x0, eps, _ = draw(Linear())
    assert torch.equal(velocity(Linear(), x0, eps, T), eps - x0)
    assert torch.equal(Velocity().target(Linear(), x0, eps, T), eps - x0)


def test_velocity_takes_the_finite_difference_it_is_given():
    """kills: a step h that is ignored by the velocity.  (Eq. 30)"""
    x0, eps, _ = draw(Cosine())
    dalpha, dsigma = derivatives(Cosine(), T, 0.05)
    found = velocity(Cosine(), x0, eps, T, 0.05)
    torch.testing.assert_close(found, dalpha[:, None] * x0 + dsigma[:, None] * eps)
    assert (found - velocity(Cosine(), x0, eps, T)).abs().max() > 1e-4


def measured_weight(objective, schedule):
    """|y' - y|^2 / |x0' - x0|^2 for an estimate x0' moved at equal x_t."""
    x0, eps, x_t = draw(schedule)
    moved = x0 + randn(len(T), 5, seed=4)
    alpha, sigma = schedule.alpha(T)[:, None], schedule.sigma(T)[:, None]
    moved_eps = (x_t - alpha * moved) / sigma
    gap = predict(objective, schedule, T, moved, moved_eps)
    gap = gap - predict(objective, schedule, T, x0, eps)
    return gap.square().sum(1) / (moved - x0).square().sum(1)


@every_pair
def test_x0_weight_is_the_measured_one(objective, schedule):
    """kills: an unsquared weight, one divided by alpha, or one of a wrong determinant."""
    found = x0_weight(objective, schedule, T)
    torch.testing.assert_close(found, measured_weight(objective, schedule), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("schedule", PRESERVING, ids=name)
def test_proposition_1(schedule):
    """kills: w_eps and w_v exchanged, or V's weight with a stray alpha.  (Eqs. 9-11)"""
    alpha, sigma = schedule.alpha(T), schedule.sigma(T)
    w_eps, w_v = x0_weight(Epsilon(), schedule, T), x0_weight(V(), schedule, T)
    torch.testing.assert_close(w_eps, alpha**2 / sigma**2, rtol=1e-11, atol=0)
    torch.testing.assert_close(w_v, 1 / sigma**2, rtol=1e-11, atol=0)
    torch.testing.assert_close(w_v / w_eps, 1 / alpha**2, rtol=1e-11, atol=0)
    assert (w_v > w_eps).all()


def test_proposition_1_remark_for_the_linear_path():
    """kills: the remark read for Salimans and Ho's v, whose ratio is not 1 / (1 - t)^2."""
    w_eps = x0_weight(Epsilon(), Linear(), T)
    ratio = x0_weight(Velocity(), Linear(), T) / w_eps
    torch.testing.assert_close(ratio, 1 / (1 - T) ** 2, rtol=1e-11, atol=0)
    torch.testing.assert_close(x0_weight(Velocity(), Linear(), T), 1 / T**2, rtol=1e-11, atol=0)
    other = x0_weight(V(), Linear(), T) / w_eps
    norm = ((1 - T) ** 2 + T**2) ** 2
    torch.testing.assert_close(other, norm / (1 - T) ** 2, rtol=1e-11, atol=0)


@pytest.mark.parametrize(
    ("objective", "schedule"), [(V(), Cosine()), (Velocity(), Linear())], ids=name
)
def test_the_weights_are_equal_at_t_0_alone(objective, schedule):
    """kills: a ratio that touches 1 anywhere else, hence FM weighted less at low noise."""
    t = torch.linspace(0, 0.99, 100, dtype=torch.float64)
    ratio = objective.determinant(schedule, t) / Epsilon().determinant(schedule, t)
    assert float(ratio[0]) == pytest.approx(1, abs=1e-15)
    assert (ratio[1:] ** 2 > 1).all()
    assert (ratio.diff() > 0).all()


@every_pair
def test_determinant_vanishes_only_where_the_docs_say(objective, schedule):
    """kills: a degenerate row: X0 must fail only at sigma = 0 and Epsilon only at alpha = 0."""
    inside = objective.determinant(schedule, T)
    assert (inside.abs() > 1e-3).all()
    assert (inside.sign() == inside[0].sign()).all()
    if isinstance(objective, X0):
        torch.testing.assert_close(inside, -schedule.sigma(T))
    if isinstance(objective, Epsilon):
        torch.testing.assert_close(inside, schedule.alpha(T))


def test_determinant_at_the_ends():
    """kills: a floor or offset hidden in the determinant; V and Velocity hold at both ends."""
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for schedule in (Linear(), Cosine()):
        found = {name(o): o.determinant(schedule, ends) for o in OBJECTIVES}
        assert float(found["X0"][0]) == 0
        assert abs(float(found["Epsilon"][1])) < 1e-15
        assert (found["V"].abs() > 0.99).all()
        assert (found["Velocity"].abs() > 0.99).all()


@dataclass(frozen=True)
class Mix(Objective):
    """a x0 + b eps, both constant: on a path singular where alpha / sigma = a / b."""

    a: float
    b: float

    def row(self, schedule, t):
        return torch.full_like(t, self.a), torch.full_like(t, self.b)


@dataclass(frozen=True)
class Touching(Objective):
    """A row whose determinant is (t - z)^2 on whatever schedule: zero at z, of one sign."""

    z: float

    def row(self, schedule, t):
        size = (t - self.z) ** 2 / (schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2)
        return -schedule.sigma(t) * size, schedule.alpha(t) * size


@pytest.mark.parametrize(
    ("objective", "schedule", "times"),
    [
        (Mix(0.5, 0.5), Linear(), [0.5]),
        (Mix(0.5, 0.5), Cosine(), [0.5]),
        (Mix(1.0, 3.0), Linear(), [0.75]),
        (Mix(3.0, 1.0), Cosine(), [0.204832765]),  # (2 / pi) atan(1 / 3)
        (Mix(1.0, 0.0), Linear(), [0.0]),
        (Mix(0.0, 1.0), Linear(), [1.0]),
        (Mix(0.5, -0.5), Linear(), []),
        (Touching(0.123456789), Cosine(), [0.123456789]),
        (Touching(1.0), Linear(), [1.0]),
        (X0(), Cosine(), [0.0]),
        (Epsilon(), Cosine(), [1.0]),
        (Epsilon(), LinearBeta(), []),
        (V(), Linear(), []),
        (Velocity(), NicholDhariwal(), []),
    ],
    ids=repr,
)
def test_singular_times_are_the_closed_forms(objective, schedule, times):
    """kills: zeros at grid points alone, those that touch without a change of sign, those at the
    ends, or a row taken to be the same on every schedule."""
    assert singular_times(objective, schedule) == pytest.approx(times, abs=1e-6)


@pytest.mark.parametrize(
    ("objective", "schedule", "said"),
    [
        (Mix(0.5, 0.5), Linear(), r"Mix.* on Linear\(\) .* t = 0.5, .* \(0.5, 0.5\)"),
        (Mix(3.0, 1.0), Cosine(), r"t = 0.204833, where its row \(a, b\) = \(3, 1\)"),
        (Mix(0.0, 1.0), Linear(), r"t = 1, where its row \(a, b\) = \(0, 1\).* no guard helps"),
        (Touching(0.25), Linear(), r"t = 0.2[45]\d*, .* no guard helps"),
    ],
    ids=repr,
)
def test_what_cannot_be_inverted_is_refused_in_a_line(objective, schedule, said):
    """kills: an objective found useless after its training; a refusal that names no row or t."""
    with pytest.raises(ValueError, match=said) as caught:
        check_invertible(objective, schedule)
    assert "\n" not in str(caught.value)


@every_pair
def test_what_guards_cover_is_not_refused(objective, schedule):
    """kills: Epsilon refused at t = 1, which t_max covers, or X0 at t = 0, where Euler is not."""
    check_invertible(objective, schedule)
    check_invertible(Mix(1.0, 0.0), schedule)
