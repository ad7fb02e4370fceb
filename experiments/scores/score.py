"""The classifier that judges, real pictures to compare with, and scores."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU
from datamodules.sources.digits import Digits
from datamodules.sources.source import RecordCounts, Source, Split
from experiments.pipeline.files import read_json
from experiments.pipeline.stage import Measurement, Stage
from experiments.pipeline.store import Context, Store
from experiments.scores.judge import Judging, Wrong
from experiments.stages.corpus import Shards
from experiments.stages.encode import BATCH
from experiments.stages.experts import load_trained
from experiments.stages.prompts import Asked, Heldout
from experiments.stages.samples import Images, Pictures, Sample
from experiments.stages.seeds import SAMPLING
from experiments.tables.columns import Column
from metrics.diversity import agreement, nearest, spread, within_groups
from metrics.embedded import ClassJudge, judged, train_judge
from metrics.frechet import frechet_distance, kernel_distance
from metrics.networks.perceptual import Lpips
from metrics.pixels import to_uint8
from modules.weights.checkpoint import save_weights

COMPARED = 1_000
"""Held-out pictures whose nearest training picture is looked for."""


@dataclass(frozen=True)
class Judge(Judging):
    """weights.safetensors of the classifier, and judge.json: how far it can be trusted.

    lpips: what diversity is measured by; none for the classifier's own features.
    """

    classifies: ClassVar[bool] = True
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
        _, classes = judged(judge, heldout.images)
        found = {"accuracy": agreement(classes, heldout.labels)}
        (folder / "judge.json").write_text(json.dumps(found) + "\n")

    def read(self, store: Store) -> dict[str, float]:
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
        return judged(self.load(store), images)[1] != labels

    def measure(
        self, pictures: Pictures, several: Pictures, context: Context
    ) -> tuple[dict[str, float], dict[str, float]]:
        store, judge = context.store, self.load(context.store)
        heldout, train = self.source.read(Split.HELDOUT), self.source.read(Split.TRAIN)
        reference, _ = judged(judge, heldout.images)
        images = pictures.images(store, device=(device := context.torch_device))
        features, classes = judged(judge, images)
        again = images if several is pictures else several.images(store, device=device)
        captions = np.array(several.prompts(store)[0])
        if self.lpips is None:
            looks = features if several is pictures else judged(judge, again)[0]
            within, among = within_groups(looks, captions), spread(features)
        else:
            within = self.lpips.within(_colour(again), captions, device)
            among = self.lpips.among(_colour(images), device)
        found = {
            "fid": frechet_distance(features, reference),
            "kid": kernel_distance(features, reference),
            "accuracy": agreement(classes, pictures.prompts(store)[1]),
            **({"diversity": float(np.mean(list(within.values())))} if within else {}),
            "spread": among,
            "nearest": nearest(images, train.images)
            / nearest(heldout.images[:COMPARED], train.images),
        }
        return found, within

    def remarks(self, store: Store) -> tuple[str, ...]:
        accuracy = self.read(store)["accuracy"]
        return (f"The judge reads {accuracy:.1%} of the held-out pictures rightly.",)


def _colour(images: Images) -> NDArray[np.uint8]:
    """uint8 [N, 3, H, W]; grey pictures have three equal channels."""
    return np.broadcast_to(to_uint8(images), (len(images), 3, *images.shape[2:]))


@dataclass(frozen=True)
class Real(Pictures):
    """images.npy: n training pictures that show what the prompts name, drawn by seed; where nothing
    has a class, any n, with their own captions.

    Scored like samples they are what a perfect copy of the data would get: no sample set of this
    size and these prompts should be expected closer to the held-out pictures.
    """

    shards: Shards
    n: int
    seed: int

    @property
    def label(self) -> str:
        return f"real pictures, seed {self.seed}"

    def inputs(self) -> tuple[Stage, ...]:
        """The held-out split, whose captions are asked."""
        return (self.shards.heldout,)

    def prompts(self, store: Store) -> Asked:
        if self.shards.source.classes == 0:
            captions: list[str] = json.loads(store.file(self, "captions.json").read_text())
            return captions, np.full(len(captions), -1, dtype=np.int64)
        return Heldout(self.n).read(self.shards.heldout.captions(store))

    def make(self, folder: Path, context: Context) -> None:
        if self.shards.source.classes == 0:
            images, captions = self._any()
            np.save(folder / "images.npy", images)
            (folder / "captions.json").write_text(json.dumps(captions))
            return
        train = self.shards.source.read(Split.TRAIN)
        _, named = self.prompts(context.store)
        rng = np.random.default_rng([self.seed, SAMPLING])
        rows = np.empty(self.n, dtype=np.int64)
        for label in np.unique(named):
            wanted, there = np.flatnonzero(named == label), np.flatnonzero(train.labels == label)
            if len(there) == 0:
                raise ValueError(f"no training picture shows class {label}: enlarge the split")
            # Without repetition as far as the split goes.
            rounds = [rng.permutation(there) for _ in range(-(-len(wanted) // len(there)))]
            rows[wanted] = np.concatenate(rounds)[: len(wanted)]
        np.save(folder / "images.npy", train.images[rows])

    def _any(self) -> tuple[NDArray[np.uint8], list[str]]:
        """Pictures without labels: those of parts drawn by seed, as bytes, for they are many."""
        source, refused = self.shards.source, RecordCounts()
        found, captions = list[NDArray[np.uint8]](), list[str]()
        parts = source.parts(Split.TRAIN)
        for i in np.random.default_rng([self.seed, SAMPLING]).permutation(len(parts)):
            for records in source.batches(Split.TRAIN, parts[i], BATCH, refused):
                found.append(to_uint8(records.images))
                captions += records.captions
                refused.check()
                if len(captions) >= self.n:
                    return np.concatenate(found)[: self.n], captions[: self.n]
        raise ValueError(f"{self.n} real pictures asked for, but the training split has fewer")

    def pictures(self, store: Store, device: torch.device = CPU) -> Iterator[Images]:
        images = np.load(store.file(self, "images.npy"), mmap_mode="r")
        for start in range(0, self.n, BATCH):
            some = images[start : start + BATCH]
            yield some / np.float32(127.5) - 1 if some.dtype == np.uint8 else np.array(some)

    def evaluations(self, store: Store) -> dict[str, float]:
        """They took none."""
        return {"expert_evaluations": 0.0, "router_evaluations": 0.0}


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
