"""The code that a class consists of: what counts, and what does not."""

import functools
import importlib.util
import inspect
import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from experiments.pipeline import code, key
from modules.selection import Top
from tests.helpers.packages import forget, package
from tests.helpers.parts import Colour, Part

COUNT = itertools.count()
HEAD = """
import math
from abc import ABC
from dataclasses import dataclass
from typing import ClassVar
from experiments.pipeline.stage import Stage
"""
ROW = """
SCALE = 2

def twice(x):
    return SCALE * x

class Base(ABC):
    def first(self):
        return 1

@dataclass(frozen=True)
class Other:
    def third(self):
        return 3

@dataclass(frozen=True)
class Made(Stage):
    def make(self, folder, context):
        return 4

class Helper:
    size: int = 5

@dataclass(frozen=True)
class Row(Base):
    width: int = 3
    kind: ClassVar[str] = "row"

    def second(self, x, other=Other()):
        if isinstance(x, Unrelated):
            return Made
        return twice(x), Helper.size

class Unrelated:
    def run(self):
        return 6
"""


@pytest.fixture
def read(tmp_path):
    """The digest of class Row of a module, once its file has the given text."""
    row = package(tmp_path, f"code{next(COUNT)}", {"rows": HEAD + ROW})["rows"].Row

    def digest(text=ROW):
        Path(inspect.getsourcefile(row)).write_text(HEAD + text)
        forget()
        return code.digest(row)

    return digest


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("return SCALE * x", "return x * SCALE"),
        ("SCALE = 2", "SCALE = 3"),
        ("return 1", "return 1.0"),
        ("size: int = 5", "size: int = 6"),
        ('kind: ClassVar[str] = "row"', 'kind: ClassVar[str] = "column"'),
        ("class Row(Base)", "class Row"),
        ("if isinstance", "if not isinstance"),
        ("    def second", "    @property\n    def second"),
        ("other=Other()", "other=None"),
    ],
)
def test_what_runs_counts(read, was, now):
    """kills: a method, a base, a helper, its constant, a class-wide value, a decorator or a default
    outside the code that a class consists of."""
    assert was in ROW
    assert read(ROW.replace(was, now)) != read()


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("def twice(x):", 'def twice(x: float) -> "float":\n    """Double."""  # said'),
        ("    width: int = 3", '    """Of a row."""\n\n    width: float = 4.0\n    depth: int = 1'),
        ("    return SCALE * x", "    y: int\n    return (\n        SCALE\n        * x\n    )"),
        ("SCALE = 2", "SCALE: int = 2"),
        ("return 3", "return 33"),
        ("return 4", "return 44"),
        ("return 6", "return 66"),
        ("\nSCALE = 2", "\nimport os\nOTHER = 1\nSCALE = 2"),
    ],
)
def test_what_does_not_run_does_not_count(read, was, now):
    """kills: code made new by a comment, a docstring, an annotation, layout, a field, which the
    config tells; by the code of a parameter's default, of a stage, or of what is asked about."""
    assert was in ROW
    assert read(ROW.replace(was, now)) == read()


SPLIT = {
    "deep/__init__": "",
    "deep/helpers": "from .values import SCALE\ndef twice(x):\n    return SCALE * x\n",
    "deep/values": "SCALE = 2\n",
    "bases": HEAD + "class Base(ABC):\n    def first(self):\n        return 1\n",
}
WAYS = {
    "by name": ("from {p}.deep.helpers import twice", "twice(x)"),
    "under another": ("from {p}.deep.helpers import twice as double", "double(x)"),
    "by module": ("from {p}.deep import helpers", "helpers.twice(x)"),
    "by path": ("import {p}.deep.helpers", "{p}.deep.helpers.twice(x)"),
    "by path, renamed": ("import {p}.deep.helpers as h", "h.twice(x)"),
    "in the body": ("", "do(x)"),
}


