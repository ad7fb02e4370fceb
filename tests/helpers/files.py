"""Where the project lies, its pages, data of others, shards written, and a disk that is full."""

import os
import re
import resource
import shlex
from contextlib import contextmanager
from pathlib import Path

import pytest

from datamodules.shards import ClusterWriter

ROOT = Path(__file__).parents[2]
BESIDE = ROOT.parent / "shared" / "assets"
FILES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in FILES}


def blocks(text, language=""):
    """The fenced blocks of a page of README or docs/ in one language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.DOTALL)
    return [body for named, body in fenced if named == language]


def commands():
    """(page, words) of every command line in a plain block, without comments."""
    for page, text in PAGES.items():
        for line in "".join(blocks(text)).replace("\\\n", " ").splitlines():
            if re.match(r"make |(OMP_NUM_THREADS=1 )?\.venv/bin/python ", line):
                yield page, shlex.split(line, comments=True)


def asset(name):
    """A file or folder of data of others: the test is skipped where DDM_ASSETS lacks it."""
    path = Path(os.environ.get("DDM_ASSETS", BESIDE)) / name
    if not path.exists():
        pytest.skip(f"no {name} in the folder DDM_ASSETS, nor beside the repository")
    return path


def write_cluster(folder, cluster, samples, per_shard):
    """One cluster's samples as shards."""
    with ClusterWriter(folder, cluster, per_shard) as writer:
        for sample in samples:
            writer.write(sample)


@contextmanager
def full_disk(limit):
    """No file may grow past `limit` bytes: writes fail as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
