"""What was measured, as csv and as a page: ratios first, seconds of this machine beside them."""

import csv
import io
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from experiments.bench.pairing import Bench, Measured
from experiments.bench.ratios import Clock, Spread, ratios, verdict
from experiments.pipeline.files import write_whole
from experiments.pipeline.provenance import commit

GIB = 2**30
HEAD = ("Row", "Ratio", "Median", "Min to max", "Pairs", "Goal", "Verdict", "Ours, s", "Peer, s")


@dataclass(frozen=True)
class Where:
    """The machine's line, and the commit of the code. load: processes that wanted a core before."""

    machine: str
    commit: str
    load: float

    @classmethod
    def here(cls) -> "Where":
        model = platform.processor() or platform.machine()
        cpu_info = Path("/proc/cpuinfo")
        if cpu_info.exists():
            names = [x for x in cpu_info.read_text().splitlines() if x.startswith("model name")]
            model = names[0].split(":", 1)[1].strip() if names else model
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
        machine = (
            f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, "
            f"Python {platform.python_version()}, torch {torch.__version__}, "
            f"{torch.get_num_threads()} thread"
        )
        if torch.cuda.is_available():
            machine += f", {torch.cuda.get_device_name()}"
        return cls(machine, commit(), round(os.getloadavg()[0], 2))


def line(measured: Measured, where: Where) -> dict[str, Any]:
    """One line of the csv, by column."""
    row, pairs = measured.row, measured.pairs
    spread = ratios(pairs, row.ratio, row.clock)
    other = Clock.WALL if row.clock is Clock.CPU else Clock.CPU
    seconds = {
        f"{name}_{clock.value}_s": Spread.of([pair[i].seconds(clock) for pair in pairs]).median
        for i, name in enumerate(("ours", "peer"))
        for clock in Clock
    }
    return {
        "row": row.name,
        "what": row.what,
        "peer": row.peer,
        "ratio": row.ratio.title,
        "clock": row.clock.value,
        "median": spread.median,
        "min": spread.least,
        "max": spread.greatest,
        "n": spread.n,
        "goal": row.ratio.goal,
        "verdict": verdict(row.ratio, spread),
        "median_by_other_clock": ratios(pairs, row.ratio, other).median,
        "unit": row.unit,
        "ours_amount": pairs[0][0].amount,
        "peer_amount": pairs[0][1].amount,
        **seconds,
        "shapes": row.shapes,
        "precision": row.precision,
        "alike": "; ".join(map(str, measured.alike)),
        **asdict(where),
    }


def summary_line(measured: Measured) -> str:
    """A row in one line, for the terminal."""
    row = measured.row
    spread = ratios(measured.pairs, row.ratio, row.clock)
    goal = "no goal" if row.ratio.goal is None else f"goal {row.ratio.goal:g}"
    return (
        f"{row.name}: {row.ratio.title} {spread.median:.3f} "
        f"({spread.least:.3f} to {spread.greatest:.3f}, {spread.n} pairs), "
        f"{goal}, {verdict(row.ratio, spread)}"
    )


def _page(bench: Bench, lines: Sequence[dict[str, Any]]) -> str:
    table = [HEAD, ("---",) * len(HEAD)]
    for x in lines:
        clock = x["clock"]
        ratio = f"{x['ratio']}, {clock}"
        goal = "none" if x["goal"] is None else f"{x['goal']:g}"
        spread = f"{x['min']:.3f} to {x['max']:.3f}"
        seconds = [f"{x[f'{side}_{clock}_s']:.4g}" for side in ("ours", "peer")]
        said = "" if x["goal"] is None else x["verdict"]
        cells = (x["row"], ratio, f"{x['median']:.3f}", spread, str(x["n"]), goal, said)
        table.append((*cells, *seconds))
    rows = ["| " + " | ".join(cells) + " |" for cells in table]
    details = [
        f"- **{x['row']}**: {x['what']}; against {x['peer']}. {x['shapes']}; {x['precision']}. "
        f"Counted in: {x['unit']}. Agrees: {x['alike']}."
        for x in lines
    ]
    first = lines[0]
    notes = [
        *bench.notes,
        "Each ratio is of one pair, ours and then the peer's; seconds are this machine's medians. "
        "A goal is met, or missed, where every pair says so, and else undecided.",
        f"{first['machine']}; load before {first['load']}; commit {first['commit']}.",
    ]
    return "\n".join(
        [f"# {bench.title}", "", *rows, "", *details, "", *(f"- {note}" for note in notes), ""]
    )


def write(bench: Bench, measured: Sequence[Measured], where: Where, folder: Path) -> None:
    """`name`.csv and `name`.md in the folder, each whole or as it was."""
    lines = [line(one, where) for one in measured]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{bench.name}.csv", text.getvalue().encode())
    write_whole(folder / f"{bench.name}.md", _page(bench, lines).encode())
    print(f"{folder / bench.name}.md", file=sys.stderr)
