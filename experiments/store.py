"""Where artifacts live: key = hash of the whole nested config; complete or absent; provenance.

An artifact is made in `<root>/making/`, then renamed into place with its config and provenance.
A killed process leaves only what it was making; a stage that can resume finds it there again.
"""

import dataclasses
import fcntl
import functools
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from experiments.provenance import commit, provenance

Device = Literal["auto", "cpu", "cuda"]


class StoreError(RuntimeError):
    """The store cannot be read or written. Names the path."""


def canonical(value: Any) -> Any:
    """`value` as JSON with one form only; TypeError for what has none.

    A dataclass becomes its name, its version if it has one, and all its fields: defaults count. A
    class becomes its name and the frozen values it holds, as an expert's objective.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Enum):
        return {"enum": f"{_name(type(value))}.{value.name}"}
    if isinstance(value, type):
        values = {k: canonical(v) for k, v in vars(value).items() if dataclasses.is_dataclass(v)}
        return {"class": _name(value), **values}
    if isinstance(value, tuple):
        return [canonical(item) for item in value]
    if dataclasses.is_dataclass(value):
        fields = {f.name: canonical(getattr(value, f.name)) for f in dataclasses.fields(value)}
        form = {"is": _name(type(value)), **fields}
        version = getattr(type(value), "version", None)
        return form if version is None else {**form, "version": version}
    raise TypeError(f"{value!r} of type {type(value).__name__} has no canonical form")


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@dataclasses.dataclass(frozen=True)
class Context:
    """What a run may change without a change of key. A device changes a result's last digits.

    bar: the row of this process's progress bars, None for no bars. tensorboard: write its logs
    too, under the store's `tensorboard/`. device: "cpu", "cuda", or "auto" for what there is.
    """

    store: "Store"
    bar: int | None = None
    tensorboard: bool = False
    device: Device = "auto"

    @property
    def torch_device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)


@dataclasses.dataclass(frozen=True)
class Stage:
    """A frozen config that makes itself: its key covers every config it is made from.

    version: raised when the code changes what the same config makes.
    resumes: whether `make` goes on from what a killed run left in the folder.
    """

    version: ClassVar[int] = 1
    resumes: ClassVar[bool] = False

    def make(self, folder: Path, context: Context) -> None:
        """Write the artifact's files into `folder`."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """What a person watching the run reads."""
        return self.kind

    @property
    def kind(self) -> str:
        return type(self).__name__.lower()

    @property
    def cost(self) -> float:
        """Rough seconds on one core: the long ones start first, and estimates weigh by it."""
        return 1.0

    @property
    def config(self) -> dict[str, Any]:
        return canonical(self)

    @functools.cached_property
    def key(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the canonical config."""
        text = json.dumps(self.config, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def inputs(self) -> "tuple[Stage, ...]":
        """The stages among the fields, tuples included."""
        fields = [getattr(self, f.name) for f in dataclasses.fields(self)]
        flat = [x for value in fields for x in (value if isinstance(value, tuple) else (value,))]
        return tuple(x for x in flat if isinstance(x, Stage))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def read_json(path: Path) -> dict[str, Any]:
    """The contents of an artifact's file. StoreError, naming it, if it is damaged."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise StoreError(f"{path} is damaged: delete {path.parent} and run again")
    return found


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """A folder of artifacts, `<root>/<stage>/<key>/`, safe for processes that race."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, stage: Stage) -> Path:
        return self.root / stage.kind / stage.key

    def has(self, stage: Stage) -> bool:
        """Whether the artifact is complete. StoreError if another config sits at its key."""
        try:
            self.path(stage).stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"cannot read the store {self.root}: {error}") from error
        config = read_json(self.path(stage) / "config.json")
        if config != stage.config:
            raise StoreError(f"{self.path(stage)} was made from another config")
        return True

    def file(self, stage: Stage, name: str) -> Path:
        """A file of a complete artifact. StoreError, naming it, if it is not what was written."""
        path = self.path(stage) / name
        try:
            digest = _sha256(path)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error}") from error
        if digest != self.provenance(stage).get("files", {}).get(name):
            raise StoreError(f"{path} is damaged: delete {path.parent} and run again")
        return path

    def provenance(self, stage: Stage) -> dict[str, Any]:
        """What made the artifact: commit, command, host, packages, seconds, upstream keys."""
        return read_json(self.path(stage) / "provenance.json")

    def make(self, stage: Stage, context: Context) -> Path:
        """The artifact's folder, made now unless it is there. Its inputs must be there."""
        if self.has(stage):
            return self.path(stage)
        try:
            with self._working(stage) as folder:
                self._fill(stage, folder, context)
        except OSError as error:
            where = f"{stage.kind}/{stage.key} in the store {self.root}"
            raise StoreError(f"cannot make {where}: {error}") from error
        return self.path(stage)

    def _fill(self, stage: Stage, folder: Path, context: Context) -> None:
        if self.has(stage):
            return  # made by another process while this one waited to begin
        started, _ = time.time(), commit()  # the code that runs, whatever is committed meanwhile
        stage.make(folder, context)
        made = provenance(time.time() - started, context.torch_device)
        made["files"] = {p.name: _sha256(p) for p in sorted(folder.iterdir()) if p.is_file()}
        made["seed"] = getattr(stage, "seed", None)
        made["inputs"] = [f"{item.kind}/{item.key}" for item in stage.inputs()]
        (folder / "provenance.json").write_text(json.dumps(made, indent=1) + "\n")
        (folder / "config.json").write_text(json.dumps(stage.config, indent=1) + "\n")
        target = self.path(stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(target)
        except OSError:
            if not self.has(stage):
                raise  # otherwise another process was first: its copy stays

    @contextmanager
    def _working(self, stage: Stage) -> Iterator[Path]:
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
