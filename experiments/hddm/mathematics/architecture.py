"""Eqs. 14-21 and the sizes that the paper prints: parameters, gates at the start, time indices."""

import functools

import torch
from torch import Tensor

from experiments.hddm.mathematics.check import Check, agrees
from experiments.measures.resources import (
    GB,
    HDDM_XL,
    NumberFormat,
    checkpointed_bytes,
    largest_batch,
    parameters,
    saved_bytes,
    static_bytes,
)
from modules.blocks import AdaLN, Block
from modules.dit import XL, B, DiT, count_parameters
from modules.routing import RouterNetwork

SINGLE, ZERO = DiT(XL), DiT(XL, adaln=AdaLN.ZERO)


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f}M"


def tokens() -> Check:
    return Check(
        "Tokens",
        "§2.5",
        "32 x 32 latents in 2 x 2 patches make 256 tokens",
        "256",
        str(SINGLE.tokens),
        SINGLE.tokens == 256,
        "(32 / 2)^2.",
    )


def single_size() -> Check:
    count = parameters(SINGLE)
    return Check(
        "DiT-XL/2 with AdaLN-Single and text",
        "§2.5, §3.1",
        "605M parameters",
        "605M",
        _millions(count),
        agrees("605M", count / 1e6),
        "The fixed position table counted, the null embedding not; truncated, not rounded.",
    )


def zero_size() -> Check:
    count = parameters(ZERO)
    return Check(
        "DiT-XL/2 with AdaLN-Zero and text",
        "§2.5",
        "891M parameters before AdaLN-Single",
        "891M",
        _millions(count),
        agrees("891M", count / 1e6),
        "The same network, text by cross-attention, with a modulation layer in every block. "
        "What else the 891M hold is not stated.",
    )


def saving() -> Check:
    like = 100 * (1 - parameters(SINGLE) / parameters(ZERO))
    printed = 100 * (1 - 605 / 891)
    return Check(
        "Parameters saved by AdaLN-Single",
        "§1, §2.5",
        "30 % fewer parameters",
        "30%",
        f"{like:.1f}% like for like, {printed:.1f}% by the printed sizes",
        agrees("30%", like),
        "Neither is 30 %; like for like compares networks that differ in the modulation alone.",
    )


def global_mlp() -> Check:
    d, depth = XL.width, XL.depth
    wide, narrow = ((d + 1) * 6 * n * d for n in (depth, 1))
    count = parameters(SINGLE) - narrow + wide
    return Check(
        "Eqs. 14-15: MLP_global emits 6Ld",
        "§2.5",
        "A global MLP with 6Ld outputs belongs to the network of 605M",
        "605M",
        _millions(count),
        agrees("605M", count / 1e6),
        f"Its last layer alone holds {_millions(wide)} and cancels the saving; with 6d outputs and "
        f"a table a block (Eq. 16) it holds {_millions(narrow)}, and 605M follows.",
    )


def base_size() -> Check:
    single, zero = parameters(DiT(B)), parameters(DiT(B, adaln=AdaLN.ZERO))
    return Check(
        "DiT-B/2 expert",
        "§3.1, Table 1",
        "129M parameters per expert",
        "129M",
        f"{_millions(single)} (AdaLN-Single), {_millions(zero)} (AdaLN-Zero)",
        any(agrees("129M", count / 1e6) for count in (single, zero)),
        "With text by cross-attention neither gives 129M, which is the text-free router's size.",
    )


def router_size() -> Check:
    with torch.device("meta"):
        router = RouterNetwork(HDDM_XL.router, HDDM_XL.experts, None)
        count = count_parameters(router)
    return Check(
        "DiT-B/2 router",
        "§6.3",
        "129M parameters",
        "129M",
        _millions(count),
        agrees("129M", count / 1e6),
        "AdaLN-Zero, a class token, a two-layer head, no text.",
    )


