"""The measures of expert-data alignment, on numbers and fields whose answers are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules.sources.source import Split
from experiments.measures.alignment import Aligned, States
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.scores.score import Score
from experiments.stages.samples import Sample
from metrics import alignment
from modules.denoising import FlowMatchingExpert
from modules.ensemble import Ensemble, Uniform
from modules.expert import Expert
from modules.objectives import Velocity
from modules.sampling import uniform
from modules.schedules import Linear
from modules.selection import Full, Only
from modules.text import Text


def test_sensitivity_is_the_norm_of_the_jacobian():
    """kills: a mean of norms for their root mean square, or the shift's norm forgotten."""
    rng = np.random.default_rng(0)
    x, a = rng.normal(size=(50_000, 3)), np.diag([1.0, 2.0, 6.0])
    shift = 1e-3 * rng.normal(size=x.shape)
    found = alignment.sensitivity(x @ a, (x + shift) @ a, shift)
    assert found == pytest.approx(math.sqrt(41 / 3), rel=0.02)
    assert alignment.sensitivity(-5 * x, -5 * (x + shift), shift) == pytest.approx(5, rel=1e-9)


def test_refinement_of_one_euler_step_on_a_decay():
    """kills: the coarse step for the fine one in the denominator, or a square left in."""
    x = np.random.default_rng(0).normal(size=(9, 2, 4))
    coarse, fine = 0.8 * x, 0.9 * 0.9 * x  # dx/dt = x, backwards by 0.2
    assert alignment.refinement(x, coarse, fine) == pytest.approx(0.01 / 0.19)


def test_cluster_distance_weighs_the_selected():
    """kills: similarity for distance, vectors not of unit norm, or every cluster counted alike."""
    features = np.array([[3.0, 0.0], [0.0, 1.0]])
    centroids = np.array([[2.0, 0.0], [0.0, 9.0], [-1.0, 0.0]])
    w = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    assert alignment.cluster_distance(w, features, centroids) == pytest.approx(0.75 / 2)


def test_errors_of_the_selected_and_of_the_others():
    """kills: the two exchanged, a sum for a mean over pixels, or unweighted means."""
    target = np.zeros((2, 1, 2))
    each = np.array([[1.0, 2.0, 3.0], [2.0, 0.0, 1.0]])[:, :, None, None] * np.ones((2, 3, 1, 2))
    errors = alignment.expert_errors(each, target)
    np.testing.assert_allclose(errors, [[1, 4, 9], [4, 0, 1]])
    one = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    assert alignment.selected_error(one, errors) == pytest.approx((1 + 0) / 2)
    assert alignment.unselected_error(one, errors) == pytest.approx((4 + 9 + 4 + 1) / 4)
    full = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    assert alignment.selected_error(full, errors) == pytest.approx((2.5 + 0.75) / 2)
    left = (0.5 + 2 + 9 + 4 + 0 + 0.25) / 4
    assert alignment.unselected_error(full, errors) == pytest.approx(left)
    assert alignment.unselected_error(np.ones((2, 1)), errors[:, :1]) is None


def test_angles_are_taken_to_the_mixture_and_only_among_several():
    """kills: radians, angles between experts, or rows of one expert counted as agreement."""
    each = np.array([[[2.0, 0.0], [0.0, 2.0]]] * 2)
    w = np.array([[0.5, 0.5], [1.0, 0.0]])
    assert alignment.angular_disagreement(w, each) == pytest.approx(45.0)
    weighed = np.array([[0.75, 0.25]])
    to_first = math.degrees(math.atan2(1, 3))
    wanted = 0.75 * to_first + 0.25 * (90 - to_first)
    assert alignment.angular_disagreement(weighed, each[:1]) == pytest.approx(wanted)
    assert alignment.angular_disagreement(np.eye(2), each) is None


def aligned(times=(0.96, 0.4)):
    """The measurement at smoke; nothing of it needs to be made for what is asked here."""
    scale = SCALES["smoke"]
    trained = experts.mixed(scale, FlowMatchingExpert, {}, 0)
    score: Score = scores.score(scale, trained, None, Full(), 0)
    assert isinstance(score.pictures, Sample)
    setting = replace(score.pictures.setting, steps=25)
    sample = replace(score.pictures, setting=setting)
    return Aligned(sample, experts.encoded(scale, Split.HELDOUT), times)


