"""Copies the committed tables into the pages that show them: no number is typed there."""

import itertools
import re
from pathlib import Path

from experiments.pipeline.provenance import ROOT

PAGES = ("README.md", "docs/performance.md")
"""Those with tables between markers."""


def table_lines(markdown: str) -> str:
    """The lines of a results file that are its first table."""
    lines = markdown.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    return "\n".join(itertools.takewhile(lambda line: line.startswith("|"), lines[start:]))


def filled(page: str, results: Path) -> str:
    """`page` with the table of results/NAME.md in each block <!-- results NAME --> … end."""

    def block(match: re.Match[str]) -> str:
        table = table_lines((results / f"{match[1]}.md").read_text())
        return f"<!-- results {match[1]} -->\n{table}\n<!-- end -->"

    return re.sub(r"<!-- results (\S+) -->.*?<!-- end -->", block, page, flags=re.DOTALL)


if __name__ == "__main__":
    for name in PAGES:
        path = ROOT / name
        path.write_text(filled(path.read_text(), ROOT / "results"))
