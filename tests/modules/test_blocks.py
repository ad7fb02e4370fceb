"""Attention in either precision, alone and stacked, against a softmax written out in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from modules.blocks import Attention, Size, attended
from modules.dit import DiT, TextShape
from modules.text import Text


def drawn_heads(dtype, seed=0):
    """q [3, 2, 8, 16] and k, v [3, 2, 5, 16] as a layer leaves them: transposed views."""
    g = torch.Generator().manual_seed(seed)
    q = torch.randn(3, 8, 2, 16, generator=g).to(dtype).transpose(1, 2)
    kv = torch.randn(3, 5, 2, 2, 16, generator=g).to(dtype)
    return q, kv[:, :, 0].transpose(1, 2), kv[:, :, 1].transpose(1, 2)


@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_attention_is_the_softmax_in_either_precision(dtype, off):
    """kills: products without the scale, a softmax over queries, gradients of other numbers."""
    heads = [x.detach().requires_grad_() for x in drawn_heads(dtype)]
    q, k, v = exact = [x.detach().double().requires_grad_() for x in heads]
    found, expected = attended(*heads), (q @ k.mT / 4).softmax(-1) @ v
    assert found.dtype is dtype
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    assert torch.allclose(found.double(), expected, atol=off)
    for one, other in zip(heads, exact, strict=True):
        assert torch.allclose(one.grad.double(), other.grad, atol=2 * off)


def test_attention_in_float32_is_torchs_kernel():
    """kills: matrix products for all precisions, which round otherwise and take longer."""
    heads = drawn_heads(torch.float32)
    assert torch.equal(attended(*heads), F.scaled_dot_product_attention(*heads))


@pytest.mark.longest
def test_compiled_blocks_answer_alike():
    """kills: blocks under other names, a graph for every block, blocks that are not compiled."""
    torch.manual_seed(0)
    network = DiT(Size(32, 3, 4), 8, 3, text=TextShape(3, 8, 5), head_std=0.5).build()
    given = torch.randn(2, 3, 8, 8), torch.rand(2), Text.of(torch.randn(2, 3, 8), torch.randn(2, 5))
    names, before = list(network.state_dict()), network(*given)
    network.trunk.compile_blocks()
    torch._dynamo.utils.counters.clear()
    assert torch.allclose(network(*given), before, atol=1e-5)
    assert list(network.state_dict()) == names
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.longest
def test_blocks_compiled_for_rows_that_vary_round_alike_whichever_came_first():
    """kills: a graph for each number of rows, or one of its own for the first of them."""
    torch.manual_seed(0)
    network = DiT(Size(32, 2, 4), 8, 3, text=None, head_std=0.5).build().eval()
    x, t = torch.randn(7, 3, 8, 8), torch.rand(7)
    found = list[list[torch.Tensor]]()
    for numbers in ((7, 3, 5), (5, 7, 3)):
        torch._dynamo.reset()
        network.trunk.compile_blocks(rows_vary=True)
        torch._dynamo.utils.counters.clear()
        with torch.inference_mode():
            answers = {n: network(x[:n], t[:n]) for n in numbers}
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
        found.append([answers[n] for n in (3, 5, 7)])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("batch", [8, 7])
@pytest.mark.parametrize("context", [4, 10, 17])
def test_samples_that_attend_together_see_their_own_context_alone(batch, context):
    """kills: another sample's keys or values, gradients of them, a group of another's rows."""
    torch.manual_seed(0)
    layer = Attention(32, 4)
    h, seen = torch.randn(batch, 4, 32), torch.randn(batch, context, 32)
    given = [h.requires_grad_(), seen.requires_grad_(), *layer.parameters()]
    together = layer(h, seen)
    apart = torch.cat([layer(h[i : i + 1], seen[i : i + 1]) for i in range(batch)])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-6)
    weight = torch.randn_like(together)
    found = torch.autograd.grad((together * weight).sum(), given)
    for one, other in zip(found, torch.autograd.grad((apart * weight).sum(), given), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        seen[1] += 1
    others = torch.arange(batch) != 1
    assert torch.equal(layer(h, seen)[others], together[others])
    with torch.no_grad():
        assert torch.equal(layer(h, seen)[:1], layer(h[:1], seen[:1]))


def test_attention_counted_without_numbers_leaves_no_trace():
    """kills: a mask without numbers that is kept for the training that follows."""
    layer = Attention(32, 4)
    with FakeTensorMode(allow_non_fake_inputs=True):
        fake = torch.empty(8, 3, 32)
        layer(fake, fake)
    h = torch.randn(8, 3, 32)
    torch.testing.assert_close(layer(h, h)[:1], layer(h[:1], h[:1]), rtol=1e-5, atol=1e-6)
