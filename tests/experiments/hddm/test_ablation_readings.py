"""The errors of readings on exact networks, against formulas and the density's slope."""

import pytest
import torch

from experiments.hddm import ablation_readings, readings
from experiments.hddm.ablation_readings import CONVERTED, GUIDED, MIXED, NATIVE, Exact
from experiments.hddm.mathematics.captioned import (
    CLUSTER,
    DATA,
    CaptionRouter,
    ExactField,
    captions,
    expert,
    noised,
)
from experiments.recipes.images import SCALES
from modules.objectives import Epsilon
from modules.schedules import Cosine, Linear
from tests.helpers.mixture import name, relative, slope

EXACTS = {
    tuple(row.names.values()): row.measured
    for row in ablation_readings.TABLE.rows(SCALES["small"], 3)
}
SCHEDULES = pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=name)


def by_density(schedule, x, t, chosen):
    """E[x0 | x_t] and E[eps | x_t] of chosen components [B, J], from the slope of log p(x_t)."""
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]

    def log_density(x):
        deviation = torch.sqrt((alpha * DATA.spread) ** 2 + sigma**2)[..., None]
        normal = torch.distributions.Normal(alpha[..., None] * DATA.centre, deviation)
        each = DATA.weight.log() + normal.log_prob(x[:, None]).sum(2)
        return each.masked_fill(~chosen, -torch.inf).logsumexp(1)

    eps = -sigma * slope(log_density, x)
    return (x - sigma * eps) / alpha, eps


@SCHEDULES
def test_networks_and_field_know_what_the_caption_and_the_cluster_leave(schedule):
    """kills: the other caption's data, all of it under a kept caption, one caption's under a
    dropped one, another cluster's, a posterior of another schedule."""
    c, t = captions(64), torch.linspace(0.05, 0.95, 64, dtype=torch.float64)
    x = noised(schedule, c, 0.5, seed=2)
    named = c.pooled == torch.tensor([0.0, 1, 0, 1])
    everything = torch.ones_like(named)
    for condition, chosen in ((c, named), (c.null(), everything), (None, everything)):
        x0, eps = by_density(schedule, x, t, chosen)
        dalpha, dsigma = (f(t)[:, None] for f in (schedule.dalpha, schedule.dsigma))
        found = ExactField(schedule)(x, t, condition)
        torch.testing.assert_close(found, dalpha * x0 + dsigma * eps)
        for k in range(2):
            _, own = by_density(schedule, x, t, chosen & (k == CLUSTER))
            network = expert(k, Epsilon(), schedule).network
            torch.testing.assert_close(network(x, t, condition), own)


def test_the_router_mixes_exact_experts_into_the_exact_field():
    """kills: a caption that the router does not read, clusters exchanged. (Eq. 1)"""
    c, t = captions(64), torch.linspace(0.05, 0.95, 64, dtype=torch.float64)
    x, linear = noised(Linear(), c, 0.5, seed=2), Linear()
    for condition in (c, c.null()):
        p = CaptionRouter(linear)(x, t, condition)
        each = [expert(k, Epsilon(), linear).velocity(x, t, condition, linear) for k in range(2)]
        mixed = sum(p[:, k, None] * each[k] for k in range(2))
        torch.testing.assert_close(mixed, ExactField(linear)(x, t, condition))


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_velocity_errors_are_those_of_the_formulas(t):
    """kills: a reading under another's name, an error of something else than the velocity. At equal
    time x0 = (x - sigma eps) / alpha of the cosine, or Eq. 8 whole: u = (eps - x) / (1 - t)."""
    c = captions(ablation_readings.POINTS)
    x, at = noised(Linear(), c, t, seed=0), torch.full((len(c.pooled),), t, dtype=torch.float64)
    named = c.pooled == torch.tensor([0.0, 1, 0, 1])
    x0, eps = by_density(Linear(), x, at, named)
    _, asked = by_density(Cosine(), x, at, named)
    alpha, sigma = Cosine().alpha(at)[:, None], Cosine().sigma(at)[:, None]
    for how, u in {
        readings.EARLY: asked - (x - sigma * asked) / alpha,
        readings.WHOLE[0]: (asked - x) / (1 - t),
        readings.CORRECTED: eps - x0,
    }.items():
        found = EXACTS[CONVERTED, how].velocity_error(t)
        assert found == pytest.approx(relative(u, eps - x0), abs=1e-9)


def test_what_the_paper_prints_has_a_floor_and_the_corrected_reading_falls():
    """kills: a floor that more steps would mend, or a guard that leaves one; per cent of the data's
    deviation."""

    def errors(*row, counts=(25, 75)):
        return [100 * EXACTS[row].sampling_error(n) for n in counts]

    for experts in (CONVERTED, MIXED):
        coarse, fine = errors(experts, readings.CORRECTED)
        assert coarse > 2.5 * fine
        assert fine < 1.1
    native = errors(NATIVE, "DDIM", counts=readings.COUNTS)
    assert native == sorted(native, reverse=True)
    assert native[-1] < 2.2  # begun without what x_t has of the data
    assert errors(NATIVE, f"DDIM, from t = {readings.STANDARD:g}")[-1] < 1.2
    for how in (readings.EARLY, readings.LATE, *readings.WHOLE):
        coarse, fine = errors(CONVERTED, how)
        assert fine > coarse > 7


def test_the_rows_are_told_apart_by_what_they_give():
    """kills: two names for one reading; rows that depend on the seed or lack a number."""
    assert len(EXACTS) == len({(each.name, each.setting) for each in EXACTS.values()}) == 26
    again = ablation_readings.TABLE.rows(SCALES["small"], 0)
    assert [row.measured for row in again] == list(EXACTS.values())
    lone, both = (EXACTS[row, readings.GUIDED[1]] for row in (GUIDED, MIXED))
    assert isinstance(lone, Exact)
    assert lone.setting == both.setting
    routed = EXACTS[MIXED, readings.BY_CAPTION]
    assert routed.velocity_error(0.9) > 0.1 > EXACTS[MIXED, readings.CORRECTED].velocity_error(0.9)
