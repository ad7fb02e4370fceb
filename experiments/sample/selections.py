"""What is drawn: the experts that --select names, and the guidance where nobody says."""

import argparse

from modules.selection import Full, Only, Selection, Top

GUIDANCE = 2.0
"""Of networks of ours: what the tables of `small` draw with."""


def selection(text: str) -> Selection:
    """top1, top2, … or full, or expert0, expert1, … alone. ArgumentTypeError for others."""
    if text == "full":
        return Full()
    if text.startswith("top") and text[3:].isdecimal() and int(text[3:]) > 0:
        return Top(int(text[3:]))
    if text.startswith("expert") and text[6:].isdecimal():
        return Only(int(text[6:]))
    raise argparse.ArgumentTypeError(
        f"{text!r} is no selection: top1, top2, …, full, expert0, expert1, …"
    )
