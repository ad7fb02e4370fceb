"""A contact sheet of clips: a prompt in each block, a model in each line, its frames in a row."""

import numpy as np

from experiments.clip_scores import ClipScore
from experiments.drawing.style import FAINT, INK, page, picture, png
from experiments.results import Results
from experiments.samples import Sample

PROMPTS, ACROSS = 6, 2
"""Blocks, and blocks side by side."""
SIDE, GAP, NAMES = 0.36, 0.04, 0.85
"""Inches: of a frame, between two, and of the models' names."""
FRAMES = 9
"""Of a clip, evenly from the first to the last."""


def sheet(results: Results) -> bytes:
    """A PNG: the same held-out prompts, from the same noise, by every model of the first seed."""
    lines = {
        row.name: row.measured.pictures
        for row in results.rows[0]
        if isinstance(row.measured, ClipScore) and isinstance(row.measured.pictures, Sample)
    }
    first = next(iter(lines.values()))
    captions = first.prompts(results.store)[0]
    chosen = _distinct(captions)
    clips = {name: made.images(results.store, max(chosen) + 1) for name, made in lines.items()}
    block = (len(lines) * (SIDE + GAP) + 0.38, FRAMES * (SIDE + GAP) + 0.2)
    down = -(-len(chosen) // ACROSS)
    figure, axes = page(NAMES + ACROSS * block[1], down * block[0] + 0.05)
    for n, prompt in enumerate(chosen):
        top, left = n // ACROSS * block[0], NAMES + n % ACROSS * block[1]
        axes.text(left, top + 0.22, captions[prompt], fontsize=8, color=INK)
        for i, (name, made) in enumerate(clips.items()):
            y = top + 0.3 + i * (SIDE + GAP)
            if n % ACROSS == 0:
                axes.text(0.05, y + SIDE / 2, name, fontsize=7, color=FAINT, va="center")
            frames = np.linspace(0, made.shape[2] - 1, min(FRAMES, made.shape[2])).round()
            for j, frame in enumerate(frames.astype(int)):
                picture(axes, made[prompt, :, frame], left + j * (SIDE + GAP), y, SIDE)
    return png(figure)


def _distinct(captions: list[str]) -> list[int]:
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
