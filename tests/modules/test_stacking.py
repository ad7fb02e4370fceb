"""Stacked networks against each network's own code: outputs, gradients, norms, and rows apart."""

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


def networks(count, adaln=AdaLN.SINGLE):
    """Networks of which no weight is zero."""
    torch.manual_seed(0)
    made = [shape(adaln).build() for _ in range(count)]
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
