"""Where artifacts live: key = hash of the whole nested config; complete or absent; provenance.

An artifact is made in `<root>/making/`, then renamed into place with its config and provenance.
A killed process leaves only what it was making; a stage that can resume finds it there again.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@dataclass(frozen=True)
class Context:
    """What a run may change without a change of key. A device changes a result's last digits.

    bar: the row of this process's progress bars, None for no bars. tensorboard: write its logs
    too, under the store's `tensorboard/`. device: "cpu", "cuda", or "auto" for what there is.
    """

    store: "Store"
    bar: int | None = None
    tensorboard: bool = False
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
    """A folder of artifacts, `<root>/<stage>/<key>/`, safe for processes that race."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._compared: set[tuple[Path, int, int]] = set()
        self._provenance: dict[Path, dict[str, Any]] = {}

    def path(self, stage: Artifact) -> Path:
        return self.root / stage.kind / stage.key

    def has(self, stage: Artifact) -> bool:
        """Whether the artifact is complete. StoreError if another config sits at its key."""
        path = self.path(stage) / "config.json"
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
                f"{difference}, the class having changed since {self.path(stage)} was made: "
                "raise its version, or delete the folder"
            )
        self._compared.add(as_written)
        return True

    def file(self, stage: Artifact, name: str) -> Path:
        """A file of a complete artifact. StoreError, naming it, if it is not what was written."""
        path = self.path(stage) / name
        try:
            digest = sha256(path)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error}") from error
        if digest != self.provenance(stage).get("files", {}).get(name):
            raise StoreError(f"{path} is damaged: delete {path.parent} and run again")
        return path

    def provenance(self, stage: Artifact) -> dict[str, Any]:
        """What made the artifact: commit, command, host, packages, seconds, upstream keys."""
        path = self.path(stage) / "provenance.json"
        if path not in self._provenance:
            self._provenance[path] = read_sealed(path)
        return self._provenance[path]

    def make(self, stage: Artifact, context: Context) -> Path:
        """The artifact's folder, made now unless it is there. Its inputs must be there."""
        self.make_stack([stage], context)
        return self.path(stage)

    def make_stack(self, stages: Sequence[Artifact], context: Context) -> None:
        """Make artifacts of one class in one go, but for those that are there."""
        missing = [stage for stage in stages if not self.has(stage)]
        try:
            with ExitStack() as held:
                folders = [held.enter_context(self._working(stage)) for stage in missing]
                self._fill(missing, folders, context)
        except OSError as error:
            which = ", ".join(f"{stage.kind}/{stage.key}" for stage in missing)
            raise StoreError(f"cannot make {which} in the store {self.root}: {error}") from error

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
        """Write an artifact's provenance, and move it to its place."""
        files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.name != "config.json"]
        made["files"] = {path.name: sha256(path) for path in files}
        made["seed"] = getattr(stage, "seed", None)
        made["inputs"] = [f"{item.kind}/{item.key}" for item in stage.inputs()]
        (folder / "provenance.json").write_bytes(sealed(made))
        target = self.path(stage)
        self._provenance.pop(target / "provenance.json", None)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(target)
        except OSError:
            if not self.has(stage):
                raise  # otherwise another process was first: its copy stays

    def _begin(self, folder: Path, config: Any) -> None:
        """Say in the working folder what is made there; empty it of what another config left."""
        path = folder / "config.json"
        if path.exists() and key.difference(read_json(path), config) is not None:
            shutil.rmtree(folder)
            folder.mkdir()
        write_whole(path, (json.dumps(config, indent=1) + "\n").encode())

    @contextmanager
    def _working(self, stage: Artifact) -> Iterator[Path]:
        """A folder to make `stage` in: the resumable one, or a private one if that is busy."""
        making = self.root / "making"
        making.mkdir(parents=True, exist_ok=True)
        shared = making / f"{stage.kind}-{stage.key}"
        with open(f"{shared}.lock", "w") as lock:
            folder, locked = shared, True
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                folder, locked = shared.with_name(f"{shared.name}.{os.getpid()}"), False
            for private in making.glob(f"{shared.name}.[0-9]*"):
                if not _alive(int(private.suffix[1:])):
                    shutil.rmtree(private, ignore_errors=True)
            if folder.exists() and not stage.resumes:
                shutil.rmtree(folder)
            folder.mkdir(exist_ok=True)
            yield folder
            shutil.rmtree(folder, ignore_errors=True)  # still there if another was first
            if locked:
                Path(lock.name).unlink(missing_ok=True)
