"""Data of others for tests to read, if this machine has it: a folder named by DDM_ASSETS."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[3] / "shared" / "assets"


def asset(name):
    """A file or folder of the assets; the test is skipped without it."""
    path = Path(os.environ.get("DDM_ASSETS", BESIDE)) / name
    if not path.exists():
        pytest.skip(f"no {name} in the folder DDM_ASSETS, nor beside the repository")
    return path
