"""What the docstring of a class says of each of its fields, as --help has it.

A line of a docstring may be about several: `steps, batch: of the optimiser`. Sentences about fields
begin a line or follow two spaces, and end where another begins, or a line with a capital.
"""

import dataclasses
import inspect
import re


def described(kind: type) -> dict[str, str]:
    """What is said of each field, by the class itself or a base; '' where nothing is."""
    names = [field.name for field in dataclasses.fields(kind)]
    words = dict.fromkeys(names, "")
    for base in reversed(kind.__mro__):
        if base is not object and base.__doc__:
            words |= _of(inspect.cleandoc(base.__doc__), names)
    return words


def _of(doc: str, names: list[str]) -> dict[str, str]:
    name = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    begin = rf"(?:^[ ]*|  )((?:{name})(?:, (?:{name}))*):\s"
    starts = [*re.finditer(begin, doc, re.MULTILINE)] if names else []
    ends = [*(start.start() for start in starts), len(doc)][1:]
    said = dict[str, str]()
    for start, end in zip(starts, ends, strict=True):
        paragraph, *_ = re.split(r"\n\n|\n(?=[A-Z])", doc[start.end() : end])
        said |= dict.fromkeys(start[1].split(", "), " ".join(paragraph.split()))
    return said


def docstring(kind: type) -> str:
    """The class's first paragraph, and a line for each field, as parsers of docstrings read it."""
    first, *_ = inspect.cleandoc(kind.__doc__ or "").split("\n\n")
    lines = [f"    {name}: {said}" for name, said in described(kind).items() if said]
    return "\n".join([first, "", "Args:", *lines]) if lines else first
