"""The store: complete or absent, safe when killed, raced or out of space."""

import errno
import json
import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from experiments.pipeline.files import StoreError
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Store
from tests.helpers.files import full_disk
from tests.helpers.parts import Part, Whole
from tests.helpers.stages import killed_at, make

FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Halting(Stage):
    """Writes half, halts, and tells in the rest what it had found in its folder."""

    halt: ClassVar = staticmethod(lambda: None)

    def make(self, folder, context):
        names = {path.name for path in folder.iterdir()} - {"config.json"}
        found = " ".join(sorted(names))
        (folder / "half.txt").write_text("half")
        self.halt()
        (folder / "rest.txt").write_text(found)


@dataclass(frozen=True)
class Fenced(Stage):
    """Its folder is moved away midway, as by one that took this maker for dead; it goes on."""

    def make(self, folder, context):
        (folder / "half.txt").write_text("half")
        folder.rename(folder.with_name("aside"))
        folder.mkdir()
        (folder / "rest.txt").write_text("rest")


@dataclass(frozen=True)
class Resuming(Halting):
    resumes: ClassVar[bool] = True


def fail():
    raise RuntimeError("midway")


def leftovers(store):
    return sorted(path.name for path in (store.root / "making").iterdir())


def test_an_artifact_is_made_once_with_its_config(store):
    """kills: an artifact made again although it is there, or stored without its config."""
    assert not store.has(Part())
    folder = make(store, Part())
    assert folder == store.path(Part())
    assert store.has(Part())
    assert json.loads((folder / "config.json").read_text()) == Part().config
    (folder / "part.txt").write_text("kept")
    make(store, Part())
    assert (folder / "part.txt").read_text() == "kept"
    assert leftovers(store) == []


def test_provenance_says_who_made_it_and_of_what(store):
    """kills: a provenance without commit, command, host, device, packages, time or inputs."""
    make(store, Whole())
    found = store.provenance(Whole())
    assert {"commit", "command", "host", "device", "seconds", "packages", "python"} <= found.keys()
    assert {"torch", "lightning", "numpy"} <= found["packages"].keys()
    assert 0 <= found["seconds"] < 60
    assert sorted(found["inputs"]) == sorted(f"part/{Part(name).key}" for name in ("a", "b", "c"))


def test_a_maker_whose_folder_was_moved_away_publishes_no_rest_of_it(store):
    """kills: half an artifact, with a provenance of its own, from a maker that was taken for dead
    and woke."""
    with pytest.raises(StoreError, match=r"making/fenced-.* was taken over by another process"):
        make(store, Fenced())
    assert not store.has(Fenced())
    assert not store.path(Fenced()).exists()


def test_a_maker_that_fails_leaves_no_artifact(store, monkeypatch):
    """kills: making in place, or renaming in a `finally`."""
    monkeypatch.setattr(Halting, "halt", staticmethod(fail))
    with pytest.raises(RuntimeError, match="midway"):
        make(store, Halting())
    assert not store.path(Halting()).exists()
    monkeypatch.undo()
    make(store, Halting())
    assert (store.path(Halting()) / "rest.txt").read_text() == ""


@pytest.mark.parametrize(("stage", "found"), [(Halting(), ""), (Resuming(), "half.txt")])
def test_a_killed_maker_leaves_no_artifact_and_the_next_succeeds(store, stage, found):
    """kills: half an artifact taken for whole, a stale lock that bars the next maker, partial files
    hidden from a stage that resumes, or shown to one that does not."""
    killed_at(store, stage, Halting, "halt")
    make(store, stage)
    assert (store.path(stage) / "rest.txt").read_text() == found
    assert leftovers(store) == []


@pytest.mark.parametrize("stage", [Halting(), Resuming()])
def test_two_processes_racing_leave_one_artifact(store, monkeypatch, stage):
    """kills: the second maker failing on the first's artifact, or leaving its copy behind."""
    barrier = FORK.Barrier(2)
    monkeypatch.setattr(Halting, "halt", staticmethod(lambda: barrier.wait(30)))
    children = [FORK.Process(target=make, args=(store, stage)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    assert (store.path(stage) / "rest.txt").read_text() == ""
    assert [path.name for path in store.path(stage).parent.iterdir()] == [stage.key]
    assert leftovers(store) == []


def test_a_maker_that_comes_late_leaves_nothing(store):
    """kills: an artifact made while a process waited to begin, whose empty folder then stays."""

    class Late(Store):
        asked = False

        def has(self, stage):
            if not self.asked:
                self.asked = True
                make(Store(self.root), stage)
                return False
            return super().has(stage)

    make(Late(store.root), Part())
    assert store.has(Part())
    assert leftovers(store) == []


def test_a_default_that_changed_is_refused_in_one_line(store):
    """kills: an artifact made at the old default read as one of the new; a collision or an edit of
    config.json believed; an artifact that a field which came since would orphan."""
    folder = make(store, Part())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "name": "b"}))
    with pytest.raises(StoreError, match=Part().key) as caught:
        store.has(Part())
    said = str(caught.value)
    assert said.startswith('Part.name was "b" and is "a", the class having changed since ')
    assert said.endswith("raise its version, or delete the folder")
    assert "\n" not in said
    (folder / "config.json").write_text(json.dumps({"is": "Part", "version": 1}))
    assert store.has(Part())
    (folder / "config.json").write_text('{"is": "Pa')
    with pytest.raises(StoreError, match=r"config\.json"):
        make(store, Part())


def test_a_store_that_cannot_be_a_folder_is_named(tmp_path):
    """kills: an OSError let through bare, from `has` or from `make`."""
    (tmp_path / "file").write_text("not a folder")
    store = Store(tmp_path / "file" / "store")
    with pytest.raises(StoreError, match=str(tmp_path / "file")):
        make(store, Part())
    with pytest.raises(StoreError, match=str(tmp_path / "file")):
        store.has(Part())


def test_a_store_that_refuses_to_be_written_is_named(store, monkeypatch):
    """kills: a permission error let through bare, or half of an artifact left in place."""

    def refuse(self, target):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreError, match=f"{store.root}.*Read-only"):
        make(store, Part())
    assert not store.has(Part())


@pytest.mark.parametrize(("stage", "limit"), [(Part("a" * 99_999), 9_999), (Whole(), 10)])
def test_a_full_store_is_named_and_leaves_no_artifact(store, stage, limit):
    """kills: a full disk let through bare, half an artifact, or one without its provenance."""
    with pytest.raises(StoreError, match=str(store.root)), full_disk(limit):
        make(store, stage)
    assert not store.path(stage).exists()
    make(store, stage)
    assert store.has(stage)


def test_what_another_config_left_half_made_is_not_gone_on_with(store, monkeypatch):
    """kills: a killed run that goes on under a default that changed meanwhile."""
    stage = Slow()
    folder = store.root / "making" / f"{stage.kind}-{stage.key}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**stage.config, "half": 2}))
    (folder / "first.txt").write_text("of the old default")
    make(store, stage)
    assert store.file(stage, "first.txt").read_text() == "1"


@dataclass(frozen=True)
class Slow(Stage):
    """Goes on with what is there."""

    resumes: ClassVar[bool] = True
    half: int = 1

    def make(self, folder, context):
        if not (folder / "first.txt").exists():
            (folder / "first.txt").write_text(str(self.half))
