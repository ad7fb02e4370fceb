"""How a scene is drawn: from its index alone, to pixels that every machine agrees on.

Random numbers are a hash of (index, purpose). Geometry is in whole 64ths of a pixel and pixels are
single IEEE operations in float32, without a sine, a sum whose order matters or a library's kernel.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Numbers = NDArray[np.int64]

SIDE = 16
"""Of a picture, in pixels."""
UNIT = 64
"""Parts of a pixel that geometry counts in."""
FINE = 4
"""Points along a pixel's side at which a shape is asked whether it covers them: 16 levels."""
PERIOD = 4
"""Of every texture, in pixels."""
PHASES = UNIT // 2
"""Of a texture, along either axis: it moves within half a pixel."""
SHADE = 0.1
"""The greatest change of a channel of a colour, which stays within [0, 1]."""
GREY, RELIEF = (0.25, 0.5), (0.15, 0.2)
"""Least and greatest brightness of a background, and height of its texture above and below."""
SHAPES = ("circle", "square", "triangle", "cross")
TEXTURES = ("plain", "rows", "columns", "rising", "falling", "checks", "dots", "shade")
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.9, 0.1, 0.1),
    "orange": (0.95, 0.5, 0.05),
    "yellow": (0.95, 0.9, 0.1),
    "green": (0.1, 0.7, 0.15),
    "cyan": (0.1, 0.85, 0.9),
    "blue": (0.1, 0.2, 0.9),
    "purple": (0.65, 0.1, 0.85),
    "white": (1.0, 1.0, 1.0),
}
RADII = (4.0, 5.5)
"""Of a small and of a large shape, in pixels."""
CENTRES = ((6, 6), (10, 6), (6, 10), (10, 10))
"""(x, y) of each place, in pixels: upper left, upper right, lower left, lower right. A shape covers
the middle wherever it is: one that fits into a quarter is small in the loss, and an expert with an
eighth of a monolith's pictures tears it, since its patches do not agree on the quarter."""
MOVED, GROWN = 0.25, 0.1
"""The greatest jitter of a centre along either axis, and of a radius, in pixels."""
GOLDEN = 0x9E3779B97F4A7C15


def hashed(index: NDArray[np.uint64], purpose: int) -> NDArray[np.uint64]:
    """32 random bits [N] of each picture for one purpose: SplitMix64's mix, twice. (Steele 2014)"""
    z = mixed(index + np.uint64(GOLDEN))
    return mixed(z + np.uint64(GOLDEN * (purpose + 1) % 2**64)) >> np.uint64(32)


def mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser of 64 bits [N]."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def below(index: NDArray[np.uint64], purpose: int, n: int) -> Numbers:
    """Whole numbers [N] from 0 to n - 1, all as probable to within n in 2^32."""
    return ((hashed(index, purpose) * np.uint64(n)) >> np.uint64(32)).astype(np.int64)


def chosen(index: NDArray[np.uint64], purpose: int, weights: tuple[int, ...]) -> Numbers:
    """Values [N] with probabilities proportional to whole weights."""
    ends = np.cumsum(weights)
    return np.searchsorted(ends, below(index, purpose, int(ends[-1])), side="right")


class Look(NamedTuple):
    """The factors' values of N pictures, each [N], int64; all else is jitter, drawn by index."""

    shape: Numbers
    colour: Numbers
    size: Numbers
    place: Numbers
    texture: Numbers


def rendered(look: Look, index: NDArray[np.uint64], first: int) -> Array:
    """Pictures [N, 3, 16, 16] in [-1, 1]; first: the purpose from which numbers are free."""
    ground = _background(look.texture, index, first)
    colour = np.array([*COLOURS.values()], dtype=np.float32)[look.colour]  # [N, 3]
    shaded = np.empty_like(colour)
    for channel in range(3):
        change = _uniform(index, first + 3 + channel, -SHADE, SHADE)
        shaded[:, channel] = np.clip(colour[:, channel] + change, np.float32(0), np.float32(1))
    cover = _covered(look, index, first + 6)[:, None]
    picture = ground[:, None] + cover * (shaded[:, :, None, None] - ground[:, None])
    return np.float32(2) * picture - np.float32(1)


def _uniform(index: NDArray[np.uint64], purpose: int, low: float, high: float) -> Array:
    """Numbers [N] between low and high, of 24 bits."""
    bits = (hashed(index, purpose) >> np.uint64(8)).astype(np.float32)
    return np.float32(low) + np.float32(high - low) * (bits * np.float32(2**-24))


