"""Cards that speak of networks which nobody can build, or are no cards: one line, nothing built."""

import json

import pytest

from modules.blocks import Size
from modules.dit import DiT, DiTNetwork, TextShape
from modules.objectives import Velocity
from modules.schedules import Linear
from modules.weights.cards import ExpertCard, Origin
from modules.weights.checkpoint import CheckpointError
from modules.weights.published import load_expert, save_expert

ORIGIN = Origin("digits:1f", 3, "pixels", "words", "digits", "CC-BY-4.0")


@pytest.fixture
def place(tmp_path):
    """A published expert."""
    network = DiTNetwork(DiT(Size(8, 1, 2), 4, 2, 2, text=TextShape(3, 6, 5)))
    save_expert(tmp_path / "expert", network, ExpertCard(Velocity(), Linear(), (0,), 5, ORIGIN))
    load_expert(tmp_path / "expert")
    return tmp_path / "expert"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda n: n["size"].update(depth=10**9), "depth 1000000000 does not lie between 1 and 51"),
        (lambda n: n["size"].update(width=4 * 10**9), "width 4000000000 does not .* 16384"),
        (lambda n: n.update(image=2 * 10**9), "image 2000000000 does not .* 65536"),
        (lambda n: n.update(frequencies=10**12), "frequencies 1000000000000 does not .* 65536"),
        (lambda n: n.update(channels=-1), "channels -1 does not lie between 1 and 1024"),
        (lambda n: n.update(patch=0), "divides by 0"),
        (lambda n: n["text"].update(width=10**10), "text width 10000000000 does not .* 65536"),
        (lambda n: n["size"].update(depth=512, width=16_384), "of weights do not go together"),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_built(place, monkeypatch, change, said):
    """kills: hours or all of memory spent on a network that a card only speaks of."""
    monkeypatch.setattr(DiTNetwork, "__init__", lambda *_: pytest.fail("it is built"))
    card = json.loads((place / "card.json").read_text())
    change(card["network"])
    (place / "card.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match=said) as caught:
        load_expert(place)
    assert str(place) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [400, 100_000])
def test_a_card_nested_too_deeply_is_one_line(place, depth):
    """kills: a RecursionError, from reading JSON or from decoding it."""
    card = json.loads((place / "card.json").read_text())
    text = json.dumps({**card, "card": "DEEP"}).replace('"DEEP"', "[" * depth + "]" * depth)
    (place / "card.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"card\.json") as caught:
        load_expert(place)
    assert len(str(caught.value)) < 300
