"""Windows hold the clusters in the shares of the whole, and each is read ahead of its need."""

import gc
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import windows as module
from datamodules.latents import BatchStream
from datamodules.shards import Shard, ShardError, read_index
from datamodules.windows import WindowReader, read_window
from tests.helpers.files import write_cluster


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


@pytest.fixture
def written(tmp_path):
    """Five shards of two samples, of which each says its number."""
    rows = [{"__key__": f"{i}", "latent.npy": np.full(3, i, np.float32)} for i in range(10)]
    write_cluster(tmp_path / "k", 2, rows, per_shard=2)
    return read_index(tmp_path / "k")


def test_a_window_holds_its_shards_by_name(written):
    """kills: rows in the order of the draw, where a window is the same whatever its order; a shard
    over its neighbour."""
    found = read_window([written[3], written[0], written[1]])
    assert found["x0"].tolist() == [[i] * 3 for i in (0, 1, 2, 3, 6, 7)]
    assert found["cluster"].tolist() == [2] * 6


@pytest.mark.parametrize("other", [np.zeros(3), np.zeros(4, np.float32)])
def test_shards_of_other_arrays_are_named(tmp_path, written, other):
    """kills: float64 rounded into another shard's float32, or a shape spread over it."""
    write_cluster(tmp_path / "l", 0, [{"__key__": "a", "latent.npy": other}], per_shard=2)
    (wrong,) = read_index(tmp_path / "l")
    with pytest.raises(ShardError, match=f"{wrong.path} holds other arrays than {written[0].path}"):
        read_window([wrong, written[0]])


def test_the_next_window_is_read_while_this_one_is_used(written, monkeypatch):
    """kills: a next window that is waited for, read by the training thread, or read too early."""
    reads, done = [], threading.Event()

    def read(shards):
        reads.append((shards[0].path.name, threading.current_thread().name))
        if len(reads) == 2:
            done.set()
        return {"x0": torch.zeros(2)}

    monkeypatch.setattr(module, "read_window", read)
    batches = iter(BatchStream(written, 1, 0, 0, 10, window=2))
    next(batches)
    assert done.wait(10)
    assert len({name for name, _ in reads}) == 2
    assert all(thread.startswith("shards") for _, thread in reads)


def test_no_window_is_read_that_no_batch_needs(written, monkeypatch):
    """kills: a window read at the end of training and thrown away."""
    reads, whole = [], module.read_window
    monkeypatch.setattr(module, "read_window", lambda s: reads.append(s) or whole(s))
    list(BatchStream(written, 2, 0, 0, 3, window=2))
    assert len(reads) == 3


def test_two_windows_are_in_memory(written, monkeypatch):
    """kills: an old window kept while a third one is read; one window for more than its memory."""
    alive, most, whole = weakref.WeakSet(), [], module.read_window

    def read(shards):
        gc.collect()
        most.append(len(alive))  # before this one
        window = whole(shards)
        alive.add(window["x0"])
        return window

    monkeypatch.setattr(module, "read_window", read)
    list(BatchStream(written, 1, 0, 0, 30, window=2))
    assert len(most) > 10  # where two epochs meet, the last window may be the first
    assert max(most) <= 1


def test_damage_ahead_is_raised_when_its_window_is_asked_for(written):
    """kills: an error lost in the thread, or raised over a window that is whole."""
    written[1].path.write_bytes(b"")
    with WindowReader() as reader:
        assert len(reader.read(written[:1], written[1:2])["x0"]) == 2
        with pytest.raises(ShardError, match=r"000001.tar is truncated"):
            reader.read(written[1:2])


def test_the_thread_ends_with_its_batches(written):
    """kills: a thread left behind for each stream that was not read to its end."""
    before = threading.active_count()
    batches = iter(BatchStream(written, 1, 0, 0, 10, window=2))
    next(batches)
    assert threading.active_count() == before + 1
    del batches
    gc.collect()
    assert threading.active_count() == before


def test_a_caption_has_one_number_in_every_window(tmp_path):
    """kills: a number counted within its window, one of part of the tokens, one for all."""
    drawn = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    drawn[2, :, :3] = drawn[1, :, :3]  # apart in the last column alone
    of_sample = [0, 1, 1, 2, 0, 0]
    rows = [
        {"__key__": f"{i}", "latent.npy": np.zeros(3, np.float32), "tokens.npy": drawn[caption]}
        for i, caption in enumerate(of_sample)
    ]
    write_cluster(tmp_path / "k", 0, rows, per_shard=2)
    given = read_index(tmp_path / "k")
    apart = torch.cat([read_window([shard])["caption"] for shard in given])
    assert torch.equal(apart, read_window(given)["caption"])
    assert apart.min() >= 0
    same = torch.tensor(of_sample)
    assert torch.equal(apart[:, None] == apart, same[:, None] == same)
