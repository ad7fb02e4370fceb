"""A score with what its samples took, for tables of quality against cost."""

from dataclasses import dataclass
from pathlib import Path

from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context
from experiments.scores.score import Score
from experiments.stages.samples import Sample


@dataclass(frozen=True)
class Costed(Measurement):
    """measured.json: the score's numbers and `milliseconds`, of a core, that a sample took.

    They are read from the provenance of the samples, hence the same whenever they are asked again.
    A worker has one thread, so its seconds are core-seconds.
    """

    score: Score

    @property
    def label(self) -> str:
        return f"time of {self.score.pictures.label}"

    def inputs(self) -> tuple[Sample | Score, ...]:
        return (self.score, self.samples)

    @property
    def samples(self) -> Sample:
        assert isinstance(self.score.pictures, Sample)
        return self.score.pictures

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        seconds = context.store.provenance(self.samples)["seconds"]
        numbers = self.score.read(context.store)
        return {**numbers, "milliseconds": 1000 * seconds / self.samples.n}
