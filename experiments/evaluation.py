"""The stages that judge: the classifier, real pictures to compare with, and scores."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.sources import Source, Split
from experiments.data import Shards
from experiments.files import read_json
from experiments.identity import Context, Measurement, Stage
from experiments.prompts import Asked, Heldout
from experiments.samples import Sample
from experiments.stages import SAMPLING
from experiments.store import Store
from experiments.trained import load_trained
from metrics.diversity import agreement, nearest, spread, within_groups
from metrics.embedded import DigitJudge, judged, train_judge
from metrics.frechet import frechet_distance, kernel_distance
from modules.checkpoint import save_weights


@dataclass(frozen=True)
class Judge(Stage):
    """weights.safetensors of the classifier, and judge.json: how far it can be trusted."""

    source: Source
    steps: int
    seed: int = 0

    @property
    def cost(self) -> float:
        return 0.01 * self.steps

    def make(self, folder: Path, context: Context) -> None:
        split = self.source.read(Split.JUDGE)
        judge = train_judge(split.images, split.labels, self.steps, self.seed)
        save_weights(judge, folder / "weights.safetensors")
        heldout = self.source.read(Split.HELDOUT)
        _, classes = judged(judge, heldout.images)
        found = {"accuracy": agreement(classes, heldout.labels)}
        (folder / "judge.json").write_text(json.dumps(found) + "\n")

    def read(self, store: Store) -> dict[str, float]:
        return read_json(store.file(self, "judge.json"))

    def load(self, store: Store) -> DigitJudge:
        judge = DigitJudge(self.source.classes)
        load_trained(judge, self, store)
        return judge.eval().requires_grad_(False)


@dataclass(frozen=True)
class Real(Stage):
    """images.npy: n training pictures that show what the prompts name, drawn by seed.

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
        return Heldout(self.n).read(self.shards.heldout.captions(store))

    def make(self, folder: Path, context: Context) -> None:
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

    def images(self, store: Store) -> NDArray[np.float32]:
        return self.read(store)[0]

    def read(self, store: Store) -> tuple[NDArray[np.float32], dict[str, float]]:
        """The pictures; they took no evaluations."""
        images = np.load(store.file(self, "images.npy"))
        return images, {"expert_evaluations": 0.0, "router_evaluations": 0.0}


@dataclass(frozen=True)
class Score(Measurement):
    """measured.json: what the judge says of pictures beside the held-out ones.

    within.json has the diversity of each prompt, for tests paired over prompts: that of `repeated`,
    samples of a few prompts many times over, or else of the pictures themselves.
    """

    pictures: Sample | Real
    judge: Judge
    repeated: Sample | None = None

    @property
    def label(self) -> str:
        return f"score of {self.pictures.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        store, source = context.store, self.judge.source
        judge, heldout = self.judge.load(store), source.read(Split.HELDOUT)
        train = source.read(Split.TRAIN)
        reference, _ = judged(judge, heldout.images)
        images, evaluations = self.pictures.read(store)
        features, classes = judged(judge, images)
        captions, named = self.pictures.prompts(store)
        again = features
        if self.repeated is not None:
            again, _ = judged(judge, self.repeated.images(store))
            captions, _ = self.repeated.prompts(store)
        within = within_groups(again, np.array(captions))
        (folder / "within.json").write_text(json.dumps(within, indent=1) + "\n")
        return {
            "fid": frechet_distance(features, reference),
            "kid": kernel_distance(features, reference),
            "accuracy": agreement(classes, named),
            **({"diversity": float(np.mean(list(within.values())))} if within else {}),
            "spread": spread(features),
            "nearest": nearest(images, train.images) / nearest(heldout.images, train.images),
            **evaluations,
        }

    @property
    def several(self) -> Sample | Real:
        """The pictures of which a prompt has several."""
        return self.pictures if self.repeated is None else self.repeated

    def within(self, store: Store) -> dict[str, float]:
        """Diversity among the samples of each prompt, by caption."""
        return read_json(store.file(self, "within.json"))

    def remarks(self, store: Store) -> tuple[str, ...]:
        accuracy = self.judge.read(store)["accuracy"]
        return (f"The judge reads {accuracy:.1%} of the held-out pictures rightly.",)


@dataclass(frozen=True)
class Drawn(Measurement):
    """measured.json: what samples that no judge can read cost; a look tells how good they are."""

    pictures: Sample

    @property
    def label(self) -> str:
        return f"count of {self.pictures.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        return self.pictures.read(context.store)[1]
