"""Configs at random: what is written is read as it was, and a key tells all apart."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from experiments.pipeline import key
from modules.codec import decode, encode
from tests.helpers.parts import Colour, Inner, Part, Whole

INNER = st.builds(Inner, st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(Colour))
PART = st.builds(Part, st.text(), INNER)
WHOLE = st.builds(Whole, st.text(), INNER, st.lists(PART, max_size=3).map(tuple), PART)
KINDS = (Inner, Colour, Part, Whole)


def same(one, other):
    """Equal to the type and the sign of zero: 1, 1.0 and True are three values."""
    return repr(one) == repr(other)


@given(PART | INNER)
def test_a_value_comes_back_as_it_was(value):
    """kills: a float rounded, a text changed, an enum by its value, a field left out."""
    back = decode(encode(value), KINDS, "here")
    assert same(back, value)


@given(WHOLE, WHOLE)
def test_a_key_changes_if_and_only_if_the_config_does(one, other):
    """kills: a field that no key covers, order or depth that none sees, and a key by identity."""
    assert (key.key(one) == key.key(other)) == same(one, other)
    assert key.key(dataclasses.replace(one)) == key.key(one)


@given(WHOLE, st.text(), INNER)
def test_a_change_in_depth_changes_the_key(whole, name, inner):
    first = dataclasses.replace(whole.first, name=name, inner=inner)
    changed = dataclasses.replace(whole, first=first)
    assert (key.key(changed) == key.key(whole)) == same(first, whole.first)
    assert (key.difference(whole.config, changed.config) is None) == same(first, whole.first)
