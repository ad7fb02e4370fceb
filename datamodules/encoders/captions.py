"""The one cleaning of captions before CLIP's tokenizer, whoever's: OpenAI's own.

open_clip, which reads captions at the small scales and for CLIP scores, cleans as OpenAI does:
ftfy's mending, HTML entities resolved twice, runs of space made one, lower case. transformers'
tokenizer does the last two alone; so captions come to it cleaned.
"""

import html
import re
from collections.abc import Callable, Sequence

SPECIAL = re.compile(r"(<\|?)((?:start|end)_?of_?text\|?>)", re.IGNORECASE)
"""The tokens that CLIP begins and ends with, in transformers' spelling and in open_clip's."""


SAID = 80
"""Characters of a refusal, at most: a caption may have thousands."""


def plain(caption: str) -> str:
    """The caption with what spells a special token as words: a space within it leaves their tokens
    as they are, and a caption does not end there."""
    return SPECIAL.sub(r"\1 \2", caption)


def cleaned(caption: str) -> str:
    """The caption as OpenAI's CLIP reads it, and `plain`."""
    import ftfy  # a tenth of a second to import

    text = html.unescape(html.unescape(ftfy.fix_text(caption)))
    return plain(re.sub(r"\s+", " ", text).strip().lower())


def refusals(read: Callable[[list[str]], object], captions: Sequence[str]) -> dict[str, str]:
    """The captions that an encoder cannot read, as too long, each with its reason in SAID letters.

    read: the encoder's `encode` or `ids`. ValueError if it cannot read the empty caption either:
    then it is no caption that is at fault.
    """
    read([""])
    return _refused(read, sorted(set(captions)))


def _refused(read: Callable[[list[str]], object], captions: list[str]) -> dict[str, str]:
    """By halves, since an encoder refuses a list as one and says nothing of the rest."""
    try:
        read(captions)
    except ValueError as error:
        if len(captions) > 1:
            half = len(captions) // 2
            return _refused(read, captions[:half]) | _refused(read, captions[half:])
        said = " ".join(str(error).split())
        return {captions[0]: said if len(said) <= SAID else f"{said[: SAID - 3]}..."}
    return {}
