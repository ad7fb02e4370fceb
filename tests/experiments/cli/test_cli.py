"""The command line: one clear line for whatever a person can mend."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from experiments.cli import main as cli
from experiments.hddm.table1 import TABLE
from experiments.pipeline import build
from experiments.pipeline.files import read_sealed, sealed, sha256
from experiments.pipeline.launch import local
from modules.weights.checkpoint import CheckpointError
from tests.helpers.files import ROOT
from tests.helpers.stages import places, serial

TINY = ["data.clusters=2", "train.batch=8", "train.steps=4", "router.train.steps=2",
        "judge.steps=2", "draw.steps=1"]  # fmt: skip
SMOKE = ["--scale", "smoke", "--seeds", "1", *(f"--scale.{dial}" for dial in TINY)]
NO_NUMBERS = 7 * " | —" + " |"
"""The end of a row of Table 1 that could not be made."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with the store and the results of a tiny table 1."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "map", serial)
        assert cli.main(TABLE, arguments=[*SMOKE, *places(folder)]) == 0
    return folder


@pytest.fixture
def table(finished, tmp_path, monkeypatch):
    """A copy of that folder to break, in a process that starts no workers."""
    monkeypatch.setattr(local, "map", serial)
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def written(folder):
    return {p: p.read_bytes() for p in sorted((folder / "results").rglob("*")) if p.is_file()}


def row(markdown, name):
    """The first line that begins with a row's name."""
    return next(line for line in markdown.splitlines() if line.startswith(f"| {name} |"))


