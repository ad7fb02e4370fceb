"""README, CONTRIBUTING and docs/ against what they speak of: what is named exists, examples run."""

import fnmatch
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import torch

from experiments import publish
from experiments.cli import options
from experiments.hddm.__main__ import TABLES
from experiments.recipes.images import SCALES
from experiments.recipes.video import VIDEO_SCALES
from experiments.tables import readme
from tests.helpers.files import PAGES, ROOT, blocks, commands

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
AROUND = [(ROOT / name).read_text() for name in ("environment.yml", ".github/workflows/test.yml")]
ROOMS = ("modules", "datamodules", "metrics", "experiments")
SWEEPS = {table.name: table.sweep for table in TABLES if table.sweep is not None}
PATH = rf"(?:{'|'.join(ROOMS)}|results|tests|docs|\.ci)/[\w./-]*"


def variables(words):
    """The variables of a make command."""
    return dict(word.split("=", 1) for word in words if re.match(r"[A-Z]+=", word))


def run(code, names):
    """Runs Python text in a namespace, as a script would."""
    exec(compile(code, "example", "exec"), names)
    return names


def test_the_tables_are_the_committed_ones():
    """kills: a number edited by hand, or results committed without `make readme`; a page whose
    tables that does not fill."""
    shown = {name: re.findall(r"<!-- results (\S+) -->", text) for name, text in PAGES.items()}
    assert {name: tables for name, tables in shown.items() if tables} == {
        "README.md": ["small/table1"],
        "docs/performance.md": ["bench/stage-costs", "bench/goals"],
    }
    for name in readme.PAGES:
        assert readme.filled(PAGES[name], ROOT / "results") == PAGES[name]


def test_the_readme_is_short():
    """kills: a README that grows into a manual again."""
    assert 100 < len(README.splitlines()) <= 175


def test_the_example_draws_digits_of_both_experts(tmp_path, monkeypatch):
    """kills: an example that has an old name, or an ensemble that leaves the data; its experts are
    exact, so that every sample is one of the pictures."""
    monkeypatch.chdir(tmp_path)
    (example,) = blocks(README, "python")
    names = run(example, {})
    nearest, which = torch.cdist(names["x"], torch.cat(names["clusters"])).min(dim=1)
    assert nearest.max() < 1e-2
    assert 0 < (which < len(names["clusters"][0])).sum() < len(which)
    assert (tmp_path / "digits.png").stat().st_size > 0


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page):
    """kills: a file or folder that was renamed or moved while a page still names it."""
    named = re.findall(rf"`({PATH})`", PAGES[page])
    linked = re.findall(r"\]\(([^)#:]+)\)", PAGES[page])
    assert not [path for path in named if not (ROOT / path).exists()]
    assert not [path for path in linked if not ((ROOT / page).parent / path).exists()]


def test_every_class_that_is_named_by_its_module_exists():
    """kills: a source or another class whose module moved."""
    text = "\n".join(PAGES.values())
    named = set(re.findall(rf"\b((?:{'|'.join(ROOMS)})(?:\.\w+)+)\.([A-Z]\w+)", text))
    assert ("datamodules.sources.folder", "Folder") in named
    assert all(hasattr(importlib.import_module(module), name) for module, name in named)


def test_every_command_is_there():
    """kills: a target that make does not know, a variable that it does not read, a module that
    cannot be run, a test file that is gone."""
    targets = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.M))
    read = set(re.findall(r"^([A-Z]+) +[?:]?=", MAKEFILE, re.M))
    text = "\n".join([*PAGES.values(), *AROUND])
    assert set(re.findall(r"(?:^|`|run: )make ([a-z0-9-]+)", text, re.M)) <= targets
    assert set(re.findall(r"\b([A-Z]+)=\S", text)) <= read | {"OMP_NUM_THREADS", "THREADS"}
    modules = set(re.findall(r"python -m ([\w.]+)", text)) - {"pytest"}
    for module in (name for name in modules if not name.startswith("my_package")):
        assert importlib.util.find_spec(module), module
    words = [word for _, line in commands() for word in line] + AROUND[1].split()
    assert all((ROOT / word).exists() for word in words if re.match(r"tests/|\.ci/", word))


