"""I3D features of clips. Their frechet_distance is FVD.  (Unterthiner et al. 2018)

FVD depends on the number of clips and on their frames, rate and size. State them with the number.
"""

import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metrics.networks.features import exact_inference
from metrics.networks.weights import WeightsFileError, reading
from metrics.pixels import Clips, checked_clips

Array = NDArray[np.float32]

URL = "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt"
PUBLISHED = "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"
FRAMES = 10
"""The fewest frames that give features: a convolution and two poolings halve 10 frames to 5, 3 and
2, and the last pooling needs two."""
ARGUMENTS = {"rescale": True, "resize": True, "return_features": True}


@dataclass(frozen=True)
class I3DFeatures:
    """StyleGAN-V's TorchScript I3D, which gives the same FVD as the original TensorFlow code.

    It resizes to 224 x 224 and scales to [-1, 1] itself. The features are its 400 logits.

    path: of i3d_torchscript.pt.
    sha256: of the file, which is a program. It is checked before the file is opened.
    """

    path: Path = field(metadata={"key": False})
    sha256: str = PUBLISHED

    @property
    def name(self) -> str:
        """i3d, or i3d- and a hash for another file than the published one."""
        return "i3d" if self.sha256 == PUBLISHED else f"i3d-{self.sha256[:8]}"

    def locate(self) -> Path:
        """The file. WeightsFileError if it is missing or has another SHA-256."""
        if not self.path.is_file():
            raise WeightsFileError(
                f"no weights at {self.path}: curl -L --create-dirs -o {self.path} {URL}"
            )
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.sha256:
            raise WeightsFileError(
                f"{self.path} is another file: SHA-256 {digest}, not {self.sha256}"
            )
        return self.path

    def encode(self, clips: Clips, device: torch.device, batch: int = 8) -> Array:
        """Features [N, 400] of uint8 clips [N, 3, T, H, W] or, grey, [N, 1, T, H, W].

        batch: clips at once. Raises WeightsFileError, and ValueError for fewer than 10 frames.
        """
        if checked_clips(clips, (1, 3)).shape[2] < FRAMES:
            raise ValueError(f"I3D reads {FRAMES} frames or more, not {clips.shape[2]}")
        network, rows = _load(self, device), []
        with exact_inference():
            for start in range(0, len(clips), batch):
                x = torch.from_numpy(np.ascontiguousarray(clips[start : start + batch]))
                x = x.expand(-1, 3, -1, -1, -1).to(device).float()  # 0 … 255
                rows.append(network(x, **ARGUMENTS).float().cpu())
        features = torch.cat(rows).numpy()
        if features.ndim != 2 or not np.isfinite(features).all():
            raise ValueError("the network answers with features that are not finite rows [N, F]")
        return features


@functools.lru_cache(maxsize=2)
def _load(value: I3DFeatures, device: torch.device) -> Any:
    path = value.locate()
    with reading(path):
        network = torch.jit.load(str(path), map_location=device).eval()
        lacking = ARGUMENTS.keys() - {a.name for a in network.forward.schema.arguments}
        if lacking:
            raise ValueError(f"it does not take {', '.join(sorted(lacking))}")
    return network
