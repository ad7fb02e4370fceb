"""One training on two devices, gloo's on this machine, against the same on one."""

import multiprocessing
import os
import shutil
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from datamodules.sources.source import Split
from experiments.pipeline.hardware import Hardware, Strategy
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages.joining import TrainHead
from experiments.stages.run import Validation
from experiments.training import distributed
from experiments.training import fit as loop
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.training import Optim
from tests.helpers.stages import make

SMOKE = turned(
    SCALES["smoke"],
    {
        "data.clusters": 2,
        "expert.size": Size(8, 2, 2),
        "router.size": Size(8, 1, 2),
        "train.batch": 8,
    },
)
OPTIM = Optim(steps=12, batch=4, lr=4e-3, warmup=3, clip=0.05, ema=0.7, ema_start=3, accumulate=2)
"""Clipped at every step; checkpoints after every second."""
DDP, FSDP = (Hardware(2, strategy) for strategy in (Strategy.DDP, Strategy.FSDP))


class Exact(FlowMatchingExpert):
    """In float64, in which two orders of a sum agree so closely that nothing else can hide."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.network.double()

    def draw(self, batch):
        t, eps, c = super().draw(batch)
        return t.double(), eps, c

    def noised(self, x0, t, eps, c):
        c = replace(c, tokens=c.tokens.double(), pooled=c.pooled.double())
        return super().noised(x0.double(), t.double(), eps.double(), c)


class Mortal(Exact):
    """Its second process is killed in the step named by the file that says where."""

    def training_step(self, batch, batch_idx):
        fatal = Path(os.environ["FATAL"])
        if (
            self.global_rank == 1
            and fatal.exists()
            and fatal.read_text() == str(int(batch["step"]))
        ):
            fatal.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().training_step(batch, batch_idx)


def expert(kind=Exact, validated=False):
    stage = replace(experts.expert(SMOKE, kind, 0, 0), optim=OPTIM, text_dropout=0.5)
    encoded = experts.encoded(SMOKE, Split.HELDOUT)
    return replace(stage, validation=Validation(encoded, 4, draws=2)) if validated else stage


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A store with the shards, the held-out pictures, and the experts trained on one device."""
    store = Store(tmp_path_factory.mktemp("prepared"))
    make(store, expert(validated=True))
    return store


@pytest.fixture
def store(prepared, tmp_path):
    """The same without what was trained."""
    shutil.copytree(prepared.root, tmp_path / "store", ignore=lambda *_: ["trainexpert"])
    return Store(tmp_path / "store")


def trained(store, stage, hardware):
    return store.make(stage, Context(store, device="cpu", hardware=hardware))


def distance(one, two):
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (one, two))
    assert {k: (x.shape, x.dtype) for k, x in ours.items()} == {
        k: (x.shape, x.dtype) for k, x in theirs.items()
    }
    return max(float((ours[k] - x).abs().max()) for k, x in theirs.items())


@pytest.fixture(autouse=True)
def forked(monkeypatch):
    """Processes that need not import everything anew."""
    monkeypatch.setattr(distributed, "Process", multiprocessing.get_context("fork").Process)


@pytest.mark.parametrize("hardware", [DDP, FSDP], ids=["ddp", "fsdp"])
def test_two_devices_train_what_one_does(prepared, store, hardware):
    """kills: a batch to each device, the same rows or noise on both, gradients added up or not
    shared, each clipped by its own norm, an average of one's own weights, a log of half the batch,
    part of the weights written, validation on what the network never was."""
    stage = expert(validated=True)
    ours, theirs = trained(store, stage, hardware), prepared.path(stage)
    assert distance(ours, theirs) < 1e-10
    for name, column in (("log.csv", "loss"), ("validation.csv", "loss")):
        one, two = (pd.read_csv(folder / name) for folder in (ours, theirs))
        assert one["step"].tolist() == two["step"].tolist()
        assert one[column].to_numpy() == pytest.approx(two[column].to_numpy(), rel=1e-6)
    assert sorted(p.name for p in ours.iterdir()) == sorted(p.name for p in theirs.iterdir())


