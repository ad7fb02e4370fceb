"""Where artifacts live: key = hash of the whole nested config; complete or absent; provenance.

Made in `<root>/making/`, it is renamed into place with its config and provenance. A killed process
leaves only what it was making. A store at an address is asked through copies in a cache.
"""

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from experiments.pipeline import code, key
from experiments.pipeline.files import (
    StoreError,
    read_json,
    read_sealed,
    sealed,
    sha256,
    write_whole,
)
from experiments.pipeline.hardware import Device, Hardware
from experiments.pipeline.provenance import commit, provenance
from experiments.pipeline.storage.leases import MAKING
from experiments.pipeline.storage.places import FolderPlace, StorePlace
from experiments.pipeline.storage.remote import CONFIG, MARKER, Remote
from experiments.pipeline.storage.workspace import workspace
from modules.codec import encode


class Artifact(Protocol):
    """What a store keeps the files of: a stage."""

    resumes: ClassVar[bool]

    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def config(self) -> dict[str, Any]: ...
    def inputs(self) -> "tuple[Artifact, ...]": ...
    @classmethod
    def make_stack(
        cls, stages: "Sequence[Any]", folders: Sequence[Path], context: "Context"
    ) -> None: ...


@dataclass(frozen=True)
class Context:
    """What a run may change without a change of key. A device changes a result's last digits.

    bar: the row of this process's progress bars, None for no bars. tensorboard, wandb: write such
    logs too, below the store. device: "cpu", "cuda", or "auto" for what there is.
    """

    store: "Store"
    bar: int | None = None
    tensorboard: bool = False
    wandb: bool = False
    device: Device = "auto"
    hardware: Hardware = Hardware()

    @property
    def stack(self) -> int:
        """As many small experts are trained in one stack, at most. On a GPU one: it may multiply
        more matrices by another kernel, of other rounding."""
        return self.hardware.stack if self.torch_device.type == "cpu" else 1

    @property
    def torch_device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)


