"""What a stage is: a frozen config that makes itself, and whose hash is its key."""

import dataclasses
import functools
import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from experiments.pipeline import key
from experiments.pipeline.files import read_json
from experiments.pipeline.store import Context, Store


@dataclasses.dataclass(frozen=True)
class Stage:
    """A frozen config that makes itself: its key covers every config it is made from.

    version: raised when the code changes what the same config makes.
    covered: whether its key covers its code too, as of what judges; else `version` stands for it.
    resumes: whether `make` goes on from what a killed run left in the folder.
    """

    version: ClassVar[int] = 1
    covered: ClassVar[bool] = False
    resumes: ClassVar[bool] = False

    def make(self, folder: Path, context: Context) -> None:
        """Write the artifact's files into `folder`."""
        raise NotImplementedError

    @property
    def stack_key(self) -> Hashable:
        """Stages of one class and equal values here may be made by one `make_stack`; None for a
        stage that is made by itself."""
        return None

    @classmethod
    def make_stack(cls, stages: Sequence[Self], folders: Sequence[Path], context: Context) -> None:
        """Write each artifact's files into its own folder, the same to the bit as `make` would."""
        for stage, folder in zip(stages, folders, strict=True):
            stage.make(folder, context)

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
        """All that it is made from, as JSON."""
        return key.config(self)

    @functools.cached_property
    def key(self) -> str:
        """What the artifact is called: a hash of all that it is made from."""
        return key.key(self)

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
        numbers = self.measure(folder, context)
        (folder / "measured.json").write_text(json.dumps(numbers, indent=1) + "\n")

    def read(self, store: Store) -> dict[str, Any]:
        return read_json(store.file(self, "measured.json"))

    def remarks(self, store: Store) -> tuple[str, ...]:
        """What a reader of these numbers should know, one line each."""
        return ()
