"""Files damaged at random, one fault at a time, and put back."""

import random
from collections import Counter
from contextlib import contextmanager
from pathlib import Path


class Tally(Counter):
    """What became of faults; printed for whoever runs the tests with -s."""

    def tried(self, damages):
        """A fault, and what it damaged: it was survived if that is nothing."""
        self["tried"] += 1
        self["lost"] += len(damages)
        self["survived"] += not damages

    def told(self, what):
        names = ("tried", "survived", "lost", "silent")
        print(f"\n{what}: " + ", ".join(f"{name} {self[name]}" for name in names))
        return tuple(self[name] for name in names)


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
