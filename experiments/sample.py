"""Draw pictures for prompts of your own with the published weights of Paris 1.0.

    python -m experiments.sample --weights bageldotcom/paris --prompt "a red car" --out pictures

Each prompt becomes a PNG whose name has its number and seed; the command and its dials lie beside
them in sample.json.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from datamodules.autoencoders import StableDiffusionVAE
from datamodules.clip_text import ClipText
from datamodules.hub import WeightsError, find
from experiments.files import write_whole
from experiments.provenance import commit
from metrics.pixels import to_uint8
from modules import paris
from modules.checkpoint import CheckpointError
from modules.dit import DiTNetwork
from modules.ensemble import Ensemble
from modules.sampling import starting_noise
from modules.selection import Full, Selection, Top
from modules.solvers import Euler
from modules.text import Text

BATCH = 8
"""Pictures drawn at once."""


def selection(text: str) -> Selection:
    """top1, top2, … or full. ValueError for what is neither."""
    if text == "full":
        return Full()
    if text.startswith("top") and text[3:].isdigit() and int(text[3:]) > 0:
        return Top(int(text[3:]))
    raise ValueError(f"{text!r} is no selection: top1, top2, … or full")


def encoders(folder: Path) -> tuple[StableDiffusionVAE, ClipText]:
    """The VAE and the text encoder that lie beside the experts."""
    home = find(str(folder / "text_encoder"), ["config.json"])
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
    found = []
    for start in tqdm(range(0, len(seeds), BATCH), desc="pictures", disable=None):
        rows = slice(start, start + BATCH)
        x = starting_noise(seeds[rows], shape).to(device)
        with torch.inference_mode():
            done = Euler().draw(
                ensemble, text[rows].to(device), guidance, x, steps, lambda _: torch.empty(0)
            )
        found.append(done.cpu())
    return torch.cat(found)


def run(options: argparse.Namespace) -> list[Path]:
    """Draw what is asked, and give the files."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = find(options.weights, ["config.json"])
    vae, clip = encoders(folder)
    tokens, pooled = map(torch.from_numpy, clip.encode(options.prompt))
    null = torch.from_numpy(clip.encode([""])[0][0]).float()
    ensemble = paris.load(folder, null, options.select, paris.ROUTER, device=device)
    network = ensemble.experts[0].network
    assert isinstance(network, DiTNetwork)
    side = network.shape.image
    seeds = [options.seed + i for i in range(len(options.prompt))]
    latents = draw(
        ensemble,
        Text.of(tokens.float(), pooled.float()),
        seeds,
        (network.shape.channels, side, side),
        options.steps,
        options.cfg,
        device,
    )
    pictures = vae.decode(latents.numpy(), device)
    options.out.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, (picture, seed) in enumerate(zip(to_uint8(pictures), seeds, strict=True)):
        paths.append(options.out / f"{i:04d}-seed{seed}.png")
        Image.fromarray(picture.transpose(1, 2, 0)).save(paths[-1])
    told = {**vars(options), "select": str(options.select), "out": str(options.out)}
    text = json.dumps({**told, "code": commit()}, indent=1, ensure_ascii=False)
    write_whole(options.out / "sample.json", (text + "\n").encode())
    return paths


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="sample", description=__doc__, allow_abbrev=False)
    found.formatter_class = argparse.RawDescriptionHelpFormatter
    found.add_argument("--weights", required=True, help="a hub name in the cache, or a folder")
    found.add_argument("--prompt", required=True, action="append", help="again for each picture")
    found.add_argument("--select", type=selection, default=paris.SELECTION, help="top2, …, full")
    found.add_argument("--steps", type=int, default=paris.STEPS, help="Euler steps")
    found.add_argument("--cfg", type=float, default=paris.GUIDANCE, help="guidance; 1 is none")
    found.add_argument("--seed", type=int, default=0, help="of the first picture; then one more")
    found.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the pictures are there, 2 for a bad command line, 1 for weights that cannot serve."""
    options = parser().parse_args(arguments)
    if options.steps < 1 or options.seed < 0:
        print("sample: --steps must be at least 1 and --seed not negative", file=sys.stderr)
        return 2
    try:
        for path in run(options):
            print(path)
    except (WeightsError, CheckpointError, OSError, KeyError, ValueError) as error:
        print(f"sample: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
