"""Tables from an empty store, in core-seconds: this tree against a commit before it was made fast.

The commit is cloned into a temporary folder and run by the same environment's packages.
"""

import compileall
import csv
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path

from experiments.bench.commands import python
from experiments.bench.pairing import Alike, Bench, BenchRow, RefusedError, Room, Side, TwoSides
from experiments.bench.ratios import TimeRatio
from experiments.pipeline.provenance import CODE, ROOT

COMMIT = "bd5c1c5"
"""The last commit before this work on speed began."""
PAIRS = 3
TURNED = {
    "small": ("--scale.train.steps", "1500", "--scale.study.pair_batch", "64"),
    "smoke": ("--scale.train.steps", "13"),
}
"""Ours by scale: at `small` trained as long as by the commit, on batches as large, since the recipe
has changed and less work would be taken for speed; at `smoke` by a number that is not its own."""
ACCURACY = "Prompt accuracy, %"
SHARED = (
    *("table1", "ablation_threshold", "ablation_ordering", "ablation_schedules", "ablation_ratio"),
    *("ablation_objectives", "ablation_join", "ablation_alignment", "ablation_weights"),
)
"""The tables of HDDM that the commit has too, row for row. The others have more rows now, or are
new: to make them is other work."""


Estimate = tuple[float, float]
"""A mean over seeds and the half-width of its interval."""


def differences(line: Mapping[str, str]) -> dict[str, Estimate]:
    """A row's paired differences that have intervals, each named by the row and its column."""
    names = takewhile(lambda column: f"{column} low" not in line, line)
    row = ", ".join(line[name] for name in names if line[name] and not name.endswith("(paper)"))
    return {
        f"{row}: {column}": (float(line[column]), float(line[f"{column} half-width"]))
        for column in line
        if column.endswith(" difference") and line[f"{column} half-width"]
    }


@dataclass(frozen=True)
class Written:
    """Of all tables in a folder: rows, how many have a prompt accuracy, and its mean in percent.

    seeds: of each row.  differences: paired, of all tables, by row and column; none of one seed.
    """

    rows: int
    scored: int
    accuracy: float
    seeds: int = 1
    differences: Mapping[str, Estimate] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> "Written":
        """Of the folder and those in it. RefusedError where no row has a prompt accuracy."""
        lines = list[dict[str, str]]()
        for path in sorted(folder.rglob("*.csv")):
            with path.open() as file:
                lines += csv.DictReader(file)
        accuracies = [float(line[ACCURACY]) for line in lines if line.get(ACCURACY)]
        if not accuracies:
            raise RefusedError(f"no table with a {ACCURACY} was written to {folder}")
        seeds = max(int(line.get("n seeds") or 1) for line in lines)
        paired = {name: x for line in lines for name, x in differences(line).items()}
        mean = sum(accuracies) / len(accuracies)
        return cls(len(lines), len(accuracies), mean, seeds, paired)


APART = 0.25
"""The share of paired differences whose intervals need not overlap: the recipes are not the same,
and of so many some part by chance. The page names them."""


def verdicts(ours: Written, peer: Written) -> Alike:
    """Of the paired differences of both, most must have intervals that overlap the other's."""
    shared = [name for name in peer.differences if name in ours.differences]
    apart = []
    for name in shared:
        (a, around_a), (b, around_b) = ours.differences[name], peer.differences[name]
        if not abs(a - b) <= around_a + around_b:
            apart.append(name)
    but = f", all but {'; '.join(apart)}:" if apart else ""
    what = f"paired differences whose intervals overlap{but}"
    return Alike(what, len(shared) - len(apart), max(1, len(shared)), APART)


@dataclass(frozen=True)
class Making:
    """Tables in a tree of the suite, made from an empty store in the folder `home`.

    program: what Python is given before the options.  more: further options of the command.
    """

    tree: Path
    program: tuple[str, str]
    home: Path
    scale: str
    seeds: int
    more: tuple[str, ...] = ()

    def clear(self) -> None:
        """Delete what an earlier call has made."""
        shutil.rmtree(self.home, ignore_errors=True)

    def __call__(self) -> Written:
        where = ("--store", str(self.home / "store"), "--results", str(self.home / "results"))
        dials = ("--scale", self.scale, "--seeds", str(self.seeds))
        python.require((*self.program, *dials, *self.more, *where), self.tree)
        return Written.of(self.home / "results")


