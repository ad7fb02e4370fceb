"""FLUX's MM-DiT with the names and the layers of its authors, to compare with, and Open-Sora's."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def norm(x):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def embedder(width, d):
    return nn.ModuleDict({"in_layer": nn.Linear(width, d), "out_layer": nn.Linear(d, d)})


class Scale(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(head))

    def forward(self, x):
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * self.scale


class Original(nn.Module):
    """split: q, k, v in layers of their own, a head's halves turned (Open-Sora 2).  cond: columns
    of what is given beside x.  guidance: with an embedder of that, as FLUX.1-dev's."""

    def __init__(self, d=32, heads=2, double=2, single=2, x=16, text=24, pooled=12,
                 axes=(4, 6, 6), split=False, cond=0, guidance=False):  # fmt: skip
        super().__init__()
        self.heads, self.axes, self.split, self.d = heads, axes, split, d
        self.img_in, self.txt_in = nn.Linear(x, d), nn.Linear(text, d)
        self.time_in, self.vector_in = embedder(256, d), embedder(pooled, d)
        if cond:
            self.cond_in = nn.Linear(cond, d)
        if guidance:
            self.guidance_in = embedder(256, d)
        self.double_blocks = nn.ModuleList(self.double(d) for _ in range(double))
        self.single_blocks = nn.ModuleList(self.single(d) for _ in range(single))
        last = nn.Sequential(nn.SiLU(), nn.Linear(d, 2 * d))
        self.final_layer = nn.ModuleDict({"linear": nn.Linear(d, x), "adaLN_modulation": last})

    def norms(self):
        head = self.d // self.heads
        return nn.ModuleDict({"query_norm": Scale(head), "key_norm": Scale(head)})

    def double(self, d):
        parts = {}
        for stream in ("img", "txt"):
            three = {f"{x}_proj": nn.Linear(d, d) for x in "qkv"}
            qkv = three if self.split else {"qkv": nn.Linear(d, 3 * d)}
            attention = {**qkv, "norm": self.norms(), "proj": nn.Linear(d, d)}
            mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU("tanh"), nn.Linear(4 * d, d))
            parts |= {f"{stream}_attn": nn.ModuleDict(attention), f"{stream}_mlp": mlp}
            parts[f"{stream}_mod"] = nn.ModuleDict({"lin": nn.Linear(d, 6 * d)})
        return nn.ModuleDict(parts)

    def single(self, d):
        wide = {"q_proj": nn.Linear(d, d), "k_proj": nn.Linear(d, d), "v_mlp": nn.Linear(d, 5 * d)}
        first = wide if self.split else {"linear1": nn.Linear(d, 7 * d)}
        mod = nn.ModuleDict({"lin": nn.Linear(d, 3 * d)})
        rest = {"linear2": nn.Linear(5 * d, d), "norm": self.norms(), "modulation": mod}
        return nn.ModuleDict({**first, **rest})

    def embed(self, mlp, features):
        return mlp["out_layer"](F.silu(mlp["in_layer"](features)))

    def turn(self, x, ids):
        """x [B, heads, N, head] by the angles of ids [N, 3], as complex numbers."""
        angles = [
            ids[:, [i]].double() * 10_000.0 ** (-torch.arange(0, a, 2).double() / a)
            for i, a in enumerate(self.axes)
        ]
        by = torch.polar(torch.ones(len(ids), x.shape[-1] // 2).double(), torch.cat(angles, 1))
        half = x.shape[-1] // 2
        re, im = (x[..., :half], x[..., half:]) if self.split else (x[..., ::2], x[..., 1::2])
        z = torch.complex(re.double(), im.double()) * by
        parts = (z.real, z.imag)
        return (torch.cat(parts, -1) if self.split else torch.stack(parts, -1).flatten(-2)).float()

    def heads_of(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def attend(self, q, k, v, ids):
        q, k = self.turn(q, ids), self.turn(k, ids)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        return (weights @ v).transpose(1, 2).flatten(2)

    def read(self, attention, h):
        three = (
            [attention[f"{x}_proj"](h) for x in "qkv"] if self.split
            else attention["qkv"](h).chunk(3, -1)
        )  # fmt: skip
        q, k, v = map(self.heads_of, three)
        return attention["norm"]["query_norm"](q), attention["norm"]["key_norm"](k), v

    def through_double(self, block, streams, vec, ids):
        six = {s: block[f"{s}_mod"]["lin"](F.silu(vec))[:, None].chunk(6, -1) for s in streams}
        qkv = [
            self.read(block[f"{s}_attn"], norm(h) * (1 + six[s][1]) + six[s][0])
            for s, h in streams.items()
        ]
        mixed = self.attend(*(torch.cat(part, 2) for part in zip(*qkv, strict=True)), ids)
        parts = mixed.split([h.shape[1] for h in streams.values()], 1)
        found = {}
        for (s, h), part in zip(streams.items(), parts, strict=True):
            h = h + six[s][2] * block[f"{s}_attn"]["proj"](part)
            found[s] = h + six[s][5] * block[f"{s}_mlp"](norm(h) * (1 + six[s][4]) + six[s][3])
        return found

    def through_single(self, block, h, vec, ids):
        shift, scale, gate = block["modulation"]["lin"](F.silu(vec))[:, None].chunk(3, -1)
        x = norm(h) * (1 + scale) + shift
        if self.split:
            q, k = block["q_proj"](x), block["k_proj"](x)
            v, wide = block["v_mlp"](x).split([self.d, 4 * self.d], -1)
        else:
            q, k, v, wide = block["linear1"](x).split([self.d] * 3 + [4 * self.d], -1)
        q, k, v = map(self.heads_of, (q, k, v))
        q, k = block["norm"]["query_norm"](q), block["norm"]["key_norm"](k)
        wide = F.gelu(wide, approximate="tanh")
        return h + gate * block["linear2"](torch.cat([self.attend(q, k, v, ids), wide], -1))

    def forward(self, x, t, text, pooled, ids, cond=None):
        """x [B, N, C], t [B], text [B, L, D], pooled [B, P], ids [N, 3], cond [B, N, G]."""
        frequencies = torch.exp(-math.log(10_000) * torch.arange(128.0) / 128)
        angles = 1000 * t[:, None] * frequencies
        vec = self.embed(self.time_in, torch.cat([angles.cos(), angles.sin()], 1))
        vec = vec + self.embed(self.vector_in, pooled)
        img = self.img_in(x)
        if cond is not None:
            img = img + self.cond_in(cond)
        streams = {"txt": self.txt_in(text), "img": img}
        ids = torch.cat([torch.zeros(text.shape[1], 3), ids])
        for block in self.double_blocks:
            streams = self.through_double(block, streams, vec, ids)
        h = torch.cat([streams["txt"], streams["img"]], 1)
        for block in self.single_blocks:
            h = self.through_single(block, h, vec, ids)
        shift, scale = self.final_layer["adaLN_modulation"](vec)[:, None].chunk(2, -1)
        return self.final_layer["linear"](norm(h[:, text.shape[1] :]) * (1 + scale) + shift)


def drawn(model, seed=0):
    """With every parameter random."""
    g = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=g) * 0.2
    return model.eval()
