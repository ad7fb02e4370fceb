"""FLUX's MM-DiT: its size by hand, its tokens, its positions, its captions and its first frame."""

from dataclasses import replace

import pytest
import torch

from modules import mmdit
from modules.mmdit import FLUX, B, L, MMDiT, MMSize, S, pack, rotary_axes, token_ids, unpack
from modules.text import Text
from tests.helpers.small_video import SHAPE, alive, clips, condition, given


def counted(shape):
    """Parameters: the sum of every layer, by hand."""

    def linear(inputs, outputs):
        return (inputs + 1) * outputs

    d, head = shape.size.width, shape.size.width // shape.size.heads
    given = shape.width + shape.patch**2 if shape.first else 0
    around = linear(shape.width + given, d) + linear(shape.text.width, d)
    around += linear(256, d) + linear(shape.text.pooled, d) + 2 * linear(d, d)
    around += linear(d, 2 * d) + linear(d, shape.width)
    feed = linear(d, 4 * d) + linear(4 * d, d)
    double = 2 * (linear(d, 6 * d) + 4 * linear(d, d) + 2 * head + feed)
    single = linear(d, 3 * d) + 3 * linear(d, d) + 2 * head + linear(d, 4 * d) + linear(5 * d, d)
    return around + shape.size.double * double + shape.size.single * single


def parameters(shape):
    with torch.device("meta"):
        return sum(p.numel() for p in shape.build().parameters())


@pytest.mark.parametrize(
    ("shape", "millions"),
    [
        (MMDiT(S), 41.62),
        (MMDiT(B), 240.21),
        (MMDiT(L), 1887.04),
        (MMDiT(FLUX), 11891.18),
        (MMDiT(S, first=True), 41.64),
        (MMDiT(MMSize(24, 1, 3, 2), 4, 3, 4, text=mmdit.TextShape(5, 6, 7)), 0.06),
    ],
    ids=["S", "B", "L", "FLUX", "first", "tiny"],
)
def test_parameters_are_the_sum_by_hand(shape, millions):
    """kills: a block too few, a guidance embedder, an input or text of another width."""
    found = parameters(shape)
    assert found == counted(shape)
    assert round(found / 1e6, 2) == millions


def test_flux_is_flux_dev_without_its_guidance():
    """kills: another width, depth or text encoder than the weights that experts begin with."""
    guidance = (256 + 1) * 3072 + (3072 + 1) * 3072
    assert parameters(MMDiT()) + guidance == 11_901_408_320  # as FLUX.1-dev's file has


@pytest.mark.parametrize(
    ("head", "expected"),
    [(128, (16, 56, 56)), (64, (8, 28, 28)), (32, (4, 14, 14)), (16, (4, 6, 6))],
)
def test_a_head_is_divided_as_fluxs(head, expected):
    """kills: an odd share, which has no pairs; shares that do not add up."""
    assert rotary_axes(head) == expected


def test_what_cannot_be_divided_is_refused():
    """kills: rotations of half a pair, or a patch that leaves pixels out."""
    for wrong in (lambda: rotary_axes(4), lambda: rotary_axes(18), lambda: MMSize(48, 1, 1, 5)):
        with pytest.raises(ValueError, match="divide"):
            wrong()
    with pytest.raises(ValueError, match="patch 2 does not divide"):
        replace(SHAPE, side=5)
    with pytest.raises(ValueError, match="reads captions"):
        SHAPE.build()(clips(1), torch.ones(1))


def test_a_token_holds_its_own_patch():
    """kills: frames, rows and columns exchanged, or channels last; ids in another order."""
    x = torch.arange(2 * 3 * 2 * 4 * 6).view(2, 3, 2, 4, 6)
    tokens, ids = pack(x, 2), token_ids(2, 2, 3).long().tolist()
    assert tokens.shape == (2, len(ids), 12)
    assert ids == sorted(ids)
    for token, (frame, row, column) in zip(tokens[1], ids, strict=True):
        patch = x[1, :, frame, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert torch.equal(token, patch.reshape(-1))
    assert torch.equal(unpack(tokens, x, 2), x)


def moved(axis, x):
    """The frames, rows or columns of patches of x [B, C, T, H, W] in another order."""
    b, c, t, h, w = x.shape
    cut = x.view(b, c, t, h // 2, 2, w // 2, 2)
    place = (2, 3, 5)[axis]
    return cut.roll(1, place).reshape(x.shape)


@pytest.mark.parametrize("axis", range(3))
def test_each_axis_is_told_apart_by_its_own_id(monkeypatch, axis):
    """kills: frames, rows or columns without positions, or with another axis's."""
    network, x, c, t = alive(SHAPE), clips(), condition(), torch.full((2,), 0.4)
    with torch.no_grad():
        told = network(moved(axis, x), t, c) - moved(axis, network(x, t, c))
        monkeypatch.setattr(
            mmdit, "token_ids", lambda *n: token_ids(*n) * (torch.arange(3) != axis)
        )
        blind = network(moved(axis, x), t, c) - moved(axis, network(x, t, c))
    assert blind.abs().max() < 1e-4
    assert told.abs().max() > 0.01


def test_positions_are_relative():
    """kills: positions added to what tokens say, by which a clip's place would be learned; text at
    another place than the origin, where FLUX has it."""
    whole, c = alive(SHAPE), condition()
    network = whole.transformer
    ids, text = token_ids(3, 2, 2), torch.zeros(c.tokens.shape[1], 3)

    def answer(ids, text):
        with torch.no_grad():
            return network(
                pack(clips(), 2), c.tokens, c.pooled, torch.full((2,), 0.4), ids, text,
                return_dict=False,
            )[0]  # fmt: skip

    here, far = answer(ids, text), torch.tensor([3.0, 1, 2])
    with torch.no_grad():
        assert torch.equal(whole(clips(), torch.full((2,), 0.4), c), unpack(here, clips(), 2))
    torch.testing.assert_close(answer(ids + far, text + far), here, atol=1e-4, rtol=1e-3)
    assert (answer(2 * ids, text) - here).abs().max() > 0.01


def test_time_is_embedded_in_thousandths():
    """kills: t a thousand times too small, or twice multiplied."""
    network, seen = alive(SHAPE), []
    network.transformer.time_text_embed.time_proj.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0])
    )
    network(clips(), torch.tensor([0.25, 1.0]), condition())
    assert seen[0].tolist() == [250, 1000]


