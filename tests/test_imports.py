"""The house keeps its rules: imports point one way, nothing goes round, files stay short.

The rules are in tests/helpers/house.py; here they meet the suite, and violations made for each.
"""

import pytest

from tests.helpers.files import ROOT
from tests.helpers.house import LADDER, SOURCES, TORCH_ALONE, Tree, breaches, circles, head

CLEAN = {
    "modules/schedules.py": "import math",
    "modules/objectives.py": "from modules.schedules import V",
    "modules/guard.py": "from modules.expert import E",
    "modules/expert.py": "from . import objectives",
    "modules/ensemble.py": "import torch\nfrom modules.expert import E",
    "modules/selection.py": "import torch",
    "modules/sampling.py": "import math\nfrom torch import Tensor",
    "modules/weights/dit.py": "from modules.dit import DiT\nfrom ..dit import DiT",
    "modules/dit.py": "",
    "datamodules/shards.py": "import numpy",
    "datamodules/sources/digits.py": "from datamodules import shards",
    "metrics/frechet.py": "class Frechet: pass",
    "experiments/__init__.py": "",
    "experiments/publish.py": "from experiments.hddm import table1",
    "experiments/pipeline/stage.py": "from experiments.pipeline import files",
    "experiments/pipeline/files.py": "",
    "experiments/pipeline/launch/local.py": "import modules.schedules",
    "experiments/pipeline/launch/ray.py": "import ray\nfrom experiments.pipeline import files",
    "experiments/training/fit.py": "from experiments.pipeline.stage import Stage\nimport lightning",
    "experiments/stages/experts.py": "from experiments.training import fit\nimport metrics.frechet",
    "experiments/scores/score.py": "from experiments.stages import experts\n"
    "from experiments.tables.columns import Column",
    "experiments/tables/columns.py": "from experiments.pipeline.stage import Stage",
    "experiments/cli/main.py": "from experiments.recipes import images\nimport ast",
    "experiments/recipes/images.py": "from experiments.scores import score",
    "experiments/hddm/table1.py": "from experiments.cli import main\nTABLE = 1\n" + "x = 1\n" * 248,
    "experiments/hddm/variants.py": "import modules",
    "experiments/paris2/table1.py": "from experiments.cli import main\nTABLE = 1",
    "experiments/paris2/__main__.py": "from experiments.paris2 import table1",
    "tests/helpers/files.py": "",
    "tests/test_imports.py": "from tests.helpers import files",
    "tests/metrics/test_frechet.py": "import metrics.frechet\nfrom tests.helpers.files import ROOT",
    **{f"metrics/m{i}.py": "" for i in range(15)},
    **{f"modules/m{i}.py": "" for i in range(20)},
}
CLIMBS = [  # lower, what it may not import
    ("pipeline", "training"), ("pipeline", "tables"), ("training", "stages"),
    ("training", "tables"), ("stages", "scores"), ("stages", "tables"),
    ("scores", "recipes"), ("scores", "measures"),
    ("tables", "cli"), ("tables", "stages"), ("tables", "training"), ("cli", "hddm"),
    ("recipes", "paris2"), ("drawing", "hddm"), ("measures", "hddm"), ("sample", "hddm"),
    ("bench", "publish"), ("hddm", "paris2"), ("paris2", "hddm"), ("paris2", "publish"),
]  # fmt: skip


