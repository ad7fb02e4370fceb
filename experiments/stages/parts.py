"""One part of an encoded split, read from the store."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.sources.source import RecordCounts
from experiments.pipeline.files import read_json, write_whole
from experiments.pipeline.store import Store

if TYPE_CHECKING:
    from experiments.stages.clusters import Encode

Array = NDArray[Any]


BATCH = 64
"""Pictures, or frames, encoded at once."""


class Part:
    """One part of an encoded split: arrays that are mapped rather than read."""

    def __init__(self, stage: "Encode", store: Store, number: int) -> None:
        self.stage, self.store, self.name = stage, store, f"{number:05d}"

    @property
    def about(self) -> dict[str, Any]:
        """Keys, captions, labels: read when asked for, as all parts' are as long as the data."""
        return read_json(self.store.file(self.stage, f"{self.name}.json"))

    def __len__(self) -> int:
        return len(self.about["keys"])

    def array(self, name: str) -> Array:
        path = self.store.file(self.stage, f"{self.name}.{name}.npy")
        return np.load(path, mmap_mode="r")

    def entries(self, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """What a shard holds of each picture; names: of arrays here, and what they are called."""
        arrays = {f"{name}.npy": self.array(array) for array, name in names.items()}
        about = self.about
        for i, key in enumerate(about["keys"]):
            row = {name: np.array(array[i]) for name, array in arrays.items()}
            yield {"__key__": key, "caption.txt": about["captions"][i], **row}


def read_refused(told: dict[str, Any]) -> RecordCounts:
    """What became of a part's records, from JSON."""
    bad = [(key, reason) for key, reason in told["bad"]]
    return RecordCounts(told["kept"], bad, Counter(told["left_out"]))


def encode_part(stage: "Encode", folder: Path, i: int, part: str, device: torch.device) -> None:
    """Encode the i-th part of the source, and write it into `folder`."""
    refused = RecordCounts()
    found: dict[str, list[Array]] = {}
    keys: list[str] = []
    captions: list[str] = []
    labels: list[int] = []
    size = max(1, BATCH // getattr(stage.source, "frames", 1))
    for records in stage.source.batches(stage.split, part, size, refused):
        found.setdefault("latents", []).append(stage.latents.encode(records.images, device))
        found.setdefault("features", []).append(stage.features.encode(records.images, device))
        keys += records.keys
        captions += records.captions
        labels += records.labels.tolist()
        refused.check(stage.bad_share)
    if keys and stage.text.cached:
        tokens, pooled = stage.text.encode(captions, device)
        found |= {"tokens": [tokens], "pooled": [pooled]}
    elif keys:
        found["ids"] = [stage.text.ids(captions)]
    for name, arrays in found.items():
        np.save(folder / f"{i:05d}.{name}.npy", np.concatenate(arrays))
    about = {
        **{"part": part, "refused": refused.as_json()},
        **{"keys": keys, "captions": captions, "labels": labels},
    }
    write_whole(folder / f"{i:05d}.json", json.dumps(about).encode())  # last: it is complete
