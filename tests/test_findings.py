"""What README and docs/ say was found, against the verdicts that were computed.

What a sentence rests on stands in a comment behind it, which tests/bindings.py reads.
"""

import json
import re
import shutil
from types import SimpleNamespace

import pytest

from experiments.hddm import tuning
from modules.guard import LAST
from tests.bindings import RESULTS, bindings, broken, comments, prose, readings, rests_on
from tests.helpers.files import ROOT

PAGES = ("README.md", "docs/hddm.md", "docs/paris2.md", "docs/what-we-found.md")
"""What tells findings: a paragraph that tells one names its verdict."""
WHOLE = "docs/what-we-found.md"
"""Of this page every sentence rests on something, below its introduction."""
BOUND = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
"""Whatever sentence carries a comment, on these pages and in their tables, is held to it."""
NUMBERED = (*PAGES, "docs/checklist.md", "docs/islands.md")
"""Where sentences have numbers of committed tables."""
COMPARED = "lower|higher|better|worse|less|more|fewer"
FOUND = re.compile(
    rf"\b(undecided|equivalent|than\s+would\s+matter|sooner"
    rf"|(is|are|has|have|obeys) ([\w-]+ ){{0,4}}({COMPARED}))\b"
)
DEFINED = re.compile(r'"\w+"|\*[\w% ]+\*')
"""A verdict's name in quotes or italics is spoken of, not given."""
SENTENCE = re.compile(r"(?<=[.:;,)])\s*((?:<!-- (?:(?! -->).)+ -->\s*)+)", re.DOTALL)


def paragraphs(page):
    """The paragraphs and list items of a page, without code, tables and pictures."""
    blocks = re.split(r"\n\n|\n(?=- )", prose(page))
    return [block for block in blocks if not re.match(r"\||!\[|#|<!-- results", block.strip())]


@pytest.mark.parametrize("page", BOUND)
def test_a_sentence_follows_the_verdicts_that_it_names(page):
    """kills: a sentence that stays while its verdict changes, a claim or reading that is gone."""
    named = rests_on(prose(page))
    assert len(named) >= 6 * (page in PAGES)
    wrong = [f for f in named if {*readings(*f[:2])} != {f[2]}]
    assert not wrong, [(claim, r, v, readings(claim, r)) for claim, r, v in wrong]


@pytest.mark.parametrize("page", [*PAGES, "docs/beyond.md"])
def test_a_paragraph_that_tells_a_finding_names_its_verdict(page):
    """kills: a finding that no verdict stands behind; an interval typed into a page, which stays
    when the table is made again."""
    for text in paragraphs(page):
        seen = re.sub(r"<!-- .*?-->", "", text, flags=re.DOTALL)
        assert "±" not in seen
        said = DEFINED.sub("", seen)
        assert not FOUND.search(said) or rests_on(text) or bindings(text), text


@pytest.mark.parametrize("page", BOUND)
def test_a_sentence_follows_the_number_that_it_names(page):
    """kills: a sentence that stays while its number leaves the range in which it is true, a page or
    a table in it whose comments nobody reads."""
    assert bindings(prose(page)) or page not in NUMBERED
    lines = [f"{page}: {line}" for line in broken(prose(page))]
    assert not lines, "\n".join(["Word these anew:", *lines])


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("number: table1 [Monolithic] fid 1 to 2", "it is 6"),
        ("number: table1 [Top-9] fid 1 to 2", "in no row"),
        ("number: claims [1-55] undecided 0 to 1", "it is "),
        ("exact: s(t) of §6.2 [yes]", "it is no"),
        ("count: 45 [*] holds 8 of 8", "it is 0 of 8"),
        ("line: table1 Top-9 beats", "no line of table1.md says so"),
        ("count: 45 [*] does not hold 8 of 9", "it is 8 of 8"),
        ("exact: s(t) of §9 [yes]", "it is None"),
        ("number: table1 fid", "neither"),
        ("numbr: table1 [Monolithic] fid 6 to 7", "neither"),
        ("number: table1 [Monolithic] fidd 6 to 7", "no such column"),
        ("number: nowhere/table1 [Monolithic] fid 6 to 7", "no such table"),
        ("line: nowhere/table1 Top-2", "no such table"),
    ],
)
def test_a_binding_that_is_wrong_is_told(comment, said):
    """kills: a reader of comments that finds nothing, and so nothing wrong."""
    (line,) = broken(f"A sentence. <!-- {comment} -->")
    assert said in line.removeprefix(comment)


