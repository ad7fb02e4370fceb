"""The rules of the house, read off the syntax trees: each yields a line a breach."""

import ast
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SOURCES = ("experiments", "modules", "datamodules", "metrics")
FLOORS = (  # a room imports from lower floors, and from the rooms beside it where no circle forms
    ("pipeline",),
    ("training", "tables"),
    ("stages",),
    ("scores",),
    ("cli", "recipes", "drawing", "measures", "sample", "bench"),
    ("hddm", "paris2"),
    ("claims", "publish", "report", "lab"),
    ("expert", "serve"),
    ("store",),
)
APART = (
    *({"hddm", "paris2"}, {"training", "tables"}, {"stages", "tables"}),
    *({"claims", "publish"}, {"claims", "report"}, {"publish", "report"}),
)
TABLES = {"pipeline", "tables"}
LADDER = ("schedules", "objectives", "expert", "ensemble")
TORCH_ALONE = ("modules.selection", "modules.sampling")
BARRED = {
    "modules": {"experiments"},
    "datamodules": {"experiments", "modules", "metrics"},
    "metrics": {"experiments", "modules", "datamodules"},
    "tables": {"modules", "datamodules", "metrics"},
}
ENGINES = {
    "ray": {"experiments.pipeline.launch.ray", "experiments.serve.actors"},
    "submitit": {"experiments.pipeline.launch.slurm"},
}
ON_TOP = {"__init__.py", "claims.py", "lab.py", "publish.py", "store.py"}
WIDE = {"modules", "experiments/hddm", "tests/modules", "tests/experiments/hddm"}
MOST_FILES = 16
MOST_LINES = 250


@dataclass(frozen=True)
class Tree:
    """The Python files of the suite and of its tests below `root`."""

    root: Path

    @cached_property
    def places(self):
        """{dotted name: path}."""
        paths = [
            p for room in (*SOURCES, "tests") for p in sorted((self.root / room).rglob("*.py"))
        ]
        names = [".".join(path.relative_to(self.root).with_suffix("").parts) for path in paths]
        return {name.removesuffix(".__init__"): p for name, p in zip(names, paths, strict=True)}

    @cached_property
    def parsed(self):
        return {name: ast.parse(path.read_text()) for name, path in self.places.items()}

    @cached_property
    def targets(self):
        """{name: dotted names that it imports}: at its top, in functions, under TYPE_CHECKING."""
        return {name: set(self._imported(name)) for name in self.places}

    @cached_property
    def edges(self):
        """{name: files of the suite that it imports}; of a package, the file that is named."""
        return {
            name: targets & self.places.keys() - {name} for name, targets in self.targets.items()
        }

    @cached_property
    def source(self):
        """The names outside tests."""
        return [name for name in self.places if head(name) in SOURCES]

    def _imported(self, name):
        package = name if self.places[name].name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(self.parsed[name]):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package.split(".")[: package.count(".") + 2 - node.level]
                full = ".".join([*(base if node.level else []), *filter(None, [node.module])])
                members = {f"{full}.{alias.name}" for alias in node.names}
                yield from members
                if not members <= self.places.keys():  # something that the package itself holds
                    yield full


def head(name):
    return name.split(".")[0]


def room(name):
    """`stages` of `experiments.stages.corpus`, `modules` of `modules.dit`."""
    parts = name.split(".")
    return parts[1] if parts[0] == "experiments" and len(parts) > 1 else parts[0]


def reached(start, edges):
    """All that `start` imports, directly or through others of the suite."""
    seen, ahead = set(), [start]
    while ahead:
        for name in edges.get(ahead.pop(), set()) - seen:
            seen.add(name)
            ahead.append(name)
    return seen


def circles(edges):
    """Strongly connected components of more than one, each sorted."""
    reach = {name: reached(name, edges) for name in edges}
    rings = {
        tuple(sorted(b for b in reach[a] if a in reach.get(b, ()))) for a in edges if a in reach[a]
    }
    return sorted(ring for ring in rings if len(ring) > 1)


