"""Keys: of all that a stage is made from, and of nothing else."""

import json
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path

from experiments.pipeline.key import difference
from experiments.pipeline.stage import Stage
from tests.helpers.parts import Colour, Inner, Other, Part, Whole

RED = {"is": "Colour", "name": "RED"}


def test_the_order_of_fields_is_no_part_of_the_key():
    """kills: a key over the fields in the order of their declaration."""
    fields = [("x", int, field(default=1)), ("y", float, field(default=2.0))]
    one = make_dataclass("Same", fields, bases=(Stage,), frozen=True)()
    two = make_dataclass("Same", fields[::-1], bases=(Stage,), frozen=True)()
    assert list(one.config) != list(two.config)
    assert one.key == two.key


@dataclass(frozen=True)
class Plain:
    """A holder of data, of no code of its own."""

    low: float = 0.0
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Small(Stage):
    size: int = 3


Grown = make_dataclass(
    "Small",
    [
        ("size", int, 3),
        ("rate", float | bool, 1.0),
        ("plain", Plain, Plain()),
        ("sizes", tuple[int, ...], field(default_factory=tuple)),
    ],
    bases=(Stage,),
    frozen=True,
)


def test_a_field_added_with_a_default_changes_no_key_and_its_other_values_do():
    """kills: artifacts that lose their key with every new field; a value that shares the key of the
    default: one equal to it but of another type, or one that differs deep inside."""
    assert Grown().key == Small().key
    assert Grown(4).key == Small(4).key != Small().key
    changed = [
        Grown(rate=2.0),
        Grown(rate=True),
        Grown(rate=1),
        Grown(plain=Plain(1.0)),
        Grown(plain=Plain(colour=Colour.BLUE)),
        Grown(sizes=(1,)),
    ]
    assert len({stage.key for stage in [Grown(), *changed]}) == len(changed) + 1


def test_the_config_has_every_field_and_equal_ones_share_a_key():
    """kills: a config that hides what stood at its default, or the identity in the key."""
    assert Grown().config.keys() == {"is", "version", "size", "rate", "plain", "sizes"}
    assert Grown().config["plain"] == {"is": "Plain", "low": 0.0, "colour": RED}
    assert Part().key == Part("a", Inner(rate=0.5)).key


def test_a_changed_default_or_a_lost_field_is_told_and_a_new_field_is_not():
    """kills: an artifact of the old default taken for one of the new; one that a new field orphans;
    one whose field got another name and another default; a difference deep inside, in a list, in a
    class or in a number's type passed over."""
    now = Whole().config
    was = json.loads(json.dumps(now))
    assert difference(was, now) is None
    del was["parts"][0]["inner"]["rate"]
    assert difference(was, now) is None
    renamed = {**was, "gone": 1}
    assert difference(renamed, now) == "Whole.gone was 1 and is gone"
    was["parts"][1]["inner"]["rate"] = 0.25
    assert difference(was, now) == "Inner.rate was 0.25 and is 0.5"
    assert difference({"is": "A", "x": True}, {"is": "A", "x": 1}) == "A.x was true and is 1"
    assert (
        difference({"is": "A", "x": [1, 2]}, {"is": "A", "x": [1]}) == "A.x was [1, 2] and is [1]"
    )
    other = {"is": "A", "x": {"is": "C"}}, {"is": "A", "x": {"is": "B"}}
    assert difference(*other) == 'A.x was {"is": "C"} and is {"is": "B"}'
    kinds = {"is": "A", "x": {"class": "int"}}, {"is": "A", "x": {"class": "float"}}
    assert difference(*kinds) is not None


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
    assert Part(inner=place(root=Path("y"))).key == Part(inner=place()).key
    assert Part(inner=place(name="b")).key != Part(inner=place()).key
    assert Part(inner=place(size=2)).key != Part(inner=place()).key


def test_a_new_version_is_a_new_key_here_and_downstream(monkeypatch):
    """kills: `version` left out, or counted for the stage itself and not for what is made of it."""
    before = Part().key, Whole().key
    monkeypatch.setattr(Part, "version", 2)
    assert Part(name="a").key != before[0]
    assert Whole().key != before[1]
