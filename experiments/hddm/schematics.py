"""Figs 2 and 6 of HDDM, drawn from the stages they are about: nothing in them is typed.

The pictures, the probabilities and the numbers are those of the artifacts; K lanes, whatever K is.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.drawing.style import COLOURS, FAINT, INK, Box, arrow, page, picture, png, write
from experiments.pipeline.files import read_json
from experiments.pipeline.store import Store
from experiments.stages.corpus import Shards
from experiments.stages.experts import TrainExpert, TrainRouter
from experiments.stages.samples import Sample
from modules.guidance import Guided
from modules.objectives import X0, Epsilon, V, Velocity
from modules.sampling import euler, uniform

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VELOCITY, CONVERTED, ROUTER = COLOURS[0], COLOURS[1], COLOURS[2]
SHOWN = 2000
"""Pictures among which Fig 6 finds those that it shows of each cluster."""
WIDTH, NETWORK, COLUMN = 7.1, 1.9, 2.4
"""Inches: of a figure, of a network's box, and of what stands below each other beside the lanes."""
LOOKED_AT = 40
"""Rows among which Fig 2 looks for the prompt that experts of two kinds share most evenly."""


@dataclass(frozen=True)
class Moment:
    """One sample half way: x_t and its end, both [C, H, W], and the weights w [K] at x_t."""

    x_t: NDArray[np.float32]
    end: NDArray[np.float32]
    t: float
    w: NDArray[np.float32]
    caption: str


@dataclass(frozen=True)
class Kind:
    """What an expert is called, the symbol of what it predicts, and its colour."""

    name: str
    symbol: str
    colour: str


def _kind(expert: TrainExpert) -> Kind:
    objective = expert.module.objective
    if isinstance(objective, Velocity):
        return Kind("FM", "v", VELOCITY)
    symbol = {Epsilon: r"\epsilon", X0: "x_0", V: "v"}[type(objective)]
    return Kind(expert.module.__name__.removesuffix("Expert"), symbol, CONVERTED)


def half_way(sample: Sample, store: Store) -> Moment:
    """The moment at half the steps of the row that experts of two kinds share most evenly."""
    loaded = sample.load(store, torch.device("cpu"))
    rows = range(min(LOOKED_AT, sample.n))
    c, setting = loaded.condition(rows), sample.setting
    ensemble, grid = sample.ensemble(loaded, rows), uniform(setting.steps)
    middle = setting.steps // 2
    guided = Guided(ensemble, setting.guidance)
    with torch.inference_mode():
        x = euler(lambda x, t: guided(x, t, c), sample.noise(rows), grid[: middle + 1])
        w = ensemble.weights(x, grid[middle].to(x).expand(len(x)), c)
    converted = torch.tensor([_kind(expert).colour == CONVERTED for expert in sample.experts])
    shared = torch.minimum(w[:, converted].sum(1), w[:, ~converted].sum(1))
    i = int(shared.argmax())
    return Moment(
        x_t=sample.shards.latents.decode(x[i : i + 1].numpy())[0],
        end=sample.images(store, LOOKED_AT)[i],
        t=float(grid[middle]),
        w=w[i].numpy(),
        caption=sample.prompts(store)[0][i],
    )


