"""TAEF2: the tiny autoencoder of FLUX.2's latent space.  (github.com/madebyollin/taesd, MIT)

Real, learned latents where there is no GPU: 2.7M parameters, in two files.
"""

import functools
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from datamodules.encoders.encoder import CPU, Array
from datamodules.encoders.hub import HubWeightsError, check_keys

ENCODER, DECODER = "taef2_encoder.pth", "taef2_decoder.pth"
ROOT = os.path.join(os.environ.get("DDM_ASSETS", ""), "weights/taef2")
URL = "https://github.com/madebyollin/taesd/raw/main/taef2_{encoder,decoder}.pth"
WIDTH, CHANNELS = 64, 32
BATCH = 32
"""Pictures encoded or decoded at once."""


@dataclass(frozen=True)
class TAEF2:
    """Latents of 32 channels, of sides 8 times smaller; a DiT of patch 2 packs them as FLUX.2 does.

    root: the folder of both files; below DDM_ASSETS where that is set.
    scaling: latents are multiplied by it after encoding and divided before decoding. Those of emoji
        have a deviation of 0.75.
    """

    root: str = field(default=ROOT, metadata={"key": False})
    scaling: float = 4 / 3

    pixels = False

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """The latent's shape (32, H / 8, W / 8) of a picture (3, H, W). ValueError for others."""
        channels, height, width = picture
        if channels != 3 or height % 8 or width % 8:
            raise ValueError(f"pictures of {picture}: TAEF2 takes 3 channels, of 8 n pixels")
        return CHANNELS, height // 8, width // 8

    def locate(self) -> Path:
        """The folder of both files. HubWeightsError, with the command to get them, without."""
        folder = Path(self.root).expanduser()
        if absent := [name for name in (ENCODER, DECODER) if not (folder / name).is_file()]:
            raise HubWeightsError(
                f"no {' and '.join(absent)} in {folder}: "
                f"curl -L --create-dirs --output-dir {folder} --remote-name-all '{URL}'"
            )
        return folder

    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.float16]:
        """Latents [N, 32, H / 8, W / 8] of pictures [N, 3, H, W] in [-1, 1]. HubWeightsError."""
        network = _network(self.locate() / ENCODER, encoder, device)
        return (
            (self.scaling * _mapped(images, lambda x: network((x + 1) / 2), device)).half().numpy()
        )

    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        """Pictures [N, 3, H, W] in [-1, 1] of latents [N, 32, H / 8, W / 8]. HubWeightsError."""
        network = _network(self.locate() / DECODER, decoder, device)
        shown = _mapped(latents, lambda z: network(z / self.scaling), device)
        return (2 * shown - 1).clamp(-1, 1).numpy()


class ClampTanh(nn.Module):
    """3 tanh(z / 3): latents far out are drawn in, as the decoder learned them."""

    def forward(self, z: Tensor) -> Tensor:
        return 3 * torch.tanh(z / 3)


class TaesdBlock(nn.Module):
    """Three convolutions and a skip, of [B, 64, H, W].

    pooled: whether a branch 1x1, group norm, 1x1 is added before them.
    """

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.pool = _pool() if pooled else None
        self.conv = nn.Sequential(
            _conv(WIDTH, WIDTH), nn.ReLU(), _conv(WIDTH, WIDTH), nn.ReLU(), _conv(WIDTH, WIDTH)
        )

    def forward(self, h: Tensor) -> Tensor:
        if self.pool is not None:
            h = h + self.pool(h)
        return torch.relu(self.conv(h) + h)


def encoder() -> nn.Sequential:
    """The network from pictures [B, 3, H, W] in [0, 1] to latents [B, 32, H / 8, W / 8]."""
    stages = [_blocks(1), _blocks(3), _blocks(3), _blocks(3, pooled=True)]
    halving = [layer for blocks in stages[1:] for layer in (_conv(WIDTH, WIDTH, 2), *blocks)]
    return nn.Sequential(_conv(3, WIDTH), *stages[0], *halving, _conv(WIDTH, CHANNELS))


def decoder() -> nn.Sequential:
    """The network from latents [B, 32, h, w] to pictures [B, 3, 8 h, 8 w] about [0, 1]."""
    stages = [_blocks(3, pooled=True), _blocks(3), _blocks(3)]
    doubling = [
        layer
        for blocks in stages
        for layer in (
            *blocks,
            nn.Upsample(scale_factor=2),
            nn.Conv2d(WIDTH, WIDTH, 3, 1, 1, bias=False),
        )
    ]
    ends = _conv(CHANNELS, WIDTH), _conv(WIDTH, 3)
    return nn.Sequential(ClampTanh(), ends[0], nn.ReLU(), *doubling, *_blocks(1), ends[1])


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=stride == 1)


def _pool() -> nn.Sequential:
    wide, narrow = (nn.Conv2d(a * WIDTH, b * WIDTH, 1, bias=False) for a, b in ((1, 4), (4, 1)))
    return nn.Sequential(wide, nn.GroupNorm(4, 4 * WIDTH), nn.ReLU(), narrow)


def _blocks(count: int, pooled: bool = False) -> list[nn.Module]:
    return [TaesdBlock(pooled) for _ in range(count)]


def _mapped(
    x: NDArray[np.floating], network: Callable[[Tensor], Tensor], device: torch.device
) -> Tensor:
    """The network's answers to x [N, ...], a batch at a time, in float32."""

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(x), BATCH):
            part = torch.from_numpy(x[start : start + BATCH]).to(device, torch.float32)
            yield network(part.contiguous(memory_format=torch.channels_last)).cpu()

    with torch.inference_mode():
        return torch.cat([*batches()]).contiguous()


@functools.lru_cache(maxsize=4)
def _network(path: Path, build: Callable[[], nn.Sequential], device: torch.device) -> nn.Module:
    """One of the networks, loaded once. HubWeightsError if the file is damaged or another's."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:300]
        raise HubWeightsError(f"cannot load {path}: download it again ({reason})") from error
    network = build()
    own = network.state_dict()
    reshaped = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    check_keys(path, own.keys() - state.keys(), state.keys() - own.keys(), reshaped)
    network.load_state_dict(state)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return cast(nn.Module, network.eval().requires_grad_(False))
