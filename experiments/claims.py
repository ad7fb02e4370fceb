"""claims.md: each statement of the papers, what it would mean here, and whether it holds.

Empirical statements are judged on the tables in results/<scale>; mathematical ones are computed.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from datamodules.sources.digits import Digits
from experiments.cli.main import UsageError, parse
from experiments.hddm.mathematics import Check, checks
from experiments.hddm.statements import STATEMENTS
from experiments.hddm.statements.ddm import DDM
from experiments.paris2.statements import VIDEO
from experiments.pipeline.files import StoreError, write_whole
from experiments.recipes.images import SCALES
from experiments.tables import report
from experiments.tables.claim import Judged, judged
from experiments.tables.columns import MISSING
from experiments.tables.contrasts import PublishedTables
from experiments.tables.dials import changed
from experiments.tables.inference import LEVEL
from experiments.tables.verdicts import Verdict
from experiments.tables.written.markdown import SMOKE
from experiments.tables.written.readings import detail

PAPERS = {"HDDM": STATEMENTS, "Paris 2.0": VIDEO, "DDM": DDM}
CLAIMS = (*STATEMENTS, *VIDEO, *DDM)
CLAIM = ("#", "Section", "Claim", "Paper", "Margin", "Readings")
READING = (
    *("#", "Reading", "Metric", "Ours", "n", "Margin", "p", "BH", "Holm", "Equivalence, BH"),
    *("80 % power", "Verdict", "Shown"),
)
HOLDS = {True: "yes", False: "**no**", None: "implied"}
EXACT = ("Section", "Subject", "Statement", "Paper", "Computed", "Holds", "Why")


READ_ME = (
    "Ours is the contrast of the rows that the claim compares, by training seed, as their table's "
    ".json has them: mean ± half-width of its own 95 % interval (Student's t). Margin: the "
    "smallest contrast that would matter, a share of the base row's number. p: of a paired "
    "two-sided t test, times the number of contrasts from which a worst one was picked that speaks "
    "against its claim; BH and Holm: the same, adjusted over the paper's distinct questions, a "
    "contrast and a margin each. Equivalence: p of two one-sided tests against the margin, "
    "adjusted over as many. As no contrast is both 0 and beyond its margin, the verdicts of both "
    "tests together are false in 5 % of cases at most (BH's expected share). 80 % power: the "
    "smallest contrast that n seeds of this spread show to differ from 0 four times in five, at "
    "the largest p that BH lets decide.",
    "A claim *holds* where BH is at most 0.05 and the contrast has the sign that it wants, and "
    "*does not hold* where it has the other. Where the contrast is shown to lie within the margin, "
    "a claim that prints an effect does not hold, and of one that prints none the rows are "
    "*equivalent*. Otherwise it is *undecided*, which is not equality. A claim that nothing is "
    "lost holds where the contrast, the margin added, lies above 0. What no run could have found "
    "otherwise is *by construction*, and counts nowhere. *Every* rule or time is judged by the one "
    "with the least evidence for the claim. FID is on the judge's features, not Inception's.",
)


def _table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (titles, ["---"] * len(titles), *lines)]


def _counted(made: Sequence[Judged]) -> str:
    """How many readings have each verdict."""
    counts = Counter(reading.verdict for reading in made)
    return ", ".join(f"{counts[v]} {v.value}" for v in Verdict if counts[v])


def _summary(made: Mapping[str, Sequence[Judged]]) -> list[str]:
    """A line a paper: its distinct contrasts, how many of them decide something, and at which p."""
    lines = []
    for paper, readings in made.items():
        tested = [(r.found.contrast, r.verdict) for r in readings if r.found is not None]
        distinct = {contrast for contrast, _ in tested}
        decided = {contrast for contrast, given in tested if given is not Verdict.UNDECIDED}
        held = {contrast for contrast, given in tested if given is Verdict.HOLDS}
        levels = [f"; p up to {r.found.level:.2g} is a difference" for r in readings if r.found]
        lines.append(
            f"- {paper}: {len(PAPERS[paper])} empirical statements, {len(readings)} readings: "
            f"{_counted(readings)}. Of {len(distinct)} distinct contrasts {len(held)} bear out a "
            f"claim and {len(distinct) - len(decided)} are undecided{''.join(levels[:1])}."
        )
    return lines


def _divided_anew(
    scale: str, papers: Mapping[str, Sequence[Judged]], source: PublishedTables
) -> list[str]:
    """What is left of HDDM's differences if seeds that divide one set anew are no new sets."""
    digits = SCALES[scale].data.source
    if not isinstance(digits, Digits) or not any(reading.found for reading in papers["HDDM"]):
        return []
    overlap, total = digits.heldout / digits.train, digits.train + digits.judge + digits.heldout
    apart, still = (
        {r.found.contrast for r in made if r.found and r.found.difference.false_discovery <= LEVEL}
        for made in (papers["HDDM"], judged(STATEMENTS, source, overlap))
    )
    return [
        f"- HDDM's seeds divide the same {total:,} digits anew, so that what is found is found of "
        f"these digits. Any two share about {digits.train / total:.0%} of their training pictures, "
        "which makes Student's t too sure: at the variance of Nadeau and Bengio (2003), a "
        f"heuristic for FID, {len(apart & still)} of the {len(apart)} contrasts that differ from 0 "
        "still do."
    ]


