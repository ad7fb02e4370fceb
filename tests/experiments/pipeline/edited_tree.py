"""Run in a copy of the tree: a small part of Table 1, and which keys an edit of a class changes."""

import ast
import inspect
import json
import sys
from dataclasses import replace
from pathlib import Path

from datamodules.sources.digits import Digits
from experiments.cli.main import main
from experiments.hddm import table1, table3
from experiments.pipeline import key
from experiments.pipeline.build import behind
from experiments.pipeline.launch import local
from experiments.recipes.images import SCALES
from experiments.scores.classifier import ClassifierJudge
from modules.objectives import Velocity
from modules.selection import Top
from tests.helpers.packages import forget
from tests.helpers.stages import serial

KINDS = (Velocity, Top, Digits, ClassifierJudge)
EDIT = "_ = 0"
NO_EDITS = ("# a comment", '"""A docstring."""', "annotated: int")


def part(scale, seed):
    """The rows of Table 1 without a router: the monolith, which is trained, and real pictures."""
    return [row for row in table1.TABLE.rows(scale, seed) if not row.names["Router"]]


def stages():
    """All stages of two tables."""
    tables = (table1.TABLE, table3.TABLE)
    return behind([stage for table in tables for stage in table.stages(SCALES["smoke"], 1)])


def insert(kind, line):
    """Write a line at the head of the first method of a class."""
    path = Path(inspect.getsourcefile(kind))
    text = path.read_text()
    classes = [x for x in ast.walk(ast.parse(text)) if isinstance(x, ast.ClassDef)]
    body = next(x for x in classes if x.name == kind.__name__).body
    first = next(x for x in body if isinstance(x, ast.FunctionDef)).body[-1]
    lines = text.splitlines(keepends=True)
    lines.insert(first.lineno - 1, " " * first.col_offset + line + "\n")
    path.write_text("".join(lines))
    return path, text


def changed(edits):
    """The places of the stages that edits of classes change, and of those that name a class."""
    there = stages()
    was = [key.key(stage) for stage in there]
    files = [insert(kind, line) for kind, line in edits]
    forget()
    now = [key.key(stage) for stage in there]
    for path, text in reversed(files):
        path.write_text(text)
    forget()
    names = {kind.__name__ for kind, _ in edits}
    named = [i for i, x in enumerate(there) if names & key.codes(x.config).keys()]
    return [i for i, (a, b) in enumerate(zip(was, now, strict=True)) if a != b], named


if __name__ == "__main__":
    local.map = serial
    table = replace(table1.TABLE, rows=part, figures={})
    arguments = ["--scale", "smoke", "--seeds", "1", "--store", "store", "--results", "results"]
    if (status := main(table, arguments=arguments)) or sys.argv[1:] != ["edits"]:
        sys.exit(status)
    found = {kind.__name__: changed([(kind, EDIT)]) for kind in KINDS}
    found["none"] = changed([(kind, line) for kind in KINDS for line in NO_EDITS])
    Path("edits.json").write_text(json.dumps({"all": len(stages()), **found}))
