"""A small folder of Paris 1.0's layout, whole enough to draw with."""

import json

import pytest
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from modules.weights import paris
from tests.helpers.hub import ROUTER

START, END = "<|startoftext|>", "<|endoftext|>"


@pytest.fixture
def folder(hub, monkeypatch):
    """Experts, router, VAE, text encoder and tokenizer, all small."""
    torch.manual_seed(0)
    letters = [*"abcdehrt", *(f"{x}</w>" for x in "abcdehrt"), START, END]
    words = {word: i for i, word in enumerate(letters)}
    CLIPTokenizer(vocab=words, merges=[]).save_pretrained(hub / "tokenizer")
    (hub / "tokenizer" / "vocab.json").write_text(json.dumps(words))
    (hub / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    ends = {"bos_token_id": words[START], "eos_token_id": words[END], "pad_token_id": words[END]}
    config = CLIPTextConfig(
        vocab_size=len(words), hidden_size=12, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=3, max_position_embeddings=5, projection_dim=12, **ends,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(hub / "text_encoder")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 8, 8), norm_num_groups=2,
    ).save_pretrained(hub / "vae")  # fmt: skip
    monkeypatch.setattr(paris, "ROUTER", ROUTER)
    return hub
