"""Routes along trajectories: counted by hand, and walked by the sampler as the samples were."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.measures.trajectories import WHOLE, Trajectories, _at, _over, switched
from experiments.pipeline.store import Store
from experiments.recipes import experts, scores
from experiments.recipes.scale import turned
from modules.denoising import FlowMatchingExpert
from modules.recorded import Recorded
from modules.selection import Full, Top
from tests.helpers.stages import SMOKE, make

P = np.array(
    [
        [[0.5, 0.25, 0.25], [0.6, 0.4, 0.0]],
        [[0.2, 0.7, 0.1], [0.6, 0.3, 0.1]],
        [[0.1, 0.9, 0.0], [0.0, 0.0, 1.0]],
        [[0.8, 0.1, 0.1], [0.0, 0.0, 1.0]],
    ],
    dtype=np.float32,
)
"""Of two trajectories over four steps: the first turns twice, the second once."""
OWN = np.array([1, 2])


def test_switches_are_counted_along_a_trajectory():
    """kills: steps and rows exchanged, a switch counted at the first step, a change of p that is
    no change of the most probable."""
    assert switched(P).tolist() == [[True, False], [False, True], [True, False]]
    over = _over(P, P, OWN)
    assert over["all at all"]["switches"] == pytest.approx(1.5)
    assert over["all at all"]["own"] == pytest.approx(np.mean([0.25, 0.7, 0.9, 0.1, 0, 0.1, 1, 1]))
    assert [over[f"{k} at all"]["prompts"] for k in range(3)] == [0, 0.5, 0.5]
    usage = [over[f"{k} at all"]["usage"] for k in range(3)]
    assert usage == pytest.approx(P.mean((0, 1)).tolist())


def test_a_step_has_its_own_numbers():
    """kills: the numbers of another step, a switch to the step after, weights for probabilities."""
    w = np.zeros_like(P)
    w[..., 0] = 1
    first, third = _at("1", P, w, OWN, 0), _at("0.5", P, w, OWN, 2)
    assert "switched" not in first["all at 1"]
    assert first["all at 1"]["entropy"] == pytest.approx((1.5 + 0.970951) / 2, abs=1e-5)
    assert third["all at 0.5"]["switched"] == 0.5
    assert third["all at 0.5"]["own"] == pytest.approx(0.95)
    assert third["all at 0.5"]["in_use"] == 1
    assert [third[f"{k} at 0.5"]["usage"] for k in range(3)] == [1, 0, 0]


def test_only_the_half_that_sees_its_caption_is_kept():
    """kills: the null half recorded too, an answer that recording changes."""
    p = torch.rand(6, 3).softmax(1)
    recorded = Recorded(Full(), 3)
    assert torch.equal(recorded.weights(p, torch.ones(6)), p)
    assert all(torch.equal(kept, p[:3]) for kept in recorded.answers[0][1:])


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_what_is_walked_is_what_was_drawn(tmp_path, guidance):
    """kills: another noise, caption or guidance than the samples', rows of one batch for all, a
    router asked about the data. The answers are those along the samples' own trajectories."""
    store, scale = Store(tmp_path), turned(SMOKE, {"draw.batch": 8, "draw.guidance": guidance})
    trained = experts.mixed(scale, FlowMatchingExpert, {}, 0)
    sample = scores.score(scale, trained, experts.router(scale, True, 0), Top(1), 0).pictures
    stage = Trajectories(sample, (1.0, 0.3))
    for each in (sample, stage):
        make(store, each)
    found, states = stage.read(store), []
    loaded = sample.load(store, torch.device("cpu"))
    real = replace(sample).ensemble(loaded, range(sample.n))
    c, x = loaded.condition(range(sample.n)), sample.noise(range(sample.n))
    grid = torch.linspace(1, 0, sample.setting.steps + 1)
    with torch.inference_mode():
        for t, s in itertools.pairwise(grid):
            times = t.expand(len(x))
            states.append(real.router(x, times, c))
            u = real(x, times, c)
            if guidance != 1:
                null = real(x, times, c.null())
                u = null + guidance * (u - null)
            x = x + (s - t) * u
    drawn = torch.from_numpy(np.concatenate([part["latents"] for part in sample._parts(store)]))
    torch.testing.assert_close(x, drawn, atol=1e-4, rtol=1e-4)
    p = torch.stack(states).double()
    entropy = -(p * p.log2()).sum(-1)
    for t, step in ((1, 0), (0.3, 2)):
        assert found[f"all at {t}"]["entropy"] == pytest.approx(
            float(entropy[step].mean()), abs=1e-4
        )
    top = torch.nn.functional.one_hot(p.argmax(-1), 2).double()
    for k in range(2):
        assert found[f"{k} at {WHOLE}"]["usage"] == pytest.approx(float(top[..., k].mean()))
