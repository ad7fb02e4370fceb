"""Where a run's stages are made, read: --launch local, ray or slurm, with the dials of each."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jsonargparse import ArgumentParser

from experiments.pipeline.cores import cores
from experiments.pipeline.hardware import Hardware
from experiments.pipeline.launch.local import Local
from experiments.pipeline.launch.ray import Ray
from experiments.pipeline.launch.slurm import Slurm
from experiments.pipeline.launch.task import Engine

ENGINES: Mapping[str, type[Any]] = {"local": Local, "ray": Ray, "slurm": Slurm}
CROWD = 4
"""Workers a core, at most."""


def add(parser: ArgumentParser, engine: type[Any]) -> None:
    """The engine's dials as options --launch.NAME, and --workers, which all engines have."""
    if engine is not Local:
        parser.add_class_arguments(engine, "launch", skip={"workers"})
    about = "stages at once; else as many as there are cores or GPUs"
    parser.add_argument("--workers", type=int | None, help=about)


def taken(options: dict[str, Any], engine: type[Any], hardware: Hardware) -> Engine:
    """The engine that was read, its options taken out. ValueError for workers that do not fit."""
    dials, workers = options.pop("launch", None), options.pop("workers")
    if engine is not Local:
        read: Engine = dataclasses.replace(dials, workers=workers)
        return read
    room = max(1, (len(hardware.gpus) or cores()) // hardware.devices)
    local = Local(room if workers is None else workers)
    if hardware.gpus:
        hardware.share(local.workers - 1)
    elif local.workers > CROWD * cores():
        raise ValueError(
            f"--workers {local.workers}: this process may fill {cores()} "
            f"core{'s'[: cores() > 1]}, and each worker fills one; {CROWD * cores()} are the most"
        )
    return local


def gpus(device: str, engine: type[Any]) -> tuple[str, ...]:
    """Names of the GPUs of this process that local workers divide, as CUDA_VISIBLE_DEVICES has
    them. ValueError where there is none and one is asked for."""
    if engine is not Local or device == "cpu":
        return ()
    if not torch.cuda.is_available():
        if device == "cuda":
            raise ValueError("--device cuda: no CUDA device is available here")
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    every: Sequence[str] = [str(i) for i in range(count)] if named is None else named.split(",")
    return tuple(every[:count])
