"""A stage trained under what launchers leave in the environment: the same bits and files."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from experiments.pipeline.files import sha256
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.training import isolation
from experiments.training.isolation import alone, clear
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.training import Optim
from tests.helpers.files import ROOT
from tests.helpers.stages import make

SMOKE = turned(SCALES["smoke"], {"expert.size": Size(8, 1, 2), "data.clusters": 2})
OPTIM = Optim(steps=6, batch=4, lr=4e-3, warmup=2, ema=0.5, ema_start=1)
FAMILIES = {
    "Slurm, one task": {
        "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train", "SLURM_JOB_ID": "7", "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost",
    },
    "Slurm, the second of two": {
        "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "train", "SLURM_JOB_ID": "7", "SLURM_PROCID": "1",
        "SLURM_LOCALID": "1", "SLURM_NODEID": "0", "SLURM_NTASKS_PER_NODE": "2",
    },
    "torchrun": {
        "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0", "ROLE_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500",
        "TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_RESTART_COUNT": "0",
    },
    "LSF": {
        "LSB_JOBID": "7", "JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_LOCAL_RANK": "1",
        "JSM_NAMESPACE_SIZE": "2", "LSB_DJOB_RANKFILE": "/nowhere/ranks",
    },
    "MPI": {
        "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "PMI_RANK": "1", "PMI_SIZE": "2",
    },
    "Kubeflow": {
        "RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "worker-0", "MASTER_PORT": "23456",
        "KUBERNETES_PORT": "tcp://10.0.0.1:443",
    },
    "Lightning's own": {
        "PL_TRAINER_MAX_TIME": "00:00:00:00", "PL_TRAINER_OVERFIT_BATCHES": "1",
        "PL_TRAINER_LIMIT_TRAIN_BATCHES": "1", "PL_TRAINER_GRADIENT_CLIP_ALGORITHM": "value",
        "PL_GLOBAL_SEED": "7",
    },
}  # fmt: skip


def stage():
    return replace(experts.expert(SMOKE, FlowMatchingExpert, 0, 0), optim=OPTIM)


def trained(store):
    """Every file of the stage but its provenance, by its digest."""
    make(store, stage())
    folder = store.path(stage())
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {
        str(file.relative_to(folder)): sha256(file)
        for file in files
        if file.name != "provenance.json"
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The store in which it was made without any such variable, and its files."""
    store = Store(tmp_path_factory.mktemp("plain"))
    return store, trained(store)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_launchers_variables_make_no_difference(family, plain, tmp_path, monkeypatch):
    """kills: Slurm's checkpoint of another expert taken for one's own, a rank that writes no log,
    a check of --ntasks, a world that is waited for."""
    there, files = plain
    store = Store(tmp_path / "store")
    copied(there, store)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "hpc_ckpt_1.ckpt").write_bytes(b"of another expert")
    for name, value in FAMILIES[family].items():
        monkeypatch.setenv(name, value)
    assert trained(store) == files
    assert "log.csv" in files
    assert [file.name for file in (tmp_path / "here").iterdir()] == ["hpc_ckpt_1.ckpt"]
    assert {name: os.environ[name] for name in FAMILIES[family]} == FAMILIES[family]


def test_a_training_that_ends_early_makes_nothing(plain, tmp_path, monkeypatch):
    """kills: weights of fewer steps under the key of all of them."""
    there, files = plain
    store = Store(tmp_path / "store")
    copied(there, store)
    with monkeypatch.context() as patch:
        others = [family for family in isolation.FAMILIES if family != "PL_"]
        patch.setattr(isolation, "FAMILIES", tuple(others))
        patch.setenv("PL_TRAINER_MAX_TIME", "00:00:00:00")
        with pytest.raises(RuntimeError, match=r"ended at step \d of 6\b"):
            trained(store)
    assert not store.has(stage())
    weights = "weights.safetensors"
    assert trained(store)[weights] == files[weights]


def copied(there, store):
    """All that the stage is made from, so that only it is made."""
    shutil.copytree(there.root, store.root)
    shutil.rmtree(store.path(stage()))


def test_nor_does_a_rank_that_was_there_when_lightning_was_imported(plain, tmp_path):
    """kills: a rank read once, at import, and kept."""
    there, files = plain
    store = Store(tmp_path / "store")
    copied(there, store)
    code = (
        "import json, sys; from pathlib import Path; from experiments.pipeline.store import Store; "
        "import lightning; from tests.experiments.training.test_isolation import trained; "
        "print(json.dumps(trained(Store(Path(sys.argv[1])))))"
    )
    ranks = FAMILIES["torchrun"] | FAMILIES["Slurm, the second of two"]
    run = subprocess.run(
        [sys.executable, "-c", code, str(store.root)],
        env={**os.environ, **ranks}, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(run.stdout.splitlines()[-1]) == files


def test_what_is_no_launchers_stays():
    """kills: an environment emptied of what training needs."""
    there = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "0", "HOME": "/root", "PATH": "/bin"}
    both = {**there, **FAMILIES["torchrun"]}
    assert clear(both) == FAMILIES["torchrun"]
    assert both == there


def test_it_is_given_back_after_an_error(monkeypatch):
    """kills: a job that loses Slurm's variables to a stage that failed."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    seen = []

    def fails():
        with alone():
            seen.append("SLURM_JOB_ID" in os.environ)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert seen == [False]
    assert os.environ["SLURM_JOB_ID"] == "7"
