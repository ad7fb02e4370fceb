"""The judge of `paper`: the metrics that papers print, by the networks that others trained.

FID, KID, FD-DINOv2, precision, recall, density, coverage against the held-out split, the CLIP
similarity of picture and caption, LPIPS within a prompt: of pictures rounded to eight bits.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.sources.source import RecordCounts, Source, Split
from experiments.pipeline.files import read_json
from experiments.pipeline.store import Context, Store
from experiments.scores.judge import FeatureRows, Judge, Reading, SetReading
from experiments.stages.encode import BATCH
from experiments.stages.samples import Images, Pictures
from experiments.tables.columns import NOT_NEGATIVE, Column
from metrics.frechet import Moments, moments_distance, subset_kernel_distance
from metrics.manifold import coverage, density, precision, recall
from metrics.networks.clip import OpenClip
from metrics.networks.features import FDDinov2Features, Features, InceptionFeatures
from metrics.networks.perceptual import Lpips
from metrics.pixels import to_uint8
from metrics.reference import ReferenceSet, load_moments, save_moments

Encoded = NDArray[np.float32]
SUBSETS, SUBSET = 100, 1000
"""Of KID, as Inception papers have it."""
OVERLAP = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}
NEIGHBOURHOOD = 10_000
"""Pictures a side of precision, recall, density and coverage: their published use has 10,000 to
50,000, and all distances between them are counted."""


@dataclass(frozen=True)
class Networks:
    """Which networks judge.

    inception: whose features FID and KID are of.  dinov2: all else that is of features.
    clip: how well a picture fits its caption.  lpips: the diversity of pictures.
    """

    inception: InceptionFeatures = InceptionFeatures()
    dinov2: FDDinov2Features = FDDinov2Features()
    clip: OpenClip = OpenClip()
    lpips: Lpips = Lpips()

    @property
    def features(self) -> tuple[Features, Features]:
        return self.inception, self.dinov2


@dataclass(frozen=True)
class PublishedMetrics(Judge):
    """Features of the first n held-out pictures, <network>.npy, their moments, each in a file
    whose name says data, split, n, resizing and network, and keys.json, which pictures they are."""

    source: Source
    n: int
    networks: Networks = field(default=Networks())

    @property
    def label(self) -> str:
        return "reference features of the held-out split"

    @property
    def cost(self) -> float:
        return 0.5 * self.n

    def make(self, folder: Path, context: Context) -> None:
        keys = list[str]()
        held = self._heldout(keys)
        features = _features(held, self.networks.features, context.torch_device)
        (folder / "keys.json").write_text(json.dumps({"keys": keys}) + "\n")
        for network, rows in zip(self.networks.features, features, strict=True):
            np.save(folder / f"{network.name}.npy", rows)
            save_moments(Moments.of(rows), folder / self._reference(network, len(rows)).file)

    def _heldout(self, keys: list[str]) -> Iterator[NDArray[np.uint8]]:
        """The first n pictures of the split, or all if it has fewer; adds their keys to `keys`."""
        refused, left = RecordCounts(), self.n
        for part in self.source.parts(Split.HELDOUT):
            for records in self.source.batches(Split.HELDOUT, part, BATCH, refused):
                refused.check()
                keys += records.keys[:left]
                yield to_uint8(records.images[:left])
                left -= len(records)
                if left <= 0:
                    return

    def _reference(self, network: Features, n: int) -> ReferenceSet:
        return ReferenceSet(
            self.source.name, Split.HELDOUT.value, n, self.source.preparation, network
        )

    def keys(self, store: Store) -> list[str]:
        """Which pictures the reference is of, in its order."""
        return list(read_json(store.file(self, "keys.json"))["keys"])

    def reference(self, store: Store) -> dict[str, Encoded]:
        """Features [n, F] of the held-out pictures, by network."""
        return {x.name: np.load(store.file(self, f"{x.name}.npy")) for x in self.networks.features}

    def _moments(self, store: Store, real: Mapping[str, Encoded]) -> dict[str, Moments]:
        return {
            x.name: load_moments(store.file(self, self._reference(x, len(real[x.name])).file))
            for x in self.networks.features
        }

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        """FID, KID and LPIPS under their own names, CLIP's similarity for prompt accuracy; nearest
        pixels say nothing at this size."""
        lpips = self.networks.lpips.title
        return {
            "fid": (Column("fid", self._fid, 2, lies=NOT_NEGATIVE),),
            "kid": (
                Column("kid", "KID x 1000", 2, factor=1000),
                Column("fd_dinov2", "FD-DINOv2", 1, lies=NOT_NEGATIVE),
                *(Column(name, f"{name.capitalize()} (DINOv2)", 3) for name in OVERLAP),
            ),
            "accuracy": (Column("clip", "CLIP similarity", 3),),
            "diversity": (Column("diversity", f"{lpips}, within a prompt", 3, lies=NOT_NEGATIVE),),
            "spread": (Column("spread", f"{lpips}, of all pairs", 3, lies=NOT_NEGATIVE),),
            "nearest": (),
        }.get(column.key, (column,))

    @property
    def _fid(self) -> str:
        published = InceptionFeatures()
        return "FID" if self.networks.inception == published else self.networks.inception.name

    def read(
        self, samples: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> Reading:
        shown, device = to_uint8(samples), context.torch_device
        features = {n.name: n.encode(shown, device) for n in self.networks.features}
        cosine = self.networks.clip.scores(shown, list(captions), device).cosine
        return Reading(features, {"clip": cosine})

    def read_set(
        self, features: FeatureRows, drawn: Pictures, several: Pictures, context: Context
    ) -> SetReading:
        real = self.reference(context.store)
        within, among = self._lpips(drawn, several, context)
        numbers = self.distances(features, real, self._moments(context.store, real))
        return SetReading({**numbers, "spread": among}, within)

    def distances(
        self,
        features: FeatureRows,
        real: Mapping[str, Encoded],
        moments: Mapping[str, Moments] | None = None,
    ) -> dict[str, float]:
        """Everything that compares features with those of real pictures, by network.

        moments: of the real ones, where they are known already.
        """
        inception, dinov2 = (network.name for network in self.networks.features)
        known = {name: Moments.of(real[name]) for name in real} if moments is None else moments
        apart = {x: moments_distance(Moments.of(features[x]), known[x]) for x in known}
        near = real[dinov2][:NEIGHBOURHOOD], features[dinov2][:NEIGHBOURHOOD]
        size = min(SUBSET, len(real[inception]), len(features[inception]))
        kid = subset_kernel_distance(features[inception], real[inception], SUBSETS, size)[0]
        return {
            "fid": apart[inception],
            "fd_dinov2": apart[dinov2],
            "kid": kid,
            **{name: overlap(*near) for name, overlap in OVERLAP.items()},
        }

    def _lpips(
        self, pictures: Pictures, several: Pictures, context: Context
    ) -> tuple[dict[str, float], float]:
        """Within each prompt of `several`, and among the pictures; of a thousand at most."""
        store, device, lpips = context.store, context.torch_device, self.networks.lpips
        images = to_uint8(several.images(store, SUBSET, device))
        captions = np.array(several.prompts(store)[0][: len(images)])
        every = images if several is pictures else to_uint8(pictures.images(store, SUBSET, device))
        return lpips.group_diversity(images, captions, device), lpips.diversity(every, device)

    def remarks(self, store: Store) -> tuple[str, ...]:
        n = len(np.load(store.file(self, f"{self.networks.inception.name}.npy"), mmap_mode="r"))
        short = f", of {self.n} asked for" if n < self.n else ""
        return (f"FID, KID and their like compare with {n} held-out pictures{short}.",)


def _features(
    pictures: Iterator[NDArray[np.uint8]], networks: tuple[Features, ...], device: torch.device
) -> list[Encoded]:
    """[N, F] of every network, in one pass over the pictures."""
    rows: list[list[Encoded]] = [[] for _ in networks]
    for x in pictures:
        for batches, network in zip(rows, networks, strict=True):
            batches.append(network.encode(x, device))
    return [np.concatenate(batches) for batches in rows]
