"""A contact sheet of clips: a prompt in each block, a model in each line, its frames in a row."""

import numpy as np

from experiments.drawing.style import FAINT, INK, PAGE, page, picture, png
from experiments.drawing.words import inches
from experiments.scores.score import Score
from experiments.stages.samples import Images, Sample
from experiments.tables.results import Results

PROMPTS, ACROSS = 6, 2
"""Blocks, and blocks side by side."""
MOST, GAP, BETWEEN = 0.36, 0.04, 0.2
"""Inches: of a frame at most, between two, and between blocks."""
NAME = 7.0
"""Points of a model's name."""
FRAMES = 9
"""Of a clip, evenly from the first to the last."""
GIVEN = "First frame given"


def sheet(results: Results) -> bytes:
    """A PNG: the same held-out prompts, from the same noise, by every model of the first seed."""
    lines = {
        row.name: row.measured.pictures
        for row in results.rows[0]
        if isinstance(row.measured, Score) and isinstance(row.measured.pictures, Sample)
    }
    asked = next(iter(lines.values()))
    captions = asked.prompts(results.store)[0]
    chosen = distinct(captions)
    clips = {name: made.images(results.store, max(chosen) + 1) for name, made in lines.items()}
    if any(made.first for made in lines.values()):
        begun = asked.beginnings(results.store)
        assert begun is not None
        clips = {GIVEN: begun[:, :, None], **clips}
    return _draw([captions[i] for i in chosen], {n: made[chosen] for n, made in clips.items()})


def _draw(captions: list[str], clips: dict[str, Images]) -> bytes:
    """clips: of each line [N, C, T, H, W], one for every caption."""
    margin = 0.15 + max(inches(name, NAME) for name in clips)
    side = min(MOST, ((PAGE[0] - margin) / ACROSS - BETWEEN) / FRAMES - GAP)
    block = (len(clips) * (side + GAP) + 0.38, FRAMES * (side + GAP) + BETWEEN)
    down = -(-len(captions) // ACROSS)
    figure, axes = page(margin + ACROSS * block[1], down * block[0] + 0.05)
    for n, caption in enumerate(captions):
        top, left = n // ACROSS * block[0], margin + n % ACROSS * block[1]
        axes.text(left, top + 0.22, caption, fontsize=8, color=INK)
        for i, (name, made) in enumerate(clips.items()):
            y = top + 0.3 + i * (side + GAP)
            if n % ACROSS == 0:
                axes.text(0.05, y + side / 2, name, fontsize=NAME, color=FAINT, va="center")
            frames = np.linspace(0, made.shape[2] - 1, min(FRAMES, made.shape[2])).round()
            for j, frame in enumerate(frames.astype(int)):
                picture(axes, made[n, :, frame], left + j * (side + GAP), y, side)
    return png(figure)


def distinct(captions: list[str]) -> list[int]:
    """Rows whose captions end differently: another motion each, and another subject."""
    rows: list[int] = []
    for i, caption in enumerate(captions):
        words = caption.split()
        others = [captions[row].split() for row in rows]
        if all(words[2:] != other[2:] and words[1] != other[1] for other in others):
            rows.append(i)
        if len(rows) == PROMPTS:
            break
    return rows or [0]
