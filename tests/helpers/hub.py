"""An expert and a router of Paris 1.0's layout, in torch's own layers, to compare with."""

import json
import math

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from modules.blocks import AdaLN, Size
from modules.dit import DiT, TextShape
from modules.weights import paris

EXPERTS = 3


def norm(h, shift=0.0, scale=0.0):
    return F.layer_norm(h, h.shape[-1:], eps=1e-6) * (1 + scale) + shift


class Mha(nn.MultiheadAttention):
    """torch's own attention, batch first, of h to a context."""

    def __init__(self, d, heads):
        super().__init__(d, heads, batch_first=True)

    def forward(self, h, context):
        return super().forward(h, context, context, need_weights=False)[0]


class Trunk(nn.Module):
    """What the hub's experts and router share."""

    def __init__(self, d, tokens):
        super().__init__()
        self.patch_embed = nn.Conv2d(4, d, 2, 2)
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, d))
        mlp = nn.Sequential(nn.Linear(256, d), nn.SiLU(), nn.Linear(d, d))
        self.time_embed = nn.ModuleDict({"mlp": mlp})

    def begin(self, x, t):
        """Tokens, and the embedding of the float 1000 t."""
        # In float32 as DiT's own: at an angle of 1000 another rounding would be seen at 1e-5.
        frequencies = torch.exp(-math.log(10_000) * torch.arange(128.0) / 128)
        angles = 1000 * t[:, None] * frequencies
        tau = self.time_embed.mlp(torch.cat([angles.cos(), angles.sin()], dim=1))
        return self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed, tau


def mlp(d):
    return nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(approximate="tanh"), nn.Linear(4 * d, d))


class Expert(Trunk):
    def __init__(self, d=16, depth=2, heads=4, tokens=16):
        super().__init__(d, tokens)
        self.text_proj = nn.Linear(12, d)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(d, 6 * d))
        self.layers = nn.ModuleList(
            nn.ModuleDict({"attn": Mha(d, heads), "cross_attn": Mha(d, heads), "mlp": mlp(d)})
            for _ in range(depth)
        )
        for layer in self.layers:
            layer.scale_shift_table = nn.Parameter(torch.empty(6, d))
        self.final_layer = nn.ModuleDict({"linear": nn.Linear(d, 16)})
        self.final_layer.scale_shift_table = nn.Parameter(torch.empty(2, d))

    def forward(self, x, t, tokens):
        (h, tau), text = self.begin(x, t), self.text_proj(tokens)
        shared = self.t_block(tau).reshape(len(x), 6, -1)
        for layer in self.layers:
            six = (shared + layer.scale_shift_table).chunk(6, dim=1)
            normed = norm(h, six[0], six[1])
            h = h + six[2] * layer.attn(normed, normed)
            h = h + layer.cross_attn(h, text)
            h = h + six[5] * layer.mlp(norm(h, six[3], six[4]))
        shift, scale = (tau[:, None] + self.final_layer.scale_shift_table).chunk(2, dim=1)
        h = self.final_layer.linear(norm(h, shift, scale)).reshape(len(x), 4, 4, 2, 2, 4)
        return torch.einsum("nhwpqc->nchpwq", h).reshape(x.shape)


class Router(Trunk):
    def __init__(self, d=16, depth=2, heads=4, tokens=16, experts=EXPERTS):
        super().__init__(d, tokens)
        self.cls_token = nn.Parameter(torch.empty(1, 1, d))
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "adaLN_modulation": nn.Sequential(nn.SiLU(), nn.Linear(d, 6 * d)),
                    "attn": Mha(d, heads),
                    "mlp": mlp(d),
                }
            )
            for _ in range(depth)
        )
        self.head = nn.Sequential(
            nn.Linear(d, d), nn.SiLU(), nn.LayerNorm(d), nn.Dropout(), nn.Linear(d, experts)
        )

    def forward(self, x, t):
        h, tau = self.begin(x, t)
        h = torch.cat([self.cls_token.expand(len(x), -1, -1), h], dim=1)
        for layer in self.layers:
            six = layer.adaLN_modulation(tau).unsqueeze(1).chunk(6, dim=2)
            normed = norm(h, six[0], six[1])
            h = h + six[2] * layer.attn(normed, normed)
            h = h + six[5] * layer.mlp(norm(h, six[3], six[4]))
        return self.head(h[:, 0])


def random(model, seed):
    g = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=g)
    return model.eval()


TEXT = TextShape(5, 12, 12)
ROUTER = DiT(Size(16, 2, 4), 8, 4, 2, AdaLN.ZERO, None)
HUB = {
    "model_name": "Paris",
    "num_experts": EXPERTS,
    "image_size": 8,
    "num_channels": 4,
    "expert_architecture": "dit",
    "router_architecture": "dit",
    "use_latents": True,
}


def experts():
    return [random(Expert(), k) for k in range(EXPERTS)]


def lay_hub(folder):
    """A downloaded folder."""
    (folder / "config.json").write_text(json.dumps(HUB))
    for k, model in enumerate(experts()):
        own = {
            **paris.EXPERT_CONFIG,
            **{"expert_id": k, "hidden_size": 16, "num_layers": 2, "num_heads": 4},
            **{"patch_size": 2, "in_channels": 4, "out_channels": 4, "text_embed_dim": 12},
            **{"num_classes": 1000, "cfg_dropout_prob": 0.1},
        }
        place = folder / f"expert_{k}"
        place.mkdir()
        (place / "config.json").write_text(json.dumps(own))
        save_file(model.state_dict(), place / "diffusion_pytorch_model.safetensors")
    (folder / "router").mkdir()
    router = random(Router(), 9).state_dict()
    save_file(router, folder / "router" / "pytorch_model.safetensors")
    return folder
