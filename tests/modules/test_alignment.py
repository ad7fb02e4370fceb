"""Asking an expert of one schedule about another's path: exact by SNR, wrong at equal time."""

import math

import pytest
import torch

from modules.alignment import MatchSNR, SameTime, WholeIndex
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import Epsilon
from modules.schedules import Cosine, Linear, LinearBeta
from tests.helpers.mixture import PAIRS, SCHEDULES, name, predict, randn, relative

T = torch.linspace(0.02, 0.98, 33, dtype=torch.float64)
MEAN, DEVIATION = 1.5, 0.5


class GaussianNetwork:
    """The optimal network for data N(MEAN, DEVIATION^2) under an objective and schedule."""

    def __init__(self, objective, schedule):
        self.objective, self.schedule = objective, schedule

    def __call__(self, x, t, c=None):
        alpha, sigma = self.schedule.alpha(t)[:, None], self.schedule.sigma(t)[:, None]
        white = (x - alpha * MEAN) / (alpha**2 * DEVIATION**2 + sigma**2)
        x0, eps = MEAN + alpha * DEVIATION**2 * white, sigma * white
        return predict(self.objective, self.schedule, t, x0, eps)


def linear_path():
    """Points of the linear path and the velocity there, in closed form."""
    t = T[:, None]
    x = (1 - t) * (MEAN + DEVIATION * randn(len(T), 64)) + t * randn(len(T), 64, seed=1)
    variance = (1 - t) ** 2 * DEVIATION**2 + t**2
    u = (t - (1 - t) * DEVIATION**2) / variance * (x - (1 - t) * MEAN) - MEAN
    return x, u


def test_from_linear_to_cosine_in_closed_form():
    """kills: x multiplied by the norm instead of divided, or atan2's arguments exchanged."""
    x = randn(len(T), 3, 2)
    found, t = MatchSNR().expert_input(Linear(), Cosine(), x, T)
    torch.testing.assert_close(t, 2 / math.pi * torch.atan2(T, 1 - T), rtol=1e-13, atol=0)
    norm = torch.sqrt((1 - T) ** 2 + T**2)[:, None, None]
    torch.testing.assert_close(found, x / norm, rtol=1e-13, atol=0)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("path", SCHEDULES, ids=name)
def test_match_snr_lands_on_the_experts_own_point(path, schedule):
    """kills: a scale that ignores the norm of either side: x' is made of the same x0 and eps."""
    x0, eps = randn(len(T), 4), randn(len(T), 4, seed=1)
    found, t = MatchSNR().expert_input(path, schedule, path.noise(x0, eps, T), T)
    torch.testing.assert_close(found, schedule.noise(x0, eps, t), rtol=1e-10, atol=1e-10)


def test_an_experts_own_path_is_passed_through():
    """kills: a round trip through the angle where none is needed, which is lossy at the ends."""
    x, t = randn(3, 2), torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    for schedule in SCHEDULES:
        found = MatchSNR().expert_input(schedule, type(schedule)(), x, t)
        assert torch.equal(found[0], x)
        assert torch.equal(found[1], t)


def test_another_table_is_another_schedule():
    """kills: a comparison by class that would skip the alignment of two linear-beta tables."""
    short = LinearBeta(1e-3, 0.05, 60)
    _, t = MatchSNR().expert_input(short, LinearBeta(), randn(len(T), 2), T)
    torch.testing.assert_close(LinearBeta().angle(t), short.angle(T), rtol=1e-11, atol=0)
    assert (t - T).abs().max() > 0.01


@pytest.mark.parametrize(("objective", "schedule"), PAIRS, ids=name)
def test_match_snr_is_exact_for_a_gaussian(objective, schedule):
    """kills: a velocity with the expert's derivatives, or a network asked at the path's time."""
    x, exact = linear_path()
    expert = Expert(GaussianNetwork(objective, schedule), objective, schedule)
    assert relative(expert.velocity(x, T), exact) < 1e-12


@pytest.mark.parametrize(("own_derivatives", "high"), [(False, 0.42), (True, 1.84)])
def test_same_time_is_measurably_wrong(own_derivatives, high):
    """kills: SameTime quietly aligned, or its two readings being the same one."""
    x, exact = linear_path()
    expert = Expert(GaussianNetwork(Epsilon(), Cosine()), Epsilon(), Cosine())
    u = expert.velocity(x, T, alignment=SameTime(own_derivatives))
    inside = (T > 0.1) & (T < 0.9)
    errors = [relative(u[i], exact[i]) for i in inside.nonzero()[:, 0]]
    assert min(errors) > 0.05
    assert 0.2 < max(errors) < high


