"""A small folder of Paris 2.0's layout, as the card has it, and what is fetched beside it."""

import json

import torch
from diffusers import AutoencoderKLHunyuanVideo
from safetensors.torch import save_file

from modules.blocks import AdaLN, Size
from modules.dit import DiT
from modules.routing import RouterNetwork
from tests.helpers.originals.flux import Original, drawn

EXPERTS, FRAMES, LOOK = 3, 2, 24
"""Latent frames, and the width of the router's frame feature."""
TEXT, POOLED, SIDE = 24, 12, 32
VAE = {"block_out_channels": (4, 4, 8, 8), "layers_per_block": 1, "norm_num_groups": 2}


def expert(k, cond=68):
    return drawn(Original(x=64, split=True, cond=cond, text=TEXT, pooled=POOLED), k)


def router(side=None, frames=FRAMES):
    torch.manual_seed(5)
    shape = DiT(Size(64, 1, 1), side or SIDE, 16, adaln=AdaLN.ZERO, text=None, frames=frames)
    found = RouterNetwork(shape, EXPERTS, POOLED, LOOK)
    for parameter in found.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape)
    return found.eval()


def contiguous(state):
    return {name: x.contiguous().clone() for name, x in state.items()}


def sharded(state, folder, suffix="safetensors"):
    """In two files with an index, as Hugging Face and Colossal-AI write them."""
    folder.mkdir(parents=True)
    names = sorted(state)
    half, where = len(names) // 2, {}
    for i, some in enumerate((names[:half], names[half:]), 1):
        file = f"part-{i:05d}-of-00002.{suffix}"
        tensors = {name: state[name] for name in some}
        save_file(tensors, folder / file) if suffix == "safetensors" else torch.save(
            tensors, folder / file
        )
        where |= dict.fromkeys(some, file)
    (folder / f"model.{suffix}.index.json").write_text(json.dumps({"weight_map": where}))


def lay(folder, cond=68):
    """Experts and router: one file each, parts for expert 2, Colossal-AI's for expert 3."""
    for k in range(EXPERTS):
        state = contiguous(expert(k, cond).state_dict())
        home = folder / f"expert{k + 1}" / "stage2"
        if k == 0:
            home.mkdir(parents=True)
            save_file(state, home / "master.safetensors")
        else:
            sharded(state, home / "model", "safetensors" if k == 1 else "bin")
        (folder / f"expert{k + 1}" / "stage3").mkdir()
    (folder / "Router").mkdir()
    save_file(contiguous(router().state_dict()), folder / "Router" / "model.safetensors")
    (folder / "model_index.json").write_text("{}")
    return folder


def lay_vae(folder):
    torch.manual_seed(0)
    torch.save(AutoencoderKLHunyuanVideo(**VAE).state_dict(), folder / "vae.pt")
