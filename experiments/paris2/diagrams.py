"""Figs 3 and 4 of Paris 2.0, drawn from the configs of the stages they are about: nothing typed.

Fig 3 counts what a training exchanges, under each way of dividing one network and under none.
"""

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.drawing.style import COLOURS, FAINT, INK, Box, arrow, chart, page, write
from experiments.measures.resources import parameters
from experiments.stages.experts import TrainExpert, TrainRouter
from experiments.stages.samples import Sample
from experiments.tables.results import Chart
from modules.mmdit import MMDiT
from modules.training import Optim

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXPERT, ROUTER = COLOURS[0], COLOURS[2]
BYTES = 4
"""Of a gradient: float32."""
UNITS, COUNTS = (" bytes", " kB", " MB", " GB", " TB"), ("", " K", " M", " B")


@dataclass(frozen=True)
class Pattern:
    """A way to train on several devices.  exchanges: of an optimiser step, in all.

    ring: whether every device exchanges with every other, rather than with its neighbour.
    """

    name: str
    what: str
    exchanges: int
    ring: bool = True


def patterns(network: MMDiT, optim: Optim, devices: int) -> list[Pattern]:
    """What each of Fig 3's five exchanges in an optimiser step over so many devices.

    Pipeline: an activation forward and a gradient back over each boundary, for each batch. Tensor
    (Shoeybi et al. 2019): two all-reduces of a block forward and two back. Context (Jacobs et al.
    2023): an all-to-all before and after each attention, forward and back.
    """
    blocks, batches = network.size.double + network.size.single, optim.accumulate
    gradient = f"all-reduce of {size(BYTES * parameters(network))}\nof gradients, once a step"
    return [
        Pattern("Data", gradient, 1),
        Pattern(
            "Pipeline",
            "activations and gradients\nover each boundary",
            _ends(devices, batches),
            False,
        ),
        Pattern("Tensor", f"all-reduces in each\nof {blocks} blocks", 4 * blocks * batches),
        Pattern("Context", f"all-to-all around each\nof {blocks} attentions", 4 * blocks * batches),
        Pattern("DDM", "nothing", 0),
    ]


def _ends(devices: int, batches: int) -> int:
    return 2 * (devices - 1) * batches


