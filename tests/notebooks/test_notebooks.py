"""The notebooks, run from their first cell to their last at the scale of the plumbing."""

import pytest

from tests.helpers.files import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One store for all of them: what the first has trained is there for the next."""
    return tmp_path_factory.mktemp("notebooks") / "store"


@pytest.mark.longest
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, store, monkeypatch):
    """kills: a cell that has an old name; a cell that fails; one that says less than it promises.
    A notebook starts in its own folder, as Jupyter has it."""
    import jupytext
    from nbclient import NotebookClient

    for name, value in {"SCALE": "smoke", "STORE": str(store), "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PICTURES", raising=False)
    notebook = jupytext.read(path)
    where = {"metadata": {"path": str(path.parent)}}
    done = NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=where).execute()
    cells = [cell for cell in done.cells if cell.cell_type == "code"]
    assert len(cells) > 4
    assert cells[-1].outputs or "assert" in cells[-1].source


def test_every_notebook_is_in_the_docs():
    """kills: a notebook that nobody finds; a link to one that is gone."""
    page = (ROOT / "docs" / "lab.md").read_text()
    assert len(NOTEBOOKS) == 4
    assert all(f"../notebooks/{path.name}" in page for path in NOTEBOOKS)
