"""What is measured of pictures or clips: a judge's numbers of them, or what they cost alone."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from experiments.pipeline.files import read_json
from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context, Store
from experiments.scores.judge import FeatureRows, Judge, PerSample, Reading
from experiments.stages.samples import Images, Pictures, Sample
from experiments.stages.seeds import MEASURING, run_seed
from experiments.tables.columns import MISSING, Column
from metrics.bootstrap import mean_interval


@dataclass(frozen=True)
class Score(Measurement):
    """measured.json: what the judge says of samples beside the held-out ones.

    Of every number that each sample has it holds the mean and the ends of its bootstrap interval
    over these samples, `clip`, `clip low` and `clip high`. each.npz has the numbers themselves, for
    tests paired over prompts. within.json has the diversity of each prompt: that of `repeated`,
    samples of a few prompts many times over, or else of the samples themselves.
    """

    version: ClassVar[int] = 2  # each.npz of pictures
    pictures: Pictures
    judge: Judge
    repeated: Sample | None = None

    @property
    def label(self) -> str:
        return f"score of {self.pictures.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        features, each = self._read(context)
        np.savez(folder / "each.npz", **each)  # type: ignore[arg-type]
        whole = self.judge.read_set(features, self.pictures, self.several, context)
        (folder / "within.json").write_text(json.dumps(whole.within, indent=1) + "\n")
        numbers = dict(whole.numbers)
        if whole.within:
            numbers["diversity"] = float(np.mean(list(whole.within.values())))
        for i, (key, x) in enumerate(each.items()):
            finite = x[np.isfinite(x)]
            if len(finite) > 1:
                ends = mean_interval(finite, run_seed(0, MEASURING, 1 + i))
                numbers |= {key: ends.value, f"{key} low": ends.low, f"{key} high": ends.high}
        return {**numbers, **self.pictures.evaluations(context.store)}

    def _read(self, context: Context) -> tuple[FeatureRows, PerSample]:
        """What the judge reads of all samples, one batch after another."""
        store, device = context.store, context.torch_device
        captions, labels = self.pictures.prompts(store)
        given = self.pictures.beginnings(store, device)
        readings, start = list[Reading](), 0
        for batch in _rebatched(self.pictures.pictures(store, device), self.judge.batch):
            rows = slice(start, start := start + len(batch))
            reading = self.judge.read(batch, captions[rows], labels[rows], context)
            if given is not None:
                error = (batch[:, :, 0] - given[rows]) / 2  # of values in [0, 1]
                squared = (error**2).mean(axis=(1, 2, 3), dtype=np.float64)
                reading.numbers["begins"] = np.sqrt(squared)
            readings.append(reading)
        first = readings[0]
        return (
            {key: np.concatenate([r.features[key] for r in readings]) for key in first.features},
            {key: np.concatenate([r.numbers[key] for r in readings]) for key in first.numbers},
        )

    @property
    def several(self) -> Pictures:
        """The samples of which a prompt has several."""
        return self.pictures if self.repeated is None else self.repeated

    def within(self, store: Store) -> dict[str, float]:
        """Diversity among the samples of each prompt, by caption."""
        return read_json(store.file(self, "within.json"))

    def each(self, store: Store) -> PerSample:
        """The numbers [N] of every sample, by column."""
        with np.load(store.file(self, "each.npz")) as arrays:
            return dict(arrays)

    def ends(self, store: Store, column: Column) -> str:
        """A number with its bootstrap interval over these very samples."""
        numbers = self.read(store)
        low, high = (numbers.get(f"{column.key} {end}") for end in ("low", "high"))
        if column.key not in numbers or low is None or high is None:
            return MISSING
        value, *around = (
            f"{column.factor * x:.{column.digits}f}" for x in (numbers[column.key], low, high)
        )
        return f"{value} [{around[0]}, {around[1]}]"

    def remarks(self, store: Store) -> tuple[str, ...]:
        return self.judge.remarks(store)


def _rebatched(batches: Iterable[Images], size: int | None) -> Iterator[Images]:
    """The same samples, `size` at once; None leaves the batches as they are."""
    if size is None:
        yield from batches
        return
    waiting = list[Images]()
    for batch in batches:
        waiting.append(batch)
        while sum(map(len, waiting)) >= size:
            whole = np.concatenate(waiting)
            yield whole[:size]
            waiting = [whole[size:]]
    if sum(map(len, waiting)):
        yield np.concatenate(waiting)


@dataclass(frozen=True)
class Drawn(Measurement):
    """measured.json: what samples that no judge can read cost; a look tells how good they are."""

    pictures: Sample

    @property
    def label(self) -> str:
        return f"count of {self.pictures.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        return self.pictures.evaluations(context.store)
