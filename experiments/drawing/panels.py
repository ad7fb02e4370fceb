"""Panels side by side on a page, and one legend above them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.drawing.style import PAGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 3
"""Panels side by side; further ones begin a new line."""


def panels_of(
    n: int, width: float = PAGE[0] / PANELS, height: float = 2.5
) -> "tuple[Figure, list[Axes]]":
    import matplotlib.pyplot as plt

    across, down = min(n, PANELS), -(-n // PANELS)
    figure, grid = plt.subplots(
        down, across, figsize=(width * across, height * down), squeeze=False, layout="constrained"
    )
    for spare in grid.flat[n:]:
        spare.axis("off")
    return figure, list(grid.flat[:n])


def legend(figure: "Figure", panels: "Sequence[Axes]") -> None:
    """One legend for all panels, above them; none where a single nameless line needs none."""
    named = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if named:
        figure.legend(
            list(named.values()),
            list(named),
            loc="outside upper center",
            ncols=_across(named),
            frameon=False,
            fontsize=8,
        )


def _across(names: Sequence[str] | Mapping[str, object]) -> int:
    """Names of a legend that fit into a line of a page."""
    letter, line = 0.5 * 8 / 72, 0.6  # inches: a letter is half of its 8 points wide
    return max(1, min(len(names), int(PAGE[0] / (line + letter * max(map(len, names))))))