@pytest.mark.parametrize("way", WAYS)
def test_code_is_followed_into_other_files(tmp_path, way):
    """kills: a way of importing that hides an edit."""
    name = f"code{next(COUNT)}"
    first, call = (part.format(p=name) for part in WAYS[way])
    inside = "" if first else f"        from {name}.deep.helpers import twice as do\n"
    body = f"class Row(Base):\n    def second(self, x):\n{inside}        return {call}\n"
    rows = f"{HEAD}from {name}.bases import Base\n{first}\n{body}"
    row = package(tmp_path, name, {**SPLIT, "rows": rows})["rows"].Row
    seen = {code.digest(row)}
    for path, was, now in (
        ("deep/values", "2", "3"),
        ("deep/helpers", "SCALE *", "SCALE +"),
        ("bases", "return 1", "return 2"),
    ):
        (tmp_path / name / f"{path}.py").write_text(SPLIT[path].replace(was, now))
        forget()
        seen.add(code.digest(row))
    (tmp_path / name / "bases.py").write_text("# more\n" + SPLIT["bases"].replace("1", "2"))
    forget()
    assert code.digest(row) in seen
    assert len(seen) == 4


def test_how_a_number_is_shown_does_not_count(tmp_path, monkeypatch):
    """kills: a judge that learns anew, and with it every score, where a column's digits change."""
    name = f"code{next(COUNT)}"
    head = f"from {name}.columns import FID\n"
    body = f"{head}class Judge:\n    def columns(self):\n        return FID"
    judge = package(tmp_path, name, {"columns": "FID = 2", "judges": body})["judges"].Judge
    seen = list[str]()
    for shown, digits in ((f"{name}.columns", 2), (f"{name}.columns", 3), (code.SHOWN, 3)):
        (tmp_path / name / "columns.py").write_text(f"FID = {digits}")
        forget()
        monkeypatch.setattr(code, "SHOWN", shown)
        seen.append(code.digest(judge))
    assert seen[0] == seen[1] != seen[2]
    assert importlib.util.find_spec(code.SHOWN)


MOVED = """
@dataclass(frozen=True)
class Move(Stage):
    row: Row = Row()
    rows: tuple[Row, ...] = (Row(4),)
"""


def test_a_stage_and_its_code_in_other_files_have_the_same_key(tmp_path):
    """kills: a module's name in a key, a config or the digest of code."""
    one = package(tmp_path, "whole", {"stages": HEAD + ROW + MOVED})["stages"].Move()
    files = {
        "low": HEAD + ROW[: ROW.index("class Base")] + ROW[ROW.index("class Unrelated") :],
        "parts/__init__": "",
        "parts/rows": HEAD
        + "from parted.low import twice, Unrelated\n"
        + ROW[ROW.index("class Base") : ROW.index("class Unrelated")],
        "stages": HEAD + "from parted.parts import rows\nRow = rows.Row\n" + MOVED,
    }
    two = package(tmp_path, "parted", files)["stages"].Move()
    assert two.key == one.key
    assert two.config == one.config
    assert code.digest(type(two)) == code.digest(type(one))


@dataclass(frozen=True)
class Plain:
    """A holder of data."""

    width: int = 3


def test_what_has_no_code_of_the_project_has_no_digest():
    """kills: keys that change with an installed package or with Python, with a holder of data, an
    enum, or a stage that its version stands for."""
    kinds = (int, torch.nn.Linear, functools.partial, Plain)
    assert [code.digest(kind) for kind in kinds] == [None] * len(kinds)
    assert key.about(Colour).keys() == {"code"}  # another value of a member is another code
    assert key.about(Part) == {"version": 1}
    assert key.about(Top).keys() == {"code"}


def test_a_class_that_stands_in_no_file_is_refused(monkeypatch):
    """kills: a class typed at a prompt, whose edits would share a key."""
    typed = type("Typed", (), {"__module__": "__main__"})
    monkeypatch.delattr("__main__.__file__", raising=False)
    with pytest.raises(TypeError, match="Typed stands in no file"):
        code.digest(typed)
