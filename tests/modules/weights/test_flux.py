"""Weights taken over from FLUX's layout: every tensor accounted for, or nothing copied."""

from dataclasses import replace

import pytest
import torch

from modules.weights.checkpoint import CheckpointError
from modules.weights.flux import WIDENED, initialise
from tests.helpers.small_video import SHAPE, alive, clips, condition, enliven, given, randn

FIRST = replace(SHAPE, first=True)
T = torch.tensor([0.2, 0.7])


def source(seed=5):
    """Another network's tensors, by diffusers' names."""
    return alive(SHAPE, seed).transformer.state_dict()


def test_every_tensor_is_copied():
    """kills: a tensor left as it was drawn, or lists that do not add up."""
    network, found = SHAPE.build(), source()
    report = initialise(found, network, "FLUX")
    assert report.copied == sorted(found)
    assert report.widened == report.dropped == []
    for name, x in network.transformer.state_dict().items():
        assert torch.equal(x, found[name]), name
        assert x.data_ptr() != found[name].data_ptr()
    with torch.no_grad():
        theirs = alive(SHAPE, 5)(clips(), T, condition())
        assert torch.equal(network(clips(), T, condition()), theirs)


def test_a_widened_network_answers_as_before():
    """kills: new columns that are drawn, or that stand before the old ones."""
    network = enliven(FIRST.build())
    report = initialise(source(), network, "FLUX")
    assert (report.widened, report.dropped) == ([WIDENED], [])
    assert WIDENED not in report.copied
    assert len(report.copied) + 1 == len(network.transformer.state_dict())
    x, c = clips(), condition()
    with torch.no_grad():
        before = alive(SHAPE, 5)(x, T, c)
        for some in (c, replace(c, first=given())):
            torch.testing.assert_close(network(x, T, some), before, atol=1e-5, rtol=1e-4)
        weight = network.transformer.x_embedder.weight
        weight[:, SHAPE.width :] = randn(24, SHAPE.width + 4)
        shown = network(x, T, replace(c, first=given(keep=(True, False))))
    assert (shown - before)[0].abs().max() > 0.01
    torch.testing.assert_close(shown[1], before[1], atol=1e-5, rtol=1e-4)


def test_a_widened_networks_weights_go_on_whole():
    """kills: a third stage that forgets what the second learned of first frames."""
    second = alive(FIRST, 5).transformer.state_dict()
    third = FIRST.build()
    assert initialise(second, third, "Stage 2").widened == []
    assert torch.equal(third.transformer.x_embedder.weight, second[WIDENED])


def test_the_guidance_embedder_is_left_out():
    """kills: a distilled guidance copied, or taken for another network's tensor."""
    found, network = source(), SHAPE.build()
    name = "time_text_embed.guidance_embedder.linear_1.weight"
    report = initialise({**found, name: torch.ones(24, 256)}, network, "FLUX")
    assert report.dropped == [name]
    assert report.copied == sorted(found)
    lines = str(report).splitlines()
    assert f"left out  {name}" in lines
    assert len(lines) == len(found) + 1
    assert f"copied    {sorted(found)[0]}" in lines


def lacking(found):
    del found["proj_out.bias"]


def foreign(found):
    found["proj_out.gain"] = torch.ones(3)


def misshapen(found):
    found["transformer_blocks.0.attn.norm_q.weight"] = torch.ones(13)


def too_wide(found):
    found[WIDENED] = torch.ones(24, SHAPE.width + 1)


def too_narrow(found):
    found[WIDENED] = torch.ones(24, SHAPE.width - 1)


def of_other_rows(found):
    found[WIDENED] = torch.ones(25, SHAPE.width)


@pytest.mark.parametrize("shape", [SHAPE, FIRST], ids=["plain", "first"])
@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lacking, "proj_out.bias"),
        (foreign, "proj_out.gain"),
        (misshapen, "transformer_blocks.0.attn.norm_q.weight"),
        (too_wide, WIDENED),
        (too_narrow, WIDENED),
        (of_other_rows, WIDENED),
        (lambda found: found.pop(WIDENED), WIDENED),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_copied(spoil, named, shape):
    """kills: a tensor left as drawn in silence, half a copy, a first layer of another width."""
    if (spoil, shape) == (too_wide, FIRST):
        pytest.skip("a first layer may gain columns")
    network, found = shape.build(), source()
    before = {name: x.clone() for name, x in network.transformer.state_dict().items()}
    spoil(found)
    with pytest.raises(CheckpointError, match=f"FLUX is another network's: .*{named}"):
        initialise(found, network, "FLUX")
    for name, x in network.transformer.state_dict().items():
        assert torch.equal(x, before[name]), name
