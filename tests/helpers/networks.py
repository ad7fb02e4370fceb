"""Judges' networks with random weights, laid where the real ones are read."""

from unittest.mock import patch

import torch
from pytorch_fid import inception
from torch import nn
from torchvision.models import Inception3


def lay_inception(home):
    """pytorch-fid's Inception, drawn so that its features are of order one, below TORCH_HOME."""
    with (
        patch.object(inception, "load_state_dict_from_url", lambda *_, **__: None),
        patch.object(Inception3, "load_state_dict"),
    ):
        network = inception.fid_inception_v3()
    g = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan = module.weight[0].numel()
            module.weight.data = torch.randn(module.weight.shape, generator=g) * (2 / fan) ** 0.5
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data = 0.1 * torch.randn(module.bias.shape, generator=g)
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / inception.FID_WEIGHTS_URL.rsplit("/", 1)[1])


def pictures(n, height, width, seed, contrast=60):
    """uint8 [n, 3, height, width]: a smooth wave of random colour and direction, and some noise."""
    g = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    a, b, phase = torch.rand(3, n, 3, 1, 1, generator=g)
    wave = torch.sin(0.4 * (a * x + b * y) + 6.3 * phase)
    noise = torch.randn(n, 3, height, width, generator=g)
    return (128 + contrast * wave + 15 * noise).clamp(0, 255).to(torch.uint8).numpy()
