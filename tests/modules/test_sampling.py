"""Solvers by their measured order, DDIM and DDPM against Gaussians in closed form."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from modules.sampling import ancestral, ddim, euler, heun, starting_noise, uniform
from modules.schedules import Cosine, Linear, LinearBeta, NicholDhariwal
from tests.helpers.mixture import name, randn

MEAN, DEVIATION = 1.5, 0.5


def field(x, t):
    """dx/dt = t x^2, whose solution from x(1) = 1 is x(0) = 2/3."""
    return t[:, None] * x**2


def slopes(error, counts=(20, 40, 80, 160)):
    """Observed orders between successive step counts."""
    errors = [error(n) for n in counts]
    return [float(np.log2(a / b)) for a, b in pairwise(errors)]


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (heun, 2)])
@pytest.mark.parametrize("power", [1, 2], ids=["uniform", "quadratic"])
def test_solvers_converge_at_their_order(solver, order, power):
    """kills: heun's second stage at t instead of s, at x, or a step's sign or size wrong."""
    x = torch.ones(2, 1, dtype=torch.float64)

    def error(steps):
        return float((solver(field, x, uniform(steps) ** power) - 2 / 3).abs().max())

    found = slopes(error)
    assert found[-1] == pytest.approx(order, abs=0.06)
    assert error(160) < 0.01


@pytest.mark.parametrize(("solver", "a_step"), [(euler, 1), (heun, 2)])
def test_evaluations_and_times_of_a_solver(solver, a_step):
    """kills: an extra evaluation a step, a forward grid, a time that is not [B], or Heun asking
    at the data, where an x0 expert loses the noise."""
    asked = []

    def u(x, t):
        asked.append(t.tolist())
        return torch.zeros_like(x)

    solver(u, torch.zeros(3, 2, dtype=torch.float64), uniform(4))
    own = [1.0, 0.75, 0.5, 0.25]
    expected = own if a_step == 1 else [1.0, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25]
    assert asked == [[t] * 3 for t in expected]


def test_one_euler_step_is_the_papers():
    """kills: noise added where the velocity points: x_{t - dt} = x_t - u dt.  (§2.3)"""
    x0, eps = randn(4, 3), randn(4, 3, seed=1)
    found = euler(lambda x, t: eps - x0, eps, uniform(1))
    torch.testing.assert_close(found, x0)


def gaussian_denoiser(schedule):
    """E[x0 | x_t], E[eps | x_t] for data N(MEAN, DEVIATION^2)."""

    def denoise(x, t):
        alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        white = (x - alpha * MEAN) / (alpha**2 * DEVIATION**2 + sigma**2)
        return MEAN + alpha * DEVIATION**2 * white, sigma * white

    return denoise


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), NicholDhariwal(), LinearBeta()], ids=name)
@pytest.mark.parametrize("steps", [1, 7])
def test_ddim_is_exact_for_a_point_mass(schedule, steps):
    """kills: alpha or sigma taken at t instead of s, or eps rescaled on the way."""
    point, eps = randn(1, 3), randn(5, 3, seed=1)

    def denoise(x, t):
        alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        return point.expand(len(x), -1), (x - alpha * point) / sigma

    start, end = torch.tensor([0.97, 0.1], dtype=torch.float64)
    x = schedule.alpha(start) * point + schedule.sigma(start) * eps
    found = ddim(denoise, schedule, x, uniform(steps, 0.97, 0.1))
    expected = schedule.alpha(end) * point + schedule.sigma(end) * eps
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), LinearBeta()], ids=name)
def test_ddim_follows_the_probability_flow_at_first_order(schedule):
    """kills: a stochastic or shrunken update: x_t must keep its quantile."""
    t = torch.tensor([0.95, 0.05], dtype=torch.float64)
    mean = schedule.alpha(t) * MEAN
    deviation = torch.sqrt((schedule.alpha(t) * DEVIATION) ** 2 + schedule.sigma(t) ** 2)
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    exact = mean[1] + deviation[1] * z

    def error(steps):
        x = mean[0] + deviation[0] * z
        x = ddim(gaussian_denoiser(schedule), schedule, x, uniform(steps, 0.95, 0.05))
        return float((x - exact).norm())

    assert slopes(error)[-1] == pytest.approx(1, abs=0.1)
    assert error(160) < 0.05


def test_one_ancestral_step_is_ddpms_posterior():
    """kills: the posterior's variance (Eq. 7) without its last factor, or the upper bound beta."""
    beta = np.linspace(1e-4, 0.02, 1000)
    alpha_bar = np.cumprod(1 - beta)
    i = 700
    x_t, x0, z = randn(6, 2), randn(6, 2, seed=1), randn(6, 2, seed=2)
    eps = (x_t - np.sqrt(alpha_bar[i]) * x0) / np.sqrt(1 - alpha_bar[i])
    before = alpha_bar[i - 1]
    mean = np.sqrt(before) * beta[i] / (1 - alpha_bar[i]) * x0
    mean = mean + np.sqrt(1 - beta[i]) * (1 - before) / (1 - alpha_bar[i]) * x_t
    variance = (1 - before) / (1 - alpha_bar[i]) * beta[i]
    grid = torch.tensor([i / 999, (i - 1) / 999], dtype=torch.float64)
    found = ancestral(lambda x, t: (x0, eps), LinearBeta(), x_t, grid, lambda i: z)
    torch.testing.assert_close(found, mean + np.sqrt(variance) * z, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("schedule", [Cosine(), NicholDhariwal()], ids=name)
def test_ancestral_samples_a_gaussian(schedule):
    """kills: fresh noise at the last step, none at all, or one draw reused for every step."""
    drawn = []

    def fresh(i):
        drawn.append(i)
        return randn(20_000, 1, seed=100 + i)

    x = randn(20_000, 1, seed=7)
    x = ancestral(gaussian_denoiser(schedule), schedule, x, uniform(200, start=0.999), fresh)
    assert drawn == list(range(200))
    assert float(x.mean()) == pytest.approx(MEAN, abs=4 * DEVIATION / 20_000**0.5)
    assert float(x.std()) == pytest.approx(DEVIATION, rel=0.04)
    skew = ((x - x.mean()) / x.std()).pow(3).mean()
    assert abs(float(skew)) < 0.08


def test_ancestral_sampling_comes_short_of_the_deviation():
    """kills: what is said of it beside Table 3's rows. Noise is added as if the predicted x0 were
    known, so that what x0 might have been beside it is lost: of data N(0, 1) a share that falls as
    one over the steps."""
    schedule, x = Cosine(), randn(40_000, 1, seed=7)

    def denoise(x, t):
        return schedule.alpha(t)[:, None] * x, schedule.sigma(t)[:, None] * x

    def short(steps):
        grid = uniform(steps, start=0.95)
        found = ancestral(denoise, schedule, x, grid, lambda i: randn(40_000, 1, seed=100 + i))
        return 1 - float(found.std())

    assert [short(10), short(50)] == pytest.approx([0.17, 0.042], abs=0.01)


def test_starting_noise_is_each_rows_own():
    """kills: one generator for the batch, global state, or a row that depends on its place."""
    torch.manual_seed(1)
    whole = starting_noise([3, 1, 4, 159], (2, 5))
    torch.manual_seed(2)
    torch.rand(17)
    torch.testing.assert_close(starting_noise([159, 3], (2, 5)), whole[[3, 0]], rtol=0, atol=0)
    assert not torch.equal(whole[0], whole[1])


def test_starting_noise_is_standard_normal_between_rows_and_within():
    """kills: uniform noise, and neighbouring seeds that give correlated rows."""
    x = starting_noise(range(400), (256,)).double()
    assert float(x.mean()) == pytest.approx(0, abs=4 / x.numel() ** 0.5)
    assert float(x.var()) == pytest.approx(1, abs=4 * (2 / x.numel()) ** 0.5)
    assert float((x**4).mean()) == pytest.approx(3, abs=0.15)
    neighbours = (x[1:] * x[:-1]).mean()
    assert abs(float(neighbours)) < 4 / x.numel() ** 0.5


def test_uniform_grid_runs_down_to_its_end():
    """kills: an ascending grid, or one without its last point."""
    assert uniform(4).tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert uniform(2, 0.9, 0.1).tolist() == pytest.approx([0.9, 0.5, 0.1])
