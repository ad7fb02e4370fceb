"""Selections against an independent implementation, at their boundaries and on ties."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from modules.sampling import uniform
from modules.selection import Alternate, Full, Only, Stochastic, Switch, Threshold, Top
from tests.helpers.files import ROOT
from tests.helpers.mixture import randn

EVERY = [
    Top(1), Top(2), Top(5), Full(), Threshold(0.25), Threshold(0.99), Only(3),
    Switch(0.5, Top(1), Full()), Stochastic(3), Alternate((Top(1), Only(0), Full()), 10),
]  # fmt: skip


def probabilities(rows=64, experts=5, sharpness=2.0, seed=0):
    p = (sharpness * randn(rows, experts, seed=seed)).softmax(1)
    return p, torch.linspace(0, 1, rows, dtype=torch.float64)


def numpy_top(p, k):
    """Row by row: sort, keep k, renormalise."""
    w = np.zeros_like(p)
    for row, values in zip(w, p, strict=True):
        best = np.argsort(-values)[:k]
        row[best] = values[best] / values[best].sum()
    return w


@pytest.mark.parametrize("sharpness", [0.1, 2.0, 50.0])
@pytest.mark.parametrize("selection", EVERY, ids=repr)
def test_weights_are_probabilities(selection, sharpness):
    """kills: a renormalisation left out, or over the batch, or a NaN from an empty row."""
    p, t = probabilities(sharpness=sharpness)
    w = selection.weights(p, t)
    assert (w >= 0).all()
    torch.testing.assert_close(w.sum(1), torch.ones_like(t), rtol=1e-12, atol=0)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_is_an_independent_implementations(k):
    """kills: the smallest k kept, k - 1 or k + 1 kept, or a softmax of the kept ones."""
    p, t = probabilities()
    w = Top(k).weights(p, t)
    np.testing.assert_allclose(w.numpy(), numpy_top(p.numpy(), k), rtol=1e-12)
    assert ((w > 0).sum(1) == k).all()


def test_top_breaks_ties_into_k_experts():
    """kills: keeping every expert at or above the k-th probability, hence all on a tie."""
    p = torch.full((3, 4), 0.25, dtype=torch.float64)
    for k in (1, 2, 3):
        w = Top(k).weights(p, torch.ones(3))
        assert sorted(w[0].tolist()) == pytest.approx([0.0] * (4 - k) + [1 / k] * k)


@pytest.mark.parametrize("k", [-1, 0, 6])
def test_a_bad_k_is_refused(k):
    """kills: k silently clamped to the number of experts, or a negative index accepted."""
    p, t = probabilities()
    with pytest.raises(ValueError, match=f"Top\\({k}\\)"):
        Top(k).weights(p, t)
    with pytest.raises(ValueError, match="names no expert"):
        Only(-1 if k < 1 else 5).weights(p, t)


def test_full_is_p_itself():
    """kills: a second softmax or a temperature in Full; Eq. 1 is exact only with p as it is."""
    p, t = probabilities()
    assert torch.equal(Full().weights(p, t), p)


def test_only_ignores_the_router():
    """kills: the wrong column, or p's own value left as the weight."""
    p, t = probabilities()
    assert torch.equal(Only(3).weights(p, t), torch.eye(5).double()[3].expand(64, 5))


@pytest.mark.parametrize("tau", [0.0, 0.1, 0.3, 0.6])
def test_threshold_keeps_what_reaches_tau(tau):
    """kills: > for >=, rows not renormalised, or the fallback used where it is not needed."""
    p, t = probabilities(experts=4)
    p[0] = torch.tensor([0.3, 0.3, 0.3, 0.1], dtype=torch.float64)
    p[1] = torch.tensor([0.5, 0.3, 0.1, 0.1], dtype=torch.float64)
    expected = np.where(p.numpy() >= tau, p.numpy(), 0)
    empty = expected.sum(1) == 0
    expected[empty] = numpy_top(p.numpy()[empty], 1)
    expected /= expected.sum(1, keepdims=True)
    if tau == 0.6:
        assert 0 < empty.sum() < len(p)
        expected[0] = [1, 0, 0, 0]  # a tie below tau: one expert, not all that tie
    np.testing.assert_allclose(Threshold(tau).weights(p, t).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("at", [0.2, 0.3, 0.5, 0.7])
def test_switch_is_late_at_its_own_time(at, dtype):
    """kills: >= for >, or early and late exchanged: t = at is late.  (§3.3.3)"""
    t = torch.tensor([1.0, at + 1e-3, at, at - 1e-3, 0.0], dtype=dtype)
    p = torch.full((5, 2), 0.5, dtype=dtype)
    w = Switch(at, early=Only(0), late=Only(1)).weights(p, t)
    assert w.argmax(1).tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [10, 20, 25, 50, 75, 100])
def test_switch_treats_a_grid_time_as_the_number_it_stands_for(steps, dtype):
    """kills: an exact comparison, which rounding of the grid sends to either side by dtype."""
    t = uniform(steps)[:-1].to(dtype)
    p = torch.full((steps, 2), 0.5, dtype=dtype)
    for late_steps in range(1, steps):
        w = Switch(late_steps / steps, early=Only(0), late=Only(1)).weights(p, t)
        assert w[:, 1].sum() == late_steps


