"""Diffusion transformers: sizes as the papers count them, Eqs. 16-19, what reaches what."""

import math

import pytest
import torch
from torch import nn

from modules.blocks import AdaLN, Attention, Block, Size
from modules.dit import XL, B, DiT, DiTNetwork, TextShape, count_parameters
from modules.routing import RouterNetwork
from modules.text import Text

TINY = Size(32, 2, 4)
TEXT = TextShape(length=3, width=8, pooled=5)
both = pytest.mark.parametrize("adaln", list(AdaLN))


def shape(**changes):
    """8 x 8 images of 3 channels in 2 x 2 patches; width 32, two blocks."""
    settings = {"size": TINY, "image": 8, "channels": 3, "text": TEXT, "head_std": 0.5}
    return DiT(**(settings | changes))


def scrambled(network, seed=0):
    """The network in float64 with every parameter random, so that nothing is zero by its start."""
    g = torch.Generator().manual_seed(seed)
    for parameter in network.double().parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=g, dtype=torch.float64)
    return network


def inputs(rows=2, seed=0):
    g = torch.Generator().manual_seed(seed)

    def draw(*size):
        return torch.randn(rows, *size, generator=g, dtype=torch.float64)

    t = torch.linspace(0.2, 0.7, rows, dtype=torch.float64)
    return draw(3, 8, 8), t, Text.of(draw(3, 8), draw(5))


@pytest.mark.parametrize(
    ("network", "millions"),
    [
        (lambda: DiTNetwork(DiT(XL)), 605.970448),
        (lambda: DiTNetwork(DiT(XL, adaln=AdaLN.ZERO)), 823.608592),
        (lambda: DiTNetwork(DiT(B)), 118.566928),
        (lambda: RouterNetwork(DiT(B, adaln=AdaLN.ZERO, text=None), 8, None), 129.136904),
    ],
    ids=["XL/2", "XL/2 AdaLN-Zero", "B/2", "router B/2"],
)
def test_parameter_counts(network, millions):
    """kills: an extra bias or norm weight, a lost table, or a null embedding that is counted."""
    with torch.device("meta"):
        assert count_parameters(network()) == round(millions * 1e6)


@pytest.mark.parametrize(("d", "depth", "adaln"), [(1152, 28, "single"), (32, 2, "zero")])
def test_the_count_from_a_formula(d, depth, adaln):
    """kills: counts that agree by luck: every layer is summed by hand, at two shapes."""
    layers = {"patches": (4 * 4 + 1) * d, "positions": 256 * d, "text": (768 + 1) * d}
    layers |= {"time": (256 + 1) * d + (d + 1) * d, "head": (d + 1) * 16}
    block = 4 * (d + 1) * d + 4 * (d + 1) * d + (d + 1) * 4 * d + (4 * d + 1) * d
    if adaln == "single":
        layers |= {"global": (d + 1) * 6 * d, "final": 2 * d}
        block += 6 * d
    else:
        layers["final"] = (d + 1) * 2 * d
        block += (d + 1) * 6 * d
    size = Size(d, depth, 16 if d == 1152 else 4)
    with torch.device("meta"):
        found = count_parameters(DiTNetwork(DiT(size, adaln=AdaLN(adaln))))
    assert found == sum(layers.values()) + depth * block


@both
def test_a_patch_reaches_its_own_place_alone(adaln):
    """kills: rows and columns, or patch and pixel axes, exchanged in unpatchify."""
    network = scrambled(DiTNetwork(shape(adaln=adaln)))
    network.trunk.blocks = nn.ModuleList()  # nothing mixes the tokens now
    x, t, c = inputs(1)
    jacobian = torch.autograd.functional.jacobian(lambda x: network(x, t, c), x)
    reach = jacobian[0, :, :, :, 0].abs().amax(dim=(0, 3)) > 0  # [H, W] out, [H, W] in
    patch = torch.arange(8) // 2
    place = 4 * patch[:, None] + patch
    assert torch.equal(reach, place[:, :, None, None] == place)


