"""Pretrained networks as frozen values: uint8 pictures in, features out.

A row depends on its own picture only; other batches change at most the last bits of float32.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from metrics.networks.weights import folder_file, hub_file, reading, torch_file
from metrics.pixels import Images, Resize, checked

Array = NDArray[np.float32]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Features(Protocol):
    """A frozen value: the features of which statistics are computed."""

    @property
    def name(self) -> str:
        """Unique among all features, and valid in a file name."""
        ...

    def encode(self, images: Images, device: torch.device, batch: int = 50) -> Array:
        """Features [N, F], float32, of uint8 images [N, 3, H, W], `batch` at once."""
        ...


@contextmanager
def exact_inference() -> Iterator[None]:
    """Turn off gradients and TF32, whose rounding depends on the batch; restore both afterwards."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    try:
        with (
            torch.no_grad(),
            cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        matmul.allow_tf32 = before


def encode_batches(
    images: Images, network: Callable[[Tensor], Tensor], device: torch.device, batch: int
) -> Array:
    """Features [N, F] of uint8 images [N, 3, H, W], `batch` at once.

    network: maps a batch [B, 3, H, W] in [0, 1] to features [B, F].
    Raises ValueError for no pictures, or features that are not finite.
    """
    if len(checked(images)) == 0:
        raise ValueError("no pictures to encode")
    rows = []
    with exact_inference():
        for start in range(0, len(images), batch):
            part = np.ascontiguousarray(images[start : start + batch])
            rows.append(network(torch.from_numpy(part).to(device).float() / 255).float().cpu())
    features = torch.cat(rows).numpy()
    if not np.isfinite(features).all():
        raise ValueError("the network answers with features that are not finite")
    return features


@dataclass(frozen=True)
class InceptionFeatures:
    """pytorch-fid's Inception V3 at its layer of `width` channels, averaged over the picture.

    width: F, 2048 as published; 768, 192 or 64 for fewer pictures than 2048.
    resize: BILINEAR as in pytorch-fid. ANTIALIASED is clean-fid's filter with the same network,
        which gives another metric.  (Parmar et al. 2022)
    """

    width: int = 2048
    resize: Resize = Resize.BILINEAR

    @property
    def name(self) -> str:
        """Such as inception2048-bilinear."""
        return f"inception{self.width}-{self.resize.value}"

    def locate(self) -> Path:
        """The file of the weights. WeightsFileError if it is missing."""
        from pytorch_fid.inception import FID_WEIGHTS_URL

        return torch_file(FID_WEIGHTS_URL)

    def encode(self, images: Images, device: torch.device, batch: int = 50) -> Array:
        """Features [N, width] of uint8 images [N, 3, H, W]. WeightsFileError, ValueError."""
        network = _inception(self.width, self.locate(), device)

        def rows(x: Tensor) -> Tensor:
            return F.adaptive_avg_pool2d(network(self.resize(x, 299))[0], 1).flatten(1)

        return encode_batches(images, rows, device, batch)


@functools.lru_cache(maxsize=4)
def _inception(width: int, weights: Path, device: torch.device) -> nn.Module:
    """weights: the file that pytorch-fid will read, so that another one is another network."""
    from pytorch_fid.inception import InceptionV3

    if width not in InceptionV3.BLOCK_INDEX_BY_DIM:
        widths = sorted(InceptionV3.BLOCK_INDEX_BY_DIM)
        raise ValueError(f"Inception has layers of {widths} channels, not {width}")
    with reading(weights):
        block = InceptionV3.BLOCK_INDEX_BY_DIM[width]
        network = InceptionV3([block], resize_input=False)  # `resize` does it
    return _folded(network.eval()).to(device)


def _folded(network: nn.Module) -> nn.Module:
    """Inception in place with its batch norms in its convolutions, channels last in memory.

    The same function, its features apart by some 1e-6 of their deviation, at 0.7 of the time on a
    CPU.
    """
    from torchvision.models.inception import BasicConv2d

    for part in network.modules():
        if isinstance(part, BasicConv2d):
            part.conv = fuse_conv_bn_eval(part.conv, part.bn)
            part.bn = nn.Identity()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@dataclass(frozen=True)
class FDDinov2Features:
    """The normalised class token of a DINOv2, for FD-DINOv2.  (Stein et al. 2023)

    Pictures are resized to 224 x 224 as with dgm-eval's --clean-resize. Its network comes from
    torch.hub, which interpolates positions with the scale (16 + 0.1) / 37 instead of 16 / 37. Here
    the positions are the hub's, so that published numbers can be compared.

    repository: on Hugging Face.  folder: of config.json and model.safetensors; None for the cache.
    """

    repository: str = "facebook/dinov2-large"
    folder: Path | None = field(default=None, metadata={"key": False})

    @property
    def name(self) -> str:
        """Such as dinov2-large."""
        return self.repository.rsplit("/", 1)[-1]

    def locate(self, name: str = "model.safetensors") -> Path:
        """One of the network's files. WeightsFileError if it is missing."""
        if self.folder is None:
            return hub_file(self.repository, (name,))
        return folder_file(self.folder, (name,))

    def encode(self, images: Images, device: torch.device, batch: int = 50) -> Array:
        """Features [N, F] of uint8 images [N, 3, H, W]. WeightsFileError, ValueError."""
        network = _dinov2(self, device)
        mean, std = (
            torch.tensor(m, device=device)[:, None, None] for m in (IMAGENET_MEAN, IMAGENET_STD)
        )

        def rows(x: Tensor) -> Tensor:
            small = Resize.ANTIALIASED(x, 224)
            return network(pixel_values=(small - mean) / std).last_hidden_state[:, 0]

        return encode_batches(images, rows, device, batch)


@functools.lru_cache(maxsize=2)
def _dinov2(value: FDDinov2Features, device: torch.device) -> nn.Module:
    weights, config = value.locate(), value.locate("config.json")

    from transformers import Dinov2Config, Dinov2Model  # seconds to import

    with reading(weights):
        network: Any
        info: Any
        network, info = Dinov2Model.from_pretrained(  # type: ignore[misc]
            weights.parent,
            config=Dinov2Config.from_json_file(config),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        wrong = {kind: sorted(keys) for kind, keys in info.items() if keys}
        if wrong:  # transformers initialises missing weights at random
            raise ValueError(f"keys differ: {wrong}")
    table = hub_positions(network.embeddings.position_embeddings.data, 224 // 14)
    network.embeddings.position_embeddings = nn.Parameter(table, requires_grad=False)
    return network.to(device).eval().requires_grad_(False)


def hub_positions(table: Tensor, side: int) -> Tensor:
    """DINOv2's positions [1, 1 + M², F], interpolated to [1, 1 + side², F] as in torch.hub's model.

    The interpolation is bicubic with the scale (side + 0.1) / M; the offset shifts every position.
    A table of the right size is returned unchanged.
    """
    token, patches = table[:, :1], table[:, 1:]
    m = round(patches.shape[1] ** 0.5)
    if m == side:
        return table
    grid = patches.reshape(1, m, m, -1).permute(0, 3, 1, 2)
    scale = (side + 0.1) / m
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([token, grid.permute(0, 2, 3, 1).reshape(1, side * side, -1)], dim=1)
