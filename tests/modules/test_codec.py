"""Frozen values as JSON, and back."""

import json
import math
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from modules.codec import Form, decode, encode, same


class Side(Enum):
    LEFT = 1
    RIGHT = 2


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    side: Side | None = None


@dataclass(frozen=True)
class Outer:
    count: int
    names: tuple[str, ...] = ()
    pair: tuple[int, str] = (1, "a")
    inner: Inner | None = Inner()
    about: Form | str = field(default="", metadata={"form": True})
    flag: bool = False


class Held:
    kept, dropped = Inner(0.25), 3


KINDS = (Outer, Inner, Side)
FORMLESS = [lambda: 0, [1], {1}, {"a": 1}, math.nan, object(), np.int64(1), Path("a"), b"a"]


def back(value):
    return decode(json.loads(json.dumps(encode(value))), KINDS, "here")


@pytest.mark.parametrize(
    "value",
    [
        Outer(3),
        Outer(3, ("a", "b"), (2, "b"), Inner(2.0, Side.RIGHT), {"is": "Theirs", "x": [1]}, True),
        Outer(0, inner=None, about="in words"),
        (Inner(), (Side.LEFT, 1.5, None)),
    ],
)
def test_values_come_back(value):
    """kills: a tuple that stays a list, an enum that stays its name, a nested value left out, a
    form that is turned into a value of a class which the reader lacks."""
    assert back(value) == value


def test_a_form_names_classes_alone():
    """kills: a form that says in which module a class stands."""
    assert encode(Outer(3)) == {
        **{"is": "Outer", "count": 3, "names": [], "pair": [1, "a"], "about": "", "flag": False},
        "inner": {"is": "Inner", "rate": 0.5, "side": None},
    }
    assert encode(Side.LEFT) == {"is": "Side", "name": "LEFT"}
    assert encode(Held) == {"class": "Held", "kept": encode(Inner(0.25))}
    assert __name__ not in json.dumps(encode((Outer(3), Held, Side.LEFT)))


def test_forms_differ_where_values_do():
    """kills: 1, 1.0 and True with one form."""
    values = (1, 1.0, True, "1", None, (1,))
    assert sum(same(encode(a), encode(b)) for a in values for b in values) == len(values)


@pytest.mark.parametrize("value", FORMLESS, ids=lambda value: type(value).__name__)
def test_what_has_no_form_is_refused(value):
    """kills: a fallback to str() or repr(), under which two things share a key, or no key lasts."""
    with pytest.raises(TypeError, match="no form as JSON"):
        encode(value)
    with pytest.raises(TypeError, match="no form as JSON"):
        encode(Inner(rate=value))


def test_where_data_lies_has_no_form():
    """kills: a root folder told, an unmarked field skipped. A marked one needs no form."""
    marked = [
        ("name", str, "a"),
        ("root", Path, field(default=Path("x"), metadata={"key": False})),
        ("size", int, field(default=1, metadata={"key": True, "unit": "pixels"})),
    ]
    place = make_dataclass("Place", marked, frozen=True)
    assert encode(place(root=Path("y"))) == {"is": "Place", "name": "a", "size": 1}


def test_defaults_are_left_out_unless_there_is_more_to_say():
    """kills: a default kept, a value of another type taken for it, or what is said of a class lost
    with the field that holds it."""

    def about(kind):
        return {"code": "f00"} if kind is Inner else {}

    plain = {"is": "Outer", "count": 3, "about": ""}
    assert encode(Outer(3), defaults=False) == plain
    assert same(encode(Outer(3, flag=0), defaults=False), {**plain, "flag": 0})
    inner = {"is": "Inner", "code": "f00"}
    assert encode(Outer(3), about, defaults=False) == {**plain, "inner": inner}


def test_an_absent_field_has_its_default():
    """kills: values that cannot be read once their class has a field more."""
    assert decode({"is": "Outer", "count": 2}, KINDS, "here") == Outer(2)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"is": "os"}, "no such kind of value as 'os'"),
        ({"count": 3}, "no such kind of value as None"),
        ({"is": "Outer"}, r"Outer lacks \['count'\]"),
        ({"is": "Outer", "count": 1, "x": 2}, r"does not know \['x'\]"),
        ({"is": "Outer", "count": True}, "count = True"),
        ({"is": "Outer", "count": 1.0}, "count = 1.0"),
        ({"is": "Outer", "count": 1, "flag": 0}, "flag = 0"),
        ({"is": "Outer", "count": 1, "names": [1]}, "names = "),
        ({"is": "Outer", "count": 1, "pair": [1]}, "pair = "),
        ({"is": "Outer", "count": 1, "about": 1}, "about = 1"),
        ({"is": "Outer", "count": 1, "inner": {"is": "Side", "name": "LEFT"}}, "inner = "),
        ({"is": "Inner", "side": "LEFT"}, "side = 'LEFT'"),
        ({"is": "Side", "name": "UP"}, "names no Side"),
        ({"is": "Side"}, "names no Side"),
    ],
)
def test_what_is_no_form_of_a_known_class_is_refused(form, said):
    """kills: a class made that a form merely names, a field guessed or passed over."""
    with pytest.raises(ValueError, match=f"here: .*{said}"):
        decode(form, KINDS, "here")