def constants(count=8):
    """Experts whose velocity is the same everywhere: their own number in every pixel."""
    return [
        Expert(lambda x, t, c, k=k: torch.full_like(x, float(k)), Velocity(), Linear())
        for k in range(count)
    ]


def test_fields_that_are_constant_have_known_measures():
    """kills: another step than the solver's, weights of another state, or measures exchanged."""
    x0 = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    c = Text.of(torch.zeros(6, 1, 1), torch.zeros(6, 1))
    t = torch.full((6,), 0.5)
    states = States(x0, t, c, x0, torch.zeros_like(x0))
    centroids = np.random.default_rng(0).normal(size=(8, 64))
    full = aligned()._one(Ensemble(constants(), Uniform(8), Full()), states, centroids)
    assert full["sensitivity"] == 0
    assert full["refinement"] == pytest.approx(0, abs=1e-6)
    squares = [k * k for k in range(8)]
    assert full["selected_error"] == pytest.approx(np.mean(squares))
    one = aligned()._one(Ensemble(constants(), Uniform(8), Only(2)), states, centroids)
    assert one["selected_error"] == pytest.approx(4)
    assert one["unselected_error"] == pytest.approx((sum(squares) - 4) / 7)
    assert one["angle"] is None
    pixels = np.clip(x0.flatten(1).numpy(), -1, 1)
    pixels = pixels - pixels.mean(axis=1, keepdims=True)  # the encoder's features
    cosine = pixels @ centroids[2] / np.linalg.norm(pixels, axis=1) / np.linalg.norm(centroids[2])
    assert one["cluster_distance"] == pytest.approx(np.mean(1 - cosine), rel=1e-5)
    lone = aligned()._one(Ensemble(constants()[1:2], Uniform(1), Full()), states, centroids)
    assert lone["cluster_distance"] is None


def test_one_step_is_refined_into_two_halves():
    """kills: half steps of the wrong size, or the second half asked at the first one's time."""
    x = torch.ones(3, 1, 8, 8)
    c = Text.of(torch.zeros(3, 1, 1), torch.zeros(3, 1))
    growing = Expert(lambda x, t, c: t[:, None, None, None] * torch.ones_like(x), Velocity(),
                     Linear())  # fmt: skip
    states = States(x, torch.full((3,), 0.4), c, x, None)
    found = aligned()._one(Ensemble([growing], Uniform(1), Full()), states, np.zeros((8, 64)))
    coarse, fine = 0.04 * 0.4, 0.02 * 0.4 + 0.02 * 0.38
    assert found["refinement"] == pytest.approx((coarse - fine) / fine, rel=1e-3)
    assert found["selected_error"] is None


def test_the_states_met_in_sampling_are_the_solvers():
    """kills: a grid point too many or too few on the way, or times that the solver never sees."""
    x = torch.zeros(2, 1, 8, 8)
    c = Text.of(torch.zeros(2, 1, 1), torch.zeros(2, 1))
    ensemble = Ensemble(constants(), Uniform(8), Only(3))
    met = list(aligned((1.0, 0.96, 0.4, 0.0))._met(ensemble, x, c, x))
    assert [time for time, _ in met] == [1.0, 0.96, 0.4, 0.0]
    seen = uniform(25)[[0, 1, 15, 24]].float()  # the solver asks nobody at t = 0
    for (_, states), t in zip(met, seen, strict=True):
        assert float(states.t[0]) == pytest.approx(float(t))
        torch.testing.assert_close(states.x, torch.full_like(x, -3 * (1 - float(t))))


def test_held_out_states_lie_between_their_picture_and_their_velocity():
    """kills: a target of another path or sign: x_t + (1 - t) u is the noise, x_t - t u the data."""
    g = torch.Generator().manual_seed(0)
    data = {
        "x0": torch.randn(5, 1, 8, 8, generator=g),
        "tokens": torch.zeros(5, 1, 1),
        "pooled": torch.zeros(5, 1),
    }
    for time, states in aligned()._heldout(data):
        assert states.target is not None
        torch.testing.assert_close(states.x - time * states.target, data["x0"])
        assert float((states.x + (1 - time) * states.target).std()) == pytest.approx(1, abs=0.15)
