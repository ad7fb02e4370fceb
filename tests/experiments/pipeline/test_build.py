"""Making what a table wants: failures end only what needs them, and are told together."""

from dataclasses import dataclass

import pytest

from experiments.cli import main as cli
from experiments.pipeline import build
from experiments.pipeline.files import StoreError
from experiments.pipeline.launch import local
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from tests.helpers.stages import serial


@dataclass(frozen=True)
class Toy(Stage):
    """A file, unless it is told to fail."""

    name: str
    of: tuple["Toy", ...] = ()
    fails: str = ""

    @property
    def label(self):
        return self.name

    def make(self, folder, context):
        if self.fails:
            raise ValueError(self.fails)
        (folder / "file").touch()


ROOT = Toy("root")
LOST, WRONG = Toy("lost", (ROOT,), "no file"), Toy("wrong", (), "no class 3")
FINE = Toy("fine", (ROOT,))
TARGETS = [Toy("a", (Toy("b", (LOST,)), FINE)), WRONG, Toy("c", (FINE,))]


@pytest.fixture(params=[pytest.param(serial, id="serial"), pytest.param(local.map, id="workers")])
def context(request, monkeypatch, tmp_path):
    monkeypatch.setattr(local, "map", request.param)
    return Context(Store(tmp_path), device="cpu")


def test_all_that_can_be_made_is_made_and_every_failure_named(context):
    """kills: the first failure alone, one that takes independent work with it, dependants called
    failures, or not counted, or a failure swallowed."""
    with pytest.raises(build.StagesFailed) as caught:
        build.ensure(TARGETS, context, local.Local(2))
    failed = caught.value
    assert {stage: str(error) for stage, error in failed.errors.items()} == {
        LOST: "no file", WRONG: "no class 3",
    }  # fmt: skip
    assert failed.waiting == 2
    assert str(failed) == "lost: no file; wrong: no class 3; 2 other stages wait for them"
    made = [stage.name for stage in build.behind(TARGETS) if context.store.has(stage)]
    assert made == ["root", "fine", "c"]


def test_the_command_line_names_them_in_one_line(tmp_path):
    """kills: failures told by the first one's words, a folder to delete that goes unsaid, a bug
    among mendable failures without its traceback, one damaged file told by each stage it fails, a
    line as long as there are stages on a disk that is full."""
    damaged = StoreError(f"{tmp_path}/score/ab12/x is damaged")
    failed = build.StagesFailed({LOST: ValueError("no file"), WRONG: damaged}, 1)
    assert cli.reason(failed, tmp_path) == (
        f"lost: no file; wrong: {damaged}; delete {tmp_path}/score/ab12 and run again; "
        "1 other stage waits for them"
    )
    assert not cli.is_bug(failed)
    again = build.StagesFailed({LOST: damaged, WRONG: damaged}, 0)
    assert cli.reason(again, tmp_path).startswith(f"lost and 1 other: {damaged}; delete ")
    other = StoreError(f"{tmp_path}/score/cd34/x is damaged")
    both = cli.reason(build.StagesFailed({LOST: damaged, WRONG: other}, 0), tmp_path)
    assert both.endswith("cd34 and run again; make store ARGS=verify names all that is damaged")
    many = {Toy(f"t{i}"): OSError(28, "No space left on device", f"f{i}") for i in range(9)}
    told = cli.reason(build.StagesFailed(many, 0), tmp_path)
    assert told == f"t0 and 8 others: {tmp_path}: No space left on device"
    assert cli.is_bug(build.StagesFailed({LOST: ValueError("no file"), WRONG: KeyError("k")}, 0))
    assert str(build.StagesFailed({LOST: ValueError("no file")}, 0)) == "lost: no file"
