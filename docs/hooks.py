"""What the site has beside the pages of docs/: the committed results, the notebooks, and a line for
every file.

A page links to results as `../results/small/table1.md`, and to a notebook as
`../notebooks/new_parts.py`, which also works on a code host.
"""

import ast
import re
from pathlib import Path

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
ROOMS = ("modules", "datamodules", "metrics", "experiments")
UNCOMMITTED = re.compile(r"smoke.*|.*-.{6}")
"""Folders of results/ that git ignores."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds every table and figure of a committed scale, and every notebook as a page."""
    for path in sorted((ROOT / "results").rglob("*")):
        place = path.relative_to(ROOT)
        if path.suffix in (".md", ".png") and not UNCOMMITTED.fullmatch(place.parts[1]):
            files.append(File.generated(config, place.as_posix(), abs_src_path=str(path)))
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        place = path.relative_to(ROOT).with_suffix(".md").as_posix()
        notebook = jupytext.read(path)
        notebook.metadata["jupytext"] = {"notebook_metadata_filter": "-all"}  # a page has no header
        page = jupytext.writes(notebook, "md")
        files.append(File.generated(config, place, content=page))
    return files


def on_page_markdown(markdown: str, **kwargs: object) -> str:
    """Links to results/ and notebooks/ from within the site, and the list of files where a page
    asks for it."""
    markdown = re.sub(r"\]\(\.\./notebooks/(\w+)\.py\)", r"](notebooks/\1.md)", markdown)
    return markdown.replace("](../results/", "](results/").replace("<!-- files -->", listing())


def listing() -> str:
    """A definition list of every Python file: the first line of its docstring."""
    lines = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            said = ast.get_docstring(ast.parse(path.read_text()))
            if said:
                lines.append(f"`{path.relative_to(ROOT)}`\n:   {said.splitlines()[0]}\n")
    return "\n".join(lines)
