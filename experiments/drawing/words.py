"""How wide words are on paper, and where they are broken into lines."""

import functools
from collections.abc import Iterator


@functools.cache
def inches(words: str, size: float) -> float:
    """The width of words in one line.  size: of the letters, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return float(
        text_to_path.get_text_width_height_descent(words, FontProperties(size=size), False)[0] / 72
    )


def wrapped(words: str, width: float, size: float) -> list[str]:
    """Lines of at most `width` inches; only a word that is wider by itself is broken."""
    lines = list[str]()
    for word in words.split():
        for part in _parts(word, width, size):
            joined = f"{lines[-1]} {part}" if lines else part
            if lines and inches(joined, size) <= width:
                lines[-1] = joined
            else:
                lines.append(part)
    return lines


def widest(words: str, size: float) -> float:
    """Inches of the widest word."""
    return max((inches(word, size) for word in words.split()), default=0.0)


def _parts(word: str, width: float, size: float) -> Iterator[str]:
    """A word in pieces that fit, with hyphens; at least one letter each."""
    while inches(word, size) > width and len(word) > 1:
        fitting = [n for n in range(1, len(word)) if inches(f"{word[:n]}-", size) <= width]
        end = max(fitting, default=1)
        yield f"{word[:end]}-"
        word = word[end:]
    yield word
