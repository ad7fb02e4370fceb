"""Paris 2.0's captions, through their own loading code: small checkpoints in the card's layout."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5EncoderModel, T5Tokenizer

from datamodules.encoders import t5_clip
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.hub import HubWeightsError
from datamodules.encoders.t5_clip import T5ClipText, read_null, write_null
from modules.codec import encode
from tests.helpers.checkpoints import lay_encoders, lay_t5

WORDS = ["a red car", "two dogs run on the beach, at sunset", "", "a woman with long hair " * 40]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """clip/ and t5/, as the card lays them out."""
    root = lay_encoders(tmp_path_factory.mktemp("weights"))
    lay_t5(root / "t5")
    return root


def small(root, t5=None, **changed):
    clip = ClipText(str(root / "clip"), width=24, pooled=24)
    sizes = {"length": 20, "width": 16, **changed}
    return T5ClipText("small", str(t5 or root / "t5"), clip=clip, **sizes)


def test_ids_are_t5s_and_then_clips(root):
    """kills: another tokenizer, an end token missing or cut off, padding with another id, on the
    left or to another length, the two towers' ids swapped."""
    text = small(root)
    theirs = T5Tokenizer.from_pretrained(root / "t5", extra_ids=0)
    expected = theirs(WORDS, padding="max_length", max_length=20, truncation=True).input_ids
    found = text.ids(WORDS)
    assert found.dtype == np.int64
    assert np.array_equal(found[:, :20], expected)
    assert np.array_equal(found[:, 20:], text.clip.ids(WORDS))
    assert found[2, :20].tolist() == [1] + 19 * [0]
    assert found[3, 19] == 1
    assert set(found[0, :20].tolist()) - set(found[1, :20].tolist())


def test_special_tokens_in_a_caption_are_words(root):
    """kills: a caption that ends where it says </s>, or that pads itself."""
    text = small(root)
    assert (text.ids(["a red</s> car <pad>"])[0, :20] == 1).sum() == 1


def test_states_see_the_padding_as_in_flux(root):
    """kills: a mask, states before the last norm, CLIP's token states, rows out of order."""
    text = small(root)
    tokens, pooled = text.encode(WORDS)
    assert (tokens.dtype, pooled.dtype) == (np.float16, np.float16)
    assert (tokens.shape, pooled.shape) == ((4, 20, 16), (4, 24))
    ids = torch.from_numpy(text.ids(WORDS)[:, :20])
    tower = T5EncoderModel.from_pretrained(root / "t5", dtype=torch.float32).eval()
    with torch.no_grad():
        expected = tower(ids).last_hidden_state.numpy()
        masked = tower(ids, attention_mask=(ids > 0).long()).last_hidden_state.numpy()
    np.testing.assert_allclose(tokens, expected, atol=2e-3)
    assert np.abs(masked - expected)[0, :3].max() > 0.01
    assert np.array_equal(pooled, text.clip.encode(WORDS)[1])


def test_no_answer_depends_on_the_batch(root, monkeypatch):
    """kills: the last batch lost."""
    monkeypatch.setattr(t5_clip, "BATCH", 3)
    tokens, pooled = small(root).encode(WORDS)
    for i, words in enumerate(WORDS):
        alone = small(root).encode([words])
        np.testing.assert_allclose(tokens[i : i + 1], alone[0], atol=2e-3)
        np.testing.assert_allclose(pooled[i : i + 1], alone[1], atol=2e-3)


def relaid(root, folder, **changed):
    """The small T5 with tensors changed, or with None taken away."""
    shutil.copytree(root / "t5", folder)
    state = {**load_file(folder / "model.safetensors"), **changed}
    held = {k: v.clone() for k, v in state.items() if v is not None}
    save_file(held, folder / "model.safetensors")
    return small(root, folder)


def test_the_embedding_may_be_there_once_or_twice(root, tmp_path):
    """kills: an embedding drawn at random where the file has the other name of it, or both."""
    expected = small(root).encode(WORDS[:2])[0]
    shared = load_file(root / "t5" / "model.safetensors")["shared.weight"]
    name = "encoder.embed_tokens.weight"
    for i, changed in enumerate(({name: shared}, {name: shared, "shared.weight": None})):
        text = relaid(root, tmp_path / f"{i}", **changed)
        assert np.array_equal(text.encode(WORDS[:2])[0], expected)
    text = relaid(root, tmp_path / "two", **{name: shared + 1})
    with pytest.raises(HubWeightsError, match="two embeddings that differ"):
        text.encode(WORDS)


