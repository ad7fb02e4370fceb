"""Pages of README and docs/, taken apart."""

import re


def blocks(text, language=""):
    """The fenced blocks of a page in one language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.DOTALL)
    return [body for named, body in fenced if named == language]
