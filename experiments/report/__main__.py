"""results/<scale>/index.html: every table, figure and claim of a results folder on one page."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli.bounds import named_folder, port_refused, seeds_refused
from experiments.pipeline.files import StoreError, write_whole
from experiments.pipeline.storage.places import FolderPlace, place_of
from experiments.report import contents, page
from experiments.report.compare import Comparison, compare
from experiments.report.contents import Contents

if TYPE_CHECKING:
    from experiments.tables.results import Table

PAGE = "index.html"


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="report", description=__doc__, allow_abbrev=False)
    options.add_argument("--scale", default="small", help="the folder of results to show")
    options.add_argument(
        "--results", type=named_folder, default=Path("results"), help="folder of tables"
    )
    options.add_argument(
        "--against", type=named_folder, help="other results: what moved between them"
    )
    options.add_argument("--watch", action="store_true", help="serve the page while a run goes")
    options.add_argument("--store", default="store", help="of the run: a folder")
    options.add_argument("--seeds", type=int, default=3, help="of the run")
    options.add_argument("--tables", nargs="+", help="of the run; all of both papers")
    options.add_argument("--port", type=int, default=8765, help="on this machine's loopback")
    return options


def refusal(options: argparse.Namespace, every: "Mapping[str, Table[Any]]") -> str | None:
    """What is wrong with the command line of a watch, in words; None if nothing is."""
    if wrong := seeds_refused(options.seeds) or port_refused(options.port):
        return wrong
    if unknown := [name for name in options.tables or () if name not in every]:
        return f"no table is called {unknown[0]}: choose from {', '.join(every)}"
    scales = dict.fromkeys(scale for table in every.values() for scale in table.scales)
    if options.scale not in scales:
        return f"there is no scale {options.scale!r} here: choose from {', '.join(scales)}"
    for name in options.tables or ():
        if options.scale not in every[name].scales:
            own = ", ".join(every[name].scales)
            return f"{name} is not made at scale {options.scale}: choose from {own}"
    return None


def watch(options: argparse.Namespace) -> int:
    """Serve the page of a run until it is interrupted; 2 for a command line that names no run.

    StoreError for a store at an address, which is not asked thousands of times a minute.
    """
    from experiments.hddm.__main__ import TABLES  # seconds, which a page of files does not need
    from experiments.paris2.__main__ import TABLES as VIDEO
    from experiments.report.watch import progress
    from experiments.report.watch.rows import Growing
    from experiments.report.watch.server import LOOPBACK, server

    every = {table.name: table for table in (*TABLES, *VIDEO)}
    if (wrong := refusal(options, every)) is not None:
        print(f"report: {wrong}", file=sys.stderr)
        return 2
    place = place_of(options.store)
    if not isinstance(place, FolderPlace):
        raise StoreError(f"--watch reads a store in a folder, not at {place}: the run tells itself")
    folder = options.results / options.scale
    tables = [every[name] for name in options.tables or every]
    growing = Growing(tables, options.scale, options.seeds, place.root, folder)
    run = progress.wanted(growing.stages)
    with server(options.port, growing.contents, lambda: progress.state(run, place.root)) as served:
        print(f"http://{LOOPBACK}:{served.server_address[1]}/", flush=True)
        served.serve_forever()
    return 0


def against(here: Contents, other: Path | None) -> Comparison | None:
    """What moved between two folders; the other is one of tables, or of scales.

    StoreError for tables of another scale: their numbers are of other data.
    """
    if other is None:
        return None
    folder = other if any(other.glob("*.json")) else other / here.folder.name
    there = contents.read(folder)
    if there.scale != here.scale:
        scales = f"{here.folder} is of scale {here.scale}, {folder} of {there.scale}"
        raise StoreError(f"nothing to compare: {scales}")
    return compare(here, there, other.as_posix())


def write(folder: Path, other: Path | None = None) -> Path:
    """Write the page of a results folder beside its tables. StoreError for what cannot be read."""
    here = contents.read(folder)
    text = page.rendered(here, against(here, other)).encode()
    if len(text) > page.MOST_BYTES:
        raise StoreError(f"{folder / PAGE} would have {len(text)} bytes: too large to send")
    write_whole(folder / PAGE, text)
    return folder / PAGE


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the page is written, 1 for results that cannot be read, 2 for a bad command line."""
    options = parser().parse_args(arguments)
    try:
        if options.watch:
            return watch(options)
        print(write(options.results / options.scale, options.against))
    except KeyboardInterrupt:
        return 130
    except (StoreError, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
