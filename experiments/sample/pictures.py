"""Draw pictures for prompts of your own with published weights: Paris 1.0's, or networks of ours.

    python -m experiments.sample --weights bageldotcom/paris --prompt "a red car" --out drawn
    python -m experiments.sample --weights published friends/expert_3 --prompt "the digit three"
    python -m experiments.sample --weights paris2 --prompt "a red car" --out clips

Ours may lie in several places, a router among them; one expert without a router draws alone. Each
prompt becomes a PNG whose name has its number and seed, beside sample.json, which has the command.
Paris 2.0's draw clips, and have options of their own: experiments/sample/clips.py.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from datamodules.encoders.autoencoders import StableDiffusionVAE
from datamodules.encoders.captions import plain, refusals
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.encoder import LatentEncoder, TextEncoder
from datamodules.encoders.hub import HubWeightsError, find_files
from experiments.cli.bounds import named_folder
from experiments.pipeline.files import write_whole
from experiments.pipeline.provenance import commit
from experiments.sample.places import TOLD, lacking, out_refused, weights_refused
from experiments.sample.selections import GUIDANCE, selection
from experiments.stages import publishable
from metrics.pixels import to_uint8
from modules.dit import DiTNetwork
from modules.ensemble import Ensemble
from modules.guard import LAST, Guard
from modules.sampling import starting_noise
from modules.selection import Selection
from modules.solvers import Euler
from modules.text import Text
from modules.weights import paris
from modules.weights.checkpoint import CheckpointError
from modules.weights.published import CARD, WEIGHTS, load_ensemble

GUARD = Guard(t_max=LAST)
"""Under which published experts are asked: DDPM's no later than LAST."""
BATCH = 8
"""Pictures drawn at once."""
SMALL = 64
"""A picture of a smaller side is saved enlarged, to this or nearly: each pixel becomes a square."""