@pytest.mark.parametrize(
    "hardware",
    [pytest.param(DDP, id="ddp"), pytest.param(FSDP, id="fsdp", marks=pytest.mark.longest)],
)
def test_two_devices_resume_to_the_same_bits(prepared, store, tmp_path, monkeypatch, hardware):
    """kills: moments or averages of one part restored for all, or drawn anew; a part of the
    weights in the checkpoint; a killed process waited for, or told as another's lost connection."""
    fatal = tmp_path / "fatal"
    monkeypatch.setenv("FATAL", str(fatal))
    whole, broken = (Store(tmp_path / name) for name in ("whole", "broken"))
    for copy in (whole, broken):
        shutil.copytree(store.root, copy.root)
    stage = expert(Mortal)
    straight = trained(whole, stage, hardware)
    for step in (5, 19):
        fatal.write_text(str(step))
        with pytest.raises(BrokenProcessPool, match="was killed"):
            trained(broken, stage, hardware)
        assert (broken.root / "making" / f"{stage.kind}-{stage.key}" / "last.ckpt").exists()
    assert distance(trained(broken, stage, hardware), straight) == 0


@pytest.mark.parametrize("kind", ["router", "head"])
def test_other_stages_train_on_two_devices_too(store, tmp_path, kind):
    """kills: a head's public pictures drawn by every device for itself, or the second device given
    the first one's; a stage that does not ask for more than one."""
    stage = experts.router(SMOKE, True, 0)
    if kind == "head":
        public = experts.encoded(SMOKE, Split.JUDGE)
        fields = {f: getattr(stage, f) for f in ("shards", "schedule", "network", "text_dropout")}
        stage = TrainHead(cluster=0, public=public, optim=OPTIM, seed=0, **fields)
    for item in stage.inputs():
        make(store, item)
    other = Store(tmp_path / "other")
    shutil.copytree(store.root, other.root)
    assert distance(trained(store, stage, DDP), trained(other, stage, Hardware())) < 2e-4
    assert store.provenance(stage)["hardware"]["devices"] == 2


def test_a_batch_that_does_not_divide_is_one_line(store):
    """kills: a larger batch than asked, or rows left out."""
    with pytest.raises(ValueError, match=r"expert 0, seed 0: batch 4 .*among 3 devices"):
        trained(store, expert(), Hardware(3))
    assert not store.has(expert())


def fail(rank, folder):
    """The second fails while the first sleeps."""
    (folder / f"{os.getpid()}.pid").touch()
    if rank == 0:
        time.sleep(300)
    while len(list(folder.glob("*.pid"))) < 2:
        time.sleep(0.05)
    raise ValueError("the second fails")


def sleep(rank, folder):
    (folder / f"{os.getpid()}.pid").touch()
    time.sleep(300)


def gone(folder):
    """Whether no process that wrote its number to `folder` is left, waited for a little."""
    for _ in range(100):
        if not any(Path(f"/proc/{path.stem}").exists() for path in folder.glob("*.pid")):
            return True
        time.sleep(0.1)
    return False


def test_a_failure_ends_all_with_its_own_words(tmp_path):
    """kills: a failure waited out, told by number, or one that leaves the others running."""
    with pytest.raises(ValueError, match="the second fails") as caught:
        distributed.run(fail, (tmp_path,), 2)
    assert str(caught.value) == "the second fails"
    assert "test_distributed.py" in caught.value.__notes__[0]
    assert len(list(tmp_path.glob("*.pid"))) == 2
    assert gone(tmp_path)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_none_outlives_its_parent(tmp_path, ending):
    """kills: processes that train on for nobody."""

    def hearing():  # SIGINT, which a job of the background may have been told to ignore
        signal.signal(signal.SIGINT, signal.default_int_handler)
        distributed.run(sleep, (tmp_path,), 2)

    parent = multiprocessing.get_context("fork").Process(target=hearing)
    parent.start()
    while len(list(tmp_path.glob("*.pid"))) < 2:
        time.sleep(0.05)
    os.kill(parent.pid, ending)
    parent.join(20)
    assert parent.exitcode
    assert gone(tmp_path)


@pytest.mark.longest
def test_new_processes_train_as_forked_ones(prepared, store, monkeypatch):
    """kills: work that does not survive the way to a process of its own, or words on stdout."""
    monkeypatch.setattr(distributed, "Process", multiprocessing.get_context("spawn").Process)
    assert distance(trained(store, expert(), DDP), prepared.path(expert(validated=True))) < 1e-10


@pytest.mark.parametrize("first", [1, 2])
def test_a_checkpoint_of_another_number_of_devices_is_one_line(store, tmp_path, monkeypatch, first):
    """kills: a traceback of tensors' names, or a start from nothing, where one device goes on from
    what two have left, or two from what one has."""
    monkeypatch.setenv("FATAL", str(tmp_path / "fatal"))
    hardware = {1: Hardware(), 2: Hardware(2)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Run, "save", lambda *_: 1 / 0)
        with pytest.raises(Exception, match="division"):
            trained(store, expert(), hardware[first])
    with pytest.raises(Exception, match="go on with as many as then, or delete it"):
        trained(store, expert(), hardware[3 - first])
