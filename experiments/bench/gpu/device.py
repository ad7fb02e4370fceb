"""The device that rows run on: its stated peak, its memory, and when its work is done."""

import os
import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.bench.peers import batch
from experiments.measures.clustering import anonymous
from experiments.measures.resources import A40, A100
from modules.blocks import Size
from modules.dit import XL, DiT, TextShape
from modules.text import Text

PEAKS = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "A100": A100,
    "A40": A40,
}
"""By a part of a GPU's name: dense bfloat16 FLOP/s as its maker states them; longer names first."""
ROOMY = 100e9
"""Bytes of memory in which XL/2 trains at batch 128 without blocks that are run again."""
TINY = DiT(Size(16, 2, 2), image=8, text=TextShape(4, 8, 8))


def stated_peak(name: str) -> float | None:
    """FLOP/s of a GPU of this name, None where it is not known."""
    known = (peak for part, peak in PEAKS.items() if re.search(rf"\b{part}\b", name))
    return next(known, None)


@dataclass(frozen=True)
class Place:
    """A device. On a CPU everything is tiny: it is only seen to run."""

    device: torch.device

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def shape(self) -> DiT:
        """XL/2, or what stands for it in a dry run."""
        return DiT(XL) if self.is_cuda else TINY

    def amount(self, whole: int, tiny: int) -> int:
        """`whole` on a GPU, `tiny` in a dry run."""
        return whole if self.is_cuda else tiny

    @property
    def peak(self) -> float | None:
        """Its stated FLOP/s in bfloat16, if they are known."""
        return stated_peak(torch.cuda.get_device_name(self.device)) if self.is_cuda else None

    @property
    def checkpointing(self) -> bool:
        """Whether its memory is too small for XL/2 without blocks that are run again."""
        return self.is_cuda and torch.cuda.get_device_properties(self.device).total_memory < ROOMY

    def put(self, network: nn.Module) -> nn.Module:
        return network.to(self.device)

    def asked(self, n: int) -> tuple[Tensor, Tensor, Text, Tensor]:
        """(x, t, c, a target) of n samples of `shape`, on the device."""
        x, t, c, target = batch(self.shape, n)
        return x.to(self.device), t.to(self.device), c.to(self.device), target.to(self.device)

    def settle(self) -> None:
        """Wait until everything that was asked of the device is done."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def begin_peak(self) -> int:
        """Bytes held now; from here on `peak_bytes` counts."""
        if not self.is_cuda:
            return anonymous(os.getpid())
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_allocated(self.device)

    def peak_bytes(self) -> int:
        """Bytes held at most since `begin_peak`; on a CPU those held now."""
        if not self.is_cuda:
            return anonymous(os.getpid())
        return torch.cuda.max_memory_allocated(self.device)

    def notes(self) -> tuple[str, ...]:
        """What a table of this device says of it."""
        tf32 = "on" if torch.backends.cuda.matmul.allow_tf32 else "off"
        name = torch.cuda.get_device_name(self.device) if self.is_cuda else "a CPU: a dry run"
        peak = "not known" if self.peak is None else f"{self.peak / 1e12:g} TFLOP/s, dense bf16"
        return (
            f"Device: {name}; its stated peak: {peak}; CUDA {torch.version.cuda}.",
            f"TF32 is {tf32} for float32 products. Wall seconds, the device waited for at the end "
            "of each timing alone.",
        )