def test_unpatchify_undoes_patchify():
    """kills: a head ordered (channel, row, column); DiT's is (row, column, channel)."""
    network = DiTNetwork(shape(adaln=AdaLN.ZERO, text=None)).double()
    trunk, final = network.trunk, network.final
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    trunk.positions.zero_()
    entries = [(i, j, channel) for i in range(2) for j in range(2) for channel in range(3)]
    for n, (i, j, channel) in enumerate(entries):
        trunk.patches.weight.data[n, channel, i, j] = 1
        final.linear.weight.data[n, n] = 1
    final.norm = nn.Identity()
    x, t, _ = inputs()
    assert torch.equal(network(x, t), x)


def attend(attention, h, context):
    """Softmax attention written out, head by head."""
    d, width = h.shape[-1], h.shape[-1] // attention.heads
    q, kv = attention.query(h), attention.key_value(context)
    heads = []
    for i in range(attention.heads):
        own = slice(i * width, (i + 1) * width)
        k, v = kv[..., :d][..., own], kv[..., d:][..., own]
        heads.append((q[..., own] @ k.mT / math.sqrt(width)).softmax(-1) @ v)
    return attention.out(torch.cat(heads, -1))


def normalise(h):
    return (h - h.mean(-1, keepdim=True)) / (h.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()


@both
def test_a_block_is_equations_16_to_19(adaln):
    """kills: shift before scale, gates exchanged, or cross-attention of the raw residual."""
    block = scrambled(Block(TINY, adaln, with_text=True))
    g = torch.Generator().manual_seed(3)
    h, e = (torch.randn(2, n, 32, generator=g, dtype=torch.float64) for n in (16, 3))
    tau, shared = (torch.randn(2, *s, 32, generator=g, dtype=torch.float64) for s in ((), (6,)))
    if adaln is AdaLN.SINGLE:
        six = shared + block.modulation.table
    else:
        own = block.modulation.linear
        six = (tau * tau.sigmoid() @ own.weight.T + own.bias).reshape(2, 6, 32)
    scale, shift, gate, scale_mlp, shift_mlp, gate_mlp = (six[:, i : i + 1] for i in range(6))
    normed = normalise(h) * (1 + scale) + shift
    h1 = h + gate * attend(block.attention, normed, normed)
    h2 = h1 + attend(block.cross, normalise(h1), e)
    expected = h2 + gate_mlp * block.mlp(normalise(h2) * (1 + scale_mlp) + shift_mlp)
    torch.testing.assert_close(block(h, tau, shared, e), expected, rtol=1e-10, atol=1e-10)


def test_adaln_zero_blocks_are_the_identity_at_first():
    """kills: gates that do not start at zero, or an attention that ignores them."""
    block = Block(TINY, AdaLN.ZERO, with_text=True)
    h, tau, e = torch.randn(2, 16, 32), torch.randn(2, 32), torch.randn(2, 3, 32)
    assert torch.equal(block(h, tau, None, e), h)
    assert Attention(32, 4)(h, h).abs().max() > 0  # it is the gate that closes


@both
def test_cross_attention_contributes_nothing_at_first(adaln):
    """kills: a cross-attention output that starts with Xavier weights.  (§2.5)"""
    torch.manual_seed(0)
    network = DiTNetwork(shape(adaln=adaln)).double()
    x, t, c = inputs()
    assert network(x, t, c).abs().max() > 0
    assert torch.equal(network(x, t, c), network(x, t, c.null()))
    network.trunk.blocks[0].cross.out.weight.data.normal_()
    assert not torch.allclose(network(x, t, c), network(x, t, c.null()))


@both
def test_the_null_embedding_stands_exactly_where_keep_is_false(adaln):
    """kills: keep inverted, or zeros or the whole batch put in place of the learned null."""
    network = scrambled(DiTNetwork(shape(adaln=adaln)))
    x, t, c = inputs(4)
    other = inputs(4, seed=1)[2]
    drop = torch.tensor([False, True, False, True])
    y, y_other = network(x, t, c.dropped(drop)), network(x, t, other.dropped(drop))
    assert torch.equal(y[drop], y_other[drop])
    assert (y[~drop] - y_other[~drop]).abs().flatten(1).amax(1).min() > 1e-3
    torch.testing.assert_close(y[~drop], network(x, t, c)[~drop])
    as_caption = Text.of(network.null.detach().expand(4, -1, -1), c.pooled)
    torch.testing.assert_close(y[drop], network(x, t, as_caption)[drop])


def test_time_enters_as_sinusoids_of_1000_t():
    """kills: t itself embedded, sines before cosines, or another range of frequencies."""
    network, seen = scrambled(DiTNetwork(shape())), []
    network.trunk.time.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x, t, c = inputs(3)
    y = network(x, t, c)
    frequencies = [10_000 ** (-i / 128) for i in range(128)]
    for row, time in enumerate(t.tolist()):
        angles = [1000 * time * f for f in frequencies]
        expected = [math.cos(a) for a in angles] + [math.sin(a) for a in angles]
        assert seen[0][row].tolist() == pytest.approx(expected, abs=1e-4)
    assert (network(x, t.flip(0), c) - y)[0].abs().max() > 1e-3


def router(pooled=None):
    return RouterNetwork(shape(text=None, adaln=AdaLN.ZERO), 5, pooled)


def test_the_router_reads_text_only_if_told_to():
    """kills: captions that leak into the text-free router, or tokens read by either."""
    x, t, c = inputs()
    deaf, hears = scrambled(router()), scrambled(router(pooled=5))
    assert torch.equal(deaf(x, t, c), deaf(x, t))
    changed = Text.of(torch.zeros_like(c.tokens), c.pooled)
    assert torch.equal(hears(x, t, c), hears(x, t, changed))
    assert (hears(x, t, c) - hears(x, t, c.null())).abs().max() > 1e-3
    null = Text.of(c.tokens, hears.null.detach().expand(2, -1))
    torch.testing.assert_close(hears(x, t, c.null()), hears(x, t, null))


def test_the_router_reads_its_class_token():
    """kills: logits read off a patch, or an average of them (blocks are the identity at first)."""
    network = router().double()
    x, t, _ = inputs()
    expected = network.head(network.class_token[:, 0]).expand(2, -1)
    torch.testing.assert_close(network(x, t), expected)
    assert scrambled(network)(x, t).diff(dim=0).abs().max() > 1e-3


def test_positions_tell_rows_from_columns():
    """kills: one axis embedded twice, or positions added after the blocks."""
    trunk = DiTNetwork(shape()).trunk
    table = trunk.positions.reshape(4, 4, 32)
    assert torch.equal(table[0, :, :16], table[3, :, :16])  # the first half is the column's
    assert torch.equal(table[:, 0, 16:], table[:, 3, 16:])
    distance = torch.cdist(trunk.positions[0], trunk.positions[0]) + torch.eye(16)
    assert distance.min() > 0.1
    torch.testing.assert_close(trunk.embed(torch.zeros(1, 3, 8, 8)), trunk.positions)


def test_impossible_shapes_and_missing_captions_are_refused():
    """kills: a shape or a caption that is wrong and goes through unnoticed."""
    x, t, _ = inputs()
    with pytest.raises(ValueError, match="divide"):
        Size(30, 2, 4)
    with pytest.raises(ValueError, match="patch"):
        shape(image=9)
    with pytest.raises(ValueError, match="reads captions"):
        DiTNetwork(shape()).double()(x, t)
    with pytest.raises(ValueError, match="reads captions"):
        router(pooled=5).double()(x, t)
    with pytest.raises(ValueError, match="must be None"):
        RouterNetwork(shape(), 5, None)
