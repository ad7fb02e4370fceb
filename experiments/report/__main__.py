"""results/<scale>/index.html: every table, figure and claim of a results folder on one page."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.pipeline.files import StoreError, write_whole
from experiments.report import contents, page
from experiments.report.compare import Comparison, compare
from experiments.report.contents import Contents

PAGE = "index.html"


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="report", description=__doc__, allow_abbrev=False)
    options.add_argument("--scale", default="small", help="the folder of results to show")
    options.add_argument("--results", type=Path, default=Path("results"), help="folder of tables")
    options.add_argument("--against", type=Path, help="other results: what moved between them")
    return options


def against(here: Contents, other: Path | None) -> Comparison | None:
    """What moved between two folders; the other is one of tables, or of scales."""
    if other is None:
        return None
    folder = other if any(other.glob("*.json")) else other / here.folder.name
    return compare(here, contents.read(folder), other.as_posix())


def write(folder: Path, other: Path | None = None) -> Path:
    """Write the page of a results folder beside its tables. StoreError for what cannot be read."""
    here = contents.read(folder)
    text = page.rendered(here, against(here, other)).encode()
    if len(text) > page.MOST_BYTES:
        raise StoreError(f"{folder / PAGE} would have {len(text)} bytes: too large to send")
    write_whole(folder / PAGE, text)
    return folder / PAGE


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the page is written, 1 for results that cannot be read."""
    options = parser().parse_args(arguments)
    try:
        print(write(options.results / options.scale, options.against))
    except (StoreError, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
