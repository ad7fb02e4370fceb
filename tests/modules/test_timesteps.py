"""The number embedded for t: Eq. 21 by objective."""

import pytest
import torch

from modules.blocks import Size
from modules.dit import DiT, DiTNetwork
from modules.objectives import X0, Epsilon, V, Velocity
from modules.schedules import Cosine, Linear, LinearBeta
from modules.timesteps import Index, Rounded, SameNoise, Thousand, dit_time_map

GRID = torch.arange(1000, dtype=torch.float64) / 999


def test_flow_matching_rounds_and_ddpm_keeps_its_index():
    """kills: floor for round, 1000 for 999, or a choice made by the value of t at 0 and 1."""
    torch.testing.assert_close(
        dit_time_map(Epsilon())(GRID), torch.arange(1000, dtype=torch.float64)
    )
    t = torch.tensor([0.0, 0.0004, 0.0006, 0.5, 0.9999, 1.0], dtype=torch.float64)
    assert dit_time_map(Velocity())(t).tolist() == [0, 0, 1, 500, 999, 999]
    assert dit_time_map(Epsilon())(t).tolist() == pytest.approx(
        [0, 0.3996, 0.5994, 499.5, 998.9001, 999]
    )
    assert Thousand()(t).tolist() == pytest.approx([0, 0.4, 0.6, 500, 999.9, 1000])
    assert [dit_time_map(objective) for objective in (X0(), V())] == [Index(), Index()]


@pytest.mark.parametrize("schedule", [Linear(), Cosine()])
def test_same_noise_finds_the_index_of_equal_ratio(schedule):
    """kills: a ratio squared or inverted, or the index of equal t under another name."""
    t = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    there = SameNoise(schedule)(t) / 999
    ratio = LinearBeta().alpha(there) / LinearBeta().sigma(there)
    torch.testing.assert_close(ratio, schedule.alpha(t) / schedule.sigma(t))
    assert (there - t).abs().max() > 0.02
    torch.testing.assert_close(SameNoise(LinearBeta())(GRID[1:]), 999 * GRID[1:])


@pytest.mark.parametrize("time", [Thousand(), Rounded(), Index(), SameNoise(Cosine())])
def test_a_network_embeds_what_its_map_says(time):
    """kills: a field that nothing reads."""
    torch.manual_seed(0)
    shape = DiT(Size(8, 1, 2), 4, 2, 2, text=None, time=time)
    network, seen = DiTNetwork(shape), []
    network.trunk.time.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    t = torch.tensor([0.1234, 0.777])
    network(torch.randn(2, 2, 4, 4), t)
    torch.testing.assert_close(seen[0][:, 0], torch.cos(time(t)))  # the first frequency is 1
