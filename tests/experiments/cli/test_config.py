"""--config: a file says what a command line would, and each run leaves the one that repeats it."""

from dataclasses import dataclass

import pytest
import yaml

from experiments.cli import config
from experiments.cli.options import UsageError, parse
from experiments.recipes.images import SCALES


@dataclass(frozen=True)
class Sweep:
    shares: tuple[float, ...] = (0.5,)


def read(*arguments, sweep=None):
    return parse("table9", "", arguments, SCALES, sweep)


def test_a_file_says_what_a_command_line_would(tmp_path):
    """kills: a group that is not joined, a list that becomes one word, true that becomes True."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "scale: smoke\nseeds: 2\nshares: [0.25, 0.75]\nscale.draw.guidance: 2.0\n"
        "scale.train:\n  steps: 20\n  ema: null\ntensorboard: true\n"
    )
    words = ["--scale", "smoke", "--seeds", "2", "--shares", "0.25", "0.75"]
    words += ["--scale.draw.guidance", "2.0", "--scale.train.steps", "20"]
    words += ["--scale.train.ema", "null", "--tensorboard", "true"]
    assert read("--config", str(path), sweep=Sweep()) == read(*words, sweep=Sweep())


def test_the_command_line_wins(tmp_path):
    """kills: a file that overrules what was just typed; an option that is given twice."""
    path = tmp_path / "mine.yaml"
    path.write_text("scale: smoke\nseeds: 2\nscale.train.steps: 20\n")
    mine = read(f"--config={path}", "--scale.train.steps", "300", "--scale=small")
    assert (mine.scale_name, mine.seeds, mine.scale.train.steps) == ("small", 2, 300)


def test_what_a_run_leaves_repeats_it(tmp_path):
    """kills: a dial or a source that is not written down, a place that is, words that YAML reads as
    something else."""
    words = ["--seeds", "4", "--scale.train.lr=1e-3", "--shares", "0.25", "0.75"]
    words += ["--source", "datamodules.sources.folder.Folder", "--scale.data.source.name", "007"]
    words += ["--scale.data.source.root", "/my pictures", "--scale.data.source.image", "16"]
    where = ["--store", "elsewhere", "--results", "mine", "--workers", "1", "--launch", "local"]
    asked = read(*words, *where, sweep=Sweep())
    path = tmp_path / "table9.yaml"
    path.write_text(asked.repeated_by)
    again = read("--config", str(path), sweep=Sweep())
    assert (again.scale, again.seeds, again.sweep) == (asked.scale, asked.seeds, asked.sweep)
    assert again.scale.data.source.name == "007"
    assert again.repeated_by == asked.repeated_by
    assert not {"store", "results", "workers", "launch"} & yaml.safe_load(asked.repeated_by).keys()
    assert yaml.safe_load(read().repeated_by) == {"scale": "small", "seeds": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("", "has no options"),
        ("- 1", "has no options"),
        ("a: [", "--config"),
        ("seed: 3", "seed"),
        ("scale.train.stps: 3", "stps"),
    ],
)
def test_a_bad_file_is_said_in_one_line(tmp_path, text, said):
    """kills: a traceback of YAML's, an unknown name that is passed over."""
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=said) as raised:
        read("--config", str(path))
    assert "\n" not in str(raised.value)


def test_help_names_the_file_and_the_scales(capsys):
    with pytest.raises(SystemExit):
        read("--help")
    said = capsys.readouterr().out
    assert config.OPTION in said
    assert all(name in said for name in SCALES)
