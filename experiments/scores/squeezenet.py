"""The judge of pictures that have no classes: the features of SqueezeNet, trained on ImageNet.

Nothing here tells whether a prompt is obeyed as CLIP would; what is counted instead is whether a
sample is nearer to the held-out picture of its prompt than to another prompt's.
"""

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.sources.source import RecordCounts, Records, Source, Split
from experiments.pipeline.files import read_json
from experiments.pipeline.store import Context, Store
from experiments.scores.judge import FeatureRows, Judge, Reading, SetReading
from experiments.stages.encode import BATCH
from experiments.stages.samples import Images, Pictures
from experiments.tables.columns import Column, percent
from metrics.frechet import frechet_distance, kernel_distance
from metrics.networks.perceptual import Backbone, Lpips
from metrics.networks.squeezenet import SqueezeNetFeatures
from metrics.pixels import to_uint8

Rows = NDArray[np.floating]
NETWORK = "SqueezeNet"
PICTURES = "pictures"
"""What LPIPS looks at, in eight bits: to decode emoji's latents again is a third of a score."""
HELD, TRAIN = Split.HELDOUT.value, Split.TRAIN.value
COPIED = 0.05
"""A sample is a near-copy where it is nearer to a training picture than this share of held-out ones
are: of emoji that went through TAEF2 nine in ten are, and at 0.01 not one in four."""
RETRIEVED = percent("retrieved", "Held-out pictures further off than its prompt's, %")
"""The mean share of those of other captions; 50 by chance."""
NEAR_COPIES = percent("copies", "Near-copies (SqueezeNet features), %")