def size(count: float, units: tuple[str, ...] = UNITS) -> str:
    """A count in the unit that leaves at least one of it."""
    power = min(int(math.log10(max(count, 1)) // 3), len(units) - 1)
    return f"{count / 1000**power:.3g}{units[power]}"


def communication(monolith: TrainExpert, devices: int) -> Chart:
    """Fig 3: what a training exchanges over as many devices as there are clusters."""
    assert isinstance(monolith.network, MMDiT)
    each = patterns(monolith.network, monolith.optim, devices)
    wide, height = 2.05, 0.75 + 0.5 * devices + 1.0
    figure, axes = page(wide * len(each) + 0.1, height)
    for i, pattern in enumerate(each):
        middle = wide * (i + 0.5)
        write(axes, pattern.name, middle, 0.25, 10)
        boxes = [Box(middle - 0.45, 0.55 + 0.5 * k, 0.9, 0.32) for k in range(devices)]
        for k, box in enumerate(boxes):
            box.draw(axes, f"expert {k}" if not pattern.exchanges else f"device {k}", COLOURS[0])
        _exchanges(axes, boxes, pattern)
        below = 0.7 + 0.5 * devices
        write(axes, pattern.what, middle, below + 0.2, 7.5)
        steps = pattern.exchanges * monolith.optim.steps
        said = f"{pattern.exchanges:,} a step,\n{steps:,} in {monolith.optim.steps:,} steps"
        write(axes, said, middle, below + 0.65, 7.5, INK if pattern.exchanges else FAINT)
    return chart(figure)


def _exchanges(axes: "Axes", boxes: list[Box], pattern: Pattern) -> None:
    """Both ways between neighbours; where all exchange with all, from the last to the first too."""
    if not pattern.exchanges:
        return
    for above, below in itertools.pairwise(boxes):
        (x, y), (_, end) = above.bottom, below.top
        arrow(axes, (x - 0.12, y), (x - 0.12, end))
        arrow(axes, (x + 0.12, end), (x + 0.12, y))
    if pattern.ring and len(boxes) > 2:
        arrow(axes, boxes[-1].right, boxes[0].right, bend="arc3,rad=0.35")


def inference(sample: Sample) -> Chart:
    """Fig 4: prompt and first frame -> encoders -> router and experts -> velocity -> solver."""
    router, shards = sample.router, sample.shards
    assert isinstance(router, TrainRouter)
    k, lane, top = len(sample.experts), 0.42, 1.55
    height = max(top + k * lane + 0.75, 3.6)
    figure, axes = page(10.4, height)
    text, middle = shards.text, top + k * lane / 2
    prompt, first = Box(0.1, 0.35, 1.1, 0.5), Box(0.1, 1.05, 1.5, 0.45)
    tower = Box(1.7, 0.25, 1.75, 0.7)
    state = Box(0.1, middle - 0.3, 1.5, 0.8)
    judge, fusion = Box(4.1, 0.25, 2.0, 0.7), Box(6.9, middle - 0.4, 1.35, 0.8)
    solver, decoder = Box(8.75, middle - 0.4, 1.5, 0.8), Box(8.75, 0.25, 1.5, 0.7)
    prompt.draw(axes, "prompt", INK)
    tower.draw(
        axes,
        f"{type(text).__name__}\n{text.length} x {text.width} states,\n{text.pooled} pooled",
        INK,
        7,
    )
    judge.draw(
        axes,
        f"router, {_reads(router)}\n{size(parameters(router.network), COUNTS)} parameters",
        ROUTER,
        7,
    )
    shape = " x ".join(map(str, shards.latent_shape))
    state.draw(axes, f"$x_t$, noise at t = 1\n{shape}", INK, 7.5)
    arrow(axes, prompt.right, tower.left)
    arrow(axes, tower.right, judge.left, ROUTER)
    write(axes, "pooled", 3.78, 0.48, 7, ROUTER)
    arrow(axes, (1.35, state.y), (judge.x + 1.2, judge.bottom[1]), ROUTER, bend="arc3,rad=0.1")
    if router.frame_feature is not None:
        first.draw(axes, f"first frame,\n{router.frame_feature} features, optional", INK, 7)
        arrow(axes, first.right, (judge.x + 0.3, judge.bottom[1]), ROUTER, bend="arc3,rad=0.08")
    for i, expert in enumerate(sample.experts):
        box = Box(3.9, top + i * lane, 2.2, 0.34)
        budget = f"{size(parameters(expert.network), COUNTS)} parameters"
        box.draw(axes, f"{expert.name}: velocity, {budget}", EXPERT, 6.5)
        arrow(axes, state.right, box.left, EXPERT)
        arrow(axes, box.right, fusion.left, EXPERT)
    arrow(axes, (tower.x + 0.85, tower.bottom[1]), (3.9, top + 0.08), EXPERT, bend="arc3,rad=0.1")
    write(axes, "all states", 2.2, 1.1, 7, EXPERT)
    arrow(axes, judge.right, fusion.top, ROUTER, bend="angle,angleA=0,angleB=90,rad=6")
    write(axes, f"weights: {sample.selection}", 7.0, 0.42, 7.5, ROUTER)
    fusion.draw(axes, "one velocity\n$\\Sigma_k w_k v^{(k)}$", INK)
    steps, name = sample.setting.steps, type(sample.setting.solver).__name__
    solver.draw(axes, f"{name}, {steps} steps,\nguidance {sample.setting.guidance}", INK, 7.5)
    decoder.draw(axes, f"decoded by\n{type(shards.latents).__name__}", INK, 7.5)
    arrow(axes, fusion.right, solver.left)
    arrow(axes, solver.top, decoder.bottom)
    write(axes, "at t = 0", 9.85, 1.2, 7)
    low = height - 0.2
    axes.plot([9.5, 9.5, 0.05], [solver.bottom[1], low, low], color=INK, linewidth=1)
    axes.plot([0.05, 0.05], [low, middle], color=INK, linewidth=1)
    write(axes, "the next latent, until t = 0", 5.2, low - 0.1, 7.5)
    return chart(figure)


def _reads(router: TrainRouter) -> str:
    """What a router goes by, in symbols."""
    read = ["x_t", "t"]
    read += ["c"] if router.reads_text else []
    read += ["f"] if router.frame_feature is not None else []
    return f"$p(k\\,|\\,{', '.join(read)})$"
