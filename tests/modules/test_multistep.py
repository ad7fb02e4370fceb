"""Multistep solvers on the exact mixture: their order, their evaluations, and 2M written out."""

import pytest
import torch

from modules.ensemble import Ensemble, Uniform, counting
from modules.expert import Expert
from modules.guard import Guard
from modules.multistep import DPMSolver, UniPC
from modules.objectives import Epsilon, Velocity
from modules.schedules import Cosine, Linear
from modules.selection import Full
from modules.solvers import Euler, check_asked
from modules.text import Text
from tests.helpers.mixture import Whole, flowed, name, randn

NOISE = randn(200, 1, seed=3)
NETWORK = Whole(Velocity(), Linear())
SOLVERS = pytest.mark.parametrize("solver", [DPMSolver(), UniPC()], ids=name)


def exact(objective=Velocity(), schedule=Linear(), **more):
    """An ensemble of the one exact expert of the mixture on the line."""
    expert = Expert(Whole(objective, schedule), objective, schedule)
    return Ensemble([expert], Uniform(1), Full(), **more)


@torch.no_grad()
def drawn(solver, steps, ensemble):
    return solver.draw(ensemble, None, 1.0, NOISE, steps, None)


def errors(solver, counts):
    """Mean distances from where the probability flow ends, by the number of steps."""
    truth = flowed(Linear(), NOISE, 1.0)
    return [float((drawn(solver, n, exact()) - truth).abs().mean()) for n in counts]


@SOLVERS
def test_the_order_is_two_and_beats_euler(solver):
    """kills: a first-order rule under another name, a scheduler that reads velocities as noise,
    times that are not its sigmas, data and noise exchanged. A step of half the length errs by
    a quarter, Euler's by half; what the late begin leaves is below all of these."""
    coarse, fine = errors(solver, (10, 40))
    assert coarse / fine > 12
    assert fine < errors(Euler(), (160,))[0] / 3


@SOLVERS
def test_converted_experts_lead_to_the_same_end(solver):
    """kills: an expert's own prediction handed to the scheduler, a guard that is not passed on."""
    converted = exact(Epsilon(), Cosine(), guard=Guard(t_max=0.9999))
    torch.testing.assert_close(
        drawn(solver, 20, converted), drawn(solver, 20, exact()), atol=2e-3, rtol=0
    )


def test_2m_is_the_rule_as_it_is_printed():
    """kills: another scheduler, order or grid. Lu et al. 2022, Alg. 2, in its own variables."""
    solver, steps = DPMSolver(), 6
    t = torch.cat([solver.times(None, None, steps), torch.zeros(1, dtype=torch.float64)])
    alpha, sigma = 1 - t, t
    level = (alpha / sigma).log()
    x, before = sigma[0] * NOISE, None
    for i in range(steps):
        x0 = x - t[i] * NETWORK(x, t[i].expand(len(x)))
        h = level[i + 1] - level[i]
        if before is None or i == steps - 1:
            mixed = x0
        else:
            r = (level[i] - level[i - 1]) / h
            mixed = (1 + 1 / (2 * r)) * x0 - before / (2 * r)
        x = sigma[i + 1] / sigma[i] * x - alpha[i + 1] * torch.expm1(-h) * mixed
        before = x0
    torch.testing.assert_close(drawn(solver, steps, exact()), x, atol=1e-5, rtol=1e-5)


@SOLVERS
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_each_step_asks_once(solver, scale):
    """kills: a corrector that evaluates again, guidance whose null half is lost, times that were
    not those that are checked."""
    ensemble, c = exact(), Text.of(randn(200, 1, 2), randn(200, 2))
    asked = []
    network = ensemble.experts[0].network
    network.register_forward_pre_hook(lambda _, given: asked.append(float(given[1][0])))
    with counting([network]) as count:
        solver.draw(ensemble, c, scale, NOISE, 7, None)
    assert count() == 200 * 7 * (1 if scale == 1 else 2)
    assert asked == solver.times(None, None, 7).tolist()


@SOLVERS
def test_what_cannot_be_followed_is_refused(solver):
    """kills: velocities of another path read as the linear one's; a noise expert asked at t = 1."""
    with pytest.raises(ValueError, match="linear path"):
        drawn(solver, 3, exact(path=Cosine()))
    check_asked(exact(Epsilon(), Cosine(), guard=Guard(t_max=0.95)), solver, 3)
    if isinstance(solver, UniPC):
        with pytest.raises(ValueError, match="cannot be inverted"):
            check_asked(exact(Epsilon(), Cosine()), solver, 3)


@SOLVERS
def test_times_are_the_schedulers(solver):
    """kills: a grid that is another's, a first time at which nothing can be inverted."""
    for steps in (1, 2, 5, 25, 100):
        sigmas = solver.scheduler(steps).sigmas[:-1].double()
        torch.testing.assert_close(solver.times(None, None, steps), sigmas, atol=1e-7, rtol=0)
