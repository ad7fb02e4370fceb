"""Pictures for prompts that no held-out split has: a paper's own, to be looked at, not scored."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.identity import Context, Measurement
from experiments.samples import Sample


@dataclass(frozen=True)
class Prompted(Sample):
    """A sample set for captions of its own. ValueError unless there are n of them."""

    captions: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.captions) != self.n:
            raise ValueError(f"{len(self.captions)} captions for {self.n} pictures")

    def prompts(self) -> tuple[list[str], NDArray[np.int64]]:
        """The captions, and -1 for each: they name no class that a judge could read."""
        return list(self.captions), np.full(self.n, -1, dtype=np.int64)


@dataclass(frozen=True)
class Drawn(Measurement):
    """measured.json: what a sample set cost; of how good it is a look must tell."""

    pictures: Prompted

    @property
    def label(self) -> str:
        return f"count of {self.pictures.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        return self.pictures.read(context.store)[1]
