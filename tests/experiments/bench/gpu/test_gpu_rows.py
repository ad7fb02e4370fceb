"""The rows that want a GPU run on the CPU at a tiny size, and write nothing there."""

import pytest
import torch

from experiments.bench.gpu import __main__ as command
from experiments.bench.gpu.device import Place
from experiments.bench.gpu.inference import inference
from experiments.bench.gpu.training import training

CPU = Place(torch.device("cpu"))


@pytest.mark.longest
def test_a_dry_run_says_what_it_skips_and_writes_nothing(tmp_path, capsys):
    """kills: a row that would first fail where a GPU is paid for; times of a CPU among a GPU's."""
    assert command.main(["--device", "cpu", "--results", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == [f"gpu: {command.SKIPPED}"]
    rows = [row.name for bench in (training(CPU), *inference(CPU)) for row in bench.rows]
    assert [line.split(":")[0] for line in out.splitlines()] == rows
    assert all(name.startswith("gpu-") for name in rows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_one_line(capsys):
    """kills: a CPU measured under the GPU's name, a traceback."""
    assert command.main(["--device", "cuda"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
