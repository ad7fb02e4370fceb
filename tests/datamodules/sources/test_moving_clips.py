"""What is drawn of moving digits: as their captions say, splits apart, motion that flow sees."""

import numpy as np
import pytest
import torch

from datamodules.sources.digits import WORDS, Digits
from datamodules.sources.moving_digits import CAPTIONS, MOTIONS, SCENES, MovingDigits, caption
from datamodules.sources.source import RecordCounts, Split
from metrics.networks.flow import Flow
from metrics.pixels import to_uint8
from tests.helpers.small_video import centroid, seeded

SOURCE = MovingDigits(clips=60, judged=40, held=48)
FRAMES = SOURCE.frames


def test_captions_say_digit_and_motion():
    """kills: an article, or digit and motion exchanged in a label."""
    assert len(set(CAPTIONS)) == len(CAPTIONS) == 80 == SOURCE.classes
    assert caption(8 * len(MOTIONS)) == "an eight moving left"
    assert caption(3 * len(MOTIONS) + 7) == "a three turning right, the camera panning"
    assert [motion.scene for motion in MOTIONS] == [0, 0, 0, 0, 1, 1, 2, 2]


def test_clips_are_what_their_captions_say():
    """kills: a label of another row, motion of another scene, a digit of another class."""
    drawn = SOURCE.draw(Split.TRAIN, range(SCENES), 120, seeded())
    scene, labels = drawn.scene.numpy(), drawn.labels.numpy()
    assert np.array_equal(SOURCE.cluster(labels), scene)
    assert np.array_equal(scene, np.arange(120) % 3)
    for i in np.flatnonzero(scene == 0):
        motion = MOTIONS[labels[i] % len(MOTIONS)]
        clip = (drawn.clips[i, 0].double().numpy() + 1) / 2
        along = centroid(clip)[-1] - centroid(clip)[0]
        np.testing.assert_allclose(along, [4 * motion.dx, 4 * motion.dy], atol=1e-3)
        assert f" {WORDS[labels[i] // len(MOTIONS)]} {motion.words}" in CAPTIONS[labels[i]]


def test_a_clip_shows_a_digit_of_its_class():
    """kills: classes and pictures of different rows."""
    read = SOURCE.digits.read(Split.TRAIN)
    drawn = SOURCE.draw(Split.TRAIN, [0], 40, seeded(1))
    middle = (drawn.clips[:, 0, FRAMES // 2].numpy() + 1) / 2
    ink = (read.images[:, 0] + 1) / 2
    for frame, label in zip(middle, drawn.labels.numpy(), strict=True):
        total = np.abs(ink.sum(axis=(1, 2)) - frame.sum())
        assert label // len(MOTIONS) in read.labels[total < 1e-3]


def test_motions_and_digits_are_drawn_alike():
    """kills: a motion never drawn, or one by the number that says which digit."""
    labels = SOURCE.draw(Split.TRAIN, [0], 4000, seeded()).labels
    counts = torch.bincount(labels % len(MOTIONS), minlength=8)
    assert (counts[:4] - 1000).abs().max() < 120  # 4 deviations
    assert counts[4:].sum() == 0
    table = torch.zeros(10, 4).index_put_(
        (labels // len(MOTIONS), labels % 4), torch.ones(4000), accumulate=True
    )
    expected = table.sum(1, keepdim=True) * table.sum(0) / 4000
    assert float(((table - expected) ** 2 / expected).sum()) < 60  # chi square of 27, p < 3e-4


@pytest.mark.parametrize("scenes", [[0], [1], [2], [2, 0]])
def test_a_clusters_draw_is_of_its_scene_alone(scenes):
    """kills: a clip of another cluster among those an expert learns from."""
    drawn = SOURCE.draw(Split.TRAIN, scenes, 30, seeded())
    assert set(SOURCE.cluster(drawn.labels.numpy())) == set(scenes)
    assert drawn.scene.tolist() == (scenes * 30)[:30]


def test_what_is_drawn_is_a_function_of_the_generator():
    """kills: numbers from the global generator, or a seed that is used again."""
    state = torch.get_rng_state()
    g = seeded(5)
    one, two = (SOURCE.draw(Split.TRAIN, [0, 1], 6, g) for _ in range(2))
    again = SOURCE.draw(Split.TRAIN, [0, 1], 6, seeded(5))
    assert torch.equal(one.clips, again.clips)
    assert torch.equal(one.labels, again.labels)
    assert not torch.equal(one.clips, two.clips)
    assert torch.equal(torch.get_rng_state(), state)
    assert one.clips.dtype == torch.float32
    assert float(one.clips.abs().max()) <= 1


def test_splits_share_no_digit(monkeypatch):
    """kills: a judge or a held-out clip that shows a digit of training."""
    digits, asked, real = Digits(900, 500, 397, set_apart=0), [], Digits.read
    keys = [set(digits.read(split).keys) for split in Split]
    assert [len(some) for some in keys] == [900, 500, 397]
    assert len(set.union(*keys)) == 1797
    monkeypatch.setattr(
        Digits, "read", lambda self, split: asked.append(split) or real(self, split)
    )
    source = MovingDigits(digits=digits)
    for split in Split:
        source.draw(split, [0], 4, seeded())
        source.draw(split, [0], 4, seeded())
    assert asked == [*Split]  # each its own, and once


def test_a_split_that_ends_is_fixed_and_its_own():
    """kills: one seed for all splits, clips out of turn, captions of other rows."""
    read = {split: SOURCE.read(split) for split in Split}
    assert [len(records.keys) for records in read.values()] == [60, 40, 48]
    held = read[Split.HELDOUT]
    assert np.array_equal(SOURCE.read(Split.HELDOUT).images, held.images)
    assert held.captions == [CAPTIONS[label] for label in held.labels]
    assert SOURCE.cluster(held.labels).tolist() == [0, 1, 2] * 16
    poses_alike = [read[s].labels[:40] % len(MOTIONS) for s in Split]
    assert not any(np.array_equal(poses_alike[0], other) for other in poses_alike[1:])
    refused = RecordCounts()
    parts = list(SOURCE.batches(Split.HELDOUT, "clips", 32, refused))
    assert [len(part.keys) for part in parts] == [32, 16]
    assert np.array_equal(np.concatenate([part.images for part in parts]), held.images)
    with pytest.raises(ValueError, match="no part"):
        next(SOURCE.batches(Split.HELDOUT, "frames", 32, refused))


def test_optical_flow_sees_the_speed():
    """kills: clips whose motion no flow can follow, or of another speed than told."""
    drawn = SOURCE.draw(Split.HELDOUT, [0], 16, seeded(2))
    scores = Flow(2).scores(to_uint8(drawn.clips.numpy()))
    assert scores.speed.mean() == pytest.approx(0.5, abs=0.1)
    shuffled = drawn.clips[:, :, [0, 5, 2, 7, 4, 1, 6, 3, 8]]
    torn = Flow(2).scores(to_uint8(shuffled.numpy()))
    assert scores.warping_error.mean() < min(0.005, 0.8 * torn.warping_error.mean())
