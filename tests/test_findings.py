"""What README and docs/ say was found, against the verdicts that were computed.

A sentence carries, in a comment behind it, the claims and readings that it rests on and the verdict
of each: <!-- 1 [text-aware] holds; 5 [*] undecided -->.
"""

import json
import re
from fnmatch import fnmatchcase
from types import SimpleNamespace

import pytest

from experiments.hddm import tuning
from experiments.tables.verdicts import Verdict
from modules.guard import LAST
from tests.helpers.files import ROOT

PAGES = ("README.md", "docs/hddm.md", "docs/paris2.md")
VERDICTS = "|".join(verdict.value for verdict in Verdict)
FINDING = re.compile(rf"(\d+) \[([^]]+)\] ({VERDICTS})")
COMMENT = re.compile(r"<!-- (\d.*?) -->", re.DOTALL)
COMPARED = "lower|higher|better|worse|less|more|fewer"
FOUND = re.compile(
    rf"\b(undecided|equivalent|than\s+would\s+matter|sooner"
    rf"|(is|are|has|have|obeys) ([\w-]+ ){{0,4}}({COMPARED}))\b"
)
DEFINED = re.compile(r'"\w+"|\*[\w% ]+\*')
"""A verdict's name in quotes or italics is spoken of, not given."""
LEDGER = json.loads((ROOT / "results" / "small" / "claims.json").read_text())


def paragraphs(page):
    """The paragraphs and list items of a page, without code, tables and pictures."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.M | re.DOTALL)
    blocks = re.split(r"\n\n|\n(?=- )", text)
    return [block for block in blocks if not re.match(r"\||!\[|#|<!-- results", block.strip())]


def rests_on(text):
    """[(claim, pattern of readings, verdict)] of a paragraph."""
    comments = COMMENT.findall(text)
    found = [
        FINDING.fullmatch(part.strip()) for c in comments for part in re.split(r"; (?=\d+ \[)", c)
    ]
    assert None not in found, comments
    return [(int(match[1]), match[2], match[3]) for match in found]


def readings(claim, pattern):
    """The verdicts of a claim's readings that fit, and that some table has rows for."""
    return [
        line["verdict"]
        for line in LEDGER
        if line["number"] == claim
        and fnmatchcase(line["reading"], pattern)
        and line["verdict"] != Verdict.MISSING.value
    ]


@pytest.mark.parametrize("page", PAGES)
def test_a_sentence_follows_the_verdicts_that_it_names(page):
    """kills: a sentence that stays while its verdict changes, a claim or reading that is gone."""
    named = [finding for text in paragraphs(page) for finding in rests_on(text)]
    assert len(named) >= 6
    wrong = [f for f in named if {*readings(*f[:2])} != {f[2]}]
    assert not wrong, [(claim, r, v, readings(claim, r)) for claim, r, v in wrong]


@pytest.mark.parametrize("page", PAGES)
def test_a_paragraph_that_tells_a_finding_names_its_verdict(page):
    """kills: a finding that no verdict stands behind; an interval typed into a page, which stays
    when the table is made again."""
    for text in paragraphs(page):
        assert "±" not in text
        said = DEFINED.sub("", COMMENT.sub("", text))
        assert not FOUND.search(said) or rests_on(text), text


def test_small_has_the_dials_that_the_committed_tuning_chose():
    """kills: a dial turned by hand since, or one that was chosen on the pictures that score it."""
    table = json.loads((ROOT / "results" / "small" / "tuning.json").read_text())
    found = SimpleNamespace(
        rows=[[SimpleNamespace(names=row["names"]) for row in table["rows"]]],
        values=lambda i, column: table["rows"][i]["values"][column.key],
    )
    assert table["changed"] == {}
    assert tuning.chosen(found) == {tuning.STEPS: 1.0, tuning.LR: 1.0, tuning.LATEST: LAST}


def test_the_readme_says_how_much_is_undecided():
    """kills: the last line of the findings, kept when more seeds have decided most claims."""
    tested = [line["verdict"] for line in LEDGER if line["difference"]]
    said = "Of most other claims nothing is decided" in (ROOT / "README.md").read_text()
    assert said == (tested.count("undecided") > len(tested) / 2)
