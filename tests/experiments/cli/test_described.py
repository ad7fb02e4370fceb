"""Every dial has a sentence in --help, which is what the docstring of its class says of it."""

import dataclasses
from dataclasses import dataclass

import pytest

from experiments.cli.described import described, docstring
from experiments.cli.engines import ENGINES
from experiments.recipes.images import SCALES
from experiments.recipes.video import VIDEO_SCALES

EVERY = {**SCALES, **{f"{name} of clips": scale for name, scale in VIDEO_SCALES.items()}}


@dataclass(frozen=True)
class Base:
    """A base.

    one: of the base.
    """

    one: int
    two: int


@dataclass(frozen=True)
class Told(Base):
    """A class, not two: words before a colon are no field.

    two, three: of both; more of
        them, so.  four: alone.
    ValueError for five: there is none.
    """

    three: int
    four: int
    five: int


def test_a_docstring_tells_of_each_field_by_itself():
    """kills: only the first of several names, a base's words lost, the next field's words or the
    next paragraph's taken for this one's, any word before a colon taken for a field."""
    words = described(Told)
    assert words["one"] == "of the base."
    assert words["two"] == words["three"] == "of both; more of them, so."
    assert words["four"] == "alone."
    first, lines = docstring(Told).split("\n\nArgs:\n")
    assert first == "A class, not two: words before a colon are no field."
    assert lines.splitlines() == [f"    {name}: {said}" for name, said in words.items() if said]
    assert not words["five"]


def walk(value, path):
    """(class, field, dotted name) of every dial of a value, at any depth."""
    for field in dataclasses.fields(value):
        held, name = getattr(value, field.name), f"{path}.{field.name}"
        if dataclasses.is_dataclass(held) and not dataclasses.fields(held):
            continue  # it has no options
        yield type(value), field.name, name
        if dataclasses.is_dataclass(held):
            yield from walk(held, name)


@pytest.mark.parametrize("scale", EVERY)
def test_no_dial_is_without_a_sentence(scale):
    """kills: a new dial that --help names and says nothing of."""
    silent = [
        name for kind, dial, name in walk(EVERY[scale], "--scale") if not described(kind)[dial]
    ]
    assert not silent


@pytest.mark.parametrize("engine", ENGINES.values())
def test_no_dial_of_an_engine_is_without_a_sentence(engine):
    """kills: a dial of Ray's or Slurm's that --help says nothing of."""
    silent = [name for name, said in described(engine).items() if not said and name != "workers"]
    assert not silent
