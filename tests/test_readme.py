"""The README against what it speaks of: no number is typed there, and no file is missing."""

import re

import pytest

from experiments.tables.readme import filled
from tests.helpers.files import ROOT

README = (ROOT / "README.md").read_text()


def test_the_tables_are_the_committed_ones():
    """kills: a number edited by hand, or results committed without `make readme`."""
    assert filled(README, ROOT / "results") == README
    assert re.findall(r"<!-- results (\S+) -->", README) == ["small/table1", "small/paris2-table1"]


@pytest.mark.parametrize("room", ["experiments", "modules", "datamodules", "metrics"])
def test_every_file_has_a_line_in_the_tree(room):
    """kills: a file added, renamed or deleted while the tree stays as it was."""
    tree = README[README.index("## The tree") :]
    start = tree.index(f"\n{room}/")
    listed = re.findall(r"^  (\S+\.py) ", tree[start : tree.index("\n", start + 1)], re.M)
    for line in tree[start + 1 :].splitlines()[1:]:
        if not line.startswith("  "):
            break
        listed += re.findall(r"^  (\S+\.py) ", line)
    there = [p.relative_to(ROOT / room).as_posix() for p in (ROOT / room).rglob("*.py")]
    assert sorted(listed) == sorted(name for name in there if not name.endswith("__init__.py"))


def test_every_verb_is_in_the_makefile():
    """kills: a command that the README promises and make does not know."""
    verbs = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", README, re.M)) <= verbs
    for linked in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / linked).exists()
