"""What a stage is made on: devices, and how they share a network. No part of any key."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Device = Literal["auto", "cpu", "cuda"]


class Strategy(Enum):
    """How devices share a network: whole on each (DDP), or its weights in parts (FSDP)."""

    DDP = "ddp"
    FSDP = "fsdp"


@dataclass(frozen=True)
class Hardware:
    """What one stage trains on and how, its recipe being the same. ValueError if it makes no sense.

    devices: of one stage; every batch is divided among them.  compile: its networks, by torch.
    checkpointing: blocks run again going backward, for memory.  stack: as many small experts are
    trained as one stack, at most, on a CPU.  gpus: names of all that the workers divide among them,
    as in CUDA_VISIBLE_DEVICES.
    """

    devices: int = 1
    strategy: Strategy = Strategy.DDP
    compile: bool = False
    checkpointing: bool = False
    gpus: tuple[str, ...] = ()
    stack: int = 4

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise ValueError(f"--devices must be at least 1, not {self.devices}")
        if self.stack < 1:
            raise ValueError(f"--stack must be at least 1, not {self.stack}")
        if self.strategy is Strategy.FSDP and self.devices == 1:
            raise ValueError("--strategy fsdp divides a network: it needs --devices 2 or more")
        if self.gpus and self.devices > len(self.gpus):
            raise ValueError(f"--devices {self.devices}: there are {len(self.gpus)} GPUs here")

    def share(self, worker: int) -> tuple[str, ...]:
        """The GPUs of a worker, counted from 0. ValueError where there are none left for it."""
        gpus = self.gpus[worker * self.devices :][: self.devices]
        if len(gpus) < self.devices:
            raise ValueError(f"no {self.devices} of {len(self.gpus)} GPUs for worker {worker + 1}")
        return gpus
