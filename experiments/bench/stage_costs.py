"""What the stages of `make all` and `make paris2` took, from the committed tables.

Every table's .json names the stages behind it with the seconds of their making. A worker has one
thread, so that seconds on an idle machine are core-seconds.
"""

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.pipeline.files import write_whole
from experiments.pipeline.provenance import ROOT

COMMANDS = {"make all": "", "make paris2": "paris2-"}
"""What the tables of a command are called; a longer beginning comes before the empty one."""
LEAST_SHARE = 0.005
TITLES = ("Command", "Stages", "Number", "Wall seconds", "Share", "Longest, s")


@dataclass(frozen=True)
class KindCost:
    """All stages of one kind: how many, their seconds together, and those of the longest."""

    kind: str
    number: int
    seconds: float
    longest: float

    @classmethod
    def of(cls, kind: str, seconds: Sequence[float]) -> "KindCost":
        return cls(kind, len(seconds), sum(seconds), max(seconds))


def stage_seconds(tables: Iterable[Mapping[str, object]]) -> dict[str, float]:
    """{kind/key: seconds} of every stage, one that several tables name counted once."""
    together: dict[str, float] = {}
    for table in tables:
        seconds = table.get("seconds", {})
        assert isinstance(seconds, dict)
        together |= seconds
    return together


def by_kind(seconds: Mapping[str, float]) -> list[KindCost]:
    """The kinds of stages, the dearest first; those of less than LEAST_SHARE of all as one."""
    kinds: dict[str, list[float]] = {}
    for name, taken in seconds.items():
        kinds.setdefault(name.partition("/")[0], []).append(taken)
    least = LEAST_SHARE * sum(seconds.values())
    small = [kind for kind, taken in kinds.items() if sum(taken) < least]
    costs = [KindCost.of(kind, taken) for kind, taken in kinds.items() if kind not in small]
    costs.sort(key=lambda cost: cost.seconds, reverse=True)
    others = [taken for kind in small for taken in kinds[kind]]
    return [*costs, KindCost.of(f"{len(small)} other kinds", others)] if small else costs


def read_tables(folder: Path, command: str) -> list[Mapping[str, object]]:
    """The .json of every table of a command in results/<scale>."""
    begins = [beginning for beginning in COMMANDS.values() if beginning]
    tables: list[Mapping[str, object]] = []
    for path in sorted(folder.glob("*.json")):
        own = next((beginning for beginning in begins if path.name.startswith(beginning)), "")
        table = json.loads(path.read_text())
        if own == COMMANDS[command] and isinstance(table, dict) and path.stem != "clustering":
            tables.append(table)
    return tables


def lines(folder: Path) -> list[tuple[str, ...]]:
    """A line for each kind of stage, and one for all, of each command."""
    rows: list[tuple[str, ...]] = []
    for command in COMMANDS:
        seconds = stage_seconds(read_tables(folder, command))
        costs = by_kind(seconds)
        if not costs:
            continue
        whole = KindCost.of("all", list(seconds.values()))
        for cost in (*costs, whole):
            share = f"{100 * cost.seconds / whole.seconds:.1f} %"
            numbers = (str(cost.number), f"{cost.seconds:.0f}", share, f"{cost.longest:.1f}")
            rows.append((command, cost.kind, *numbers))
    return rows


def write(folder: Path, to: Path) -> None:
    """`to`/stage-costs.csv and .md from the tables in results/<scale>. ValueError if none is."""
    rows = lines(folder)
    if not rows:
        raise ValueError(f"no table in {folder}")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([TITLES, *rows])
    page = ["| " + " | ".join(cells) + " |" for cells in (TITLES, ["---"] * len(TITLES), *rows)]
    notes = [
        f"Scale `{folder.name}`, all seeds of its committed tables; a stage that several tables "
        "share counts once. `clustering` stands apart.",
        "Wall seconds of one-thread workers, from the provenance of what they made, imports of the "
        "workers not counted.",
    ]
    page = ["# What each kind of stage costs", "", *page, "", *(f"- {note}" for note in notes), ""]
    to.mkdir(parents=True, exist_ok=True)
    write_whole(to / "stage-costs.csv", text.getvalue().encode())
    write_whole(to / "stage-costs.md", "\n".join(page).encode())


if __name__ == "__main__":
    try:
        write(ROOT / "results" / "small", ROOT / "results" / "bench")
    except (OSError, ValueError) as error:
        sys.exit(f"stage costs: {error}")
