"""Stacked networks against each network's own code: outputs, gradients, norms, and rows apart."""

from dataclasses import replace

import pytest
import torch

from modules.blocks import AdaLN, Size
from modules.dit import DiT, TextShape
from modules.stacking import Flat, Stack
from modules.text import Text

CPU = torch.device("cpu")


def shape(adaln):
    text = TextShape(length=3, width=6, pooled=5)
    return DiT(Size(16, 2, 2), image=8, channels=2, patch=4, adaln=adaln, text=text, frequencies=8)


def networks(count, adaln=AdaLN.SINGLE, text=None):
    """Networks of which no weight is zero."""
    torch.manual_seed(0)
    own = shape(adaln) if text is None else replace(shape(adaln), text=text)
    made = [own.build() for _ in range(count)]
    for network in made:
        for p in network.parameters():
            torch.nn.init.normal_(p, std=0.3)
    return made


def asked(count, rows=8):
    g = torch.Generator().manual_seed(1)
    x, t = torch.randn(count * rows, 2, 8, 8, generator=g), torch.rand(count * rows, generator=g)
    tokens, pooled = (torch.randn(count * rows, *s, generator=g) for s in ((3, 6), (5,)))
    drop = torch.rand(count * rows, generator=g) < 0.4
    return x, t, Text.of(tokens, pooled).dropped(drop)


@pytest.mark.parametrize("adaln", list(AdaLN))
@pytest.mark.parametrize("count", [1, 3])
def test_a_stack_computes_what_each_network_does(adaln, count):
    """kills: rows of one network given another's weights, biases, tables or null caption; patches
    cut in another order; a gradient lost, added twice or laid in another's row."""
    made = networks(count, adaln)
    flat = Flat(made, CPU)
    x, t, c = asked(count)
    y = Stack(made[0], flat)(x, t, c)
    (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
    weighing = torch.linspace(-1, 1, y.numel()).view_as(y).chunk(count)
    for k, network in enumerate(made):
        rows = slice(8 * k, 8 * k + 8)
        own = network(x[rows], t[rows], c[rows])
        torch.testing.assert_close(y[rows], own, rtol=1e-4, atol=1e-4)
        (own * weighing[k]).sum().backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in network.parameters()])
        torch.testing.assert_close(flat.gradient[k].norm(), norm, rtol=1e-4, atol=0)
        for name, p in network.named_parameters():
            found = flat.gradient[k, flat.places[name][0]].view(p.shape)
            torch.testing.assert_close(found, p.grad, rtol=1e-3, atol=1e-4 * float(norm))


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_the_bits_do_not_hang_on_the_height(count):
    """kills: a product, sum or attention whose rounding depends on what is beside it."""

    def first(height):
        flat = Flat(networks(8)[:height], CPU)
        x, t, c = asked(8)
        y = Stack(networks(1)[0], flat)(x[: 8 * height], t[: 8 * height], c[: 8 * height])
        y.square().flatten(1).mean(1).view(height, -1).mean(1).sum().backward()
        return y[:8], flat.gradient[0]

    for one, two in zip(first(1), first(count), strict=True):
        assert torch.equal(one, two)


def test_clipping_is_each_networks_own():
    """kills: one norm for all, a short gradient stretched, another constant than torch's."""
    made = networks(3)
    flat = Flat(made, CPU)
    g = torch.Generator().manual_seed(2)
    drawn = torch.randn(flat.gradient.shape, generator=g) * torch.tensor([[1e-4], [1.0], [50.0]])
    flat.gradient.copy_(drawn)
    flat.clip(1.0)
    for own, before in zip(flat.gradient, drawn, strict=True):
        p = torch.nn.Parameter(torch.zeros_like(before))
        p.grad = before.clone()
        torch.nn.utils.clip_grad_norm_([p], 1.0)
        torch.testing.assert_close(own, p.grad, rtol=1e-6, atol=0)


def test_a_row_is_a_network():
    """kills: tensors written to the wrong place, or a network that does not share its row."""
    one, two = networks(2)
    flat = Flat([one, two], CPU)
    three = networks(1)[0]
    flat.write(flat.weights[1], three)
    assert all(torch.equal(p, q) for p, q in zip(three.parameters(), two.parameters(), strict=True))
    alone, kept = Flat([one], CPU), [p.detach().clone() for p in one.parameters()]
    alone.bind(one)
    with torch.no_grad():
        alone.weights.mul_(2)
    assert all(torch.equal(p, 2 * q) for p, q in zip(one.parameters(), kept, strict=True))
    x, t, c = asked(1)
    one(x, t, c).sum().backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in one.parameters()])
    torch.testing.assert_close(alone.gradient.norm(), norm, rtol=1e-5, atol=0)


WIDE = TextShape(length=8, width=32, pooled=5)


def captioned(count, rows=8, sharing=True):
    """Questions of `count` networks, each with captions of its own; every other one drops some."""
    g, parts = torch.Generator().manual_seed(3), []
    for k in range(count):
        tokens, pooled = torch.randn(5, 8, 32, generator=g), torch.randn(5, 5, generator=g)
        caption = torch.randint(0, 1 + k % 5, (rows,), generator=g)
        drop = torch.rand(rows, generator=g) < (0.4 if k % 2 else 0.0)
        c = Text.of(tokens[caption], pooled[caption]).dropped(drop)
        parts.append(c.sharing(caption) if sharing else c)
    return *asked(count, rows)[:2], Text.joined(parts)


@pytest.mark.parametrize("count", [1, 3])
def test_a_caption_that_rows_share_is_read_once_and_answers_alike(count):
    """kills: a row given another's caption, one kept where it is dropped, another network's null
    caption or weights, a gradient of one of the rows alone."""
    made, found = networks(count, text=WIDE), []
    for sharing in (True, False):
        flat, (x, t, c) = Flat(made, CPU), captioned(count, sharing=sharing)
        stack, read = Stack(made[0], flat), []
        stack.network.text.register_forward_hook(lambda _, x, y, read=read: read.append(len(y)))
        y = stack(x, t, c)
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
        assert read == [len(c.shared.first) if sharing else 8 * count]
        found.append((y, flat.gradient))
    assert len(captioned(count)[2].shared.first) < 8 * count
    (y, gradient), (expected, wanted) = found
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-4 * float(wanted.norm()))


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_the_bits_do_not_hang_on_the_captions_beside(count):
    """kills: captions filled up to the longest in the stack, all read in one product."""

    def fourth_of(height):
        """The fourth network, alone or beside those before it and after."""
        made, (x, t, c) = networks(8, text=WIDE), captioned(8)
        kept = range(8)[3 - min(height - 1, 3) :][:height]
        rows = slice(8 * kept[0], 8 * kept[-1] + 8)
        parts = [c[8 * k : 8 * k + 8] for k in kept]
        parts = [own.sharing(own.tokens[:, 0, 0].unique(return_inverse=True)[1]) for own in parts]
        flat = Flat([made[k] for k in kept], CPU)
        y = Stack(made[0], flat)(x[rows], t[rows], Text.joined(parts))
        y.square().flatten(1).mean(1).view(height, -1).mean(1).sum().backward()
        at = kept.index(3)
        return y[8 * at : 8 * at + 8], flat.gradient[at]

    for one, two in zip(fourth_of(1), fourth_of(count), strict=True):
        assert torch.equal(one, two)
