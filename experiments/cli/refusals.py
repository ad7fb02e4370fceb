"""A parser's refusal of a value, in words for whoever typed it and reads no Python."""

import difflib
import re
from collections.abc import Sequence

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "tuple": "values in brackets, such as [1,2]",
    "NoneType": "null",
}
"""What Python's types are called."""
DIALS = {"the average starts": "train.ema_start"}
"""Of which dial a value speaks that does not know its own name in a scale."""
_UNKNOWN = re.compile(r"unrecognized arguments: (--[\w.-]+)")
_REFUSED = re.compile(r'Parser key "([\w.]+)": (.*)', re.DOTALL)
_WANTED = re.compile(
    r"<class '(?P<kind>\w+)'>|<enum '\w+'>: (?P<members>[{}\w,]+)|Literal\[(?P<texts>[^]]*)\]"
)
_NO_CLASS = re.compile(r"Unable to load config|Expected a dot import path string")


def plain(said: str, known: Sequence[str] = ()) -> str:
    """`--seeds takes a whole number, not x` for what jsonargparse says of it; what cannot be put so
    stays as it is.

    known: the options that there are, of which one like an unknown one may have been meant.
    """
    said = " ".join(said.split())
    if (unknown := _UNKNOWN.match(said)) is not None:
        meant = difflib.get_close_matches(unknown[1], known, n=1, cutoff=0.8)
        return f"{said}; did you mean {meant[0]}?" if meant else said
    if (refused := _REFUSED.fullmatch(said)) is None:
        for words, dial in DIALS.items():
            said = said.replace(words, f"{words} (--scale.{dial})")
        return said
    option, reason = refused.groups()
    if _NO_CLASS.search(reason):
        return f"--{option} takes a class: --{option}.class_path package.module.Class"
    *_, given = re.split("Given value: " if "Given value: " in reason else "Got value: ", reason)
    wanted = _wanted(reason)
    return f"--{option} takes {' or '.join(wanted)}, not {given}" if wanted else said


def _wanted(reason: str) -> list[str]:
    """The kinds of value that would do, each once; none where one of them has no name here."""
    *_, errors = reason.partition("Errors: ") if "Errors: " in reason else (reason,)
    found = list[str]()
    for each in re.split(r"(?:^| )- (?=Expected)|^(?=Expected)", errors):
        if not each.strip():
            continue
        if (match := _WANTED.search(each)) is None:
            return []
        if match["kind"] is not None and match["kind"] not in KINDS:
            return []
        names = (match["members"] or match["texts"] or "").strip("{}").replace("'", "")
        found += [KINDS[match["kind"]]] if match["kind"] else re.split(r",\s*", names)
    return list(dict.fromkeys(found))
