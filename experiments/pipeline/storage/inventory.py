"""What a store holds, whether it is whole, and what nothing refers to."""

import json
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.pipeline.files import StoreError, sealed
from experiments.pipeline.storage.addresses import TOUCHED
from experiments.pipeline.storage.leases import MAKING, SeenLease, all_written
from experiments.pipeline.storage.places import FolderPlace, StorePlace, artifacts
from experiments.pipeline.storage.remote import CONFIG, MARKER

MENTIONED = re.compile(r'"(?:[a-z]+/)?([0-9a-f]{12})"')
"""A key in a table's .json."""


@dataclass(frozen=True)
class Held:
    """An artifact, kind/key, as it lies in a place; its files are listed when it is made."""

    place: StorePlace
    artifact: str
    sizes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, place: StorePlace, artifact: str) -> "Held":
        sizes = place.sizes(artifact)
        return cls(place, artifact, {n.removeprefix(f"{artifact}/"): s for n, s in sizes.items()})

    @property
    def kind(self) -> str:
        return self.artifact.partition("/")[0]

    @property
    def size(self) -> int:
        return sum(self.sizes.values())

    @cached_property
    def made(self) -> dict[str, Any]:
        """Its provenance; {} if that cannot be read, which `damages` says."""
        with suppress(StoreError):
            return self.read(MARKER)
        return {}

    @property
    def inputs(self) -> list[str]:
        return list(self.made.get("inputs", []))

    @property
    def when(self) -> datetime | None:
        with suppress(KeyError, ValueError, TypeError):
            return datetime.fromisoformat(self.made["made"])
        return None

    def read(self, name: str) -> dict[str, Any]:
        """The object in one of its JSON files. StoreError, naming it, if it is no such."""
        try:
            return self._json(name)[1]
        except StoreError as error:
            raise StoreError(f"{self.place}/{self.artifact}/{name} {error}") from error

    def _json(self, name: str) -> tuple[bytes, dict[str, Any]]:
        try:
            content = self.place.read(f"{self.artifact}/{name}")
        except FileNotFoundError:
            raise StoreError("is missing") from None
        except OSError as error:
            raise StoreError(f"cannot be read: {error}") from error
        try:
            form = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise StoreError("is no JSON") from error
        if not isinstance(form, dict):
            raise StoreError("is no JSON object")
        return content, form

    def damages(self) -> Iterator[str]:
        """A line for each file that is not what was written, named by where it lies."""
        for name, what in self._damages():
            yield f"{self.place}/{self.artifact}/{name}: {what}"

    def _damages(self) -> Iterator[tuple[str, str]]:
        try:
            content, form = self._json(CONFIG)
            if content != (json.dumps(form, indent=1) + "\n").encode():
                yield CONFIG, "is not as it was written"
            elif str(form.get("is")).lower() != self.kind:
                yield CONFIG, f"is of a {form.get('is')}"
        except StoreError as error:
            yield CONFIG, str(error)
        try:
            content, made = self._json(MARKER)
        except StoreError as error:
            yield MARKER, str(error)
            return
        seal = made.pop("sha256", None)
        if seal is not None and content != sealed(made):
            yield MARKER, "is not as it was written"
        elif made.get("artifact", self.artifact) != self.artifact:
            yield MARKER, f"is of {made['artifact']}"
        else:
            yield from self._changed(self.checksums)

    @property
    def checksums(self) -> dict[str, str]:
        """The SHA-256 of its files, by name: of all but its provenance, which seals itself."""
        return {**self.made.get("files", {}), **self.made.get("inside", {})}

    def _changed(self, checksums: dict[str, str]) -> Iterator[tuple[str, str]]:
        for name, digest in checksums.items():
            try:
                if self.place.digest(f"{self.artifact}/{name}") != digest:
                    yield name, "is not as it was written"
            except FileNotFoundError:
                yield name, "is missing"
            except OSError as error:
                yield name, f"cannot be read: {error}"

    def remove(self) -> None:
        """Delete it: at once absent, then gone."""
        if isinstance(self.place, FolderPlace):
            aside = self.place.root / MAKING / f"gone.{secrets.token_hex(4)}"
            aside.parent.mkdir(exist_ok=True)
            (self.place.root / self.artifact).rename(aside)
            self.place.remove_folder(f"{MAKING}/{aside.name}")
        else:
            self.place.remove(f"{self.artifact}/{MARKER}")
            self.place.remove_folder(self.artifact)


