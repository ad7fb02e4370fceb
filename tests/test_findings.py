"""What README and docs/ say was found, against the verdicts that were computed.

A sentence carries, in a comment behind it, what it rests on:

- the claims and readings, and the verdict of each: <!-- 1 [text-aware] holds; 5 [*] undecided -->;
- a number of a table, in the rows that fit a pattern, and the range in which the sentence is true:
  <!-- number: table1 [Top-2; text-free] fid 18 to 31 -->, where `seeds` is how many there are, and
  <!-- number: claims [14-26] undecided 51 to 100 --> the percentage of readings that were tested;
- how many of a claim's readings have a verdict: <!-- count: 41 [*] holds 1 of 18 -->;
- what a line of a table's page says: <!-- line: paris2-switching Alternate against A alone: 28 -->;
- a computation of claims.md and whether it holds: <!-- exact: s(t) of §6.2 [no] -->;
- or that it is argued and not measured: <!-- reason -->.
"""

import json
import re
from fnmatch import fnmatchcase
from types import SimpleNamespace

import pytest

from experiments.hddm import tuning
from experiments.tables.verdicts import Verdict
from experiments.tables.written import table
from modules.guard import LAST
from tests.helpers.files import ROOT

PAGES = ("README.md", "docs/hddm.md", "docs/paris2.md", "docs/what-we-found.md")
WHOLE = "docs/what-we-found.md"
"""Of this page every sentence rests on something, below its introduction."""
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
NUMBER = re.compile(
    r"number: (?P<table>[\w-]+) \[(?P<rows>[^]]+)\] (?P<key>\w+(?: [\d.]+)?) "
    r"(?P<low>-?[\d.]+) to (?P<high>-?[\d.]+)"
)
COUNT = re.compile(
    rf"count: (?P<claim>\d+) \[(?P<rows>[^]]+)\] (?P<verdict>{VERDICTS}) (?P<k>\d+) of (?P<n>\d+)"
)
LINE = re.compile(r"line: (?P<table>[\w-]+) (?P<says>.+)")
EXACT = re.compile(r"exact: (?P<subject>.+) \[(?P<holds>yes|no|implied)\]")
SENTENCE = re.compile(r"(?<=[.:;,)])\s*((?:<!-- (?:(?! -->).)+ -->\s*)+)", re.DOTALL)
SMALL = ROOT / "results" / "small"
LEDGER = json.loads((SMALL / "claims.json").read_text())
_, _, COMPUTATIONS = (SMALL / "claims.md").read_text().partition("## Mathematical statements")
LINES = [line.split(" | ") for line in COMPUTATIONS.splitlines()]
COMPUTED = {line[1]: line[5].strip("*") for line in LINES if len(line) == 7}
"""{subject: whether a mathematical statement holds}, as claims.md has it."""


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
        assert not FOUND.search(said) or rests_on(text) or bindings(text), text


def bindings(text):
    """What stands in comments on numbers, counts, lines, computations and reasons."""
    return [
        c.strip()
        for c in re.findall(r"<!-- ((?:number|count|line|exact|reason).*?) ?-->", text, re.DOTALL)
    ]


def numbers(at):
    """The numbers that a binding names: means of a column in the rows that fit, or a share."""
    if at["table"] == "claims":
        first, last = map(int, at["rows"].split("-"))
        mine = [line for line in LEDGER if first <= line["number"] <= last and line["difference"]]
        return [100 * sum(line["verdict"] == at["key"] for line in mine) / len(mine)]
    written = table.read(SMALL, at["table"])
    names = ["; ".join(filter(None, row.names.values())) for row in written.rows]
    fit = [
        row for row, name in zip(written.rows, names, strict=True) if fnmatchcase(name, at["rows"])
    ]
    if at["key"] == "seeds":
        return [written.detail["seeds"]] * len(fit)
    (i,) = [i for i, column in enumerate(written.columns) if column.key == at["key"]]
    return [row.cells[i].mean for row in fit]


def broken(text):
    """A line for each binding that the committed results do not bear out."""
    for bound in bindings(text):
        if at := NUMBER.fullmatch(bound):
            low, high, seen = float(at["low"]), float(at["high"]), numbers(at)
            if not seen or not all(low <= x <= high for x in seen):
                yield f"{bound}: it is {', '.join(f'{x:.4g}' for x in seen) or 'in no row'}"
        elif at := COUNT.fullmatch(bound):
            given = readings(int(at["claim"]), at["rows"])
            seen = given.count(at["verdict"]), len(given)
            if seen != (int(at["k"]), int(at["n"])):
                yield f"{bound}: it is {seen[0]} of {seen[1]}"
        elif at := LINE.fullmatch(bound):
            page = (SMALL / f"{at['table']}.md").read_text().splitlines()
            if not any(at["says"] in line for line in page):
                yield f"{bound}: no line of {at['table']}.md says so"
        elif at := EXACT.fullmatch(bound):
            if (holds := COMPUTED.get(at["subject"])) != at["holds"]:
                yield f"{bound}: it is {holds}"
        elif bound != "reason":
            yield f"{bound}: neither a number, nor a count, a computation or a reason"


@pytest.mark.parametrize("page", PAGES)
def test_a_sentence_follows_the_number_that_it_names(page):
    """kills: a sentence that stays while its number leaves the range in which it is true."""
    lines = [f"{page}: {line}" for text in paragraphs(page) for line in broken(text)]
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
    ],
)
def test_a_binding_that_is_wrong_is_told(comment, said):
    """kills: a reader of comments that finds nothing, and so nothing wrong."""
    (line,) = broken(f"A sentence. <!-- {comment} -->")
    assert said in line.removeprefix(comment)


def findings(page):
    """What a page tells as found: all of `WHOLE` below its introduction, README's list."""
    text = (ROOT / page).read_text()
    below = text[text.index("\n## ") :] if page == WHOLE else listed(text)
    blocks = [b.strip() for b in re.split(r"\n\n|\n(?=- )", below)]
    return [b for b in blocks if not b.startswith("#") and b not in UNBOUND]


def listed(text):
    """The list below "What p says of it"."""
    return text.partition("What p says of it")[2].partition("\n\n")[2].partition("\n\n")[0]


@pytest.mark.parametrize(("page", "least"), [(WHOLE, 30), ("README.md", 5)])
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
