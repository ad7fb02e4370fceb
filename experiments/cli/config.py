"""--config FILE: options read from a YAML file, and the file that repeats a run.

    scale: small
    seeds: 3
    scale.train.steps: 300

Keys are options without their dashes; groups may be nested. The command line wins over them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

OPTION = "--config"
PLACES = (
    *("store", "cache", "cache-gb", "results", "workers", "launch", "device", "devices"),
    *("strategy", "compile", "checkpointing", "stack", "tensorboard", "wandb", "plan", "debug"),
)
"""Options that say where or how fast, not what: a file that repeats a run has none of them."""


def expanded(arguments: Sequence[str]) -> list[str]:
    """The arguments with each `--config FILE` replaced by what it says, before all others.

    ValueError, in a line, for a file that cannot be read or has no options.
    """
    given, rest = taken(OPTION, arguments)
    named = {option for option, _ in _options(rest)}
    ahead = list[str]()
    for path in given:
        for name, value in _flat(_read(path)):
            if f"--{name}" not in named:
                ahead += [f"--{name}", *_words(value)]
    return [*ahead, *rest]


def repeats(arguments: Sequence[str], scale: str, seeds: int) -> str:
    """The config of a run: what was asked of it, wherever that lay, and what it took unasked."""
    asked: dict[str, object] = {"scale": scale, "seeds": seeds}
    for option, words in _options(arguments):
        name = option.removeprefix("--")
        if name.split(".")[0] not in PLACES:
            values = [_value(word) for word in words]
            asked[name] = values[0] if len(values) == 1 else values
    return yaml.safe_dump(asked, sort_keys=False, allow_unicode=True)


def taken(option: str, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Every value of an option, and the other arguments."""
    values, rest, ahead = list[str](), list[str](), iter(arguments)
    for argument in ahead:
        if argument == option:
            values.append(next(ahead, ""))
        elif argument.startswith(f"{option}="):
            values.append(argument.partition("=")[2])
        else:
            rest.append(argument)
    return values, rest


def _options(arguments: Sequence[str]) -> list[tuple[str, list[str]]]:
    """(option, its words) of a command line."""
    options = list[tuple[str, list[str]]]()
    for argument in arguments:
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            options.append((name, [value] if equals else []))
        elif options:
            options[-1][1].append(argument)
    return options


def _read(path: str) -> Mapping[str, Any]:
    try:
        held = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{OPTION} {path}: {' '.join(str(error).split())}") from error
    if not isinstance(held, dict) or not held:
        raise ValueError(f"{OPTION} {path} has no options, such as `scale.train.steps: 300`")
    return held


def _flat(held: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, object]]:
    for name, value in held.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{group}{name}.")
        else:
            yield f"{group}{name}", value


def _words(value: object) -> list[str]:
    """A value as it is typed on a command line."""
    if isinstance(value, list):
        return [word for each in value for word in _words(each)]
    if value is None or isinstance(value, bool):
        return ["null" if value is None else str(value).lower()]
    return [str(value)]


def _value(word: str) -> object:
    """A word as YAML has it, where that is typed the same again; else the word."""
    try:
        value = yaml.safe_load(word)
    except yaml.YAMLError:
        return word
    plain = value is None or isinstance(value, bool | int | float)
    return value if plain and _words(value) == [word] else word
