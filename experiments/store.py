"""What lies in a store: what there is, what made it, whether it is whole, what nothing refers to.

    python -m experiments.store ls                       a line an artifact
    python -m experiments.store show trainexpert/3f…     what made it and of what
    python -m experiments.store verify                   every damaged file, and a status of 1
    python -m experiments.store du                       sizes by kind
    python -m experiments.store gc                       what could go; --delete deletes it

Each takes --store, a folder or an address, and ls, show, verify take kinds, keys, or kind/keys.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from datamodules.shards import ShardError, read_index, read_shard
from experiments.cli.bounds import named_folder
from experiments.pipeline.files import StoreError
from experiments.pipeline.storage.inventory import (
    Held,
    abandoned,
    alive,
    inventory,
    mentioned,
    unreferenced,
)
from experiments.pipeline.storage.leases import MAKING
from experiments.pipeline.storage.places import FolderPlace, StorePlace, place_of
from experiments.pipeline.storage.remote import CONFIG

KB = 1000
MOST_HOURS = 24 * 365 * 100
SILENT = timedelta(hours=1)
"""After which another host's lease is of a dead one, whose clock may be another; a heartbeat comes
every few seconds."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line. It ends the process, status 2, if it cannot be read."""
    parser = argparse.ArgumentParser(
        "store", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, about in (
        ("ls", "a line an artifact"),
        ("show", "what made an artifact, and of what"),
        ("verify", "name every damaged file"),
        ("du", "sizes by kind"),
        ("gc", "what nothing refers to"),
    ):
        own = verbs.add_parser(verb, help=about)
        own.add_argument("--store", default="store", help="folder or address of artifacts")
        if verb in ("ls", "show", "verify"):
            several = "+" if verb == "show" else "*"
            own.add_argument("named", nargs=several, help="kinds, keys, or kind/keys")
        if verb in ("ls", "du"):
            own.add_argument("--json", action="store_true", help="for machines")
        if verb == "gc":
            own.add_argument(
                "--results", type=named_folder, default=Path("results"), help="whose tables"
            )
            own.add_argument("--hours", type=hours, default=24.0, help="leave what is younger")
            own.add_argument("--delete", action="store_true", help="delete it")
    return parser.parse_args(arguments)


def hours(text: str) -> float:
    """A number of hours to look back, at most a century. ArgumentTypeError for any other text."""
    with suppress(ValueError):
        if 0 <= (number := float(text)) <= MOST_HOURS:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MOST_HOURS}")


def size(count: int) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < KB:
            return f"{count} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count = count / KB  # type: ignore[assignment]
    return f"{count:.1f} TB"


def ls(place: StorePlace, options: argparse.Namespace) -> Iterator[str]:
    for held in inventory(place, options.named):
        made = held.made
        if options.json:
            about = {name: made.get(name) for name in ("made", "seconds", "host", "commit", "seed")}
            yield json.dumps({"artifact": held.artifact, "bytes": held.size, **about})
        else:
            when, seconds = str(made.get("made", "?"))[:16], made.get("seconds", "?")
            commit = made.get("commit", "damaged provenance")
            yield f"{held.artifact:36} {size(held.size):>9}  {when}  {seconds:>8} s  {commit}"
    if not options.json:
        yield from (f"{x.folder:36} being made by {x.maker}" for x in alive(place))


def show(place: StorePlace, options: argparse.Namespace) -> Iterator[str]:
    for held in inventory(place, options.named):
        yield f"{held.artifact}, {size(held.size)}"
        for name in ("made", "seconds", "host", "machine", "device", "commit", "command", "seed"):
            yield f"  {name}: {held.made.get(name)}"
        yield f"  made from: {', '.join(held.inputs) or 'nothing'}"
        users = [x.artifact for x in inventory(place) if held.artifact in x.inputs]
        yield f"  used by: {', '.join(users) or 'nothing here'}"
        for name, count in sorted(held.sizes.items()):
            yield f"  {size(count):>9}  {name}"
        yield from json.dumps(held.read(CONFIG), indent=1).splitlines()


