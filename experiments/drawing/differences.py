"""Samples beside what differs in them from the first row's, from the same prompts and noise.

Rows of a comparison on one noise are pictures that look alike; what parts them is shown by itself.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.drawing.pictures import Album, album
from experiments.drawing.sheet import Cell, PictureRow, sheet
from experiments.drawing.style import COLOURS
from experiments.pipeline.store import Store
from experiments.scores.score import Score
from experiments.tables.comparisons import RowAbsentError
from experiments.tables.results import Results

SHOWN, EVERY, SIDE = 4, 2, 0.52
"""Samples of a row, one of so many classes, and inches of a side: two groups fill a page's width.
"""
FULL = 0.99
"""The share of the differences that are paler than the full colour: one row may dwarf all others'.
"""
BELOW, ABOVE = COLOURS[0], COLOURS[1]


def differences(results: Results, shows: Callable[..., bool]) -> bytes:
    """A PNG of seed 0's rows whose names `shows` accepts, against the first of them.

    RowAbsentError where there is none.
    """
    shown = {
        row.name: row.measured
        for row in results.rows[0]
        if isinstance(row.measured, Score) and shows(*row.names.values())
    }
    if not shown:
        raise RowAbsentError(f"{results.table.name} has none of the rows that its figure shows")
    return from_first(shown, results.store)


def from_first(scores: Mapping[str, Score], store: Store) -> bytes:
    """A PNG: the samples of each score, and how far they lie above or below the first score's."""
    albums = {name: album(score, store) for name, score in scores.items()}
    reference, *others = albums
    apart = {name: _apart(albums[name], albums[reference]) for name in others}
    rows = albums[reference].by_class()[: SHOWN * EVERY : EVERY]
    sizes = [np.abs(each[rows]).ravel() for each in apart.values()]
    most = float(np.quantile(np.concatenate(sizes), FULL)) if sizes else 0.0
    lines = [PictureRow(reference, [albums[reference][rows], []])]
    for name, each in apart.items():
        size = float(np.sqrt(np.mean(each**2)))
        maps = [Cell(coloured(each[i], most), "") for i in rows]
        lines.append(PictureRow(f"{name} ({size:.2f})", [albums[name][rows], maps]))
    note = (
        f"difference: orange above, blue below, full colour from {most:.2f} on, of a range of 2;\n"
        f"in brackets its root mean square over the first {len(albums[reference].cells)} samples"
    )
    return sheet(lines, ("samples", f"less {reference}"), side=SIDE, note=note)


def _apart(pictures: Album, reference: Album) -> NDArray[np.float32]:
    """How far each picture [N, H, W] lies above the reference's, its channels averaged."""
    both = zip(pictures.cells, reference.cells, strict=True)
    return np.stack([(a.image - b.image).mean(axis=0) for a, b in both])


def coloured(apart: NDArray[np.float32], most: float) -> NDArray[np.float32]:
    """A picture [3, H, W] in [-1, 1] of signed differences [H, W]: white at 0, and the full colour
    of its side at `most`."""
    from matplotlib.colors import to_rgb

    share = np.clip(np.abs(apart) / (most or 1.0), 0, 1)[None]
    sides = [np.array(to_rgb(name), dtype=np.float32)[:, None, None] for name in (ABOVE, BELOW)]
    full = np.where(apart[None] > 0, *sides)
    return (2 * (1 - share * (1 - full)) - 1).astype(np.float32)


def among(*names: Sequence[str]) -> Callable[..., bool]:
    """Accepts rows whose names begin with any of these."""
    return lambda *row: any(row[: len(each)] == tuple(each) for each in names)
