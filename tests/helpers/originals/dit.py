"""A DiT as facebookresearch/DiT has it, written out with the original's names, to compare with."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Original(nn.Module):
    """A DiT of width d whose every parameter is random; its forward is the class's own reading."""

    def __init__(self, d=24, depth=2, heads=3, channels=4, patch=2, side=4, frequencies=16):
        super().__init__()
        self.heads, self.channels, self.patch = heads, channels, patch
        self.side, self.frequencies = side, frequencies
        self.x_embedder = nn.ModuleDict({"proj": nn.Conv2d(channels, d, patch, patch)})
        mlp = nn.Sequential(nn.Linear(frequencies, d), nn.SiLU(), nn.Linear(d, d))
        self.t_embedder = nn.ModuleDict({"mlp": mlp})
        self.y_embedder = nn.ModuleDict({"embedding_table": nn.Embedding(1001, d)})
        self.pos_embed = nn.Parameter(torch.tensor(sincos(side, d))[None])
        self.blocks = nn.ModuleList(self.block(d) for _ in range(depth))
        out = nn.Linear(d, patch**2 * 2 * channels)
        ada = nn.Sequential(nn.SiLU(), nn.Linear(d, 2 * d))
        self.final_layer = nn.ModuleDict({"linear": out, "adaLN_modulation": ada})

    def block(self, d):
        mlp = nn.ModuleDict({"fc1": nn.Linear(d, 4 * d), "fc2": nn.Linear(4 * d, d)})
        attention = nn.ModuleDict({"qkv": nn.Linear(d, 3 * d), "proj": nn.Linear(d, d)})
        ada = nn.Sequential(nn.SiLU(), nn.Linear(d, 6 * d))
        return nn.ModuleDict({"attn": attention, "mlp": mlp, "adaLN_modulation": ada})

    def time(self, index):
        """Of an index in 0 ... 999."""
        half = self.frequencies // 2
        angles = [[i * 10_000 ** (-j / half) for j in range(half)] for i in index.tolist()]
        rows = [[math.cos(a) for a in row] + [math.sin(a) for a in row] for row in angles]
        return self.t_embedder.mlp(torch.tensor(rows, dtype=torch.float32))

    def attend(self, attention, h):
        q, k, v = (
            torch.stack(part.chunk(self.heads, -1), 1) for part in attention.qkv(h).chunk(3, -1)
        )
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        return attention.proj(torch.cat((weights @ v).unbind(1), -1))

    def through(self, block, h, c):
        def norm(x, shift, scale):
            return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]

        shift, scale, gate, *mlp = block.adaLN_modulation(c).chunk(6, dim=1)
        h = h + gate[:, None] * self.attend(block.attn, norm(h, shift, scale))
        inner = F.gelu(block.mlp.fc1(norm(h, mlp[0], mlp[1])), approximate="tanh")
        return h + mlp[2][:, None] * block.mlp.fc2(inner)

    def forward(self, x, index, label):
        """(eps, variance), each [B, C, H, W]."""
        h = self.x_embedder.proj(x).flatten(2).mT + self.pos_embed
        c = self.time(index) + self.y_embedder.embedding_table(label)
        for block in self.blocks:
            h = self.through(block, h, c)
        shift, scale = self.final_layer.adaLN_modulation(c).chunk(2, dim=1)
        h = F.layer_norm(h, h.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]
        s, p = self.side, self.patch
        h = self.final_layer.linear(h).reshape(-1, s, s, p, p, 2 * self.channels)
        pictures = torch.einsum("nhwpqc->nchpwq", h).reshape(len(x), -1, s * p, s * p)
        return pictures.chunk(2, dim=1)


def sincos(side, d):
    """[side^2, d], token by token: column, then row; in each, sines, then cosines."""
    frequencies = [10_000 ** (-i / (d // 4)) for i in range(d // 4)]

    def axis(at):
        return [f(at * w) for f in (math.sin, math.cos) for w in frequencies]

    return [axis(column) + axis(row) for row in range(side) for column in range(side)]
