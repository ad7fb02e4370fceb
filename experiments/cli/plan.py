"""What a run would take: every stage it makes with its inputs, GPU-days, disk and memory.

GPU-days are FLOPs over an A100's peak in bfloat16 at the share of it that SHARE states.
"""

from collections.abc import Sequence

from experiments.cli.downloads import missing
from experiments.measures.costs import Cost, cost
from experiments.measures.resources import A100, DAY, GB
from experiments.pipeline.build import behind
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Store

SHARE = 0.4
"""Of the peak: what large transformers reach in training."""
HEADER = "| # | stage | from | GPU-days | disk, GB | memory, GB | |"


def days(needed: Cost) -> float:
    return needed.flops / (A100 * SHARE * DAY)


def plan(targets: Sequence[Stage], store: Store, checkpointing: bool = False) -> str:
    """The whole as markdown: a line a stage, inputs first, then totals and missing downloads."""
    stages = behind(targets)
    number = {stage.key: i for i, stage in enumerate(stages, 1)}
    lines, total, left = [HEADER, "| --- " * 7 + "|"], Cost(), 0
    for stage in stages:
        made, needed = store.has(stage), cost(stage, checkpointing)
        if needed is not None and not made:
            total = total + needed
        left += not made
        inputs = ", ".join(str(number[item.key]) for item in stage.inputs())
        cells = [str(number[stage.key]), stage.label, inputs, *_cells(needed)]
        lines.append(f"| {' | '.join(cells)} | {'made' if made else ''} |")
    lines += ["", *_sum(total, left, len(stages), checkpointing), *_missing(stages)]
    return "\n".join(lines) + "\n"


def _cells(needed: Cost | None) -> list[str]:
    if needed is None:
        return ["—"] * 3
    return [f"{days(needed):.2g}", f"{needed.disk / GB:.2g}", f"{needed.memory / GB:.2g}"]


def _sum(total: Cost, left: int, count: int, checkpointing: bool) -> list[str]:
    return [
        f"{left} of {count} stages to make: {total.flops:.2e} FLOPs, that is {days(total):.1f} "
        f"A100-days at {SHARE:.0%} of {A100 / 1e12:.0f} TFLOP/s; {total.disk / GB:.0f} GB of disk; "
        f"{total.memory / GB:.0f} GB of memory for the largest stage.",
        "Computed from the configs, of networks alone; a dash is what is not counted. Judges and "
        "autoencoders compute in float32, at a lower rate. Memory of training is weights, "
        "gradients, moments, average and the activations of one batch on one device, "
        + ("with" if checkpointing else "without")
        + " --checkpointing true, which takes a third more FLOPs.",
    ]


def _missing(stages: Sequence[Stage]) -> list[str]:
    downloads = missing(stages)
    return ["", "Not here yet:", *(f"- {line}" for line in downloads)] if downloads else []
