"""LAION's aesthetic scores: heads that others trained, over CLIP's embedding of a picture.

Paris 2.0 names neither head nor CLIP; the code it builds on scores its data by the MLP head.
"""

import functools
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from metrics.networks.clip import Clip
from metrics.networks.weights import folder_file, reading
from metrics.pixels import Clips, Images, over_frames

Scores = NDArray[np.float64]
WIDTH = 768  # of CLIP ViT-L/14's embedding


class Head(Enum):
    """The file of a head, and its layers: (number in the file, width of the output).

    LINEAR: aesthetic-predictor. MLP: improved-aesthetic-predictor, layers without an activation
    between them, so that it too is affine; the missing numbers are dropout.
    """

    LINEAR = ("sa_0_4_vit_l_14_linear.pth", ((None, 1),))
    MLP = (
        "sac+logos+ava1-l14-linearMSE.pth",
        ((0, 1024), (2, 128), (4, 64), (6, 16), (7, 1)),
    )


@dataclass(frozen=True)
class Aesthetic:
    """A head over unit embeddings: about 1 to 10, higher is thought prettier.

    folder: where the head's file lies, under its published name. clip: both heads were fitted to
    OpenAI's ViT-L/14.
    """

    folder: Path = field(metadata={"key": False})
    head: Head = Head.MLP
    clip: Clip = Clip()

    def locate(self) -> Path:
        """The head's file. WeightsError if it is not there."""
        return folder_file(self.folder, (self.head.value[0],))

    def rated(self, embeddings: NDArray[np.floating]) -> Scores:
        """[N] of unit vectors [N, 768]. ValueError for another width, as of another CLIP."""
        if embeddings.ndim != 2 or embeddings.shape[1] != WIDTH:
            raise ValueError(f"the heads read rows of {WIDTH} numbers, not {embeddings.shape}")
        with torch.no_grad():
            return _load(self)(torch.from_numpy(embeddings.astype(np.float64)))[:, 0].numpy()

    def scores(self, images: Images, device: torch.device, batch: int = 50) -> Scores:
        """[N] of uint8 images [N, 3, H, W]."""
        return self.rated(self.clip.encode(images, device, batch))

    def video_scores(self, clips: Clips, device: torch.device, batch: int = 50) -> Scores:
        """[N] of uint8 clips [N, 3, T, H, W]: the mean of their frames' scores, all frames alike.

        batch: frames at once, whole clips.
        """
        parts = [self.scores(frames, device, batch) for _, frames in over_frames(clips, batch)]
        return np.concatenate(parts).reshape(len(clips), -1).mean(axis=1)


@functools.lru_cache(maxsize=2)
def _load(value: Aesthetic) -> nn.Module:
    """The head in float64: rounding then never moves a score."""
    path, layers, width = value.locate(), {}, WIDTH
    for number, out in value.head.value[1]:
        layers["" if number is None else f"layers.{number}."] = nn.Linear(width, out)
        width = out
    with reading(path):
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        wanted = {f"{prefix}{kind}" for prefix in layers for kind in ("weight", "bias")}
        if state.keys() != wanted:  # load_state_dict is asked layer by layer
            raise ValueError(f"keys differ: {sorted(state.keys() ^ wanted)}")
        for prefix, layer in layers.items():
            layer.load_state_dict({k: state[prefix + k] for k in ("weight", "bias")})
    return nn.Sequential(*layers.values()).double().eval().requires_grad_(False)
