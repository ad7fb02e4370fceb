"""Edits of code beside a store: what is made anew, and what a run says of them."""

import inspect
import itertools
from pathlib import Path

import pytest

from experiments.pipeline import edits
from experiments.pipeline.address import open_store
from experiments.pipeline.store import Store
from tests.helpers.packages import forget, package
from tests.helpers.stages import make

COUNT = itertools.count()
STAGES = """
from dataclasses import dataclass
from typing import ClassVar
from experiments.pipeline.stage import Stage

@dataclass(frozen=True)
class Row:
    width: int = 1

    def read(self):
        return self.width

@dataclass(frozen=True)
class Plain(Stage):
    size: int = 1

    def make(self, folder, context):
        (folder / "made.txt").write_text(f"{self.size}")

@dataclass(frozen=True)
class Named(Stage):
    plain: Plain
    row: Row = Row()

    def make(self, folder, context):
        (folder / "made.txt").write_text(f"{self.row.read()}")

@dataclass(frozen=True)
class Judging(Named):
    covered: ClassVar[bool] = True

    def make(self, folder, context):
        (folder / "made.txt").write_text("judged")
"""


@pytest.fixture
def stages(store, tmp_path):
    """Stages, made, after an edit of their file: those of fresh keys, in the order of the text."""
    module = package(tmp_path, f"edits{next(COUNT)}", {"stages": STAGES})["stages"]

    def fresh(was="", now=""):
        assert was in STAGES
        Path(inspect.getsourcefile(module)).write_text(STAGES.replace(was, now))
        forget()
        plain = module.Plain()
        return [plain, module.Named(plain, module.Row(2)), module.Judging(plain, module.Row(2))]

    for stage in fresh():
        make(store, stage)
    return fresh


@pytest.fixture(params=["folder", "address"])
def store(request, tmp_path):
    """An empty store in a folder, or at an address."""
    if request.param == "folder":
        return Store(tmp_path / "store")
    return open_store(f"memory://{tmp_path.name}", tmp_path / "cache")


def test_an_edit_of_what_a_config_names_makes_its_stages_anew_and_says_so(store, stages):
    """kills: an artifact of other code taken for today's; stages made anew without a word, or that
    do not name what was edited; a number of stages that is not theirs."""
    after = stages("return self.width", "return -self.width")
    missing = [stage for stage in after if not store.has(stage)]
    assert missing == after[1:]
    said = "the code of Row changed: made anew are 1 named, 1 judging"
    assert edits.made_anew(missing, store) == said
    for stage in missing:
        make(store, stage)
    assert edits.outdated(after, store) is None
    again = stages("return self.width", "return 2 * self.width")
    assert edits.made_anew(again[1:], store) == said


def test_an_edit_of_a_judge_makes_it_anew_alone(store, stages):
    """kills: a stage that judges, whose version alone would stand for its code."""
    after = stages('"judged"', '"judged anew"')
    assert [store.has(stage) for stage in after] == [True, True, False]
    said = "the code of Judging changed: made anew are 1 judging"
    assert edits.made_anew(after[2:], store) == said


def test_an_edit_of_a_stage_is_told_and_of_that_stage_alone(store, stages):
    """kills: another stage named, one told though a comment changed, or none told at all."""
    after = stages('f"{self.size}"', 'f"{self.size + 1}"')
    assert all(map(store.has, after))
    assert edits.outdated(after, store).startswith(
        "kept, though their stages' own code has changed since they were made: 1 plain; "
    )
    assert edits.outdated(after[1:], store) is None
    after = stages(
        "        return self.width", '        """Wide."""\n        return self.width  # yes'
    )
    assert all(map(store.has, after))
    assert edits.outdated(after, store) is None
    assert edits.made_anew([], store) is None


def test_what_was_never_made_is_not_made_anew(store, stages):
    """kills: every missing stage told as edited."""
    first = stages()[0]
    other = type(first)(size=2)
    assert not store.has(other)
    assert edits.made_anew([other], store) is None
