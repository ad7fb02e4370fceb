"""A heat map that can be read as a table: each cell is shaded by its number, and says it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.drawing.style import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALL = 7.5


def heat_map(
    axes: "Axes",
    numbers: NDArray[np.float64],
    shades: NDArray[np.float64],
    show: Callable[[float], str],
    rows: Sequence[str],
    columns: Sequence[str],
) -> None:
    """numbers [rows, columns] as `show` writes them, on their shades of the same shape: white at
    0, dark at 1."""
    axes.imshow(shades, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (i, j), number in np.ndenumerate(numbers):
        colour = "white" if shades[i, j] > 0.5 else INK
        axes.text(j, i, show(number), ha="center", va="center", fontsize=SMALL, color=colour)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