def lay(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_the_suite_keeps_its_rules():
    """kills: an import against the direction of the house, a circle, a long file, a utils.py."""
    tree = Tree(ROOT)
    assert {f"modules.{name}" for name in LADDER} | set(TORCH_ALONE) <= tree.places.keys()
    assert set(map(head, tree.places)) == {*SOURCES, "tests"}
    assert "experiments.cli.main" in tree.edges["experiments.hddm.table1"]
    assert breaches(ROOT) == []


@pytest.mark.parametrize(("lower", "upper"), CLIMBS)
def test_no_room_imports_one_above_it(tmp_path, lower, upper):
    """kills: a floor left out or exchanged with another; `tables` importing more than `pipeline`;
    `tables` imported by what knows of no table."""
    lay(tmp_path, CLEAN)
    lay(tmp_path, {f"experiments/{lower}/a.py": f"from experiments.{upper} import b",
                   f"experiments/{upper}/b.py": ""})  # fmt: skip
    found = breaches(tmp_path)
    assert f"experiments.{lower}.a imports experiments.{upper}.b" in found


@pytest.mark.parametrize(
    ("path", "source", "said"),
    [
        ("modules/schedules.py", "from modules.objectives import V", "schedules imports modules."),
        (
            "modules/objectives.py",
            "def f():\n    import modules.ensemble",
            "objectives imports mo",
        ),
        ("modules/expert.py", "from . import ensemble", "modules.expert imports modules.ensemble"),
        ("modules/schedules.py", "import modules.guard", "schedules imports modules.expert"),
        ("modules/selection.py", "import numpy as np", "modules.selection imports numpy"),
        ("modules/sampling.py", "from modules.dit import DiT", "modules.sampling imports modules"),
        ("modules/dit.py", "from experiments.pipeline import stage", "modules.dit imports experi"),
        ("datamodules/shards.py", "import modules.dit", "datamodules.shards imports modules"),
        ("datamodules/a.py", "from modules.weights import dit", "datamodules.a imports modules.w"),
        ("datamodules/sources/digits.py", "import metrics.frechet", "sources.digits imports metri"),
        ("metrics/frechet.py", "from datamodules import shards", "frechet imports datamodules"),
        ("metrics/frechet.py", "import experiments.pipeline.stage", "frechet imports experiments"),
        (
            "metrics/frechet.py",
            "from tests.helpers.files import ROOT",
            "frechet imports tests.help",
        ),
        ("experiments/tables/columns.py", "import modules.dit", "tables.columns imports modules"),
        ("experiments/hddm/table2.py", "TABLE = 1\nfrom experiments.hddm import table1", "hddm.ta"),
        (
            "experiments/hddm/table3.py",
            "TABLE = 1\nfrom . import table1",
            "hddm.table3 imports exp",
        ),
        ("experiments/novel/a.py", "", "experiments.novel.a is in a room without a floor"),
        ("experiments/pipeline/launch/local.py", "import ray", "launch.local imports ray"),
        ("experiments/cli/a.py", "def f():\n    from ray import init", "cli.a imports ray"),
        ("modules/a.py", "import submitit", "modules.a imports submitit"),
        ("metrics/long.py", "x = 1\n" * 251, "metrics.long has 251 lines"),
        ("tests/test_long.py", "x = 1\n" * 251, "tests.test_long has 251 lines"),
        ("experiments/hddm/utils.py", "", "experiments.hddm.utils is a utils.py"),
        ("experiments/cupboard.py", "", "experiments.cupboard is in no room"),
        ("metrics/m15.py", "", "metrics has 17 Python files"),
        ("modules/dit.py", "def f():\n    class Frechet: pass", "2 classes are named Frechet"),
        ("tests/elsewhere/test_a.py", "", "tests.elsewhere.test_a mirrors no folder"),
        ("metrics/test_a.py", "", "metrics.test_a mirrors no folder"),
        ("tests/metrics/test_a.py", "from . import test_frechet", "metrics.test_a imports tests.m"),
        ("tests/helpers/a.py", "import tests.test_imports", "helpers.a imports tests.test_imports"),
    ],
)
def test_every_rule_can_fail(tmp_path, path, source, said):
    """kills: a checker that looks elsewhere, misses a form of import, or never says anything."""
    lay(tmp_path, CLEAN)
    assert breaches(tmp_path) == []
    lay(tmp_path, {path: source})
    assert any(said in line for line in breaches(tmp_path))


@pytest.mark.parametrize(
    "back",
    [
        "import {}",
        "from {0} import x",
        "def f():\n    import {}",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {} import X",
        "class A:\n    def f(self):\n        from {} import X",
    ],
)
def test_no_import_goes_round(tmp_path, back):
    """kills: circles looked for among two files only, at the top of files only, or in one room."""
    lay(tmp_path, CLEAN)
    ring = {"scores/a.py": "from experiments.scores.b import x",
            "scores/b.py": "import experiments.scores.c",
            "scores/c.py": back.format("experiments.scores.a")}  # fmt: skip
    lay(tmp_path, {f"experiments/{name}": text for name, text in ring.items()})
    a, b, c = (f"experiments.scores.{name}" for name in "abc")
    assert breaches(tmp_path) == [f"circle of files: {a}, {b}, {c}"]


def test_no_room_goes_round(tmp_path):
    """kills: rooms of one floor that import each other through different files."""
    lay(tmp_path, CLEAN)
    lay(tmp_path, {"experiments/recipes/a.py": "from experiments.cli import b",
                   "experiments/cli/b.py": ""})  # fmt: skip
    assert breaches(tmp_path) == ["circle of rooms: cli, recipes"]


def test_circles_are_those_of_an_independent_search():
    """kills: a component cut in two, joined with another, or a file taken for a circle of one."""
    edges = {
        "a": {"b"},
        "b": {"c"},
        "c": {"a", "d"},
        "d": {"e"},
        "e": {"d"},
        "f": {"a"},
        "g": set(),
    }
    assert circles(edges) == [("a", "b", "c"), ("d", "e")]
    assert circles({"a": {"a"}, "b": {"a"}}) == []