def _claims(made: Sequence[Judged]) -> list[list[str]]:
    """A line a claim: what it says, what the paper prints, what its readings give."""
    rows = []
    for i, claim in enumerate(CLAIMS):
        verdicts = _counted([reading for reading in made if reading.line.claim is claim])
        margin = claim.margin
        matters = MISSING if margin is None else f"{margin.share:.1%}: {margin.source}"
        paper = claim.effect or MISSING
        rows.append([f"{i + 1}", claim.section, claim.statement, paper, matters, verdicts])
    return rows


def _readings(made: Sequence[Judged]) -> list[list[str]]:
    """A line a reading: what is compared, what came out."""
    numbers = {id(claim): str(i + 1) for i, claim in enumerate(CLAIMS)}
    rows = []
    for reading in made:
        line, test = reading.line, reading.line.test
        named = [test.reading, f"{test.table}: {line.metric}"] if test else ["", ""]
        end = [reading.verdict.value, reading.why]
        rows.append([numbers[id(line.claim)], *named, *_numbers(reading), *end])
    return rows


def _numbers(reading: Judged) -> list[str]:
    """The cells of a reading from Ours to 80 % power."""
    line, found = reading.line, reading.found
    mean, half_width, n = line.estimate.mean, line.estimate.half_width, line.estimate.n
    ours = MISSING
    if mean is not None and half_width is not None:
        ours = f"{mean:.3g} ± {half_width:.2g}"
    if found is None:
        return [ours, str(n), *[MISSING] * 6]
    d, e = found.difference, found.equivalence
    within = MISSING if e is None else f"{e.false_discovery:.2g}"
    p = [f"{value:.2g}" for value in (d.p, d.false_discovery, d.family_wise)]
    margin = sum(line.margins) / n
    return [ours, str(n), f"{margin:.2g}", *p, within, f"{found.detectable:.2g}"]


def _exact(made: Sequence[Check]) -> list[list[str]]:
    return [[c.section, c.name, c.statement, c.paper, c.ours, HOLDS[c.holds], c.why] for c in made]


def _sources(published: PublishedTables) -> list[str]:
    """Which table was made by which code, with how many seeds."""
    lines = []
    for name, table in sorted(published.tables.items()):
        made = f"{table['seeds']} seeds, code {', '.join(table['commits'])}" if table else "not run"
        lines.append(f"- {name}: {made}.")
    return lines


def markdown(
    scale: str,
    papers: Mapping[str, Sequence[Judged]],
    exact: Sequence[Check],
    source: PublishedTables,
) -> str:
    """claims.md, whole."""
    holding = Counter(check.holds for check in exact)
    made = [reading for readings in papers.values() for reading in readings]
    return "\n".join(
        [
            f"# What the papers say, at scale {scale}",
            "",
            *([SMOKE, ""] if scale == "smoke" else []),
            *_summary(papers),
            *_divided_anew(scale, papers, source),
            f"- {len(exact)} mathematical statements: {holding[True]} hold, {holding[False]} do "
            f"not, and {holding[None]} are implied rather than stated, or hang on what is not "
            "stated.",
            "",
            *(line for paragraph in READ_ME for line in (paragraph, "")),
            "## Empirical statements",
            "",
            *_table(CLAIM, _claims(made)),
            "",
            "## Their readings",
            "",
            *_table(READING, _readings(made)),
            "",
            "## Mathematical statements",
            "",
            *_table(EXACT, _exact(exact)),
            "",
            "## Tables read",
            "",
            *_sources(source),
            "",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when claims.md is written, 1 for results that cannot be read, 2 for a bad command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = parse("claims", "What the papers say", arguments, SCALES)
    except UsageError as error:
        print(f"claims: {error}", file=sys.stderr)
        return 2
    name = options.scale_name
    folder = report.place(options.results, name, changed(SCALES[name], options.scale))
    try:
        if not folder.is_dir():
            raise StoreError(f"{folder} holds no tables: run make all SCALE={name} first")
        published = PublishedTables(folder)
        papers = {paper: judged(claims, published) for paper, claims in PAPERS.items()}
        text = markdown(name, papers, checks(), published)
        write_whole(folder / "claims.json", detail(papers).encode())
        write_whole(folder / "claims.md", text.encode())
    except (StoreError, OSError) as error:
        print(f"claims: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
