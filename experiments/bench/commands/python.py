"""Python commands as sides of a row: in a tree of the suite, all their processes counted."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.bench.commands import reaping
from experiments.bench.pairing import RefusedError
from experiments.pipeline.provenance import ROOT

IMPORT = ("-c", "import torch")


def command(arguments: Sequence[str]) -> list[str]:
    """Python with the arguments, and around it what waits for all it starts."""
    return [sys.executable, "-S", reaping.__file__, sys.executable, *arguments]


def status(arguments: Sequence[str], tree: Path = ROOT) -> int:
    """The exit status of Python with the arguments, run in a tree; what it prints is dropped."""
    return _run(arguments, tree).returncode


def require(arguments: Sequence[str], tree: Path = ROOT) -> None:
    """Run Python with the arguments in a tree. RefusedError, with its last words, if it fails."""
    done = _run(arguments, tree)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise RefusedError(
            f"python {' '.join(arguments)} ended with {done.returncode}: {words[-1]}"
        )


def _run(arguments: Sequence[str], tree: Path) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(
        command(arguments), cwd=tree, env=environment, capture_output=True, check=False
    )
