"""Asking an expert of one schedule about another's path: exact by SNR, wrong at equal time."""

import math

import pytest
import torch

from modules.alignment import MatchSNR, SameTime
from modules.expert import Expert
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