def no_circles(tree):
    yield from (f"circle of files: {', '.join(ring)}" for ring in circles(tree.edges))
    rooms = {}
    for name in tree.source:
        rooms.setdefault(room(name), set()).update(map(room, tree.edges[name]))
    yield from (f"circle of rooms: {', '.join(ring)}" for ring in circles(rooms))


def one_way(tree):
    """Floors of experiments, what tables may import, and what imports nothing of experiments."""
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    for name in tree.source:
        here = room(name)
        if head(name) == "experiments" and name != "experiments" and here not in floor:
            yield f"{name} is in a room without a floor"
        for target in sorted(tree.edges[name]):
            there = room(target)
            up = floor.get(there, -1) > floor.get(here, len(FLOORS))
            apart = any({here, there} == pair for pair in APART)
            strange = here == "tables" and head(target) == "experiments" and there not in TABLES
            barred = head(target) in {*BARRED.get(here, ()), "tests"}
            if up or apart or strange or barred:
                yield f"{name} imports {target}"


def formalism(tree):
    """The ladder schedules <- objectives <- expert <- ensemble; two files import torch alone."""
    for i, lower in enumerate(LADDER):
        above = {f"modules.{upper}" for upper in LADDER[i + 1 :]}
        for name in sorted(reached(f"modules.{lower}", tree.edges) & above):
            yield f"modules.{lower} imports {name}"
    for name in TORCH_ALONE:
        strange = set(map(head, tree.targets.get(name, ()))) - {"torch"} - sys.stdlib_module_names
        yield from (f"{name} imports {other}" for other in sorted(strange))


def engines(tree):
    """Each engine's package is imported by one file, and Ray by that of actors too."""
    for name in tree.source:
        for package in sorted(set(map(head, tree.targets[name])) & ENGINES.keys()):
            if name not in ENGINES[package]:
                yield f"{name} imports {package}"


def scripts(tree):
    """No script, a file of a paper that defines TABLE, imports another."""

    def defines(name):
        nodes = [node for node in tree.parsed[name].body if isinstance(node, ast.Assign)]
        return any(
            getattr(target, "id", "") == "TABLE" for node in nodes for target in node.targets
        )

    found = {name for name in tree.source if room(name) in ("hddm", "paris2") and defines(name)}
    for name in sorted(found):
        yield from (f"{name} imports {other}" for other in sorted(tree.edges[name] & found))


def sizes(tree):
    """Lines a file, files a directory, names that say nothing, and what lies in experiments/."""
    for name, path in tree.places.items():
        lines = len(path.read_text().splitlines())
        if lines > MOST_LINES:
            yield f"{name} has {lines} lines"
        if path.name == "utils.py":
            yield f"{name} is a utils.py"
        if path.parent == tree.root / "experiments" and path.name not in ON_TOP:
            yield f"{name} is in no room"
    folders = Counter(p.parent.relative_to(tree.root).as_posix() for p in tree.places.values())
    for folder, count in folders.items():
        if count > MOST_FILES and folder not in WIDE:
            yield f"{folder} has {count} Python files"


def class_names(tree):
    """One class name, one class."""
    names = Counter()
    for name in tree.source:
        nodes = (node for node in ast.walk(tree.parsed[name]) if isinstance(node, ast.ClassDef))
        names.update(node.name for node in nodes)
    yield from (f"{count} classes are named {name}" for name, count in names.items() if count > 1)


def mirror(tree):
    """A test file lies in its source's folder, and is imported by nobody."""
    for name, path in tree.places.items():
        if not path.name.startswith("test_"):
            continue
        folder = path.parent.relative_to(tree.root / "tests") if head(name) == "tests" else None
        if folder is None or not (tree.root / folder).is_dir():
            yield f"{name} mirrors no folder of the source"
        importers = [other for other, edges in tree.edges.items() if name in edges]
        yield from (f"{other} imports {name}" for other in importers)


RULES = (no_circles, one_way, formalism, engines, scripts, sizes, class_names, mirror)


def breaches(root):
    """Every breach of every rule, one line each."""
    tree = Tree(root)
    return [line for rule in RULES for line in rule(tree)]