def test_a_dropped_caption_is_the_empty_string():
    """kills: a dropped caption that is read, zeros in its place, a null for all rows or none."""
    network, x, t, c = alive(SHAPE), clips(), torch.full((2,), 0.4), condition()
    null_t5, null_clip = torch.randn(5, 12), torch.randn(7)
    network.set_null(null_t5, null_clip)
    spoken = Text.of(torch.stack([null_t5, c.tokens[1]]), torch.stack([null_clip, c.pooled[1]]))
    with torch.no_grad():
        found = network(x, t, c.dropped(torch.tensor([True, False])))
        torch.testing.assert_close(found, network(x, t, spoken), rtol=0, atol=0)
        assert (found - network(x, t, c))[0].abs().max() > 1e-3
        assert torch.equal(found[1], network(x, t, c)[1])
    assert {"null_t5", "null_clip"} <= network.state_dict().keys()


def test_a_network_that_is_given_no_frame_ignores_one():
    """kills: a frame that reaches experts of text-to-video."""
    network, x, t, c = alive(SHAPE), clips(), torch.full((2,), 0.4), condition()
    assert torch.equal(network(x, t, replace(c, first=given())), network(x, t, c))


def test_the_first_frame_stands_beside_x_alone_in_its_place():
    """kills: a frame shown in every frame, a mask upside down, a dropped frame that is shown."""
    network, seen = replace(SHAPE, first=True).build(), []
    network.transformer.x_embedder.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0])
    )
    x, c, first = clips(), condition(), given(keep=(True, False))
    for some in (replace(c, first=first), c):
        network(x, torch.ones(2), some)
    shown, hidden = (h.unflatten(1, (3, 4)) for h in seen)  # [B, T, 4, 12 + 12 + 4]
    for h in (shown, hidden):
        assert torch.equal(h[..., :12].flatten(1, 2), pack(x, 2))
    assert torch.equal(shown[0, 0, :, 12:24], pack(first.latent[:1], 2)[0])
    assert (shown[0, 0, :, 24:] == 1).all()
    assert not shown[0, 1:, :, 12:].any()
    assert not shown[1, :, :, 12:].any()
    assert not hidden[..., 12:].any()


def test_a_new_network_answers_zero():
    """kills: an output or a modulation that is drawn, not zero."""
    network = SHAPE.build()
    assert not network(clips(), torch.ones(2), condition()).any()
    gates = [p for name, p in network.named_parameters() if "norm" in name and "linear" in name]
    assert len(gates) == 2 * (2 * SHAPE.size.double + SHAPE.size.single + 1)
    assert not any(p.any() for p in gates)


def gradients(network, checkpointed):
    network.checkpoint(checkpointed)
    network.zero_grad()
    network(clips(), torch.full((2,), 0.4), condition()).square().sum().backward()
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


def test_checkpointing_changes_no_bit():
    """kills: a switch that does nothing, or a block that is run again on other numbers."""
    network, calls = alive(SHAPE).train(), []
    network.transformer.single_transformer_blocks[0].register_forward_pre_hook(
        lambda *_: calls.append(0)
    )
    plain, runs = gradients(network, False), len(calls)
    again = gradients(network, True)
    assert (runs, len(calls)) == (1, 3)
    assert len(plain) == len(again) > 40
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    gradients(network, False)
    assert len(calls) == 4


def test_under_autocast_the_answer_is_float32():
    """kills: velocities of eight bits, added up over the steps of a sampler."""
    network = alive(SHAPE)
    x, t, c = clips(), torch.full((2,), 0.4), condition()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        found = network(x, t, c)
    assert found.dtype == x.dtype == torch.float32
    exact = network(x, t, c)
    assert 0 < float((found - exact).norm() / exact.norm()) < 0.1


def test_every_layer_is_asked():
    """kills: parameters that no answer depends on: a block left out, a text read by none."""
    network = alive(SHAPE).train()
    gradients(network, False)
    names = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert names == []


@pytest.mark.longest
def test_compiled_blocks_answer_alike():
    """kills: blocks of one kind left out, or weights under other names."""
    network = alive(SHAPE)
    x, t, c = clips(), torch.full((2,), 0.4), condition()
    names, before = list(network.state_dict()), network(x, t, c)
    network.compile_blocks()
    torch._dynamo.utils.counters.clear()
    assert torch.allclose(network(x, t, c), before, atol=1e-5)
    assert list(network.state_dict()) == names
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert 2 <= graphs <= 3  # double and single, of which a first block's tokens lie otherwise
