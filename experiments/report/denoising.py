"""results/<scale>/denoising: samples at moments of their denoising, for the slider of the page.

Drawn with the networks of the tables, from the noise of the tables, for held-out captions, by
Euler's steps: what stands at t = 0 is a table's own sample. `make denoising` draws them.
"""

import argparse
import io
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.encoders.encoder import CPU
from experiments.hddm import settings
from experiments.hddm.variants import DDPM_CLUSTERS, HETEROGENEOUS, ROUTERS, STRATEGIES
from experiments.lab import Lab, StageT
from experiments.pipeline.files import StoreError, write_whole
from experiments.pipeline.provenance import commit
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.report.strips import FOLDER, Denoising, SliderStop, Strip, View
from experiments.stages.prompts import Heldout
from experiments.stages.samples import Images
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.guard import Guard
from modules.guidance import Guide
from modules.objectives import Velocity
from modules.sampling import euler, uniform
from modules.selection import Top
from modules.solvers import Fresh, guided_field
from modules.text import Text

MOMENTS = 9
"""Of which a slider has a place each, noise and sample among them."""
ACROSS = 10
"""Prompts at most, of as many classes as there are."""
LOOKED_AT = 200
"""Held-out prompts among which the first of each class are looked for."""
SMALL_SIDE = 16
"""Pictures up to this size are kept pixel by pixel: they are few bytes, and are shown enlarged."""


@dataclass
class Watched:
    """Euler's steps, and what is there at each moment.

    seen: (t, evaluations before it, x_t, the estimate of x0), of the field that is integrated.
    """

    native: ClassVar[bool] = False
    moments: int = MOMENTS
    seen: list[tuple[float, int, Tensor, Tensor]] = field(default_factory=list)

    def times(self, expert: Expert, guard: Guard, steps: int) -> Tensor:
        return uniform(steps)[:-1]

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: Guide, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        velocity, grid, step = guided_field(ensemble, c, scale), uniform(steps), itertools.count()
        kept = {round(i * steps / (self.moments - 1)) for i in range(self.moments)}

        def watched(x: Tensor, t: Tensor) -> Tensor:
            u = velocity(x, t)
            if (i := next(step)) in kept:
                x0, _ = Velocity().recover(ensemble.path, u, x, t)
                self.seen.append((float(grid[i]), i, x, x0))
            return u

        x = euler(watched, x, grid)
        self.seen.append((float(grid[-1]), steps, x, x))
        return x


@dataclass(frozen=True)
class Starts:
    """Rows of the tables' samples: their captions, labels [n] and noise [n, *latent]."""

    captions: list[str]
    labels: NDArray[np.int64]
    noise: Tensor


def starts(lab: Lab) -> Starts:
    """The first held-out prompt of each class, or the first ones where a class says more."""
    heldout = lab.made(experts.corpus(lab.scale, lab.scale.data.source).heldout)
    captions, labels = Heldout(LOOKED_AT).read(heldout.captions(lab.store))
    first = np.unique(labels, return_index=True)[1]
    rows = first if 1 < len(first) <= ACROSS else np.arange(ACROSS)
    noise = lab.noise(LOOKED_AT)[torch.from_numpy(rows)]
    return Starts([captions[i] for i in rows], labels[rows], noise)


class Noting(Lab):
    """A lab that notes what it takes from the store, until it is asked."""

    taken: frozenset[str] = frozenset()

    def made(self, stage: StageT) -> StageT:
        self.taken |= {f"{stage.kind}/{stage.key}"}
        return super().made(stage)

    def noted(self) -> list[str]:
        taken, self.taken = self.taken, frozenset()
        return sorted(taken)


def methods(lab: Lab) -> Iterator[tuple[str, Ensemble]]:
    """The rows of Table 1, and 2DDPM:6FM, by the names that the page gives them."""
    yield "Monolith", lab.alone(lab.monolith())
    for router in reversed(ROUTERS):
        for name, selection in STRATEGIES.items():
            yield f"{name}, {router}", lab.ensemble(selection, router=router)
    clusters = range(lab.scale.data.clusters)
    mixed = lab.ensemble(Top(2), {k: "ddpm" for k in DDPM_CLUSTERS if k in clusters})
    yield f"{HETEROGENEOUS}, Top-2, text-aware", mixed


def drawn(lab: Noting, name: str, folder: Path) -> Denoising:
    """Draw every method's strips into the results folder of a scale, and say what they show."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    asked, judge, strips = starts(lab), lab.made(scores.judge(lab.scale)), list[Strip]()
    lab.noted()
    for method, ensemble in methods(lab):
        watched = Watched()
        lab.draw(ensemble, asked.captions, solver=watched, noise=asked.noise)
        lines = {
            View.ESTIMATE: [_decoded(lab, x0) for _, _, _, x0 in watched.seen],
            View.STATE: [_decoded(lab, x) for _, _, x, _ in watched.seen],
        }
        read = [judge.wrong(lab.store, x, asked.labels) for x in lines[View.ESTIMATE]]
        obeyed = [int((~wrong).sum()) for wrong in read if wrong is not None]
        files = {view.value: f"{len(strips)}-{view.value}.webp" for view in lines}
        for view, each in lines.items():
            write_whole(folder / FOLDER / files[view.value], packed(each))
        strips.append(Strip(method, files, obeyed, lab.noted()))
    height, width = lines[View.STATE][0].shape[-2:]
    moments = [SliderStop(t, i) for t, i, _, _ in watched.seen]
    line = asked.captions, moments, len(asked.captions) * width, height
    return Denoising(name, lab.seed, commit(), *line, strips)


def _decoded(lab: Lab, latents: Tensor) -> Images:
    return lab.scale.data.latents.decode(latents.numpy(), CPU)


def packed(lines: Sequence[Images]) -> bytes:
    """A WebP: pictures [N, C, H, W] in [-1, 1] side by side, a line of them for each moment."""
    from PIL import Image

    joined = np.concatenate([np.concatenate([*line], axis=-1) for line in lines], axis=-2)
    pixels = np.round((joined.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    shown = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    content, small = io.BytesIO(), lines[0].shape[-1] <= SMALL_SIDE
    Image.fromarray(shown).convert("RGB").save(content, "WEBP", lossless=small, quality=80)
    return content.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the strips are drawn, 1 where networks are missing or files cannot be written."""
    options = argparse.ArgumentParser(prog="denoising", description=__doc__, allow_abbrev=False)
    options.add_argument("--scale", default="small", choices=[*SCALES])
    options.add_argument("--results", type=Path, default=Path("results"), help="folder of tables")
    options.add_argument("--store", default="store", help="where networks lie, or are made")
    options.add_argument("--train", action="store_true", help="make the networks that are missing")
    read = options.parse_args(arguments)
    folder = read.results / read.scale
    try:
        lab = Noting(settings.matched(SCALES[read.scale]), store=read.store, train=read.train)
        drawn(lab, read.scale, folder).write(folder)
    except (StoreError, OSError) as error:
        print(f"denoising: {error}", file=sys.stderr)
        return 1
    print(folder / FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
