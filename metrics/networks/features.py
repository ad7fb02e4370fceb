"""Networks that others trained, as frozen values: uint8 pictures in, features out.

A row depends on its own picture: whatever the batch, it differs in the last bits of float32 alone.
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

from metrics.networks.weights import folder_file, hub_file, reading, torch_file
from metrics.pixels import Images, Resize, checked

Array = NDArray[np.float32]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Features(Protocol):
    """What statistics are of. `name` tells it from every other, and can stand in a file name."""

    @property
    def name(self) -> str: ...

    def encode(self, images: Images, device: torch.device, batch: int = 50) -> Array: ...


@contextmanager
def exactly() -> Iterator[None]:
    """No gradients, and on a GPU no TF32, whose ten bits of mantissa depend on the batch's shape.

    The caller's own settings come back after.
    """
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


def encoded(
    images: Images, network: Callable[[Tensor], Tensor], device: torch.device, batch: int
) -> Array:
    """The rows [N, F] of `network` over uint8 images [N, 3, H, W], given to it in [0, 1].

    Raises ValueError for no pictures, or features that are not finite.
    """
    if len(checked(images)) == 0:
        raise ValueError("no pictures to encode")
    rows = []
    with exactly():
        for start in range(0, len(images), batch):
            part = np.ascontiguousarray(images[start : start + batch])
            rows.append(network(torch.from_numpy(part).to(device).float() / 255).float().cpu())
    found = torch.cat(rows).numpy()
    if not np.isfinite(found).all():
        raise ValueError("the network answers with features that are not finite")
    return found


@dataclass(frozen=True)
class InceptionFeatures:
    """pytorch-fid's Inception V3 at its layer of `width` channels, averaged over the picture.

    width: 2048 as published; 768, 192 or 64 for fewer pictures than that.
    resize: BILINEAR as pytorch-fid does it; ANTIALIASED is clean-fid's filter before the same
    network, and another metric.  (Parmar et al. 2022)
    """

    width: int = 2048
    resize: Resize = Resize.BILINEAR

    @property
    def name(self) -> str:
        return f"inception{self.width}-{self.resize.value}"

    def locate(self) -> Path:
        """The file of the weights. WeightsError if it is not here."""
        from pytorch_fid.inception import FID_WEIGHTS_URL

        return torch_file(FID_WEIGHTS_URL)

    def encode(self, images: Images, device: torch.device, batch: int = 50) -> Array:
        """[N, width] of uint8 images [N, 3, H, W]. WeightsError without pytorch-fid's weights."""
        network = _inception(self, device)

        def rows(x: Tensor) -> Tensor:
            return F.adaptive_avg_pool2d(network(self.resize(x, 299))[0], 1).flatten(1)

        return encoded(images, rows, device, batch)


@functools.lru_cache(maxsize=4)
def _inception(value: InceptionFeatures, device: torch.device) -> nn.Module:
    from pytorch_fid.inception import InceptionV3

    if value.width not in InceptionV3.BLOCK_INDEX_BY_DIM:
        widths = sorted(InceptionV3.BLOCK_INDEX_BY_DIM)
        raise ValueError(f"Inception has layers of {widths} channels, not {value.width}")
    with reading(value.locate()):
        block = InceptionV3.BLOCK_INDEX_BY_DIM[value.width]
        network = InceptionV3([block], resize_input=False)  # resized before, by a filter we name
    return network.to(device).eval()


@dataclass(frozen=True)
class Dinov2Features:
    """The normalised class token of a DINOv2, for FD-DINOv2.  (Stein et al. 2023)

    Pictures are squeezed to 224 x 224 as dgm-eval's --clean-resize does. Its network comes from
    torch.hub, which interpolates the positions by (16 + 0.1) / 37 where transformers takes 16 / 37:
    here the positions are the hub's, so that published figures can be met.
    folder: where config.json and model.safetensors lie, else Hugging Face's cache.
    """

    repository: str = "facebook/dinov2-large"
    folder: Path | None = field(default=None, metadata={"key": False})

    @property
    def name(self) -> str:
        return self.repository.rsplit("/", 1)[-1]

    def locate(self, name: str = "model.safetensors") -> Path:
        """A file of the network's. WeightsError if it is not here."""
        if self.folder is None:
            return hub_file(self.repository, (name,))
        return folder_file(self.folder, (name,))

    def encode(self, images: Images, device: torch.device, batch: int = 50) -> Array:
        """[N, F] of uint8 images [N, 3, H, W]. WeightsError without the weights."""
        network = _dinov2(self, device)
        mean, std = (
            torch.tensor(m, device=device)[:, None, None] for m in (IMAGENET_MEAN, IMAGENET_STD)
        )

        def rows(x: Tensor) -> Tensor:
            small = Resize.ANTIALIASED(x, 224)
            return network(pixel_values=(small - mean) / std).last_hidden_state[:, 0]

        return encoded(images, rows, device, batch)


@functools.lru_cache(maxsize=2)
def _dinov2(value: Dinov2Features, device: torch.device) -> nn.Module:
    weights, config = value.locate(), value.locate("config.json")

    from transformers import Dinov2Config, Dinov2Model  # seconds to import

    with reading(weights):
        network: Any
        found: Any
        network, found = Dinov2Model.from_pretrained(  # type: ignore[misc]
            weights.parent,
            config=Dinov2Config.from_json_file(config),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        wrong = {kind: sorted(keys) for kind, keys in found.items() if keys}
        if wrong:  # transformers would draw what is missing at random
            raise ValueError(f"keys differ: {wrong}")
    table = hub_positions(network.embeddings.position_embeddings.data, 224 // 14)
    network.embeddings.position_embeddings = nn.Parameter(table, requires_grad=False)
    return network.to(device).eval().requires_grad_(False)


def hub_positions(table: Tensor, side: int) -> Tensor:
    """DINOv2's positions [1, 1 + M², F] -> [1, 1 + side², F], bicubic, as torch.hub's model does.

    Its scale is (side + 0.1) / M, an offset that was meant against rounding and moves every
    position. A table of the right size is left alone.
    """
    token, patches = table[:, :1], table[:, 1:]
    m = round(patches.shape[1] ** 0.5)
    if m == side:
        return table
    grid = patches.reshape(1, m, m, -1).permute(0, 3, 1, 2)
    scale = (side + 0.1) / m
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([token, grid.permute(0, 2, 3, 1).reshape(1, side * side, -1)], dim=1)
