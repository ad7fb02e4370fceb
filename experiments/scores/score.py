"""What is measured of pictures: a judge's numbers of them, or what they cost alone."""

import json
from dataclasses import dataclass
from pathlib import Path

from experiments.pipeline.files import read_json
from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context, Store
from experiments.scores.judge import Judging
from experiments.scores.real import Real
from experiments.stages.samples import Sample


@dataclass(frozen=True)
class Score(Measurement):
    """measured.json: what the judge says of pictures beside the held-out ones.

    within.json has the diversity of each prompt, for tests paired over prompts: that of `repeated`,
    samples of a few prompts many times over, or else of the pictures themselves.
    """

    pictures: Sample | Real
    judge: Judging
    repeated: Sample | None = None

    @property
    def label(self) -> str:
        return f"score of {self.pictures.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        found, within = self.judge.measure(self.pictures, self.several, context)
        (folder / "within.json").write_text(json.dumps(within, indent=1) + "\n")
        return {**found, **self.pictures.evaluations(context.store)}

    @property
    def several(self) -> Sample | Real:
        """The pictures of which a prompt has several."""
        return self.pictures if self.repeated is None else self.repeated

    def within(self, store: Store) -> dict[str, float]:
        """Diversity among the samples of each prompt, by caption."""
        return read_json(store.file(self, "within.json"))

    def remarks(self, store: Store) -> tuple[str, ...]:
        return self.judge.remarks(store)


@dataclass(frozen=True)
class Drawn(Measurement):
    """measured.json: what samples that no judge can read cost; a look tells how good they are."""

    pictures: Sample

    @property
    def label(self) -> str:
        return f"count of {self.pictures.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        return self.pictures.evaluations(context.store)
