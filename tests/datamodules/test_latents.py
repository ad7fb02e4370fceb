"""Batches: each sample once an epoch, resumption anywhere, bounded memory, nobody else's files."""

import shutil
import sys
from itertools import chain, islice, pairwise

import lightning as L
import numpy as np
import pytest
import torch

from datamodules import windows
from datamodules.latents import BatchStream, Latents
from datamodules.shards import ShardError, read_index
from tests.helpers.files import write_cluster

CLUSTERS = {"cluster-00": range(0, 11), "cluster-01": range(11, 18), "cluster-02": range(18, 20)}
TOTAL = 20
every_window = pytest.mark.parametrize("window", [1, 5, 100])


def sample(i):
    """Every field of sample i says i."""
    return {
        "__key__": f"digit-{i:04d}",
        "latent.npy": np.full((1, 2, 2), i, dtype=np.float32),
        "tokens.npy": np.full((3, 2), i + 100, dtype=np.float32),
        "pooled.npy": np.full(2, i + 200, dtype=np.float32),
        "caption.txt": str(i),
    }


@pytest.fixture
def folders(tmp_path):
    """Three clusters of 11, 7 and 2 samples in shards of three, or fewer at the end."""
    for k, (name, numbers) in enumerate(CLUSTERS.items()):
        write_cluster(tmp_path / name, k, [sample(i) for i in numbers], per_shard=3)
    return [tmp_path / name for name in CLUSTERS]


@pytest.fixture
def reads(monkeypatch):
    """The shards read so far, in order."""
    log = []
    read = windows.read_shard
    monkeypatch.setattr(windows, "read_shard", lambda s: log.append(s.path) or read(s))
    return log


def stream(folders, first=0, last=30, batch=4, seed=0, window=100):
    shards = [shard for folder in folders for shard in read_index(folder)]
    return BatchStream(shards, batch, seed, first, last, window)


def ids(batches):
    """The samples, batch by batch."""
    return [[int(i) for i in batch["x0"][:, 0, 0, 0]] for batch in batches]


def flat(batches):
    return list(chain.from_iterable(ids(batches)))