def inventory(place: StorePlace, named: Sequence[str] = ()) -> list[Held]:
    """The artifacts of a place; or those of the given kinds, keys, and kind/keys.

    StoreError for a name that there is nothing of.
    """
    every = list(artifacts(place))
    chosen = dict.fromkeys(every if not named else [])
    for name in named:
        some = [each for each in every if name in (each, *each.split("/"))]
        if not some:
            raise StoreError(f"{place} has no {name}")
        chosen.update(dict.fromkeys(some))
    if named:
        return [Held.of(place, artifact) for artifact in chosen]
    return _listed(place, every)


def _listed(place: StorePlace, every: Sequence[str]) -> list[Held]:
    """All of these, which are all that there are: a listing a kind, for at an address each is a
    request."""
    sizes: dict[str, dict[str, int]] = {artifact: {} for artifact in every}
    for kind in dict.fromkeys(artifact.partition("/")[0] for artifact in every):
        for file, count in place.sizes(kind).items():
            artifact, name = "/".join(file.split("/")[:2]), "/".join(file.split("/")[2:])
            if artifact in sizes:
                sizes[artifact][name] = count
    return [Held(place, artifact, sizes[artifact]) for artifact in every]


def mentioned(results: Path) -> set[str]:
    """Every key that a table's .json below a folder mentions."""
    texts = (path.read_text(errors="replace") for path in sorted(results.rglob("*.json")))
    return {key for text in texts for key in MENTIONED.findall(text)}


def alive(place: StorePlace, silent: timedelta = timedelta.max) -> list[SeenLease]:
    """The leases of what is being made, as far as can be told from here.

    silent: after which a lease of another host, which beats every few seconds, is of a dead one.
    """

    def living(lease: SeenLease) -> bool:
        known = lease.maker.alive()
        return not _silent(place, lease, silent) if known is None else known

    return [lease for lease in all_written(place) if living(lease)]


def _silent(place: StorePlace, lease: SeenLease, limit: timedelta) -> bool:
    """Whether a lease has not changed for so long; never where no file has a time."""
    try:
        last = place.modified(lease.file)
    except FileNotFoundError:  # it has been released
        return True
    return bool(last) and time.time() - last > limit.total_seconds()


def unreferenced(
    held: Sequence[Held], keys: set[str], leases: Sequence[SeenLease], younger: timedelta
) -> list[Held]:
    """What neither a key refers to, nor what is being made, nor anything that is referred to.

    younger: what was made since is left alone, for the table of a run comes last.
    """
    known, since = {each.artifact: each for each in held}, datetime.now(UTC) - younger
    recent = [each.artifact for each in held if each.when is None or each.when > since]
    wanted = [each.artifact for each in held if each.artifact.partition("/")[2] in keys]
    ahead, reached = [*wanted, *recent, *(name for x in leases for name in x.inputs)], set[str]()
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += known[name].inputs if name in known else []
    return [each for each in held if each.artifact not in reached]


def abandoned(place: StorePlace, leases: Sequence[SeenLease], younger: timedelta) -> list[str]:
    """Names in making/ that belong to no lease of the given, and have not changed lately."""
    kept = {lease.folder for lease in leases} | {Path(lease.file).name for lease in leases}
    since, found = (datetime.now(UTC) - younger).timestamp(), []
    for name in sorted(place.names(MAKING)):
        if name in kept or name.removesuffix(".lock").removesuffix(TOUCHED) in kept:
            continue
        inside = [f"{MAKING}/{name}", *place.sizes(f"{MAKING}/{name}")]
        times = list[float]()
        for each in inside:
            with suppress(OSError):  # an address has no folders, and a maker may end meanwhile
                times.append(place.modified(each))
        if times and max(times) < since:
            found.append(name)
    return found