@dataclass(frozen=True)
class SqueezeNetJudge(Judge):
    """heldout.npy and train.npy, features of both splits; keys.json, which pictures they are,
    with captions of the first; apart.npy, how far each of those is from the nearest of the second;
    looked_up.json, what a look-up by caption retrieves.

    lpips: what diversity is measured by.
    """

    batch: ClassVar[int | None] = 100
    preferred: ClassVar[Column] = RETRIEVED
    source: Source
    features: SqueezeNetFeatures = SqueezeNetFeatures()
    lpips: Lpips = Lpips(Backbone.SQUEEZE)

    @property
    def label(self) -> str:
        return "judge of SqueezeNet features"

    @property
    def cost(self) -> float:
        return 100.0

    def make(self, folder: Path, context: Context) -> None:
        keys: dict[str, list[str]] = {HELD: [], TRAIN: []}
        captions: dict[str, list[str]] = {HELD: [], TRAIN: []}
        rows: dict[str, list[Rows]] = {HELD: [], TRAIN: []}
        for split in (Split.HELDOUT, Split.TRAIN):
            for records in _records(self.source, split):
                rows[split.value].append(self._encode(records.images, context.torch_device))
                keys[split.value] += records.keys
                captions[split.value] += records.captions
        held, train = (np.concatenate(rows[name]) for name in (HELD, TRAIN))
        np.save(folder / f"{HELD}.npy", held)
        np.save(folder / f"{TRAIN}.npy", train)
        np.save(folder / "apart.npy", _nearest(held, train)[1])
        text = json.dumps({**keys, "captions": captions[HELD]})
        (folder / "keys.json").write_text(text + "\n")
        share = looked_up(train, captions[TRAIN], held, captions[HELD])
        (folder / "looked_up.json").write_text(json.dumps({RETRIEVED.key: share}) + "\n")

    def _encode(self, images: Images, device: torch.device) -> Rows:
        return self.features.encode(to_uint8(in_colour(images)), device)

    def reference(self, store: Store, split: Split = Split.HELDOUT) -> Rows:
        """Features [N, F] of the pictures of a split."""
        return np.load(store.file(self, f"{split.value}.npy"))

    def keys(self, store: Store, split: Split = Split.HELDOUT) -> list[str]:
        """Which pictures those are, in their order."""
        return list(read_json(store.file(self, "keys.json"))[split.value])

    def neighbours(self, store: Store, images: Images, device: torch.device) -> Images:
        """The training picture nearest to each of `images` [N, C, H, W], in these features."""
        own = self._encode(images, device)
        rows, _ = _nearest(own, self.reference(store, Split.TRAIN))
        keys = self.keys(store, Split.TRAIN)
        wanted, shown = {keys[row] for row in rows}, dict[str, Images]()
        for records in _records(self.source, Split.TRAIN):
            for key, image in zip(records.keys, records.images, strict=True):
                if key in wanted:
                    shown[key] = image
        return np.stack([shown[keys[row]] for row in rows])

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        """Every number under the name of the network that it is of."""
        title = column.title.replace("digit features", "SqueezeNet features")
        lpips = self.lpips.title
        return {
            "accuracy": (RETRIEVED,),
            "diversity": (replace(column, title=f"{lpips}, within a prompt", digits=3),),
            "spread": (replace(column, title=f"{lpips}, of all pairs", digits=3),),
            "nearest": (
                replace(column, title="Nearest training picture, in them (held-out = 1)"),
                NEAR_COPIES,
            ),
        }.get(column.key, (replace(column, title=title),))

    def read(
        self, samples: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> Reading:
        shown, held = to_uint8(in_colour(samples)), self.reference(context.store)
        own = self.features.encode(shown, context.torch_device)
        known = np.array(read_json(context.store.file(self, "keys.json"))["captions"])
        shares = [retrieved(x, held, known == c) for x, c in zip(own, captions, strict=True)]
        return Reading({NETWORK: own, PICTURES: shown}, {RETRIEVED.key: np.array(shares)})

    def read_set(
        self, features: FeatureRows, drawn: Pictures, several: Pictures, context: Context
    ) -> SetReading:
        store, device, own = context.store, context.torch_device, features[NETWORK]
        near = _nearest(own, self.reference(store, Split.TRAIN))[1]
        apart = np.load(store.file(self, "apart.npy"))
        images = again = features[PICTURES]
        if several is not drawn:
            again = to_uint8(in_colour(several.images(store, device=device)))
        captions = np.array(several.prompts(store)[0])
        numbers = {
            **self.distances(own, self.reference(store)),
            "spread": self.lpips.diversity(images, device),
            "nearest": float(np.median(near) / np.median(apart)),
            "copies": float((near < np.quantile(apart, COPIED)).mean()),
        }
        return SetReading(numbers, self.lpips.group_diversity(again, captions, device))

    def distances(self, own: Rows, real: Rows) -> dict[str, float]:
        """FID and KID of features [N, F] beside those of real pictures [M, F]."""
        with warnings.catch_warnings():  # fewer pictures than features: `remarks` says so
            warnings.filterwarnings("ignore", message="Matrix is singular")
            return {"fid": frechet_distance(own, real), "kid": kernel_distance(own, real)}

    def remarks(self, store: Store) -> tuple[str, ...]:
        held, train = (len(self.keys(store, x)) for x in (Split.HELDOUT, Split.TRAIN))
        share = read_json(store.file(self, "looked_up.json"))[RETRIEVED.key]
        return (
            "The judge is SqueezeNet 1.1, trained on ImageNet: FID and KID compare 512 features "
            f"with those of {held} held-out pictures. FID is mostly the bias of so few, and "
            "compares sets of as many different pictures alone; KID has no such bias.",
            "Clusters that are found in these features too, as at emoji, confine experts in the "
            "space that the judge measures in, and LPIPS is of the same network: no column is "
            "independent of it.",
            f"The nearest is looked for among {train} pictures trained on, altered ones included. "
            f"Of pictures that were not trained on {COPIED:.0%} would count as near-copies. Real "
            "pictures are trained on, so all count; none of them is altered, as most that a model "
            "sees may be, so that a model that has learned all is not at their FID.",
            "By chance half of the held-out pictures are further from a sample than its prompt's. "
            "Of a look-up, the training picture whose caption shares the largest part of its "
            f"words, {share:.1%} are, over all {held} prompts.",
        )


def retrieved(x: Rows, held: Rows, own: NDArray[np.bool_]) -> float:
    """The share of held-out rows [M, F] of other prompts that x [F] is further from than from its
    own prompt's nearest; ties count half, and it is nan where all or none are its own."""
    if own.all() or not own.any():
        return float("nan")
    apart = np.square(held - x).sum(axis=1)
    least, others = apart[own].min(), apart[~own]
    return float((others > least).mean() + 0.5 * (others == least).mean())


def looked_up(train: Rows, named: Sequence[str], held: Rows, asked: Sequence[str]) -> float:
    """What `retrieved` is on average for the training row [N, F] whose caption shares the largest
    part of its words with a held-out one's, the first of several."""
    words, known = [{*_words(caption)} for caption in named], np.array(asked)
    shares = list[float]()
    for caption in asked:
        own = {*_words(caption)}
        alike = [len(own & each) / len(own | each) if own | each else 1.0 for each in words]
        shares.append(retrieved(train[int(np.argmax(alike))], held, known == caption))
    return float(np.nanmean(shares))


def _words(caption: str) -> list[str]:
    return re.findall(r"\w+", caption.lower())


def in_colour(images: Images) -> Images:
    """[N, 3, H, W]; grey pictures have three equal channels."""
    return np.broadcast_to(images, (len(images), 3, *images.shape[2:]))


def _records(source: Source, split: Split) -> Iterator[Records]:
    """A split, a batch at a time."""
    refused = RecordCounts()
    for part in source.parts(split):
        for records in source.batches(split, part, BATCH, refused):
            refused.check()
            yield records


def _nearest(a: Rows, b: Rows) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each row of a [N, F] the nearest row of b [M, F], and how far it is."""
    from sklearn.metrics import pairwise_distances_argmin_min

    return pairwise_distances_argmin_min(a.astype(np.float64), b.astype(np.float64))
