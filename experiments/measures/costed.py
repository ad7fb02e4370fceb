"""A score with what its samples took, for tables of quality against cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from experiments.measures.costs import evaluation_flops
from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context
from experiments.scores.score import Score
from experiments.stages.samples import Sample


@dataclass(frozen=True)
class Costed(Measurement):
    """measured.json: the score's numbers and `megaflops`, millions of floating-point operations of
    experts and router for a sample: of one evaluation times those that were counted.

    Seconds would be of the machine, and of what else it did when a sample set was drawn.
    """

    version: ClassVar[int] = 2  # FLOPs, not milliseconds
    score: Score

    @property
    def label(self) -> str:
        return f"cost of {self.score.pictures.label}"

    def inputs(self) -> tuple[Sample | Score, ...]:
        return (self.score, self.samples)

    @property
    def samples(self) -> Sample:
        assert isinstance(self.score.pictures, Sample)
        return self.score.pictures

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        numbers, (expert, router) = self.score.read(context.store), evaluation_flops(self.samples)
        flops = numbers["expert_evaluations"] * expert + numbers["router_evaluations"] * router
        return {**numbers, "megaflops": flops / 1e6}
