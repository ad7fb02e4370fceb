"""The grid of samples: what it shows, where, and which pictures it frames."""

import io
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
from test_report import Judge

from experiments import pictures
from experiments.report import Row


def test_the_picture_shows_one_sample_a_class_and_row(store):
    """kills: another sample under a caption, rows swapped, a misread picture without its frame, or
    a picture that differs run by run."""
    labels, captions = np.array([1, 0, 0, 1]), ["one a", "zero a", "zero b", "one b"]

    def draw(*changes, pixel=3):
        def row(i):
            images = np.full((4, 1, 8, 8), -1.0, dtype=np.float32)
            images[:, 0, 0, 0] = labels
            for which, j in changes:
                if which == i:
                    images[j, 0, pixel, pixel] = 1 - images[j, 0, pixel, pixel]
            sample = SimpleNamespace(prompts=lambda: (captions, labels), images=lambda _: images)
            score = SimpleNamespace(pictures=sample, judge=Judge())
            return Row({"Strategy": f"row {i}"}, None, score)

        return pictures.sample_grid([row(0), row(1)], store)

    def red(picture):
        pixels = plt.imread(io.BytesIO(picture))[..., :3]
        return int((np.ptp(pixels, axis=2) > 0.5).sum())

    blank = draw()
    assert blank == draw() == draw((0, 2), (1, 3), pixel=0)
    shown = {draw(change) for change in [(0, 0), (0, 1), (1, 0), (1, 1)]}
    assert len(shown | {blank}) == 5
    assert [red(picture) for picture in (blank, *shown)] == [0] * 5
    assert red(draw((1, 0), (0, 1), pixel=0)) == 2 * red(draw((1, 0), pixel=0)) > 0
