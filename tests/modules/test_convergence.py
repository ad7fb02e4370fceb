"""More steps make samples better: every solver falls at its order to the flow in closed form.

Under the guard that the tables use, for every objective and schedule, on both paths of the tables.
"""

import math
from itertools import pairwise

import pytest
import torch

from modules.ensemble import Ensemble, Uniform
from modules.expert import Expert
from modules.guard import LAST, Guard
from modules.objectives import X0, Epsilon, Velocity
from modules.schedules import Cosine, Linear, LinearBeta, NicholDhariwal
from modules.selection import Full
from modules.solvers import DDIM, Euler, Heun, check_asked
from tests.helpers.mixture import OBJECTIVES, SCHEDULES, Whole, flowed, name

GUARD = Guard(t_max=LAST)
ORDERS = {Euler(): 1, Heun(): 2, DDIM(): 1}
NOISE = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]

objectives = pytest.mark.parametrize("objective", OBJECTIVES, ids=name)
schedules = pytest.mark.parametrize("schedule", SCHEDULES, ids=name)


def alone(objective, schedule, path=Linear(), guard=GUARD):
    """An exact expert of all the data, as tables ask it."""
    expert = Expert(Whole(objective, schedule), objective, schedule)
    return Ensemble([expert], Uniform(1), Full(), path, guard=guard)


def drawn(solver, ensemble, steps):
    return solver.draw(ensemble, None, 1.0, NOISE, steps, fresh=torch.zeros)


def rms(x):
    return float(x.square().mean().sqrt())


def native_start(ensemble):
    """The first time at which a native sampler asks, and its x there."""
    expert = ensemble.experts[0]
    t = DDIM().times(expert, ensemble.guard, 1)
    return float(t), expert.schedule.sigma(t) * NOISE


@pytest.mark.parametrize("path", [Linear(), Cosine()], ids=name)
@pytest.mark.parametrize("solver", [Euler(), Heun()], ids=name)
@objectives
@schedules
def test_a_field_solver_falls_at_its_order(objective, schedule, solver, path):
    """kills: a conversion whose error grows where t' is kept by the guard, a last step of lower
    order, an x0 expert asked at t = 0. A guarded Epsilon has a floor, below which it says nothing:
    its own limit is approached at the order."""
    ensemble, exact = alone(objective, schedule, path), flowed(path, NOISE, 1.0)
    coarse, middle, fine = (drawn(solver, ensemble, steps) for steps in (16, 32, 64))
    order = math.log2(rms(coarse - middle) / rms(middle - fine))
    assert order == pytest.approx(ORDERS[solver], abs=0.2)
    if isinstance(objective, Epsilon):
        assert rms(fine - exact) < (0.018 if solver == Euler() else 0.002)
    else:
        order = math.log2(rms(middle - exact) / rms(fine - exact))
        assert order == pytest.approx(ORDERS[solver], abs=0.15)


@objectives
@schedules
def test_a_native_sampler_falls_at_its_order(objective, schedule):
    """kills: a grid that begins above t_max, where each step repeats the guard's error, so that
    more steps make samples worse; x of another noise level at the beginning."""
    ensemble = alone(objective, schedule)
    t, x = native_start(ensemble)
    exact = flowed(schedule, x, t)
    errors = [rms(drawn(DDIM(), ensemble, steps) - exact) for steps in (38, 75, 150)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders == pytest.approx([1.0] * 2, abs=0.06)
    assert t == (LAST if isinstance(objective, Epsilon) else 1.0)


@schedules
def test_beginning_late_costs_little(schedule):
    """kills: standard noise at a level where less is due, or a beginning far from the noise. The
    flow from x(1) passes within 2 % of the data's width of sigma x(1)."""
    ensemble = alone(Epsilon(), schedule)
    t, x = native_start(ensemble)
    assert rms(flowed(schedule, x, t) - flowed(schedule, NOISE, 1.0)) < 0.02


def test_the_data_end_of_a_native_sampler_keeps_within_its_guard():
    """kills: an x0 expert asked at t_min with x of earlier times, again and again."""
    ensemble, errors = alone(X0(), Cosine(), guard=Guard(t_min=0.02)), []
    for steps in (25, 75, 300):
        times = DDIM().times(ensemble.experts[0], ensemble.guard, steps)
        assert (len(times), float(times.min())) == (steps, max(0.02, 1 / steps))
        errors.append(rms(drawn(DDIM(), ensemble, steps) - flowed(Cosine(), NOISE, 1.0)))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.005


@pytest.mark.parametrize("solver", [Euler(), Heun()], ids=name)
def test_a_path_of_infinite_slope_is_refused(solver):
    """kills: NaN without a word from Heun, and order 1/2 in the name of Euler."""
    ensemble = alone(Velocity(), Linear(), NicholDhariwal())
    for refused in (lambda: drawn(solver, ensemble, 8), lambda: check_asked(ensemble, solver, 8)):
        with pytest.raises(ValueError, match=r"NicholDhariwal.* is no path .* infinite at t = 0"):
            refused()
    check_asked(alone(Epsilon(), NicholDhariwal(), NicholDhariwal()), DDIM(), 8)
    check_asked(alone(Velocity(), Linear(), LinearBeta()), solver, 8)
