"""Packages of Python files written by a test, and the code that is read off them."""

import importlib
import sys

from experiments.pipeline import code, definitions


def package(tmp_path, name, files):
    """Import every file of a new package; the modules, by the names of their files."""
    for path, text in {"__init__": "", **files}.items():
        (tmp_path / name / f"{path}.py").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / f"{path}.py").write_text(text)
    if str(tmp_path) not in sys.path:
        sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    modules = {path: importlib.import_module(f"{name}.{path.replace('/', '.')}") for path in files}
    sys.path.remove(str(tmp_path))
    return modules


def forget():
    """Have sources read anew, as another process would."""
    for cached in (*vars(code).values(), *vars(definitions).values()):
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