def transferred() -> Check:
    d, depth = XL.width, XL.depth
    lost = depth * (d + 1) * 6 * d
    pretrained = parameters(DiT(XL, adaln=AdaLN.ZERO, text=None))
    return Check(
        "Eq. 20: what a DiT checkpoint gives",
        "§2.6",
        "The transformer blocks are fully transferred",
        "all of them",
        f"{_millions(lost)} of {_millions(pretrained)} have no place",
        lost == 0,
        "DiT's block has a modulation layer of its own, (d + 1) 6d a block, which AdaLN-Single "
        "lacks.",
    )


@functools.cache
def _block(adaln: AdaLN) -> tuple[float, float]:
    """How far an untrained XL block moves h, and its cross-attention alone, over the norm of h."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        block = Block(XL, adaln, with_text=True)
        h, e = torch.randn(1, 32, XL.width), torch.randn(1, 8, XL.width)
        tau = torch.randn(1, XL.width)
    shared = torch.zeros(1, 6, XL.width)  # what Eq. 14's zero projection gives at first
    with torch.inference_mode():
        moved = block(h, tau, shared, e) - h
        assert block.cross is not None
        crossed: Tensor = block.cross(block.norm(h), e)
    return float(moved.norm() / h.norm()), float(crossed.norm() / h.norm())


def identity_at_start() -> Check:
    zero, cross = _block(AdaLN.ZERO)
    return Check(
        "Eqs. 17-19 at the start, modulation zero",
        "§2.5",
        "Zero modulation and cross-attention projections make a block the identity",
        "0",
        f"a block moves h by {zero:g} of its norm, cross-attention by {cross:g}",
        zero == 0,
        "Exactly, where the modulation has nothing but the zero projection (AdaLN-Zero).",
    )


def tables_at_start() -> Check:
    single, cross = _block(AdaLN.SINGLE)
    return Check(
        "Eqs. 16-19 at the start, with E_b ~ N(0, 1 / sqrt d)",
        "§2.5",
        "The initialisation makes forward passes approximate an identity",
        "close to 0",
        f"a block of XL moves h by {single:.3f} of its norm, cross-attention by {cross:g}",
        single < 0.1,
        f"The gates start at E_b, not at 0: deviation 1 / sqrt d = {XL.width**-0.5:.3f} where "
        "N(0, 1 / sqrt d) names a deviation, as here. Approximately, not exactly.",
    )


def time_index() -> Check:
    t = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    index = torch.round(999 * t)
    inside = bool(((index >= 0) & (index <= 999)).all())
    both = [value for value in (0.0, 1.0) if round(999 * value) != value]
    shown = ", ".join(f"t = {v:g} is {round(999 * v)} or {v:g}" for v in both)
    return Check(
        "Eq. 21: the time index",
        "§2.6",
        "t_DiT is a function of t: round(999 t) on [0, 1], t on {0, ..., 999}",
        "one value for each t",
        f"[0, 1] maps into [0, 999]: {inside}; {shown}",
        inside and not both,
        "The cases overlap in {0, 1}, so the objective must decide, never the value. (Its index is "
        "one of the pretrained linear-beta schedule, whose SNR differs, too.)",
    )


def memory() -> Check:
    shape, batch, mixed = HDDM_XL.expert, HDDM_XL.batch, NumberFormat.MIXED
    static = static_bytes(shape)
    whole = (static + saved_bytes(shape, batch, mixed)) / GB
    least = (static + checkpointed_bytes(shape, batch, mixed)) / GB
    return Check(
        "Memory of an XL/2 expert",
        "§1, §3.1, §5",
        "Training needs 20-48 GB on a single GPU",
        "20-48 GB",
        f"{least:.1f} GB with gradient checkpointing, {whole:.1f} GB without, at batch {batch}",
        None,
        f"{static / GB:.1f} GB are weights, gradients, moments and average in float32. Without "
        f"checkpointing 48 GB hold batch {largest_batch(shape, 48 * GB, mixed)} and 20 GB batch "
        f"{largest_batch(shape, 20 * GB, mixed)}; the paper names neither. Buffers of kernels and "
        "allocator not counted.",
    )


CHECKS = (
    tokens,
    single_size,
    zero_size,
    saving,
    global_mlp,
    base_size,
    router_size,
    identity_at_start,
    tables_at_start,
    transferred,
    time_index,
    memory,
)
