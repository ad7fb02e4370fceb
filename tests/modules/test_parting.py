"""Several experts of each cluster under one router: who is asked when, and of which kind."""

import pytest
import torch
from torch import nn

from modules.ensemble import Ensemble, counting
from modules.expert import Expert
from modules.objectives import Velocity
from modules.parting import ByCluster, ByTime
from modules.schedules import Linear
from modules.selection import Full, Top
from tests.helpers.mixture import randn

K = 3
P = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
X = randn(2, 4).float()


class Fixed(nn.Module):
    """P, whatever is asked."""

    def forward(self, x, t, c=None):
        return P


class Constant(nn.Module):
    """An expert's velocity: its own number."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, x, t, c):
        return torch.full_like(x, self.number)


def test_each_range_has_its_group_and_a_boundary_is_the_lower_ones():
    """kills: groups in falling order, a group of K's rows for a row of groups, a boundary that
    float32 rounds to the other side, probabilities of another cluster."""
    router = ByTime(Fixed(), (0.2, 0.6))
    for time, group in ((0.0, 0), (0.2, 0), (0.25, 1), (0.6, 1), (0.61, 2), (1.0, 2)):
        p = router(X, torch.full((2,), time))
        expected = torch.zeros(2, 3 * K)
        expected[:, group * K : (group + 1) * K] = P
        assert torch.equal(p, expected)
    rows = router(X, torch.tensor([0.1, 0.9]))
    assert torch.equal(rows[0, :K], P[0])
    assert torch.equal(rows[1, 2 * K :], P[1])


def test_each_cluster_has_the_kind_that_is_in_use():
    """kills: kinds by row, the kind of another cluster, a kind that is not in use asked too."""
    p = ByCluster(Fixed(), (1, 0, 1), 2)(X, torch.ones(2))
    assert torch.equal(p[:, [3, 1, 5]], P)
    assert p[:, [0, 2, 4]].abs().sum() == 0


@pytest.mark.parametrize(("selection", "asked"), [(Top(1), 1), (Top(2), 2), (Full(), 3)])
def test_an_ensemble_asks_the_experts_of_the_time_alone(selection, asked):
    """kills: experts of other times evaluated with weight 0, weights that do not sum to 1."""
    experts = [Expert(Constant(float(i)), Velocity(), Linear()) for i in range(2 * K)]
    ensemble = Ensemble(experts, ByTime(Fixed(), (0.5,)), selection)
    weight = selection.weights(P, torch.ones(2))
    for time, first in ((0.3, 0), (0.7, K)):
        with counting([expert.network for expert in experts]) as count:
            u = ensemble(X, torch.full((2,), time))
        expected = (weight * torch.arange(first, first + K)).sum(1)
        torch.testing.assert_close(u, expected[:, None].expand_as(X))
        assert count() == 2 * asked
