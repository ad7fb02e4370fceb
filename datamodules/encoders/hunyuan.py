"""Latents of Paris 2.0: HunyuanVideo's causal autoencoder.  (Paris 2.0, §3.1)

Four frames of 8 x 8 pixels become one latent pixel. Clips are in [-1, 1]; latents are scaled to
about unit variance.
"""

import functools
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU, Array
from datamodules.encoders.hub import HubWeightsError, check_keys, find_files, load_model

FILES = ("config.json", "diffusion_pytorch_model.safetensors")
ORIGINAL: dict[str, Any] = {}
"""Arguments of the network in Tencent's own file that differ from diffusers' defaults: none."""
FETCH = (
    "hf download tencent/HunyuanVideo hunyuan-video-t2v-720p/vae/pytorch_model.pt, and --scale."
    "latents.weights says where it lies"
)


class Tiles(Enum):
    """The tiles of a clip that are encoded or decoded at once.

    Tiles overlap and are blended. This changes values near borders, and wherever attention or norms
    would have read more of the clip.
    """

    NONE = "none"
    TIME = "time"  # 17 frames, a new tile every 12: diffusers' default
    SPACE_TIME = "space-time"  # also 256 x 256 pixels, every 192: needs little memory


@dataclass(frozen=True)
class HunyuanVAE:
    """Latents are the posterior's mean times `scaling`, computed clip by clip in float32.

    Args:
        name: whose weights these are; part of the key, unlike `weights`.
        weights: Tencent's own file, vae.pt or pytorch_model.pt; or a hub name, or a folder, in
            diffusers' layout or with a `vae` of that layout.
        scaling: latents are multiplied by it after encoding and divided before decoding.
        tiles: part of the key, since they change values.
    """

    name: str = "tencent/HunyuanVideo"
    weights: str = field(default="./vae.pt", metadata={"key": False})
    scaling: float = 0.476986
    tiles: Tiles = Tiles.TIME

    pixels = False

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """The latent's shape (16, 1 + (T - 1) / 4, H / 8, W / 8) for a clip of shape (3, T, H, W).

        Raises ValueError unless T is 1 + 4 n, and H and W are multiples of 16: a token is 2 x 2
        latent pixels.
        """
        if len(picture) != 4 or picture[0] != 3:
            raise ValueError(f"{picture}: the HunyuanVAE takes clips of 3 x T x H x W")
        _, frames, height, width = picture
        if frames % 4 != 1 or height % 16 or width % 16 or not min(frames, height, width) > 0:
            raise ValueError(
                f"{frames} frames of {height}x{width}: the HunyuanVAE takes 1 + 4 n, of 16 n pixels"
            )
        return 16, 1 + frames // 4, height // 8, width // 8

    def locate(self) -> Path:
        """The file or folder of the weights. HubWeightsError if it is missing."""
        path = Path(self.weights).expanduser()
        if path.is_file() or path.suffix == ".pt":
            if not path.is_file():
                raise HubWeightsError(f"no {path}: {FETCH}")
            return path
        if path.is_dir():
            return find_files(str(path / "vae" if (path / "vae").is_dir() else path), FILES)
        return find_files(self.weights, [f"vae/{file}" for file in FILES])

    @torch.inference_mode()
    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.float16]:
        """Latents [N, 16, 1 + (T - 1) / 4, H / 8, W / 8] of clips [N, 3, T, H, W] in [-1, 1].

        Raises ValueError as `shape`, and HubWeightsError.
        """
        self.shape(images.shape[1:])
        vae = self._network(device)
        latents = self._each(
            lambda x: vae.encode(x).latent_dist.mean * self.scaling, images, device
        )
        return torch.cat([z.half() for z in latents]).numpy()

    @torch.inference_mode()
    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        """Clips [N, 3, T, H, W] in [-1, 1] of latents [N, 16, t, h, w]. HubWeightsError."""
        vae = self._network(device)
        clips = self._each(lambda z: vae.decode(z / self.scaling).sample, latents, device)
        return torch.cat([x.clamp(-1, 1) for x in clips]).numpy()

    def _each(
        self, network: Callable[[torch.Tensor], torch.Tensor], x: NDArray[Any], device: torch.device
    ) -> Iterator[torch.Tensor]:
        """The network's output [1, ...] for each row of x [N, ...], on the CPU."""
        for i in range(len(x)):
            yield network(torch.from_numpy(x[i : i + 1]).to(device, torch.float32)).cpu()

    def _network(self, device: torch.device) -> Any:
        vae = _hunyuan(self.locate(), device)
        vae.use_tiling = self.tiles is Tiles.SPACE_TIME
        vae.use_framewise_encoding = vae.use_framewise_decoding = self.tiles is not Tiles.NONE
        return vae


@functools.lru_cache(maxsize=1)
def _hunyuan(place: Path, device: torch.device) -> Any:
    """The network, loaded once. HubWeightsError if the weights are another network's."""
    from diffusers import AutoencoderKLHunyuanVideo  # seconds to import

    if place.is_dir():
        return load_model(AutoencoderKLHunyuanVideo, place, device, torch.float32)
    with torch.device("meta"):
        vae: Any = AutoencoderKLHunyuanVideo(**ORIGINAL)
    state, wanted = _original(place), vae.state_dict()
    reshaped = [k for k in wanted.keys() & state.keys() if state[k].shape != wanted[k].shape]
    missing, unused = wanted.keys() - state.keys(), state.keys() - wanted.keys()
    check_keys(place, sorted(missing), sorted(unused), reshaped)
    vae.load_state_dict(state, assign=True)
    return vae.to(device, torch.float32).eval().requires_grad_(False)


def _original(file: Path) -> dict[str, torch.Tensor]:
    """The tensors in Tencent's file, by diffusers' names, which are the same.

    A training checkpoint has them in "state_dict", perhaps with the prefix "vae.".
    """
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:300]
        raise HubWeightsError(f"cannot load the HunyuanVAE from {file}: {reason}") from error
    tensors = tensors.get("state_dict", tensors) if isinstance(tensors, dict) else {}
    prefixed = {k.removeprefix("vae."): v for k, v in tensors.items() if k.startswith("vae.")}
    return prefixed or tensors
