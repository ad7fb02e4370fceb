"""What a source of pictures and captions is: anything that reads these three splits."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Split(Enum):
    """TRAIN for experts, routers and clusters; JUDGE for the networks that score them; HELDOUT,
    which no training stage ever reads."""

    TRAIN = "train"
    JUDGE = "judge"
    HELDOUT = "heldout"


@dataclass(frozen=True)
class Records:
    """keys [N], images [N, C, H, W] float32 in [-1, 1], labels [N] int64, captions [N]."""

    keys: list[str]
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    captions: list[str]

    def __len__(self) -> int:
        return len(self.keys)


class Source(Protocol):
    """A frozen value, hashed into every key below it. image: side; channels; classes of labels."""

    @property
    def image(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def classes(self) -> int: ...

    def read(self, split: Split) -> Records: ...
