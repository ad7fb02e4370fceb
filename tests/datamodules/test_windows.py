"""Windows of whole shards hold the clusters in the shares of the whole."""

from pathlib import Path

import numpy as np

from datamodules.latents import BatchStream
from datamodules.shards import Shard


def shards(counts, samples=100):
    """Shards of `samples` samples, so many of each cluster."""
    return [
        Shard(Path(f"cluster-{k:02d}/{i:06d}.tar"), k, samples, 0, "")
        for k, count in enumerate(counts)
        for i in range(count)
    ]


def windows(given, epoch, window=1_000):
    return list(BatchStream(given, 8, 3, 0, 1, window)._windows(epoch))


def test_every_window_has_every_cluster_by_its_share():
    """kills: shards in one shuffled order, of which a tenth lacks clusters; a router trained on one
    window after another learns their shares in place of the data's."""
    given = shards((40, 20, 20, 10, 10))
    share = np.array([0.4, 0.2, 0.2, 0.1, 0.1])
    for epoch in range(3):
        found = windows(given, epoch)
        assert sorted(s.path for w in found for s in w) == sorted(s.path for s in given)
        for window in found:
            counts = np.bincount([shard.cluster for shard in window], minlength=5)
            assert np.abs(counts / 10 - share).max() <= 0.1


def test_one_clusters_shards_keep_their_shuffled_order():
    """kills: an expert's data in another order than its seed and epoch gave it, or the same order
    in every epoch."""
    given = shards((50,))
    order = np.random.default_rng([3, 1]).permutation(50)
    found = [shard.path for window in windows(given, 1) for shard in window]
    assert found == [given[i].path for i in order]
    assert found != [shard.path for window in windows(given, 2) for shard in window]
