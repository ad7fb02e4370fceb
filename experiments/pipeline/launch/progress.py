"""How far a run is and how long it will take: a bar on a terminal, lines in a log."""

import contextlib
import sys
import time

from tqdm import tqdm

LOG_INTERVAL = 5.0
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""
BAR_LOCK = (True, 1.0)
"""How the bar's lock is acquired: a killed worker may hold it for ever, so wait one second."""


def _print(line: str) -> None:
    """A line on stderr; that nobody reads it any more is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)


class Progress:
    """The display of one run.

    count: its tasks.  total: their cost in rough seconds, by which the estimate weighs them.
    bars: whether there is a terminal to draw a bar on; else lines are printed.
    """

    def __init__(self, count: int, total: float, bars: bool) -> None:
        self.count, self.total, self.spent = count, total, 0.0
        self.done = self.failures = 0
        self.started = self.printed = time.monotonic()
        layout = "{desc} {percentage:3.0f}% |{bar}| {elapsed}, {remaining} left"
        self.bar = tqdm(
            total=total, bar_format=layout, disable=not bars, leave=False, lock_args=BAR_LOCK
        )
        self.bar.set_description_str(self._stages)
        if not bars:
            _print(f"[0/{count}] starting")

    @property
    def _stages(self) -> str:
        failures = f", {self.failures} failed" if self.failures else ""
        return f"{self.done}/{self.count} stages{failures}"

    def finished(self, label: str, cost: float) -> None:
        """A task of this cost is done."""
        self.done, self.spent = self.done + 1, self.spent + cost
        self.bar.set_description_str(self._stages, refresh=False)
        self.bar.update(cost)
        now = time.monotonic()
        if self.bar.disable and (now - self.printed > LOG_INTERVAL or self.done == self.count):
            self.printed, elapsed = now, now - self.started
            line = f"[{self.done}/{self.count}] {label}; {tqdm.format_interval(elapsed)} elapsed"
            if self.spent > self.total / 50:  # earlier, start-up would swamp the estimate
                left = max(0.0, elapsed * (self.total / self.spent - 1))
                line += f", about {tqdm.format_interval(left)} left"
            _print(line)

    def failed(self, label: str, error: Exception) -> None:
        """A task failed, which a person wants to know before the others are done."""
        self.failures += 1
        self.bar.set_description_str(self._stages, refresh=False)
        if self.bar.disable:
            _print(f"[{self.done}/{self.count}] {label} failed: {' '.join(str(error).split())}")

    def tick(self) -> None:
        """Draw the time that has passed."""
        self.bar.refresh(lock_args=BAR_LOCK)

    def close(self) -> None:
        """Wipe the bar."""
        self.bar.close()
