"""What all figures share: colours that the colour-blind tell apart, and bytes that repeat."""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.tables.results import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

os.environ["MPLBACKEND"] = "Agg"  # no window; matplotlib is imported where something is drawn

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, without the yellow that white paper swallows, in the order of use."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 1.5)), (0, (2, 1.2)), (0, (6, 1, 1, 1)), (0, (1, 1)), (0, (9, 2)), "-")
"""With the markers, so that lines that run together, or are printed grey, are told apart."""
PAGE = (7.2, 9.7)
"""Inches that a figure may have on a printed page."""
INK, FAINT = "#222222", "#7f7f7f"
DPI = 150
"""Pixels an inch: a figure of 7 inches is a little wider than the README shows it."""


def tidy(axes: "Axes") -> None:
    """Two spines, a faint grid, small figures."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", labelsize=8, color=FAINT)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def png(figure: "Figure") -> bytes:
    """The figure as PNG bytes, the same at every call: no date, no version. It is closed."""
    import matplotlib.pyplot as plt

    pixels = _saved(figure, "png", {"Software": None})
    plt.close(figure)
    return pixels


def chart(figure: "Figure") -> Chart:
    """The figure as a PNG and an SVG, each the same bytes at every call. It is closed.

    Letters are outlines: a reader's machine may not have the font that they were placed in.
    """
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "figure", "svg.fonttype": "path"}):
        vector = _saved(figure, "svg", {"Date": None, "Creator": None})
    return Chart(png(figure), vector)


def _saved(figure: "Figure", form: str, metadata: Mapping[str, None]) -> bytes:
    """The bytes of a figure. metadata: what matplotlib would say of itself, left out."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format=form,
        dpi=DPI,
        bbox_inches="tight",
        pad_inches=0.08,
        facecolor="white",
        metadata=dict(metadata),
    )
    return buffer.getvalue()


def page(width: float, height: float) -> "tuple[Figure, Axes]":
    """An empty figure whose axes count inches, x to the right and y down."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return figure, axes


def picture(axes: "Axes", image: NDArray[np.float32], x: float, y: float, side: float) -> None:
    """A picture [C, H, W] in [-1, 1] on a `page`, its top left corner at (x, y).

    One channel is ink on paper, -1 blank; three are red, green and blue. ValueError for others.
    """
    if image.shape[0] not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels, not {image.shape[0]}")
    grey = image.shape[0] == 1
    shown = image[0] if grey else np.clip((image.transpose(1, 2, 0) + 1) / 2, 0, 1)
    limits = axes.axis()
    axes.imshow(
        shown,
        cmap="gray_r" if grey else None,
        vmin=-1,
        vmax=1,
        extent=(x, x + side, y + side, y),
        interpolation="nearest" if image.shape[1] < 64 else "antialiased",
        aspect="auto",
    )
    axes.axis(limits)


@dataclass(frozen=True)
class Box:
    """A rounded box on a page, in inches from its top left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height

    def draw(
        self, axes: "Axes", words: str, colour: str, size: float = 8, pale: bool = False
    ) -> None:
        """The box in its colour with words in its middle; pale where nothing happens in it."""
        from matplotlib.patches import FancyBboxPatch

        alpha = 0.3 if pale else 1.0
        axes.add_patch(
            FancyBboxPatch(
                (self.x, self.y),
                self.width,
                self.height,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=(colour, 0.06 if pale else 0.13),
                edgecolor=(colour, alpha),
                linewidth=1.1,
            )
        )
        x, y = self.x + self.width / 2, self.y + self.height / 2
        write(axes, words, x, y, size, INK if not pale else "#aaaaaa")


def write(axes: "Axes", words: str, x: float, y: float, size: float, colour: str = INK) -> None:
    axes.text(x, y, words, ha="center", va="center", fontsize=size, color=colour, linespacing=1.35)


def arrow(
    axes: "Axes",
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = INK,
    width: float = 1.0,
    bend: str = "arc3",
) -> None:
    """An arrow between two places of a page."""
    style = {"arrowstyle": "-|>", "color": colour, "lw": width, "mutation_scale": 9}
    line = {"connectionstyle": bend, "shrinkA": 1.5, "shrinkB": 1.5}
    axes.annotate("", end, start, arrowprops={**style, **line})
