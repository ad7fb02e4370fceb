"""Every goal of the benchmarks, and whether it is met, from the committed tables of ratios."""

import csv
import sys
from collections.abc import Mapping
from pathlib import Path

from experiments.bench.gpu.training import ShareOfPeak
from experiments.bench.ratios import (
    MemoryRatio,
    RateRatio,
    Ratio,
    SecondsOfOurs,
    Spread,
    TimeRatio,
    verdict,
)
from experiments.pipeline.files import write_whole
from experiments.pipeline.provenance import ROOT

AT_LEAST = (RateRatio, ShareOfPeak)
AT_MOST = (TimeRatio, SecondsOfOurs, MemoryRatio)
TITLES = ("Row", "What", "Against", "Ratio", "Goal", "Median (least to most)", "Pairs", "Verdict")


def read_ratio(line: Mapping[str, str]) -> Ratio:
    """What a row's numbers are and what they should reach. ValueError for an unknown title."""
    title, goal = line["ratio"], float(line["goal"])
    if title in {kind.title for kind in AT_LEAST}:
        return RateRatio(goal)
    if title in {kind.title for kind in AT_MOST}:
        return TimeRatio(goal)
    raise ValueError(f"a ratio of an unknown kind: {title}")


def goal_row(line: Mapping[str, str]) -> tuple[str, ...]:
    """The cells of a row of a table of ratios, from its line in the .csv."""
    ratio, n = read_ratio(line), int(line["n"])
    spread = Spread(float(line["median"]), float(line["min"]), float(line["max"]), n)
    bound = ">=" if isinstance(ratio, RateRatio) else "<="
    seen = f"{spread.median:.2f} ({spread.least:.2f} to {spread.greatest:.2f})"
    about = (line["row"], line["what"], line["peer"], f"{line['ratio']}, {line['clock']}")
    return (*about, f"{bound} {line['goal']}", seen, str(n), verdict(ratio, spread))


def goal_rows(folder: Path) -> list[tuple[str, ...]]:
    """All rows with a goal of the tables of ratios in a folder, by table and row."""
    rows: list[tuple[str, ...]] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open() as file:
            rows += [goal_row(line) for line in csv.DictReader(file) if line.get("goal")]
    return rows


def write(folder: Path) -> None:
    """`folder`/goals.md from its tables of ratios. ValueError if there is none."""
    rows = goal_rows(folder)
    if not rows:
        raise ValueError(f"no table of ratios in {folder}")
    table = ["| " + " | ".join(cells) + " |" for cells in (TITLES, ("---",) * len(TITLES), *rows)]
    note = "- A goal is met, or missed, where every pair says so, and else undecided."
    write_whole(folder / "goals.md", "\n".join(["# Goals", "", *table, "", note, ""]).encode())


if __name__ == "__main__":
    try:
        write(ROOT / "results" / "bench")
    except (OSError, ValueError) as error:
        sys.exit(f"goals: {error}")
