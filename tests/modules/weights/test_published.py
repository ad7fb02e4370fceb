"""Networks published one a folder: what a card says, and ensembles from several places."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from modules.blocks import AdaLN, Size
from modules.dit import DiT, DiTNetwork, TextShape, count_parameters
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import X0, Epsilon, V, Velocity
from modules.routing import RouterNetwork
from modules.schedules import Cosine, Linear, LinearBeta, NicholDhariwal
from modules.selection import Full
from modules.text import Text
from modules.timesteps import Index, Rounded, SameNoise
from modules.weights.cards import ExpertCard, Origin, RouterCard, read, written
from modules.weights.checkpoint import CheckpointError
from modules.weights.published import (
    load_ensemble,
    load_expert,
    load_router,
    save_expert,
    save_router,
)

SHAPE = DiT(Size(8, 1, 2), 4, 2, 2, text=TextShape(3, 6, 5), head_std=0.5)
ORIGIN = Origin("digits-8x8:1f", 3, "pixels", "TinyClipText", "handwritten digits", "CC-BY-4.0")
CARDS = [
    ExpertCard(Velocity(), Linear(), (0,), 500, ORIGIN),
    ExpertCard(Epsilon(), Cosine(), (1,), 400, replace(ORIGIN, licence="Apache-2.0")),
    ExpertCard(V(), NicholDhariwal(0.01), (2,), 300, replace(ORIGIN, data="more digits")),
]
ROUTED = RouterCard(Cosine(), 5, 0.7, ORIGIN)


def scrambled(network, seed):
    g = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=g)
    return network.eval()


def network(k):
    """Networks of one ensemble may differ in all but what they read."""
    changes = ({"time": Rounded()}, {"adaln": AdaLN.ZERO}, {"cross_norm": False})[k]
    return scrambled(DiTNetwork(replace(SHAPE, **changes)), k)


def router():
    return scrambled(RouterNetwork(replace(SHAPE, adaln=AdaLN.ZERO, text=None), 3, 5), 7)


@pytest.fixture
def places(tmp_path):
    """Two contributors' folders, one with a single expert and one with two, and a router's."""
    homes = [tmp_path / "one", tmp_path / "two/expert_b", tmp_path / "two/expert_a"]
    for k, home in enumerate(homes):
        save_expert(home, network(k), CARDS[k])
    save_router(tmp_path / "router", router(), ROUTED)
    return [tmp_path / "two", tmp_path / "one"], tmp_path / "router"


def inputs():
    g = torch.Generator().manual_seed(3)
    x, tokens, pooled = (torch.randn(4, *s, generator=g) for s in ((2, 4, 4), (3, 6), (5,)))
    return x, torch.tensor([0.2, 0.4, 0.6, 0.8]), Text.of(tokens, pooled)


def test_an_ensemble_from_several_places_is_the_one_that_was_published(places):
    """kills: experts in the order of their folders, an objective, schedule, time map, temperature
    or path lost on the way, or weights left as drawn."""
    x, t, c = inputs()
    found, origin = load_ensemble([*places[0], places[1]], Full())
    assert origin == ORIGIN
    experts = [Expert(network(k), CARDS[k].objective, CARDS[k].schedule) for k in range(3)]

    def posterior(x, t, c):
        return (router()(x, t, c) / 0.7).softmax(1)

    expected = Ensemble(experts, posterior, Full(), Cosine())
    torch.testing.assert_close(found(x, t, c), expected(x, t, c))
    torch.testing.assert_close(found(x, t, c.null()), expected(x, t, c.null()))
    assert not any(p.requires_grad for e in found.experts for p in e.network.parameters())


def test_a_card_says_all_that_a_stranger_needs(places):
    """kills: a field missing at its default, or a count that is typed rather than counted."""
    form = json.loads((places[1].parent / "one" / "card.json").read_text())
    card, shape = form["card"], form["network"]
    assert card["objective"] == {"is": "Velocity"}
    assert card["schedule"] == {"is": "Linear"}
    assert card["clusters"] == [0]
    assert card["samples"] == 500
    assert card["origin"]["licence"] == "CC-BY-4.0"
    assert card["origin"]["data"] == "handwritten digits"
    assert (shape["time"], shape["cross_norm"]) == ({"is": "Rounded"}, True)
    assert form["parameters"] == count_parameters(network(0))
    assert load_expert(places[1].parent / "one").card == CARDS[0]
    assert load_router(places[1])[0] == ROUTED


@pytest.mark.parametrize(
    "value",
    [
        *(X0(), Epsilon(), Velocity(), V()),
        *(Linear(), Cosine(), NicholDhariwal(0.02), LinearBeta(2e-4, 0.03, 500)),
        DiT(),
        replace(SHAPE, time=SameNoise(LinearBeta(steps=10)), text=None, cross_norm=False),
        replace(SHAPE, time=Index(), adaln=AdaLN.ZERO),
        *(*CARDS, ROUTED, replace(ROUTED, pooled=None)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back_from_json(value):
    """kills: a tuple that stays a list, an enum that stays its name, a nested value left out."""
    assert read(json.loads(json.dumps(written(value))), "here") == value


def test_what_is_unknown_has_no_place_on_a_card():
    """kills: a class of somebody's own under a name that others do not have."""

    @dataclass(frozen=True)
    class Velocity:  # of the same name, and not ours
        pass

    for value in (Velocity(), Full()):
        with pytest.raises(TypeError, match="no place on a card"):
            written(value)
    with pytest.raises(TypeError, match="no form as JSON"):
        written(torch.zeros(1))
    with pytest.raises(ValueError, match="licence"):
        replace(ORIGIN, licence="")
    with pytest.raises(ValueError, match="not among 3"):
        replace(CARDS[0], clusters=(3,))


