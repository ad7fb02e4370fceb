"""Latents of Paris 2.0: HunyuanVideo's causal autoencoder, four frames and 8 x 8 pixels to one.

Clips go in and come out in [-1, 1]; latents leave scaled to about unit variance.  (Paris 2.0, §3.1)
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
from datamodules.encoders.hub import WeightsError, find, refuse, whole

FILES = ("config.json", "diffusion_pytorch_model.safetensors")
ORIGINAL: dict[str, Any] = {}
"""What the network in Tencent's own file has other than diffusers' defaults: nothing."""
FETCH = (
    "hf download tencent/HunyuanVideo hunyuan-video-t2v-720p/vae/pytorch_model.pt, and --scale."
    "latents.weights says where it lies"
)


class Tiles(Enum):
    """What of a clip is encoded and decoded at once. Tiles overlap and are blended, which changes
    their values: near borders, and where attention and norms would have seen more."""

    NONE = "none"
    TIME = "time"  # 17 frames, 12 further each time, as diffusers does unasked
    SPACE_TIME = "space-time"  # and 256 x 256 pixels, 192 further: 768 x 768 in little memory


@dataclass(frozen=True)
class HunyuanVAE:
    """Latents [N, 16, 1 + (T - 1) / 4, H / 8, W / 8] of clips [N, 3, T, H, W], as float16.

    The posterior's mean times `scaling`, in float32, clip by clip: slices of a batch would change
    memory and no value. Identity is `name` and the choices made here, not `weights`.

    Args:
        name: whose weights these are.
        weights: Tencent's own file, vae.pt or pytorch_model.pt; or a hub name or a folder in
            diffusers' layout, or whose `vae` is.
        scaling: what the network's latents are multiplied by, and divided by before decoding.
        tiles: part of the identity, since they change values.
    """

    name: str = "tencent/HunyuanVideo"
    weights: str = field(default="./vae.pt", metadata={"key": False})
    scaling: float = 0.476986
    tiles: Tiles = Tiles.TIME

    pixels = False

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """(3, T, H, W) -> (16, t, h, w). H and W in 16s, as two latents a side make a token.
        ValueError for what is no such clip."""
        if len(picture) != 4 or picture[0] != 3:
            raise ValueError(f"{picture}: the HunyuanVAE takes clips of 3 x T x H x W")
        _, frames, height, width = picture
        if frames % 4 != 1 or height % 16 or width % 16 or not min(frames, height, width) > 0:
            raise ValueError(
                f"{frames} frames of {height}x{width}: the HunyuanVAE takes 1 + 4 n, of 16 n pixels"
            )
        return 16, 1 + frames // 4, height // 8, width // 8

    def locate(self) -> Path:
        """The file or folder of the weights. WeightsError if it is not here."""
        path = Path(self.weights).expanduser()
        if path.is_file() or path.suffix == ".pt":
            if not path.is_file():
                raise WeightsError(f"no {path}: {FETCH}")
            return path
        if path.is_dir():
            return find(str(path / "vae" if (path / "vae").is_dir() else path), FILES)
        return find(self.weights, [f"vae/{file}" for file in FILES])

    @torch.inference_mode()
    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.float16]:
        self.shape(images.shape[1:])
        vae = self._network(device)
        found = self._each(lambda x: vae.encode(x).latent_dist.mean * self.scaling, images, device)
        return torch.cat([z.half() for z in found]).numpy()

    @torch.inference_mode()
    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        vae = self._network(device)
        found = self._each(lambda z: vae.decode(z / self.scaling).sample, latents, device)
        return torch.cat([x.clamp(-1, 1) for x in found]).numpy()

    def _each(
        self, ask: Callable[[torch.Tensor], torch.Tensor], x: NDArray[Any], device: torch.device
    ) -> Iterator[torch.Tensor]:
        """What the network makes of each of [N, ...]."""
        for i in range(len(x)):
            yield ask(torch.from_numpy(x[i : i + 1]).to(device, torch.float32)).cpu()

    def _network(self, device: torch.device) -> Any:
        vae = _hunyuan(self.locate(), device)
        vae.use_tiling = self.tiles is Tiles.SPACE_TIME
        vae.use_framewise_encoding = vae.use_framewise_decoding = self.tiles is not Tiles.NONE
        return vae


@functools.lru_cache(maxsize=1)
def _hunyuan(place: Path, device: torch.device) -> Any:
    """The network, loaded once. WeightsError if it is another's."""
    from diffusers import AutoencoderKLHunyuanVideo  # seconds to import

    if place.is_dir():
        return whole(AutoencoderKLHunyuanVideo, place, device, torch.float32)
    with torch.device("meta"):
        vae: Any = AutoencoderKLHunyuanVideo(**ORIGINAL)
    state, wanted = _original(place), vae.state_dict()
    other = [k for k in wanted.keys() & state.keys() if state[k].shape != wanted[k].shape]
    refuse(place, sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys()), other)
    vae.load_state_dict(state, assign=True)
    return vae.to(device, torch.float32).eval().requires_grad_(False)


def _original(file: Path) -> dict[str, torch.Tensor]:
    """Tencent's tensors. diffusers kept their names; a checkpoint of a training holds them inside
    "state_dict", and there perhaps after "vae."."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        said = " ".join(str(error).split())[:300]
        raise WeightsError(f"cannot load the HunyuanVAE from {file}: {said}") from error
    found = found.get("state_dict", found) if isinstance(found, dict) else {}
    ours = {k.removeprefix("vae."): v for k, v in found.items() if k.startswith("vae.")}
    return ours or found
