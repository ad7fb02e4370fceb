"""The code that a class consists of, as a digest of its syntax.

To a class belong its project's bases and, on and on, the functions, constants and classes that it
refers to by name. Comments, docstrings, annotations and layout count for nothing, nor does the
file in which a definition stands, nor how a table shows a number. A dataclass's fields count by
their values. Another stage counts where a config names it.
"""

import ast
import functools
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from experiments.pipeline import definitions
from experiments.pipeline.definitions import Definition, resolve

SHARED = "experiments.pipeline.stage"
"""The module of what all stages share, which their versions cover."""
SHOWN = "experiments.tables.columns"
"""The module of how a number is shown, which makes none."""
IDLE = ("annotation", "returns", "type_comment", "type_params", "kind", "ctx", "simple")
"""Fields of syntax that change nothing of what runs."""


@dataclass(frozen=True)
class NameRead:
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
    if (module := definitions.tree(kind.__module__)) is None:
        return None
    nodes: list[ast.AST] = [module]
    for name in kind.__qualname__.replace("<locals>.", "").split("."):
        inside = [x for node in nodes for x in ast.walk(node)]
        nodes = [x for x in inside if isinstance(x, ast.ClassDef | ast.FunctionDef)]
        nodes = [x for x in nodes if x.name == name]  # type: ignore[attr-defined]
    forms = _closure([Definition(kind.__module__, x) for x in nodes if isinstance(x, ast.ClassDef)])
    return hashlib.sha256("\n".join(sorted(forms)).encode()).hexdigest()[:8] if forms else None


def _closure(classes: list[Definition]) -> set[str]:
    """The forms of all code that belongs to these classes."""
    forms, visited = set[str](), set[tuple[ast.stmt, bool, bool]]()
    pending = [(each, True, False) for each in classes]
    while pending:
        definition, own, default = pending.pop()
        node = definition.node
        if (node, own, default) in visited or (not own and _elsewhere(definition, default)):
            continue
        visited.add((node, own, default))
        part = _own_part(node) if own and isinstance(node, ast.ClassDef) else node
        if (form := _form(part)) not in ([], None):
            forms.add(json.dumps(form))
        bases = set(_bases(definition)) if own else set()
        pending += [(base, True, False) for base in bases if base.module != SHARED]
        for reference in _references(part):
            reached = resolve(definition, reference.names)
            pending += [(x, False, default or reference.default) for x in reached]
    return forms


def _elsewhere(definition: Definition, default: bool) -> bool:
    """Whether other digests cover a definition: a stage's, or that of a default value. What only
    shows needs none."""
    if definition.module == SHOWN:
        return True
    if not isinstance(definition.node, ast.ClassDef):
        return False
    frozen = any("frozen=True" in ast.unparse(x) for x in definition.node.decorator_list)
    return (default and frozen) or _is_stage(definition)


@functools.cache
def _is_stage(definition: Definition) -> bool:
    return definition.module == SHARED or any(map(_is_stage, _bases(definition)))


def _bases(definition: Definition) -> list[Definition]:
    if not isinstance(definition.node, ast.ClassDef):
        return []
    names = [r.names for base in definition.node.bases for r in _references(base)]
    bases = [x for name in names for x in resolve(definition, name)]
    return [base for base in bases if isinstance(base.node, ast.ClassDef)]


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


def _references(node: Any, default: bool = False) -> Iterator[NameRead]:
    """The names that code reads. The classes that isinstance tests for do not run."""
    if isinstance(node, list):
        for item in node:
            yield from _references(item, default)
    elif isinstance(node, ast.Name | ast.Attribute) and (names := _dotted(node)):
        yield NameRead(names, default)
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
