"""The code that a class consists of, as a digest of its syntax.

To a class belong its project's bases and, on and on, the functions, constants and classes that it
refers to by name. Comments, docstrings, annotations and layout count for nothing, nor does the
file in which a definition stands. A dataclass's fields are told by its values, and other stages
are told where a config names them.
"""

import ast
import functools
import hashlib
import importlib.util
import json
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARED = "experiments.pipeline.stage"
"""The module of what all stages share, which their versions cover."""
IDLE = ("annotation", "returns", "type_comment", "type_params", "kind", "ctx", "simple")
"""Fields of syntax that change nothing of what runs."""


Target = tuple[str, str | None]
"""A module and a name in it; none for the module itself."""


@dataclass(frozen=True, eq=False)
class Definition:
    """A class, function or constant of the project, where it is defined."""

    module: str
    node: ast.stmt


@dataclass(frozen=True)
class Reference:
    """A dotted name.  default: of a parameter, which whoever has a config overrides."""

    names: tuple[str, ...]
    default: bool


@functools.cache
def digest(kind: type) -> str | None:
    """8 hexadecimal digits of a class's code; None for one of another project, or of no code.

    TypeError for a class whose source cannot be read, as one that was typed at a prompt.
    """
    if kind.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise TypeError(f"{kind.__name__} stands in no file: its code has no digest")
    if (tree := _tree(kind.__module__)) is None:
        return None
    nodes: list[ast.AST] = [tree]
    for name in kind.__qualname__.replace("<locals>.", "").split("."):
        inside = [x for node in nodes for x in ast.walk(node)]
        nodes = [x for x in inside if isinstance(x, ast.ClassDef | ast.FunctionDef)]
        nodes = [x for x in nodes if x.name == name]  # type: ignore[attr-defined]
    forms = _closure([Definition(kind.__module__, x) for x in nodes if isinstance(x, ast.ClassDef)])
    return hashlib.sha256("\n".join(sorted(forms)).encode()).hexdigest()[:8] if forms else None


def _closure(classes: list[Definition]) -> set[str]:
    """The forms of all code that belongs to these classes."""
    forms, seen = set[str](), set[tuple[ast.stmt, bool, bool]]()
    ahead = [(each, True, False) for each in classes]
    while ahead:
        found, own, default = ahead.pop()
        if (found.node, own, default) in seen or (not own and _elsewhere(found, default)):
            continue
        seen.add((found.node, own, default))
        part = _own_part(found.node) if own and isinstance(found.node, ast.ClassDef) else found.node
        if (form := _form(part)) not in ([], None):
            forms.add(json.dumps(form))
        bases = set(_bases(found)) if own else set()
        ahead += [(base, True, False) for base in bases if base.module != SHARED]
        for reference in _references(part):
            reached = _resolve(found, reference.names)
            ahead += [(x, False, default or reference.default) for x in reached]
    return forms


def _elsewhere(found: Definition, default: bool) -> bool:
    """Whether a definition's code is told elsewhere: a stage's, or that of a default value."""
    if not isinstance(found.node, ast.ClassDef):
        return False
    frozen = any("frozen=True" in ast.unparse(x) for x in found.node.decorator_list)
    return (default and frozen) or _is_stage(found)


@functools.cache
def _is_stage(found: Definition) -> bool:
    return found.module == SHARED or any(map(_is_stage, _bases(found)))


def _bases(found: Definition) -> list[Definition]:
    if not isinstance(found.node, ast.ClassDef):
        return []
    names = [r.names for base in found.node.bases for r in _references(base)]
    return [x for name in names for x in _resolve(found, name) if isinstance(x.node, ast.ClassDef)]


def _own_part(node: ast.ClassDef) -> list[ast.AST]:
    """What a class does: its body without a dataclass's fields, and its decorators but that."""
    others = [x for x in node.decorator_list if not ast.unparse(x).startswith("dataclass")]
    if len(others) == len(node.decorator_list):
        return [*node.body, *others, *node.keywords]
    plain = [x for x in node.body if not isinstance(x, ast.AnnAssign) or _is_class_wide(x)]
    return [*plain, *others, *node.keywords]


def _is_class_wide(node: ast.AnnAssign) -> bool:
    return ast.unparse(node.annotation).startswith("ClassVar")


def _form(node: Any) -> Any:
    """Syntax as nested lists, without what changes nothing of what runs."""
    if isinstance(node, list):
        return [_form(item) for item in node if not _is_idle(item)]
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return _form(ast.Assign([node.target], node.value))
    fields = [(name, x) for name, x in ast.iter_fields(node) if name not in IDLE]
    return [type(node).__name__, *([n, _form(x)] for n, x in fields if x is not None and x != [])]


def _is_idle(node: Any) -> bool:
    """A docstring, an import, a bare annotation."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    bare = isinstance(node, ast.AnnAssign) and node.value is None
    return bare or isinstance(node, ast.Import | ast.ImportFrom | ast.Pass)


def _references(node: Any, default: bool = False) -> Iterator[Reference]:
    """The names that code reads. What is merely asked about, as by isinstance, does not run."""
    if isinstance(node, list):
        for item in node:
            yield from _references(item, default)
    elif isinstance(node, ast.Name | ast.Attribute) and (names := _dotted(node)):
        yield Reference(names, default)
    elif isinstance(node, ast.Call) and _dotted(node.func) in (("isinstance",), ("issubclass",)):
        yield from _references(node.args[0], default)
    elif isinstance(node, ast.AST):
        for field, child in ast.iter_fields(node):
            if field not in IDLE and not (isinstance(node, ast.MatchClass) and field == "cls"):
                yield from _references(child, default or "defaults" in field)


def _dotted(node: ast.expr) -> tuple[str, ...]:
    """("a", "b") of a.b; nothing where a is no name."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (first := _dotted(node.value)):
        return (*first, node.attr)
    return ()


def _resolve(found: Definition, names: tuple[str, ...]) -> list[Definition]:
    """What a dotted name means where it is read; nothing for what is not of the project."""
    inside = _imported_inside(found)
    if names[0] in inside:
        return _follow(inside[names[0]], names[1:])
    known = names[0] in _table(found.module)
    return _follow((found.module, names[0]), names[1:]) if known else []


@functools.cache
def _imported_inside(found: Definition) -> "dict[str, Target]":
    """What a function or class imports in its body."""
    imports = [x for x in ast.walk(found.node) if isinstance(x, ast.Import | ast.ImportFrom)]
    return {n: target for x in imports for n, target in _imported(x, found.module).items()}


def _follow(target: Target, rest: tuple[str, ...]) -> list[Definition]:
    """The definitions of a name in a module, or of `rest` in a module that is imported whole."""
    module, name = target
    if name is None:
        return _follow((module, rest[0]), rest[1:]) if rest else []
    nodes = _table(module).get(name)
    if nodes is None:
        inner = f"{module}.{name}"
        return _follow((inner, None), rest) if _is_package(module) and _tree(inner) else []
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
    for node in _statements(_tree(module)):
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
def _tree(module: str) -> ast.Module | None:
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
