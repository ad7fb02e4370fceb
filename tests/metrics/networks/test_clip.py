"""CLIP score against torchmetrics, through transformers' own CLIP with the same weights."""

import numpy as np
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image
from safetensors.torch import save_file
from torchmetrics.functional.multimodal import clip_score
from transformers import CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from metrics.networks.clip import ClipScores, OpenClip
from metrics.networks.weights import WeightsFileError
from tests.helpers.checkpoints import lay_clip, transformers_clip
from tests.helpers.networks import pictures

CPU = torch.device("cpu")
CAPTIONS = ["a red wave", "Two dogs, on a beach!", "the number three", "it's a scan"]
X = pictures(4, 50, 70, seed=0)


@pytest.fixture(scope="module")
def network():
    return transformers_clip()


@pytest.fixture(scope="module")
def judge(network, tmp_path_factory):
    """The same weights as a file of open_clip's."""
    return lay_clip(tmp_path_factory.mktemp("clip"), network)


class Processor:
    """transformers' tokenizer, on open_clip's vocabulary, and its PIL image processor."""

    def __init__(self):
        clip = SimpleTokenizer()
        names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
        vocabulary = {names.get(word, word): i for word, i in clip.encoder.items()}
        self.words = CLIPTokenizer(vocab=vocabulary, merges=list(clip.bpe_ranks))
        self.pixels = CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        )

    def __call__(self, text=None, images=None, return_tensors="pt", padding=True):
        if text is not None:
            return self.words(text, return_tensors="pt", padding=True)
        images = [Image.fromarray(x.numpy().transpose(1, 2, 0)) for x in images]
        return self.pixels(images, return_tensors="pt")


class Answering:
    """A CLIPModel whose features are tensors, as torchmetrics expects of older transformers."""

    def __init__(self, network):
        self.network, self.config = network, network.config

    def to(self, device):
        return self

    def get_image_features(self, x):
        return self.network.get_image_features(x).pooler_output

    def get_text_features(self, ids, mask):
        return self.network.get_text_features(ids, attention_mask=mask).pooler_output


def test_the_score_is_torchmetrics(judge, network):
    """kills: tokens, crop, filter, activation, normalisation or pairing other than the metric's."""
    with torch.no_grad():
        theirs = [
            float(clip_score(torch.from_numpy(x), c, lambda: (Answering(network), Processor())))
            for x, c in zip(X, CAPTIONS, strict=True)
        ]
    found = judge.scores(X, CAPTIONS, CPU)
    assert min(theirs) > 0
    assert np.ptp(theirs) > 0.5
    np.testing.assert_allclose(100 * found.cosine, theirs, atol=1e-3)
    assert found.score == pytest.approx(np.mean(theirs), abs=1e-3)
    assert found.truncated == 0


def test_score_and_similarity_of_known_cosines():
    """kills: the mean clipped for each, a scale of 2.5, or a similarity without its sign."""
    scores = ClipScores(np.array([0.4, -0.2, 0.1]), truncated=0)
    assert scores.similarity == pytest.approx(0.1)
    assert scores.score == pytest.approx(100 * 0.5 / 3)


def test_a_caption_keeps_its_end_token(judge):
    """kills: the end cut off with the caption's last words, a border off by one, no count."""
    import metrics.networks.clip as ours

    model, _, tokenizer = ours._load(judge, CPU)
    word = tokenizer.encode("wave")
    assert len(word) == 1
    ids = torch.tensor([[49406, *word * 75, 49407]])
    with torch.no_grad():
        expected = torch.nn.functional.normalize(model.encode_text(ids), dim=-1).numpy()
    captions = [" ".join(["wave"] * n) for n in (75, 76, 200)]
    rows = judge.encode_text(captions, CPU)
    np.testing.assert_allclose(rows, expected.repeat(3, axis=0), atol=1e-6)
    assert judge.truncated(captions) == 2
    assert judge.scores(X[:3], captions, CPU).truncated == 2
    assert np.abs(judge.encode_text(["wave " * 74], CPU) - rows).max() > 1e-3


def test_no_batch_changes_a_score(judge):
    """kills: pictures and captions paired across batches. Stated: 1e-6 of a cosine."""
    whole = judge.scores(X, CAPTIONS, CPU).cosine
    for batch in (1, 3, 4):
        np.testing.assert_allclose(judge.scores(X, CAPTIONS, CPU, batch).cosine, whole, atol=1e-6)
    turned = judge.scores(X[::-1], CAPTIONS[::-1], CPU).cosine
    np.testing.assert_allclose(turned[::-1], whole, atol=1e-6)


def test_the_wrong_activation_is_refused():
    """kills: OpenAI's weights under GELU, where open_clip warns and every score is a little off."""
    for architecture, tag in (("ViT-L-14", "openai"), ("ViT-B-32", "openai")):
        with pytest.raises(WeightsFileError, match="another activation"):
            OpenClip(architecture, tag).locate()


def test_what_cannot_be_loaded_is_one_line(judge, tmp_path):
    """kills: a network left as it was drawn, a tokenizer asked of the hub, a file not named."""
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsFileError, match=f"no weights at {path}"):
        OpenClip("tiny-test-clip", "drawn", path).encode(X, CPU)
    save_file({"positional_embedding": torch.zeros(77, 32)}, path)
    with pytest.raises(WeightsFileError, match=f"cannot load {path}.*Missing key") as said:
        OpenClip("tiny-test-clip", "drawn", path).encode(X, CPU)
    assert "\n" not in str(said.value)
    with pytest.raises(WeightsFileError, match="is no tag of ViT-B-32"):
        OpenClip("ViT-B-32", "mine").locate()
    with pytest.raises(WeightsFileError, match="knows no architecture 'ViT-X'"):
        OpenClip("ViT-X", "mine").locate()
    with pytest.raises(WeightsFileError, match="tokenizer"):
        OpenClip("roberta-ViT-B-32", "laion2b_s12b_b32k").locate()
    with pytest.raises(ValueError, match="4 pictures do not pair with 1 captions"):
        judge.scores(X, CAPTIONS[:1], CPU)