def _background(texture: Numbers, index: NDArray[np.uint64], first: int) -> Array:
    """Brightness [N, 16, 16] in [0, 1]."""
    middle, relief = _uniform(index, first, *GREY), _uniform(index, first + 1, *RELIEF)
    phase = below(index, first + 2, PHASES**2)
    right, down = (shift[:, None] for shift in np.divmod(phase, PHASES))
    pixel = np.arange(SIDE) * UNIT
    wave = np.empty((len(index), SIDE, SIDE), dtype=np.float32)
    for number, name in enumerate(TEXTURES):
        rows = texture == number
        wave[rows] = _waves(name, pixel[None] + right[rows], pixel[None] + down[rows])
    return middle[:, None, None] + relief[:, None, None] * wave


def _waves(name: str, x: Numbers, y: Numbers) -> Array:
    """Heights [N, 16, 16] in [-1, 1] of a texture; x, y: [N, 16], in 64ths of a pixel."""
    along, across = x[:, None, :], y[:, :, None]
    heights = {
        "plain": lambda: np.zeros((1, 1, 1), dtype=np.float32),
        "rows": lambda: _triangle(across),
        "columns": lambda: _triangle(along),
        "rising": lambda: _triangle(along + across),
        "falling": lambda: _triangle(along - across),
        "checks": lambda: _triangle(along) * _triangle(across),
        "dots": lambda: np.maximum(_triangle(along), _triangle(across)),
        "shade": lambda: (across - across[:, :1]) / np.float32(SIDE * UNIT // 2) - 1,
    }
    return np.broadcast_to(heights[name](), (len(x), SIDE, SIDE))


def _triangle(x: Numbers) -> Array:
    """A wave of period PERIOD pixels between -1 and 1, of straight lines; x in 64ths."""
    quarter = PERIOD * UNIT // 4
    rise: Array = (np.abs(x % (4 * quarter) - 2 * quarter) - quarter).astype(np.float32)
    return rise / np.float32(quarter)


def _covered(look: Look, index: NDArray[np.uint64], first: int) -> Array:
    """The share [N, 16, 16] of each pixel that the shape covers, in 16ths."""
    moved, grown = round(MOVED * UNIT), round(GROWN * UNIT)
    centre = np.array(CENTRES)[look.place] * UNIT  # [N, 2]
    x, y = (
        centre[:, axis] + below(index, first + axis, 2 * moved + 1) - moved for axis in range(2)
    )
    radius = np.array([round(r * UNIT) for r in RADII])[look.size]
    radius += below(index, first + 2, 2 * grown + 1) - grown
    points = np.arange(SIDE * FINE) * (UNIT // FINE) + UNIT // FINE // 2
    dx, dy = (points[None].astype(np.int32) - at[:, None].astype(np.int32) for at in (x, y))
    share = np.empty((len(index), SIDE, SIDE), dtype=np.float32)
    for number, name in enumerate(SHAPES):
        rows = look.shape == number
        inside = _inside(name, dx[rows], dy[rows], radius[rows, None].astype(np.int32))
        share[rows] = _shares(inside)
    return share


def _inside(
    name: str, dx: NDArray[np.int32], dy: NDArray[np.int32], r: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Whether each point [N, 64, 64] is in the shape; dx, dy [N, 64] from its centre, r [N, 1]."""
    along, across, radius = dx[:, None, :], dy[:, :, None], r[:, :, None]
    if name == "circle":
        return along**2 + across**2 <= radius**2
    if name == "square":
        return (np.abs(dx) <= r)[:, None, :] & (np.abs(dy) <= r)[:, :, None]
    if name == "triangle":  # its tip is up, its base as wide as it is high
        return (2 * np.abs(along) <= across + radius) & (np.abs(dy) <= r)[:, :, None]
    bar = r * 5 // 16
    wide, high = np.abs(dx) <= r, np.abs(dy) <= r
    thin, flat = np.abs(dx) <= bar, np.abs(dy) <= bar
    upright = thin[:, None, :] & high[:, :, None]
    return upright | (wide[:, None, :] & flat[:, :, None])


def _shares(inside: NDArray[np.bool_]) -> Array:
    """The share [N, 16, 16] of points [N, 64, 64] that are inside, for each pixel."""
    points = inside.view(np.uint8)
    rows = sum(points[:, i::FINE] for i in range(1, FINE)) + points[:, ::FINE]
    pixels = sum(rows[:, :, i::FINE] for i in range(1, FINE)) + rows[:, :, ::FINE]
    return pixels.astype(np.float32) * np.float32(1 / FINE**2)