def inference(sample: Sample, store: Store) -> bytes:
    """Fig 2: x_t -> router and experts -> conversion where needed -> weighted velocity -> step."""
    now, k = half_way(sample, store), len(sample.experts)
    lane, top = 0.36, 1.15
    below = top + max(k * lane, COLUMN) + 0.2  # where the line back to x_t runs
    figure, axes = page(WIDTH, below + 1.15)
    middle = (top + below) / 2 - 0.1
    start, router = Box(0.1, middle - 0.45, 0.9, 0.9), Box(1.5, 0.2, NETWORK, 0.6)
    fusion, step = Box(5.5, middle - 0.95, 1.5, 0.7), Box(5.5, middle + 0.15, 1.5, 0.85)
    _shown(axes, now.x_t, start, f"$x_t$ at t = {now.t:.2g}")
    write(axes, textwrap.fill(f"c: {now.caption}", 16), 0.55, start.y - 0.25, 7.5)
    router.draw(axes, "router\n$p(k\\,|\\,x_t, t, c)$", ROUTER)
    corner = "angle,angleA={},angleB={},rad=6"
    arrow(axes, (0.55, start.y - 0.45), router.left, ROUTER, bend=corner.format(90, 0))
    arrow(axes, router.right, fusion.top, ROUTER, bend=corner.format(0, 90))
    write(axes, f"weights $w_k$: {sample.selection}", 4.6, 0.37, 7.5, ROUTER)
    for i, expert in enumerate(sample.experts):
        _expert_lane(axes, expert, float(now.w[i]), top + i * lane, start, fusion)
    fusion.draw(axes, "one velocity\n$u = \\Sigma_k\\, w_k\\, v^{(k)}$", INK)
    dt = rf"$\Delta t = 1/{sample.setting.steps}$"
    step.draw(axes, f"Euler step\n$x_{{t-\\Delta t}} = x_t - u\\,\\Delta t$\n{dt}", INK)
    arrow(axes, fusion.bottom, step.top)
    axes.plot([step.bottom[0], 0.55], [below, below], color=INK, linewidth=1)
    arrow(axes, (0.55, below), (0.55, start.bottom[1] + 0.22))
    again = f"{sample.setting.steps} steps from noise at t = 1 to data at t = 0"
    write(axes, f"{again}, guidance {sample.setting.guidance:g}", 2.9, below + 0.14, 7.5)
    end = Box(step.bottom[0] - 0.35, below + 0.3, 0.7, 0.7)
    _shown(axes, now.end, end, "")
    write(axes, "the same sample at t = 0", end.x - 0.8, end.y + 0.35, 7.5)
    arrow(axes, step.bottom, end.top)
    return png(figure)


def _expert_lane(
    axes: "Axes", expert: TrainExpert, w: float, y: float, start: Box, fusion: Box
) -> None:
    """One expert between x_t and the fusion, pale where its weight is zero: it is not asked."""
    kind, pale = _kind(expert), w == 0
    colour = "#cccccc" if pale else kind.colour
    network = Box(1.5, y, NETWORK, 0.26)
    (k,) = expert.clusters
    predicts = rf"${kind.symbol}_{{\theta_{k}}}(x_t, t, c)$"
    network.draw(axes, f"expert {k}  {kind.name}  {predicts}", kind.colour, 7.5, pale)
    arrow(axes, start.right, network.left, colour)
    out = network.right
    if kind.colour == CONVERTED:
        conversion = Box(3.6, y, 0.8, 0.26)
        conversion.draw(axes, rf"${kind.symbol} \to v^{{({k})}}$", kind.colour, 7.5, pale)
        arrow(axes, network.right, conversion.left, colour)
        out = conversion.right
    bus = (5.1, y + 0.13)  # past the conversions, where the lanes turn to the fusion
    width = 1.0 if pale else 1.0 + 2 * w
    axes.plot([out[0], bus[0]], [out[1], bus[1]], color=colour, linewidth=width)
    arrow(axes, bus, fusion.left, colour, width)
    if not pale:
        write(axes, f"$w_{k}$ = {w:.2f}", 4.75, y + 0.02, 7, kind.colour)


def _shown(axes: "Axes", image: NDArray[np.float32], place: Box, words: str) -> None:
    """A picture with its name below."""
    from matplotlib.patches import Rectangle

    picture(axes, image, place.x, place.y, place.width)
    axes.add_patch(
        Rectangle((place.x, place.y), place.width, place.height, fill=False, edgecolor=FAINT)
    )
    write(axes, words, place.bottom[0], place.bottom[1] + 0.12, 7.5)


