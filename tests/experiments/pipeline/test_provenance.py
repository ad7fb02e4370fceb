"""What an artifact's code is called: its commit, and what differs from it."""

import subprocess

import pytest

from experiments.pipeline import provenance


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A repository with one committed file of code, and the name of its code, asked anew."""

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
                       cwd=tmp_path, check=True, capture_output=True)  # fmt: skip

    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/a.py").write_text("1\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    yield tmp_path, lambda: provenance.commit.__wrapped__(), git
    provenance.commit.cache_clear()


def test_every_uncommitted_edit_has_a_name_of_its_own(tree):
    """kills: one "+dirty" for all edits; untracked or staged files left out; files that are no code
    or are ignored counted in; a digest of names alone."""
    root, name, git = tree
    clean = name()
    assert clean.isalnum()
    (root / "README.md").write_text("words")
    (root / "modules/b.pyc").write_text("ignored")
    assert name() == clean
    names = []
    for path, text in (("a.py", "2\n"), ("a.py", "3\n"), ("b.py", "4\n"), ("b.py", "5\n")):
        (root / "modules" / path).write_text(text)
        names.append(name())
    assert len({*names}) == 4
    assert all(x.startswith(f"{clean}+dirty.") and len(x) == len(clean) + 15 for x in names)
    git("add", "modules")
    staged = name()
    assert staged not in {clean, *names}
    (root / "modules/b.py").write_text("4\n")
    assert name() not in {staged, clean}
    git("commit", "-qam", "second")
    assert name().isalnum()
    assert name() != clean


def test_a_tree_without_git_is_unknown(tmp_path, monkeypatch):
    """kills: a table that cannot be made where there is no repository."""
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit.__wrapped__() == "unknown"
