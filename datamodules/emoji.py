"""Lays out the pictures of scale `emoji` from the files of noto-emoji and emojilib.

    python -m datamodules.emoji noto-emoji/png/128 emojilib/dist/emoji-en-US.json data/emoji

Nothing is downloaded: docs/data.md has the commands that fetch both.
"""

import json
import shutil
import sys
from pathlib import Path

VARIATION = 0xFE0F
"""A code point that asks for colour, and stands in no file's name."""


def stem(emoji: str) -> str:
    """The name of an emoji's picture, such as 1f468_200d_1f33e."""
    return "_".join(f"{point:04x}" for point in map(ord, emoji) if point != VARIATION)


def lay(pictures: Path, names: Path, out: Path) -> int:
    """Copy every named picture, and list it with its name and keywords; how many there are."""
    listed = json.loads(names.read_text(encoding="utf-8"))
    (out / "png").mkdir(parents=True, exist_ok=True)
    lines = []
    for emoji, (name, *keywords) in listed.items():
        picture, file = pictures / f"emoji_u{stem(emoji)}.png", f"png/{stem(emoji)}.png"
        if picture.is_file():
            shutil.copyfile(picture, out / file)
            about = {"file": file, "caption": name.replace("_", " "), "keywords": keywords}
            lines.append(json.dumps(about, ensure_ascii=False) + "\n")
    (out / "captions.jsonl").write_text("".join(lines), encoding="utf-8")
    return len(lines)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(f"{lay(*map(Path, sys.argv[1:]))} pictures")
