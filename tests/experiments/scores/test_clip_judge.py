"""The judge of clips: what it learns from, whether it learns, and the names of its numbers."""

import numpy as np
import pytest
import torch

from datamodules.sources.source import Split
from experiments.recipes import scores
from experiments.recipes.video import VIDEO_SCALES
from experiments.scores.clips import AESTHETIC, BEGINS, CLIP, FVD, METRICS, MOTION
from experiments.scores.moving_digits import CONFIDENCE
from metrics.clip_judge import MovingJudge, train_judge

SCALE = VIDEO_SCALES["smoke"]
JUDGE = scores.judge(SCALE)


def test_no_number_carries_a_published_name():
    """kills: `FVD` for a distance of another network's features."""
    titles = [c.title for column in METRICS for c in JUDGE.columns_for(column)]
    assert "FVD (moving-digit features)" in titles
    assert not {FVD.title, CLIP.title, AESTHETIC.title, MOTION.title} & set(titles)
    assert JUDGE.columns_for(BEGINS) == (BEGINS,)
    assert JUDGE.preferred is CONFIDENCE


def test_the_judge_learns_from_its_own_split(monkeypatch):
    """kills: a judge that has seen what experts or scores are made of."""
    seen, real = [], type(SCALE.data.source).draw

    def draw(self, split, *rest):
        seen.append(split)
        return real(self, split, *rest)

    monkeypatch.setattr(type(SCALE.data.source), "draw", draw)
    clips, digits, motions = JUDGE._batch(torch.Generator().manual_seed(0))
    assert seen == [Split.JUDGE]
    assert clips.shape == (64, 1, 9, 12, 12)
    assert digits.max() < 10
    assert motions.max() < 8
    assert len(set(motions.tolist())) == 8


def test_a_judge_learns_what_it_is_shown():
    """kills: a loss of one answer alone, answers exchanged, frames read out of order."""

    def draw(g):
        seen, moving = torch.randint(0, 2, (2, 32), generator=g)
        ramp = torch.linspace(-1, 1, 3) * (2 * moving[:, None] - 1)  # brighter, or darker, in time
        x = ramp.view(-1, 1, 3, 1, 1).repeat(1, 1, 1, 8, 8)
        x[:, :, :, :4] += 2.0 * seen.view(-1, 1, 1, 1, 1)
        return x, seen, moving

    judge = train_judge(draw, (1, 3, 8, 8), 2, 2, 40, 0)
    x, seen, moving = draw(torch.Generator().manual_seed(9))
    found = judge.read(x.numpy(), batch=5)
    assert np.array_equal(found.object.argmax(1), seen)
    assert np.array_equal(found.motion.argmax(1), moving)
    np.testing.assert_allclose(found.object.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(found.features, judge.read(x.numpy()).features, atol=1e-4)
    with pytest.raises(ValueError, match="side 4 n"):
        MovingJudge((1, 3, 10, 10), 2, 2)
