"""What a stage is: a frozen config with one canonical form, whose hash is its key."""

import dataclasses
import functools
import hashlib
import json
import math
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from experiments.pipeline.files import read_json

if TYPE_CHECKING:
    from experiments.pipeline.store import Store

Device = Literal["auto", "cpu", "cuda"]


def canonical(value: Any) -> Any:
    """`value` as JSON with one form only; TypeError for what has none.

    A dataclass becomes its name, its version if it has one, and all its fields: defaults count. Two
    kinds of field do not: one with `metadata={"key": False}`, which says where on a machine data
    lies, and, at its default, one marked `later`, which came when there were artifacts. A class
    becomes its name and the frozen values it holds, as an expert's objective.
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
        keyed = [f for f in dataclasses.fields(value) if f.metadata.get("key", True)]
        fields = {f.name: canonical(getattr(value, f.name)) for f in keyed}
        for f in keyed:
            if f.metadata.get("later") and _same(fields[f.name], canonical(f.default)):
                del fields[f.name]
        form = {"is": _name(type(value)), **fields}
        version = getattr(type(value), "version", None)
        return form if version is None else {**form, "version": version}
    raise TypeError(f"{value!r} of type {type(value).__name__} has no canonical form")


def _same(one: Any, other: Any) -> bool:
    """Whether two canonical forms hash alike; 1, 1.0 and True, which are equal, do not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class Strategy(Enum):
    """How devices share a network: whole on each (DDP), or its weights in parts (FSDP)."""

    DDP = "ddp"
    FSDP = "fsdp"


@dataclasses.dataclass(frozen=True)
class Hardware:
    """What one stage trains on and how, its recipe being the same. ValueError if it makes no sense.

    devices: of one stage; every batch is divided among them.  compile: its network, by torch.
    checkpointing: blocks run again going backward, for memory.  gpus: names of all that the workers
    divide among them, as in CUDA_VISIBLE_DEVICES.
    """

    devices: int = 1
    strategy: Strategy = Strategy.DDP
    compile: bool = False
    checkpointing: bool = False
    gpus: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise ValueError(f"--devices must be at least 1, not {self.devices}")
        if self.strategy is Strategy.FSDP and self.devices == 1:
            raise ValueError("--strategy fsdp divides a network: it needs --devices 2 or more")
        if self.gpus and self.devices > len(self.gpus):
            raise ValueError(f"--devices {self.devices}: there are {len(self.gpus)} GPUs here")

    def share(self, worker: int) -> tuple[str, ...]:
        """The GPUs of a worker, counted from 0. ValueError where there are none left for it."""
        mine = self.gpus[worker * self.devices :][: self.devices]
        if len(mine) < self.devices:
            raise ValueError(f"no {self.devices} of {len(self.gpus)} GPUs for worker {worker + 1}")
        return mine


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
    hardware: Hardware = Hardware()

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


@dataclasses.dataclass(frozen=True)
class Measurement(Stage):
    """measured.json: numbers by name, or by part and name where one run gives several rows."""

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        """The numbers; other files may be left in `folder`."""
        raise NotImplementedError

    def make(self, folder: Path, context: Context) -> None:
        found = self.measure(folder, context)
        (folder / "measured.json").write_text(json.dumps(found, indent=1) + "\n")

    def read(self, store: "Store") -> dict[str, Any]:
        return read_json(store.file(self, "measured.json"))

    def remarks(self, store: "Store") -> tuple[str, ...]:
        """What a reader of these numbers should know, one line each."""
        return ()
