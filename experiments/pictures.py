"""Grids of samples: the same prompts and noise down each column, one strategy a row."""

import io
import textwrap
from collections.abc import Mapping

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from experiments.evaluation import Score
from experiments.results import Results
from experiments.store import Store
from metrics.embedded import judged


def sample_grid(results: Results) -> bytes:
    """A PNG: one picture a class and row, for the first held-out caption of each class.

    A red frame is a picture in which the judge reads another digit than the caption names.
    """
    store = results.store
    scores = {
        "\n".join(value for value in row.names.values() if value): row.measured
        for row in results.rows[0]
        if isinstance(row.measured, Score)
    }
    return grid(scores, store)


def grid(scores: Mapping[str, Score], store: Store) -> bytes:
    """The PNG of `sample_grid` for any scores, by the name to stand beside their row."""
    captions, labels = next(iter(scores.values())).pictures.prompts()
    columns = [int(np.flatnonzero(labels == k)[0]) for k in np.unique(labels)]
    figure, axes = plt.subplots(
        len(scores),
        len(columns),
        figsize=(1.0 * len(columns) + 2.2, 1.0 * len(scores) + 0.6),
        squeeze=False,
        gridspec_kw={"wspace": 0.08, "hspace": 0.06},
    )
    for i, (name, score) in enumerate(scores.items()):
        images = score.pictures.images(store)
        _, read = judged(score.judge.load(store), images)
        for j, column in enumerate(columns):
            axis = axes[i, j]
            axis.imshow(images[column, 0], cmap="gray_r", vmin=-1, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            if read[column] != labels[column]:
                plt.setp(axis.spines.values(), color="red", linewidth=2)
            if i == 0:
                axis.set_title(textwrap.fill(captions[column], 12), fontsize=8)
        axes[i, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    figure.text(
        0.9,
        0.06,
        "red: the judge reads another digit than the caption names",
        ha="right",
        fontsize=8,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()