def test_switch_selects_row_by_row():
    """kills: one branch chosen for the whole batch by its first or mean time."""
    p, t = probabilities()
    t = t.flip(0)[torch.arange(64) * 37 % 64]
    w = Switch(0.4, Top(1), Top(2)).weights(p, t)
    for row in range(64):
        k = 1 if t[row] > 0.4 else 2
        np.testing.assert_allclose(w[row].numpy(), numpy_top(p[row : row + 1].numpy(), k)[0])


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 25, 50, 75, 100, 250, 999, 1000])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_alternate_recovers_every_step_of_a_float32_grid(steps, turns):
    """kills: floor for round, or t for 1 - t: both misplace a step through float32's rounding."""
    t = uniform(steps)[:-1].float()
    p = torch.full((steps, turns), 1 / turns)
    w = Alternate(tuple(Only(k) for k in range(turns)), steps).weights(p, t)
    assert w.argmax(1).tolist() == [i % turns for i in range(steps)]
    assert (w.max(1).values == 1).all()


@pytest.mark.parametrize("selection", [Top(1), Full(), Threshold(0.5), Threshold(1.0), Only(0)])
def test_one_expert_always_has_weight_one(selection):
    """kills: a squeeze that loses the axis of experts when there is one."""
    p, t = torch.ones(3, 1).double(), torch.linspace(0, 1, 3)
    assert torch.equal(selection.weights(p, t), p)


@pytest.mark.parametrize("selection", EVERY, ids=repr)
def test_experts_are_exchangeable(selection):
    """kills: a weight that depends on an expert's place in the list (Only aside, by design,
    and a random draw, whose chances fall on other experts)."""
    if "Only" in repr(selection) or "Stochastic" in repr(selection):
        selection = Top(3)
    p, t = probabilities()
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = selection.weights(p[:, order], t)
    torch.testing.assert_close(permuted, selection.weights(p, t)[:, order])


@pytest.mark.parametrize("selection", EVERY, ids=repr)
def test_the_routers_answer_is_left_alone(selection):
    """kills: p modified in place, which would change the next selection's input."""
    p, t = probabilities()
    before = p.clone()
    selection.weights(p, t)
    assert torch.equal(p, before)


def drawn(selection, seeds, t, p):
    return selection.seeded(seeds).weights(p.expand(len(seeds), -1), torch.full((len(seeds),), t))


P = torch.tensor([[0.5, 0.3, 0.15, 0.0, 0.05]], dtype=torch.float64)


@pytest.mark.parametrize("draws", [1, 3])
def test_draws_have_the_routers_probabilities(draws):
    """kills: argmax for a draw, draws of one row or step that hang together, an expert of
    probability 0 drawn, draws without replacement.  (chi-square, 0.1 %, of a fixed sample)"""
    rows, times = range(500), (1.0, 0.5, 0.02, 0.0)
    w = torch.cat([drawn(Stochastic(draws), rows, t, P) for t in times])
    counts = (w * draws).round().sum(0)
    n = len(rows) * len(times) * draws
    assert float(counts.sum()) == n
    assert counts[3] == 0
    expected = n * P[0][P[0] > 0]
    assert float(((counts[P[0] > 0] - expected) ** 2 / expected).sum()) < 16.27  # 3 d.o.f.
    first, second = (drawn(Stochastic(), rows, t, P).argmax(1) for t in times[:2])
    same = float((first == second).double().mean())
    assert same == pytest.approx(float((P**2).sum()), abs=4 * (0.25 / len(rows)) ** 0.5)


@pytest.mark.parametrize(
    "selection",
    [Stochastic(), Switch(0.5, Stochastic(2), Top(1)), Alternate((Top(1), Stochastic()), 4)],
    ids=repr,
)
@pytest.mark.parametrize("t", [0.75, 0.25])
def test_a_draw_is_its_rows_and_times_alone(selection, t):
    """kills: the global generator, a batch's own place in a draw, seeds kept from parts of a
    selection, or Python's hash, which differs from process to process."""
    seeds = [7, 7_000_000_001, 12, 40, 41, 42, 43, 7]
    whole = drawn(selection, seeds, t, P)
    torch.manual_seed(1)
    halves = torch.cat([drawn(selection, part, t, P) for part in (seeds[:3], seeds[3:])])
    assert torch.equal(whole, halves)
    assert torch.equal(whole[0], whole[-1])
    twice = selection.seeded(seeds).weights(P.expand(16, -1), torch.full((16,), t))
    assert torch.equal(twice, torch.cat([whole, whole]))  # both halves of guidance
    code = f"""
import torch
from modules.selection import *
p = torch.tensor({P.tolist()}, dtype=torch.float64).expand({len(seeds)}, -1)
print({selection!r}.seeded({seeds}).weights(p, torch.full(({len(seeds)},), {t})).tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(whole.tolist())


def test_rows_without_seeds_still_differ():
    """kills: one draw for the whole batch, and rows that silently share too few seeds."""
    p, t = P.expand(40, -1), torch.ones(40)
    assert len(set(Stochastic().weights(p, t).argmax(1).tolist())) >= 3
    with pytest.raises(ValueError, match="3 seeds for 40 rows"):
        Stochastic().seeded(range(3)).weights(p, t)
    with pytest.raises(ValueError, match=r"Stochastic\(0\)"):
        Stochastic(0)
