"""Semantic features where there is no GPU: SqueezeNet 1.1, trained on ImageNet, a file of 5 MB."""

import functools
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from datamodules.encoders.dinov2 import normalised
from datamodules.encoders.encoder import CPU, Array
from datamodules.encoders.hub import HubWeightsError

URL = "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"


@dataclass(frozen=True)
class SqueezeNetClusterFeatures:
    """The last layer's 512 channels, averaged over the picture and less their mean over channels.

    All are above zero, so that without that the cosine of any two pictures would be near one.

    side: of the square that pictures are resized to, bicubic with antialiasing.
    """

    side: int = 224

    def locate(self) -> Path:
        """The file below TORCH_HOME. HubWeightsError, with the command to get it, without."""
        path = Path(torch.hub.get_dir()) / "checkpoints" / URL.rsplit("/", 1)[1]
        if not path.is_file():
            raise HubWeightsError(f"no weights at {path}: curl -L --create-dirs -o {path} {URL}")
        return path

    def encode(self, images: Array, device: torch.device = CPU) -> Array:
        """Features [N, 512] of pictures [N, 3, H, W] in [-1, 1]. HubWeightsError."""
        network = _squeezenet(self.locate(), device)
        features = []
        with torch.inference_mode():
            for x in normalised(images, self.side, device):
                h = network(x).mean(dim=(2, 3))
                features.append((h - h.mean(dim=1, keepdim=True)).cpu())
        return torch.cat(features).numpy().astype(np.float32)


@functools.lru_cache(maxsize=2)
def _squeezenet(path: Path, device: torch.device) -> nn.Module:
    """The network, loaded once. HubWeightsError if the file is damaged or another network's."""
    from torchvision.models import squeezenet1_1

    network = squeezenet1_1()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:300]
        raise HubWeightsError(f"cannot load {path}: download it again ({reason})") from error
    return network.features.to(device).eval().requires_grad_(False)
