"""Small checkpoints of the encoders' and CLIP's own classes, with random weights."""

import io
import json

import open_clip
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from sentencepiece import SentencePieceTrainer
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    Dinov2Config,
    Dinov2Model,
    T5Config,
    T5EncoderModel,
)

from metrics.networks.clip import OpenClip

SHAPE = {"heads": 2, "layers": 2, "width": 32}
ARCHITECTURE = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "layers": 2, "width": 32, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, **SHAPE},
}


def lay_encoders(root):
    """A small checkpoint of every encoder below `root`, as the hub lays them out."""
    torch.manual_seed(0)
    ends = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    widths = (8, 8, 16, 16)
    AutoencoderKL(
        down_block_types=ends[0], up_block_types=ends[1], block_out_channels=widths,
        norm_num_groups=4, latent_channels=4,
    ).save_pretrained(root / "vae")  # fmt: skip
    AutoencoderTiny(
        encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
        num_encoder_blocks=(1, 1, 1, 1), num_decoder_blocks=(1, 1, 1, 1),
    ).save_pretrained(root / "tiny")  # fmt: skip
    shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    Dinov2Model(Dinov2Config(**shape, image_size=28, patch_size=14)).save_pretrained(root / "dino")
    clip = CLIPTextConfig(**shape, intermediate_size=32, eos_token_id=49407, bos_token_id=49406)
    CLIPTextModel(clip).save_pretrained(root / "clip")
    tokens = SimpleTokenizer()
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {names.get(word, word): i for word, i in tokens.encoder.items()}
    (root / "clip" / "vocab.json").write_text(json.dumps(vocabulary))
    merges = sorted(tokens.bpe_ranks, key=tokens.bpe_ranks.get)
    text = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges)])
    (root / "clip" / "merges.txt").write_text(text + "\n")
    return root


CORPUS = """a red car
two dogs run on the beach at sunset
a person talks to the camera
hands fold green paper on a blue mat
a woman with long wavy hair"""


def lay_t5(folder):
    """A small T5 encoder as the card of Paris 2.0 lays it out: half precision, one embedding. The
    config is the whole model's, which ties none."""
    folder.mkdir(parents=True)
    pieces = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.splitlines() * 9), model_writer=pieces, vocab_size=60,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / "spiece.model").write_bytes(pieces.getvalue())
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=64, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        architectures=["T5ForConditionalGeneration"],
    )  # fmt: skip
    state = T5EncoderModel(config).half().state_dict()
    del state["encoder.embed_tokens.weight"]
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    return folder


def transformers_clip():
    """transformers' CLIPModel of that architecture, drawn so that its captions differ."""
    tower = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2}
    tower |= {"num_attention_heads": 2, "hidden_act": "quick_gelu"}
    text = {**tower, "vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407}
    vision = {**tower, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    network = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            parameter.data = torch.randn_like(parameter) * parameter[0].numel() ** -0.5
        if "embedding" in name:
            parameter.data = torch.randn_like(parameter)
    # As drawn, every cosine is negative, and torchmetrics makes those 0.
    network.visual_projection.weight.data.neg_()
    return network.eval()


def renamed(state):
    """transformers' keys and layout -> open_clip's."""
    found = {
        "positional_embedding": state["text_model.embeddings.position_embedding.weight"],
        "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
        "text_projection": state["text_projection.weight"].T,
        "logit_scale": state["logit_scale"],
        "visual.class_embedding": state["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": state["vision_model.embeddings.position_embedding.weight"],
        "visual.conv1.weight": state["vision_model.embeddings.patch_embedding.weight"],
        "visual.proj": state["visual_projection.weight"].T,
    }
    norms = {
        "ln_final": "text_model.final_layer_norm",
        "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
    }
    for kind in ("weight", "bias"):
        found |= {f"{ours}.{kind}": state[f"{theirs}.{kind}"] for ours, theirs in norms.items()}
        for tower, prefix in (("text_model", ""), ("vision_model", "visual.")):
            for i in range(2):
                block = f"{prefix}transformer.resblocks.{i}."
                layer = f"{tower}.encoder.layers.{i}."
                parts = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1"}
                parts |= {"mlp.c_proj": "mlp.fc2", "attn.out_proj": "self_attn.out_proj"}
                for ours, theirs in parts.items():
                    found[f"{block}{ours}.{kind}"] = state[f"{layer}{theirs}.{kind}"]
                qkv = [state[f"{layer}self_attn.{x}_proj.{kind}"] for x in "qkv"]
                found[f"{block}attn.in_proj_{kind}"] = torch.cat(qkv)
    return {key: tensor.contiguous() for key, tensor in found.items()}


def lay_clip(folder, network):
    """The weights of a transformers' CLIPModel as a file of open_clip's."""
    (folder / "tiny-test-clip.json").write_text(json.dumps(ARCHITECTURE))
    open_clip.add_model_config(folder / "tiny-test-clip.json")
    save_file(renamed(network.state_dict()), folder / "weights.safetensors")
    return OpenClip("tiny-test-clip", "drawn", folder / "weights.safetensors")
