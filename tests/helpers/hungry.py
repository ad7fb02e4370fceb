"""A fine method whose memory is known: little to import for the process that runs it."""

from dataclasses import dataclass

import numpy as np

MB = 2**20


@dataclass(frozen=True)
class Hungry:
    """Reads every feature and holds 150 MiB meanwhile; mapped features are no part of that."""

    def centroids(self, parts, fine, seed):
        held = np.full(150 * MB, 1, dtype=np.uint8)
        total = sum(float(part.sum()) for part in parts) + float(held[::4096].sum())
        return np.eye(parts[0].shape[1])[:fine] + 0 * total
