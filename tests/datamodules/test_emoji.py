"""The folder of emoji, laid out from files as their authors publish them."""

import json

import pytest

from datamodules.emoji import lay, stem
from datamodules.sources.folder import Folder
from tests.helpers.files import asset


def test_a_folder_is_laid_out(tmp_path):
    """kills: a picture under another's name, one without a file listed, a name with underscores."""
    (tmp_path / "in").mkdir()
    for name in ("1f600", "2764", "1f468_200d_1f33e"):
        (tmp_path / f"in/emoji_u{name}.png").write_bytes(name.encode())
    heart, farmer = "\u2764\ufe0f", "\U0001f468\u200d\U0001f33e"
    names = {"\U0001f600": ["grinning_face", "joy"], heart: ["red_heart"], farmer: ["man_farmer"]}
    (tmp_path / "names.json").write_text(json.dumps({**names, "\U0001f47b": ["ghost"]}))
    assert lay(tmp_path / "in", tmp_path / "names.json", tmp_path / "out") == 3
    lines = [
        json.loads(line) for line in (tmp_path / "out/captions.jsonl").read_text().splitlines()
    ]
    assert [line["caption"] for line in lines] == ["grinning face", "red heart", "man farmer"]
    for line in lines:
        place = tmp_path / "out" / line["file"]
        assert place.read_bytes().decode() == place.stem


@pytest.mark.slow
def test_names_are_those_of_the_set():
    """kills: another form of the code points than the pictures' names have."""
    for line in (asset("data/emoji") / "captions.jsonl").read_text().splitlines():
        name = json.loads(line)["file"].removeprefix("png/").removesuffix(".png")
        assert stem("".join(chr(int(point, 16)) for point in name.split("_"))) == name
    assert Folder("emoji", str(asset("data/emoji"))).classes == 0