def shard_damages(held: Held) -> Iterator[str]:
    """Damaged shards of an artifact from before folders had checksums: their own index tells."""
    if held.kind == "shards" and isinstance(held.place, FolderPlace) and "inside" not in held.made:
        for folder in sorted((held.place.root / held.artifact).glob("cluster-*")):
            try:
                for shard in read_index(folder):
                    read_shard(shard)
            except ShardError as error:
                yield str(error)


def verify(place: StorePlace, options: argparse.Namespace) -> Iterator[str]:
    """A line for each damaged file, then a count. StoreError if there are any."""
    every, damaged, bare, count = inventory(place, options.named), 0, 0, 0
    for held in every:
        lines = [*held.damages(), *shard_damages(held)]
        yield from lines
        damaged += len(lines)
        count += held.size
        bare += len(held.sizes.keys() - held.checksums.keys()) - 1
    yield f"{len(every)} artifacts, {size(count)}, {damaged} damaged files" + (
        f"; of {bare} files no checksum was written when they were made" if bare > 0 else ""
    )
    if damaged:
        raise StoreError("delete the folders of what is damaged, and run again")


def du(place: StorePlace, options: argparse.Namespace) -> Iterator[str]:
    totals: dict[str, list[int]] = {}
    for held in inventory(place):
        counted = totals.setdefault(held.kind, [0, 0])
        totals[held.kind] = [counted[0] + 1, counted[1] + held.size]
    if making := place.sizes(MAKING):
        totals[MAKING] = [len(place.names(MAKING)), sum(making.values())]
    if options.json:
        yield json.dumps({kind: {"count": n, "bytes": b} for kind, (n, b) in totals.items()})
        return
    for kind, (number, count) in sorted(totals.items(), key=lambda item: -item[1][1]):
        yield f"{kind:24} {number:7}  {size(count):>9}"
    number, count = (sum(x) for x in zip(*totals.values(), strict=True)) if totals else (0, 0)
    yield f"{'all':24} {number:7}  {size(count):>9}"


def gc(place: StorePlace, options: argparse.Namespace) -> Iterator[str]:
    """What no table in results refers to, nor what is being made. StoreError before anything is
    deleted while anything is being made, and before the next is deleted once anything is."""
    younger = timedelta(hours=options.hours)
    silent = max(younger, SILENT)
    leases = alive(place, silent)
    if not (keys := mentioned(options.results)):
        raise StoreError(
            f"no table in {options.results} names a key: --results says where they lie"
        )
    idle = unreferenced(inventory(place), keys, leases, younger)
    left = abandoned(place, leases, younger)
    if options.delete:
        _refuse_at_work(place, silent)
    for each in (*idle, *left):
        if options.delete:
            _refuse_at_work(place, silent)
        if isinstance(each, Held):
            made = str(each.made.get("made", "?"))[:16]
            yield f"{each.artifact:36} {size(each.size):>9}  {made}"
        else:
            yield f"{MAKING}/{each}  abandoned"
        if options.delete and isinstance(each, Held):
            each.remove()
        elif options.delete:
            place.remove_folder(f"{MAKING}/{each}")
            place.remove(f"{MAKING}/{each}")
    total = size(sum(held.size for held in idle))
    yield f"{len(idle)} artifacts, {total}, and {len(left)} abandoned: " + (
        "deleted" if options.delete else "nothing is deleted without --delete"
    )


def _refuse_at_work(place: StorePlace, silent: timedelta) -> None:
    """StoreError while anything is being made: it may need what no table names yet."""
    for lease in alive(place, silent):
        raise StoreError(
            f"{lease.maker} makes {lease.folder}, and may need what no table names yet: "
            "wait until it has ended"
        )


VERBS = {"ls": ls, "show": show, "verify": verify, "du": du, "gc": gc}


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 for what is damaged or cannot be read; 2 for a bad command line."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    place = place_of(options.store)
    try:
        if isinstance(place, FolderPlace) and not place.root.is_dir():
            raise StoreError(f"no store at {place}")
        for line in VERBS[options.verb](place, options):
            print(line)
    except BrokenPipeError:  # as of `| head`
        sys.stderr.close()
        return 0
    except (StoreError, OSError) as error:
        print(f"store {options.verb}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
