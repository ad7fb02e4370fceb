"""Imports point one way, files stay short: read off the syntax trees, and tested on violations."""

import ast
import sys

import pytest

from tests.helpers.files import ROOT

ROOMS = ("experiments", "modules", "datamodules", "metrics")
LADDER = ("schedules", "objectives", "expert", "ensemble")
TORCH_ALONE = ("selection", "sampling")
SCRIPTS = ("experiments.hddm.", "experiments.paris2.")
LONGEST = 250


def files(root):
    """{dotted name: path} of every Python file of the suite."""
    paths = [path for room in (*ROOMS, "tests") for path in sorted((root / room).rglob("*.py"))]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in paths]
    return {name.removesuffix(".__init__"): path for name, path in zip(names, paths, strict=True)}


def imported(tree, name):
    """The dotted names that a module imports, at its top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".")[: -node.level] if node.level else []
            full = ".".join([*base, *([node.module] if node.module else [])])
            yield full
            yield from (f"{full}.{alias.name}" for alias in node.names)


def closure(start, edges):
    """All that `start` imports, directly or through others of the suite."""
    found, ahead = set(), [start]
    while ahead:
        for name in edges.get(ahead.pop(), set()) - found:
            found.add(name)
            ahead.append(name)
    return found


def violations(root):
    """Every breach of the house's rules, one line each."""
    places = files(root)
    trees = {name: ast.parse(path.read_text()) for name, path in places.items()}
    edges = {name: set(imported(tree, name)) for name, tree in trees.items()}
    found = []
    for i, lower in enumerate(LADDER):
        above = {f"modules.{upper}" for upper in LADDER[i + 1 :]}
        found += [
            f"modules.{lower} imports {name}"
            for name in sorted(closure(f"modules.{lower}", edges) & above)
        ]
    for name, targets in edges.items():
        room = name.split(".")[0]
        rooms = {target.split(".")[0] for target in targets}
        barred = {"experiments"} if room in ("modules", "datamodules", "metrics") else set()
        if room in ("datamodules", "metrics"):
            barred |= {"modules", "datamodules", "metrics"} - {room}
        found += [f"{name} imports {other}" for other in sorted(rooms & barred)]
        if name in {f"modules.{m}" for m in TORCH_ALONE}:
            strange = rooms - {"torch"} - sys.stdlib_module_names
            found += [f"{name} imports {other}" for other in sorted(strange)]
        if name.startswith(SCRIPTS):
            found += [f"{name} imports {t}" for t in sorted(targets) if t.startswith(SCRIPTS)]
        top = [node for node in trees[name].body if isinstance(node, ast.Import | ast.ImportFrom)]
        outer = set(imported(ast.Module(top, []), name))
        found += [f"{name} imports ray at its top"] * any(t.split(".")[0] == "ray" for t in outer)
    for name, path in places.items():
        lines = len(path.read_text().splitlines())
        found += [f"{name} has {lines} lines"] * (lines > LONGEST)
        found += [f"{name} is a utils.py"] * (path.name == "utils.py")
    return found


def test_the_suite_keeps_its_rules():
    """kills: an import against the direction of design §3, a long file, a utils.py."""
    found = files(ROOT)
    assert {f"modules.{name}" for name in (*LADDER, *TORCH_ALONE)} <= found.keys()
    assert {"experiments.hddm.table1", "metrics.frechet", "datamodules.shards"} <= found.keys()
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("path", "source", "said"),
    [
        ("modules/schedules.py", "from modules.objectives import V", "schedules imports modules.o"),
        (
            "modules/objectives.py",
            "def f():\n    import modules.ensemble",
            "objectives imports mod",
        ),
        ("modules/expert.py", "from . import ensemble", "modules.expert imports modules.ensemble"),
        ("modules/schedules.py", "import modules.guard", "schedules imports modules.expert"),
        ("modules/selection.py", "import numpy as np", "modules.selection imports numpy"),
        (
            "modules/sampling.py",
            "from modules.text import Text",
            "modules.sampling imports modules",
        ),
        ("modules/dit.py", "from experiments import store", "modules.dit imports experiments"),
        ("datamodules/shards.py", "import modules.text", "datamodules.shards imports modules"),
        (
            "datamodules/sources/digits.py",
            "import metrics",
            "datamodules.sources.digits imports metrics",
        ),
        ("metrics/frechet.py", "from datamodules import digits", "frechet imports datamodules"),
        (
            "metrics/frechet.py",
            "import experiments.pipeline.store",
            "frechet imports experiments",
        ),
        (
            "experiments/hddm/table2.py",
            "from experiments.hddm import table1",
            "imports experiments.h",
        ),
        ("experiments/paris2/a.py", "import experiments.hddm.table1", "imports experiments.hddm.t"),
        ("experiments/hddm/table3.py", "from . import table1", "imports experiments.hddm.table1"),
        (
            "experiments/pipeline/launch/local.py",
            "import ray",
            "launch.local imports ray at its top",
        ),
        ("metrics/long.py", "x = 1\n" * 251, "metrics.long has 251 lines"),
        ("experiments/hddm/utils.py", "", "experiments.hddm.utils is a utils.py"),
    ],
)
def test_every_rule_can_fail(tmp_path, path, source, said):
    """kills: a checker that looks elsewhere, misses a form of import, or never says anything."""
    clean = {
        "modules/guard.py": "from modules.expert import E",
        "modules/ensemble.py": "import torch\nfrom modules.expert import E",
        "modules/sampling.py": "import math\nfrom torch import Tensor",
        "experiments/pipeline/launch/local.py": "import modules, metrics\ndef f():\n    import ray",
        "experiments/hddm/table1.py": "from experiments import store\n" + "x = 1\n" * 249,
    }
    for name, text in clean.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert violations(tmp_path) == []
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(source)
    found = violations(tmp_path)
    assert found
    assert all(said in line for line in found)
