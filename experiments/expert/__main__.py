"""An expert trained elsewhere: a manifest for it, its training, and the ensemble that it joins.

    python -m experiments.expert manifest --seed 0 --make true --out manifest.json
    python -m experiments.expert train --manifest manifest.json --cluster 3 --objective ddpm \\
        --licence CC-BY-4.0 --out expert_3
    python -m experiments.expert ensemble --expert expert_0 --expert expert_3 --router router \\
        --out together --prompt "the digit three"

manifest: who has the clusters writes down where shards lie, their SHA-256, recipes, encoders, seed.
train: who has the manifest fetches one cluster's shards, no other, and trains.
ensemble: says in a line each what does not go together; else writes one folder, and draws from it.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from experiments.cli import main as cli
from experiments.cli.main import BAD_INPUT
from experiments.cli.options import UsageError, read, take_scale
from experiments.expert import assemble, contribute, manifest
from experiments.hddm.variants import OBJECTIVES
from experiments.pipeline import build
from experiments.pipeline.address import open_store
from experiments.pipeline.cores import cores
from experiments.pipeline.hardware import Hardware
from experiments.pipeline.launch.local import Local
from experiments.pipeline.store import Context
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.sample.pictures import main as sample

PROG = "expert"


def write_manifest(arguments: Sequence[str]) -> int:
    """The command `manifest`."""
    scale, form, rest = take_scale(arguments, SCALES)
    parser = ArgumentParser(
        prog=f"{PROG} manifest", description="What contributors need.", exit_on_error=False,
        allow_abbrev=False,
    )  # fmt: skip
    add = parser.add_argument
    add("--scale", type=form)
    add("--seed", type=int, default=0, help="of the clusters and of every training")
    add("--objectives", nargs="+", choices=list(OBJECTIVES), default=["ddpm", "fm"])
    add("--address", help="where contributors find the clusters' folders; else the store's own")
    add("--store", default="store", help="of artifacts: a folder, or an address of fsspec")
    add("--make", type=bool, default=False, help="first make the shards that the store lacks")
    add("--workers", type=int, default=cores(), help="processes at once, to make them")
    add("--out", type=Path, default=Path("manifest.json"))
    given = argparse.Namespace(**read(parser, rest, scale, SCALES))
    if given.seed < 0 or given.workers < 1:
        raise UsageError("--seed must not be negative, --workers at least 1")
    store = open_store(given.store)
    if given.make:
        shards = experts.shards(given.scale.of_seed(given.seed))
        build.ensure([shards], Context(store), Local(given.workers))
    named = tuple(dict.fromkeys(given.objectives))
    manifest.write(
        manifest.of_scale(given.scale, given.seed, named, store, given.address), given.out
    )
    print(given.out)
    return 0


def train(arguments: Sequence[str]) -> int:
    """The command `train`."""
    parser = _parser("train", "One expert, from the shards of its own cluster.")
    add = parser.add_argument
    add("--manifest", type=Path, required=True)
    add("--cluster", type=int, required=True)
    add("--objective", choices=list(OBJECTIVES), required=True)
    add("--licence", required=True, help="of the weights, such as CC-BY-4.0")
    add("--address", help="where this cluster's shards lie, if not where the manifest says")
    add("--store", default="store", help="where a killed run goes on from")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--out", type=Path, required=True, help="folder of the expert")
    given = _read(parser, arguments)
    if not given.licence.strip():
        raise UsageError("--licence must not be empty")
    content = manifest.read(given.manifest)
    stage = content.stage(given.objective, given.cluster, given.address)
    bar = 0 if sys.stderr.isatty() else None
    context = Context(open_store(given.store), bar=bar, device=given.device, hardware=Hardware())
    contribute.train(stage, context)
    contribute.save(stage, content, context.store, given.out, given.licence)
    print(given.out)
    return 0


def ensemble(arguments: Sequence[str]) -> int:
    """The command `ensemble`."""
    parser = _parser("ensemble", "Check that experts go together, and make one folder of them.")
    add = parser.add_argument
    add("--expert", type=Path, action="append", required=True, help="a folder; again for each")
    add("--router", type=Path, required=True)
    add("--out", type=Path, help="folder to write; without one the cards are compared, no more")
    add("--prompt", action="append", default=[], help="draw it into --out/pictures")
    add("--steps", type=int, default=25, help="Euler steps")
    add("--cfg", type=float, default=2.0, help="guidance; 1 is none")
    given = _read(parser, arguments)
    if given.prompt and given.out is None:
        raise UsageError("--prompt needs --out")
    if given.steps < 1 or not 0 <= given.cfg < math.inf:
        raise UsageError("--steps must be at least 1, --cfg not negative")
    lines = assemble.disagree(given.expert, given.router)
    for line in lines:
        cli.say(PROG, line, 1)
    if lines:
        return 1
    if given.out is None:
        print(f"{len(given.expert)} experts and a router agree")
        return 0
    assemble.write(given.expert, given.router, given.out, given.prompt)
    print(given.out)
    if not given.prompt:
        return 0
    asked = [f"--prompt={prompt}" for prompt in given.prompt]
    dials = [f"--steps={given.steps}", f"--cfg={given.cfg}", f"--out={given.out / 'pictures'}"]
    return sample(["--weights", str(given.out), *asked, *dials])


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "manifest": write_manifest,
    "train": train,
    "ensemble": ensemble,
}


def _parser(name: str, about: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"{PROG} {name}", description=about, allow_abbrev=False, exit_on_error=False
    )


def _read(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> Any:
    """UsageError for a bad command line, where argparse would print its usage first."""

    def refuse(message: str) -> None:
        raise UsageError(message)

    parser.error = refuse  # type: ignore[method-assign, assignment]
    try:
        return parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it is done, 2 for a bad command line, 1 for input that cannot serve."""
    cli.hear_interrupts()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in COMMANDS:
        print(__doc__ if given[:1] in (["-h"], ["--help"]) else "", end="")
        wrong = f"choose from {', '.join(COMMANDS)}"
        return 0 if given[:1] in (["-h"], ["--help"]) else cli.say(PROG, wrong, 2)
    try:
        return COMMANDS[given[0]](given[1:])
    except UsageError as error:
        return cli.say(PROG, str(error), 2)
    except KeyboardInterrupt:
        return cli.say(PROG, "interrupted; the same command goes on from here", 130)
    except (build.StagesFailed, *BAD_INPUT) as error:
        if cli.is_bug(error):
            raise
        return cli.say(PROG, " ".join(cli.reason(error, Path("store")).split()), 1)


if __name__ == "__main__":
    sys.exit(main())
