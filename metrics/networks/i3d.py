"""I3D over clips, as a frozen value: frechet_distance of its features is FVD.

(Unterthiner et al. 2018)  FVD changes with the number of clips, their frames, rate and size, which
are the caller's to name beside it.
"""

import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metrics.networks.features import exactly
from metrics.networks.weights import WeightsError, reading
from metrics.pixels import Clips, checked_clips

Array = NDArray[np.float32]

URL = "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt"
PUBLISHED = "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"
FRAMES = 10
"""The fewest that give features: convolution and two poolings halve 10 frames to 5, 3 and 2, 9 to
4, 2 and 1, and the last pooling takes two."""
ASKED = {"rescale": True, "resize": True, "return_features": True}


@dataclass(frozen=True)
class I3DFeatures:
    """The TorchScript I3D of StyleGAN-V, whose FVDs equal the first TensorFlow code's.

    It resizes to 224 x 224 and to [-1, 1] itself, and answers with its 400 logits.
    path: of i3d_torchscript.pt. sha256: the file's; it is checked before the file, which is a
    program, is opened, and tells one network from another.
    """

    path: Path = field(metadata={"key": False})
    sha256: str = PUBLISHED

    @property
    def name(self) -> str:
        return "i3d" if self.sha256 == PUBLISHED else f"i3d-{self.sha256[:8]}"

    def locate(self) -> Path:
        """The file. WeightsError if it is not there, or another one is."""
        if not self.path.is_file():
            raise WeightsError(
                f"no weights at {self.path}: curl -L --create-dirs -o {self.path} {URL}"
            )
        with self.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise WeightsError(f"{self.path} is another file: SHA-256 {found}, not {self.sha256}")
        return self.path

    def encode(self, clips: Clips, device: torch.device, batch: int = 8) -> Array:
        """[N, 400] of uint8 clips [N, 3, T, H, W], `batch` clips at once; grey ones are repeated.

        WeightsError without the weights, ValueError for clips of fewer than 10 frames.
        """
        if checked_clips(clips, (1, 3)).shape[2] < FRAMES:
            raise ValueError(f"I3D reads {FRAMES} frames or more, not {clips.shape[2]}")
        network, rows = _load(self, device), []
        with exactly():
            for start in range(0, len(clips), batch):
                x = torch.from_numpy(np.ascontiguousarray(clips[start : start + batch]))
                x = x.expand(-1, 3, -1, -1, -1).to(device).float()  # 0 … 255
                rows.append(network(x, **ASKED).float().cpu())
        found = torch.cat(rows).numpy()
        if found.ndim != 2 or not np.isfinite(found).all():
            raise ValueError("the network answers with features that are not finite rows [N, F]")
        return found


@functools.lru_cache(maxsize=2)
def _load(value: I3DFeatures, device: torch.device) -> Any:
    path = value.locate()
    with reading(path):
        network = torch.jit.load(str(path), map_location=device).eval()
        lacking = ASKED.keys() - {a.name for a in network.forward.schema.arguments}
        if lacking:
            raise ValueError(f"it does not take {', '.join(sorted(lacking))}")
    return network
