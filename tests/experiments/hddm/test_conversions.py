"""The readings of HDDM's conversion, against its formulas written out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from experiments.hddm import readings as conversions
from experiments.hddm.readings import corrected, literal, primary
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.stages.setting import Setting
from modules.alignment import MatchSNR, SameTime
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import Epsilon
from modules.schedules import Cosine, Linear
from modules.solvers import Heun
from tests.helpers.mixture import randn

SMOKE = SCALES["smoke"]
SETTING = Setting(11, 1.7, Linear(), solver=Heun())
NAMES = ["literal §6.2", "literal §8.3.4"]
OWN = ", expert's derivatives"
TIMES = [0.02, 0.3, 0.6, 0.601, 0.84, 0.85, 0.851, 0.9, 0.97, 0.995, 1.0]


def network(x, t, c=None):
    """Noise that is far from the truth, so that late clean data is clipped."""
    return 0.7 * torch.sin(3 * x) + t[:, None]


def by_hand(name, x, t):
    """u of one number x at one time t, from what §6.2, §8.1 and §8.3 print."""
    eps = 0.7 * math.sin(3 * x) + t
    alpha, sigma = math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)  # Eq. 26
    x0 = min(max((x - sigma * eps) / max(alpha, 0.01), -5), 5)  # Eqs. 5, 28 for pixels, 29
    own, h = OWN in name, 1e-4
    if "6.2" in name:
        s = min(1.0, 15.0 / (1 + math.exp(10 * (t - 0.85)))) if t > 0.85 else 1.0
        slopes = (-math.pi / 2 * sigma, math.pi / 2 * alpha) if own else (-1.0, 1.0)  # Eqs. 27, 4
    else:
        s = 0.88 if t > 0.85 else 0.93 if t > 0.6 else 0.96  # Eq. 31
        later, earlier = math.pi * (t + h) / 2, math.pi * (t - h) / 2
        slopes = (
            ((1 - (t + h)) - (1 - (t - h))) / (2 * h),
            ((t + h) - (t - h)) / (2 * h),
        )
        if own:
            slopes = (
                (math.cos(later) - math.cos(earlier)) / (2 * h),
                (math.sin(later) - math.sin(earlier)) / (2 * h),
            )  # Eq. 30
    return s * (slopes[0] * x0 + slopes[1] * eps)  # Eqs. 7, 31


@pytest.mark.parametrize("name", [*NAMES, *(name + OWN for name in NAMES)])
def test_a_literal_reading_is_what_the_paper_prints(name):
    """kills: another time or norm asked, a clip, floor, damping or derivative of the other section,
    closed forms for Eq. 30, or the boundaries of Eq. 31."""
    setting = literal(SMOKE, SETTING)[name]
    t = torch.tensor(TIMES, dtype=torch.float64)
    x = 2 * randn(len(TIMES), 40)
    expert = Expert(network, Epsilon(), Cosine())
    found = expert.velocity(x, t, None, setting.path, setting.alignment, setting.guard)
    expected = [
        [by_hand(name, v, s) for v in row] for row, s in zip(x.tolist(), TIMES, strict=True)
    ]
    exact = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-10)
    wide, _ = expert.denoise(x, t, guard=Guard(alpha_floor=0.01))
    assert (wide.abs() > setting.guard.x0_clip).any()


def test_the_readings_are_told_apart_by_what_they_give():
    """kills: two names for one reading, under which rows of a table would be copies."""
    t, x = torch.tensor(TIMES, dtype=torch.float64), 2 * randn(len(TIMES), 40)
    expert = Expert(network, Epsilon(), Cosine())
    settings = {**literal(SMOKE, SETTING), "corrected": corrected(SETTING)}
    found = [expert.velocity(x, t, None, s.path, s.alignment, s.guard) for s in settings.values()]
    assert len(found) == 5
    assert all((a - b).abs().max() > 0.1 for i, a in enumerate(found) for b in found[:i])


def test_readings_differ_in_what_their_names_say():
    """kills: solver, steps, guidance or path changed on the side, so that rows compare two things
    at once."""
    found = literal(SMOKE, SETTING)
    assert list(found) == [*NAMES, *(name + OWN for name in NAMES)]
    everything = {**found, "corrected": corrected(SETTING)}
    for setting in everything.values():
        kept = (setting.steps, setting.guidance, setting.path, setting.solver)
        assert kept == (11, 1.7, Linear(), Heun())
    for name in NAMES:
        plain, own = found[name], found[name + OWN]
        assert plain.guard == own.guard
        assert (plain.alignment, own.alignment) == (SameTime(), SameTime(own_derivatives=True))
    assert found[NAMES[0]].guard == Guard.paper_6_2(5.0)
    assert found[NAMES[1]].guard == Guard.paper_8_3_4(5.0)


def test_the_corrected_reading_guards_the_last_moment_alone():
    """kills: a clip or damping that comes with the correction, or equal time left in it."""
    setting = corrected(SETTING)
    assert setting.alignment == MatchSNR()
    assert setting.guard == Guard(t_max=conversions.LAST)
    assert corrected(SETTING, conversions.LATEST).guard == Guard(t_max=conversions.LATEST)
    assert list(primary(SMOKE, SETTING)) == [*NAMES, "corrected"]
    assert primary(SMOKE, SETTING)["corrected"] == setting
    assert all(primary(SMOKE, SETTING)[name] == literal(SMOKE, SETTING)[name] for name in NAMES)


@pytest.mark.parametrize(("last", "times"), [(conversions.LAST, 13), (conversions.LATEST, 32)])
def test_the_last_moment_bounds_what_an_error_becomes(last, times):
    """kills: a bound moved without what is said of it, or one that is not the expert's own time."""
    t, x = torch.ones(1, dtype=torch.float64), randn(1, 4)
    guard = corrected(SETTING, last).guard
    found = [
        Expert(lambda x, t, c, e=error: network(x, t) + e, Epsilon(), Cosine()).denoise(
            x, t, guard=guard
        )[0]
        for error in (0.0, 1.0)
    ]
    assert (found[0] - found[1]).mean().item() == pytest.approx(times, abs=0.5)


def test_latents_are_clipped_where_eq_28_clips_them(monkeypatch):
    """kills: the pixels' 5 for a VAE's latents."""
    assert experts.shards(SMOKE).latents.pixels
    latents = SimpleNamespace(latents=SimpleNamespace(pixels=False))
    monkeypatch.setattr(experts, "shards", lambda scale: latents)
    clips = [setting.guard.x0_clip for setting in literal(SMOKE, SETTING).values()]
    assert clips == [20.0] * 4
