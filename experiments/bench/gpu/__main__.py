"""The rows that want a CUDA device: results/bench/gpu-*.csv and *.md; a dry run without one."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.bench.__main__ import positive, run
from experiments.bench.gpu.device import Place
from experiments.bench.gpu.inference import inference
from experiments.bench.gpu.training import training
from experiments.cli.bounds import named_folder

SKIPPED = (
    "no CUDA device is used: nothing is measured and no results/bench/gpu-* written; the rows run "
    "once, at a tiny size"
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser("python -m experiments.bench.gpu", description=__doc__)
    made.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    made.add_argument("--pairs", type=positive, default=5, help="pairs of a row, 5 by default")
    made.add_argument(
        "--results", type=named_folder, default=Path("results"), help="written below bench/"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 if a row was refused or there is no such device."""
    asked, there = parser().parse_args(arguments), torch.cuda.is_available()
    if asked.device == "cuda" and not there:
        print("gpu: --device cuda: no CUDA device is available here", file=sys.stderr)
        return 1
    place = Place(torch.device("cuda" if there and asked.device != "cpu" else "cpu"))
    if not place.is_cuda:
        print(f"gpu: {SKIPPED}", file=sys.stderr)
    results = asked.results if place.is_cuda else None
    pairs = asked.pairs if place.is_cuda else 1
    whole = [run(bench, pairs, results) for bench in (training(place), *inference(place))]
    return 0 if all(whole) else 1


if __name__ == "__main__":
    sys.exit(main())
