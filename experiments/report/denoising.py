"""results/<scale>/denoising: samples at moments of their denoising, for the slider of the page.

Drawn with the networks of the tables, from the noise of the tables, for held-out captions, by
Euler's steps: what stands at t = 0 is a table's own sample. `make denoising` draws them.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.encoders.encoder import CPU
from experiments.hddm import settings
from experiments.hddm.variants import DDPM_CLUSTERS, HETEROGENEOUS, ROUTERS, STRATEGIES
from experiments.lab import Lab
from experiments.pipeline.provenance import commit
from experiments.recipes import scores
from experiments.recipes.images import SCALES
from experiments.report import gallery
from experiments.report.gallery import Noting, packed, starts, webp
from experiments.report.strips import Denoising, Files, RoutingMap, SliderStop, Strip, Turn, View
from experiments.stages.samples import Images
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.guard import Guard
from modules.guidance import Guide
from modules.objectives import Velocity
from modules.recorded import Recorded
from modules.sampling import euler, uniform
from modules.selection import Top
from modules.solvers import Fresh, guided_field
from modules.text import Text

MOMENTS = 9
"""Of which a slider has a place each, noise and sample among them."""
ACROSS = 10
"""Prompts at most, of as many classes as there are."""
INK = (59, 130, 196)
"""Of a map of weights, in red, green and blue: seen on light and on dark ground."""


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


def methods(lab: Lab) -> Iterator[tuple[str, Ensemble]]:
    """The rows of Table 1, and 2DDPM:6FM, by the names that the page gives them."""
    yield "Monolith", lab.alone(lab.monolith())
    for router in reversed(ROUTERS):
        for name, selection in STRATEGIES.items():
            yield f"{name}, {router}", lab.ensemble(selection, router=router)
    clusters = range(lab.scale.data.clusters)
    mixed = lab.ensemble(Top(2), {k: "ddpm" for k in DDPM_CLUSTERS if k in clusters})
    yield f"{HETEROGENEOUS}, Top-2, text-aware", mixed


def of_each_class(_: list[str], labels: NDArray[np.int64]) -> Sequence[int]:
    """The first prompt of each class, or the first ones where a class says more."""
    first = np.unique(labels, return_index=True)[1]
    return [*first] if 1 < len(first) <= ACROSS else range(ACROSS)


def drawn(lab: Noting, name: str) -> tuple[Denoising, Files]:
    """Draw every method's strips for a scale of that name: what they show, and their files."""
    asked, judge = starts(lab, of_each_class), lab.made(scores.judge(lab.scale))
    strips, files = list[Strip](), dict[str, bytes]()
    for _ in methods(lab):
        lab.noted()  # whatever is missing is found before anything is drawn
    for method, ensemble in methods(lab):
        watched, chosen = Watched(), Recorded(ensemble.selection, len(asked.captions))
        recorded = replace(ensemble, selection=chosen)
        lab.draw(recorded, asked.captions, solver=watched, noise=asked.noise)
        lines = {
            View.ESTIMATE: [_decoded(lab, x0) for _, _, _, x0 in watched.seen],
            View.STATE: [_decoded(lab, x) for _, _, x, _ in watched.seen],
        }
        read = [judge.wrong(lab.store, x, asked.labels) for x in lines[View.ESTIMATE]]
        obeyed = [int((~wrong).sum()) for wrong in read if wrong is not None]
        names = {view.value: f"{len(strips)}-{view.value}.webp" for view in lines}
        files |= {names[view.value]: packed(each) for view, each in lines.items()}
        mapped = f"{len(strips)}-w.webp"
        routing, ink = _routing(mapped, chosen)
        files |= {mapped: ink} if routing else {}
        strips.append(Strip(method, names, obeyed, lab.noted(), routing))
    height, width = lines[View.STATE][0].shape[-2:]
    moments = [SliderStop(t, i) for t, i, _, _ in watched.seen]
    line = asked.captions, moments, len(asked.captions) * width, height
    return Denoising(name, lab.seed, commit(), *line, strips), files


def _decoded(lab: Lab, latents: Tensor) -> Images:
    return lab.scale.data.latents.decode(latents.numpy(), CPU)


def _routing(file: str, chosen: Recorded) -> tuple[RoutingMap | None, bytes]:
    """Who leads, and the map of a trajectory's weights; None where one expert is all."""
    w = torch.stack([w for _, _, w in chosen.answers])
    if w.shape[-1] == 1:
        return None, b""
    times = [float(t[0]) for t, _, _ in chosen.answers]
    leaders = [turns(times, each) for each in w.unbind(1)]
    return RoutingMap(file, w.shape[-1], leaders), webp(inked(w), "RGBA")


def inked(w: Tensor) -> NDArray[np.uint8]:
    """Weights w [T, N, K] as ink [K, N T, 4]: a block for each prompt, experts from top to bottom,
    evaluations from left to right."""
    opaque = (w.permute(2, 1, 0).flatten(1) * 255).round().to(torch.uint8).numpy()
    colour = np.broadcast_to(np.array(INK, dtype=np.uint8), (*opaque.shape, 3))
    return np.concatenate([colour, opaque[..., None]], axis=-1)


def turns(times: Sequence[float], w: Tensor) -> list[Turn]:
    """Who has the most weight along a trajectory, w [T, K], each from the t where it begins."""
    leads = w.argmax(dim=-1).tolist()
    begins = [i for i in range(len(leads)) if i == 0 or leads[i] != leads[i - 1]]
    return [Turn(times[i], leads[i]) for i in begins]


def main(arguments: Sequence[str] | None = None) -> int:
    return gallery.command("denoising", str(__doc__), SCALES, drawn, arguments, settings.matched)


if __name__ == "__main__":
    sys.exit(main())