def test_weights_in_several_files_are_read(root, tmp_path):
    """kills: an index not followed, or asked for where there is one file."""
    T5EncoderModel.from_pretrained(root / "t5").save_pretrained(
        tmp_path / "t5", max_shard_size="8KB"
    )
    shutil.copy(root / "t5" / "spiece.model", tmp_path / "t5")
    assert len(list((tmp_path / "t5").glob("*.safetensors"))) > 1
    found = small(root, tmp_path / "t5").encode(WORDS)[0]
    np.testing.assert_allclose(found, small(root).encode(WORDS)[0], atol=2e-3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"encoder.final_layer_norm.weight": None}, "missing: encoder.final_layer_norm.weight"),
        ({"logit_scale": torch.zeros(1)}, "unused: logit_scale"),
        ({"encoder.final_layer_norm.weight": torch.zeros(3)}, "shape|mismatch"),
    ],
)
def test_another_architecture_is_named_by_its_keys(root, tmp_path, changed, said):
    """kills: weights drawn at random for those that are missing, others passed over."""
    with pytest.raises(HubWeightsError, match=said):
        relaid(root, tmp_path / "t5", **changed).encode(WORDS)


def test_what_is_not_there_is_named_with_how_to_get_it(root, tmp_path):
    """kills: a traceback for weights or a tokenizer that is absent or damaged, a wrong width."""
    with pytest.raises(HubWeightsError, match=r"no T5, .* is no folder.*t5xxl_fp16.safetensors"):
        small(root, tmp_path / "t5").locate()
    relaid(root, tmp_path / "t5")
    (tmp_path / "t5" / "spiece.model").write_text("text")
    with pytest.raises(HubWeightsError, match="cannot load T5's tokenizer"):
        small(root, tmp_path / "t5").ids(WORDS)
    (tmp_path / "t5" / "spiece.model").unlink()
    with pytest.raises(HubWeightsError, match=r"has no spiece\.model"):
        small(root, tmp_path / "t5").locate()
    with pytest.raises(ValueError, match="gives 16, not 4096"):
        small(root, width=4096).encode(WORDS)


def test_the_null_condition_is_the_empty_string(root, tmp_path):
    """kills: zeros, a padding without its end token, the two files swapped, another dtype."""
    text = small(root)
    write_null(text, tmp_path)
    tokens, pooled = read_null(tmp_path)
    assert (tokens.dtype, tokens.shape, pooled.shape) == (torch.float32, (1, 20, 16), (1, 24))
    expected = text.encode([""])
    assert np.array_equal(tokens.numpy(), expected[0])
    assert np.array_equal(pooled.numpy(), expected[1])
    assert torch.load(tmp_path / "null_t5.pt").shape == (1, 20, 16)
    for file, found in (("null_t5.pt", tokens), ("null_clip.pt", pooled)):
        torch.save(found[0].bfloat16(), tmp_path / file)
    bare = read_null(tmp_path)
    assert [x.shape for x in bare] == [(1, 20, 16), (1, 24)]
    assert torch.equal(bare[0], tokens.bfloat16().float())


@pytest.mark.parametrize("held", [torch.zeros(2, 20, 16), torch.zeros(16), [1], b"text", None])
def test_another_files_null_condition_is_refused(root, tmp_path, held):
    """kills: two captions, or vectors without tokens, taken for one caption's."""
    write_null(small(root), tmp_path)
    file = tmp_path / "null_t5.pt"
    if isinstance(held, bytes):
        file.write_bytes(held)
    elif held is None:
        file.unlink()
    else:
        torch.save(held, file)
    with pytest.raises(HubWeightsError, match=r"null_t5\.pt"):
        read_null(tmp_path)


def test_defaults_are_the_papers_and_identity_is_no_place(root):
    """kills: other sizes than T5-v1.1-XXL's and CLIP ViT-L/14's, a place in the identity."""
    text = T5ClipText()
    assert (text.length, text.width, text.pooled, text.cached) == (512, 4096, 768, True)
    assert encode(text) == encode(T5ClipText(weights="elsewhere"))
    others = [T5ClipText("b"), T5ClipText(length=256), T5ClipText(cached=False)]
    assert len({str(encode(other)) for other in (text, *others)}) == 4
