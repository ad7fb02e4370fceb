"""What a name means in the project's source, read off syntax trees: nothing is imported or run."""

import ast
import functools
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Target = tuple[str, str | None]
"""A module and a name in it; none for the module itself."""


@dataclass(frozen=True, eq=False)
class Definition:
    """A class, function or constant of the project, where it is defined."""

    module: str
    node: ast.stmt


def resolve(reader: Definition, names: tuple[str, ...]) -> list[Definition]:
    """What a dotted name means where it is read; nothing for what is not of the project."""
    inside = _imported_inside(reader)
    if names[0] in inside:
        return _follow(inside[names[0]], names[1:])
    known = names[0] in _table(reader.module)
    return _follow((reader.module, names[0]), names[1:]) if known else []


@functools.cache
def _imported_inside(reader: Definition) -> "dict[str, Target]":
    """What a function or class imports in its body."""
    imports = [x for x in ast.walk(reader.node) if isinstance(x, ast.Import | ast.ImportFrom)]
    return {n: target for x in imports for n, target in _imported(x, reader.module).items()}


def _follow(target: Target, rest: tuple[str, ...]) -> list[Definition]:
    """The definitions of a name in a module, or of `rest` in a module that is imported whole."""
    module, name = target
    if name is None:
        return _follow((module, rest[0]), rest[1:]) if rest else []
    nodes = _table(module).get(name)
    if nodes is None:
        inner = f"{module}.{name}"
        return _follow((inner, None), rest) if _is_package(module) and tree(inner) else []
    reached = list[Definition]()
    for node in nodes:
        if isinstance(node, Definition):
            reached.append(node)
        elif node != target:
            reached += _follow(node, rest)
    return reached


@functools.cache
def _table(module: str) -> "dict[str, list[Definition | Target]]":
    """What the names of a module mean: a definition, or what is imported from another."""
    table: dict[str, list[Definition | Target]] = {}
    for node in _statements(tree(module)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, target in _imported(node, module).items():
                table.setdefault(name, []).append(target)
            continue
        names = [node.name] if isinstance(node, ast.ClassDef | ast.FunctionDef) else []
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        for target in filter(None, targets):
            names += [x.id for x in ast.walk(target) if isinstance(x, ast.Name)]
        for name in names:
            table.setdefault(name, []).append(Definition(module, node))
    return table


def _statements(node: Any) -> Iterator[ast.stmt]:
    """The statements at a module's top, those under `if` and `try` too."""
    for field in ("body", "orelse", "finalbody", "handlers"):
        for item in getattr(node, field, ()) or ():
            if isinstance(item, ast.If | ast.Try | ast.With | ast.ExceptHandler):
                yield from _statements(item)
            else:
                yield item


def _imported(node: ast.Import | ast.ImportFrom, module: str) -> dict[str, Target]:
    """The names that an import binds: to (module, None), or to (module, its name there)."""
    if isinstance(node, ast.Import):
        whole = [x.name if x.asname else x.name.split(".")[0] for x in node.names]
        return {x.asname or name: (name, None) for x, name in zip(node.names, whole, strict=True)}
    base = [] if not node.level else module.split(".")[: -node.level]
    full = ".".join([*base, *([node.module] if node.module else [])])
    return {x.asname or x.name: (full, x.name) for x in node.names}


@functools.cache
def tree(module: str) -> ast.Module | None:
    """A module's syntax; None for one that is not of a project: installed, or Python's own."""
    path = _file(module) if _is_project(module.split(".")[0]) else None
    return ast.parse(path.read_bytes()) if path and path.suffix == ".py" else None


@functools.cache
def _is_package(module: str) -> bool:
    path = _file(module) if _is_project(module.split(".")[0]) else None
    return path is not None and (path.is_dir() or path.name == "__init__.py")


@functools.cache
def _is_project(package: str) -> bool:
    path = _file(package)
    outside = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    installed = {"site-packages", "dist-packages"}
    if path is None or installed & {*path.parts}:
        return False
    return not any(path.is_relative_to(folder) for folder in outside)


def _file(module: str) -> Path | None:
    """The file of a module, or the folder of a package that has none."""
    if (there := sys.modules.get(module)) and getattr(there, "__file__", None):
        return Path(str(there.__file__)).resolve()
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return next((Path(x).resolve() for x in places if x and Path(x).exists()), None)