def edited(folder, change):
    path = folder / "card.json"
    form = json.loads(path.read_text())
    change(form)
    path.write_text(json.dumps(form))


def flipped(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda f: edited(f, lambda c: c["card"]["objective"].update({"is": "os"})),
            "no such kind",
        ),
        (lambda f: edited(f, lambda c: c["card"].pop("samples")), r"lacks \['samples'\]"),
        (lambda f: edited(f, lambda c: c["card"].update(seed=0)), r"not know \['seed'\]"),
        (lambda f: edited(f, lambda c: c["card"].update(samples="9")), "samples = '9'"),
        (lambda f: edited(f, lambda c: c["card"].update(clusters=[True])), "clusters = "),
        (lambda f: edited(f, lambda c: c["card"].update(clusters=[7])), "not among 3"),
        (lambda f: edited(f, lambda c: c["network"].update(adaln="ZERO")), "adaln = 'ZERO'"),
        (lambda f: edited(f, lambda c: c["network"]["adaln"].update(name="X")), "no AdaLN"),
        (lambda f: edited(f, lambda c: c["network"]["size"].update(heads=3)), "must divide"),
        (lambda f: edited(f, lambda c: c["network"]["size"].update(depth=2)), "parameters"),
        (lambda f: edited(f, lambda c: c.update(format=2)), "no card of format 1"),
        (lambda f: edited(f, lambda c: c.update(network=c["card"])), "the card of a"),
        (lambda f: (f / "card.json").write_text("["), "cannot read"),
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors"),
        (flipped, "has the hash"),
    ],
)
def test_a_spoilt_folder_is_refused_by_name(places, spoil, said):
    """kills: a card believed whatever it says, or weights that are not those it is about."""
    home = places[1].parent / "one"
    spoil(home)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_ensemble([*places[0], places[1]], Full())
    assert str(home) in str(caught.value)


def test_a_card_of_before_a_later_field_has_its_default(places):
    """kills: published folders that stop loading when a shape gains a field."""
    home = places[1].parent / "two/expert_b"
    edited(home, lambda form: [form["network"].pop(name) for name in ("time", "cross_norm")])
    assert load_expert(home).network.shape == replace(SHAPE, adaln=AdaLN.ZERO)


def copied(folder):
    return Path(shutil.copytree(folder, folder.with_name("again")))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p[0].pop(), r"experts of \[\(1,\), \(2,\)\]"),
        (lambda p: p[0].append(copied(p[0][1])), r"\[\(0,\), \(0,\), \(1,\), \(2,\)\]"),
        (
            lambda p: edited(
                p[0][1], lambda c: c["card"]["origin"].update(partition="another k-means")
            ),
            "does not go with",
        ),
        (
            lambda p: edited(p[0][1], lambda c: c["card"]["origin"].update(latents="sd-vae")),
            "does not go with",
        ),
        (lambda p: shutil.rmtree(p[1]), "no network is published in"),
        (lambda p: p[0].append(copied(p[1])), "3 experts need one router; there is: .*, "),
    ],
)
def test_experts_that_do_not_belong_together_are_refused(places, spoil, said):
    """kills: a missing expert, one counted twice, clusters of another partition, other latents."""
    spoil(places)
    with pytest.raises(CheckpointError, match=said):
        load_ensemble([*places[0], places[1]], Full())


def test_one_expert_alone_needs_no_router_and_several_do(places):
    """kills: a router made up for several, or one expert that cannot be looked at by itself; an
    expert asked without the guard."""
    x, t, c = inputs()
    found, origin = load_ensemble([places[0][1]], Full(), Guard(t_max=0.5))
    alone = Expert(network(0), Velocity(), Linear())
    torch.testing.assert_close(found(x, t, c), alone.velocity(x, t, c))
    assert (origin, found.guard) == (ORIGIN, Guard(t_max=0.5))
    assert load_ensemble([*places[0], places[1]], Full(), Guard(t_max=0.5))[0].guard.t_max == 0.5
    with pytest.raises(CheckpointError, match="2 experts need one router; there is: none"):
        load_ensemble(places[0][:1], Full())


def test_nothing_is_published_over(places):
    """kills: weights replaced behind the name that others load, or a router of another K."""
    with pytest.raises(FileExistsError, match="already"):
        save_expert(places[0][1], network(0), CARDS[0])
    with pytest.raises(ValueError, match="its card differs"):
        save_router(places[1].parent / "new", router(), replace(ROUTED, pooled=None))
    assert not (places[1].parent / "new").exists()
