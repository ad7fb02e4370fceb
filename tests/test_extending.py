"""docs/extending.md: its package is written from the page, imported and run."""

import importlib
import os
import re
import subprocess
import sys

import pytest
import torch

from datamodules.sources.source import Split
from experiments.cli import options
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.denoising import FlowMatchingExpert
from modules.objectives import check_invertible
from modules.schedules import Cosine, Linear
from modules.selection import Top
from tests.helpers.files import ROOT, blocks

PAGE = (ROOT / "docs" / "extending.md").read_text()
FILE = re.compile(r"# (my_package/\w+\.py)\n")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder of the page's package, from which it can be imported."""
    folder = tmp_path_factory.mktemp("extending")
    (folder / "my_package").mkdir()
    for block in blocks(PAGE, "python"):
        if named := FILE.match(block):
            (folder / named[1]).write_text(block)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[name]


@pytest.fixture
def parts(package):
    return importlib.import_module("my_package.parts")


def test_the_pages_files_are_all_there(package):
    names = {path.stem for path in (package / "my_package").iterdir() if path.suffix == ".py"}
    assert names == {"parts", "leaning", "claims", "stripes"}


def test_the_objective_is_inverted_everywhere_and_the_refused_one_is_refused(parts):
    """kills: an example with an old signature; a wrong sentence on where there is no inverse."""
    for schedule in (parts.Lingering(), Linear(), Cosine()):
        check_invertible(parts.Leaning(), schedule)
    (refused,) = [block for block in blocks(PAGE, "python") if "Refused" in block]
    names = {**vars(parts)}
    exec(refused, names)
    with pytest.raises(ValueError, match=r"t = 0\.66666"):
        check_invertible(names["Refused"](), Linear())
    x0, eps, t = torch.randn(3, 5), torch.randn(3, 5), torch.tensor([0.1, 0.5, 0.9])
    schedule = parts.Lingering()
    y = parts.Leaning().target(schedule, x0, eps, t)
    torch.testing.assert_close(y, eps - x0 / 2)
    back = parts.Leaning().recover(schedule, y, schedule.noise(x0, eps, t), t)
    torch.testing.assert_close(back, (x0, eps), rtol=1e-4, atol=1e-4)


def test_the_schedules_parts_agree(parts):
    """kills: a derivative or an inverse that is another schedule's."""
    schedule = parts.Lingering()
    t = torch.linspace(0.01, 0.99, 50, dtype=torch.float64, requires_grad=True)
    for value, slope in ((schedule.alpha, schedule.dalpha), (schedule.sigma, schedule.dsigma)):
        torch.testing.assert_close(torch.autograd.grad(value(t).sum(), t)[0], slope(t))
    torch.testing.assert_close(schedule.time(schedule.angle(t)), t)


def test_the_selection_narrows(parts):
    p, t = torch.tensor([[0.5, 0.3, 0.2]]).repeat(2, 1), torch.tensor([0.9, 0.1])
    w = parts.Narrowing(0.5).weights(p, t)
    torch.testing.assert_close(w, torch.tensor([[0.625, 0.375, 0.0], [1.0, 0.0, 0.0]]))


def test_the_tables_rows_are_of_these_experts(package, parts):
    """kills: an expert that never gets into the table; a row of another selection than it names."""
    table = importlib.import_module("my_package.leaning").TABLE
    rows = table.rows(SCALES["small"], 1)
    assert [tuple(row.names.values()) for row in rows] == [
        (mix, name) for mix in ("8FM", "2 leaning, 6FM") for name in ("Top-2", "Top-2, then Top-1")
    ]
    plain = experts.mixed(SCALES["small"], FlowMatchingExpert, {}, 1)
    for row in rows:
        sample, leaning = row.measured.pictures, "leaning" in row.names["Experts"]
        assert sample.selection == (Top(2), parts.Narrowing(0.5))["then" in row.names["Selection"]]
        for k, expert in enumerate(sample.experts):
            other = leaning and k in (0, 3)
            assert expert.module is (parts.LeaningExpert if other else FlowMatchingExpert)
            assert other or expert == plain[k]


def test_the_source_is_one_and_its_splits_share_nothing(package):
    """kills: an example that lacks a part of the protocol; pictures that are in two splits."""
    line = ["--source", "my_package.stripes.Stripes", "--scale.data.source.each", "64"]
    source = options.parse("table1", "", line, SCALES).scale.data.source
    read = {split: source.read(split) for split in Split}
    assert all(len(records) == source.expected(split) == 64 for split, records in read.items())
    shapes = {records.images.shape for records in read.values()}
    assert shapes == {(64, source.channels, source.image, source.image)}
    assert max(abs(records.images).max() for records in read.values()) <= 1
    pictures = [picture.tobytes() for records in read.values() for picture in records.images]
    assert len({*pictures}) == len(pictures)
    assert experts.clusters(turned(SCALES["small"], {"data.source": source}), source).k == 8


@pytest.mark.longest
def test_the_commands_of_the_page_run(package, tmp_path):
    """kills: a table that cannot be made, an expert or a source that workers cannot import, a claim
    that is judged before three seeds are there."""
    where = ["--store", str(tmp_path / "store"), "--results", str(tmp_path / "results")]
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}"}

    def run(module, *words):
        command = [sys.executable, "-m", module, *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    table = run("my_package.leaning", "--scale", "smoke", "--seeds", "2", *where)
    assert "| 2 leaning, 6FM | Top-2, then Top-1 |" in table
    said = run("my_package.claims", str(tmp_path / "results" / "smoke"))
    assert said.startswith("Two leaning experts lower FID. undecided: ")
    stripes = ["--source", "my_package.stripes.Stripes", "--scale.data.source.each", "64"]
    assert "| Monolithic |" in run(
        "experiments.hddm.table1", "--scale", "smoke", "--seeds", "1", *stripes, *where
    )
