"""CLIP scores: whether pictures or clips show what their captions say."""

import functools
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from metrics.networks.features import exact_inference
from metrics.networks.weights import WeightsFileError, hub_file, reading
from metrics.pixels import Clips, Images, checked, checked_clips, over_frames

Array = NDArray[np.float32]

FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True, eq=False)
class ClipScores:
    """Cosines between pictures or clips and their captions.

    cosine: [N]; a clip's is the mean over its frames.  truncated: captions longer than the context.
    """

    cosine: NDArray[np.float64]
    truncated: int

    @property
    def similarity(self) -> float:
        """The mean cosine, which papers print as 0.3 or so."""
        return float(self.cosine.mean())

    @property
    def score(self) -> float:
        """The mean of 100 max(cos, 0).  (Hessel et al. 2021, with w = 100)

        torchmetrics clips the mean instead, which is the same if no cosine is negative.
        """
        return float(100 * self.cosine.clip(0).mean())


@dataclass(frozen=True)
class OpenClip:
    """A CLIP of open_clip.

    architecture: OpenAI's weights need one that ends in -quickgelu. open_clip only warns otherwise,
    and every score is slightly wrong; here a mismatch raises WeightsFileError.
    pretrained: the tag of the weights.  weights: their file; None for Hugging Face's cache.
    """

    architecture: str = "ViT-L-14-quickgelu"
    pretrained: str = "openai"
    weights: Path | None = field(default=None, metadata={"key": False})

    @property
    def name(self) -> str:
        """Unique among all networks, and valid in a file name."""
        return f"clip-{self.architecture}-{self.pretrained}"

    def scores(
        self, images: Images, captions: list[str], device: torch.device, batch: int = 50
    ) -> ClipScores:
        """The scores of uint8 images [N, 3, H, W] with N captions.

        Captions longer than the context (77 tokens) are truncated as in open_clip, keeping the end
        token, and counted. Raises ValueError for other numbers of captions, and WeightsFileError.
        """
        _check_pairs(len(images), "pictures", captions)
        pictures = self.encode(images, device, batch).astype(np.float64)
        words = self.encode_text(captions, device, batch).astype(np.float64)
        return ClipScores((pictures * words).sum(axis=1), self.truncated(captions))

    def video_scores(
        self, clips: Clips, captions: list[str], device: torch.device, batch: int = 50
    ) -> ClipScores:
        """The scores of uint8 clips [N, 3, T, H, W] with N captions.

        A clip's score is the mean of its frames' cosines, the usual CLIP text-video similarity;
        Paris 2.0 does not define its own.
        batch: frames at once, rounded down to whole clips.
        Raises ValueError for other numbers of captions, and WeightsFileError.
        """
        _check_pairs(len(checked_clips(clips)), "clips", captions)
        words, means = self.encode_text(captions, device, batch).astype(np.float64), []
        for chosen, frames in over_frames(clips, batch):
            rows = self.encode(frames, device, batch).astype(np.float64)
            rows = rows.reshape(-1, clips.shape[2], rows.shape[1])
            means.append(np.einsum("ntf,nf->n", rows, words[chosen]) / clips.shape[2])
        return ClipScores(np.concatenate(means), self.truncated(captions))

    def encode(self, images: Images, device: torch.device, batch: int = 50) -> Array:
        """Unit vectors [N, F] of uint8 images [N, 3, H, W], resized by open_clip's transform."""
        from PIL import Image

        network, transform, _ = _load(self, device)
        rows = []
        with exact_inference():
            for start in range(0, len(checked(images)), batch):
                part = images[start : start + batch].transpose(0, 2, 3, 1)
                x = torch.stack([transform(Image.fromarray(picture)) for picture in part])
                rows.append(F.normalize(network.encode_image(x.to(device)).float(), dim=-1).cpu())
        return torch.cat(rows).numpy()

    def encode_text(self, captions: list[str], device: torch.device, batch: int = 50) -> Array:
        """Unit vectors [N, F] of N captions."""
        network, _, tokenizer = _load(self, device)
        rows = []
        with exact_inference():
            for start in range(0, len(captions), batch):
                tokens = tokenizer(captions[start : start + batch]).to(device)
                rows.append(F.normalize(network.encode_text(tokens).float(), dim=-1).cpu())
        return torch.cat(rows).numpy()

    def truncated(self, captions: list[str]) -> int:
        """The number of captions that, with start and end tokens, exceed the context."""
        import open_clip

        tokenizer = open_clip.get_tokenizer(self.architecture)
        limit = tokenizer.context_length - 2
        return sum(len(tokenizer.encode(caption)) > limit for caption in captions)

    def locate(self) -> Path:
        """The file of the weights. WeightsFileError if it is missing or the tag is unknown."""
        import open_clip

        tag = open_clip.get_pretrained_cfg(self.architecture, self.pretrained)
        config = open_clip.get_model_config(self.architecture)
        if config is None:
            raise WeightsFileError(f"open_clip knows no architecture {self.architecture!r}")
        if "hf_tokenizer_name" in config["text_cfg"]:
            raise WeightsFileError(
                f"{self.architecture} reads by a tokenizer that the hub would send"
            )
        if tag and tag.get("quick_gelu", False) != config.get("quick_gelu", False):
            raise WeightsFileError(
                f"{self.pretrained} was trained with another activation than {self.architecture}: "
                "add or take off -quickgelu"
            )
        if self.weights is not None:
            if not self.weights.is_file():
                raise WeightsFileError(f"no weights at {self.weights}: download them to there")
            return self.weights
        if not tag or not tag.get("hf_hub"):
            raise WeightsFileError(
                f"{self.pretrained!r} is no tag of {self.architecture}: give a file"
            )
        repository, name = tag["hf_hub"].rsplit("/", 1)
        return hub_file(repository, (name,) if name else FILES)


def _check_pairs(n: int, kind: str, captions: list[str]) -> None:
    if n != len(captions) or n == 0:
        raise ValueError(f"{n} {kind} do not pair with {len(captions)} captions")


@functools.lru_cache(maxsize=2)
def _load(value: OpenClip, device: torch.device) -> tuple[Any, Any, Any]:
    """(network, transform of a PIL picture, tokenizer)."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    path = value.locate()
    tag = open_clip.get_pretrained_cfg(value.architecture, value.pretrained) or {}
    names = ("mean", "std", "interpolation", "resize_mode")
    preprocessing = {name: tag[name] for name in names if name in tag}
    with reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the activation is checked already
        network = open_clip.create_model(
            value.architecture,
            str(path),
            force_preprocess_cfg=preprocessing,
            require_pretrained=True,
        )
    transform = image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False)
    return (
        network.to(device).eval().requires_grad_(False),
        transform,
        open_clip.get_tokenizer(value.architecture),
    )
