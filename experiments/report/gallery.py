"""What the page shows of samples: prompts and noise of the tables, pictures side by side in a file.

`denoising` and `clips` draw with it, into the results folder of a scale.
"""

import argparse
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from experiments.cli.bounds import named_folder
from experiments.cli.main import reason
from experiments.lab import Lab, StageT
from experiments.pipeline.build import StagesFailed
from experiments.pipeline.files import StoreError
from experiments.pipeline.process import one_thread
from experiments.recipes import experts
from experiments.recipes.scale import ScaleT
from experiments.report.strips import Clips, Denoising, Files
from experiments.stages.prompts import Heldout
from experiments.stages.samples import Images

LOOKED_AT = 200
"""Held-out prompts among which a few are chosen."""
SMALL_SIDE = 16
"""Pictures up to this size are kept pixel by pixel: they are few bytes, and are shown enlarged."""

Choice = Callable[[list[str], NDArray[np.int64]], Sequence[int]]
"""Of captions and their labels, the rows that are shown."""


class Noting(Lab):
    """A lab that notes what it takes from the store, until it is asked."""

    remedy = "--train makes what is missing"
    taken: frozenset[str] = frozenset()

    def made(self, stage: StageT) -> StageT:
        self.taken |= {f"{stage.kind}/{stage.key}"}
        return super().made(stage)

    def noted(self) -> list[str]:
        taken, self.taken = self.taken, frozenset()
        return sorted(taken)


@dataclass(frozen=True)
class Starts:
    """Rows of the tables' samples: their place in the held-out split, captions, labels [n] and
    noise [n, *latent]."""

    rows: Sequence[int]
    captions: list[str]
    labels: NDArray[np.int64]
    noise: Tensor


def starts(lab: Lab, choice: Choice) -> Starts:
    """Of the first held-out prompts those chosen, with the noise that the tables give them."""
    heldout = lab.made(experts.corpus(lab.scale, lab.scale.data.source).heldout)
    captions, labels = Heldout(LOOKED_AT).read(heldout.captions(lab.store))
    rows = [*choice(captions, labels)]
    return Starts(rows, [captions[i] for i in rows], labels[rows], lab.noise(LOOKED_AT)[rows])


def packed(lines: Sequence[Images]) -> bytes:
    """A WebP: pictures [N, C, H, W] in [-1, 1] side by side, a line of them for each moment."""
    joined = np.concatenate([np.concatenate([*line], axis=-1) for line in lines], axis=-2)
    pixels = np.round((joined.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    shown = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    return webp(shown, "RGB", lossless=lines[0].shape[-1] <= SMALL_SIDE)


def webp(pixels: NDArray[np.uint8], mode: str, lossless: bool = True) -> bytes:
    """A file of pixels [H, W] or [H, W, channels]."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(content, "WEBP", lossless=lossless, quality=80)
    return content.getvalue()


def command(
    name: str,
    about: str,
    scales: Mapping[str, ScaleT],
    draw: Callable[[Noting, str], tuple[Denoising | Clips, Files]],
    arguments: Sequence[str] | None,
    recipe: Callable[[ScaleT], ScaleT] = lambda scale: scale,
) -> int:
    """Draw with the networks of a store: 0 when it is done, 1 where networks are missing or files
    cannot be written.

    draw: with a lab, for a scale of that name.  recipe: of the networks, from a scale.
    """
    options = argparse.ArgumentParser(prog=name, description=about, allow_abbrev=False)
    options.add_argument("--scale", default="small", choices=[*scales])
    options.add_argument(
        "--results", type=named_folder, default=Path("results"), help="folder of tables"
    )
    options.add_argument("--store", default="store", help="where networks lie, or are made")
    options.add_argument("--train", action="store_true", help="make the networks that are missing")
    read = options.parse_args(arguments)
    one_thread()  # the same pictures on any number of cores, as tables' samples are
    try:
        lab = Noting(recipe(scales[read.scale]), store=read.store, train=read.train)
        shown, files = draw(lab, read.scale)
        print(shown.write(read.results / read.scale, files))
    except (StoreError, OSError, StagesFailed) as error:
        print(f"{name}: {reason(error, read.store)}", file=sys.stderr)
        return 1
    return 0