class Store:
    """Artifacts, `<root>/<stage>/<key>/`, safe for processes of one host or several that race.

    root: the folder of all artifacts; with a remote, of the copies of those that were asked for.
    """

    def __init__(self, root: Path, remote: Remote | None = None) -> None:
        self.root, self.remote = root, remote
        self.place: StorePlace = FolderPlace(root) if remote is None else remote.place
        self._compared: set[tuple[Path, int, int]] = set()
        self._provenance: dict[Path, dict[str, Any]] = {}

    def path(self, stage: Artifact) -> Path:
        """An artifact's folder; of one that is complete, all of it is on this machine."""
        return self.fetched(stage, "")

    def _local(self, stage: Artifact) -> Path:
        return self.root / name(stage)

    def has(self, stage: Artifact) -> bool:
        """Whether the artifact is complete. StoreError if another config sits at its key."""
        path = self._local(stage) / CONFIG
        if self.remote is not None:
            if not self.remote.has(name(stage)):
                return False
            self.remote.fetch(name(stage), CONFIG)
        try:
            written = path.stat()
        except FileNotFoundError:
            if not path.parent.exists():
                return False
            raise StoreError(f"cannot read {path}: it is gone") from None
        except OSError as error:
            raise StoreError(f"cannot read the store {self.root}: {error}") from error
        as_written = path, written.st_mtime_ns, written.st_size
        if as_written in self._compared:  # a table asks a dozen times, and comparing takes longest
            return True
        difference = key.difference(read_json(path), stage.config)
        if difference is not None:
            raise StoreError(
                f"{difference}, the class having changed since {self._local(stage)} was made: "
                "raise its version, or delete the folder"
            )
        self._compared.add(as_written)
        return True

    def file(self, stage: Artifact, file: str) -> Path:
        """A file of a complete artifact. StoreError, naming it, if it is not what was written."""
        if self.remote is None:
            return self._checked(stage, file)
        self.remote.fetch(name(stage), file)
        try:
            return self._checked(stage, file)
        except StoreError:  # a copy that was damaged or evicted, or of an artifact since made anew
            self._provenance.pop(self._local(stage) / MARKER, None)
            self.remote.again(name(stage), [CONFIG, MARKER, file])
            return self._checked(stage, file)

    def _checked(self, stage: Artifact, file: str) -> Path:
        path = self._local(stage) / file
        try:
            digest = sha256(path)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error}") from error
        if digest != self.provenance(stage).get("files", {}).get(file):
            there = f"{self.place}/{name(stage)}"
            raise StoreError(f"{there}/{file} is damaged: delete {there} and run again")
        return path

    def fetched(self, stage: Artifact, part: str) -> Path:
        """A file or folder of a complete artifact, on this machine. Who reads it checks it."""
        if self.remote is not None and self.remote.has(name(stage)):
            self.remote.fetch_part(name(stage), part)
        return self._local(stage) / part

    def provenance(self, stage: Artifact) -> dict[str, Any]:
        """What made the artifact: commit, command, host, packages, seconds, upstream keys.

        StoreError if it is another artifact's."""
        path = self._local(stage) / MARKER
        if path not in self._provenance:
            if self.remote is not None:
                self.remote.fetch(name(stage), MARKER)
            made = read_sealed(path)
            if made.get("artifact", name(stage)) != name(stage):
                raise StoreError(f"{path} is of {made['artifact']}: delete both and run again")
            self._provenance[path] = made
        return self._provenance[path]

    def make(self, stage: Artifact, context: Context) -> Path:
        """The artifact's folder, made now unless it is there. Its inputs must be there."""
        self.make_stack([stage], context)
        return self.path(stage)

    def make_stack(self, stages: Sequence[Artifact], context: Context) -> None:
        """Make artifacts of one class in one go, but for those that are there."""
        missing = [stage for stage in stages if not self.has(stage)]
        try:
            with self._keeping(), ExitStack() as held:
                folders = [held.enter_context(self._working(stage)) for stage in missing]
                self._fill(missing, folders, context)
        except OSError as error:
            which = ", ".join(name(stage) for stage in missing)
            raise StoreError(f"cannot make {which} in the store {self.place}: {error}") from error

    def _keeping(self) -> AbstractContextManager[None]:
        """Evict no copy that is asked for within the block."""
        return nullcontext() if self.remote is None else self.remote.cache.at_work()

    def _working(self, stage: Artifact) -> AbstractContextManager[Path]:
        """A folder to make `stage` in: the resumable one, or a private one if that is busy."""
        inputs = tuple(name(item) for item in stage.inputs())
        making, called = self.root / MAKING, f"{stage.kind}-{stage.key}"
        return workspace(self.place, making, called, inputs, stage.resumes)

    def _fill(self, stages: Sequence[Artifact], folders: Sequence[Path], context: Context) -> None:
        here = zip(stages, folders, strict=True)
        # What another process made while this one waited to begin is there.
        todo = [(stage, folder) for stage, folder in here if not self.has(stage)]
        if not todo:
            return
        # Whatever is edited or committed meanwhile, this is the code that runs.
        started, _ = time.time(), commit()
        own = code.digest(type(todo[0][0]))
        uncoded = [key.key(stage, coded=False) for stage, _ in todo]
        for stage, folder in todo:
            self._begin(folder, stage.config)
        undone, empty = [stage for stage, _ in todo], [folder for _, folder in todo]
        type(undone[0]).make_stack(undone, empty, context)
        made = provenance((time.time() - started) / len(todo), context.torch_device)
        made.update(hardware=encode(context.hardware), stack=len(todo), code=own)
        for (stage, folder), bare in zip(todo, uncoded, strict=True):
            self._finish(stage, folder, {**made, "uncoded": bare})

    def _finish(self, stage: Artifact, folder: Path, made: dict[str, Any]) -> None:
        """Write an artifact's provenance, and move it to its place. StoreError if it was moved away
        meanwhile, by another that took this maker for dead: what lies there now is a rest."""
        if not (folder / CONFIG).is_file():
            raise StoreError(f"{folder} was taken over by another process: run again")
        own = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        sums = {path.relative_to(folder).as_posix(): sha256(path) for path in own}
        made["files"] = {file: x for file, x in sums.items() if "/" not in file and file != CONFIG}
        made["inside"] = {file: x for file, x in sums.items() if file not in made["files"]}
        made["artifact"], made["seed"] = name(stage), getattr(stage, "seed", None)
        made["inputs"] = [name(item) for item in stage.inputs()]
        (folder / MARKER).write_bytes(sealed(made))
        target = self._local(stage)
        self._provenance.pop(target / MARKER, None)
        if self.remote is not None:
            return self.remote.publish(folder, name(stage))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(target)
        except OSError:
            if not self.has(stage):
                raise  # otherwise another process was first: its copy stays

    def _begin(self, folder: Path, config: Any) -> None:
        """Say in the working folder what is made there; empty it of what another config left."""
        path = folder / CONFIG
        if path.exists() and key.difference(read_json(path), config) is not None:
            shutil.rmtree(folder)
            folder.mkdir()
        write_whole(path, (json.dumps(config, indent=1) + "\n").encode())


def name(stage: Artifact) -> str:
    """kind/key, by which a store knows an artifact."""
    return f"{stage.kind}/{stage.key}"
