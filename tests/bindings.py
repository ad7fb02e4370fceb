"""What a sentence of README and docs/ carries in a comment behind it, and what that rests on.

- the claims and readings, and the verdict of each: <!-- 1 [text-aware] holds; 5 [*] undecided -->;
- a number of a table, in the rows that fit a pattern, and the range in which the sentence is true:
  <!-- number: table1 [Top-2; text-free] fid 18 to 31 -->, where `seeds` is how many there are, and
  <!-- number: claims [14-26] undecided 51 to 100 --> the percentage of readings that were tested;
- how many of a claim's readings have a verdict: <!-- count: 41 [*] holds 1 of 18 -->;
- what a line of a table's page says: <!-- line: paris2-switching Alternate against A alone: 28 -->;
- a computation of claims.md and whether it holds: <!-- exact: s(t) of §6.2 [no] -->;
- or that it is argued and not measured: <!-- reason -->.

Tables are those of scale `small`. A number or a line may name another folder of results:
<!-- number: scenes/table1 [Monolithic] said 95 to 97 -->, <!-- line: bench/served 8 experts -->.
"""

import json
import re
from fnmatch import fnmatchcase

from experiments.pipeline.files import StoreError
from experiments.tables.verdicts import Verdict
from experiments.tables.written import table
from tests.helpers.files import ROOT

RESULTS = ROOT / "results"
VERDICTS = "|".join(verdict.value for verdict in Verdict)
FINDING = re.compile(rf"(\d+) \[([^]]+)\] ({VERDICTS})")
COMMENT = re.compile(r"<!-- (.*?) ?-->", re.DOTALL)
FILLED = re.compile(r"results \S+|end|files")
"""What marks where a page is filled with a table or a list: it binds no sentence."""
TABLE = r"(?P<table>(?:[\w-]+/)?[\w-]+)"
NUMBER = re.compile(
    rf"number: {TABLE} \[(?P<rows>[^]]+)\] (?P<key>\w+(?: [\d.]+)?) "
    r"(?P<low>-?[\d.]+) to (?P<high>-?[\d.]+)"
)
COUNT = re.compile(
    rf"count: (?P<claim>\d+) \[(?P<rows>[^]]+)\] (?P<verdict>{VERDICTS}) (?P<k>\d+) of (?P<n>\d+)"
)
LINE = re.compile(rf"line: {TABLE} (?P<says>.+)")
EXACT = re.compile(r"exact: (?P<subject>.+) \[(?P<holds>yes|no|implied)\]")
LEDGER = json.loads((RESULTS / "small" / "claims.json").read_text())
_, _, COMPUTATIONS = (
    (RESULTS / "small" / "claims.md").read_text().partition("## Mathematical statements")
)
LINES = [line.split(" | ") for line in COMPUTATIONS.splitlines()]
COMPUTED = {line[1]: line[5].strip("*") for line in LINES if len(line) == 7}
"""{subject: whether a mathematical statement holds}, as claims.md has it."""


def prose(page):
    """The text of a page without its code."""
    return re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.M | re.DOTALL)


def comments(text):
    """What stands in its comments, but for those that say where a page is filled."""
    return [c.strip() for c in COMMENT.findall(text) if not FILLED.fullmatch(c.strip())]


def rests_on(text):
    """[(claim, pattern of readings, verdict)] of a text."""
    named = [c for c in comments(text) if c[:1].isdigit()]
    parts = [part.strip() for c in named for part in re.split(r"; (?=\d+ \[)", c)]
    found = [*map(FINDING.fullmatch, parts)]
    assert None not in found, named
    return [(int(match[1]), match[2], match[3]) for match in found]


def bindings(text):
    """What stands in comments on numbers, counts, lines, computations and reasons."""
    return [c for c in comments(text) if not c[:1].isdigit()]


def readings(claim, pattern):
    """The verdicts of a claim's readings that fit, and that some table has rows for."""
    return [
        line["verdict"]
        for line in LEDGER
        if line["number"] == claim
        and fnmatchcase(line["reading"], pattern)
        and line["verdict"] != Verdict.MISSING.value
    ]


def place(named, results):
    """(folder, table) of `table1`, which is of scale small, or of `scenes/table1`."""
    scale, _, name = named.rpartition("/")
    return results / (scale or "small"), name


def numbers(at, results=RESULTS):
    """The numbers that a binding names: means of a column in the rows that fit, or a share; none
    where there is no such row or column. StoreError or OSError where there is no such table."""
    folder, name = place(at["table"], results)
    if name == "claims":
        first, last = map(int, at["rows"].split("-"))
        ledger = json.loads((folder / "claims.json").read_text())
        mine = [x["verdict"] for x in ledger if first <= x["number"] <= last and x["difference"]]
        return [100 * mine.count(at["key"]) / len(mine)] if mine else []
    written = table.read(folder, name)
    names = ["; ".join(filter(None, row.names.values())) for row in written.rows]
    fit = [r for r, name in zip(written.rows, names, strict=True) if fnmatchcase(name, at["rows"])]
    if at["key"] == "seeds":
        return [written.seeds] * len(fit)
    here = [i for i, column in enumerate(written.columns) if column.key == at["key"]]
    return [row.cells[i].mean for row in fit for i in here]


def broken(text, results=RESULTS):
    """A line for each binding that the committed results do not bear out."""
    for bound in bindings(text):
        try:
            if said := _wrong(bound, results):
                yield f"{bound}: {said}"
        except (StoreError, OSError) as error:
            yield f"{bound}: there is no such table: {error}"


def _wrong(bound, results):
    """What is wrong with a binding; nothing of one that holds."""
    if at := NUMBER.fullmatch(bound):
        low, high, seen = float(at["low"]), float(at["high"]), numbers(at, results)
        if not seen or not all(x is not None and low <= x <= high for x in seen):
            shown = ", ".join("missing" if x is None else f"{x:.4g}" for x in seen)
            return f"it is {shown or 'in no row, or there is no such column'}"
    elif at := COUNT.fullmatch(bound):
        given = readings(int(at["claim"]), at["rows"])
        seen = given.count(at["verdict"]), len(given)
        if seen != (int(at["k"]), int(at["n"])):
            return f"it is {seen[0]} of {seen[1]}"
    elif at := LINE.fullmatch(bound):
        folder, name = place(at["table"], results)
        if not any(at["says"] in line for line in (folder / f"{name}.md").read_text().splitlines()):
            return f"no line of {at['table']}.md says so"
    elif at := EXACT.fullmatch(bound):
        if (holds := COMPUTED.get(at["subject"])) != at["holds"]:
            return f"it is {holds}"
    elif bound != "reason":
        return "neither a verdict, nor a number, a count, a line, a computation or a reason"
    return ""
