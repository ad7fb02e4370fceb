"""AdaLN-Single against AdaLN-Zero, at one width and at one number of parameters.  HDDM §2.5.

Claim: AdaLN-Single saves 30 % of the parameters at maintained quality. FM experts of one cluster
from random weights: the recipe's, AdaLN-Zero as wide, and AdaLN-Zero so narrow that it has as many
parameters as AdaLN-Single.
small: 2 min for 3 seeds on 2 cores beside Table 3 · paper: 3 DiT-XL/2 experts of one cluster.
"""

import functools
import math
import sys
from bisect import bisect_left
from dataclasses import dataclass, replace
from pathlib import Path

from datamodules.sources.source import Split
from experiments.cli.main import main
from experiments.drawing.pictures import grid
from experiments.hddm import settings
from experiments.measures.resources import parameters
from experiments.measures.tuning import VelocityError
from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.stages.experts import TrainExpert
from experiments.tables.columns import ACCURACY, FID, NOT_NEGATIVE, SPREAD, Column
from experiments.tables.comparisons import compared
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from modules.blocks import AdaLN
from modules.denoising import FlowMatchingExpert
from modules.dit import DiT
from modules.selection import Only

SINGLE, WIDE, EQUAL = "Single", "Zero, as wide", "Zero, as many parameters"
PARAMETERS = Column("parameters", "Parameters, M", 4, factor=1e-6, counted=True, lies=NOT_NEGATIVE)
ERROR = Column("velocity_error", "Velocity error, held out", 4, lies=NOT_NEGATIVE)
DRAWS = 4


@dataclass(frozen=True)
class Built(Measurement):
    """measured.json: the parameters of an expert's network, its error, the score of its samples."""

    error: VelocityError

    @property
    def label(self) -> str:
        return f"size and {self.error.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        (expert,) = self.error.experts
        return {**self.error.read(context.store), "parameters": parameters(expert.network)}


@functools.cache
def as_many(shape: DiT) -> DiT:
    """The AdaLN-Zero network, as deep and with as many heads, whose parameters come nearest."""
    step = math.lcm(4, shape.size.heads)

    def as_wide(steps: int) -> DiT:
        size = replace(shape.size, width=steps * step)
        return replace(shape, adaln=AdaLN.ZERO, size=size)

    def count(steps: int) -> int:
        return parameters(as_wide(steps))

    wanted = parameters(shape)
    above = bisect_left(range(shape.size.width // step + 1), wanted, lo=2, key=count)
    return as_wide(min((above - 1, above), key=lambda steps: abs(count(steps) - wanted)))


def networks(scale: ImageScale) -> dict[str, DiT]:
    """The three shapes, by the name of their row."""
    shape = experts.network(scale, scale.data.source)
    assert isinstance(shape, DiT)
    wide = replace(shape, adaln=AdaLN.ZERO)
    return {SINGLE: replace(shape, adaln=AdaLN.SINGLE), WIDE: wide, EQUAL: as_many(shape)}


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.conversions(scale)
    heldout, setting = experts.encoded(scale, Split.HELDOUT), settings.conversion(scale)
    paired, table_rows = settings.paired(scale, FlowMatchingExpert, seed), []
    for name, network in networks(scale).items():
        expert: TrainExpert = replace(paired, network=network, start=None)
        score = settings.pair_score(scale, [expert], Only(0), seed, setting)
        error = VelocityError((expert,), heldout, DRAWS, score=score)
        table_rows.append(Row({"AdaLN": name}, Built(error)))
    return table_rows


def tests(results: Results) -> list[str | None]:
    """AdaLN-Zero of either width against AdaLN-Single."""
    return [
        compared(results, column, (zero,), (SINGLE,))
        for zero in (WIDE, EQUAL)
        for column in (FID, ERROR, ACCURACY)
    ]


def figure(results: Results) -> bytes:
    """A PNG of seed 0: a line a row."""
    shown = {row.name: row.measured for row in results.rows[0]}
    sets = {name: x.error.score for name, x in shown.items() if isinstance(x, Built)}
    return grid({name: score for name, score in sets.items() if score}, results.store)


TABLE = Table(
    name="ablation-adaln",
    title="AdaLN-Single against AdaLN-Zero (HDDM §2.5)",
    columns=[PARAMETERS, FID, SPREAD, ACCURACY, ERROR],
    rows=rows,
    scales=SCALES,
    judge=scores.judge,
    notes=[
        "FM experts of the cluster of the conversion studies, at their setting, from random "
        "weights, with one recipe, seed and number of steps. AdaLN-Single is the recipe's own.",
        "As many parameters: AdaLN-Zero of the same depth and heads, at the width whose number of "
        "parameters comes nearest.",
        f"Velocity error: the FM loss of held-out pictures at {DRAWS} times each.",
    ],
    figures={"ablation-adaln": figure},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