def test_same_time_is_the_paper_read_literally():
    """kills: Eq. 5 with the path's alpha, or the wrong schedule's derivatives in a reading."""
    x, _ = linear_path()
    network = GaussianNetwork(Epsilon(), Cosine())
    expert = Expert(network, Epsilon(), Cosine())
    eps, angle = network(x, T), (math.pi / 2 * T)[:, None]
    x0 = (x - torch.sin(angle) * eps) / torch.cos(angle)
    path = expert.velocity(x, T, alignment=SameTime())
    torch.testing.assert_close(path, eps - x0, rtol=1e-11, atol=1e-11)  # Eq. 8
    own = expert.velocity(x, T, alignment=SameTime(own_derivatives=True))
    expected = math.pi / 2 * (torch.cos(angle) * eps - torch.sin(angle) * x0)  # Eqs. 7, 27
    torch.testing.assert_close(own, expected, rtol=1e-11, atol=1e-11)


def test_equal_times_differ_in_norm_by_up_to_sqrt_2():
    """kills: an alignment that matches the noise level and leaves the input's norm alone."""
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    found, _ = MatchSNR().expert_input(Linear(), Cosine(), torch.ones(3, 1).double(), t)
    torch.testing.assert_close(found[:, 0], torch.tensor([1, math.sqrt(2), 1]).double())


@pytest.mark.parametrize("path", [Linear(), Cosine()], ids=name)
def test_eq_8_taken_whole_is_the_paths_own_inverse(path):
    """kills: alpha or sigma of the expert in Eq. 5 beside the path's in Eq. 7, or the network asked
    at another point. On the linear path u = (eps - x) / (1 - t)."""
    x, network = randn(len(T), 3), GaussianNetwork(Epsilon(), Cosine())
    found = Expert(network, Epsilon(), Cosine()).velocity(
        x, T, None, path, SameTime(path_inverse=True)
    )
    alpha, sigma, eps = path.alpha(T)[:, None], path.sigma(T)[:, None], network(x, T)
    x0 = (x - sigma * eps) / alpha
    exact = path.dalpha(T)[:, None] * x0 + path.dsigma(T)[:, None] * eps
    torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-10)
    if path == Linear():
        torch.testing.assert_close(found, (eps - x) / alpha, rtol=1e-10, atol=1e-10)
    own = Expert(network, Epsilon(), Cosine()).velocity(x, T, None, path, SameTime())
    assert relative(own, found) > 0.1 or path == Cosine()


def test_an_inverse_on_the_path_is_refused_where_the_path_has_none():
    """kills: the expert's determinant asked of for the path's: linear alpha is 0 at t = 1, where
    that of LinearBeta is not."""
    expert = Expert(GaussianNetwork(Epsilon(), LinearBeta()), Epsilon(), LinearBeta())
    noise = torch.ones(1, dtype=torch.float64)
    expert.check(noise, Linear(), SameTime(), Guard())
    with pytest.raises(ValueError, match=r"Linear\(\) cannot be inverted at t = 1"):
        expert.check(noise, Linear(), SameTime(path_inverse=True), Guard())


@pytest.mark.parametrize("of", [MatchSNR(), SameTime(), SameTime(True), SameTime(False, True)])
def test_a_whole_index_is_the_nearest_of_the_thousand(of):
    """kills: an index cut off for one rounded, 1000 for 999, the norm or the schedules of another
    alignment."""
    x, t = randn(len(T), 3), T + 1e-4
    x_exact, t_exact = of.expert_input(Linear(), Cosine(), x, t)
    x_found, t_found = WholeIndex(of).expert_input(Linear(), Cosine(), x, t)
    torch.testing.assert_close(x_found, x_exact, rtol=0, atol=0)
    torch.testing.assert_close(999 * t_found, (999 * t_found).round(), rtol=1e-12, atol=0)
    gap = (t_found - t_exact).abs().max()
    assert 0.4 / 999 < gap <= 0.5 / 999
    for schedule_of in ("inverse_schedule", "velocity_schedule"):
        same = getattr(WholeIndex(of), schedule_of)(Linear(), Cosine())
        assert same == getattr(of, schedule_of)(Linear(), Cosine())
