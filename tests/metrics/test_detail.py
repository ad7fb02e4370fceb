"""The share of fine detail, on gratings and noise whose spectrum is known."""

import numpy as np
import pytest

from metrics.detail import detail

X = np.arange(16)
COARSE, FINE = np.cos(2 * np.pi * 2 * X / 16), np.cos(2 * np.pi * 6 * X / 16)
"""Two and six cycles across 16 pixels: 1/8 and 3/8 of a cycle a pixel."""


def picture(*channels):
    return np.stack([np.broadcast_to(row, (16, 16)) for row in channels])[None]


@pytest.mark.parametrize("turn", [False, True])
def test_gratings_have_the_share_of_their_amplitudes(turn):
    """kills: amplitude for power, one axis alone, the mean counted, a channel left out, frequencies
    above 1/2 that are negative ones."""
    wanted = {
        (0.0, 0.0): 0.0,
        (1.0, 0.0): 0.0,
        (0.0, 1.0): 1.0,
        (1.0, 1.0): 0.5,
        (3.0, 1.0): 0.1,
    }
    for (a, b), share in wanted.items():
        x = picture(0.4 + a * COARSE + b * FINE)
        x = x.swapaxes(2, 3) if turn else x
        assert detail(x) == pytest.approx([share], abs=1e-12)
        assert detail(0.25 * x - 3) == pytest.approx([share], abs=1e-12)
    assert detail(picture(3 * COARSE, FINE)) == pytest.approx([0.1])


def test_a_diagonal_is_as_fine_as_its_own_wave():
    """kills: the finer of two axes for the length of the wave: 3/16 and 3/16 are 0.265 together."""
    x = np.cos(2 * np.pi * 3 * (X[:, None] + X[None]) / 16)[None, None]
    assert detail(x) == pytest.approx([1.0])
    assert detail(picture(np.cos(2 * np.pi * 3 * X / 16))) == pytest.approx([0.0], abs=1e-12)


def test_white_noise_has_the_share_of_frequencies_and_blur_lowers_it():
    """kills: a share by picture row, pictures mixed, noise that is called smooth."""
    noise = np.random.default_rng(0).standard_normal((400, 1, 8, 8))
    f = np.minimum(np.arange(8), 8 - np.arange(8)) / 8
    high = (np.hypot(f[:, None], f[None]) > 0.25).sum() / 63
    found = detail(noise)
    assert found.mean() == pytest.approx(high, abs=0.01)
    blurred = (noise + np.roll(noise, 1, axis=3)) / 2
    assert (detail(blurred) < found).mean() > 0.9
    assert detail(noise[7:9]) == pytest.approx(found[7:9])
