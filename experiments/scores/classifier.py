"""The judge of pictures with classes: a classifier of its own, trained on a split of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.digits import Digits
from datamodules.sources.source import Source, Split
from experiments.pipeline.files import read_json
from experiments.pipeline.store import Context, Store
from experiments.scores.judge import FeatureRows, Judge, Reading, SetReading, Wrong
from experiments.stages.run import load_trained
from experiments.stages.samples import Images, Pictures
from experiments.tables.columns import Column
from metrics.diversity import agreement, nearest, spread, within_groups
from metrics.embedded import ClassJudge, classify, train_judge
from metrics.frechet import frechet_distance, kernel_distance
from metrics.networks.perceptual import Lpips
from metrics.pixels import to_uint8
from modules.weights.checkpoint import save_weights

COMPARED = 1_000
"""Held-out pictures whose nearest training picture is looked for."""
BATCH = 500
"""Pictures read at once."""
NETWORK = "classifier"


@dataclass(frozen=True)
class ClassifierJudge(Judge):
    """weights.safetensors of the classifier, and judge.json: how far it can be trusted.

    lpips: what diversity is measured by; none for the classifier's own features.
    """

    classifies: ClassVar[bool] = True
    batch: ClassVar[int | None] = BATCH
    source: Source
    steps: int
    seed: int = 0
    lpips: Lpips | None = None

    @property
    def cost(self) -> float:
        return 0.01 * self.steps

    def make(self, folder: Path, context: Context) -> None:
        split = self.source.read(Split.JUDGE)
        judge = train_judge(split.images, split.labels, self.steps, self.seed, self.source.classes)
        save_weights(judge, folder / "weights.safetensors")
        heldout = self.source.read(Split.HELDOUT)
        _, classes = classify(judge, heldout.images)
        accuracy = {"accuracy": agreement(classes, heldout.labels)}
        (folder / "judge.json").write_text(json.dumps(accuracy) + "\n")

    def trust(self, store: Store) -> dict[str, float]:
        """How far it can be trusted: its accuracy on held-out pictures."""
        return read_json(store.file(self, "judge.json"))

    def load(self, store: Store) -> ClassJudge:
        judge = ClassJudge(self.source.classes, self.source.channels, self.source.image)
        load_trained(judge, self, store)
        return judge.eval().requires_grad_(False)

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        title = column.title.replace("digit features", f"{self._words} features")
        if self.lpips is not None and column.key in ("diversity", "spread"):
            title = title.replace(f"{self._words} features", self.lpips.title)
            return (replace(column, title=title, digits=3),)
        return (replace(column, title=title),)

    @property
    def _words(self) -> str:
        return "digit" if isinstance(self.source, Digits) else f"{self.source.name} classifier"

    def wrong(self, store: Store, images: Images, labels: NDArray[np.int64]) -> Wrong:
        return classify(self.load(store), images)[1] != labels

    def read(
        self, samples: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> Reading:
        features, classes = classify(self.load(context.store), samples, BATCH)
        return Reading({NETWORK: features}, {"accuracy": (classes == labels).astype(np.float64)})

    def read_set(
        self, features: FeatureRows, drawn: Pictures, several: Pictures, context: Context
    ) -> SetReading:
        heldout, train = self.source.read(Split.HELDOUT), self.source.read(Split.TRAIN)
        judge, own = self.load(context.store), features[NETWORK]
        reference, _ = classify(judge, heldout.images)
        device = context.torch_device
        images = drawn.images(context.store, device=device)
        again = images if several is drawn else several.images(context.store, device=device)
        captions = np.array(several.prompts(context.store)[0])
        if self.lpips is None:
            recognised = own if several is drawn else classify(judge, again)[0]
            within, among = within_groups(recognised, captions), spread(own)
        else:
            within = self.lpips.group_diversity(_colour(again), captions, device)
            among = self.lpips.diversity(_colour(images), device)
        numbers = {
            "fid": frechet_distance(own, reference),
            "kid": kernel_distance(own, reference),
            "spread": among,
            "nearest": nearest(images, train.images)
            / nearest(heldout.images[:COMPARED], train.images),
        }
        return SetReading(numbers, within)

    def remarks(self, store: Store) -> tuple[str, ...]:
        accuracy = self.trust(store)["accuracy"]
        return (f"The judge reads {accuracy:.1%} of the held-out pictures rightly.",)


def _colour(images: Images) -> NDArray[np.uint8]:
    """uint8 [N, 3, H, W]; grey pictures have three equal channels."""
    return np.broadcast_to(to_uint8(images), (len(images), 3, *images.shape[2:]))
