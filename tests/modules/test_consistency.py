"""Why a consistency objective is no row of the formalism, on a mixture whose flow is known.

A row (a, b) has coefficients of the schedule and t alone, so that the best answer is
a E[x0 | x_t] + b E[eps | x_t], and answers of experts add up as expectations do. A consistency
function f(x_t, t) is where the probability flow takes x_t: no expectation of anything.
"""

import pytest
import torch

from modules.objectives import X0, Velocity
from modules.schedules import Linear
from tests.helpers.mixture import DEVIATION, MEAN, WEIGHT, Whole, flowed, quantile, randn

PATH = Linear()
N = 4_000


def at(t):
    """x_t [N, 1] of the mixture and its times [N]."""
    g = torch.Generator().manual_seed(7)
    k = torch.multinomial(WEIGHT, N, replacement=True, generator=g)
    x0 = MEAN[k, None] + DEVIATION[k, None] * randn(N, 1, seed=1)
    times = torch.full((N,), t, dtype=torch.float64)
    return PATH.noise(x0, randn(N, 1, seed=2), times), times


def expectations(x, t):
    """E[x0 | x_t] and E[eps | x_t], [N, 1] each."""
    x0 = Whole(X0(), PATH)(x, t)
    return x0, (x - PATH.alpha(t)[:, None] * x0) / PATH.sigma(t)[:, None]


def of_component(k, x, t):
    """f of one Gaussian, in closed form: x keeps its place in deviations."""
    alpha, sigma = PATH.alpha(t)[:, None], PATH.sigma(t)[:, None]
    deviation = torch.sqrt((alpha * DEVIATION[k]) ** 2 + sigma**2)
    return MEAN[k] + DEVIATION[k] * (x - alpha * MEAN[k]) / deviation


def of_gaussian(k, x, t):
    """E[x0 | x_t] and E[eps | x_t] of one Gaussian."""
    alpha, sigma = PATH.alpha(t)[:, None], PATH.sigma(t)[:, None]
    white = (x - alpha * MEAN[k]) / ((alpha * DEVIATION[k]) ** 2 + sigma**2)
    return MEAN[k] + alpha * DEVIATION[k] ** 2 * white, sigma * white


def best_row(answer, x0, eps):
    """The least-squares (a, b), and the share of the answer's variance that it leaves."""
    row = torch.linalg.lstsq(torch.cat([x0, eps], 1), answer).solution
    left = answer - torch.cat([x0, eps], 1) @ row
    return row.flatten(), float(left.var() / answer.var())


@pytest.mark.parametrize("t", [0.5, 0.8, 1.0])
def test_no_row_gives_the_consistency_function_of_a_mixture(t):
    """kills: the sentence that f is x0's row. Of a true row, the velocity, nothing is left; of f
    the best row, fitted on these very numbers, leaves part, and X0's own far more."""
    x, times = at(t)
    x0, eps = expectations(x, times)
    row, left = best_row(Whole(Velocity(), PATH)(x, times), x0, eps)
    torch.testing.assert_close(row, torch.tensor([-1.0, 1.0], dtype=torch.float64))
    assert left < 1e-20
    f = flowed(PATH, x, t)
    _, left = best_row(f, x0, eps)
    assert left > 0.01
    assert float((f - x0).var() / f.var()) > 5 * left


@pytest.mark.parametrize("t", [0.3, 0.8])
def test_of_one_gaussian_the_row_depends_on_its_deviation(t):
    """kills: the thought that the mixture is to blame. a is 1 and b is a number of the data, which
    an inverse that knows schedule and t alone cannot have."""
    x, times = at(t)
    rows = []
    for k in range(2):
        row, left = best_row(of_component(k, x, times), *of_gaussian(k, x, times))
        alpha, sigma, d = 1 - t, t, float(DEVIATION[k])
        b = d * ((alpha**2 * d**2 + sigma**2) ** 0.5 - alpha * d) / sigma
        assert row.tolist() == pytest.approx([1, b])
        assert left < 1e-20
        rows.append(b)
    assert rows[1] - rows[0] > 0.015


@pytest.mark.parametrize("t", [0.5, 0.8, 1.0])
def test_consistency_experts_do_not_add_up(t):
    """kills: u = sum_k w_k u_k claimed of flow maps: exact experts under the exact router sum to
    another map than the mixture's. From t = 1 it makes one Gaussian of the two."""
    x, times = at(t)
    alpha, sigma = 1 - t, t
    deviation = torch.sqrt((alpha * DEVIATION) ** 2 + sigma**2)
    z = (x - alpha * MEAN) / deviation
    p = (WEIGHT.log() - deviation.log() - z**2 / 2).softmax(1)
    each = torch.cat([of_component(k, x, times) for k in range(2)], 1)
    summed = (p * each).sum(1, keepdim=True)
    f = flowed(PATH, x, t)
    assert float((summed - f).abs().mean() / f.std()) > 0.05
    if t == 1:
        wanted = (WEIGHT * (DEVIATION**2 + MEAN**2)).sum() - (WEIGHT * MEAN).sum() ** 2
        assert float(f.var()) == pytest.approx(float(wanted), rel=0.05)
        assert float(summed.var()) == pytest.approx(
            float((WEIGHT * DEVIATION).sum() ** 2), rel=0.05
        )
        assert float(summed.var()) < float(f.var()) / 3


def test_one_that_is_drawn_at_t_1_and_kept_gives_the_data():
    """kills: the thought that nothing works: what no sum does, a choice does. An expert drawn by
    the clusters' shares and asked once has the mixture's law."""
    g = torch.Generator().manual_seed(11)
    k = torch.multinomial(WEIGHT, N, replacement=True, generator=g)
    noise, one = randn(N, 1, seed=3), torch.ones(N, dtype=torch.float64)
    each = torch.cat([of_component(i, noise, one) for i in range(2)], 1)
    drawn, summed = each.gather(1, k[:, None]), (WEIGHT * each).sum(1, keepdim=True)
    clean = torch.zeros(10, dtype=torch.float64)
    edges = torch.linspace(-1.2, 1.4, 10, dtype=torch.float64)
    shares = quantile(PATH, edges[:, None], clean).flatten()
    torch.testing.assert_close((drawn < edges).double().mean(0), shares, atol=0.03, rtol=0)
    assert ((summed < edges).double().mean(0) - shares).abs().max() > 0.1
