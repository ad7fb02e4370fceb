"""Files damaged at random, one fault at a time, and put back."""

import random
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

COUNTS = ("tried", "survived", "lost", "silent")
TOLD = []
"""(what, its counts) of every tally that this process told."""


class Tally(Counter):
    """What became of faults; printed for whoever runs the tests with -s, and at their end."""

    def tried(self, damages):
        """A fault, and what it damaged: it was survived if that is nothing."""
        self["tried"] += 1
        self["lost"] += len(damages)
        self["survived"] += not damages

    def once(self, same):
        """A fault that was survived if what it might have spoilt is the same, and silent else."""
        self["tried"] += 1
        self["survived" if same else "silent"] += 1

    def told(self, what):
        counts = tuple(self[name] for name in COUNTS)
        TOLD.append((what, counts))
        print(f"\n{line(what, counts)}")
        return counts


def line(what, counts):
    return f"{what}: " + ", ".join(f"{n} {name}" for name, n in zip(COUNTS, counts, strict=True))


def summary(told):
    """A line for each kind of fault, and one for all; nothing where none was tried."""
    if not told:
        return []
    together = [sum(numbers) for numbers in zip(*(counts for _, counts in told), strict=True)]
    return [line(what, counts) for what, counts in [*told, ("all faults", together)]]


def _changed(content, rng):
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def _others(path, files):
    content = path.read_bytes()
    return [x for x in files if x.name == path.name and x != path and x.read_bytes() != content]


@contextmanager
def corrupted(root: Path, rng: random.Random):
    """One random fault in a store's finished artifacts: it, and the files that it changed."""
    files = [p for p in sorted(root.rglob("*")) if p.is_file() and p.stat().st_size]
    fault = rng.choice(("byte", "truncation", "deletion", "swap"))
    path = rng.choice(files)
    if fault == "swap":
        path = rng.choice([each for each in files if _others(each, files)])
    other = rng.choice(_others(path, files)) if fault == "swap" else path
    before = {each: each.read_bytes() for each in (path, other)}
    if fault == "byte":
        path.write_bytes(_changed(before[path], rng))
    elif fault == "truncation":
        path.write_bytes(before[path][: rng.randrange(len(before[path]))])
    elif fault == "deletion":
        path.unlink()
    else:
        path.write_bytes(before[other])
        other.write_bytes(before[path])
    try:
        yield fault, [*before]
    finally:
        for each, content in before.items():
            each.write_bytes(content)
