"""claims.md: each statement of the papers, what it would mean here, and whether it holds.

Empirical statements are judged on the tables in results/<scale>; mathematical ones are computed.
"""

import sys
from collections import Counter
from collections.abc import Sequence

from experiments.cli.main import UsageError, parse
from experiments.hddm.mathematics import Check, checks
from experiments.hddm.statements import STATEMENTS
from experiments.paris2.statements import VIDEO
from experiments.pipeline.files import StoreError, write_whole
from experiments.recipes.images import SCALES
from experiments.tables import report
from experiments.tables.claim import Line, Verdict, detail, judged
from experiments.tables.columns import MISSING
from experiments.tables.contrasts import PublishedTables
from experiments.tables.dials import changed

CLAIMS = (*STATEMENTS, *VIDEO)
CLAIM = ("#", "Section", "Claim", "Paper", "Readings")
READING = ("#", "Reading", "Metric", "Ours", "n", "Verdict", "Why")
HOLDS = {True: "yes", False: "**no**", None: "implied"}
EXACT = ("Section", "Subject", "Statement", "Paper", "Computed", "Holds", "Why")


READ_ME = (
    "Ours is the difference of the rows that the claim compares, or a row's own number, as their "
    "table's .json has them, by training seed: mean ± half-width of the 95 % interval (Student's "
    "t), a margin added where one is allowed. A claim holds where the whole interval has the sign "
    "that it wants, and does not where it has the other; whether the effect is as large as the "
    "paper's is not tested. Of so many readings some will fall on either side by chance. FID is on "
    "digit features."
)


def _table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (titles, ["---"] * len(titles), *lines)]


def _counted(lines: Sequence[Line]) -> str:
    """How many readings have each verdict."""
    counts = Counter(line.judged.verdict for line in lines)
    return ", ".join(f"{counts[v]} {v.value}" for v in Verdict if counts[v])


def _claims(lines: Sequence[Line]) -> list[list[str]]:
    """A line a claim: what it says, what the paper prints, what its readings give."""
    rows = []
    for i, claim in enumerate(CLAIMS):
        verdicts = _counted([line for line in lines if line.claim is claim])
        rows.append([f"{i + 1}", claim.section, claim.statement, claim.effect or MISSING, verdicts])
    return rows


def _readings(lines: Sequence[Line]) -> list[list[str]]:
    """A line a reading: what is compared, what came out."""
    numbers = {id(claim): str(i + 1) for i, claim in enumerate(CLAIMS)}
    rows = []
    for line in lines:
        claim, test, estimate = line.claim, line.test, line.judged.estimate
        ours = MISSING
        if estimate.mean is not None and estimate.half_width is not None:
            ours = f"{estimate.mean:.3g} ± {estimate.half_width:.2g}"
        reading = [test.reading, f"{test.table}: {line.metric}"] if test else ["", ""]
        end = [ours, str(estimate.n), line.judged.verdict.value, line.judged.why]
        rows.append([numbers[id(claim)], *reading, *end])
    return rows


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
    scale: str, lines: Sequence[Line], exact: Sequence[Check], source: PublishedTables
) -> str:
    """claims.md, whole."""
    holding = Counter(check.holds for check in exact)
    return "\n".join(
        [
            f"# What the papers say, at scale {scale}",
            "",
            *([report.SMOKE, ""] if scale == "smoke" else []),
            f"{len(CLAIMS)} empirical statements, {len(lines)} readings: {_counted(lines)}. "
            f"Of {len(exact)} mathematical ones {holding[True]} hold, {holding[False]} "
            f"do not, and {holding[None]} are implied rather than stated, or hang on what is "
            "not stated.",
            "",
            READ_ME,
            "",
            "## Empirical statements",
            "",
            *_table(CLAIM, _claims(lines)),
            "",
            "## Their readings",
            "",
            *_table(READING, _readings(lines)),
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
        lines, exact = judged(CLAIMS, published), checks()
        write_whole(folder / "claims.json", detail(lines).encode())
        text = markdown(name, lines, exact, published)
        write_whole(folder / "claims.md", text.encode())
    except (StoreError, OSError) as error:
        print(f"claims: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
