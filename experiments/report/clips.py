"""results/<scale>/clips: the same prompts and noise by every model of Paris 2.0's Table 1, to play.

Drawn with the networks of the table, from its noise, for held-out captions, and beside them the
held-out clips that the captions are of. `make clips` draws them.
"""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU
from experiments.drawing.clips import distinct
from experiments.lab import Lab
from experiments.paris2.table1 import STRATEGIES
from experiments.pipeline.provenance import commit
from experiments.recipes import experts
from experiments.recipes.video import VIDEO_SCALES
from experiments.report import gallery
from experiments.report.gallery import Noting, Starts, packed, starts
from experiments.report.strips import Clips, Files, Strip, View
from experiments.stages.samples import Images


def told_apart(captions: list[str], _: NDArray[np.int64]) -> Sequence[int]:
    """Prompts of another motion and another subject each."""
    return distinct(captions)


def clips(lab: Lab, asked: Starts) -> Iterator[tuple[str, Images]]:
    """Clips [N, C, T, H, W] of the prompts by each model, and the held-out ones."""
    heldout = lab.made(experts.corpus(lab.scale, lab.scale.data.source).heldout)
    latents = heldout.array(lab.store, "latents")
    rows = [i % len(latents) for i in asked.rows]
    yield "Held-out clips", lab.scale.data.latents.decode(latents[rows], CPU)
    alone = lab.alone(lab.monolith())
    yield "Monolith", lab.draw(alone, asked.captions, noise=asked.noise)
    for name, selection in STRATEGIES.items():
        mixed = lab.ensemble(selection)
        yield f"DDM, {name}", lab.draw(mixed, asked.captions, noise=asked.noise)


def drawn(lab: Noting, name: str) -> tuple[Clips, Files]:
    """Draw each model's strip for a scale of that name: what they show, and their files."""
    asked, strips, files = starts(lab, told_apart), list[Strip](), dict[str, bytes]()
    lab.noted()
    for model, made in clips(lab, asked):
        file = f"{len(strips)}.webp"
        files[file] = packed([*made.transpose(2, 0, 1, 3, 4)])
        strips.append(Strip(model, {View.SAMPLE.value: file}, (), lab.noted()))
    frames, height, width = made.shape[-3:]
    size = len(asked.captions) * width, height
    return Clips(name, lab.seed, commit(), asked.captions, frames, *size, strips), files


def main(arguments: Sequence[str] | None = None) -> int:
    return gallery.command("clips", str(__doc__), VIDEO_SCALES, drawn, arguments)


if __name__ == "__main__":
    sys.exit(main())
