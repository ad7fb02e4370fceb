"""The first stage: latents, features and encoded captions of a split, in one pass over its source.

Encode -> Clusters -> Shards. Nothing here holds more than a part of the source at once.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from datamodules.encoders.captions import refusals
from datamodules.encoders.encoder import FeatureEncoder, LatentEncoder, TextEncoder
from datamodules.sources.lost import LostShards
from datamodules.sources.source import (
    BAD_SHARE,
    LostShardError,
    RecordCounts,
    Source,
    Split,
    record_shape,
)
from experiments.pipeline.files import read_json, write_whole
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store

Array = NDArray[Any]
BATCH = 64
"""Pictures, or frames, encoded at once."""


@dataclass(frozen=True)
class Encode(Stage):
    """What a split's pictures and captions become, a part of the source at a time.

    00000.latents.npy [N, C, H, W], .features.npy [N, F], .tokens.npy [N, L, D] and .pooled.npy
    [N, P], or .ids.npy [N, L] where the tower is to run later, and 00000.json (keys, captions,
    labels) for the first part, and so on; refused.json counts and lists the records that were
    skipped, and the shards that are lost. A killed run goes on with the next part. SourceError past
    `bad_share` of bad records, or past the share of shards that the source may lose.
    """

    resumes: ClassVar[bool] = True
    source: Source
    split: Split
    latents: LatentEncoder
    features: FeatureEncoder
    text: TextEncoder
    bad_share: float = BAD_SHARE

    @property
    def label(self) -> str:
        return f"{self.split.value} split, encoded"

    def make(self, folder: Path, context: Context) -> None:
        parts = self.source.parts(self.split)
        hidden = context.bar is None or len(parts) == 1
        bar = tqdm(parts, desc=self.label, position=context.bar, disable=hidden, leave=False)
        refused, lost = RecordCounts(), LostShards.of(self.source, self.split)
        for i, part in enumerate(bar):
            path = folder / f"{i:05d}.json"
            if not path.exists() or "lost" in read_json(path):  # it may have been fetched since
                self._encode_or_lose(folder, i, part, context.torch_device)
            about = read_json(path)
            refused.add(_read_refused(about["refused"]))
            refused.check(self.bad_share)
            if "lost" in about:
                lost.add(part, about["lost"])
        if lost.line:
            tqdm.write(f"{self.label}: {lost.line}", sys.stderr)
        told = refused.as_json() | ({"lost": lost.lost} if lost.lost else {})
        (folder / "refused.json").write_text(json.dumps(told, indent=1) + "\n")

    def _encode_or_lose(self, folder: Path, i: int, part: str, device: torch.device) -> None:
        """Encode the i-th part, or write down why there is none."""
        try:
            self._encode_part(folder, i, part, device)
        except LostShardError as error:
            nothing = {"keys": [], "captions": [], "labels": [], "lost": str(error)}
            about = {"part": part, "refused": RecordCounts().as_json(), **nothing}
            write_whole(folder / f"{i:05d}.json", json.dumps(about).encode())

    def _encode_part(self, folder: Path, i: int, part: str, device: torch.device) -> None:
        """Encode the i-th part of the source, and write it into `folder`."""
        refused = RecordCounts()
        arrays: dict[str, list[Array]] = {}
        keys: list[str] = []
        captions: list[str] = []
        labels: list[int] = []
        size = max(1, BATCH // self._frames)
        for records in self.source.batches(self.split, part, size, refused):
            made = {
                "latents": self.latents.encode(records.images, device),
                "features": self.features.encode(records.images, device),
            }
            rows = _finite(records.keys, made, refused)
            for name, array in made.items():
                arrays.setdefault(name, []).append(array[rows])
            keys += [records.keys[i] for i in rows]
            captions += [records.captions[i] for i in rows]
            labels += records.labels[rows].tolist()
            refused.check(self.bad_share)
        whole = {name: np.concatenate(batches) for name, batches in arrays.items()}
        about: dict[str, list[Any]] = {"keys": keys, "captions": captions, "labels": labels}
        self._write(folder, i, part, whole, about, refused, device)

    def _write(
        self, folder: Path, i: int, part: str, whole: dict[str, Array],
        about: dict[str, list[Any]], refused: RecordCounts, device: torch.device,
    ) -> None:  # fmt: skip
        """Encode the captions, leaving out what they are too long for, and write the part."""
        keys, captions = about["keys"], about["captions"]
        try:
            words = self._words(captions, device)
        except ValueError:
            rows = self._readable(keys, captions, refused)
            refused.check(self.bad_share)
            whole = {name: array[rows] for name, array in whole.items()}
            about = {name: [x[row] for row in rows] for name, x in about.items()}
            words = self._words(about["captions"], device)
        for name, array in {**whole, **words}.items():
            np.save(folder / f"{i:05d}.{name}.npy", array)
        told = {"part": part, "refused": refused.as_json(), **about}
        write_whole(folder / f"{i:05d}.json", json.dumps(told).encode())  # last: it is complete

    def _words(self, captions: list[str], device: torch.device) -> dict[str, Array]:
        """The captions' states, or their ids. ValueError if one is too long for the encoder."""
        if not captions:
            return {}
        if self.text.cached:
            return dict(zip(("tokens", "pooled"), self.text.encode(captions, device), strict=True))
        return {"ids": self.text.ids(captions)}

    def _readable(self, keys: list[str], captions: list[str], counts: RecordCounts) -> list[int]:
        """The rows whose captions the encoder can read; the others count as bad records."""
        reasons = refusals(self.text.encode if self.text.cached else self.text.ids, captions)
        bad = [(key, reasons[c]) for key, c in zip(keys, captions, strict=True) if c in reasons]
        counts.bad += bad
        counts.kept -= len(bad)
        return [i for i, caption in enumerate(captions) if caption not in reasons]

    @property
    def _frames(self) -> int:
        """Frames of one record: 1 of pictures."""
        _, *times = record_shape(self.source)[:-2]
        return math.prod(times)

    def parts(self, store: Store) -> "list[Part]":
        """Every part that holds a picture, in the order of the source."""
        parts = [Part(self, store, i) for i in range(len(self.source.parts(self.split)))]
        return [part for part in parts if len(part)]

    def array(self, store: Store, name: str) -> Array:
        """An array of all parts together."""
        return np.concatenate([part.array(name) for part in self.parts(store)])

    def captions(self, store: Store) -> tuple[list[str], NDArray[np.int64]]:
        """The captions and labels of all parts."""
        abouts = [part.about for part in self.parts(store)]
        labels = [label for about in abouts for label in about["labels"]]
        return [c for about in abouts for c in about["captions"]], np.array(labels, dtype=np.int64)


