"""SqueezeNet 1.1's features: a real, trained network of 5 MB, where Inception's would be too slow.

A number made with them never has a published metric's bare name: `FID (SqueezeNet features)`.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from metrics.networks.features import IMAGENET_MEAN, IMAGENET_STD, Array, encode_batches
from metrics.networks.perceptual import Backbone, Lpips
from metrics.networks.weights import reading
from metrics.pixels import Images, Resize

SIDE = 224
"""Of pictures in its training."""


@dataclass(frozen=True)
class SqueezeNetFeatures:
    """torchvision's network without its classifier, its last layer averaged over the picture: 512
    numbers. Pictures are resized to 224 x 224 with PIL's bicubic filter."""

    name = "squeezenet512-antialiased"

    def locate(self) -> Path:
        """The file of the weights, which LPIPS reads too. WeightsFileError if it is missing."""
        return Lpips(Backbone.SQUEEZE).locate()

    def encode(self, images: Images, device: torch.device, batch: int = 50) -> Array:
        """Features [N, 512] of uint8 images [N, 3, H, W]. WeightsFileError, ValueError."""
        network = _squeezenet(self.locate(), device)
        mean, std = (
            torch.tensor(m, device=device)[:, None, None] for m in (IMAGENET_MEAN, IMAGENET_STD)
        )

        def rows(x: Tensor) -> Tensor:
            return network((Resize.ANTIALIASED(x, SIDE) - mean) / std).mean(dim=(2, 3))

        return encode_batches(images, rows, device, batch)


@functools.lru_cache(maxsize=2)
def _squeezenet(weights: Path, device: torch.device) -> nn.Module:
    from torchvision.models import squeezenet1_1

    network = squeezenet1_1()
    with reading(weights):
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.features.to(device).eval().requires_grad_(False)
