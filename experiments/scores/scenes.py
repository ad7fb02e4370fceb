"""The judge of scenes: it reads every factor, and knows how those that are unsaid should fall."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.sources.scenes import (
    WORDS,
    Factor,
    Scenes,
    Values,
    named_in,
    probabilities,
    values_of,
)
from datamodules.sources.source import RecordCounts, Split, record_shape
from experiments.pipeline.files import read_json
from experiments.pipeline.store import Context, Store
from experiments.scores.judge import FeatureRows, Judge, Reading, SetReading, Wrong
from experiments.stages.run import load_trained
from experiments.stages.samples import Images, Pictures
from experiments.tables.columns import Column, percent
from metrics.diversity import spread, within_groups
from metrics.factor_judge import FactorJudge, train_judge
from metrics.frechet import frechet_distance, kernel_distance
from metrics.information import shares, total_variation
from metrics.nearest import nearest_distances
from modules.weights.checkpoint import save_weights

BATCH = 64
"""Scenes in a batch that the judge learns from; none is seen twice."""
READ_AT_ONCE = 500
TRUSTED = 10_000
"""Scenes beyond the held-out ones on which its own accuracy is counted."""
COMPARED = 2_000
"""Held-out pictures whose nearest training picture is looked for."""
COPIED = 0.01
"""A sample is a near-copy where it is nearer to a training picture than this share of the held-out
ones of its texture are. Textures move half a pixel, which parts two scenes of the same factors by
more than another shape does: one distance for all would be that of plain ones and shading alone."""
FEWEST = 20
"""Held-out pictures of a texture that its own distance is read from; with fewer, from all."""
NETWORK = "scenes"
FACTORS = tuple(Factor)
SIZES = tuple(len(WORDS[factor]) for factor in Factor)
VARIATION = percent("variation", "Unsaid factors, distance from the truth, %")
COPIES = percent("copies", "Near-copies, %")
SAID = percent("said", "Said factors obeyed, %")


def obeyed_column(factor: Factor) -> Column:
    """The share of prompts whose factor is what was said."""
    return percent(factor.value, f"{factor.value.capitalize()} obeyed, %")


def variation_column(factor: Factor) -> Column:
    """How far an unsaid factor's shares are from its probabilities."""
    title = f"{factor.value.capitalize()} (unsaid), distance from the truth, %"
    return percent(f"variation_{factor.value}", title)


