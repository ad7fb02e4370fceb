"""What a stage is: one canonical form, and a key that covers all of it."""

import json
import math
from dataclasses import field, make_dataclass
from pathlib import Path

import numpy as np
import pytest

from experiments.pipeline.stage import Stage, canonical
from tests.helpers.parts import Colour, Inner, Other, Part, Whole

FORMLESS = [lambda: 0, [1], {1}, {"a": 1}, math.nan, object(), np.int64(1), Path("a"), b"a"]


def test_the_order_of_fields_is_no_part_of_the_key():
    """kills: a key over the fields in the order of their declaration."""
    fields = [("x", int, field(default=1)), ("y", float, field(default=2.0))]
    one = make_dataclass("Same", fields, bases=(Stage,), frozen=True)()
    two = make_dataclass("Same", fields[::-1], bases=(Stage,), frozen=True)()
    assert list(one.config) != list(two.config)
    assert one.key == two.key


def test_defaults_count_and_equal_configs_share_a_key():
    """kills: hashing only what differs from the defaults, or the identity."""
    assert canonical(Part()) == canonical(Part("a", Inner(0.5, Colour.RED)))
    red = {"enum": f"{Colour.__module__}.Colour.RED"}
    assert canonical(Inner()) == {"is": f"{Inner.__module__}.Inner", "rate": 0.5, "colour": red}
    assert Part().key == Part("a", Inner(rate=0.5)).key


def test_every_nested_difference_is_another_key():
    """kills: a level of nesting, an enum, a class or the type of a value left out of the key."""
    stages = [
        Whole(),
        Whole(parts=(Part("a"),)),
        Whole(parts=(Part("b"), Part("a"))),
        Whole(parts=(Part("a"), Part("b", Inner(rate=0.25)))),
        Whole(parts=(Part("a"), Part("b", Inner(colour=Colour.BLUE)))),
        Whole(parts=(Part("a"), Part("b", Other()))),
        Whole(first=Part("d")),
        Whole(kind_of=float),
    ]
    assert len({stage.key for stage in stages}) == len(stages)
    assert len({json.dumps(canonical(x)) for x in (1, 1.0, True, "1", None, (1,))}) == 6


def test_where_data_lies_is_no_part_of_the_key():
    """kills: a root folder hashed, an unmarked field skipped, or the mark honoured at the top only.

    A marked field needs no canonical form: it may be a path.
    """
    marked = [
        ("name", str, "a"),
        ("root", Path, field(default=Path("x"), metadata={"key": False})),
        ("size", int, field(default=1, metadata={"key": True, "unit": "pixels"})),
    ]
    place = make_dataclass("Place", marked, frozen=True)
    assert canonical(place()).keys() == {"is", "name", "size"}
    assert canonical(place(root=Path("y"))) == canonical(place())
    assert Part(inner=place(root=Path("y"))).key == Part(inner=place()).key
    assert Part(inner=place(name="b")).key != Part(inner=place()).key
    assert Part(inner=place(size=2)).key != Part(inner=place()).key


def test_a_new_version_is_a_new_key_here_and_downstream(monkeypatch):
    """kills: `version` left out, or counted for the stage itself and not for what is made of it."""
    before = Part().key, Whole().key
    monkeypatch.setattr(Part, "version", 2)
    assert Part(name="a").key != before[0]
    assert Whole().key != before[1]


@pytest.mark.parametrize("value", FORMLESS, ids=lambda value: type(value).__name__)
def test_what_has_no_canonical_form_is_refused(value):
    """kills: a fallback to str() or repr(), under which two things share a key, or no key lasts."""
    with pytest.raises(TypeError, match="no canonical form"):
        canonical(value)
    with pytest.raises(TypeError, match="no canonical form"):
        canonical(Inner(rate=value))
