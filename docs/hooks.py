"""Takes the committed tables and figures of results/ into the site, as pages of their own.

A page of docs/ links to them as `../results/small/table1.md`, which also works on a code host.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

UNCOMMITTED = re.compile(r"smoke.*|.*-.{6}")
"""Folders of results/ that git ignores."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds every table and figure of a committed scale."""
    root = Path(config.config_file_path).parent
    for path in sorted((root / "results").rglob("*")):
        place = path.relative_to(root)
        if path.suffix in (".md", ".png") and not UNCOMMITTED.fullmatch(place.parts[1]):
            files.append(File.generated(config, place.as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **kwargs: object) -> str:
    """Links to results/ from within the site, where it lies beside the pages."""
    return markdown.replace("](../results/", "](results/")
