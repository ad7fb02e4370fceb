"""Which pictures of a sample set are looked at."""

from types import SimpleNamespace

import numpy as np

from experiments.drawing import pictures
from experiments.scores.score import Score


def test_pictures_of_no_class_are_spread_over_the_first_batch(store):
    """kills: the first of a list, which are all faces; a picture under another's caption; every
    picture read where a few are shown."""
    asked = []

    def images(_, first):
        asked.append(first)
        return np.arange(first, dtype=np.float32)[:, None, None, None]

    captions = [f"caption {i}" for i in range(300)]
    sample = SimpleNamespace(prompts=lambda _: (captions, np.full(300, -1)), images=images)
    judge = SimpleNamespace(classifies=False, wrong=lambda *_: None)
    drawn = pictures.album(Score(sample, judge), store)
    assert asked == [40]
    assert [int(cell.image.item()) for cell in drawn.cells] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert [cell.caption for cell in drawn.cells] == [f"caption {i}" for i in range(0, 40, 5)]
    assert len(drawn.labels) == 8
    captions = captions[:12]
    few = SimpleNamespace(prompts=lambda _: (captions, np.full(12, -1)), images=images)
    assert len(pictures.album(Score(few, judge), store).cells) == 8