def clone(commit: str, folder: Path, of: Path = ROOT) -> Path:
    """The tree of a commit, in the folder. RefusedError if there is no such commit."""
    lines = (
        ("clone", "--quiet", "--shared", "--no-checkout", str(of), str(folder)),
        ("-C", str(folder), "checkout", "--quiet", "--detach", commit),
    )
    for line in lines:
        try:
            subprocess.run(("git", *line), check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RefusedError(f"commit {commit} cannot be had from git in {of}") from error
    return folder


ALONE = ("-m", "experiments.hddm.table1")
"""The program that makes Table 1, in either tree."""


def _together(main: str) -> tuple[str, str]:
    """The program that makes the shared tables in one run.  main: the module that has it here."""
    names = ", ".join(SHARED)
    tables = ", ".join(f"{name}.TABLE" for name in SHARED)
    imports = f"import sys; from experiments.hddm import {names}; from {main} import main"
    return "-c", f"{imports}; sys.exit(main({tables}))"


def _sides(
    ours: tuple[str, str], peer: tuple[str, str], room: Room, paired: bool = False
) -> TwoSides:
    """paired: whether the tables' paired differences must agree, where seeds give them intervals.

    Of steps too few to learn anything they need not.
    """
    scale = "smoke" if room.brief else "small"
    old = clone(COMMIT, room.folder / "tree")
    for room_of_code in CODE[:-1]:  # or one side would compile in every worker
        for tree in (ROOT, old):
            compileall.compile_dir(tree / room_of_code, quiet=2)
    sides = [
        Making(tree, program, room.folder / name, scale, room.seeds, more)
        for tree, program, name, more in (
            (ROOT, ours, "ours", TURNED[scale]),
            (old, peer, "peer", ()),
        )
    ]

    def alike(made: Written, before: Written) -> Sequence[Alike]:
        several = paired and before.seeds > 1 and not room.brief
        return (
            Alike("seeds", made.seeds, before.seeds),
            Alike("rows", made.rows, before.rows, 0.0),
            Alike("rows with a prompt accuracy", made.scored, before.scored, 0.0),
            Alike("mean prompt accuracy", made.accuracy, before.accuracy, 1 if room.brief else 0.1),
            *([verdicts(made, before)] if several else ()),
        )

    first, second = (Side(making, before=making.clear) for making in sides)
    return TwoSides(first, second, alike)


def _row(
    name: str,
    what: str,
    unit: str,
    goal: float,
    ours: tuple[str, str],
    peer: tuple[str, str],
    paired: bool = False,
) -> BenchRow:
    return BenchRow(
        name=name,
        what=f"{what} from an empty store",
        peer=f"commit {COMMIT}, the same environment",
        ratio=TimeRatio(goal),
        unit=unit,
        shapes="scale small, trained 1,500 steps on the commit's batches",
        precision="fp32",
        prepare=partial(_sides, ours, peer, paired=paired),
        most_pairs=PAIRS,
        warm_up=False,
    )


NOTES = (
    "Core-seconds: processor time of the command and of every process that it starts, servers that "
    "outlive it included. Seeds: 1, or those of the option; ours have each a split, clusters and a "
    "judge of their own, the commit's share them.",
    "Both run with the packages of this environment, whose bytecode is compiled, and with that of "
    "their own tree compiled too.",
)
TABLE1 = Bench(
    name="table1",
    title="Table 1 against the commit before",
    rows=(_row("table1", "`make table1`", "table", 0.62, ALONE, ALONE, paired=True),),
    notes=(
        *NOTES,
        "Of two seeds or more, three in four of the paired differences that both tables have must "
        "have intervals that overlap the commit's, and those that do not are named; one seed has "
        "none.",
    ),
)
ALL = Bench(
    name="all",
    title="Nine tables of HDDM in one run against the commit before",
    rows=(
        _row(
            "all",
            f"the {len(SHARED)} tables that have as many rows on both sides, in one run,",
            "run",
            0.65,
            _together("experiments.cli.main"),
            _together("experiments.cli"),
        ),
    ),
    notes=(
        *NOTES,
        f"The tables: {', '.join(name.replace('_', '-') for name in SHARED)}. The commit's other "
        "seven have more rows now, and to make those is other work.",
    ),
    asked_only=True,
)