def _finite(
    keys: Sequence[str], arrays: Mapping[str, Array], counts: RecordCounts
) -> NDArray[np.int64]:
    """The rows of a batch whose numbers are all finite; the others count as bad records."""
    good = np.ones(len(keys), dtype=bool)
    for name, array in arrays.items():
        finite = np.isfinite(array).reshape(len(keys), -1).all(axis=1)
        bad = np.flatnonzero(good & ~finite).tolist()
        counts.bad += [(keys[i], f"its {name} are not finite") for i in bad]
        good &= finite
    counts.kept -= int((~good).sum())
    return np.flatnonzero(good)


class Part:
    """One part of an encoded split, in the store: arrays that are mapped rather than read."""

    def __init__(self, encode: "Encode", store: Store, number: int) -> None:
        self.encode, self.store, self.name = encode, store, f"{number:05d}"

    @property
    def about(self) -> dict[str, Any]:
        """Keys, captions and labels, read each time: those of all parts may not fit into memory."""
        return read_json(self.store.file(self.encode, f"{self.name}.json"))

    def __len__(self) -> int:
        return len(self.about["keys"])

    def array(self, name: str) -> Array:
        path = self.store.file(self.encode, f"{self.name}.{name}.npy")
        return np.load(path, mmap_mode="r")

    def entries(self, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """What a shard holds of each picture; names: of arrays here, and what they are called."""
        arrays = {f"{name}.npy": self.array(array) for array, name in names.items()}
        about = self.about
        for i, key in enumerate(about["keys"]):
            row = {name: np.array(array[i]) for name, array in arrays.items()}
            yield {"__key__": key, "caption.txt": about["captions"][i], **row}


def record_counts(encode: Encode, store: Store) -> RecordCounts:
    """What became of the records of an encoded split."""
    return _read_refused(read_json(store.file(encode, "refused.json")))


def _read_refused(counts: dict[str, Any]) -> RecordCounts:
    """What became of records, from JSON."""
    bad = [(key, reason) for key, reason in counts["bad"]]
    return RecordCounts(counts["kept"], bad, Counter(counts["left_out"]))
