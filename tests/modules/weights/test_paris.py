"""Paris 1.0's layout, against an expert and a router of torch's own layers."""

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.blocks import Size
from modules.dit import DiT, DiTNetwork, count_parameters
from modules.objectives import Velocity
from modules.routing import RouterNetwork
from modules.schedules import Linear
from modules.selection import Full, Top
from modules.text import Text
from modules.timesteps import Rounded
from modules.weights import paris
from modules.weights.checkpoint import CheckpointError
from modules.weights.layouts import source_shapes, unused_rows
from modules.weights.paris import PARIS_1, Conventions, expert_layout, router_layout
from tests.helpers.hub import HUB, ROUTER, TEXT, Router, experts, random


def inputs(rows=4):
    g = torch.Generator().manual_seed(5)
    x, tokens = (torch.randn(rows, *s, generator=g) for s in ((4, 8, 8), (5, 12)))
    null = torch.randn(5, 12, generator=g)
    return x, torch.linspace(0.013, 0.987, rows), tokens, null


def test_experts_and_router_compute_what_the_hubs_do(hub):
    """kills: scale for shift, a gate exchanged, q for v, a normalised cross-attention, rounded
    times, the raw table of the final layer, or a position for the class token."""
    x, t, tokens, null = inputs()
    ensemble = paris.load(hub, null, Full(), ROUTER)
    c = Text.of(tokens, torch.zeros(4, 12))
    for found, model in zip(ensemble.experts, experts(), strict=True):
        torch.testing.assert_close(
            found.network(x, t, c), model(x, t, tokens), rtol=1e-5, atol=1e-5
        )
        assert (found.objective, found.schedule) == (Velocity(), Linear())
    p = random(Router(), 9)(x, t).softmax(1)
    torch.testing.assert_close(ensemble.router(x, t, c), p, rtol=1e-5, atol=1e-5)
    u = sum(p[:, k, None, None, None] * m(x, t, tokens) for k, m in enumerate(experts()))
    torch.testing.assert_close(ensemble(x, t, c), u, rtol=1e-5, atol=1e-5)


def test_unconditional_is_the_empty_caption_given(hub):
    """kills: a null drawn at random or left empty, where these weights have learned none."""
    x, t, tokens, null = inputs()
    network = paris.load(hub, null, router=ROUTER).experts[1].network
    found = network(x, t, Text.of(tokens, torch.zeros(4, 12)).null())
    expected = experts()[1](x, t, null.expand(4, -1, -1))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "other",
    [
        Conventions(six=(0, 1, 2, 3, 4, 5)),
        Conventions(two=(0, 1)),
        Conventions(cross_norm=True),
        Conventions(time=Rounded()),
    ],
    ids=["order", "final order", "cross-attention", "time"],
)
def test_every_convention_is_told_apart(hub, other):
    """kills: a convention that nothing reads, or a test that no convention can fail."""
    x, t, tokens, null = inputs()
    shape = DiT(Size(16, 2, 4), 8, 4, 2, text=TEXT)
    path = hub / "expert_0" / paris.WEIGHTS
    network = paris.load_expert(path, shape, null, other)
    found = network(x, t, Text.of(tokens, torch.zeros(4, 12)))
    assert (found - experts()[0](x, t, tokens)).abs().max() > 1e-3


def test_sampling_is_as_published(hub):
    """kills: another selection than top-2, renormalised, by default."""
    x, t, tokens, null = inputs()
    ensemble = paris.load(hub, null, router=ROUTER)
    assert (paris.STEPS, paris.GUIDANCE, ensemble.selection) == (50, 7.5, Top(2))
    w = ensemble.weights(x, t, Text.of(tokens, torch.zeros(4, 12)))
    assert ((w > 0).sum(1) == 2).all()
    torch.testing.assert_close(w.sum(1), torch.ones(4))


def test_the_real_sizes():
    """kills: a key that the layout reads twice or not at all: 605.970M of an expert and 129.137M of
    the router, positions counted, from the hub's shapes alone."""
    xl = DiT(cross_norm=False)
    with torch.device("meta"):
        expert, router = DiTNetwork(xl), RouterNetwork(paris.ROUTER, 8, None)
    for network, layout, millions in (
        (expert, expert_layout(xl), 605.970448),
        (router, router_layout(paris.ROUTER), 129.136904),
    ):
        state = network.state_dict()
        shapes = source_shapes(layout, state)
        assert sum(math.prod(s) for s in shapes.values()) == round(millions * 1e6)
        assert count_parameters(network) == round(millions * 1e6)
        assert state.keys() - layout.keys() == ({"null"} if network is expert else set())
        assert unused_rows(layout) == []
    shapes = source_shapes(expert_layout(xl), expert.state_dict())
    assert shapes["t_block.1.weight"] == (6912, 1152)
    assert shapes["layers.27.attn.in_proj_weight"] == (3456, 1152)
    assert shapes["text_proj.weight"] == (1152, 768)
    assert shapes["final_layer.scale_shift_table"] == (2, 1152)
    assert PARIS_1 == Conventions() != Conventions(cross_norm=True)


def spoilt(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("layers.1.cross_attn.in_proj_bias"), "missing: layers.1.cross_attn.in_p"),
        (lambda t: t.update(y_embed=torch.zeros(1)), "unused: y_embed"),
        (
            lambda t: t.update({"text_proj.bias": torch.zeros(8)}),
            r"text_proj.bias \[8\] for \[16\]",
        ),
    ],
)
def test_differing_keys_are_named(hub, change, said):
    """kills: strict=False, which hides both missing and unused keys."""
    spoilt(hub / "expert_2" / paris.WEIGHTS, change)
    with pytest.raises(CheckpointError, match=f"expert_2.*{said}"):
        paris.load(hub, inputs()[3], router=ROUTER)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda hub: shutil.rmtree(hub / "expert_1"), "expert_1"),
        (lambda hub: (hub / "router/pytorch_model.safetensors").write_bytes(b"x"), "cannot read"),
        (lambda hub: (hub / "config.json").write_text("{"), "cannot read"),
        (lambda hub: (hub / "config.json").write_text("{}"), "expert_architecture is None"),
        (
            lambda hub: shutil.copy(hub / "expert_0/config.json", hub / "expert_1/config.json"),
            "expert_id is 0, not 1",
        ),
        (
            lambda hub: (hub / "config.json").write_text(json.dumps({**HUB, "num_experts": 2})),
            r"head.4.bias \[3\] for \[2\]",
        ),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(hub, spoil, said):
    """kills: an ensemble of fewer experts, of one expert twice, or a traceback with no file."""
    spoil(hub)
    with pytest.raises(CheckpointError, match=said):
        paris.load(hub, inputs()[3], router=ROUTER)


def test_a_null_of_another_length_is_refused(hub):
    """kills: an empty caption broadcast over tokens it was not encoded for."""
    shape = DiT(Size(16, 2, 4), 8, 4, 2, text=replace(TEXT, length=7))
    with pytest.raises(CheckpointError, match="null is"):
        paris.load_expert(hub / "expert_0" / paris.WEIGHTS, shape, inputs()[3])
