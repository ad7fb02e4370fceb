"""Draw clips for prompts of your own with Paris 2.0's experts, from text or from a first frame.

    python -m experiments.sample --weights paris2 --prompt "a red car" --out clips
    python -m experiments.sample --weights paris2 --prompt "a red car" --image car.jpg --out clips

Beside the experts lie vae.pt, t5/ and clip/, as the card says. Each prompt becomes an MP4 and a GIF
whose names have its number and seed, beside sample.json, which has the command.
"""

import argparse
import io
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.dinov2 import DINOv2Features
from datamodules.encoders.hub import HubWeightsError, compute_dtype, find_files
from datamodules.encoders.hunyuan import HunyuanVAE, Tiles
from datamodules.encoders.t5_clip import T5ClipText
from datamodules.sources.pictures import Filter, decode, square
from datamodules.sources.source import BadRecordError
from experiments.cli.bounds import named_folder
from experiments.pipeline.files import write_whole
from experiments.pipeline.provenance import commit
from experiments.sample.places import TOLD, out_refused
from experiments.sample.selections import selection
from metrics.pixels import to_uint8
from modules.ensemble import Ensemble
from modules.mmdit import MMDiTNetwork
from modules.routing import Probabilities, RouterNetwork
from modules.sampling import starting_noise
from modules.solvers import Euler
from modules.text import GivenFrame, Text
from modules.weights import paris2
from modules.weights.bfl import Rotary
from modules.weights.checkpoint import CheckpointError

STEPS, GUIDANCE, RATE = 50, 7.5, 24
"""Euler's steps and guidance of §4.1; frames in a second, which nobody says, are Open-Sora's."""
CODECS = ("libx264", "mpeg4")
"""The first that this build of FFmpeg has."""
COMPRESSED = 8
"""Pixels to a latent, along each side."""


@dataclass(frozen=True)
class Encoders:
    """What lies beside the experts."""

    latents: HunyuanVAE
    text: T5ClipText

    @classmethod
    def of(cls, folder: Path) -> "Encoders":
        """Of the sizes that their own files say. HubWeightsError if one is not there."""
        from transformers import CLIPTextConfig  # seconds to import

        clip, t5 = (find_files(str(folder / name), ["config.json"]) for name in ("clip", "t5"))
        own = CLIPTextConfig.from_pretrained(clip, local_files_only=True)
        width = json.loads((t5 / "config.json").read_text())["d_model"]
        pooled = own.hidden_size
        tower = ClipText(str(clip), own.max_position_embeddings, pooled, pooled)
        latents = HunyuanVAE(weights=str(folder / "vae.pt"), tiles=Tiles.SPACE_TIME)
        latents.locate()
        return cls(latents, T5ClipText(weights=str(t5), width=width, clip=tower))


def folder_of(name: str) -> Path | None:
    """The folder of Paris 2.0 by that name, here or in the hub's cache; None for anything else."""
    here = Path(name).expanduser()
    if not here.is_dir():
        try:
            here = find_files(name, ["model_index.json"])
        except HubWeightsError:
            return None
    return here if paris2.is_paris2(here) else None


def picture_of(file: Path) -> Image.Image:
    """ValueError, naming it, for what cannot be read."""
    try:
        return decode(file.read_bytes())
    except BadRecordError as error:
        raise ValueError(f"{file}: {error}") from error


def first_frame(
    picture: Image.Image, ensemble: Ensemble, encoders: Encoders, dinov2: str, device: torch.device
) -> GivenFrame:
    """The picture, cropped to the latents' square, as experts and router read it; of one clip.

    ValueError for experts that read none, or a picture that is too small.
    """
    network, router = ensemble.experts[0].network, ensemble.router
    assert isinstance(network, MMDiTNetwork)
    assert isinstance(router, Probabilities)
    assert isinstance(router.network, RouterNetwork)
    if not network.shape.first:
        raise ValueError("these experts read no first frame: they have no cond_in")
    pixels = square(picture, COMPRESSED * network.shape.side, Filter.LANCZOS)[None]
    latent = torch.from_numpy(encoders.latents.encode(pixels[:, :, None], device)).float()
    feature = torch.zeros(1, 1)  # unread
    if router.network.frame_feature is not None:
        feature = torch.from_numpy(DINOv2Features(dinov2).encode(pixels, device)).float()
    return GivenFrame(latent, feature, torch.ones(1, dtype=torch.bool))


def draw(
    ensemble: Ensemble, text: Text, seed: int, steps: int, guidance: float, device: torch.device
) -> Tensor:
    """The latent [1, C, T, H, W] of one caption, from the noise of its seed."""
    network = ensemble.experts[0].network
    assert isinstance(network, MMDiTNetwork)
    x = starting_noise([seed], network.shape.latent).to(device)
    mixed = compute_dtype(device) is torch.bfloat16
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=mixed):
        done = Euler().draw(ensemble, text.to(device), guidance, x, steps, lambda _: torch.empty(0))
    return done.float().cpu()


