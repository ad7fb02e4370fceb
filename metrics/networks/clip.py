"""Whether pictures or clips show what their captions say: CLIP's cosine, the score made of it."""

import functools
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from metrics.networks.features import exactly
from metrics.networks.weights import WeightsError, hub_file, reading
from metrics.pixels import Clips, Images, checked, checked_clips, over_frames

Array = NDArray[np.float32]

FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True, eq=False)
class ClipScores:
    """cosine [N] of each picture or clip with its caption; truncated: captions that lost their end.

    A clip's cosine is the mean over its frames.
    """

    cosine: NDArray[np.float64]
    truncated: int

    @property
    def similarity(self) -> float:
        """The mean cosine, as papers print it (0.3…)."""
        return float(self.cosine.mean())

    @property
    def score(self) -> float:
        """The mean of 100 max(cos, 0).  (Hessel et al. 2021, with w = 100)

        torchmetrics clips the mean instead of each: the same wherever no cosine is negative.
        """
        return float(100 * self.cosine.clip(0).mean())


@dataclass(frozen=True)
class Clip:
    """A CLIP of open_clip: its architecture, and the tag of its weights.

    OpenAI's weights need the architectures that end in -quickgelu: with the others open_clip only
    warns, and every score is a little wrong. Here a mismatch raises.
    weights: the file, else Hugging Face's cache.
    """

    architecture: str = "ViT-L-14-quickgelu"
    pretrained: str = "openai"
    weights: Path | None = field(default=None, metadata={"key": False})

    @property
    def name(self) -> str:
        return f"clip-{self.architecture}-{self.pretrained}"

    def scores(
        self, images: Images, captions: list[str], device: torch.device, batch: int = 50
    ) -> ClipScores:
        """Of uint8 images [N, 3, H, W] and N captions.

        Captions longer than the context (77 tokens) are cut as open_clip does it, the end token
        kept in the last place, and counted.
        """
        _paired(len(images), "pictures", captions)
        pictures = self.encode(images, device, batch).astype(np.float64)
        words = self.encode_text(captions, device, batch).astype(np.float64)
        return ClipScores((pictures * words).sum(axis=1), self.truncated(captions))

    def video_scores(
        self, clips: Clips, captions: list[str], device: torch.device, batch: int = 50
    ) -> ClipScores:
        """Of uint8 clips [N, 3, T, H, W] and N captions: every frame against its clip's caption.

        batch: frames at once, whole clips. The mean of the frames' cosines, not the cosine of their
        mean: the usual CLIP text-video similarity; Paris 2.0 does not say which is its own.
        """
        _paired(len(checked_clips(clips)), "clips", captions)
        words, means = self.encode_text(captions, device, batch).astype(np.float64), []
        for which, frames in over_frames(clips, batch):
            rows = self.encode(frames, device, batch).astype(np.float64)
            rows = rows.reshape(-1, clips.shape[2], rows.shape[1])
            means.append(np.einsum("ntf,nf->n", rows, words[which]) / clips.shape[2])
        return ClipScores(np.concatenate(means), self.truncated(captions))

    def encode(self, images: Images, device: torch.device, batch: int = 50) -> Array:
        """Unit vectors [N, F] of uint8 images, each resized by open_clip's own PIL transform."""
        from PIL import Image

        network, transform, _ = _load(self, device)
        rows = []
        with exactly():
            for start in range(0, len(checked(images)), batch):
                part = images[start : start + batch].transpose(0, 2, 3, 1)
                x = torch.stack([transform(Image.fromarray(picture)) for picture in part])
                rows.append(F.normalize(network.encode_image(x.to(device)).float(), dim=-1).cpu())
        return torch.cat(rows).numpy()

    def encode_text(self, captions: list[str], device: torch.device, batch: int = 50) -> Array:
        """Unit vectors [N, F] of captions."""
        network, _, tokenizer = _load(self, device)
        rows = []
        with exactly():
            for start in range(0, len(captions), batch):
                tokens = tokenizer(captions[start : start + batch]).to(device)
                rows.append(F.normalize(network.encode_text(tokens).float(), dim=-1).cpu())
        return torch.cat(rows).numpy()

    def truncated(self, captions: list[str]) -> int:
        """How many captions, with their start and end, exceed the context."""
        import open_clip

        tokenizer = open_clip.get_tokenizer(self.architecture)
        room = tokenizer.context_length - 2
        return sum(len(tokenizer.encode(caption)) > room for caption in captions)

    def locate(self) -> Path:
        """Where the weights lie. WeightsError where they do not, or the tag is not known."""
        import open_clip

        tag = open_clip.get_pretrained_cfg(self.architecture, self.pretrained)
        config = open_clip.get_model_config(self.architecture)
        if config is None:
            raise WeightsError(f"open_clip knows no architecture {self.architecture!r}")
        if "hf_tokenizer_name" in config["text_cfg"]:
            raise WeightsError(f"{self.architecture} reads by a tokenizer that the hub would send")
        if tag and tag.get("quick_gelu", False) != config.get("quick_gelu", False):
            raise WeightsError(
                f"{self.pretrained} was trained with another activation than {self.architecture}: "
                "add or take off -quickgelu"
            )
        if self.weights is not None:
            if not self.weights.is_file():
                raise WeightsError(f"no weights at {self.weights}: download them to there")
            return self.weights
        if not tag or not tag.get("hf_hub"):
            raise WeightsError(f"{self.pretrained!r} is no tag of {self.architecture}: give a file")
        repository, name = tag["hf_hub"].rsplit("/", 1)
        return hub_file(repository, (name,) if name else FILES)


def _paired(n: int, kind: str, captions: list[str]) -> None:
    if n != len(captions) or n == 0:
        raise ValueError(f"{n} {kind} do not pair with {len(captions)} captions")


@functools.lru_cache(maxsize=2)
def _load(value: Clip, device: torch.device) -> tuple[Any, Any, Any]:
    """(network, transform of a PIL picture, tokenizer)."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    path = value.locate()
    tag = open_clip.get_pretrained_cfg(value.architecture, value.pretrained) or {}
    kept = {key: tag[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in tag}
    with reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the activation, which was checked
        network = open_clip.create_model(
            value.architecture, str(path), force_preprocess_cfg=kept, require_pretrained=True
        )
    transform = image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False)
    return (
        network.to(device).eval().requires_grad_(False),
        transform,
        open_clip.get_tokenizer(value.architecture),
    )
