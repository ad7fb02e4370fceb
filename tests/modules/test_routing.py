"""Tempered routers and the oracle: what they answer, against numpy and by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from modules.ensemble import Ensemble, Uniform, counting
from modules.expert import Expert
from modules.objectives import Velocity
from modules.routing import EveryNth, Oracle, Tempered
from modules.sampling import uniform
from modules.schedules import Linear
from modules.selection import Full, Only
from modules.text import Text
from tests.helpers.mixture import Optimal, mixture, randn

DATA = mixture()
X, T = randn(64, 3), torch.linspace(0.05, 0.95, 64, dtype=torch.float64)


class Exact(nn.Module):
    """The mixture's posterior on the linear path; with a caption, that of another point."""

    def forward(self, x, t, c=None):
        return DATA.posterior(Linear(), x if c is None else x + c.pooled, t)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_a_tempered_posterior_is_a_power_normalised(temperature):
    """kills: p^T for p^(1/T), a sum over the batch, or probabilities left unnormalised."""
    p = Exact()(X, T).numpy()
    power = p ** (1 / temperature)
    expected = power / power.sum(axis=1, keepdims=True)
    found = Tempered(Exact(), temperature)(X, T).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert np.abs(found - p).max() > 0.1 or temperature == 1


def test_a_temperature_divides_the_logits():
    """kills: a temperature that acts on probabilities rather than on what they came from."""
    logits = randn(64, 5, seed=3)

    class Given(nn.Module):
        def forward(self, x, t, c=None):
            return logits.softmax(1)

    found = Tempered(Given(), 0.4)(X, T)
    torch.testing.assert_close(found, (logits / 0.4).softmax(1), rtol=1e-9, atol=1e-12)


def test_a_tempered_router_reads_what_its_router_reads():
    """kills: the caption lost on the way to the router."""
    c = Text.of(randn(64, 2, 3), randn(64, 3, seed=5))
    found = Tempered(Exact(), 2.0)(X, T, c)
    torch.testing.assert_close(found, Tempered(Exact(), 2.0)(X + c.pooled, T))
    assert (found - Tempered(Exact(), 2.0)(X, T)).abs().max() > 0.1


def test_what_is_impossible_stays_so():
    """kills: nan from the logarithm of 0, or a 0 floored on the way, which a high temperature makes
    one in a hundred."""

    class Certain(nn.Module):
        def forward(self, x, t, c=None):
            return torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])

    for temperature in (0.05, 1.0, 20.0):
        found = Tempered(Certain(), temperature)(X, T)
        assert torch.equal(found, torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_positive(temperature):
    """kills: a division by zero, or a router turned upside down."""
    with pytest.raises(ValueError, match="must be positive"):
        Tempered(Uniform(3), temperature)


CLUSTER = torch.tensor([2, 0, 3, 3, 1, 0])


def test_the_oracle_knows_the_rows_it_is_asked_about():
    """kills: rows counted from the start of every batch, or another cluster's probability."""
    oracle = Oracle(CLUSTER, 4)
    for rows in (range(0, 6), range(2, 5), range(5, 6)):
        x = randn(len(rows), 3)
        p = oracle.at(rows)(x, torch.ones(len(rows)), None)
        assert p.dtype == x.dtype
        assert p.argmax(1).tolist() == CLUSTER[rows.start : rows.stop].tolist()
        assert p.sum(1).tolist() == [1.0] * len(rows)
        assert ((p == 0) | (p == 1)).all()
        again = oracle.at(rows)(torch.cat([x, x]), torch.ones(2 * len(rows)), None)
        assert torch.equal(again, torch.cat([p, p]))  # both halves of guidance


def test_the_oracle_asks_each_rows_own_expert_alone():
    """kills: an ensemble that evaluates experts of weight 0, or gives a row another's velocity."""
    networks = [Optimal(DATA, k, Velocity(), Linear()) for k in range(4)]
    experts = [Expert(network, Velocity(), Linear()) for network in networks]
    x, t = randn(6, 3), torch.linspace(0.1, 0.9, 6, dtype=torch.float64)
    ensemble = Ensemble(experts, Oracle(CLUSTER, 4).at(range(6)), Full())
    with counting(networks) as count:
        u = ensemble(x, t)
        assert count() == 6
    for i, k in enumerate(CLUSTER.tolist()):
        alone = Ensemble(experts, Uniform(4), Only(k))(x[i : i + 1], t[i : i + 1])
        torch.testing.assert_close(u[i : i + 1], alone)


def test_a_moved_oracle_keeps_its_answers():
    """kills: probabilities that do not move with the module to the experts' device."""
    assert Oracle(CLUSTER, 4).to(torch.device("meta")).p.device.type == "meta"


def test_a_router_asked_at_each_nth_step_keeps_its_answer_in_between():
    """kills: a step counted off by one on a grid in float32, an answer for other rows kept, or one
    of the last trajectory given to the next."""
    asked = []

    def router(x, t, c):
        asked.append((len(x), round(20 * (1 - float(t[0])))))
        return x.new_full((len(x), 2), asked[-1][1])

    seldom = EveryNth(router, 3, 20)
    for _ in range(2):
        answers = [
            float(seldom(torch.zeros(4, 1), t.float().expand(4))[0, 0]) for t in uniform(20)[:-1]
        ]
        assert [step for _, step in asked] == [0, 3, 6, 9, 12, 15, 18]
        assert answers == [3 * (i // 3) for i in range(20)]
        asked.clear()
    seldom(torch.zeros(8, 1), torch.full((8,), 0.95))
    assert asked == [(8, 1)]  # both halves, where there was one