@dataclass(frozen=True)
class Model:
    """What draws, the encoders that it was trained with, and how much guidance if nobody says."""

    ensemble: Ensemble
    latents: LatentEncoder | StableDiffusionVAE
    text: TextEncoder | ClipText
    guidance: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a latent."""
        network = self.ensemble.experts[0].network
        assert isinstance(network, DiTNetwork)
        return network.shape.channels, network.shape.image, network.shape.image


def encoders(folder: Path) -> tuple[StableDiffusionVAE, ClipText]:
    """The VAE and the text encoder that lie beside the experts."""
    home = find_files(str(folder / "text_encoder"), ["config.json"])
    shape = json.loads((home / "config.json").read_text())
    width = shape["hidden_size"]
    text = ClipText(
        str(home),
        shape["max_position_embeddings"],
        width,
        width,
        tokenizer=str(folder / "tokenizer"),
    )
    return StableDiffusionVAE(str(folder / "vae")), text


def _ours(name: str) -> Path | None:
    """The folder of a network of ours, or of several; None for a name of anything else."""
    here = Path(name).expanduser()
    if here.is_dir() and next(here.glob(f"*/{CARD}"), None):
        return here
    try:
        return find_files(name, [CARD, WEIGHTS])
    except HubWeightsError:
        return None


def load(weights: Sequence[str], select: Selection, device: torch.device) -> Model:
    """Paris from its one folder, or ours from all of them, DDPM experts asked no later than LAST.

    HubWeightsError or CheckpointError for folders of neither layout, or that do not go together.
    """
    places = {name: _ours(name) for name in weights}
    there = [place for place in places.values() if place is not None]
    if there:
        strange = [name for name, place in places.items() if place is None]
        if strange:
            raise HubWeightsError(
                f"no network of ours in {', '.join(strange)}: no {CARD} and {WEIGHTS}"
            )
        ensemble, origin = load_ensemble(there, select, GUARD, device)
        latents, text = map(publishable.read, (origin.latents, origin.captions))
        return Model(ensemble, latents, text, GUIDANCE)
    if len(weights) > 1:
        raise HubWeightsError(
            f"no network of ours in {', '.join(weights)}: no {CARD} and {WEIGHTS}"
        )
    folder = find_files(weights[0], ["config.json"])
    vae, clip = encoders(folder)
    null = torch.from_numpy(clip.encode([""])[0][0]).float()
    ensemble = paris.load(folder, null, select, paris.ROUTER, device=device)
    return Model(ensemble, vae, clip, paris.GUIDANCE)


def read(encoder: TextEncoder | ClipText, prompts: Sequence[str]) -> Text:
    """Encoded prompts. ValueError, in one short line, for one that is too long."""
    words = [plain(prompt) for prompt in prompts]
    try:
        tokens, pooled = encoder.encode(words)
    except ValueError as error:
        reasons = refusals(encoder.encode, words)
        raise ValueError(next(iter(reasons.values()), str(error))) from error
    return Text.of(torch.from_numpy(tokens).float(), torch.from_numpy(pooled).float())


def draw(
    ensemble: Ensemble,
    text: Text,
    seeds: Sequence[int],
    shape: tuple[int, int, int],
    steps: int,
    guidance: float,
    device: torch.device,
) -> Tensor:
    """Latents [N, *shape] for the captions of `text`, each from the noise of its own seed."""
    latents = []
    for start in tqdm(range(0, len(seeds), BATCH), desc="pictures", disable=None):
        rows = slice(start, start + BATCH)
        x = starting_noise(seeds[rows], shape).to(device)
        with torch.inference_mode():
            done = Euler().draw(
                ensemble, text[rows].to(device), guidance, x, steps, lambda _: torch.empty(0)
            )
        latents.append(done.cpu())
    return torch.cat(latents)


def shown(picture: NDArray[np.uint8]) -> Image.Image:
    """A picture [C, H, W], C = 1 or 3; a small one's pixels enlarged to whole squares."""
    times = max(1, SMALL // picture.shape[-1])
    enlarged = picture.repeat(times, axis=1).repeat(times, axis=2).transpose(1, 2, 0)
    return Image.fromarray(enlarged[..., 0] if len(picture) == 1 else enlarged)


def run(options: argparse.Namespace) -> list[Path]:
    """Draw what is asked, and give the files."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load(options.weights, options.select, device)
    text = read(model.text, options.prompt)
    seeds = [options.seed + i for i in range(len(options.prompt))]
    cfg = model.guidance if options.cfg is None else options.cfg
    latents = draw(model.ensemble, text, seeds, model.shape, options.steps, cfg, device)
    pictures = to_uint8(model.latents.decode(latents.numpy(), device))
    options.out.mkdir(parents=True, exist_ok=True)
    paths = [options.out / f"{i:04d}-seed{seed}.png" for i, seed in enumerate(seeds)]
    for picture, path in zip(pictures, paths, strict=True):
        shown(picture).save(path)
    drawn = {"select": str(model.ensemble.selection), "side": pictures.shape[-1], "cfg": cfg}
    settings = {**vars(options), **drawn, "out": str(options.out), "code": commit()}
    content = json.dumps(settings, indent=1, ensure_ascii=False)
    write_whole(options.out / TOLD, (content + "\n").encode())
    return paths


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sample", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    help = "a hub name in the cache, or a folder; of our own networks, any number"
    parser.add_argument("--weights", required=True, nargs="+", help=help)
    parser.add_argument("--prompt", required=True, action="append", help="again for each picture")
    parser.add_argument(
        "--select", type=selection, default=paris.SELECTION, help="top2, full, expert0, …"
    )
    parser.add_argument("--steps", type=int, default=paris.STEPS, help="Euler steps")
    parser.add_argument(
        "--cfg",
        type=float,
        help=f"guidance; 1: none. By default {paris.GUIDANCE} for Paris, {GUIDANCE:g} for ours",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first picture; then one more")
    parser.add_argument(
        "--out",
        type=named_folder,
        default=Path("drawn"),
        help="new folder of the pictures; those under 64 pixels enlarged",
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """0 when the pictures are there, 2 for a bad command line, 1 for weights that cannot serve."""
    options = parser().parse_args(arguments)
    cfg = 1.0 if options.cfg is None else options.cfg
    if options.steps < 1 or options.seed < 0 or not 0 <= cfg < math.inf:
        message = "--steps must be at least 1, --seed and --cfg not negative"
        print(f"sample: {message}", file=sys.stderr)
        return 2
    if (wrong := out_refused(options.out)) is not None:
        print(f"sample: {wrong}", file=sys.stderr)
        return 2
    for wrong in filter(None, map(weights_refused, options.weights)):
        print(f"sample: {wrong}", file=sys.stderr)
        return 1
    try:
        for path in run(options):
            print(path)
    except (HubWeightsError, CheckpointError, OSError, KeyError, ValueError) as error:
        print(f"sample: {lacking(error, options.weights)}", file=sys.stderr)
        return 1
    return 0
