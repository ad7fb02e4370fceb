"""How much of a picture is fine detail: the share of its variance at high spatial frequencies."""

import numpy as np
from numpy.typing import NDArray

HALF = 0.25
"""Cycles a pixel: half of the highest frequency that pixels can show along an axis."""


def detail(images: NDArray[np.floating]) -> NDArray[np.float64]:
    """The share [N] of each picture's variance above `HALF`; images [N, C, H, W].

    Of all channels together, by Parseval's theorem; 0 for a picture without contrast. Neither
    brightness nor contrast changes it, blur lowers it, and noise raises it as texture does.
    """
    power = np.abs(np.fft.fft2(images.astype(np.float64))) ** 2
    power[..., 0, 0] = 0.0  # the mean
    rows, columns = (np.fft.fftfreq(side) for side in images.shape[2:])
    high = np.hypot(rows[:, None], columns[None]) > HALF
    whole = power.sum(axis=(1, 2, 3))
    flat = whole <= 1e-20 * images[0].size ** 2
    return np.where(flat, 0.0, (power * high).sum(axis=(1, 2, 3)) / np.where(flat, 1.0, whole))
