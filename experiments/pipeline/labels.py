"""What stages are called where a person watches a run: each so that it is no other of them."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from experiments.pipeline.stage import Stage

FEW = 2
"""Inputs that a label names, at most."""


def distinct(stages: Sequence[Stage]) -> dict[str, str]:
    """A label for each, by key: its own, and where that is another's too what tells them apart.

    That is the seed, where they differ in it; then what only some of them are made from, or values
    of their own; and, where that is too much to say, the beginning of the key.
    """
    labels = {stage.key: stage.label for stage in stages}
    for more in (_seed, _made_from, _values, _key):
        alike = defaultdict(list)
        for stage in stages:
            alike[labels[stage.key]].append(stage)
        for group in alike.values():
            if len(group) > 1:
                for stage, said in zip(group, more(group), strict=True):
                    labels[stage.key] += said
    return labels


def _seed(group: Sequence[Stage]) -> list[str]:
    seeds = [next(_seeds(stage), None) for stage in group]
    if len(set(seeds)) == 1 or any("seed" in stage.label for stage in group):
        return [""] * len(group)
    return [", shared" if seed is None else f", seed {seed}" for seed in seeds]


def _seeds(value: Any) -> Iterator[int]:
    """The seeds of a value and of its fields, the nearest first."""
    level = [value]
    while level:
        yield from (x.seed for x in level if isinstance(getattr(x, "seed", None), int))
        plain = [x for x in level if dataclasses.is_dataclass(x) and not isinstance(x, type)]
        held = [getattr(x, f.name) for x in plain for f in dataclasses.fields(x)]
        level = [x for each in held for x in (each if isinstance(each, tuple) else (each,))]


def _made_from(group: Sequence[Stage]) -> list[str]:
    """The nearest inputs of each that not all of them share, if they are FEW."""
    level = [stage.inputs() for stage in group]
    while any(level):
        names = [dict.fromkeys(item.label for item in inputs) for inputs in level]
        shared = set.intersection(*map(set, names))
        own = [[name for name in each if name not in shared] for each in names]
        if any(own):
            return [f" ({', '.join(each)})" if 0 < len(each) <= FEW else "" for each in own]
        level = [tuple(x for item in inputs for x in item.inputs()) for inputs in level]
    return [""] * len(group)


def _values(group: Sequence[Stage]) -> list[str]:
    """The values of each that not all of them share, if they are FEW."""
    each = [dict(_leaves(stage)) for stage in group]
    names = dict.fromkeys(name for leaves in each for name in leaves)
    apart = [name for name in names if len({str(leaves.get(name)) for leaves in each}) > 1]
    if not 0 < len(apart) <= FEW:
        return [""] * len(group)
    return ["".join(f", {n} {leaves[n]}" for n in apart if n in leaves) for leaves in each]


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Names of fields and what they hold, at any depth; other stages speak for themselves."""
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if isinstance(held, str | int | float):
            yield field.name, held
        elif dataclasses.is_dataclass(held) and not isinstance(held, Stage | type):
            yield from _leaves(held)


def _key(group: Sequence[Stage]) -> list[str]:
    return [f" {stage.key[:6]}" for stage in group]
