"""LAION's aesthetic scores: pretrained heads on CLIP's embedding of a picture.

Paris 2.0 names neither the head nor the CLIP. The code it builds on uses the MLP head.
"""

import functools
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from metrics.networks.clip import OpenClip
from metrics.networks.weights import folder_file, reading
from metrics.pixels import Clips, Images, over_frames

Scores = NDArray[np.float64]
WIDTH = 768  # of CLIP ViT-L/14's embedding


class AestheticHead(Enum):
    """A head's file, and its layers: (number in the file, output width).

    LINEAR: aesthetic-predictor.  MLP: improved-aesthetic-predictor, which has no activations and is
    affine too; the missing numbers are dropout layers.
    """

    LINEAR = ("sa_0_4_vit_l_14_linear.pth", ((None, 1),))
    MLP = (
        "sac+logos+ava1-l14-linearMSE.pth",
        ((0, 1024), (2, 128), (4, 64), (6, 16), (7, 1)),
    )


@dataclass(frozen=True)
class Aesthetic:
    """A score of about 1 to 10; higher is more pleasing.

    folder: of the head's file, which has its published name.  head: which of the two it is.
    clip: the network of the embeddings. Both heads were trained with OpenAI's ViT-L/14.
    """

    folder: Path = field(metadata={"key": False})
    head: AestheticHead = AestheticHead.MLP
    clip: OpenClip = OpenClip()

    def locate(self) -> Path:
        """The head's file. WeightsFileError if it is missing."""
        return folder_file(self.folder, (self.head.value[0],))

    def embedding_scores(self, embeddings: NDArray[np.floating]) -> Scores:
        """Scores [N] of CLIP's unit vectors [N, 768]. ValueError for another width."""
        if embeddings.ndim != 2 or embeddings.shape[1] != WIDTH:
            raise ValueError(f"the heads read rows of {WIDTH} numbers, not {embeddings.shape}")
        with torch.no_grad():
            return _load(self)(torch.from_numpy(embeddings.astype(np.float64)))[:, 0].numpy()

    def scores(self, images: Images, device: torch.device, batch: int = 50) -> Scores:
        """Scores [N] of uint8 images [N, 3, H, W]. WeightsFileError."""
        return self.embedding_scores(self.clip.encode(images, device, batch))

    def video_scores(self, clips: Clips, device: torch.device, batch: int = 50) -> Scores:
        """Scores [N] of uint8 clips [N, 3, T, H, W]: the mean over all frames.

        batch: frames at once, rounded down to whole clips. Raises WeightsFileError.
        """
        parts = [self.scores(frames, device, batch) for _, frames in over_frames(clips, batch)]
        return np.concatenate(parts).reshape(len(clips), -1).mean(axis=1)


@functools.lru_cache(maxsize=2)
def _load(value: Aesthetic) -> nn.Module:
    """The head in float64, so that rounding never changes a score."""
    path, layers, width = value.locate(), {}, WIDTH
    for number, out in value.head.value[1]:
        layers["" if number is None else f"layers.{number}."] = nn.Linear(width, out)
        width = out
    with reading(path):
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        wanted = {f"{prefix}{kind}" for prefix in layers for kind in ("weight", "bias")}
        if state.keys() != wanted:  # the layers are loaded one by one
            raise ValueError(f"keys differ: {sorted(state.keys() ^ wanted)}")
        for prefix, layer in layers.items():
            layer.load_state_dict({k: state[prefix + k] for k in ("weight", "bias")})
    return nn.Sequential(*layers.values()).double().eval().requires_grad_(False)