def training(experts: Sequence[TrainExpert], router: TrainRouter, store: Store) -> bytes:
    """Fig 6: data -> features -> two-stage k-means -> isolated shards -> experts; router on all."""
    shards = Shards.of(experts[0].shards)
    clusters = shards.clusters
    latents = clusters.encoded.parts(store)[0].array("latents")[:SHOWN]
    images = shards.latents.decode(np.array(latents))
    assignment = np.load(store.file(clusters, "assignment.npy"))[: len(images)]
    sizes = read_json(store.file(clusters, "balance.json"))["sizes"]
    lane, top, end = 0.52, 0.35, WIDTH - 0.1
    lanes = max(clusters.k * lane, 1.5 * COLUMN)
    figure, axes = page(WIDTH, top + lanes + 0.95)
    begin = top + (lanes - 1.5 * COLUMN) / 2
    features, cut = Box(0.1, begin + 1.85, 1.45, 0.5), Box(0.1, begin + 2.65, 1.45, 0.84)
    _crowd(axes, images, 0.18, begin, side=0.33, across=4, down=4)
    write(axes, f"{sum(sizes)} pictures with captions", 0.83, begin + 1.45, 7.5)
    features.draw(axes, f"features\n{type(clusters.encoded.features).__name__}", INK)
    words = f"k-means in two stages\n{clusters.fine} fine, then\nK = {clusters.k} clusters"
    cut.draw(axes, words, INK, 7.5)
    arrow(axes, (features.top[0], begin + 1.56), features.top)
    arrow(axes, features.bottom, cut.top)
    for i, expert in enumerate(experts):
        (k,) = expert.clusters
        y = top + i * lane
        own = images[assignment == k]
        _crowd(axes, own, 2.35, y + 0.05, side=0.33, across=4, down=1)
        write(axes, f"$S_{k}$: {sizes[k]}", 4.05, y + 0.22, 7.5)
        arrow(axes, cut.right, (2.3, y + 0.22), FAINT)
        _trained(axes, expert, Box(4.85, y + 0.04, end - 4.85, 0.36))
        if i:
            dashes = (0, (4, 3))
            axes.plot([2.2, end], [y - 0.04] * 2, color=FAINT, linewidth=0.8, linestyle=dashes)
    apart = "no gradient, parameter or activation crosses a dashed line"
    write(axes, apart, (2.2 + end) / 2, 0.14, 7.5, FAINT)
    last = Box(2.35, top + lanes + 0.2, end - 2.35, 0.5)
    reads = "x_t, t, c" if router.reads_text else "x_t, t"
    words = f"router  $p(k\\,|\\,{reads})$: cross-entropy against k, on all clusters"
    last.draw(axes, f"{words}\n{router.optim.steps:,} steps of {_batch(router)} pictures", ROUTER)
    arrow(axes, cut.bottom, last.left, ROUTER, bend="angle,angleA=-90,angleB=180,rad=6")
    return png(figure)


def _batch(stage: TrainExpert | TrainRouter) -> int:
    return stage.optim.batch * stage.optim.accumulate


def _trained(axes: "Axes", expert: TrainExpert, box: Box) -> None:
    """An expert's box at the end of its lane, with what it predicts and on which schedule."""
    kind, (k,) = _kind(expert), expert.clusters
    schedule = type(expert.schedule).__name__.lower()
    budget = f"{expert.optim.steps:,} steps of {_batch(expert)} pictures"
    words = rf"expert {k}: {kind.name}, ${kind.symbol}$ on {schedule}" + f"\n{budget}"
    box.draw(axes, words, kind.colour, 7)
    arrow(axes, (box.x - 0.42, box.left[1]), box.left, kind.colour)


def _crowd(
    axes: "Axes",
    images: NDArray[np.float32],
    x: float,
    y: float,
    side: float,
    across: int,
    down: int,
) -> None:
    """The first pictures, close together, top left at (x, y)."""
    for i, image in enumerate(images[: across * down]):
        picture(axes, image, x + (i % across) * side, y + (i // across) * side, side * 0.94)
