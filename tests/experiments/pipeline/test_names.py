"""Keys know a class by its bare name: no two that a config may name share one."""

import ast

from tests.helpers.files import ROOT

ROOMS = ("experiments", "modules", "datamodules", "metrics")


def keyed(node, classes, seen=()):
    """Whether a config may name a class: a frozen value, an enum, a stage or an expert's module."""
    frozen = any("frozen=True" in ast.unparse(x) for x in node.decorator_list)
    bases = [ast.unparse(base).split(".")[-1] for base in node.bases]
    known = {"Enum", "Stage", "DenoisingExpert", "Measurement"} & {*bases, node.name}
    inherited = [x for base in bases if base not in seen for x in classes.get(base, ())]
    return frozen or bool(known) or any(keyed(x, classes, (*seen, node.name)) for x in inherited)


def test_no_two_keyed_classes_share_a_name():
    """kills: two values of different classes with one key, or a card read as another class."""
    classes = {}
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append(node)
    assert {"Velocity", "Digits", "TrainExpert", "DDPMExpert", "AdaLN"} <= classes.keys()
    twice = {name: sum(keyed(x, classes) for x in found) for name, found in classes.items()}
    assert " ".join(name for name, n in twice.items() if n > 1) == ""