@every_window
@pytest.mark.parametrize("batch", [1, 3, 7, 20, 47])
def test_every_sample_comes_once_an_epoch(folders, batch, window):
    """kills: a last batch dropped or padded, a window's rest lost, sampling with repetition."""
    seen = flat(stream(folders, batch=batch, last=-(-4 * TOTAL // batch), window=window))
    for epoch in range(4):
        assert sorted(seen[epoch * TOTAL : (epoch + 1) * TOTAL]) == list(range(TOTAL))


@every_window
def test_the_order_is_a_function_of_seed_and_epoch(folders, window):
    """kills: the same order every epoch or for every seed, or one from the global generator."""
    torch.manual_seed(1)
    seen = flat(stream(folders, last=20, window=window))
    torch.manual_seed(2)
    np.random.seed(2)
    assert flat(stream(folders, last=20, window=window)) == seen
    epochs = {tuple(seen[i : i + TOTAL]) for i in range(0, 4 * TOTAL, TOTAL)}
    assert len(epochs) == 4
    assert tuple(flat(stream(folders, last=5, seed=1, window=window))) not in epochs
    assert tuple(range(TOTAL)) not in epochs


def test_shards_are_mixed_inside_a_window(folders):
    """kills: shards shuffled but their samples left in order, or read out one after the other."""
    together, apart = (
        flat(stream(folders, batch=TOTAL, last=60, window=window)) for window in (100, 1)
    )
    shard = [(i - min(r)) // 3 + 10 * k for k, r in enumerate(CLUSTERS.values()) for i in r]

    def switches(seen):
        return np.mean([shard[a] != shard[b] for a, b in pairwise(seen)])

    assert switches(apart) < 0.45  # 8 shards in 20 samples
    assert switches(together) > 0.8  # 0.91 for independent draws
    pairs = {(a, b) for a, b in pairwise(apart) if a != b and shard[a] == shard[b] == 0}
    assert pairs == {(a, b) for a in range(3) for b in range(3) if a != b}


@every_window
@pytest.mark.parametrize("batch", [3, 7, 47])
def test_resuming_is_the_same_as_never_having_stopped(folders, batch, window):
    """kills: a resumed run from the epoch's start, one batch off, or in another order."""
    last = 3 * TOTAL // batch + 2
    whole = list(stream(folders, batch=batch, last=last, window=window))
    for step in range(last):
        resumed = list(stream(folders, first=step, batch=batch, last=last, window=window))
        assert ids(resumed) == ids(whole[step:])
        assert [int(b["step"]) for b in resumed] == list(range(step, last))


@every_window
def test_the_fields_of_a_sample_stay_together(folders, window):
    """kills: one field shuffled apart from the others, another dtype, labels of another folder."""
    for batch in stream(folders, batch=7, last=9, window=window):
        i = batch["x0"][:, 0, 0, 0]
        assert torch.equal(batch["x0"], i[:, None, None, None].expand(7, 1, 2, 2))
        assert torch.equal(batch["tokens"], (i + 100)[:, None, None].expand(7, 3, 2))
        assert torch.equal(batch["pooled"], (i + 200)[:, None].expand(7, 2))
        assert batch["cluster"].tolist() == [0 if n < 11 else 1 if n < 18 else 2 for n in i]
        floats = {batch[key].dtype for key in ("x0", "tokens", "pooled")}
        assert floats == {torch.float32}
        assert batch["cluster"].dtype == batch["step"].dtype == torch.int64


def test_no_more_shards_are_read_than_a_batch_needs(folders, reads):
    """kills: a whole cluster read for its first batch, or all that was skipped read again."""
    list(islice(stream(folders, batch=1, last=2 * TOTAL, window=1), 1))
    assert len(reads) <= 2  # windows of one shard: this one and, ahead of its need, the next
    reads.clear()
    list(islice(stream(folders, batch=1, first=3 * TOTAL - 1, last=99, window=1), 1))
    assert len(reads) <= 2
    reads.clear()
    list(stream(folders, batch=1, last=2 * TOTAL, window=1))
    assert 15 <= len(reads) <= 16  # a shard that ends an epoch may begin the next


def test_each_shard_is_read_once_an_epoch(folders, reads):
    """kills: a window read again for every batch that touches it."""
    list(stream(folders, batch=2, last=TOTAL // 2, window=1))
    assert len(reads) == len(set(reads)) == 8


def test_a_window_of_all_is_read_once_for_all_epochs(folders, reads):
    """kills: the data read anew every epoch, because its shards come in another order."""
    list(stream(folders, batch=7, last=40))
    assert len(reads) == len(set(reads)) == 8


@pytest.fixture(scope="module")
def listen():
    """A function that runs another and says which files it opened."""
    log, listening = [], []

    def hook(event, args):  # stays for good, deaf outside `run`
        if event == "open" and listening:
            log.append(str(args[0]))

    sys.addaudithook(hook)

    def run(action):
        log.clear()
        listening.append(True)
        try:
            action()
        finally:
            listening.clear()
        return list(log)

    return run


def test_only_the_given_folders_files_are_opened(folders, tmp_path, listen):
    """kills: an expert that looks into another's cluster, even if it takes nothing from it."""
    opened = listen(lambda: list(Latents([folders[1]], 4, 9, seed=0).train_dataloader()))
    inside = {path for path in opened if path.startswith(str(tmp_path))}
    assert inside == {str(path) for path in folders[1].iterdir()}


def test_a_cluster_needs_no_other_to_be_there(folders):
    """kills: numbers, labels or an order that hang on the other clusters."""
    before = flat(Latents([folders[1]], 4, 9, seed=0).train_dataloader())
    shutil.rmtree(folders[0])
    shutil.rmtree(folders[2])
    data = list(Latents([folders[1]], 4, 9, seed=0).train_dataloader())
    assert flat(data) == before
    assert set(before) == set(CLUSTERS["cluster-01"])
    assert set(torch.cat([b["cluster"] for b in data]).tolist()) == {1}
    with pytest.raises(ShardError, match="cluster-02"):
        Latents(folders[1:], 4, 9, seed=0).train_dataloader()


def test_no_samples_are_refused(tmp_path):
    """kills: an endless loop over nothing."""
    write_cluster(tmp_path / "empty", 0, [], per_shard=3)
    for folders in ([], [tmp_path / "empty"]):
        with pytest.raises(ValueError, match="no samples"):
            Latents(folders, 4, 9, seed=0).train_dataloader()


class Recorder(L.LightningModule):
    """Keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def training_step(self, batch, _):
        self.seen.append((int(batch["step"]), *ids([batch])[0]))
        return (self.weight * batch["x0"].mean()).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trained(folders, accumulate, until, checkpoint=None):
    """What a run of eight steps in all sees up to step `until`; its trainer."""
    trainer = L.Trainer(
        max_steps=until, max_epochs=-1, accelerator="cpu", accumulate_grad_batches=accumulate,
        logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    module = Recorder()
    data = Latents(folders, 3, steps=8, seed=0, window=4, accumulate=accumulate)
    trainer.fit(module, data, ckpt_path=checkpoint)
    return module.seen, trainer


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("until", [3, 7])
def test_a_resumed_trainer_reads_on_where_it_stood(folders, tmp_path, accumulate, until):
    """kills: a datamodule deaf to global_step, or one that counts batches as steps."""
    whole, _ = trained(folders, accumulate, 8)
    assert [step for step, *_ in whole] == list(range(8 * accumulate))
    before, trainer = trained(folders, accumulate, until)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    after, trainer = trained(folders, accumulate, 8, tmp_path / "last.ckpt")
    assert trainer.global_step == 8
    assert len(before) == until * accumulate
    assert before + after == whole
