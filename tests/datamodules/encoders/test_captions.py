"""One cleaning for both of CLIP's tokenizers, and captions that an encoder cannot read."""

import numpy as np
import open_clip
import pytest

from datamodules.encoders.captions import SAID, cleaned, plain, refusals
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.encoder import TinyClipText
from datamodules.encoders.words import Words
from tests.helpers.checkpoints import lay_encoders

ODD = (
    *("salt &amp; pepper", "salt &amp;amp; pepper", "3 &lt; 4", "caf&eacute; &#39;au lait&#39;"),
    *("“curly” quotes", "it’s a ‘quote’", "ﬁne ﬂowers in an oﬃce", "mojibake: schÃ¶n, cafÃ©"),
    *("â€œbrokenâ€\x9d quotes", "full width： ＡＢＣ１２３", "e\u0301 and é", "tab\tand\nline"),
    *("  many   spaces  ", "UPPER Case", "ΟΔΟΣ and İstanbul", "emoji 🐈‍⬛ cat", "日本語の猫"),
    *("zero\u200bwidth", "soft\u00adhyphen", "x" * 30 + "!" * 9, "don't we'll they've"),
)
END = 49407


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """transformers' tokenizer with the vocabulary that open_clip has."""
    root = lay_encoders(tmp_path_factory.mktemp("weights"))
    return ClipText(str(root / "clip"), width=24, pooled=24)


def upto_end(row):
    row = row.tolist()
    return row[: row.index(END) + 1]


@pytest.mark.parametrize("caption", ODD)
def test_both_tokenizers_read_a_caption_alike(text, caption):
    """kills: entities, curly quotes, ligatures or mojibake that one of them mends alone."""
    theirs = open_clip.get_tokenizer("ViT-B-32")([caption])[0]
    assert upto_end(text.ids([caption])[0]) == upto_end(theirs.numpy())


def test_the_cleaning_is_openais():
    """kills: entities resolved once, or ftfy's mending left out."""
    assert cleaned("Salt &amp;amp;  “Pepper”\n schÃ¶n ﬁne") == 'salt & "pepper" schön fine'


@pytest.mark.parametrize("spelt", ["<|endoftext|>", "<|startoftext|>", "&lt;|EndOfText|&gt;"])
def test_a_caption_that_spells_an_end_token_does_not_end_there(text, spelt):
    """kills: the words behind it unread, and the pooled vector taken in the middle."""
    ids = text.ids([f"a cat {spelt} on a mat"])[0].tolist()
    words = text.ids(["on a mat"])[0].tolist()[1:4]
    end = ids.index(END)
    assert ids[end - 3 : end] == words
    assert set(ids[end:]) == {END}
    assert ids.count(ids[0]) == 1


def test_open_clips_own_spelling_is_words_too():
    """kills: `<end_of_text>` in a prompt that ends a caption of the small scales."""
    ids = TinyClipText(16).ids([plain("a <end_of_text> mat")])[0].tolist()
    assert ids.index(END) > ids.index(TinyClipText().ids(["mat"])[0, 1])


@pytest.mark.parametrize("read", [TinyClipText().encode, TinyClipText().ids, Words().encode])
def test_captions_that_are_too_long_are_told_from_the_rest(read):
    """kills: all captions refused for one, the reason as long as the caption, or one overlooked."""
    captions = [f"the digit {i}" for i in range(9)]
    long = ["word " * 900, "other " * 20]
    reasons = refusals(read, [*captions[:4], long[0], *captions[4:], long[1], long[0]])
    assert reasons.keys() == set(long)
    for reason in reasons.values():
        assert len(reason) <= SAID == 80
        assert reason.startswith("caption longer than 8 ")
    assert refusals(read, captions) == {}


def test_an_encoder_that_reads_nothing_says_so_itself():
    """kills: every picture dropped as one with too long a caption, for a model of another size."""

    def broken(captions):
        raise ValueError("gives (77, 24), not 77 x 768")

    with pytest.raises(ValueError, match="not 77 x 768"):
        refusals(broken, ["a cat"])


def test_a_refused_caption_asks_few_times():
    """kills: a tokenizer loaded for each of ten thousand captions."""
    asked = []

    def read(captions):
        asked.append(len(captions))
        if "long" in captions:
            raise ValueError("long")

    captions = [*map(str, range(4095)), "long"]
    assert refusals(read, captions) == {"long": "long"}
    assert len(asked) <= 2 + 2 * np.log2(4096)
