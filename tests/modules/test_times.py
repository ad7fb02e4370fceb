"""Densities of t, and the first frames that are given: what is drawn, and what it leaves alone."""

import math

import pytest
import torch
from torch import nn

from modules.training import DiffusionModule, LogitNormal, Optim, UniformTimes, generator
from tests.helpers.small_video import randn

N = 40_000


@pytest.mark.parametrize("times", [LogitNormal(), LogitNormal(-0.5, 1.5), LogitNormal(1.0, 0.3)])
def test_the_logit_is_normal(times):
    """kills: a variance for a deviation, a mean of t for that of its logit, t turned round."""
    t = times.draw(N, generator(0, 0))
    assert t.shape == (N,)
    assert 0 < t.min() < t.max() < 1
    logit = (t / (1 - t)).log().double()
    assert float(logit.mean()) == pytest.approx(times.mean, abs=4 * times.deviation / N**0.5)
    assert float(logit.std()) == pytest.approx(times.deviation, rel=4 / (2 * N) ** 0.5)
    for z, share in ((-1.0, 0.158655), (0.0, 0.5), (1.0, 0.841345)):
        quantile = 1 / (1 + math.exp(-times.mean - z * times.deviation))
        assert float((t < quantile).float().mean()) == pytest.approx(share, abs=0.01)


def test_the_middle_times_are_drawn_more_often():
    """kills: a density that is uniform under another name: a quarter of t within an eighth of 1/2
    there, 0.396 here."""
    middle = ((LogitNormal().draw(N, generator(0, 1)) - 0.5).abs() < 0.125).float().mean()
    inside = math.erf(math.log(0.625 / 0.375) / math.sqrt(2))
    assert float(middle) == pytest.approx(inside, abs=0.01)
    assert inside > 0.39


def test_uniform_times_are_torchs_own():
    """kills: other bits than those that finished experts were trained on."""
    expected = torch.rand(9, generator=generator(5, 2))
    assert torch.equal(UniformTimes().draw(9, generator(5, 2)), expected)
    assert module().times == UniformTimes()
    assert module().given_share == 0


def module(*drawn):
    """drawn: times, given_share and rows, or as many of them as are not the defaults."""
    return DiffusionModule(nn.Identity(), Optim(1, 4, 1e-3), 7, 0.3, *drawn)


def batch(n=600, rows=slice(None)):
    x0, feature = randn(n, 2, 3, 2, 2), randn(n, 5, seed=1)
    text = {"tokens": randn(n, 1, 2, seed=2), "pooled": randn(n, 2, seed=3)}
    whole = {"x0": x0, "frame_feature": feature, **text}
    return {**{name: x[rows] for name, x in whole.items()}, "step": torch.tensor(4)}


def test_first_frames_leave_every_other_draw_alone():
    """kills: a number drawn before t, eps or the dropped captions, which would move their bits."""
    (t, eps, c), (t_given, eps_given, given) = (
        module(UniformTimes(), share).draw(batch()) for share in (0, 0.5)
    )
    assert torch.equal(t, t_given)
    assert torch.equal(eps, eps_given)
    assert torch.equal(c.keep, given.keep)
    assert c.first is None


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_share_of_clips_is_given_its_own_first_frame(share):
    """kills: the noised frame, a later one, another row's, a share of captions, none or all."""
    data = batch()
    _, _, c = module(UniformTimes(), share).draw(data)
    assert torch.equal(c.first.latent, data["x0"][:, :, :1])
    assert torch.equal(c.first.feature, data["frame_feature"])
    assert float(c.first.keep.float().mean()) == pytest.approx(share, abs=0.07)
    both = (c.first.keep & ~c.keep).float().mean()
    assert float(both) == pytest.approx(share * 0.3, abs=0.06)  # independent of the caption


@pytest.mark.parametrize("times", [UniformTimes(), LogitNormal()])
def test_devices_share_out_what_is_drawn(times):
    """kills: the first rows' draws on every device."""
    t, eps, c = module(times, 0.5).draw(batch(12))
    for r in range(2):
        rows = slice(r, None, 2)
        t_r, eps_r, c_r = module(times, 0.5, rows).draw(batch(12, rows))
        assert torch.equal(t_r, t[rows])
        assert torch.equal(eps_r, eps[rows])
        assert torch.equal(c_r.keep, c.keep[rows])
        assert torch.equal(c_r.first.keep, c.first.keep[rows])
        assert torch.equal(c_r.first.latent, c.first.latent[rows])
