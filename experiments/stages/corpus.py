"""What experts are trained on: shards of clusters that were encoded once, or clips drawn anew."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import lightning as L
import numpy as np
from numpy.typing import NDArray

from datamodules.encoders.encoder import LatentEncoder, TextEncoder
from datamodules.latents import ALL, ValidationBatches
from datamodules.sources.source import Source, record_shape
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Store
from modules.training import Optim

if TYPE_CHECKING:
    from experiments.stages.clusters import Encode


class Corpus(Stage):
    """A stage whose clusters can be trained on, each without a look at another.

    k: how many clusters.  heldout: the split that none is trained on.
    """

    source: Source
    latents: LatentEncoder
    text: TextEncoder

    @property
    def k(self) -> int:
        raise NotImplementedError

    @property
    def heldout(self) -> "Encode":
        raise NotImplementedError

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(C, H, W), or (C, T, H, W), of what the experts see."""
        return self.latents.shape(record_shape(self.source))

    def placed(self) -> tuple[Stage, ...]:
        """What has to be made for `heldout_clusters`."""
        return ()

    def heldout_clusters(self, store: Store) -> NDArray[np.int64]:
        """The cluster [N] of each held-out picture."""
        raise NotImplementedError

    def samples(self, store: Store, clusters: Sequence[int]) -> int:
        """How many pictures there are of these clusters."""
        raise NotImplementedError

    def loader(
        self,
        store: Store,
        clusters: Sequence[int],
        optim: Optim,
        seed: int,
        rows: slice = ALL,
        heldout: ValidationBatches | None = None,
    ) -> L.LightningDataModule:
        """Training batches of these clusters alone: of every batch the given rows."""
        raise NotImplementedError
