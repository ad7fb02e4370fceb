"""claims.md: each statement of HDDM, what it would mean here, and whether it holds.

Empirical statements are judged on the tables in results/<scale>; mathematical ones are computed.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.claims import Line, Published, Verdict, detail, judged
from experiments.files import StoreError, write_whole
from experiments.mathematics import Check, checks
from experiments.report import SMOKE
from experiments.results import MISSING
from experiments.scales import SCALES
from experiments.statements import CLAIMS

EMPIRICAL = ("#", "Section", "Claim", "Reading", "Metric", "Paper", "Ours", "n", "Verdict", "Why")
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


def _empirical(lines: Sequence[Line]) -> list[list[str]]:
    numbers = {id(claim): str(i + 1) for i, claim in enumerate(CLAIMS)}
    found = []
    for line in lines:
        claim, test, estimate = line.claim, line.test, line.judged.found
        ours = MISSING
        if estimate.mean is not None and estimate.half_width is not None:
            ours = f"{estimate.mean:.3g} ± {estimate.half_width:.2g}"
        head = [numbers[id(claim)], claim.section, claim.statement]
        reading = [test.reading, f"{test.table}: {test.key}"] if test else ["", ""]
        end = [claim.effect or MISSING, ours, str(estimate.n), line.judged.verdict.value]
        found.append([*head, *reading, *end, line.judged.why])
    return found


def _exact(found: Sequence[Check]) -> list[list[str]]:
    return [[c.section, c.name, c.statement, c.paper, c.ours, HOLDS[c.holds], c.why] for c in found]


def _sources(published: Published) -> list[str]:
    """Which table was made by which code, with how many seeds."""
    lines = []
    for name, table in sorted(published.tables.items()):
        made = f"{table['seeds']} seeds, code {', '.join(table['commits'])}" if table else "not run"
        lines.append(f"- {name}: {made}.")
    return lines


def markdown(scale: str, lines: Sequence[Line], exact: Sequence[Check], source: Published) -> str:
    """claims.md, whole."""
    counts = Counter(line.judged.verdict for line in lines)
    holding = Counter(check.holds for check in exact)
    summary = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict)
    return "\n".join(
        [
            f"# What HDDM says, at scale {scale}",
            "",
            *([SMOKE, ""] if scale == "smoke" else []),
            f"{len(CLAIMS)} empirical statements, {len(lines)} readings of them: {summary}. "
            f"Of {len(exact)} mathematical ones {holding[True]} hold, {holding[False]} "
            f"do not, and {holding[None]} are implied rather than stated, or hang on what is "
            "not stated.",
            "",
            READ_ME,
            "",
            "## Empirical statements",
            "",
            *_table(EMPIRICAL, _empirical(lines)),
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
    parser = argparse.ArgumentParser(prog="claims", description=__doc__, allow_abbrev=False)
    parser.add_argument("--scale", choices=list(SCALES), default="small")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of tables")
    options = parser.parse_args(arguments)
    folder = options.results / options.scale
    try:
        if not folder.is_dir():
            raise StoreError(f"{folder} holds no tables: run make all SCALE={options.scale} first")
        published = Published(folder)
        lines, exact = judged(CLAIMS, published), checks()
        write_whole(folder / "claims.json", detail(lines).encode())
        text = markdown(options.scale, lines, exact, published)
        write_whole(folder / "claims.md", text.encode())
    except (StoreError, OSError) as error:
        print(f"claims: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
