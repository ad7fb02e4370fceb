"""One part of an encoded split, read from the store."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datamodules.sources import Refused
from experiments.files import read_json
from experiments.store import Store

if TYPE_CHECKING:
    from experiments.data import Encode

Array = NDArray[Any]


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


def read_refused(told: dict[str, Any]) -> Refused:
    """What became of a part's records, from JSON."""
    bad = [(key, reason) for key, reason in told["bad"]]
    return Refused(told["kept"], bad, Counter(told["left_out"]))
