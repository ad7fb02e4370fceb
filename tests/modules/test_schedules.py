"""Schedules against autograd, independent tables and their own inverses."""

import math

import numpy as np
import pytest
import torch

from modules.schedules import Cosine, Linear, LinearBeta, NicholDhariwal, derivatives
from tests.helpers.mixture import SCHEDULES, name, randn, slope

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
CURVED = [s for s in SCHEDULES if s != Linear()]


def times(low=0.003, high=0.997, n=301):
    return torch.linspace(low, high, n, dtype=torch.float64)


@every_schedule
def test_derivatives_are_autograds(schedule):
    """kills: a wrong sign, factor or chain rule in dalpha or dsigma."""
    t = times()
    dalpha, dsigma = derivatives(schedule, t)
    torch.testing.assert_close(dalpha, slope(schedule.alpha, t), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(dsigma, slope(schedule.sigma, t), rtol=1e-11, atol=1e-12)


@every_schedule
def test_time_inverts_angle(schedule):
    """kills: an inverse that drops the offset, swaps sine and cosine, or is off by an index."""
    t = times(0.0, 1.0, 1777)
    torch.testing.assert_close(schedule.time(schedule.angle(t)), t, rtol=0, atol=1e-11)


@every_schedule
def test_time_inverts_angle_in_float32(schedule):
    """kills: an inverse that cancels in single precision, such as arcsin near noise."""
    t = times().float()
    torch.testing.assert_close(schedule.time(schedule.angle(t)), t, rtol=0, atol=2e-5)


@every_schedule
def test_angle_is_the_snr(schedule):
    """kills: angle returned as arctan(alpha / sigma), or of alpha^2 and sigma^2."""
    t = times()
    snr = (schedule.alpha(t) / schedule.sigma(t)) ** 2
    torch.testing.assert_close(torch.tan(schedule.angle(t)) ** -2, snr, rtol=1e-11, atol=0)
    assert (schedule.angle(t).diff() > 0).all()


def test_linear_and_cosine_at_known_points():
    """kills: a schedule with data and noise exchanged, or cos(pi t) for cos(pi t / 2)."""
    t = torch.tensor([0.0, 1 / 3, 1.0], dtype=torch.float64)
    third = torch.tensor([1.0, 2 / 3, 0.0], dtype=torch.float64)
    torch.testing.assert_close(Linear().alpha(t), third)
    torch.testing.assert_close(Linear().sigma(t), t)
    cosine = torch.tensor([1.0, math.sqrt(3) / 2, 0.0], dtype=torch.float64)
    sine = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(Cosine().alpha(t), cosine)
    torch.testing.assert_close(Cosine().sigma(t), sine)


@pytest.mark.parametrize("schedule", CURVED, ids=name)
def test_variance_is_preserved(schedule):
    """kills: sigma = 1 - alpha, or sigma = sqrt(1 - alpha)."""
    t = times()
    total = schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2
    torch.testing.assert_close(total, torch.ones_like(t), rtol=1e-14, atol=0)


@pytest.mark.parametrize(("first", "last", "steps"), [(1e-4, 0.02, 1000), (1e-3, 0.05, 60)])
def test_linear_beta_is_the_discrete_table(first, last, steps):
    """kills: index i at i / steps or (i + 1) / steps, or beta spaced in its square root."""
    alpha_bar = np.cumprod(1 - np.linspace(first, last, steps))
    t = torch.arange(steps, dtype=torch.float64) / (steps - 1)
    schedule = LinearBeta(first, last, steps)
    np.testing.assert_allclose(schedule.alpha(t).numpy() ** 2, alpha_bar, rtol=1e-11)
    np.testing.assert_allclose(schedule.sigma(t).numpy() ** 2, 1 - alpha_bar, rtol=1e-11)


def test_linear_beta_between_indices_is_geometric():
    """kills: alpha or alpha^2 interpolated linearly instead of its logarithm."""
    i = torch.arange(999, dtype=torch.float64)
    schedule = LinearBeta()
    middle = schedule.alpha((i + 0.5) / 999)
    ends = torch.sqrt(schedule.alpha(i / 999) * schedule.alpha((i + 1) / 999))
    torch.testing.assert_close(middle, ends, rtol=1e-12, atol=0)


def test_linear_beta_maps_outside_angles_to_its_ends():
    """kills: extrapolated times, and a NaN or -inf from log cos at pi / 2."""
    for dtype in (torch.float32, torch.float64):
        angle = torch.tensor([0.0, 0.005, math.pi / 2 - 1e-3, math.pi / 2], dtype=dtype)
        assert LinearBeta().time(angle).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("offset", [0.008, 0.05])
def test_nichol_dhariwal_is_alpha_bar(offset):
    """kills: a missing division by f(0), f for f^2, or the offset left out of the denominator."""
    f = [math.cos((i / 1000 + offset) / (1 + offset) * math.pi / 2) ** 2 for i in range(1001)]
    schedule = NicholDhariwal(offset)
    t = torch.arange(1001, dtype=torch.float64) / 1000
    alpha_bar = torch.tensor([value / f[0] for value in f], dtype=torch.float64)
    torch.testing.assert_close(schedule.alpha(t) ** 2, alpha_bar, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(schedule.sigma(t) ** 2, 1 - alpha_bar, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("schedule", CURVED, ids=name)
def test_central_difference_is_second_order(schedule):
    """kills: a one-sided difference in Eq. 30, or division by h for 2 h."""
    t = (torch.arange(100, 990, 37, dtype=torch.float64) + 0.5) / 999  # between two indices
    exact = torch.stack(derivatives(schedule, t))
    coarse, fine = ((torch.stack(derivatives(schedule, t, h)) - exact).norm() for h in (4e-4, 2e-4))
    assert fine < 1e-4 * exact.norm()
    assert float(torch.log2(coarse / fine)) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=name)
def test_central_difference_holds_at_both_ends(schedule):
    """kills: clamping t - h and t + h into [0, 1], which halves the slope at an end."""
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    exact, found = derivatives(schedule, t), derivatives(schedule, t, 1e-4)
    torch.testing.assert_close(found, exact, rtol=1e-7, atol=1e-10)


@every_schedule
def test_noise_mixes_each_row_at_its_own_time(schedule):
    """kills: alpha and sigma exchanged, or a time broadcast along the wrong axis."""
    x0, eps, t = randn(3, 3, 3), randn(3, 3, 3, seed=1), torch.tensor([0.1, 0.5, 0.8]).double()
    x_t = schedule.noise(x0, eps, t)
    for row in range(3):
        alpha, sigma = float(schedule.alpha(t[row])), float(schedule.sigma(t[row]))
        expected = alpha * x0[row] + sigma * eps[row]
        torch.testing.assert_close(x_t[row], expected, rtol=1e-13, atol=1e-14)
