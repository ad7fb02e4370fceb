"""Densities of t that are no library's: what is drawn, what is weighed, and that these agree."""

import pytest
import torch

from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.dit import DiT, TextShape
from modules.schedules import Linear
from modules.text import Text
from modules.times import Between, MinSNR, MinSNRExpert
from modules.training import Optim, generator
from tests.helpers.mixture import randn

N = 40_000
GRID = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
"""The middles of equal parts of [0, 1]: a mean over them is an integral."""


def test_times_of_a_range_are_uniform_there():
    """kills: a range turned round, one end for the width, times of all of [0, 1]."""
    t = Between(0.2, 0.5).draw(N, generator(0, 0))
    assert 0.2 <= t.min() < 0.201 < 0.499 < t.max() <= 0.5
    assert float(((t - 0.2) / 0.3).square().mean()) == pytest.approx(1 / 3, abs=0.01)
    for low, high in ((0.5, 0.2), (0.3, 0.3), (-0.1, 0.5), (0.5, 1.1)):
        with pytest.raises(ValueError, match="0 <= low < high <= 1"):
            Between(low, high)


@pytest.mark.parametrize("most", [1.0, 5.0, 20.0])
def test_the_weight_is_that_of_the_x0_error_cut_at_a_snr(most):
    """kills: SNR for its root, a weight of the velocity's error itself, alpha and sigma exchanged,
    a peak elsewhere, a weight of another mean than 1."""
    times, path = MinSNR(most), Linear()
    snr = (path.alpha(GRID) / path.sigma(GRID)) ** 2
    of_velocity = snr.clamp(max=most) * path.sigma(GRID) ** 2  # |u|^2 is |x0|^2 / sigma^2
    weight = times.weight(GRID)
    torch.testing.assert_close(weight, of_velocity / of_velocity.mean(), rtol=1e-6, atol=1e-9)
    assert float(GRID[weight.argmax()]) == pytest.approx(times.peak, abs=1e-5)


@pytest.mark.parametrize("most", [1.0, 5.0, 20.0])
def test_times_fall_in_proportion_to_the_weight(most):
    """kills: an inverse of one side's distribution on both, a square root for a cubic one, t
    turned round. The share below each t is the weight's integral up to there."""
    times = MinSNR(most)
    t = times.draw(N, generator(1, 0))
    assert (t.dtype, t.shape) == (torch.float32, (N,))
    assert 0 < t.min() < t.max() < 1
    mass = times.weight(GRID).cumsum(0) / len(GRID)
    for edge in (0.1, 0.2, times.peak, 0.4, 0.6, 0.9):
        below = float(mass[round(edge * len(GRID)) - 1])
        assert float((t < edge).double().mean()) == pytest.approx(below, abs=0.01)


def expert(kind):
    shape = DiT(Size(8, 1, 2), 4, 1, 2, text=TextShape(2, 3, 3))
    return kind(shape, Optim(1, 4, 1e-3))


def test_the_weighed_loss_is_the_plain_one_of_each_sample_times_its_weight():
    """kills: weights of other rows, a weight of the answer, a loss that is not weighed; a target
    that the weight has taken the place of."""
    x0, eps, t = randn(6, 1, 4, 4), randn(6, 1, 4, 4, seed=1), torch.linspace(0.1, 0.9, 6).double()
    c, y = Text.of(randn(6, 2, 3), randn(6, 3)), randn(6, 1, 4, 4, seed=2)
    plain, weighed = expert(FlowMatchingExpert), expert(MinSNRExpert)
    ours, theirs = (module.noised(x0, t, eps, c) for module in (weighed, plain))
    assert torch.equal(ours.x_t, theirs.x_t)
    losses = [m.judged(y, q.target)["loss"] for m, q in ((weighed, ours), (plain, theirs))]
    torch.testing.assert_close(losses[0], MinSNR().weight(t) * losses[1])
    assert (losses[0] / losses[1]).std() > 0.5
