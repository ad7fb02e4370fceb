"""How a run goes, seen from outside: which of its stages the store has, and what is being trained.

It only reads: a run is neither asked nor slowed, and may be on another machine with the same disk.
"""

import csv
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.pipeline.stage import Stage

WINDOW = 600.0
"""Seconds over which the rate is taken, less for a run that began in them."""
SHORTEST = 30.0
"""Seconds below which a rate says nothing."""
POINTS = 200
"""Of a loss curve, at most."""


@dataclass(frozen=True)
class Wanted:
    """A stage of the run.  cost: rough seconds on one core."""

    kind: str
    key: str
    cost: float

    def finished(self, store: Path) -> float | None:
        """When it was finished, in seconds of the clock; None if it is not."""
        try:
            return (store / self.kind / self.key / "provenance.json").stat().st_mtime
        except OSError:
            return None


def wanted(stages: Sequence[Stage]) -> list[Wanted]:
    return [Wanted(stage.kind, stage.key, stage.cost) for stage in stages]


def state(run: Sequence[Wanted], store: Path, now: float | None = None) -> dict[str, object]:
    """Stages done of those wanted, by kind too; how many a minute; seconds left; loss curves.

    What is left is what its stages cost, by the rate since the first of the stages finished in the
    last ten minutes, whose own time lies before; None where none was finished since.
    """
    now = time.time() if now is None else now
    finished = {each: each.finished(store) for each in run}
    recent = [
        (each.cost, when)
        for each, when in finished.items()
        if when is not None and now - when < WINDOW
    ]
    first = min((when for _, when in recent), default=now)
    recent = [(cost, when) for cost, when in recent if when > first]
    over = max(SHORTEST, now - first)
    left = sum(each.cost for each, when in finished.items() if when is None)
    speed = sum(cost for cost, _ in recent) / over
    kinds: dict[str, list[int]] = {}
    for each, when in finished.items():
        count = kinds.setdefault(each.kind, [0, 0])
        count[0] += when is not None
        count[1] += 1
    return {
        "done": sum(when is not None for when in finished.values()),
        "total": len(finished),
        "a_minute": round(60 * len(recent) / over, 1),
        "seconds_left": round(left / speed) if speed else (0 if not left else None),
        "kinds": [[kind, *counts] for kind, counts in sorted(kinds.items())],
        "curves": [*curves(store)],
    }


def curves(store: Path) -> Iterator[dict[str, object]]:
    """The losses of what is being trained now, at most `POINTS` of each: None, which leaves a gap,
    where a loss was not finite.  not_finite: the first step of such a loss; None if there is none.
    """
    for path in sorted((store / "making").glob("*/log-*/metrics.csv")):
        steps, losses = list[int](), list[float]()
        try:
            for line in csv.DictReader(path.read_text().splitlines()):
                if line.get("step") and line.get("loss"):
                    step, loss = int(line["step"]), float(line["loss"])
                    steps.append(step)
                    losses.append(loss)
        except (OSError, ValueError):  # it was finished, or is being written
            continue
        if steps:
            every = -(-len(steps) // POINTS)
            lost = (s for s, loss in zip(steps, losses, strict=True) if not math.isfinite(loss))
            yield {
                "name": path.parent.parent.name,
                "steps": steps[::every],
                "losses": [_drawn(losses[i : i + every]) for i in range(0, len(losses), every)],
                "not_finite": next(lost, None),
            }


def _drawn(losses: Sequence[float]) -> float | None:
    """The point that stands for some neighbours; None, which JSON has, for nan and infinities."""
    return losses[0] if all(map(math.isfinite, losses)) else None