def refused(capsys, arguments, status, partial=False):
    """The one line on stderr of a command that must fail with `status`.

    partial: whether it prints the table all the same, with dashes in the rows that failed.
    """
    capsys.readouterr()
    assert cli.main(TABLE, arguments=arguments) == status
    out, err = capsys.readouterr()
    assert (NO_NUMBERS in out) if partial else out == ""
    assert "Traceback" not in err
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert err.startswith("table1: ")
    assert "None" not in err
    return err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--scale", "huge"], "'huge'.*smoke.*small"),
        (["--scale=huge"], "'huge'"),
        (["--scale"], "scale"),
        (["--scale", "smoke", "--sedes", "3"], "--sedes"),
        (["--scale", "smoke", "--scale.stesp", "3"], "--scale.stesp"),
        (["--scale.steps", "3"], "--scale.steps is called --scale.train.steps now"),
        (["--scale.source.root=x"], "is called --scale.data.source.root now"),
        (["--scale", "smoke", "stray"], "stray"),
        (["--scale", "smoke", "--seeds", "many"], "seeds.*many"),
        (["--scale", "smoke", "--scale.train.steps", "2.5"], "scale.train.steps.*2.5"),
        (["--scale", "smoke", "--scale.train.lr", "nan"], "scale.train.lr.*nan"),
        (["--scale", "smoke", "--device", "abacus"], "device.*abacus"),
        (["--scale", "smoke", "--seeds"], "--seeds"),
        (["--scale", "smoke", "--scale.train.steps"], "--scale.train.steps"),
        (["--scale", "smoke", "--seeds", "0"], "--seeds.*between 1 and"),
        (["--scale", "smoke", "--workers", "0"], "--workers.*at least 1"),
        (["--scale", "smoke", "--scale.train.batch", "63"], "63.*8"),
        (
            ["--scale", "smoke", "--scale.train.steps", "2"],
            r"train.ema_start\) at step 2 of 2",
        ),
        (["--scale", "smoke", "--scale.data.clusters", "0"], "clusters must be at least 1"),
        (["--scale", "smoke", "--scale.draw.samples", "0"], "samples"),
        (["--scale", "smoke", "--scale.train.steps", "-3"], "steps must be at least 1, not -3"),
        (
            ["--scale", "smoke", "--scale.router.train.accumulate", "0"],
            "router.train.accumulate must be",
        ),
        (["--scale", "smoke", "--scale.router.train.final_lr", "-1"], "router.train.final_lr"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_line_that_cannot_be_read_is_one_line(capsys, tmp_path, arguments, named):
    """kills: usage printed over many lines, a traceback, a misspelt dial swallowed, status 0."""
    end = [] if arguments[-1].startswith("--") else places(tmp_path)
    assert re.search(named, refused(capsys, [*end, *arguments], 2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--scale", "paper"], "hf download stabilityai/sd-vae-ft-mse"),
        (["--scale", "smoke", "--scale.expert.patch", "3"], "patch 3.*8"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_scale_that_cannot_be_run_is_one_line(capsys, tmp_path, arguments, named):
    """kills: a traceback, or a run begun before its dials are known to fit each other."""
    assert re.search(named, refused(capsys, [*arguments, *places(tmp_path)], 1))
    assert list(tmp_path.iterdir()) == []


def test_more_clusters_than_pictures_is_one_line(capsys, tmp_path):
    """kills: k-means' own traceback, or half a table written."""
    dials = ["--scale.data.clusters", "65", "--scale.data.fine", "70", "--scale.train.batch", "65"]
    line = refused(capsys, ["--scale", "smoke", "--seeds", "1", *dials, *places(tmp_path)], 2)
    assert re.search("K = 65.* the training split has 64", line)
    assert written(tmp_path) == {}


def test_a_corrupt_shard_is_named_and_deleting_the_artifact_mends_it(capsys, table):
    """kills: a damaged shard read as far as it goes, a row that needs it told as a number, or one
    that does not need it lost; a partial table in the place of the whole one."""
    before = written(table)
    (text,) = (p for p in before if p.name == "table1.md")
    assert cli.main(TABLE, arguments=[*SMOKE, *places(table)]) == 0
    for damage in (lambda x: x[:-600], lambda x: x[:600] + b"?" + x[601:]):
        for kind in ("score", "sample", "trainexpert"):
            shutil.rmtree(table / "store" / kind)
        shard = min((table / "store" / "shards").rglob("000000.tar"))
        shard.write_bytes(damage(shard.read_bytes()))
        assert str(shard) in refused(capsys, [*SMOKE, *places(table)], 1, partial=True)
        beside = text.parent.name.replace("smoke", "smoke-incomplete")
        partial = (text.parent.parent / beside / text.name).read_text()
        assert text.read_bytes() == before[text]
        assert all(row(partial, name).endswith(NO_NUMBERS) for name in ("Monolithic", "Top-1"))
        assert row(partial, "Real pictures") == row(before[text].decode(), "Real pictures")
        shutil.rmtree(table / "store" / "shards")
        assert cli.main(TABLE, arguments=[*SMOKE, *places(table)]) == 0
        after = written(table)
        assert all(after[p] == before[p] for p in before if p.suffix in (".csv", ".png"))
        before = after


def test_weights_of_another_architecture_are_named_with_their_keys(capsys, table):
    """kills: weights loaded as far as they fit, or an error without file or key."""
    shutil.rmtree(table / "store" / "score")
    shutil.rmtree(table / "store" / "sample")
    paths = sorted((table / "store" / "trainexpert").rglob("weights.safetensors"))
    router = next((table / "store" / "trainrouter").rglob("weights.safetensors"))
    for path in paths:  # not damaged: their provenance vouches for them
        shutil.copy(router, path)
        marker = path.with_name("provenance.json")
        made = read_sealed(marker)
        made["files"][path.name] = sha256(path)
        marker.write_bytes(sealed(made))
    line = refused(capsys, [*SMOKE, *places(table)], 1, partial=True)
    assert any(str(path) in line for path in paths)
    assert "class_token" in line


@pytest.mark.parametrize("place", ["--store", "--results"])
def test_a_folder_that_cannot_be_written_is_named(capsys, table, place):
    """kills: an error without the path, or hours of training before the first write."""
    (table / "file").write_text("")
    arguments = [*SMOKE, *places(table), place, str(table / "file" / "folder")]
    before = written(table)
    assert str(table / "file") in refused(capsys, arguments, 1)
    assert written(table) == before


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BrokenProcessPool("terminated abruptly"), 1, "killed.*same command"),
        (KeyboardInterrupt(), 130, "interrupted.*same command"),
        (CheckpointError("first line\n   second line"), 1, "first line second line"),
        (OSError(28, "No space left on device", "/full"), 1, "/full.*No space left"),
        (OSError("3 requested and 0 written"), 1, "3 requested and 0 written"),
        (OSError(28, "No space left on device"), 1, "No space left"),
    ],
    ids=repr,
)
def test_what_ends_a_run_is_said_in_one_line(capsys, tmp_path, monkeypatch, error, status, said):
    """kills: a message over many lines, an OSError without a path told as None, a status of 0."""

    def fail(*_):
        raise error

    monkeypatch.setattr(build, "ensure", fail)
    arguments = ["--scale", "smoke", *places(tmp_path)]
    assert re.search(said, refused(capsys, arguments, status))
    if isinstance(error, CheckpointError):
        with pytest.raises(CheckpointError):
            cli.main(TABLE, arguments=[*arguments, "--debug", "true"])


def test_a_bug_keeps_its_traceback(tmp_path, monkeypatch):
    """kills: every exception taken for bad input, under which a bug cannot be found."""
    monkeypatch.setattr(build, "ensure", lambda *_: {}["a bug"])
    with pytest.raises(KeyError):
        cli.main(TABLE, arguments=["--scale", "smoke", *places(tmp_path)])


@pytest.mark.slow
def test_the_real_command_with_workers_says_one_line_too(tmp_path):
    """kills: a worker's own words on stderr, or an error that does not survive the way back."""
    command = [sys.executable, "-m", "experiments.hddm.table1", "--scale", "smoke", "--seeds", "1"]
    dials = ["--scale.data.source.train", "8", "--scale.data.fine", "8"]
    done = subprocess.run(
        [*command, *dials, "--workers", "1", *places(tmp_path)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if not re.match(r"\[\d+/\d+\] ", line)]
    assert done.returncode == 1
    assert len(lines) == 1
    assert re.search(
        "table1: .+: no training picture shows class .+; 1 other stage waits for it", lines[0]
    )
    assert row(done.stdout, "Real pictures").endswith(NO_NUMBERS)
    assert "—" not in row(done.stdout, "Monolithic")
