"""Where stages are made, read off the command line: engines as values, and what they refuse."""

from pathlib import Path

import pytest
import torch

from experiments.cli import engines, options
from experiments.pipeline.launch.local import Local
from experiments.pipeline.launch.ray import Ray
from experiments.pipeline.launch.slurm import Slurm
from experiments.recipes.images import SCALES


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(engines, "cores", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def parsed(line):
    return options.parse("table1", "A table", ["--scale", "smoke", *line.split()], SCALES)


@pytest.mark.parametrize(
    ("line", "engine"),
    [
        ("", Local(2)),
        ("--launch local --workers 8", Local(8)),
        ("--launch ray", Ray()),
        ("--launch ray --workers 64", Ray(workers=64)),
        ("--launch ray --launch.address head:6379 --launch.retries 0", Ray("head:6379", None, 0)),
        ("--launch.partition low --launch slurm", Slurm("low")),
        (
            "--launch slurm --launch.qos q --launch.minutes 5 --launch.batch 0 --workers 3 "
            "--launch.folder logs",
            Slurm(qos="q", minutes=5, batch=0.0, workers=3, folder=Path("logs")),
        ),
    ],
)
def test_an_engine_is_read_with_its_dials(line, engine):
    """kills: a dial read as another, workers bounded by this machine where stages run elsewhere."""
    assert parsed(line).launch == engine


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--launch dask", "unknown --launch 'dask': choose from local, ray, slurm"),
        ("--launch.address head:1", "launch.address"),
        ("--launch ray --launch.partition low", "launch.partition"),
        ("--launch ray --launch.retries -1", "retries must not be negative, as -1"),
        ("--launch slurm --launch.minutes 0", "launch.minutes 0"),
        ("--launch slurm --workers 0", "--workers must be at least 1, not 0"),
        ("--launch ray --workers 0", "--workers must be at least 1, not 0"),
        ("--workers 0", "--workers must be at least 1, not 0"),
        ("--workers 100", "--workers 100: this process may fill 2 cores, .* 8 are the most"),
        ("--device cuda", "no CUDA device is available here"),
    ],
)
def test_what_no_engine_can_do_is_refused_in_a_line(line, said):
    """kills: an unknown dial that is passed over, a hundred workers on two cores."""
    with pytest.raises(options.UsageError, match=said) as caught:
        parsed(line)
    assert "\n" not in str(caught.value)


def test_gpus_may_be_where_this_process_has_none():
    """kills: --device cuda refused on a login node."""
    assert parsed("--launch slurm --device cuda").device == "cuda"