@dataclass(frozen=True)
class ScenesJudge(Judge):
    """weights.safetensors of the judge, judge.json: its accuracy by factor, heldout.npy: features
    of the held-out scenes, apart.npy: distances of some to the nearest training picture.

    Distances from the truth are total variations: half the sum of the differences of shares, which
    is above zero for any finite number of pictures; the row of real ones says by how much.
    """

    classifies: ClassVar[bool] = True
    batch: ClassVar[int | None] = READ_AT_ONCE
    source: Scenes
    steps: int
    seed: int = 0

    @property
    def label(self) -> str:
        return "judge of scenes"

    @property
    def cost(self) -> float:
        return 0.05 * self.steps

    def make(self, folder: Path, context: Context) -> None:
        judge = train_judge(self._learnt, record_shape(self.source), SIZES, self.steps, self.seed)
        save_weights(judge, folder / "weights.safetensors")
        heldout = self.source.read(Split.HELDOUT).images
        np.save(folder / "heldout.npy", judge.read(heldout).features)
        np.save(folder / "apart.npy", nearest_distances(heldout[:COMPARED], self._train()))
        others = self.source.drawn(Split.HELDOUT, self.source.heldout, TRUSTED)
        right = judge.read(others.images).values == _stacked(others.labels)
        trust = {f.value: float(right[:, i].mean()) for i, f in enumerate(FACTORS)}
        (folder / "judge.json").write_text(json.dumps(trust) + "\n")

    def _learnt(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        records = self.source.drawn(Split.JUDGE, step * BATCH, BATCH)
        return torch.from_numpy(records.images), torch.from_numpy(_stacked(records.labels))

    def _train(self) -> Iterator[Images]:
        """The training pictures, a part at a time."""
        for part in self.source.parts(Split.TRAIN):
            for records in self.source.batches(Split.TRAIN, part, 1024, RecordCounts()):
                yield records.images

    def trust(self, store: Store) -> dict[str, float]:
        """How far it can be trusted: its accuracy on held-out scenes, by factor."""
        return read_json(store.file(self, "judge.json"))

    def load(self, store: Store) -> FactorJudge:
        judge = FactorJudge(record_shape(self.source), SIZES)
        load_trained(judge, self, store)
        return judge.eval().requires_grad_(False)

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        column = replace(column, title=column.title.replace("digit features", "scene features"))
        said, unsaid = self.source.named, self.source.unsaid
        more = {
            "accuracy": (SAID,) if said else (),
            "diversity": (VARIATION,) if unsaid else (),
            "nearest": (COPIES, *map(obeyed_column, said), *map(variation_column, unsaid)),
        }
        return (column, *more.get(column.key, ()))

    def read(
        self, samples: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> Reading:
        read = self.load(context.store).read(samples, READ_AT_ONCE)
        asked = _asked(captions)
        obeyed = {
            factor.value: (read.values[:, i] == asked[:, i]).astype(np.float64)
            for i, factor in enumerate(FACTORS)
            if factor in self.source.named
        }
        if obeyed:
            obeyed[SAID.key] = np.mean([*obeyed.values()], axis=0)
        every = (read.values == asked) | (asked < 0)
        return Reading(
            {NETWORK: read.features}, {"accuracy": every.all(axis=1).astype(np.float64), **obeyed}
        )

    def wrong(self, store: Store, images: Images, labels: NDArray[np.int64]) -> Wrong:
        if labels.min() < 0:
            return None  # real pictures, whose captions are their own
        said = [i for i, factor in enumerate(FACTORS) if factor in self.source.named]
        read = self.load(store).read(images).values
        return (read != _stacked(labels))[:, said].any(axis=1)

    def read_set(
        self, features: FeatureRows, drawn: Pictures, several: Pictures, context: Context
    ) -> SetReading:
        store, own = context.store, features[NETWORK]
        judge = self.load(store)
        reference, apart = (np.load(store.file(self, f"{x}.npy")) for x in ("heldout", "apart"))
        images = drawn.images(store, device=context.torch_device)
        near = nearest_distances(images, self._train())
        again = own
        if several is not drawn:
            again = judge.read(several.images(store, device=context.torch_device)).features
        captions = np.array(several.prompts(store)[0])
        named = judge.named(own)
        textures = named[:, FACTORS.index(Factor.TEXTURE)]
        numbers = {
            "fid": frechet_distance(own, reference),
            "kid": kernel_distance(own, reference),
            "spread": spread(own),
            "nearest": float(np.median(near) / np.median(apart)),
            "copies": float((near < self._copied(apart)[textures]).mean()),
            **self._variations(named),
        }
        return SetReading(numbers, within_groups(again, captions))

    def _copied(self, apart: NDArray[np.float64]) -> NDArray[np.float64]:
        """The distance [textures] below which a sample of each texture is a near-copy; apart: of
        the first held-out scenes."""
        labels = self.source.drawn(Split.HELDOUT, 0, len(apart)).labels
        texture = values_of(labels)[Factor.TEXTURE]
        every = (apart[texture == k] for k in range(len(WORDS[Factor.TEXTURE])))
        return np.array([np.quantile(x if len(x) >= FEWEST else apart, COPIED) for x in every])

    def _variations(self, values: Values) -> dict[str, float]:
        """Distances of the unsaid factors of values [N, factors] from their truth."""
        unsaid = self.source.unsaid
        if not unsaid:
            return {}
        truths = {factor: probabilities(factor) for factor in unsaid}
        read = {factor: values[:, FACTORS.index(factor)] for factor in unsaid}
        sizes = tuple(len(truths[factor]) for factor in unsaid)
        together = np.ravel_multi_index(tuple(read.values()), sizes)
        truth = np.ones(1)
        for each in truths.values():
            truth = np.outer(truth, each).ravel()
        numbers = {"variation": total_variation(shares(together, len(truth)), truth)}
        for factor, p in truths.items():
            numbers[f"variation_{factor.value}"] = total_variation(shares(read[factor], len(p)), p)
        return numbers

    def remarks(self, store: Store) -> tuple[str, ...]:
        trust = self.trust(store)
        each = ", ".join(f"{name} {share:.1%}" for name, share in trust.items())
        return (f"The judge reads rightly of real scenes: {each}.",)


def _stacked(labels: Values) -> Values:
    """The values [N, factors] of labels [N]."""
    return np.stack([*values_of(labels).values()], axis=1)


def _asked(captions: Sequence[str]) -> Values:
    """The values [N, factors] that captions name; -1 where they are silent."""
    read = {caption: named_in(caption) for caption in set(captions)}
    return np.array([[read[c].get(factor, -1) for factor in FACTORS] for c in captions])