def test_a_binding_reads_the_results_that_it_names(tmp_path):
    """kills: another scale's number or line looked for at small, or small's there."""
    for scale in ("small", "scenes"):
        (tmp_path / scale).mkdir()
        for path in (RESULTS / "small").glob("table1.*"):
            shutil.copy(path, tmp_path / scale)
    page, digits = (tmp_path / "scenes" / f"table1.{end}" for end in ("md", "csv"))
    page.write_text(page.read_text().replace("# Table 1.", "# Elsewhere.", 1))
    other = re.sub(r"(?m)^(Monolithic,,29\.64),[\d.]+", r"\1,96.5", digits.read_text())
    digits.write_text(other)
    theirs = (
        "<!-- number: scenes/table1 [Monolithic] fid 96 to 97 -->",
        "<!-- line: scenes/table1 # Elsewhere. -->",
    )
    assert [line for text in theirs for line in broken(text, tmp_path)] == []
    ours = [text.replace("scenes/", "") for text in theirs]
    number, line = (line for text in ours for line in broken(text, tmp_path))
    assert re.search(r"it is [\d.]+$", number)
    assert "96.5" not in number
    assert line.endswith("no line of table1.md says so")


def test_comments_stand_in_prose_and_in_cells():
    """kills: a table's cell, or a comment over two lines, that is not read; a mark that says where
    a page is filled, taken for a binding."""
    text = (
        "| a <!-- 1 [x] holds --> |\n<!-- results small/table1 --><!-- end --><!-- number:\nb -->"
    )
    assert comments(text) == ["1 [x] holds", "number:\nb"]
    assert rests_on(text) == [(1, "x", "holds")]
    assert bindings(text) == ["number:\nb"]


def findings(page):
    """What a page tells as found: all of `WHOLE` below its introduction, README's lists."""
    text = (ROOT / page).read_text()
    below = text[text.index("\n## ") :] if page == WHOLE else listed(text)
    blocks = [b.strip() for b in re.split(r"\n\n|\n(?=- )", below)]
    return [b for b in blocks if not b.startswith("#") and b not in UNBOUND]


def listed(text):
    """The lists below "What p says of it" and "Past the papers"."""
    below = (text.partition(head)[2] for head in ("What p says of it", "Past the papers"))
    return "\n".join(each.partition("\n\n")[2].partition("\n\n")[0] for each in below)


@pytest.mark.parametrize(("page", "least"), [(WHOLE, 30), ("README.md", 6)])
def test_every_sentence_of_what_was_found_rests_on_something(page, least):
    """kills: a sentence slipped in between two that are bound."""
    found = findings(page)
    assert len(found) >= least
    for block in found:
        *bound, rest = SENTENCE.split(f"{block}\n")[::2]
        assert not rest.strip(), f"no comment behind: {rest}"
        several = [said for said in bound if re.search(r"[a-z0-9)]\. [A-Z]", said)]
        assert not several, f"sentences that share one comment: {several}"


UNBOUND = (
    "Undecided is not equal. Neither a difference was shown nor that it is too small to matter.",
    "More seeds decide more; how many each table has stands at the end of\n"
    "[`claims.md`](../results/small/claims.md).",
)
"""What says what a word means, and where to read on."""


def test_small_has_the_dials_that_the_committed_tuning_chose():
    """kills: a dial turned by hand since, or one that was chosen on the pictures that score it."""
    table = json.loads((ROOT / "results" / "small" / "tuning.json").read_text())
    found = SimpleNamespace(
        rows=[[SimpleNamespace(names=row["names"]) for row in table["rows"]]],
        values=lambda i, column: table["rows"][i]["values"][column.key],
    )
    assert table["changed"] == {}
    assert tuning.chosen(found) == {tuning.STEPS: 1.0, tuning.LR: 1.0, tuning.LATEST: LAST}