def test_every_dial_in_a_command_is_one_of_its_scale():
    """kills: a dial, scale or source that was renamed; a value that its dial refuses."""
    seen = 0
    for _, words in commands():
        if words[0] != "make" or "ARGS" not in (given := variables(words)):
            continue
        scales = VIDEO_SCALES if words[1].startswith("paris2") else SCALES
        line = ["--scale", given.get("SCALE", "small"), *shlex.split(given["ARGS"])]
        line += ["--launch", given["LAUNCH"]] if "LAUNCH" in given else []
        if "my_package" not in given["ARGS"]:
            options.parse(words[1], "", line, scales, SWEEPS.get(words[1]))
            seen += 1
    assert seen >= 3


def test_every_dial_in_a_sentence_is_an_option_of_a_scale(capsys):
    """kills: a dial that a sentence names and no scale has."""
    known = ""
    for scales in (SCALES, VIDEO_SCALES):
        for name in scales:
            with pytest.raises(SystemExit):
                options.parse("table", "", ["--scale", name, "--help"], scales)
            known += capsys.readouterr().out
    for engine in ("ray", "slurm"):
        with pytest.raises(SystemExit):
            options.parse("table", "", ["--launch", engine, "--help"], SCALES)
        known += capsys.readouterr().out
    known = set(re.findall(r"--[\w.]+", known))
    known |= {f"--{name}" for sweep in SWEEPS.values() for name in vars(sweep)}
    named = {dial for text in PAGES.values() for dial in re.findall(r"`(--[\w.]+)[^`\n]*`", text)}
    assert "--scale.data.source.image" in named
    assert named <= known


def test_what_is_published_and_drawn_is_read():
    """kills: an option of these scripts that was renamed."""
    from experiments.sample import pictures

    seen = []
    for _, words in commands():
        if "experiments.publish" in words:
            publish.parse(words[words.index("-m") + 2 :])
            seen.append("publish")
        elif "experiments.sample" in words and "--stage" not in words:
            pictures.parser().parse_args(words[words.index("-m") + 2 :])
            seen.append("sample")
    assert {"publish", "sample"} <= set(seen)


def test_every_room_has_a_line():
    """kills: a room that is added, renamed or deleted while the README's list stays."""
    (tree,) = [block for block in blocks(README) if "schedules, objectives" in block]
    listed, room = [], ""
    for line in tree.splitlines():
        name, indent = line.split()[0].rstrip("/"), len(line) - len(line.lstrip())
        room = room if indent else name
        listed.append(f"{room}/{name}" if indent else name)
    there = {
        path.parent.relative_to(ROOT)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if len(path.relative_to(ROOT).parts) <= 3
    }
    assert sorted(map(Path, listed)) == sorted(there)


@pytest.mark.slow
def test_the_site_builds_and_lists_every_file(tmp_path, monkeypatch):
    """kills: a broken link or reference, a page outside the navigation, a docstring that cannot be
    read, a file that says nothing of itself, anything fetched from elsewhere by a page."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))
    listed = (tmp_path / "layout.html").read_text()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            named = path.relative_to(ROOT).as_posix() in listed
            assert named or (path.name == "__init__.py" and not path.read_text().strip()), path
    for page in tmp_path.rglob("*.html"):
        assert not re.search(r"""(?:src|<link[^>]* href)=["']?(?:https?:)?//""", page.read_text())


RUN = re.compile(r"(OMP_NUM_THREADS=1 )?(make|\.venv/bin/\S+|python -m|ray|hf|gh|curl|git) ")


def test_every_command_is_among_those_that_say_how_they_were_run():
    """kills: a command on a page that nobody says they ran; a row of a command that is gone."""
    every = [
        " ".join(re.sub(r"\s#.*", "", line).split())
        for page, text in PAGES.items()
        for line in "".join(blocks(text)).replace("\\\n", " ").splitlines()
        if RUN.match(f"{line} ")
    ]
    rows = re.findall(r"^\| (`.*?) \|", PAGES["docs/commands.md"], re.M)
    patterns = [pattern for row in rows for pattern in re.findall(r"`([^`]+)`", row)]
    fits = {x: [line for line in every if fnmatch.fnmatchcase(line, x)] for x in patterns}
    assert not {*every} - {line for lines in fits.values() for line in lines}
    assert not [pattern for pattern, lines in fits.items() if not lines]
    assert len({*every}) > 70