def codec() -> str:
    """The first of CODECS that is there. ValueError without any."""
    for name in CODECS:
        if name in av.codecs_available:
            return name
    raise ValueError(f"this build of FFmpeg writes none of {', '.join(CODECS)}")


def mp4(clip: NDArray[np.uint8], rate: int) -> bytes:
    """A clip [3, T, H, W], H and W even, as a file."""
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as file:
        stream = file.add_stream(codec(), rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = clip.shape[2:]
        stream.pix_fmt = "yuv420p"
        for frame in clip.transpose(1, 2, 3, 0):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return content.getvalue()


def gif(clip: NDArray[np.uint8], rate: int) -> bytes:
    """The same, without end; GIF counts hundredths of a second."""
    content = io.BytesIO()
    first, *rest = (Image.fromarray(frame) for frame in clip.transpose(1, 2, 3, 0))
    first.save(
        content, "GIF", save_all=True, append_images=rest, duration=round(100 / rate) * 10, loop=0
    )
    return content.getvalue()


def run(options: argparse.Namespace, folder: Path) -> list[Path]:
    """Draw what is asked, and give the files."""
    device = torch.device(options.device)
    picture = None if options.image is None else picture_of(options.image)
    encoders = Encoders.of(folder)
    encoded = encoders.text.encode(["", *options.prompt], device)
    tokens, pooled = (torch.from_numpy(x).float() for x in encoded)
    stage = next(stage for stage in paris2.STAGES if stage.number == options.stage)
    frames = None if options.frames is None else 1 + (options.frames - 1) // 4
    ensemble = paris2.load(
        folder, stage, (tokens[0], pooled[0]), frames, options.select,
        compute_dtype(device), device, options.rotary,
    )  # fmt: skip
    first = None
    if picture is not None:
        first = first_frame(picture, ensemble, encoders, options.dinov2, device)
    options.out.mkdir(parents=True, exist_ok=True)
    paths = []
    for i in tqdm(range(len(options.prompt)), desc="clips", disable=None):
        seed, keep = options.seed + i, torch.ones(1, dtype=torch.bool)
        text = Text(tokens[i + 1 : i + 2], pooled[i + 1 : i + 2], keep, first)
        latent = draw(ensemble, text, seed, options.steps, options.cfg, device)
        clip = to_uint8(encoders.latents.decode(latent.numpy(), device))[0]
        for suffix, write in (("mp4", mp4), ("gif", gif)):
            paths.append(options.out / f"{i:04d}-seed{seed}.{suffix}")
            write_whole(paths[-1], write(clip, options.fps))
    drawn = {"select": str(options.select), "frames": clip.shape[1], "codec": codec()}
    asked = {name: x if isinstance(x, int | float | list) else str(x)
            for name, x in vars(options).items() if x is not None}  # fmt: skip
    form = json.dumps({**asked, **drawn, "code": commit()}, indent=1, ensure_ascii=False)
    write_whole(options.out / TOLD, (form + "\n").encode())
    return paths


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sample", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--weights", required=True, help="a folder as on the card, or a hub name")
    parser.add_argument("--prompt", required=True, action="append", help="again for each clip")
    parser.add_argument("--image", type=Path, help="what every clip begins with")
    parser.add_argument("--stage", type=int, default=2, choices=[s.number for s in paris2.STAGES],
                       help="2: 256 x 256 pixels; 3: 768 x 768")  # fmt: skip
    parser.add_argument("--frames", type=int, help="1 + 4 n; by default as the router was trained")
    parser.add_argument("--select", type=selection, default=paris2.SELECTION,
                       help="top2, which the card leaves open, full, expert0, …")  # fmt: skip
    parser.add_argument("--steps", type=int, default=STEPS, help="Euler steps")
    parser.add_argument("--cfg", type=float, default=GUIDANCE, help="guidance; 1 is none")
    parser.add_argument("--seed", type=int, default=0, help="of the first clip; then one more")
    parser.add_argument("--rotary", type=Rotary, help="pairs or halves, where the names mislead")
    parser.add_argument(
        "--dinov2", default=DINOv2Features().weights, help="the router's frame feature"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--fps", type=int, default=RATE, help="frames in a second")
    parser.add_argument("--out", type=named_folder, default=Path("clips"), help="new folder")
    return parser


def main(arguments: Sequence[str], folder: Path) -> int:
    """0 when the clips are there, 2 for a bad command line, 1 for weights that cannot serve."""
    options = parser().parse_args(arguments)
    wrong = None
    if min(options.steps, options.fps) < 1 or options.seed < 0 or not 0 <= options.cfg < math.inf:
        wrong = "--steps and --fps must be at least 1, --seed and --cfg not negative"
    elif options.frames is not None and (options.frames < 1 or options.frames % 4 != 1):
        wrong = f"--frames must be 1 + 4 n, not {options.frames}"
    else:
        wrong = out_refused(options.out)
    if wrong is not None:
        print(f"sample: {wrong}", file=sys.stderr)
        return 2
    try:
        for path in run(options, folder):
            print(path)
    except (HubWeightsError, CheckpointError, OSError, KeyError, ValueError, RuntimeError) as error:
        print(f"sample: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0
