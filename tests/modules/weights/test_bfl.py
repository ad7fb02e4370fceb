"""Weights by the names of FLUX's authors and Open-Sora's, against their network written out."""

import itertools

import pytest
import torch

from modules.dit import TextShape
from modules.mmdit import MMDiT, MMDiTNetwork, MMSize, pack, token_ids
from modules.text import GivenFrame, Text
from modules.weights import flux
from modules.weights.bfl import FLUX, OPEN_SORA, Naming, Rotary, flux_layout, renamed
from modules.weights.checkpoint import CheckpointError
from modules.weights.layouts import unused_rows
from tests.helpers.originals.flux import Original, drawn

SIZE = MMSize(32, 2, 2, 2)
SHAPE = MMDiT(SIZE, 4, 3, 4, text=TextShape(5, 24, 12))
GIVEN = MMDiT(SIZE, 4, 3, 4, text=TextShape(5, 24, 12), first=True)


def network(shape):
    torch.manual_seed(1)
    return MMDiTNetwork(shape).eval()


def filled(model, shape, **more):
    found = network(shape)
    state = renamed(model.state_dict(), SIZE, found.transformer.state_dict(), "it", **more)
    found.transformer.load_state_dict(dict(state))
    return found


def asked(n=2):
    g = torch.Generator().manual_seed(2)
    x, tokens, pooled, latent = (
        torch.randn(shape, generator=g)
        for shape in ((n, 4, 3, 4, 4), (n, 5, 24), (n, 12), (n, 4, 1, 4, 4))
    )
    keep = torch.tensor([True, False])
    return x, torch.tensor([0.3, 0.9]), Text.of(tokens, pooled), GivenFrame(latent, latent, keep)


def close(found, x, theirs):
    error = (pack(found, 2) - theirs).abs().max()
    assert error < 1e-5 * theirs.abs().max(), error
    assert theirs.std() > 0.1


@pytest.mark.parametrize("split", [False, True])
@torch.no_grad()
def test_the_network_answers_as_the_original(split):
    """kills: q, k, v, the MLP or the streams exchanged; shift for scale, in a block or at the end;
    gates in another place; ids of two axes; halves turned as pairs, or norms in another order."""
    model = drawn(Original(split=split))
    x, t, c, _ = asked()
    theirs = model(pack(x, 2), t, c.tokens, c.pooled, token_ids(3, 2, 2))
    close(filled(model, SHAPE)(x, t, c), x, theirs)
    other = Rotary.PAIRS if split else Rotary.HALVES
    wrong = pack(filled(model, SHAPE, rotary=other)(x, t, c), 2)
    assert (wrong - theirs).abs().max() > 1e-3


@torch.no_grad()
def test_a_first_frame_is_read_as_open_sora_reads_it():
    """kills: the mask's columns taken for the latent's, the bias of what is given left out."""
    model = drawn(Original(split=True, cond=20))
    x, t, c, first = asked()
    mask, latent = torch.zeros(2, 1, 3, 4, 4), torch.zeros(2, 4, 3, 4, 4)
    mask[0, :, 0], latent[0, :, 0] = 1, first.latent[0, :, 0]
    cond = pack(torch.cat([mask, latent], dim=1), 2)
    theirs = model(pack(x, 2), t, c.tokens, c.pooled, token_ids(3, 2, 2), cond)
    given = Text(c.tokens, c.pooled, c.keep, first)
    close(filled(model, GIVEN)(x, t, given), x, theirs)


@pytest.mark.parametrize("names", [Naming(*x) for x in itertools.product((False, True), Rotary)])
def test_every_row_is_taken_once_and_comes_back(names):
    """kills: rows of a fused layer left lying or taken twice, a tensor forgotten."""
    whole = flux_layout(SIZE, names)
    assert unused_rows(whole) == []
    taken = sum(len(part.take) / part.groups for part in whole.values())
    assert round(taken) == len({part.source for part in whole.values()})
    model = Original(split=names.split)
    assert {part.source for part in whole.values()} == model.state_dict().keys()
    assert whole.keys() == network(SHAPE).transformer.state_dict().keys()
    back = written(whole, {n: p.read(model.state_dict()[p.source]) for n, p in whole.items()})
    assert all(torch.equal(x, back[name]) for name, x in model.state_dict().items())


def written(layout, ours):
    """Their tensors from ours: the inverse of reading, row by row."""
    theirs = {}
    for name, rows in layout.items():
        x = ours[name]
        source = torch.full(rows.source_shape(tuple(x.shape)), torch.nan)
        source = theirs.setdefault(rows.source, source)
        groups = source.unflatten(0, (rows.groups, -1))
        groups[list(rows.take)] = x.unflatten(0, (len(rows.take), -1))
    return theirs


def test_the_namings_are_known_by_their_keys():
    """kills: Open-Sora's halves read as FLUX's pairs unasked, diffusers' names renamed."""
    assert (FLUX.rotary, OPEN_SORA.rotary) == (Rotary.PAIRS, Rotary.HALVES)
    state = network(SHAPE).transformer.state_dict()
    assert renamed(state, SIZE, state, "it") is state
    with pytest.raises(CheckpointError, match=r"file is no FLUX: .* x_embedder.weight nor img_in"):
        renamed({"a": torch.zeros(1)}, SIZE, state, "file")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"double_blocks.1.txt_attn.proj.bias": None}, "missing: double_blocks.1.txt_attn.proj.b"),
        ({"lora.weight": torch.zeros(2)}, "unused: lora.weight"),
        ({"txt_in.weight": torch.zeros(32, 9)}, r"shape: txt_in.weight \[32, 9\] for \[32, 24\]"),
        ({"cond_in.weight": torch.zeros(32, 20), "cond_in.bias": torch.zeros(32)}, "cond_in.w"),
        ({"guidance_in.in_layer.bias": torch.zeros(32)}, "guidance_in.out_layer.weight"),
    ],
)
def test_a_difference_of_keys_is_named_as_in_the_file(change, said):
    """kills: weights of another network read in part, keys named as nobody wrote them."""
    state = {**Original().state_dict(), **change}
    state = {name: x for name, x in state.items() if x is not None}
    with pytest.raises(CheckpointError, match=f"file holds another architecture: .*{said}"):
        renamed(state, SIZE, network(SHAPE).transformer.state_dict(), "file")


@torch.no_grad()
def test_flux_dev_begins_an_expert_that_answers_as_it():
    """kills: what is given of a first frame drawn at random, the distilled guidance kept or
    concealed, weights of FLUX left out."""
    model = drawn(Original(guidance=True))
    expert = network(GIVEN)
    mine = expert.transformer.state_dict()
    begun = flux.initialise(renamed(model.state_dict(), SIZE, mine, "dev"), expert, "dev")
    left = {f"{flux.GUIDANCE}linear_{i}.{kind}" for i in (1, 2) for kind in ("weight", "bias")}
    assert set(begun.dropped) == left
    assert begun.widened == ["x_embedder.weight"]
    assert {*begun.copied, *begun.widened} == mine.keys()
    x, t, c, first = asked()
    given = Text(c.tokens, c.pooled, c.keep, first)
    theirs = model(pack(x, 2), t, c.tokens, c.pooled, token_ids(3, 2, 2))
    close(expert(x, t, given), x, theirs)
