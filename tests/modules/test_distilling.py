"""A student's target is what its teacher says, of which nothing is trained."""

import pytest
import torch
from torch import nn

from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.distilling import StudentExpert
from modules.dit import DiT, TextShape
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.objectives import Epsilon, Velocity
from modules.schedules import Cosine, Linear
from modules.selection import Full, Top
from modules.text import Text
from modules.training import Optim
from tests.helpers.mixture import Optimal, mixture, randn

DATA = mixture()
ROWS = 6


class Flattened(nn.Module):
    """An exact network of three dimensions, asked about pictures [B, 3, 1, 1]."""

    def __init__(self, exact):
        super().__init__()
        self.exact, self.scale = exact, nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x, t, c):
        return self.scale * self.exact(x.flatten(1), t).view_as(x)


class Posterior(nn.Module):
    """The mixture's own router."""

    def forward(self, x, t, c):
        return DATA.posterior(Linear(), x.flatten(1), t)


def ensemble(selection=Full(), path=Linear()):
    """Exact experts of two objectives, which sum to the mixture's velocity."""
    pairs = [(Velocity(), Linear()), (Epsilon(), Cosine())] * 2
    experts = [Expert(Flattened(Optimal(DATA, k, *pair)), *pair) for k, pair in enumerate(pairs)]
    return Ensemble(experts, Posterior(), selection, path)


def student(teacher=None):
    shape = DiT(Size(8, 1, 2), 1, 3, 1, text=TextShape(2, 3, 3))
    module = StudentExpert(shape, Optim(1, 4, 1e-3), seed=3)
    if teacher is not None:
        module.taught_by(teacher)
    return module


def question():
    x0 = DATA.sample(ROWS, 5)[0].view(ROWS, 3, 1, 1)
    t, eps = torch.linspace(0.1, 0.9, ROWS).double(), randn(ROWS, 3, 1, 1, seed=9)
    return x0, t, eps, Text.of(randn(ROWS, 2, 3), randn(ROWS, 3))


def test_the_target_is_the_mixtures_velocity_and_not_the_samples():
    """kills: the data's own target, a teacher asked at another time or about clean data, experts
    that are not converted, one expert for the sum."""
    x0, t, eps, c = question()
    asked = student(ensemble()).noised(x0, t, eps, c)
    exact = DATA.velocity(Linear(), Linear().noise(x0, eps, t).flatten(1), t)
    torch.testing.assert_close(asked.target.flatten(1), exact, rtol=1e-8, atol=1e-8)
    assert (asked.target - (eps - x0)).abs().max() > 0.1
    top = student(ensemble(Top(1))).noised(x0, t, eps, c).target
    assert not torch.equal(top, asked.target)


def test_the_question_is_any_experts():
    """kills: other noise, times or dropped captions than the monolith of the same seed has."""
    x0, *_ = question()
    text = {"tokens": randn(ROWS, 2, 3), "pooled": randn(ROWS, 3), "caption": torch.arange(ROWS)}
    batch = {"x0": x0, **text, "step": torch.tensor(4)}
    taught = student(ensemble())
    plain = FlowMatchingExpert(taught.network.shape, taught.optim, seed=3)
    ours, theirs = taught.pose(batch), plain.pose(batch)
    for name in ("x_t", "t"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    assert torch.equal(ours.c.keep, theirs.c.keep)
    assert not torch.allclose(ours.target, theirs.target)


def test_nothing_of_the_teacher_is_trained_or_saved():
    """kills: a teacher among the student's parameters or weights, gradients that reach it."""
    teacher = ensemble()
    taught = student(teacher)
    assert {*taught.state_dict()} == {*student().state_dict()}
    assert not taught.noised(*question()).target.requires_grad
    scales = [expert.network.scale for expert in teacher.experts]
    assert not {*map(id, taught.parameters())} & {*map(id, scales)}


def test_a_student_without_a_teacher_or_of_another_path_is_refused():
    """kills: a student that silently learns from the data; velocities of another path learnt."""
    with pytest.raises(ValueError, match="a teacher on Cosine"):
        student(ensemble(path=Cosine()))
    with pytest.raises(ValueError, match="unpack"):
        student().noised(*question())
